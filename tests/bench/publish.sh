#!/bin/sh
# A release of 1 GiB, published to the strict fake of EBS on loopback, each of whose answers
# takes some milliseconds longer (as the way to a Region does): image publish against a client
# in the style of flexible-snapshot-proxy with one connection, which reads, hashes and puts one
# block after the other and has a kept connection, too. Then the next release, one module more,
# against the first as its parent. Runs are interleaved, the median of each counts. Nothing is
# read back, on either side. Lines: "NAME ours=V peer=V ratio=V goal=V ok|short".
# Usage: publish.sh [--mib N of data] [--latency MS] [--runs N]
# Exit: 0 all goals reached; 1 a figure is short; 2 usage; 5 a measurement failed.
set -eu
cd "$(dirname "$0")/../.."
mib=512 latency=20 runs=3
while [ $# -gt 0 ]; do
	case $1 in
	--mib) mib=$2 ;;
	--latency) latency=$2 ;;
	--runs) runs=$2 ;;
	*)
		sed -n '2,10s/^# //p' "$0" >&2
		exit 2
		;;
	esac
	shift 2
done
work=$PWD/build/bench-publish
tool=$PWD/build/release/x86_64/bin/image
rm -rf "$work"
mkdir -p "$work/fake" "$work/tree/kmods"
# shellcheck source=tests/upload/radosgw.sh
. tests/upload/radosgw.sh
pid=
trap '[ -z "$pid" ] || kill -9 "$pid"; rm -rf "$work/tree" "$work"/*.img' EXIT
trap 'exit 5' INT TERM
make_ca "$work" ca
make_certificate "$work" server DNS:localhost,IP:127.0.0.1 2 ca

# Half of the volume is data in some large files, with a file of zeros between.
for n in 1 2 3 4; do head -c $((mib * 262144)) /dev/urandom > "$work/tree/tool$n"; done
head -c 50000000 /dev/zero > "$work/tree/zeros"
for n in $(seq 100); do head -c 100000 /dev/urandom > "$work/tree/kmods/$n.ko"; done
echo 'tree /tree tree' > "$work/plan"
# Arguments: image. Builds it of the tree.
build() {
	"$tool" build --plan "$work/plan" --root "$work" --size 1G --epoch 1795219200 "$1" \
		> "$work/out"
}
build "$work/first.img"
# The next release: one module more.
head -c 100000 /dev/urandom > "$work/new.ko"
echo 'file 0644 /tree/kmods/new.ko new.ko' > "$work/more"
"$tool" add --plan "$work/more" --root "$work" --epoch 1795219201 "$work/first.img" \
	"$work/next.img" > "$work/out"

python3 tests/ebs/server.py "$work/fake" "$work/server.pem" "$work/server.key" \
	> "$work/fake/port" 2> "$work/fake/log" &
pid=$!
wait_for 20 test -s "$work/fake/port"
port=$(cat "$work/fake/port")
echo "$latency" > "$work/fake/latency"

# Arguments: file, words of image publish. Publishes without reading back.
publish() {
	out=$1
	shift
	env AWS_ACCESS_KEY_ID=AKIDEXAMPLE AWS_SECRET_ACCESS_KEY=secretexample "$tool" publish \
		--unsigned --verify none --json --ca "$work/ca.pem" --region eu-test-1 \
		--endpoint "https://localhost:$port" "$@" > "$out" || exit 5
}
# Arguments: command... Prints its wall time.
seconds() {
	start=$(date +%s%N)
	"$@" || exit 5
	echo "$start $(date +%s%N)" | awk '{ printf "%.3f\n", ($2 - $1) / 1e9 }'
}
# Arguments: file of figures. Prints the median.
median() {
	sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

for n in $(seq "$runs"); do
	seconds publish "$work/published" --salt "run$n" "$work/first.img" >> "$work/ours"
	seconds python3 tests/bench/serialput.py "$port" "$work/ca.pem" "$work/first.img" \
		>> "$work/peer"
done
ours=$(median "$work/ours") peer=$(median "$work/peer") failed=0
blocks=$(jq .put "$work/published")
# Arguments: name, ours, peer, ratio, goal, whether it is reached (an awk condition).
line() {
	if awk "BEGIN { exit !($6) }"; then verdict=ok; else verdict=short failed=1; fi
	echo "$1 ours=$2 peer=$3 ratio=$4 goal=$5 $verdict"
}
ratio=$(awk "BEGIN { printf \"%.1f\", $peer / $ours }")
line "publish-${latency}ms-$blocks-blocks-seconds" "$ours" "$peer" "$ratio" '>=5' "$ratio >= 5"
nonzero=$(python3 -c '
import sys
with open(sys.argv[1], "rb") as f:
    print(sum(any(d) for d in iter(lambda: f.read(524288), b"")))' "$work/first.img")
line publish-blocks "$blocks" "$nonzero" 1 'only-those-not-zero' "$blocks == $nonzero"
parent=$(jq -r .snapshot "$work/published")
publish "$work/child" --parent "$parent" --parent-blocks "$work/first.img.blocks" \
	--blocks "$work/next.blocks" "$work/next.img"
sent=$(jq .put "$work/child") full=$(jq .blocks "$work/child")
ratio=$(awk "BEGIN { printf \"%.2f%%\", 100 * $sent / $full }")
line one-module-more-blocks "$sent" "$full" "$ratio" '<=1%' "$sent <= $full / 100"
exit $failed
