#!/bin/sh
# Everything of the host that mount, capture, triage and unmount touch, in a guest under strace:
# files that are opened, to read or to write, programs that run, system calls that change
# something. The list is held against touched.expected, whose lines README.md explains; what
# triage reads is the host's own affair, so that of it only the rules are held.
#   touched.sh [VARIANT]...   of mkroot.sh; default: busybox debian
# UPDATE=1 writes the list anew. Exit: 0 all ok; 1 a check failed; 5 never finished.
set -eu
export LC_ALL=C
# shellcheck source=tests/vm/vm.sh
. tests/vm/vm.sh
# shellcheck source=tests/vm/path.sh
. tests/vm/path.sh
vm_trap
EXPECTED=tests/vm/touched.expected
# Where strace stands in the guest, with its own loader and libraries: busybox has none.
AT=/opt/strace

# Arguments: none. Puts this machine's strace into the guest.
put_strace() {
	program=$(command -v strace)
	vm_run "$guest" 20 mkdir -p "$AT" /run/trace
	vm_ctl "$guest" put "$program" "$AT/strace" 755
	ldd "$program" | sed -nE 's,^[^/]*(/[^ ]*) .*,\1,p' | while read -r library; do
		vm_ctl "$guest" put "$library" "$AT/${library##*/}" 755
	done
}

# Arguments: STEP [NAME=VALUE...]. Runs a document's script under strace; the traces of all
# its processes are then in $dir/STEP.trace, the exit code in STEP_CODE.
traced_step() {
	step=$1
	shift
	vm_document_script "$DOCUMENTS/FVol-$step.json" "$dir/$step.sh" "$@"
	vm_ctl "$guest" put "$dir/$step.sh" "/run/trace/$step.sh" 700
	# One file for each process: no call is torn by another one's.
	vm_run "$guest" 300 /usr/bin/env AWS_SSM_INSTANCE_ID="$INSTANCE" \
		"$AT/ld-linux-x86-64.so.2" --library-path "$AT" "$AT/strace" -ff --seccomp-bpf -qq -y \
		-s 4096 -o "/run/trace/$step.calls" -e signal=none \
		-e trace=%file,bpf,init_module,finit_module,delete_module,kexec_load,swapon \
		sh "/run/trace/$step.sh" || :
	cp "$VM_OUT" "$dir/$step.out"
	cp "$VM_ERR" "$dir/$step.err"
	STEP_CODE=${VM_STATUS#exit }
	vm_run "$guest" 60 sh -c "cat /run/trace/$step.calls.*; rm /run/trace/$step.calls.*"
	cp "$VM_OUT" "$dir/$step.trace"
}

# Arguments: none; strace's lines to stdin. Prints "VERB PATH" for what was touched: open
# flags or the call's name, and the path as it was given, made absolute. Failed calls touch
# nothing, and calls that only look (stat, access, readlink) open nothing.
calls_to_paths() {
	sed -nE -e '/ = -1 E/d' \
		-e 's/^open\("([^"]*)", ([A-Z_|]+).*/\2 \1/p;t' \
		-e 's/^openat\(AT_FDCWD(<[^>]*>)?, "(\/[^"]*)", ([A-Z_|]+).*/\3 \2/p;t' \
		-e 's/^openat\([A-Z_0-9]+<([^>]*)>, "([^"]*)", ([A-Z_|]+).*/\3 \1\/\2/p;t' \
		-e 's/^execve\("([^"]*)", \["([^"]*)".*/run \1 \2/p;t' \
		-e 's/^execveat\([A-Z_0-9]+<([^>]*)>, "([^"]*)".*/run \1\/\2/p;t' \
		-e 's/^mount\("([^"]*)", "([^"]*)", .*/mount \2 \1/p;t' \
		-e 's/^mount\(NULL, "([^"]*)", .*/mount \1/p;t' \
		-e 's/^(umount2?)\("([^"]*)".*/umount \2/p;t' \
		-e 's/^(bpf|init_module|finit_module|delete_module|kexec_load|swapon)\(.*/call \1/p;t' \
		-e 's/^utimensat\([0-9]+<([^>]*)>, NULL, .*/O_WRONLY \1/p;t' \
		-e '/^(access|faccessat2?|stat|lstat|newfstatat|statx|statfs|readlink|readlinkat|getcwd|chdir|getxattr|lgetxattr)\(/d' \
		-e 's/^([a-z0-9_]+)\(AT_FDCWD(<[^>]*>)?, "(\/[^"]*)".*/\1 \3/p;t' \
		-e 's/^([a-z0-9_]+)\([A-Z_0-9]+<([^>]*)>, "([^"]*)".*/\1 \2\/\3/p;t' \
		-e 's/^([a-z0-9_]+)\("([^"]*)".*/\1 \2/p;t' \
		-e 's/^([a-z0-9_]+)\(.*/unknown \1/p'
}

# Arguments: none; the above from stdin. Numbers of processes, disks and descriptors become
# N, the volume's own files one line, and flags read or write.
normalise() {
	sed -E -e 's,//+,/,g; s,/\./,/,g; s,/\.$,,' \
		-e 's,/proc/[0-9]+,/proc/N,g; s,/(fd|fdinfo|task)/[0-9]+,/\1/N,' \
		-e 's,nvme[0-9]+n[0-9]+,nvmeN,g; s,/nvme[0-9]+([ /]|$),/nvmeN\1,g' \
		-e 's,/block/[0-9]+:[0-9]+,/block/M:N,' \
		-e 's,/lock/[0-9]+\.[0-9]+,/lock/N,' \
		-e 's,(/run/fvol/volume)/[^ ]*,\1/...,' -e 's,([^ /])/$,\1,' |
		awk '
			/^[A-Z]/ {
				writes = $1 ~ /O_(WRONLY|RDWR|CREAT|TRUNC|APPEND)/
				sub(/^[^ ]+/, writes ? "write" : "read")
			}
			{ print }' | sort -u
}

# Arguments: VARIANT. Captures under one shell only: that takes most of the time and is the
# work of one static program, whatever the shell.
trace_variant() {
	guest=touched-$1
	dir=$VM_DIR/$guest
	path_prepare x86_64 "$1"
	vm_start "$guest" x86_64 224 "$VM_KERNEL" "$VM_ROOT"
	put_strace
	cp --sparse=always out/fvol.img "$dir/volume.img"
	vm_attach "$guest" "$dir/volume.img" "$SERIAL"
	: > "$dir/trace"
	for run in "Mount VolumeId=$VOLUME_ID" Capture Triage Unmount; do
		if [ "$run:$1" = Capture:debian ]; then continue; fi
		# shellcheck disable=SC2086 # step and parameter
		traced_step $run
		# 3: something ended while it was read.
		if [ "$step:$STEP_CODE" = Triage:3 ]; then STEP_CODE=0; fi
		same "$1: $step under strace" "$STEP_CODE" 0
		[ "$STEP_CODE" = 0 ] || sed 's/^/    /' "$dir/$step.err"
		if [ "$step" = Triage ]; then continue; fi
		cat "$dir/$step.trace" >> "$dir/trace"
	done
	vm_stop "$guest"
	rm -f "$dir"/*.img
	# The script itself, which the agent has written.
	calls_to_paths < "$dir/trace" | normalise |
		grep -v -e '^read /run/trace/[A-Z][a-z]*.sh$' \
			-e '^run [^ ]*/sh sh$' > "$dir/touched"
}

# Arguments: VARIANT. Triage writes nothing but its evidence and runs no program at all. Its
# fsconfig is of a procfs that is mounted nowhere.
check_triage() {
	calls_to_paths < "$dir/Triage.trace" | normalise > "$dir/live"
	check "$1: triage reads processes" grep -Eq '^read (/proc)?/[0-9N]+/stat$' "$dir/live"
	same "$1: triage opens nothing of the host for writing, and changes nothing" \
		"$(sed -E -e '/^(read|call bpf)/d' -e '\, /run/fvol/volume/\.\.\.( |$),d' \
			-e '\,^write /dev/null$,d' -e '\,^run [^ ]*/sh sh$,d' \
			-e '/^unknown fsconfig$/d' "$dir/live")" ''
	same "$1: triage runs no program of the host" \
		"$(grep '^run ' "$dir/live" | grep -v -e '^run /run/fvol/volume/\.\.\.' \
			-e '^run [^ ]*/sh sh$')" ''
}

# Arguments: VARIANT. What no list may ever hold.
check_rules() {
	# A device is written to through the mount alone.
	sed -nE -e '/^(read|run|call bpf)/d' \
		-e '\,^(write|mkdir|mkdirat|rmdir|unlinkat|mount|umount|chmod|fchmodat) /run/fvol(/|$| ),d' \
		-e '\,^write /dev/null$,d' \
		-e '\,^write /sys/class/block/nvmeN/queue/read_ahead_kb$,d' \
		-e '\,^write /sys/fs/ext4/nvmeN/mb_prefetch(_limit)?$,d' \
		-e '\, /run/fvol/volume/\.\.\.( |$),d' \
		-e p "$dir/touched" > "$dir/outside"
	same "$1: nothing outside /run and the volume is written or changed" \
		"$(cat "$dir/outside")" ''
	same "$1: no program of the host but those that are named" \
		"$(sed -nE 's,^run ([^ ]*).*,\1,p' "$dir/touched" |
			grep -vE '^/run/fvol/volume/\.\.\.$|/(mount|umount|mkdir|rmdir|dd|od|sha256sum|sleep|busybox)$|^/proc/self/exe$')" ''
	same "$1: no file of a person, a log or the disk's configuration is opened" \
		"$(grep -E ' /(root|home|var|tmp|boot|srv|opt)(/|$)' "$dir/touched")" ''
}

