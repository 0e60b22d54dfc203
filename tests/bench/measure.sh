# What a benchmark of memory acquisition shares: one guest a run, its memory saved by the
# hypervisor around each step, and an idle run of the same steps and length in the same
# guest. Source after vm.sh and path.sh, from the root of the repository.
# shellcheck shell=sh disable=SC2034,SC2154,SC2015
#
# Measured values go to $BENCH_RESULTS, a line "RUN KEY VALUE" each; see README.md for the
# keys. Functions return 0, or 1 with a line "# RUN: why" printed.
BENCH_TOOLS=${BENCH_TOOLS:-build/tests/bench}
BENCH_LITTER=${BENCH_LITTER:-38400}
BENCH_SETTLE_S=${BENCH_SETTLE_S:-5}
# Longest idle step, for a quick look: a shorter idle run only counts against the tool.
BENCH_IDLE_MAX_S=${BENCH_IDLE_MAX_S:-3600}

# Arguments: RUN KEY VALUE.
put_value() {
	echo "$1 $2 $3" >> "$BENCH_RESULTS"
}

# Arguments: RUN KEY. Prints the value, or nothing.
value() {
	awk -v run="$1" -v key="$2" '$1 == run && $2 == key { v = $3 } END { print v }' \
		"$BENCH_RESULTS"
}

# Arguments: RUN REASON. Returns: 1.
no_result() {
	echo "# $1: $2"
	return 1
}

# Arguments: MIB. Makes volume-MIB.img, out of the programs as they are now, large enough
# for a dump of a guest of that size, and the documents bound to it. Returns: 0 made.
bench_volume() {
	"$IMAGE_TOOL" build --plan image/volume.plan --size "$(($1 + 2048))M" \
		--epoch "${SOURCE_DATE_EPOCH:-1795219200}" --manifest-out "$VM_DIR/MANIFEST" \
		"$VM_DIR/volume-$1.img" > "$VM_DIR/volume.log" 2>&1 &&
		sh ssm-docs/generate.sh --out "$VM_DIR/documents" --manifest-sha256 \
			"$(sha256sum < "$VM_DIR/MANIFEST" | cut -c 1-64)" >> "$VM_DIR/volume.log" 2>&1 &&
		return 0
	no_result volume "cannot be made: $(tail -n 1 "$VM_DIR/volume.log")"
}

# Arguments: RUN MIB. Boots $guest with the volume beside it and litters its free memory.
# What is put into it is written back at once: the kernel would do so half a minute later.
# Sets guest, dir. Returns: 0 ready.
bench_boot() {
	guest=bench-$1 dir=$VM_DIR/bench-$1
	# What stands above 2 GiB stands above 4 GiB, as on large instances.
	VM_LOW_MIB=
	[ "$2" -le 2048 ] || VM_LOW_MIB=2048
	vm_start "$guest" "$arch" "$2" "$VM_KERNEL" "$VM_ROOT" || return 1
	cp --sparse=always "$VM_DIR/volume-$2.img" "$dir/volume.img" &&
		vm_attach "$guest" "$dir/volume.img" "$SERIAL" &&
		vm_ctl "$guest" put "$BENCH_TOOLS/$arch/timed" /tmp/timed 755 &&
		vm_ctl "$guest" put "$BENCH_TOOLS/$arch/avmllike" /tmp/avmllike 755 &&
		vm_run "$guest" 20 cat /proc/iomem &&
		cp "$VM_OUT" "$dir/iomem" &&
		vm_ctl "$guest" sync > /dev/null &&
		vm_run "$guest" 20 /tmp/timed sleep "$BENCH_SETTLE_S" &&
		vm_ctl "$guest" litter "$BENCH_LITTER" > /dev/null ||
		no_result "$1" 'the guest could not be prepared'
}

# Arguments: RUN PROGRAM [ARGUMENT...]. Runs it timed; records wall, synced, rss and exit.
# Returns: 0 when it ended with 0 or 3 (gaps recorded).
bench_timed() {
	bench_run=$1
	shift
	vm_run "$guest" 900 /tmp/timed --sync /run/fvol/volume "$@" ||
		no_result "$bench_run" "$VM_STATUS" || return 1
	cp "$VM_OUT" "$dir/tool.out"
	cp "$VM_ERR" "$dir/tool.err"
	tail -n 1 "$dir/tool.out" | tr ' ' '\n' > "$dir/tool.timed"
	awk -F= -v run="$bench_run" '
		$1 == "exit" { print run, "exit", $2 }
		$1 == "wall_ns" { printf "%s wall_s %.3f\n", run, $2 / 1e9 }
		$1 == "synced_ns" { printf "%s synced_s %.3f\n", run, $2 / 1e9 }
		$1 == "maxrss_kib" { print run, "rss_kib", $2 }' "$dir/tool.timed" >> "$BENCH_RESULTS"
	case $(value "$bench_run" exit) in
	0 | 3) ;;
	*) no_result "$bench_run" "failed: $(tail -n 1 "$dir/tool.err")" ;;
	esac
}

