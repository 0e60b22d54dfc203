#!/bin/sh
# What kmods build is measured by; README.md in this directory tells each figure. Run by
# `make bench SUITE=kmods`; needs what `make` has built and fetched.
#   --lock FILE  kernels (default build/kernels/used.lock)
#   --rounds N   of which the best counts, for one kernel (default 3)
# Exit: 0 all goals reached; 1 one is short; 2 usage; 5 a measurement failed.
set -eu
cd "$(dirname "$0")/../.."
lock=build/kernels/used.lock rounds=3
while [ $# -gt 0 ]; do
	case $1 in
	--lock) lock=$2 ;;
	--rounds) rounds=$2 ;;
	*)
		sed -n '2,6s/^# //p' "$0" >&2
		exit 2
		;;
	esac
	shift 2
done
kmods=build/release/x86_64/bin/kmods
dir=$(mktemp -d build/bench-kmods.XXXXXX)
trap 'rm -rf "$dir"' EXIT
short=0

# Arguments: name, lock file, jobs, further words before the program. Builds into $dir/NAME.
# Prints wall seconds and processor seconds.
build() {
	name=$1 list=$2 jobs=$3
	shift 3
	[ $# -gt 0 ] || set -- env
	start=$(date +%s.%N)
	# shellcheck disable=SC2016
	"$@" sh -c '"$@" 2> "$0" || exit 5; times' "$dir/log" "$kmods" build \
		--lock "$list" --packages build/dl --symbols --lime build/lime/src \
		--lime-version "$(cut -d ' ' -f 1 build/lime/used)" \
		--scratch "$dir/$name.scratch" --out "$dir/$name" --jobs "$jobs" \
		> "$dir/times" || {
		cat "$dir/log" >&2
		exit 5
	}
	end=$(date +%s.%N)
	# The second line of times(1) is what children took: 0m1.20s 0m0.30s.
	awk -v wall="$(awk -v s="$start" -v e="$end" 'BEGIN { print e - s }')" '
		NR == 2 {
			gsub(/s/, "")
			for (i = 1; i <= 2; i++) {
				split($i, t, "m")
				cpu += 60 * t[1] + t[2]
			}
			printf "%.2f %.2f\n", wall, cpu
		}' "$dir/times"
}

# Arguments: what, seconds, goal or empty. Prints a figure.
figure() {
	echo "$1: $2 s${3:+ (goal $3 s)}"
	if [ -n "$3" ] && awk -v a="$2" -v b="$3" 'BEGIN { exit !(a > b) }'; then
		short=1
	fi
}

echo "# load $(cut -d ' ' -f 1-3 /proc/loadavg), $(nproc) processors"
for kernel in $(awk '$1 == "headers" && $3 ~ /-cloud-|-amd64$/ { print $2 "/" $3 }' "$lock" |
	head -n 4); do
	awk -v k="$kernel" '($2 "/" $3) == k' "$lock" > "$dir/one.lock"
	best=
	i=0
	while [ $i -lt "$rounds" ]; do
		rm -rf "$dir/one" "$dir/one.scratch"
		got=$(build one "$dir/one.lock" 1 taskset -c 0)
		best=$(printf '%s\n%s\n' "$best" "$got" | grep . | sort -n | head -n 1)
		i=$((i + 1))
	done
	figure "$kernel, module and symbols, one core" "${best% *}" 8
	figure "$kernel, processor time of it" "${best#* }" ''
done
count=$(awk '$1 == "headers"' "$lock" | wc -l)
got=$(build all "$lock" "$(nproc)")
figure "$count kernels" "${got% *}" ''
figure "one of $count kernels, processor time" \
	"$(awk -v n="$count" -v t="${got#* }" 'BEGIN { printf "%.2f", t / n }')" ''
got=$(build all "$lock" "$(nproc)")
figure "$count kernels, second run" "${got% *}" 2
exit $short
