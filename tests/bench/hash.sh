#!/bin/sh
# SHA-256 on one core against openssl and coreutils, in one run on this machine: each line
# is the median of RUNS (default 5), the programs taking turns. hash.sh [RUNS]
# Lines: NAME ours=MB/s peer=MB/s ratio=… goal=… ok|short. Exit: 0 all ok, 1 one is short.
set -eu
cd "$(dirname "$0")/../.."
runs=${1:-5}
work=$(mktemp -d "${TMPDIR:-/dev/shm}/fvol-bench.XXXXXX")
trap 'rm -rf "$work"' EXIT
ours=build/release/x86_64/bin/hash
bytes=$((512 * 1024 * 1024))
failed=0

# Arguments: command... Prints MB of CPU time a second: the machine may do something else.
rate() {
	sh -c '"$@" > /dev/null; times' sh "$@" | awk -v bytes="$bytes" 'NR == 2 {
		for (i = 1; i <= 2; i++) {
			split($i, t, /[ms]/)
			seconds += t[1] * 60 + t[2]
		}
		printf "%.0f\n", bytes / 1e6 / seconds
	}'
}

# Prints what openssl does by itself, without reading a file.
openssl_rate() {
	openssl speed -evp sha256 -bytes 262144 -seconds 2 2> /dev/null |
		awk 'END { sub(/k$/, "", $NF); printf "%.0f\n", $NF / 1000 }'
}

median() {
	sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# Arguments: NAME OURS PEER GOAL.
line() {
	awk -v name="$1" -v ours="$(median "$2")" -v peer="$(median "$3")" -v goal="$4" 'BEGIN {
		ok = ours >= goal * peer
		printf "%s ours=%d peer=%d ratio=%.2f goal=%.2f %s\n", name, ours, peer,
			ours / peer, goal, ok ? "ok" : "short"
		exit !ok
	}' || failed=1
}

openssl rand 1048576 > "$work/block"
for _ in $(seq 512); do cat "$work/block"; done > "$work/data"
kernel=build/tests/bench/x86_64/sha256
i=0
while [ "$i" -lt "$runs" ]; do
	i=$((i + 1))
	rate "$ours" "$work/data" >> "$work/ours"
	rate openssl dgst -sha256 "$work/data" >> "$work/openssl"
	rate sha256sum "$work/data" >> "$work/coreutils"
	openssl_rate >> "$work/speed"
	"$kernel" 2 >> "$work/kernel"
	"$kernel" 2 two >> "$work/two"
done
line sha256-openssl-speed "$work/kernel" "$work/speed" 0.95
# Both hashes of the bytes, by twice the time of one.
awk '{ print $1 / 2 }' "$work/speed" > "$work/twice"
line sha256-two-at-once "$work/two" "$work/twice" 1.2
line sha256-openssl-dgst "$work/ours" "$work/openssl" 0.95
line sha256-sha256sum "$work/ours" "$work/coreutils" 0.95
exit $failed
