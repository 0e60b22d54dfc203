#!/bin/sh
# The volume's disk, in a guest: larger than its file system, which the mount document makes
# grow; too small; cut off with the machine's power in the middle of growing and of a
# capture; unplugged, and failing, in the middle of a capture. The capture must end by itself
# with a sentence, and what was written must still be there.
# Environment: CASES (what to run, default all: grows power growing yanked failing).
# Exit: 0 all ok; 1 a check failed; 5 never finished.
set -eu
export LC_ALL=C
# shellcheck source=tests/vm/vm.sh
. tests/vm/vm.sh
# shellcheck source=tests/vm/path.sh
. tests/vm/path.sh
vm_trap
path_prepare x86_64
MIB=1048576
# Enough that a capture takes many seconds.
MEMORY_MIB=1024

# Arguments: NAME [MEMORY_MIB]. A guest of its own for a case.
start() {
	guest=disk-$1
	dir=$VM_DIR/$guest
	vm_start "$guest" x86_64 "${2:-$MEMORY_MIB}" "$VM_KERNEL" "$VM_ROOT"
	disk=$dir/volume.img
}

# Arguments: DISK_SIZE. Makes $disk: the released volume's files in a file system of
# 128 MiB, on a disk of that size.
make_disk() {
	path_volume 128M "$disk"
	truncate -s "$1" "$disk"
}

# Arguments: jq FILTER. What of the last line that mount printed.
mounted() {
	tail -n 1 "$dir/Mount.out" | jq -r "$1"
}

mount_disk() {
	path_step "$guest" Mount "VolumeId=$VOLUME_ID"
	same "$1: mount" "$STEP_CODE" 0
	same "$1: mount grew it" "$(mounted .grown)" true
}

# Arguments: TITLE KIB. Waits until so much was written to the disk since it was made; the
# file of it is sparse.
wait_written() {
	tries=600
	while [ "$(du -k "$disk" | cut -f 1)" -lt $((written + $2)) ]; do
		tries=$((tries - 1))
		if [ "$tries" -eq 0 ]; then
			bad "$1: nothing was written within 60 s"
			return 0
		fi
		sleep 0.1
	done
}

# Arguments: TITLE. Begins a capture and returns in the middle of it.
begin_capture() {
	rm -f "$dir/Capture.code"
	written=$(du -k "$disk" | cut -f 1)
	(
		path_step "$guest" Capture
		echo "$STEP_CODE" > "$dir/Capture.code"
	) > "$dir/Capture.step" 2>&1 &
	capture_pid=$!
	wait_written "$1" 131072
	check "$1: the capture is in the middle" test ! -e "$dir/Capture.code" || :
}

# Arguments: TITLE. What must be true of a disk that lost its machine: the journal brings it
# back, nothing is lost but the end, and nothing passes for more than it is.
check_disk() {
	check "$1: verify before any repair" "$IMAGE_TOOL" verify "$disk"
	# 1: the journal was replayed, errors corrected.
	repaired=0
	/sbin/e2fsck -fy "$disk" > "$dir/fsck" 2>&1 || repaired=$?
	case $repaired in
	0 | 1) ok "$1: e2fsck replays the journal" ;;
	*)
		bad "$1: e2fsck ends with $repaired"
		tail -n 15 "$dir/fsck"
		;;
	esac
	check "$1: then it is clean" /sbin/e2fsck -fn "$disk"
	check "$1: and verifies" "$IMAGE_TOOL" verify "$disk"
}

