#!/bin/sh
# What compress is measured by; README.md in this directory tells each figure. Run by
# `make bench-compress`, or `make bench SUITE=compress`; needs libsnappy-dev.
#   --mib N      length of the image of the pipeline's figures (default 512)
#   --rounds N   of which the best counts, for each figure (default 5)
#   --file FILE  a real dump, compressed beside the made data
# Exit: 0 all goals reached; 1 one is short; 2 usage; 5 a measurement failed.
set -eu
cd "$(dirname "$0")/../.."
mib=512 rounds=5 file=
while [ $# -gt 0 ]; do
	case $1 in
	--mib) mib=$2 ;;
	--rounds) rounds=$2 ;;
	--file) file=$2 ;;
	*)
		sed -n '2,7s/^# //p' "$0" >&2
		exit 2
		;;
	esac
	shift 2
done
compress=build/release/x86_64/bin/compress
snappy=build/tests/bench/host/snappy
stages=build/tests/bench/x86_64/stages
# In memory: the disk would be all that is measured.
dir=$(mktemp -d /dev/shm/fvol-bench.XXXXXX)
trap 'rm -rf "$dir"' EXIT
out=$dir/figures

"$snappy" > "$out"
[ -z "$file" ] || "$snappy" "$file" | sed 's/\/file/\/dump/' >> "$out"

# Arguments: stage. Its MB/s, one core.
stage() {
	case $1 in
	unpack) taskset -c 0 "$stages" unpack "$dir/image.avml" ;;
	*) taskset -c 0 "$stages" "$1" "$dir/image.lime" ;;
	esac
}

# Arguments: format, input. MB/s of plain memory of a whole conversion on two cores. Adds
# what it would be if neither core ever waited to the file bound-FORMAT.
convert() {
	rm -f "$dir/out"
	taskset -c 0,1 python3 -c '
import os, sys, time
start = time.monotonic()
_, status, used = os.wait4(os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ), 0)
wall, mb = time.monotonic() - start, float(sys.argv[1]) * 1.048576
if status:
    sys.exit(5)
print("%.0f %.0f" % (mb / wall, mb / ((used.ru_utime + used.ru_stime) / 2)))' \
		"$mib" "$compress" --no-verify --workers 2 -f "$1" -o "$dir/out" "$2" > "$dir/rates"
	cut -d ' ' -f 2 "$dir/rates" >> "$dir/bound-$1"
	cut -d ' ' -f 1 "$dir/rates"
}

# Arguments: two numbers. Prints the larger one.
larger() { awk -v a="$1" -v b="$2" 'BEGIN { print (a > b ? a : b) }'; }

"$stages" make "$dir/image.lime" "$mib"
"$compress" --no-verify -f avml -o "$dir/image.avml" "$dir/image.lime"
hash=0 pack=0 unpack=0 avml=0 lime=0
i=0
while [ $i -lt "$rounds" ]; do
	hash=$(larger "$hash" "$(stage hash)")
	pack=$(larger "$pack" "$(stage pack)")
	avml=$(larger "$avml" "$(convert avml "$dir/image.lime")")
	unpack=$(larger "$unpack" "$(stage unpack)")
	lime=$(larger "$lime" "$(convert lime "$dir/image.avml")")
	i=$((i + 1))
done
# Arguments: format. The best of its bounds.
bound() { sort -n "$dir/bound-$1" | tail -n 1; }

echo "# two cores that never wait, MB/s: to avml $(bound avml), to lime $(bound lime)"
echo "# stages alone, one core, MB/s: hash $hash, pack $pack, unpack $unpack"

# Arguments: name, ours, two stages. The peer is the slower one.
against() {
	awk -v name="$1" -v ours="$2" -v a="$3" -v b="$4" -v goal="$5" 'BEGIN {
		peer = a < b ? a : b
		ok = goal == "-" ? "reported" : ours / peer >= goal ? "ok" : "short"
		printf "%s ours=%d peer=%d ratio=%.2f goal=%s %s\n", name, ours, peer,
			ours / peer, goal == "-" ? goal : ">=" goal, ok
	}' >> "$out"
}
against lime_to_avml_mb_s/slower-stage "$avml" "$hash" "$pack" 0.9
against avml_to_lime_mb_s/slower-stage "$lime" "$hash" "$unpack" -

# Arguments: MiB. The peak resident KiB of a conversion to avml.
peak() {
	rm -f "$dir/out" "$dir/image.lime"
	"$stages" make "$dir/image.lime" "$1"
	build/tests/bench/x86_64/timed "$compress" --no-verify -f avml -o "$dir/out" \
		"$dir/image.lime" | sed -n 's/^timed exit=0 .*maxrss_kib=//p'
}
small=$(peak 64) large=$(peak "$mib")
# However long the image is: the arena of 4 MiB and 4 MiB for the rest.
awk -v small="$small" -v large="$large" 'BEGIN {
	printf "peak_rss_kib/64-MiB ours=%d peer=%d ratio=%.2f goal=<=8192 %s\n", large, small,
		large / small, large <= 8192 ? "ok" : "short"
}' >> "$out"
cat "$out"
! grep -q ' short$' "$out"
