# shellcheck shell=sh disable=SC2154 # sourced by run.sh
# Uploads without faults: sizes, sources, what objects are stored with, refusals.

for name in empty small exact big; do
	check "stores $name" 0 '"head":"equal"' up --json -p 5M "$work/$name" "s3://evidence/p/$name"
	check "$name is the same" 0 '' same "$work/$name" "evidence/p/$name"
done
check 'two parts to the byte are two parts' 0 '^2$' requests 'p/exact[?]partNumber=.* 200'
check 'stores standard input' 0 'SHA-256 .*looked at' up -p 5M - 's3://evidence/p/stream +ä' \
	< "$work/big"
check 'standard input is the same' 0 '' same "$work/big" 'evidence/p/stream%20%2B%C3%A4'
check 'reads back' 0 '"read_back":true' up --json --verify --companion -p 5M "$work/big" s3://evidence/r/
fetch evidence/r/big.sha256 "$work/big.sha256"
check 'the companion is what sha256sum checks' 0 '^big: OK' sh -c "cd '$work' && sha256sum -c big.sha256"
check 'several sources and a prefix' 0 's3://evidence/m/exact' up "$work/small" "$work/exact" s3://evidence/m/
check 'composite checksum is compared' 0 '"checksum":"[A-Za-z0-9+/]{43}=-3"' \
	up --json -p 5M "$work/big" s3://evidence/p/composite
check 'an object that is there is not replaced' 5 'is there already' up -p 5M "$work/big" s3://evidence/p/big
check 'nor a small one' 5 'is there already' up "$work/small" s3://evidence/p/big
check 'unless told so' 0 '' up --overwrite "$work/small" s3://evidence/p/stream
check 'the bucket of another account is refused' 4 '403 AccessDenied' \
	up --owner 999999999999 -p 5M "$work/big" s3://evidence/p/owner
check 'nothing of it is stored' 0 '' absent evidence/p/owner
check 'the right account is not' 0 '' up --owner 123456789012 -p 5M "$work/big" s3://evidence/p/owner
check 'KMS and bucket key' 0 '"encryption":"aws:kms"' up --json --kms-key testkey-1 -p 5M \
	"$work/big" s3://evidence/p/kms
check 'lock and legal hold of one part' 0 '"lock":"GOVERNANCE"' up --json --lock GOVERNANCE --legal-hold \
	--retain-until 2036-01-01T00:00:00Z "$work/small" s3://locked/small
check 'radosgw has the lock' 0 '<Mode>GOVERNANCE' client GET '/locked/small?retention'
check 'radosgw has the hold' 0 '<Status>ON' client GET '/locked/small?legal-hold'
check 'lock and legal hold of parts' 0 '' up --json --lock COMPLIANCE --legal-hold \
	--retain-until 2036-01-01T00:00:00Z -p 5M "$work/big" s3://locked/big
check 'a lock that is over is refused' 5 '400 InvalidArgument' up --lock GOVERNANCE \
	--retain-until 2020-01-01T00:00:00Z -p 5M "$work/big" s3://locked/over
check 'the hash that was told is compared' 1 'has SHA-256' up -p 5M \
	--sha256 "$(printf x | sha256sum | cut -c 1-64)" "$work/big" s3://evidence/p/hash
check 'nothing of it is stored' 0 '' absent evidence/p/hash
check 'no upload is left open' 0 '^200' client GET '/evidence/?uploads'
check 'none of them' 1 '' grep -q '<UploadId>' "$work/out"
check 'the right hash becomes metadata' 0 '' up -p 5M --sha256 "$big_sha256" "$work/big" s3://evidence/p/hash
check 'a missing bucket' 5 '404 NoSuchBucket' up -p 5M "$work/big" s3://nowhere/key
check 'a wrong secret key' 4 '403' env AWS_ACCESS_KEY_ID=ROOTKEY1 AWS_SECRET_ACCESS_KEY=other \
	"$tool" "$work/small" s3://evidence/p/secret --ca "$rgw/ca.pem" --region eu-test-1 \
	--endpoint "https://localhost:$proxy_port"
check 'no server at all' 5 'upload: ' up --retries 2 --connect-to 127.0.0.1:9 "$work/small" s3://evidence/p/x

# The chain of custody knows where the evidence went.
mkdir -p "$work/evidence/symbols"
: > "$work/evidence/custody.jsonl"
cp "$work/big" "$work/evidence/memory.lime"
cp "$work/small" "$work/evidence/symbols/btf"
check 'an upload is entered into the log' 0 '"custody_head":"[0-9a-f]{64}"' up --json -p 5M \
	--custody "$work/evidence/custody.jsonl" --instance i-1 \
	"$work/evidence/memory.lime" "$work/evidence/symbols/btf" s3://evidence/c/
head=$(tail -n 1 "$work/out" | jq -r .custody_head)
check 'the chain holds and has the head that was printed' 0 'given head is line 2' \
	"build/release/x86_64/bin/hash" --custody verify --head "$head" "$work/evidence/custody.jsonl"
check 'a line has file, hash and address' 0 '' env sha="$big_sha256" jq -es \
	'.[0] | .action == "uploaded" and .file == "memory.lime" and .sha256 == env.sha
		and .note == "s3://evidence/c/memory.lime"' "$work/evidence/custody.jsonl"
check 'a file in a directory below has its path' 0 '^symbols/btf$' jq -r .file \
	"$work/evidence/custody.jsonl"
check 'what is not stored is not entered' 5 'is there already' up -p 5M \
	--custody "$work/evidence/custody.jsonl" --instance i-1 \
	"$work/evidence/memory.lime" s3://evidence/c/memory.lime
check 'the log is as it was' 0 '^2 ' sh -c "wc -l < '$work/evidence/custody.jsonl' | sed 's/$/ /'"