# Arguments: TITLE. The part of a memory image that must be there.
check_partial() {
	"$IMAGE_TOOL" ls "$disk" /evidence > "$dir/ls"
	says "$1: the partial image is there" "$dir/ls" 'memory.lime.partial$'
	check "$1: it does not pass for a whole one" \
		sh -c "! grep -E 'memory.lime$|SHA256SUMS' '$dir/ls'"
	mkdir -p "$dir/evidence"
	check "$1: and can be read" "$IMAGE_TOOL" extract "$disk" /evidence "$dir/evidence"
	partial=$(find "$dir/evidence" -name memory.lime.partial)
	# EMiL, version 1.
	same "$1: it begins as a LiME image" \
		"$(od -A n -t x1 -N 8 "$partial" | tr -d ' ')" 454d694c01000000
	kept=$(du -k "$partial" | cut -f 1)
	echo "# $1: $kept KiB of the image are kept"
}

grows() {
	start grows 512
	make_disk 8G
	check 'a disk of 8 GiB is attached' vm_attach "$guest" "$disk" "$SERIAL"
	mount_disk 'a larger disk'
	same 'a larger disk: was 128 MiB' "$(mounted .growth.before_bytes)" $((128 * MIB))
	same 'a larger disk: only as far as needed' "$(mounted '.growth |
		.after_bytes > 800 * 1048576 and .after_bytes < 2560 * 1048576')" true
	path_step "$guest" Mount "VolumeId=$VOLUME_ID"
	same 'a larger disk: a second mount has nothing to do' \
		"$(mounted '.grown and .growth.before_bytes == .growth.after_bytes')" true
	path_step "$guest" Capture
	same 'a larger disk: capture' "$STEP_CODE" 0
	vm_run "$guest" 60 /run/fvol/volume/bin/x86_64/grow --json /run/fvol/volume || :
	same 'a larger disk: by hand to its end' \
		"$(tail -n 1 "$VM_OUT" | jq -r '.complete and .after_bytes == .disk_bytes')" true
	path_step "$guest" Unmount
	same 'a larger disk: unmount' "$STEP_CODE" 0
	vm_detach "$guest" "$SERIAL"
	check 'a larger disk: is clean' /sbin/e2fsck -fn "$disk"
	check 'a larger disk: verifies' "$IMAGE_TOOL" verify "$disk"
	mkdir -p "$dir/evidence"
	check 'a larger disk: the evidence comes back' "$IMAGE_TOOL" extract "$disk" /evidence \
		"$dir/evidence"
	check 'a larger disk: sha256sum -c agrees' sh -c "cd '$dir'/evidence/evidence/*/* &&
		sha256sum -c SHA256SUMS"
	vm_stop "$guest"
	rm -f "$disk"
}

power() {
	start power
	make_disk 8G
	vm_attach "$guest" "$disk" "$SERIAL"
	mount_disk 'a power cut'
	begin_capture 'a power cut'
	# As a real one: nothing is written back, the machine is gone.
	vm_qmp "$guest" '{"execute":"quit"}' > /dev/null || :
	vm_stop "$guest"
	wait "$capture_pid" || :
	check_disk 'a power cut'
	check_partial 'a power cut'
	rm -f "$disk"
}

growing() {
	start growing
	make_disk 1T
	vm_attach "$guest" "$disk" "$SERIAL"
	mount_disk 'a power cut while growing'
	written=$(du -k "$disk" | cut -f 1)
	(vm_run "$guest" 120 /run/fvol/volume/bin/x86_64/grow /run/fvol/volume || :
	echo "$VM_STATUS" > "$dir/grow.status") > /dev/null 2>&1 &
	grow_pid=$!
	wait_written 'a power cut while growing' 4096
	check 'a power cut while growing: it is in the middle' test ! -e "$dir/grow.status"
	vm_qmp "$guest" '{"execute":"quit"}' > /dev/null || :
	vm_stop "$guest"
	wait "$grow_pid" || :
	check_disk 'a power cut while growing'
	blocks=$(/sbin/dumpe2fs -h "$disk" 2> /dev/null | awk '/^Block count:/ { print $3 }')
	echo "# a power cut while growing: $((blocks / 256)) MiB of $((1024 * 1024)) reached"
	rm -f "$disk"
}

