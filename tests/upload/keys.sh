# shellcheck shell=sh disable=SC2154 # sourced by run.sh
# Where keys come from, roles that may little, keys that expire half-way.

python3 tests/upload/imds.py "$proxy" > "$work/imds.port" 2> "$work/imds.log" &
server_pids="$server_pids $!"
wait_for 20 test -s "$work/imds.port"
imds_port=$(cat "$work/imds.port")

# A role that may do all in the bucket, and one that may only put under one prefix.
trust='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam:::user/root"]},"Action":["sts:AssumeRole"]}]}'
all='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*"],"Resource":["arn:aws:s3:::*"]}]}'
put='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:PutObject"],"Resource":["arn:aws:s3:::evidence/case1/*"]}]}'
for role in all put; do
	policy=$all
	[ $role = all ] || policy=$put
	rgw_admin role create --role-name $role --assume-role-policy-doc "$trust" > "$work/out" 2>&1
	rgw_admin role-policy put --role-name $role --policy-name p --policy-doc "$policy" >> "$work/out" 2>&1
done

# Arguments: role, file. Writes session keys of the role as the metadata service gives them.
assume() {
	python3 tests/upload/client.py "$rgw/root.env" "$rgw/ca.pem" "$RGW_PORT" POST / \
		'!service:sts' content-type:application/x-www-form-urlencoded \
		"=Action=AssumeRole&Version=2011-06-15&RoleArn=arn:aws:iam:::role/$1&RoleSessionName=session" > "$work/sts"
	tag() { sed -n "s/.*<$1>\([^<]*\)<\/$1>.*/\1/p" "$work/sts" | head -n 1; }
	printf '{"Code":"Success","Type":"AWS-HMAC","AccessKeyId":"%s","SecretAccessKey":"%s","Token":"%s","Expiration":"%s"}' \
		"$(tag AccessKeyId)" "$(tag SecretAccessKey)" "$(tag SessionToken)" \
		"$(date -u -d '+1 hour' +%Y-%m-%dT%H:%M:%SZ)" > "$2"
}
assume all "$proxy/keys"
assume all "$proxy/keys.next"
echo the-role > "$proxy/role"

check 'keys of the role' 0 '"head":"equal"' up_imds --json -p 5M "$work/big" s3://evidence/k/role
check 'the same bytes' 0 '' same "$work/big" evidence/k/role
check 'every question had a session token' 1 '' grep -q ' 401$' "$proxy/imds-requests"
check 'the first was for one' 0 '^PUT /latest/api/token 200$' head -n 1 "$proxy/imds-requests"
fault expire 1 PUT partNumber=2
check 'keys expire half-way' 0 '"retries":[1-9]' up_imds --json -p 5M "$work/big" s3://evidence/k/expire
check 'the same bytes' 0 '' same "$work/big" evidence/k/expire
check 'the old ones were refused' 0 '^[1-9]' requests '400 ExpiredToken'
rm -f "$proxy/expired"
echo 1 > "$proxy/token-ttl"
check 'a session token that ends early' 0 '' up_imds "$work/small" s3://evidence/k/ttl
rm "$proxy/token-ttl"
echo yes > "$proxy/no-imds"
: > "$proxy/imds-requests"
check 'a metadata service that is off' 4 'metadata service: no session token: answered 403' \
	up_imds "$work/small" s3://evidence/k/off
check 'was not asked without a token' 1 '' grep -q '^GET' "$proxy/imds-requests"
rm "$proxy/no-imds"
rm "$proxy/role"
check 'an instance without a role' 4 'the instance has no role' up_imds "$work/small" s3://evidence/k/none
echo the-role > "$proxy/role"

assume put "$proxy/keys"
check 'a role that may only put' 0 '"head":"refused"' up_imds --json -p 5M "$work/big" s3://evidence/case1/big
check 'the same bytes' 0 '' same "$work/big" evidence/case1/big
check 'and only there' 4 '403 AccessDenied' up_imds -p 5M "$work/big" s3://evidence/case2/big
assume all "$proxy/keys"

echo 'Bearer container-secret' > "$proxy/container-token"
check 'keys of a container' 0 '' env AWS_CONTAINER_CREDENTIALS_FULL_URI="http://127.0.0.1:$imds_port/container/keys" \
	AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE="$proxy/container-token" "$tool" "$work/small" s3://evidence/k/container \
	--ca "$rgw/ca.pem" --endpoint "https://localhost:$proxy_port" --region eu-test-1
check 'a container endpoint that is not one' 2 'neither https' env AWS_CONTAINER_CREDENTIALS_FULL_URI=http://192.0.2.1/ \
	"$tool" "$work/small" s3://evidence/k/container2 --ca "$rgw/ca.pem" --region eu-test-1

printf '[default]\naws_access_key_id = none\naws_secret_access_key=none\n[case]\naws_access_key_id = ROOTKEY1\naws_secret_access_key=rootsecret1\n' > "$work/keyfile"
chmod 600 "$work/keyfile"
keyfile() {
	"$tool" "$@" --ca "$rgw/ca.pem" --endpoint "https://localhost:$proxy_port" --region eu-test-1
}
check 'keys of a file' 0 '' keyfile --credentials "$work/keyfile:case" "$work/small" s3://evidence/k/file
chmod 644 "$work/keyfile"
check 'a file that others can read' 4 'chmod 600' keyfile --credentials "$work/keyfile:case" "$work/small" s3://evidence/k/file2

# Under emulation the kernel shows the emulator's environment, which is not ours to clear.
if [ "$arch" != x86_64 ]; then
	return 0
fi
# While it waits for its input, its environment as the kernel shows it has no secret.
mkfifo "$work/wait"
env AWS_ACCESS_KEY_ID=ROOTKEY1 AWS_SECRET_ACCESS_KEY=rootsecret1 "$tool" - s3://evidence/k/wait \
	--ca "$rgw/ca.pem" --endpoint "https://localhost:$proxy_port" --region eu-test-1 \
	< "$work/wait" > /dev/null 2>&1 &
pid=$!
exec 9> "$work/wait"
sleep 1
check 'the environment is there' 0 'ROOTKEY1' sh -c "tr '\\0' '\\n' < /proc/$pid/environ"
check 'without the secret' 1 '' grep -qa rootsecret1 "/proc/$pid/environ"
exec 9>&-
wait $pid || :
