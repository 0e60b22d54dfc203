#!/bin/sh
# What goes wrong on the way, in a guest: wrong, missing, doubled, damaged and full volumes,
# a step that is killed, a busy unmount, a kernel that refuses. Each must end with its exit
# code and a sentence, and leave nothing half-mounted.
# Exit: 0 all ok; 1 a check failed; 5 never finished.
set -eu
export LC_ALL=C
# shellcheck source=tests/vm/vm.sh
. tests/vm/vm.sh
# shellcheck source=tests/vm/path.sh
. tests/vm/path.sh
vm_trap
guest=bad-input
dir=$VM_DIR/$guest
manifest=$(sha256sum < out/MANIFEST | cut -c 1-64)
path_prepare x86_64

# Arguments: OPTION... of mount.sh. As path_step, but with a deadline of two seconds, which
# the document does not offer.
mount_briefly() {
	vm_run "$guest" 120 sh /tmp/mount.sh --manifest-sha256 "$manifest" --wait 2 "$@" || :
	cp "$VM_OUT" "$dir/Mount.out"
	cp "$VM_ERR" "$dir/Mount.err"
	STEP_CODE=${VM_STATUS#exit }
}

# Arguments: FILE. The guest's state, with a setting of its disks that mounting changes.
state() {
	path_state "$guest" "$1"
	vm_run "$guest" 20 sh -c 'grep . /sys/block/*/queue/read_ahead_kb'
	cat "$VM_OUT" >> "$1"
}

# Arguments: TITLE EXIT SENTENCE [OPTION...]. A mount that must fail so and leave nothing.
refused() {
	title=$1 want=$2 sentence=$3
	shift 3
	state "$dir/state.before"
	mount_briefly "$@"
	same "$title: exit code" "$STEP_CODE" "$want"
	says "$title: sentence" "$dir/Mount.err" "$sentence"
	state "$dir/state.after"
	check "$title: nothing is half-mounted" diff "$dir/state.before" "$dir/state.after"
}

# Arguments: IMAGE. A fresh copy of the released volume.
fresh() {
	cp --sparse=always out/fvol.img "$1"
}

# Arguments: IMAGE PATH. Changes one byte of a file's data, nothing of the file system.
damage() {
	block=$(/sbin/debugfs -R "blocks $2" "$1" 2> /dev/null | awk '{ print $1 }')
	printf '\377' | dd of="$1" bs=1 seek=$((block * 4096 + 100)) conv=notrunc 2> /dev/null
}

wrong_volumes() {
	refused 'no volume' 4 'no forensic volume after 2 s'
	truncate -s 64M "$dir/blank.img"
	vm_attach "$guest" "$dir/blank.img" "$SERIAL"
	refused 'the serial, but a blank disk' 1 'has the serial of .*, but other content' \
		--volume-id "$VOLUME_ID"
	vm_detach "$guest" "$SERIAL"
	fresh "$dir/one.img"
	vm_attach "$guest" "$dir/one.img" vol00000000000000001
	refused 'another volume' 4 'no forensic volume.*has the serial vol00000000000000001' \
		--volume-id "$VOLUME_ID"
	fresh "$dir/two.img"
	vm_attach "$guest" "$dir/two.img" vol00000000000000002
	refused 'two volumes and no id' 4 'several devices fit'
	mount_briefly --volume-id vol-00000000000000002
	same 'two volumes and an id: exit code' "$STEP_CODE" 0
	says 'two volumes and an id: the right one' "$dir/Mount.out" vol00000000000000002
	mount_briefly --volume-id vol-00000000000000002
	same 'mounted already: exit code' "$STEP_CODE" 0
	says 'mounted already: says so' "$dir/Mount.out" 'already mounted'
	mount_briefly --volume-id vol-00000000000000001
	same 'another one is mounted: exit code' "$STEP_CODE" 4
	path_step "$guest" Unmount
	same 'unmount: exit code' "$STEP_CODE" 0
	vm_detach "$guest" vol00000000000000001
	vm_detach "$guest" vol00000000000000002
}

# Arguments: TITLE PATH SENTENCE.
damaged_file() {
	fresh "$dir/damaged.img"
	damage "$dir/damaged.img" "$2"
	vm_attach "$guest" "$dir/damaged.img" "$SERIAL"
	refused "$1" 1 "$3" --volume-id "$VOLUME_ID"
	vm_detach "$guest" "$SERIAL"
}

damaged_volumes() {
	damaged_file 'a damaged MANIFEST' /MANIFEST 'MANIFEST on .* has the SHA-256'
	damaged_file 'a damaged checker' /bin/x86_64/hash 'bin/x86_64/hash is not the one in MANIFEST'
	damaged_file 'a damaged tool' /bin/x86_64/capture 'bin/x86_64/capture is not what MANIFEST lists'
	damaged_file 'a damaged script' /scripts/unmount.sh 'scripts/unmount.sh is not what MANIFEST'
	truncate -s 64M "$dir/empty.img"
	/sbin/mke2fs -q -F -t ext4 -L FVOL "$dir/empty.img"
	vm_attach "$guest" "$dir/empty.img" "$SERIAL"
	refused 'our label, but no MANIFEST' 1 'holds no MANIFEST'
	vm_detach "$guest" "$SERIAL"
}

full_volume() {
	path_volume 128M "$dir/small.img"
	vm_attach "$guest" "$dir/small.img" "$SERIAL"
	path_step "$guest" Mount
	same 'a volume that is too small: mount' "$STEP_CODE" 0
	path_step "$guest" Capture
	same 'a volume that is too small: exit code' "$STEP_CODE" 5
	says 'a volume that is too small: both figures' "$dir/Capture.err" \
		'volume is too small: memory.lime needs [0-9]+ bytes, [0-9]+ are free'
	path_step "$guest" Unmount
	same 'a volume that is too small: unmount' "$STEP_CODE" 0
	vm_detach "$guest" "$SERIAL"
	check 'a volume that is too small: is clean' /sbin/e2fsck -fn "$dir/small.img"
}

killed_capture() {
	fresh "$dir/killed.img"
	vm_attach "$guest" "$dir/killed.img" "$SERIAL"
	path_step "$guest" Mount
	vm_document "$guest" 3 "$DOCUMENTS/FVol-Capture.json" || :
	same 'a capture that is killed: the agent killed it' "$VM_STATUS" timeout
	path_step "$guest" Unmount
	same 'a capture that is killed: unmount' "$STEP_CODE" 0
	vm_detach "$guest" "$SERIAL"
	check 'a capture that is killed: the volume is clean' /sbin/e2fsck -fn "$dir/killed.img"
	"$IMAGE_TOOL" ls "$dir/killed.img" /evidence > "$dir/ls"
	says 'a capture that is killed: what was written is there' "$dir/ls" 'memory.lime.partial'
	check 'a capture that is killed: does not pass for a whole one' \
		sh -c "! grep -E 'memory.lime$|SHA256SUMS' '$dir/ls'"
}

busy_unmount() {
	fresh "$dir/busy.img"
	vm_attach "$guest" "$dir/busy.img" "$SERIAL"
	path_step "$guest" Mount
	vm_run "$guest" 20 sh -c 'cd /run/fvol/volume && setsid sleep 600 > /dev/null 2>&1 < /dev/null &'
	path_step "$guest" Unmount
	same 'a busy volume: exit code' "$STEP_CODE" 4
	says 'a busy volume: names who holds it' "$dir/Unmount.err" 'sleep'
	holder=$(vm_ctl "$guest" ps | awk '$3 == "sleep" { print $1 }')
	vm_run "$guest" 20 sh -c "kill $holder"
	path_step "$guest" Unmount
	same 'no longer busy: exit code' "$STEP_CODE" 0
	path_step "$guest" Unmount
	same 'unmounted already: exit code' "$STEP_CODE" 0
	path_step "$guest" Capture
	same 'capture without the volume: exit code' "$STEP_CODE" 4
	vm_detach "$guest" "$SERIAL"
}

# A kernel that refuses kcore, as one without it does.
locked_kernel() {
	guest=locked dir=$VM_DIR/locked
	VM_APPEND=lockdown=confidentiality vm_start "$guest" x86_64 512 "$VM_KERNEL" "$VM_ROOT"
	fresh "$dir/volume.img"
	vm_attach "$guest" "$dir/volume.img" "$SERIAL"
	path_step "$guest" Mount "VolumeId=$VOLUME_ID"
	same 'lockdown=confidentiality: mount' "$STEP_CODE" 0
	path_step "$guest" Capture
	same 'lockdown=confidentiality: capture is refused' "$STEP_CODE" 4
	says 'lockdown=confidentiality: sentence' "$dir/Capture.err" 'kcore: lockdown=confidentiality refuses /proc/kcore'
	path_step "$guest" Unmount
	same 'lockdown=confidentiality: unmount' "$STEP_CODE" 0
	vm_detach "$guest" "$SERIAL"
	"$IMAGE_TOOL" ls "$dir/volume.img" /evidence > "$dir/ls"
	same 'lockdown=confidentiality: no evidence is pretended' "$(cat "$dir/ls")" ''
}

vm_start "$guest" x86_64 512 "$VM_KERNEL" "$VM_ROOT"
vm_ctl "$guest" put mount-scripts/mount.sh /tmp/mount.sh
wrong_volumes
damaged_volumes
full_volume
killed_capture
busy_unmount
vm_stop "$guest"
locked_kernel
rm -f "$VM_DIR/bad-input"/*.img "$VM_DIR/locked"/*.img
exit "$failed"
