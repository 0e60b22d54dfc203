#!/bin/sh
# publish, share and prune against a strict fake of EBS, EC2 and KMS that recomputes every
# signature and checksum and breaks on request. Whatever breaks, the snapshot holds the image
# byte for byte or the exit code says that it does not.
# The files that are sourced below call and set what looks unused here.
# shellcheck disable=SC2317,SC2154,SC2034,SC2329
set -eu
cd "$(dirname "$0")/../.."
root=$PWD
work=$root/build/check/ebs
tool=$root/build/release/x86_64/bin/image
failed=0
server_pids=
rm -rf "$work"
mkdir -p "$work"

# shellcheck source=tests/upload/radosgw.sh
. tests/upload/radosgw.sh

clean_up() {
	for pid in $server_pids; do
		kill -9 "$pid" 2> /dev/null || :
	done
}
trap clean_up EXIT
# A shell that is ended by a signal runs no trap of its exit.
trap 'exit 5' INT TERM HUP

# Arguments: exit code of what was tested, title. Prints the result line.
result() {
	if [ "$1" -eq 0 ]; then echo "ok $2"; else
		echo "FAIL $2"
		sed 's/^/  /' "$work/out" "$work/err" 2> /dev/null | tail -n 12
		failed=1
	fi
}

# Arguments: title, exit code that it must have, pattern of what it must print (may be
# empty), command...
check() {
	title=$1 want=$2 pattern=$3
	shift 3
	rc=0
	"$@" > "$work/out" 2> "$work/err" || rc=$?
	if [ "$rc" -eq "$want" ] &&
		{ [ -z "$pattern" ] || cat "$work/out" "$work/err" | grep -Eq -e "$pattern"; }; then
		result 0 "$title"
	else
		echo "# exit code $rc, wanted $want and '$pattern'"
		result 1 "$title"
	fi
}

# Arguments: words of image. Runs it against the fake.
ours() {
	env AWS_ACCESS_KEY_ID=AKIDEXAMPLE AWS_SECRET_ACCESS_KEY=secretexample \
		"$tool" "$@" --ca "$work/ca.pem" --endpoint "https://localhost:$port" \
		--region "${region:-eu-test-1}"
}

# Arguments: words of image publish.
publish() {
	ours publish --key "$work/key.pub" --connections "${connections:-8}" "$@"
}

# Arguments: KIND COUNT [METHOD [PATTERN]]. The fault of the next requests; empties the log.
fault() {
	echo "$*" > "$fake/fault"
	: > "$fake/requests"
}

# Arguments: pattern. Prints how many requests of the log match.
requests() {
	grep -Ec -e "$1" "$fake/requests" || :
}

# Arguments: path, body (may be empty). Asks the fake itself.
fake_ask() {
	curl -sS --cacert "$work/ca.pem" ${2:+--data-binary "$2"} "https://localhost:$port$1"
}

# Arguments: filter of jq, with the state as its input.
state() {
	fake_ask /_state | jq -r "$1"
}

# Arguments: snapshot, image. Returns: 0 when the fake holds the image's blocks and no other
# that is not zero; told by a second reader, which knows nothing of ours.
holds() {
	fake_ask /_state > "$work/state"
	python3 tests/ebs/holds.py "$work/state" "$1" "$2"
}

# Prints the snapshot that the last publish --json named.
named() {
	jq -r .snapshot "$work/out"
}

for file in ${CASES:-setup local publish faults resume parent share prune peers}; do
	# shellcheck source=/dev/null
	. "tests/ebs/$file.sh"
done
exit $failed