# Arguments: RUN KIND [ARGUMENT...]. The step that takes the memory:
#   capture [OPTION...]   the volume's program     document   the Capture document
#   lime [PARAMETER...]   the volume's module      avmllike   the 4 KiB buffered reader
bench_tool() {
	tool_run=$1 tool_kind=$2
	shift 2
	evidence=/run/fvol/volume/evidence
	case $tool_kind in
	capture)
		bench_timed "$tool_run" "/run/fvol/volume/bin/$arch/capture" \
			--evidence "$evidence" --instance "$INSTANCE" "$@"
		;;
	document)
		path_step "$guest" Capture
		case $STEP_CODE in
		0 | 3) ;;
		*) no_result "$tool_run" "Capture ended with $STEP_CODE" ;;
		esac
		;;
	lime)
		bench_timed "$tool_run" --insmod "/run/fvol/volume/kmods/$module" \
			"path=$evidence/peer.lime format=lime timeout=0 $*" &&
			vm_ctl "$guest" rmmod lime > /dev/null
		;;
	avmllike) bench_timed "$tool_run" /tmp/avmllike "$evidence/peer.lime" ;;
	esac
}

# Arguments: RUN KEY BEFORE AFTER. Records how many pages of System RAM changed.
bench_changed() {
	bench_pages=$("$VM_TOOLS/memdiff" "$3" "$4" "$dir/iomem") ||
		no_result "$1" 'the saves cannot be compared' || return 1
	put_value "$1" "$2" "${bench_pages#*changed=}"
}

# Arguments: RUN KIND [ARGUMENT...]. Saves around mount, tool and unmount: a b c d.
bench_acquire() {
	run=$1
	vm_memsave "$guest" "$dir/a.raw" || return 1
	began=$(path_now)
	path_step "$guest" Mount "VolumeId=$VOLUME_ID"
	[ "$STEP_CODE" = 0 ] || no_result "$run" "Mount ended with $STEP_CODE" || return 1
	mounted=$(path_now)
	vm_memsave "$guest" "$dir/b.raw" || return 1
	tool_began=$(path_now)
	bench_tool "$@" || return 1
	tool_s=$(since "$tool_began")
	vm_memsave "$guest" "$dir/c.raw" || return 1
	unmount_began=$(path_now)
	path_step "$guest" Unmount
	[ "$STEP_CODE" = 0 ] || no_result "$run" "Unmount ended with $STEP_CODE" || return 1
	unmount_s=$(since "$unmount_began")
	mount_s=$(awk -v a="$began" -v b="$mounted" 'BEGIN { printf "%.1f", b - a }')
	vm_memsave "$guest" "$dir/d.raw" || return 1
	put_value "$run" path_s \
		"$(awk -v a="$mount_s" -v b="$tool_s" -v c="$unmount_s" 'BEGIN { print a + b + c }')"
	bench_changed "$run" tool_changed "$dir/b.raw" "$dir/c.raw" &&
		bench_changed "$run" path_changed "$dir/a.raw" "$dir/d.raw"
	bench_rc=$?
	rm -f "$dir/d.raw"*
	return "$bench_rc"
}

# Arguments: MOMENT of path_now. Prints the seconds since then.
since() {
	awk -v a="$1" -v b="$(path_now)" 'BEGIN { printf "%.1f", b - a }'
}

# Arguments: STEP SECONDS. A document's step that only waits.
bench_idle_step() {
	printf '#!/bin/sh\nsleep %s\n' "$2" > "$dir/idle.sh"
	vm_step "$guest" 900 "$1" "$dir/idle.sh"
}

