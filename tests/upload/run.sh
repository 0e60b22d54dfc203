#!/bin/sh
# upload against a real S3 server (Ceph's radosgw), through a proxy that enforces what AWS
# does and radosgw does not, and that breaks on request; keys from a strict metadata
# service. After each fault the object must be there byte for byte, or not at all.
# Usage: run.sh [ARCH]
# The files that are sourced below call and set what looks unused here.
# shellcheck disable=SC2317,SC2154,SC2034
set -eu
cd "$(dirname "$0")/../.."
root=$PWD
arch=${1:-x86_64}
work=$root/build/check/upload
rm -rf "$work"
mkdir -p "$work"

# shellcheck source=tests/lib/results.sh
. tests/lib/results.sh
# shellcheck source=tests/upload/radosgw.sh
. tests/upload/radosgw.sh

trap 'stop_servers; rgw_stop' EXIT

# Arguments: directory, port of upstream, certificate name. Starts a proxy; sets PORT.
start_proxy() {
	mkdir -p "$1"
	python3 tests/upload/proxy.py "$1" "$2" "$rgw/$3.pem" "$rgw/$3.key" "$rgw/ca.pem" \
		> "$1/port" 2> "$1/log" &
	server_pids="$server_pids $!"
	wait_for 20 test -s "$1/port"
	PORT=$(cat "$1/port")
}

# Arguments: words of the second signer, after file, CA and port. Asks the proxy.
client() {
	python3 tests/upload/client.py "$rgw/root.env" "$rgw/ca.pem" "$proxy_port" "$@"
}

# Arguments: words of upload. Runs it against the proxy with the keys of root.
up() {
	env AWS_ACCESS_KEY_ID=ROOTKEY1 AWS_SECRET_ACCESS_KEY=rootsecret1 "$tool" "$@" \
		--ca "$rgw/ca.pem" --endpoint "https://localhost:$proxy_port" --region eu-test-1
}

# Arguments: words of upload. The same with the keys of the metadata service.
up_imds() {
	env -u AWS_ACCESS_KEY_ID "$tool" "$@" --ca "$rgw/ca.pem" \
		--imds-endpoint "http://127.0.0.1:$imds_port" \
		--endpoint "https://localhost:$proxy_port"
}

# Arguments: bucket/key, file. Reads an object from radosgw itself, by the second signer.
fetch() {
	python3 tests/upload/client.py "$rgw/root.env" "$rgw/ca.pem" "$RGW_PORT" GET "/$1" "!into:$2"
}

# Arguments: file, bucket/key. Returns: 0 when the object has the file's bytes.
same() {
	rm -f "$work/back"
	fetch "$2" "$work/back"
	cmp "$1" "$work/back"
}

# Arguments: bucket/key. Returns: 0 when there is no such object.
absent() {
	rm -f "$work/back"
	fetch "$1" "$work/back" | grep -q '^404'
}

# Arguments: KIND COUNT [METHOD [PATTERN]]. The fault of the next requests.
fault() {
	echo "$*" > "$proxy/fault"
	: > "$proxy/requests"
}

# Arguments: pattern. Prints how many requests of the log match.
requests() {
	grep -Ec -e "$1" "$proxy/requests" || :
}

for file in ${CASES:-setup strict plain capture triage faults keys resume presigned}; do
	# shellcheck source=/dev/null
	. "tests/upload/$file.sh"
done
exit $failed
