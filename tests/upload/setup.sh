# shellcheck shell=sh disable=SC2154,SC2034 # sourced by run.sh
# The servers, keys and files that all cases use.

# One word, whatever runs the program.
tool=$root/build/release/$arch/bin/upload
if [ "$arch" != x86_64 ]; then
	printf '#!/bin/sh\nexec qemu-%s-static %s "$@"\n' "$arch" "$tool" > "$work/tool"
	chmod 755 "$work/tool"
	tool=$work/tool
fi
rgw=$work/rgw
proxy=$work/proxy
if ! rgw_start "$rgw"; then
	tail -n 5 "$rgw"/*.log
	echo "FAIL radosgw starts"
	exit 1
fi
echo "ok radosgw starts"
rgw_admin user create --uid root --display-name root --access-key ROOTKEY1 \
	--secret-key rootsecret1 --caps 'roles=*;user-policy=*' > "$rgw/user.log" 2>&1
printf 'AWS_ACCESS_KEY_ID=ROOTKEY1\nAWS_SECRET_ACCESS_KEY=rootsecret1\n' > "$rgw/root.env"
start_proxy "$proxy" "$RGW_PORT" server
proxy_port=$PORT
echo 123456789012 > "$proxy/owner"
echo "none 0" > "$proxy/fault"
client PUT /evidence > "$work/out" 2> "$work/err" && grep -qx 200 "$work/out"
client PUT /locked x-amz-bucket-object-lock-enabled:true > "$work/out"

# Names say the sizes: nothing, less than a part, two parts to the byte, and more.
: > "$work/empty"
head -c 100000 /dev/urandom > "$work/small"
head -c 10485760 /dev/urandom > "$work/exact"
head -c 13000001 /dev/urandom > "$work/big"
big_sha256=$(sha256sum < "$work/big" | cut -c 1-64)
