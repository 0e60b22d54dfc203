#!/bin/sh
# The test of the test guests themselves: selftest.sh ARCH
# Environment: VM_KERNEL (a vmlinuz of ARCH), VM_ROOT (a disk of mkroot.sh; made when unset),
# VM_MODULE (a module without dependencies of that very kernel, to load and unload).
# Run from the root of the repository. Prints ok/FAIL lines.
# Exit: 0 all ok; 1 a check failed; 2 usage; 5 never finished.
set -eu
export LC_ALL=C

if [ $# -ne 1 ] || [ -z "${VM_KERNEL:-}" ]; then
	echo "usage: VM_KERNEL=vmlinuz selftest.sh x86_64|aarch64" >&2
	exit 2
fi
arch=$1
# shellcheck disable=SC1091
. tests/vm/vm.sh
vm_trap
# A script that set -e ends half-way must not look like one that had nothing to say.
done=
trap 'rc=$?; vm_stop_all; [ -n "$done" ] || echo "FAIL ended early"; exit $rc' EXIT
guest=selftest-$arch
dir=$VM_DIR/$guest
allow=/var/lib/amazon/ssm
serial=vol0123456789abcdef0
failed=0

ok() {
	echo "ok   $*"
}

bad() {
	echo "FAIL $*"
	failed=1
}

# Arguments: WANTED-EXIT TITLE COMMAND...
check() {
	want=$1 title=$2
	shift 2
	rc=0
	"$@" > "$dir/check.out" 2> "$dir/check.err" || rc=$?
	if [ "$rc" -eq "$want" ]; then
		ok "$title"
	else
		bad "$title (exit $rc, wanted $want)"
		tail -n 20 "$dir/check.out" "$dir/check.err"
	fi
}

# Arguments: TITLE ACTUAL WANTED
same() {
	if [ "$2" = "$3" ]; then
		ok "$1"
	else
		bad "$1: '$2', wanted '$3'"
	fi
}

# Arguments: none. Prints milliseconds since some moment.
now_ms() {
	awk '{ printf "%d\n", $1 * 1000 }' /proc/uptime
}

# Arguments: TITLE COMMAND... How long it took, for the record.
timed() {
	what=$1
	shift
	began=$(now_ms)
	"$@" || return $?
	echo "     $what: $(($(now_ms) - began)) ms"
}

check_commands() {
	check 0 'run: exit 0' vm_run "$guest" 20 true
	rc=0
	vm_run "$guest" 20 sh -c 'echo out; echo err >&2; exit 3' || rc=$?
	same 'run: another exit code is a no' "$rc $VM_STATUS" '1 exit 3'
	same 'run: standard output' "$(cat "$VM_OUT")" out
	same 'run: standard error' "$(cat "$VM_ERR")" err
	vm_run "$guest" 20 sh -c 'kill -9 $$' || :
	same 'run: a signal is no exit code' "$VM_STATUS" 'signal 9'
	vm_run "$guest" 20 /no/such || :
	same 'run: no such program' "$VM_STATUS" 'exit 127'
	head -c 9000000 /dev/urandom > "$dir/blob"
	timed 'put 9 MB' vm_ctl "$guest" put "$dir/blob" /tmp/blob 600
	timed 'get 9 MB' vm_ctl "$guest" get /tmp/blob "$dir/blob.back"
	check 0 'put and get: the same bytes' cmp "$dir/blob" "$dir/blob.back"
	vm_run "$guest" 20 stat -c %a /tmp/blob
	same 'put: mode' "$(cat "$VM_OUT")" 600
	vm_run "$guest" 20 rm /tmp/blob
	check 1 'get: no such file' vm_ctl "$guest" get /no/such "$dir/none"
}

check_timeouts() {
	rc=0
	vm_run "$guest" 2 sh -c 'echo began; sleep 1000' || rc=$?
	same 'timeout: told as such' "$rc $VM_STATUS" '5 timeout'
	if vm_never_finished; then ok 'timeout: never finished'; else bad 'timeout'; fi
	same 'timeout: what came before it is kept' "$(cat "$VM_OUT")" began
	vm_ctl "$guest" ps > "$dir/ps"
	check 1 'timeout: the process group is gone' grep sleep "$dir/ps"
	vm_run "$guest" 2 sh -c 'setsid sleep 1000 & exit 0' || :
	same 'timeout: a background child that holds stdout blocks' "$VM_STATUS" timeout
	vm_ctl "$guest" ps > "$dir/ps"
	check 0 'ps: the survivor is seen' grep -q ' sleep ' "$dir/ps"
	vm_run "$guest" 20 sh -c "kill $(awk '$3 == "sleep" { print $1 }' "$dir/ps")"
	vm_run "$guest" 2 true
	if vm_never_finished; then bad 'after a timeout'; else ok 'after a timeout: answers'; fi
	check 1 'monitor: an error is a no' vm_qmp "$guest" '{"execute":"no-such"}'
}

check_modules() {
	printf 'not a module' > "$dir/bad.ko"
	vm_ctl "$guest" put "$dir/bad.ko" /tmp/bad.ko 600
	check 1 'insmod: not a module' vm_ctl "$guest" insmod /tmp/bad.ko
	cp "$dir/check.err" "$dir/insmod.err"
	check 0 'insmod: says why' grep -q 'Exec format error' "$dir/insmod.err"
	check 1 'rmmod: not loaded' vm_ctl "$guest" rmmod none
	[ -n "${VM_MODULE:-}" ] || return 0
	vm_ctl "$guest" put "$VM_MODULE" /tmp/good.ko 600
	module=$(basename "$VM_MODULE" .ko)
	check 0 'insmod' vm_ctl "$guest" insmod /tmp/good.ko
	check 0 'insmod: loaded' vm_run "$guest" 20 grep "^$module " /proc/modules
	check 0 'rmmod' vm_ctl "$guest" rmmod "$module"
	check 1 'rmmod: gone' vm_run "$guest" 20 grep "^$module " /proc/modules
}

# An answer never comes from a guest that stands still, and from one that is dead.
check_never() {
	vm_pause "$guest"
	rc=0
	timeout 60 "$VM_TOOLS/vmctl" sync "$dir/agent.sock" 2> "$dir/never" || rc=$?
	same 'stopped guest: never finished' "$rc" 5
	check 0 'stopped guest: says so' grep -q '^vmctl: never finished: ' "$dir/never"
	vm_resume "$guest"
	# The late answer to that question must not be taken for the next one's.
	check 0 'resumed guest: answers' vm_ctl "$guest" sync
	# The guard's one child is the emulator.
	pid=$(cat "$dir/pid")
	# The kernel ends that file without a newline, at which read says no.
	read -r qemu _ < "/proc/$pid/task/$pid/children" || [ -n "$qemu" ]
	kill -9 "$qemu"
	rc=0
	vm_run "$guest" 5 true || rc=$?
	case $rc:$VM_STATUS in
	4:never | 5:never) ok 'dead guest: never' ;;
	*) bad "dead guest: $rc $VM_STATUS" ;;
	esac
	if vm_never_finished; then ok 'dead guest: never finished'; else bad 'dead guest'; fi
	vm_stop "$guest"
}