compare() {
	sed -n "s/^$1 //p" "$EXPECTED" > "$dir/expected"
	if cmp -s "$dir/expected" "$dir/touched"; then
		ok "$1: the list is the committed one ($(grep -c . "$dir/touched") lines)"
	else
		bad "$1: the list differs from $EXPECTED"
		diff -u "$dir/expected" "$dir/touched" | sed 1,2d
	fi
}

# Arguments: none. Each path of the list stands in README.md, which says why.
check_readme() {
	dir=$VM_DIR
	sed -E -e '/^#/d' -e 's,^[a-z]+ ([a-z0-9]+) ([^ ]*).*,\2,' \
		-e 's,^/lib/.*/,,' "$EXPECTED" | sort -u |
		while read -r path; do
			grep -qF -- "\`$path\`" README.md || echo "$path"
		done > "$dir/unexplained"
	same 'README.md explains each line of the list' "$(cat "$dir/unexplained")" ''
}

[ $# -gt 0 ] || set -- busybox debian
for variant; do
	trace_variant "$variant"
	check_triage "$variant"
	check_rules "$variant"
	if [ "${UPDATE:-}" = 1 ]; then
		{
			grep -v "^$variant " "$EXPECTED" || :
			sed "s/^/$variant /" "$dir/touched"
		} > "$dir/list"
		cp "$dir/list" "$EXPECTED"
	else
		compare "$variant"
	fi
done
check_readme
exit "$failed"
