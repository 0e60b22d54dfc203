#!/bin/sh
# Symbol files from kernel packages: wall time, processor time and peak memory against the
# goals, and beside them bpftool printing the same BTF as JSON, which is a part of the
# work. symbols.sh [--runs N] [PACKAGE...]
# Lines: NAME ours=… peer=… ratio=… goal=… ok|short. Exit: 0 all ok; 1 one is short; 2 usage.
set -eu
export LC_ALL=C
cd "$(dirname "$0")/../.."
runs=5
if [ "${1:-}" = --runs ]; then
	runs=$2
	shift 2
fi
work=$(mktemp -d "${TMPDIR:-/dev/shm}/fvol-bench.XXXXXX")
trap 'rm -rf "$work"' EXIT
ours=build/release/x86_64/bin/symbols
timed=build/tests/bench/x86_64/timed
failed=0
[ $# -gt 0 ] || set -- build/dl/linux-image-*cloud*.deb

# Arguments: RESULTS COMMAND... Appends "wall_ms cpu_ms rss_kib" of one run.
measure() {
	results=$1
	shift
	# The shell's own share is not in `times' of its children.
	sh -c '"$@"; times >&2' sh "$timed" "$@" > "$work/out" 2> "$work/times"
	wall=$(sed -n 's/^timed .* wall_ns=\([0-9]*\).*/\1/p' "$work/out")
	rss=$(sed -n 's/^timed .* maxrss_kib=\([0-9]*\).*/\1/p' "$work/out")
	# 3: written, and what the kernel's table lacks was named.
	grep -Eq '^timed exit=[03] ' "$work/out" || {
		cat "$work/out" "$work/times" >&2
		exit 5
	}
	cpu=$(tail -n 1 "$work/times" | awk '{
		for (i = 1; i <= 2; i++) {
			split($i, t, /[ms]/)
			s += t[1] * 60 + t[2]
		}
		printf "%d", s * 1000
	}')
	echo "$((wall / 1000000)) $cpu $rss" >> "$results"
}

# Arguments: RESULTS COLUMN. Prints the median.
median() {
	cut -d ' ' -f "$2" "$1" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# Arguments: NAME OURS LIMIT. A figure that must not be larger.
limit() {
	awk -v name="$1" -v ours="$2" -v goal="$3" 'BEGIN {
		ok = ours <= goal
		printf "%s ours=%d goal=%d ratio=%.2f %s\n", name, ours, goal, ours / goal,
			ok ? "ok" : "short"
		exit !ok
	}' || failed=1
}

for package; do
	name=${package##*/linux-image-}
	name=${name%%_*}
	rm -f "$work"/ours "$work"/peer
	"$ours" --from-package "$package" --output "$work/file" > /dev/null 2>&1 || [ $? -eq 3 ]
	# What the peer reads: the BTF that is in the kernel.
	kernel=$(find build/kernels build/tests/kernels -name "vmlinuz-$name" 2> /dev/null |
		head -n 1)
	peer=
	if [ -n "$kernel" ] && command -v bpftool > /dev/null; then
		python3 tests/symbols/btf.py "$kernel" "$work/btf" && peer=yes
	fi
	i=0
	while [ "$i" -lt "$runs" ]; do
		i=$((i + 1))
		measure "$work/ours" "$ours" --from-package "$package" --output "$work/file"
		[ -z "$peer" ] || measure "$work/peer" bpftool -j btf dump file "$work/btf"
	done
	limit "$name/wall_ms" "$(median "$work/ours" 1)" 1000
	limit "$name/rss_kib" "$(median "$work/ours" 3)" 102400
	echo "$name/cpu_ms ours=$(median "$work/ours" 2)"
	[ -z "$peer" ] || awk -v name="$name" -v ours="$(median "$work/ours" 2)" \
		-v peer="$(median "$work/peer" 2)" -v ours_kib="$(median "$work/ours" 3)" \
		-v peer_kib="$(median "$work/peer" 3)" 'BEGIN {
		printf "%s/cpu_ms/bpftool ours=%d peer=%d ratio=%.2f reported\n", name, ours, peer,
			ours / peer
		printf "%s/rss_kib/bpftool ours=%d peer=%d ratio=%.2f reported\n", name, ours_kib,
			peer_kib, ours_kib / peer_kib
	}'
done
exit "$failed"