# Arguments: TITLE EXIT SENTENCE. The capture's own end, and the unmounting of what is left.
ends_by_itself() {
	wait "$capture_pid" || :
	same "$1: the capture ends with 5" "$(cat "$dir/Capture.code" 2> /dev/null)" 5
	says "$1: with a sentence" "$dir/Capture.err" '^capture: .*: (I/O error|No such device|No data|Read-only file)'
	path_step "$guest" Unmount
	same "$1: unmount ends with $2" "$STEP_CODE" "$2"
	[ -z "$3" ] || says "$1: and says what is lost" "$dir/Unmount.err" "$3"
	says "$1: nothing is pretended to be sealed" "$dir/Unmount.out" '"custody_head":null|"images":\[\]'
	sed 's/^/# unmount: /' "$dir/Unmount.out" "$dir/Unmount.err"
	vm_run "$guest" 20 grep -c fvol /proc/self/mounts || :
	same "$1: nothing is mounted" "$(cat "$VM_OUT")" 0
	vm_run "$guest" 20 ls /run
	same "$1: nothing is left in /run" "$(cat "$VM_OUT")" ''
}

yanked() {
	start yanked
	make_disk 8G
	vm_attach "$guest" "$disk" "$SERIAL"
	mount_disk 'a yanked disk'
	begin_capture 'a yanked disk'
	check 'a yanked disk: is gone' vm_detach "$guest" "$SERIAL"
	ends_by_itself 'a yanked disk' 5 \
		'disk was gone before it was unmounted: what had not reached it by then is lost'
	vm_stop "$guest"
	check_disk 'a yanked disk'
	check_partial 'a yanked disk'
	rm -f "$disk"
}

# Arguments: NAME SECTOR. A guest whose disk stays and answers each write of that sector with
# an error.
start_failing() {
	start "$1"
	make_disk 8G
	vm_qmp "$guest" "{\"execute\":\"blockdev-add\",\"arguments\":{\"driver\":\"raw\",
		\"node-name\":\"b-$SERIAL\",\"file\":{\"driver\":\"blkdebug\",
		\"inject-error\":[{\"event\":\"none\",\"errno\":5,\"sector\":$2,
			\"iotype\":\"write\"}],
		\"image\":{\"driver\":\"file\",\"filename\":\"$(vm_absolute "$disk")\"}}}}" \
		> /dev/null
	vm_qmp "$guest" "{\"execute\":\"device_add\",\"arguments\":{\"driver\":\"nvme\",
		\"id\":\"d-$SERIAL\",\"serial\":\"$SERIAL\",\"drive\":\"b-$SERIAL\",
		\"bus\":\"rp3\"}}" > /dev/null
}

failing() {
	# In the copy of the superblock that growing writes at 384 MiB: ext4 gives up.
	start_failing failing 786432
	path_step "$guest" Mount "VolumeId=$VOLUME_ID"
	same 'a disk that fails while growing: mount' "$STEP_CODE" 5
	says 'a disk that fails while growing: sentence' "$dir/Mount.err" 'nothing can be written|left .* read-only'
	vm_run "$guest" 20 grep -c fvol /proc/self/mounts || :
	same 'a disk that fails while growing: nothing is mounted' "$(cat "$VM_OUT")" 0
	vm_stop "$guest"
	check_disk 'a disk that fails while growing'
	# At 448 MiB, which is the middle of the image.
	start_failing failing 917504
	mount_disk 'a failing disk'
	begin_capture 'a failing disk'
	# One sector of the image is lost and no metadata: the volume is sealed and let go.
	ends_by_itself 'a failing disk' 0 ''
	vm_stop "$guest"
	check_disk 'a failing disk'
	check_partial 'a failing disk'
	rm -f "$disk"
}

for case in ${CASES:-grows power growing yanked failing}; do
	case $case in
	grows) grows ;;
	power) power ;;
	growing) growing ;;
	yanked) yanked ;;
	failing) failing ;;
	esac
done
exit "$failed"
