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
rm -rf "$work"
mkdir -p "$work"

# shellcheck source=tests/lib/results.sh
. tests/lib/results.sh
# shellcheck source=tests/upload/radosgw.sh
. tests/upload/radosgw.sh

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