check_attach() {
	truncate -s 64M "$dir/volume.img"
	printf 'a volume' | dd of="$dir/volume.img" conv=notrunc 2> /dev/null
	check 0 'attach' vm_attach "$guest" "$dir/volume.img" "$serial"
	# shellcheck disable=SC2016
	vm_run "$guest" 20 sh -c 'n=100
		while [ $n -gt 0 ]; do
			for d in /sys/block/nvme*; do
				read -r s < $d/device/serial && [ "$s" = '"$serial"' ] &&
					[ -b /dev/${d##*/} ] && exec head -c 8 /dev/${d##*/}
			done
			sleep 0.1
			n=$((n - 1))
		done
		exit 1'
	same 'attach: the guest reads it' "$(cat "$VM_OUT")" 'a volume'
	timed detach vm_detach "$guest" "$serial"
	check 0 'attach again' vm_attach "$guest" "$dir/volume.img" "$serial"
	check 0 'detach again' vm_detach "$guest" "$serial"
}

check_memory() {
	vm_ctl "$guest" plant 64 "$dir/plant" > "$dir/planted.pid"
	same 'plant: 64 pages' "$(wc -l < "$dir/plant" | tr -d ' ')" 64
	timed litter vm_ctl "$guest" litter 4096
	timed memsave vm_memsave "$guest" "$dir/before.raw"
	vm_memsave "$guest" "$dir/after.raw"
	vm_run "$guest" 20 cat /proc/iomem
	cp "$VM_OUT" "$dir/iomem"
	check 0 'plant: found in the hypervisor'"'"'s save' \
		"$VM_TOOLS/limecheck" planted "$dir/before.raw" "$dir/plant"
	sed 's/^\([0-9a-f]*\)000 /\1800 /' "$dir/plant" > "$dir/wrong"
	check 1 'plant: not found at other addresses' \
		"$VM_TOOLS/limecheck" planted "$dir/before.raw" "$dir/wrong"
	check 0 'litter: found' "$VM_TOOLS/limecheck" marked "$dir/after.raw" "$dir/before.raw"
	echo "     litter: $(cat "$dir/check.out")"
	check 0 'memdiff' "$VM_TOOLS/memdiff" "$dir/before.raw" "$dir/after.raw" "$dir/iomem"
	echo "     idle: $(cat "$dir/check.out")"
	vm_run "$guest" 20 sh -c "kill $(cat "$dir/planted.pid")"
}

# Arguments: WANTED-EXIT TITLE SCRIPT [ALLOW...]. Runs SCRIPT as a document's step between
# two saves of the disk and compares these.
disk_step() {
	want=$1 title=$2
	printf '#!/bin/sh\n%s\n' "$3" > "$dir/script.sh"
	vm_disksave "$guest" "$dir/disk.before"
	vm_step "$guest" 30 step "$dir/script.sh" || bad "$title: $VM_STATUS $(cat "$VM_ERR")"
	vm_disksave "$guest" "$dir/disk.after"
	check "$want" "$title" "$VM_TOOLS/fsdiff" "$dir/disk.before" "$dir/disk.after" \
		--allow "${4:-$allow}"
	cp "$dir/check.out" "$dir/fsdiff.out"
}

check_disk() {
	vm_disksave "$guest" "$dir/disk.before"
	vm_disksave "$guest" "$dir/disk.after"
	check 0 'fsdiff: nobody did anything' "$VM_TOOLS/fsdiff" "$dir/disk.before" \
		"$dir/disk.after"
	disk_step 0 'fsdiff: an idle step' ':'
	disk_step 1 'fsdiff: the step itself is seen when it is not allowed' ':' /nothing
	disk_step 0 'fsdiff: a step that runs the usual programs' \
		'mount; umount /nothing 2> /dev/null; ls -la /bin/ | wc -l; date; sleep 0.1
		echo x > /run/x; dd if=/dev/zero of=/tmp/x bs=1024 count=64 2> /dev/null
		sha256sum /bin/sh; uname -a'
	disk_step 1 'fsdiff: a new file' 'echo x > /root/x'
	disk_step 1 'fsdiff: a file made and removed' 'echo x > /mnt/x; sync; rm /mnt/x'
	disk_step 1 'fsdiff: one byte in a file, its times put back' \
		'touch -r /home/admin/notes.txt /tmp/t
		printf Z | dd of=/home/admin/notes.txt bs=1 seek=5000 conv=notrunc 2> /dev/null
		touch -r /tmp/t /home/admin/notes.txt'
	same 'fsdiff: data and inode' "$(grep -c '/home/admin/notes.txt' "$dir/fsdiff.out")" 2
	disk_step 1 'fsdiff: reading evidence changes its access time' 'cat /root/.bash_history'
	check 0 'fsdiff: says so' grep -q 'inode .* /root/.bash_history: access time' \
		"$dir/fsdiff.out"
	disk_step 1 'fsdiff: one byte of the raw disk' \
		'printf Z | dd of=/dev/nvme0n1 bs=1 seek=268400001 conv=notrunc 2> /dev/null'
}

check_step() {
	# shellcheck disable=SC2016
	printf '#!/bin/sh\necho "$0 $PWD $AWS_SSM_INSTANCE_ID $AWS_SSM_REGION_NAME $EXTRA"\n' \
		> "$dir/script.sh"
	vm_step "$guest" 20 MountStep "$dir/script.sh" --env EXTRA=more
	same 'step: path, directory and environment' \
		"$(sed "s,/orchestration/[^/]*/,/orchestration/ID/," "$VM_OUT")" \
		"$allow/i-0123456789abcdef0/document/orchestration/ID/MountStep/_script.sh /usr/bin i-0123456789abcdef0 eu-west-1 more"
	cat > "$dir/document.json" << 'JSON'
{"schemaVersion":"2.2","description":"d",
"parameters":{"VolumeId":{"type":"String","default":""},"Other":{"type":"String","default":"dflt"}},
"mainSteps":[{"action":"aws:runShellScript","name":"DocStep","inputs":{"runCommand":
["#!/bin/sh","echo '{{ VolumeId }}' {{Other}} \\1 '&'"]}}]}
JSON
	vm_document "$guest" 20 "$dir/document.json" 'VolumeId=vol-0=x'
	same 'document: parameters are put in as text' "$(cat "$VM_OUT")" 'vol-0=x dflt 1 &'
}

if [ -z "${VM_ROOT:-}" ]; then
	VM_ROOT=$VM_DIR/selftest-root-$arch.img
	tests/vm/mkroot.sh "$arch" "$VM_ROOT"
fi
timed boot vm_start "$guest" "$arch" 512 "$VM_KERNEL" "$VM_ROOT"
echo "     kernel: $(cat "$dir/uname")"
check_commands
check_timeouts
check_modules
check_attach
check_memory
check_step
check_disk
check_never
done=yes
exit "$failed"
