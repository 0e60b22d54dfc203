#!/bin/sh
# The benchmark of memory acquisition: the capture program and its peers, each in a guest of
# its own, in one run. See README.md beside this file for what the figures mean.
# Run from the root of the repository, by `make bench SUITE=capture`.
# Exit: 0 all goals reached; 1 a figure is short; 2 usage; 5 a measurement never finished.
set -eu
export LC_ALL=C
usage() {
	cat <<-'END'
		usage: capture.sh [OPTION...]
		  --memory MIB      size of the guests (default 1024)
		  --also 'MIB...'   measure capture in guests of these sizes, too (no peers)
		  --ours            no peers
		  --mode NAME=ARGS  one more mode of capture: its options, by blanks (repeatable)
		  --arch ARCH       x86_64 (default) or aarch64
		  --arena-kib N     the arena that capture uses (default 1024)
		Prints `NAME ours=V peer=V ratio=V goal=V ok|short|reported' lines; lines with # are
		the measurements behind them.
	END
}
arch=x86_64 memory=1024 also='' peers=yes modes='' arena_kib=1024
newline='
'
while [ $# -gt 0 ]; do
	case $1 in
	--ours) peers= ;;
	-h | --help) usage && exit 0 ;;
	--memory | --also | --mode | --arch | --arena-kib)
		[ $# -ge 2 ] || {
			usage >&2
			exit 2
		}
		case $1 in
		--memory) memory=$2 ;;
		--also) also=$2 ;;
		--mode) modes=$modes$2$newline ;;
		--arch) arch=$2 ;;
		--arena-kib) arena_kib=$2 ;;
		esac
		shift
		;;
	*)
		usage >&2
		exit 2
		;;
	esac
	shift
done
for number in "$memory" "$arena_kib" $also; do
	case $number in
	'' | *[!0-9]*)
		usage >&2
		exit 2
		;;
	esac
done

VM_DIR=${VM_DIR:-build/vm-bench}
VM_MAX_S=${VM_MAX_S:-3600}
# shellcheck disable=SC1091
. tests/vm/vm.sh
# shellcheck disable=SC1091
. tests/vm/path.sh
# shellcheck disable=SC1091
. tests/bench/measure.sh
vm_trap
path_prepare "$arch"
# shellcheck disable=SC2034 # path.sh uses it
DOCUMENTS=$VM_DIR/documents
BENCH_RESULTS=$VM_DIR/results
: > "$BENCH_RESULTS"
broken=0
short=0

# Arguments: as bench_one.
measure() {
	bench_one "$@" || broken=1
}

# Which options this capture has: an older one has no --no-hash. Only its help is asked.
has_capture_option() {
	build/release/x86_64/bin/capture --help | grep -q -e "$1"
}

measure_ours() {
	bench_volume "$memory" || exit 5
	measure ours "$memory" capture
	nohash=none
	if has_capture_option --no-hash; then
		nohash=ours-nohash
		measure ours-nohash "$memory" capture --no-hash
	else
		echo '# capture has no --no-hash yet: wall_s is not measured'
	fi
	measure ours-path "$memory" document
}

measure_peers() {
	release=$(cut -d ' ' -f 1 "$VM_DIR/bench-ours/uname")
	# shellcheck disable=SC2034 # measure.sh uses it
	module=$(jq -r --arg arch "$arch" --arg release "$release" \
		'.modules[] | select(.arch == $arch and .release == $release).file' \
		out/kmods/catalogue.json)
	measure lime "$memory" lime
	measure lime-dio "$memory" lime dio=1
	measure avml-like "$memory" avmllike
}

# Arguments: none; each line of $modes is NAME=OPTIONS.
measure_modes() {
	mode_rest=$modes
	while [ -n "$mode_rest" ]; do
		mode_line=${mode_rest%%"$newline"*}
		mode_rest=${mode_rest#*"$newline"}
		# The options are meant to be split.
		# shellcheck disable=SC2086
		measure "mode-${mode_line%%=*}" "$memory" capture ${mode_line#*=}
	done
}

measure_sizes() {
	for size in $also; do
		bench_volume "$size" || exit 5
		measure "ours-$size" "$size" capture
		[ "$nohash" = none ] || measure "ours-nohash-$size" "$size" capture --no-hash
		measure "ours-path-$size" "$size" document
		rm -f "$VM_DIR/volume-$size.img"
	done
}

# Arguments: NAME OURS PEER GOAL. GOAL is >=N or <=N for ours, <=Nx for ours/peer, or
# `reported'. A value that is missing was not measured and reaches no goal.
figure() {
	verdict=$(awk -v ours="$2" -v peer="$3" -v goal="$4" 'BEGIN {
		ratio = ours != "" && peer != "" && peer + 0 ? sprintf("%.3f", ours / peer) : "-"
		limit = goal; sub(/^[<>]=/, "", limit)
		judged = sub(/x$/, "", limit) ? ratio : ours
		verdict = "short"
		if (goal == "reported") verdict = "reported"
		else if (judged == "" || judged == "-") verdict = "short"
		else if (goal ~ /^>=/ && judged + 0 >= limit + 0) verdict = "ok"
		else if (goal ~ /^<=/ && judged + 0 <= limit + 0) verdict = "ok"
		printf "ratio=%s goal=%s %s", ratio, goal, verdict
	}')
	echo "$1 ours=${2:--} peer=${3:--} $verdict"
	case $verdict in *short) short=1 ;; esac
}