# Arguments: RUN KIND. The same steps, saves and seconds with nothing done: e f g h.
bench_idle() {
	idle_s=$(awk -v s="$tool_s" -v m="$BENCH_IDLE_MAX_S" 'BEGIN { print s < m ? s : m }')
	put_value "$1" idle_s "$idle_s"
	vm_memsave "$guest" "$dir/e.raw" && bench_idle_step Mount "$mount_s" &&
		vm_memsave "$guest" "$dir/f.raw" || return 1
	if [ "$2" = document ]; then
		bench_idle_step Capture "$idle_s" || return 1
	else
		vm_run "$guest" 900 /tmp/timed --sync /tmp sleep "$idle_s" || return 1
	fi
	vm_memsave "$guest" "$dir/g.raw" && bench_idle_step Unmount "$unmount_s" &&
		vm_memsave "$guest" "$dir/h.raw" || return 1
	bench_changed "$1" tool_idle "$dir/f.raw" "$dir/g.raw" &&
		bench_changed "$1" path_idle "$dir/e.raw" "$dir/h.raw" || return 1
	rm -f "$dir"/[e-h].raw*
	put_value "$1" tool_beyond "$(($(value "$1" tool_changed) - $(value "$1" tool_idle)))"
	put_value "$1" path_beyond "$(($(value "$1" path_changed) - $(value "$1" path_idle)))"
}

# Arguments: LINE of NAME=VALUE, NAME. Prints the value.
field() {
	echo "$1" | tr ' ' '\n' | sed -n "s/^$2=//p"
}

# Arguments: RUN. Prints the name of its dump as a LiME file. A dump in another format is
# converted by $BENCH_DECODE, a command given the dump and the file to make; zst by zstd.
bench_dump() {
	mkdir -p "$dir/evidence"
	# 3 only says that the volume was not unmounted, which Unmount has shown it was.
	"$IMAGE_TOOL" extract "$dir/volume.img" /evidence "$dir/evidence" \
		> "$dir/extract.log" 2>&1 || return 1
	# The symbols are large, too.
	dump=$(find "$dir/evidence" -type f -size +1024k -not -name symbols.tar \
		-not -name memory.chunks)
	[ -f "$dump" ] || return 1
	case $dump in
	*.lime) ;;
	*.zst)
		zstd -q -d -f -o "$dir/decoded.lime" "$dump" || return 1
		dump=$dir/decoded.lime
		;;
	*)
		[ -n "${BENCH_DECODE:-}" ] || return 1
		$BENCH_DECODE "$dump" "$dir/decoded.lime" > "$dir/decode.log" 2>&1 || return 1
		dump=$dir/decoded.lime
		;;
	esac
	echo "$dump"
}

# Arguments: RUN. Holds the dump against the saves before the mount and before the tool.
# An incomplete dump has no figures: some tools succeed when their disk is full.
bench_truth() {
	dump=$(bench_dump "$1") || no_result "$1" 'its dump cannot be read' || return 1
	"$VM_TOOLS/limecheck" ranges "$dump" "$dir/iomem" > "$dir/ranges" 2>&1 ||
		no_result "$1" "its dump is not complete: $(tail -n 1 "$dir/ranges")" || return 1
	for bench_pair in tool:b path:a; do
		bench_from=$dir/${bench_pair#*:}.raw bench_key=${bench_pair%:*}
		line=$("$VM_TOOLS/limecheck" marked "$dump" "$bench_from") || return 1
		put_value "$1" "${bench_key}_planted" "$(field "$line" percent)"
		put_value "$1" "${bench_key}_marked" "$(field "$line" marked)"
		put_value "$1" "${bench_key}_kept" "$(field "$line" kept)"
		line=$("$VM_TOOLS/limecheck" compare "$dump" "$bench_from" "$dir/c.raw") || :
		put_value "$1" "${bench_key}_equal" "$(field "$line" before_percent)"
		put_value "$1" "${bench_key}_neither" "$(field "$line" neither)"
	done
}

# Arguments: RUN MIB KIND [ARGUMENT...]. One whole measurement in a guest of its own.
# Returns: 0 measured; 1 not, with the reason printed.
bench_one() {
	one_run=$1 one_mib=$2
	shift 2
	one_rc=0
	echo "# $one_run: $one_mib MiB, $*; load of this machine $(cut -d ' ' -f 1 /proc/loadavg)"
	if bench_boot "$one_run" "$one_mib" && bench_acquire "$one_run" "$@" &&
		bench_idle "$one_run" "$1"; then
		vm_stop "$guest"
		bench_truth "$one_run" || one_rc=1
	else
		no_result "$one_run" 'not measured' || one_rc=1
	fi
	vm_stop "$guest"
	awk -v run="$one_run" '$1 == run { line = line " " $2 "=" $3 }
		END { print "# " run ":" line }' "$BENCH_RESULTS"
	if [ -z "${BENCH_KEEP:-}" ]; then
		rm -rf "$dir"/*.raw* "$dir"/*.img "$dir/evidence" "$dir/decoded.lime"
	fi
	return "$one_rc"
}
