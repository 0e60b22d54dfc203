# shellcheck shell=sh disable=SC2154 # sourced by run.sh
# Uploads with no key on the instance.

# Arguments: words. As the instance: no key anywhere.
instance() {
	env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY "$tool" "$@" --ca "$rgw/ca.pem"
}

check 'presign starts and signs' 0 '^https://localhost:.*X-Amz-Signature=' \
	up presign --state "$work/state" --size 20M -p 5M s3://evidence/s/1
cp "$work/out" "$work/url"
check 'the state has no secret' 1 '' grep -qE 'Signature|rootsecret1' "$work/state"
fault 503 2 PUT partNumber
check 'the instance sends' 0 'to be completed' instance --presigned "$work/url" --parts "$work/parts" "$work/big"
check 'its record has no secret' 1 '' grep -qE 'Signature|X-Amz|ROOTKEY1' "$work/parts"
check 'it is no object yet' 0 '' absent evidence/s/1
sed 's/"part": 2/"part": 3/' "$work/parts" > "$work/parts.bad"
check 'a damaged record is refused' 5 'record of parts is damaged' up complete --state "$work/state" --parts "$work/parts.bad"
sed '0,/"etag": "./s//"etag": "x/' "$work/parts" > "$work/parts.bad"
check 'a record of other parts is refused' 1 'part 1 is not the one' up complete --state "$work/state" --parts "$work/parts.bad"
check 'nothing was completed' 0 '' absent evidence/s/1
check 'the responder completes' 0 '"read_back":true' up complete --json --verify --state "$work/state" --parts "$work/parts"
check 'the same bytes' 0 '' same "$work/big" evidence/s/1

check 'presign again' 0 '' up presign --state "$work/state2" --size 20M -p 5M s3://evidence/s/2
cp "$work/out" "$work/url2"
check 'the URL from standard input' 0 '' sh -c "cat '$work/url2' | $tool --presigned - --ca '$rgw/ca.pem' '$work/big'"
check 'another hash is found out' 1 'another SHA-256' up complete --state "$work/state2" \
	--sha256 "$(printf x | sha256sum | cut -c 1-64)"
check 'presign a third time' 0 '' up presign --state "$work/state3" --size 20M -p 5M s3://evidence/s/3
url=$(cat "$work/out")
check 'the URL from the environment' 0 '' env FVOL_PRESIGNED_URL="$url" "$tool" --presigned env --ca "$rgw/ca.pem" "$work/small"
check 'by its hash alone' 0 'read back' up complete --state "$work/state3" --sha256 "$(sha256sum < "$work/small" | cut -c 1-64)"
check 'the same bytes' 0 '' same "$work/small" evidence/s/3
check 'a list that is too short' 5 'need more than|more than [0-9]+ parts' sh -c "
	env AWS_ACCESS_KEY_ID=ROOTKEY1 AWS_SECRET_ACCESS_KEY=rootsecret1 $tool presign --state '$work/state4' \
	--size 1M -p 5M s3://evidence/s/4 --ca '$rgw/ca.pem' --endpoint https://localhost:$proxy_port \
	--region eu-test-1 > '$work/url4' && cat '$work/big' | $tool --presigned '$work/url4' --ca '$rgw/ca.pem' -"
check 'abort' 0 '' up abort --state "$work/state4"
check 'a URL that has expired' 4 '403' sh -c "
	env AWS_ACCESS_KEY_ID=ROOTKEY1 AWS_SECRET_ACCESS_KEY=rootsecret1 $tool presign --state '$work/state5' \
	--expires 1 --size 1M -p 5M s3://evidence/s/5 --ca '$rgw/ca.pem' --endpoint https://localhost:$proxy_port \
	--region eu-test-1 > '$work/url5' && sleep 3 && $tool --presigned '$work/url5' --ca '$rgw/ca.pem' '$work/small'"
check 'no error says a signature' 1 '' grep -q 'X-Amz\|Signature' "$work/err"