# Arguments: NAME RUN KEY GOAL. Ours against each peer, or alone when there are none.
against_peers() {
	if [ -z "$peers" ]; then
		figure "$1" "$(value "$2" "$3")" '' "$4"
		return
	fi
	for peer in lime lime-dio avml-like; do
		figure "$1/$peer" "$(value "$2" "$3")" "$(value "$peer" "$3")" "$4"
	done
}

# Arguments: KEY. Prints the lower value of LiME's two modes; nothing unless both are there.
fastest_lime() {
	awk -v key="$1" '$2 == key && ($1 == "lime" || $1 == "lime-dio") {
			n++; if (n == 1 || $3 + 0 < least) least = $3 + 0
		} END { if (n == 2) print least }' "$BENCH_RESULTS"
}

report_walls() {
	if [ -n "$peers" ]; then
		figure wall_s/fastest-lime "$(value "$nohash" wall_s)" "$(fastest_lime wall_s)" '<=0.3x'
		figure wall_synced_s/fastest-lime "$(value "$nohash" synced_s)" \
			"$(fastest_lime synced_s)" reported
	fi
	against_peers wall_s "$nohash" wall_s reported
	against_peers wall_hashed_s ours wall_s reported
	against_peers wall_hashed_synced_s ours synced_s reported
}

report() {
	against_peers planted_percent ours tool_planted '>=99.7'
	against_peers changed_pages ours tool_beyond '<=400'
	[ "$nohash" = none ] ||
		figure changed_pages_nohash "$(value "$nohash" tool_beyond)" '' '<=400'
	against_peers equal_percent ours tool_equal '>=99.5'
	report_walls
	against_peers path_changed_pages ours-path path_beyond reported
	against_peers path_planted_percent ours-path path_planted reported
	against_peers path_equal_percent ours-path path_equal reported
	figure peak_rss_kib "$(value ours rss_kib)" "$(value avml-like rss_kib)" \
		"<=$((arena_kib + 4096))"
	[ "$nohash" = none ] || figure peak_rss_kib_nohash "$(value "$nohash" rss_kib)" '' \
		"<=$((arena_kib + 4096))"
	for size in $also; do report_size "$size"; done
	report_modes
}

# Arguments: MIB. The peers of its figures are those of the first size.
report_size() {
	figure "changed_pages@$1" "$(value "ours-$1" tool_beyond)" \
		"$(value ours tool_beyond)" '<=400'
	[ "$nohash" = none ] ||
		figure "changed_pages_nohash@$1" "$(value "ours-nohash-$1" tool_beyond)" \
			"$(value "$nohash" tool_beyond)" '<=400'
	figure "planted_percent@$1" "$(value "ours-$1" tool_planted)" \
		"$(value ours tool_planted)" '>=99.7'
	figure "equal_percent@$1" "$(value "ours-$1" tool_equal)" \
		"$(value ours tool_equal)" '>=99.5'
	figure "path_changed_pages@$1" "$(value "ours-path-$1" path_beyond)" \
		"$(value ours-path path_beyond)" reported
	figure "peak_rss_kib@$1" "$(value "ours-$1" rss_kib)" '' "<=$((arena_kib + 4096))"
}

report_modes() {
	mode_rest=$modes
	while [ -n "$mode_rest" ]; do
		mode=mode-${mode_rest%%=*}
		mode_rest=${mode_rest#*"$newline"}
		figure "changed_pages+${mode#mode-}" "$(value "$mode" tool_beyond)" \
			"$(value ours tool_beyond)" "<=$(((arena_kib + 4096) / 4))"
		figure "planted_percent+${mode#mode-}" "$(value "$mode" tool_planted)" \
			"$(value ours tool_planted)" reported
		figure "equal_percent+${mode#mode-}" "$(value "$mode" tool_equal)" \
			"$(value ours tool_equal)" reported
		figure "wall_s+${mode#mode-}" "$(value "$mode" wall_s)" "$(value ours wall_s)" reported
		figure "peak_rss_kib+${mode#mode-}" "$(value "$mode" rss_kib)" "$(value ours rss_kib)" \
			"<=$((arena_kib + 4096))"
	done
}

echo "# $arch, $memory MiB, 2 processors, $("qemu-system-$arch" --version | head -n 1)"
[ "$BENCH_IDLE_MAX_S" -ge 3600 ] || echo "# a quick look: idle runs end after $BENCH_IDLE_MAX_S s"
measure_ours
if [ -n "$peers" ]; then measure_peers; fi
measure_modes
measure_sizes
rm -f "$VM_DIR"/volume-*.img
report
[ "$broken" -eq 0 ] || exit 5
exit "$short"
