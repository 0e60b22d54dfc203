#!/bin/sh
# The whole path in a guest: whole-path.sh ARCH [VARIANT]. Boots a real kernel, attaches
# out/fvol.img beside a decoy, runs the scripts of the generated documents as the agent does,
# and holds the evidence, the guest's memory and its disk against the hypervisor's truth.
# Exit: 0 all ok; 1 a check failed; 5 never finished.
set -eu
export LC_ALL=C
arch=$1
variant=${2:-}
# shellcheck source=tests/vm/vm.sh
. tests/vm/vm.sh
# shellcheck source=tests/vm/path.sh
. tests/vm/path.sh
vm_trap
guest=path-$arch${variant:+-$variant}
dir=$VM_DIR/$guest
path_prepare "$arch" "$variant"

# A disk with our label and another serial and content: only the serial tells.
make_decoy() {
	truncate -s 64M "$dir/decoy.img"
	/sbin/mke2fs -q -F -t ext4 -L FVOL "$dir/decoy.img"
}

attach_volumes() {
	make_decoy
	check 'a decoy with our label is attached' vm_attach "$guest" "$dir/decoy.img" \
		vol00000000000000001
	cp --sparse=always out/fvol.img "$dir/volume.img"
	check 'the volume is attached after boot' vm_attach "$guest" "$dir/volume.img" "$SERIAL"
}

# Mount, capture, unmount, with the truth saved before and after.
acquire() {
	vm_ctl "$guest" plant 16 "$dir/plant" > "$dir/planted.pid"
	path_state "$guest" "$dir/state.before"
	vm_disksave "$guest" "$dir/disk.before"
	vm_memsave "$guest" "$dir/before.raw"
	began=$(path_now)
	path_step "$guest" Mount "VolumeId=$VOLUME_ID"
	same 'mount: exit code' "$STEP_CODE" 0
	says 'mount: took the volume and not the decoy' "$dir/Mount.out" "\"serial\":\"$SERIAL\""
	path_step "$guest" Capture
	# Below 1 MiB a range of x86 ends inside a page, which kcore leaves out and bpf has.
	same 'capture: exit code' "$STEP_CODE" 0
	path_step "$guest" Unmount
	same 'unmount: exit code' "$STEP_CODE" 0
	took=$(awk -v a="$began" -v b="$(path_now)" 'BEGIN { printf "%d", b - a + 0.5 }')
	vm_memsave "$guest" "$dir/after.raw"
	vm_disksave "$guest" "$dir/disk.after"
	path_state "$guest" "$dir/state.after"
	vm_run "$guest" 20 cat /proc/iomem
	cp "$VM_OUT" "$dir/iomem"
}

check_left_nothing() {
	check 'no mount, module or process is left' diff "$dir/state.before" "$dir/state.after"
	vm_run "$guest" 20 ls /run
	same 'nothing is left in /run' "$(cat "$VM_OUT")" ''
	check 'the volume can be detached' vm_detach "$guest" "$SERIAL"
	check 'the volume is clean' /sbin/e2fsck -fn "$dir/volume.img"
}

# What jq takes from the capture's last line.
captured() {
	tail -n 1 "$dir/Capture.out" | jq -r "$1"
}

check_evidence() {
	mkdir -p "$dir/evidence"
	# 3 would mean that something was left out.
	check 'the evidence is read back without mounting' "$IMAGE_TOOL" extract \
		"$dir/volume.img" /evidence "$dir/evidence"
	dump=$(find "$dir/evidence" -name memory.lime)
	check 'one image was captured' test -f "$dump"
	same 'it stands under instance and time' "${dump%/*/memory.lime}" \
		"$(find "$dir/evidence" -name "$INSTANCE")"
	check 'sha256sum -c agrees' sh -c "cd '${dump%/*}' && sha256sum -c SHA256SUMS"
	same 'the document printed its hash' "$(captured .sha256)" "$(sha256sum < "$dump" | cut -c 1-64)"
	check 'the ranges are those of iomem, to the byte' "$VM_TOOLS/limecheck" ranges "$dump" \
		"$dir/iomem"
	check 'the planted pages are in the dump, at their addresses' \
		"$VM_TOOLS/limecheck" planted "$dump" "$dir/plant"
	same 'there is no gap' "$(captured .gap_bytes)" 0
	check 'the record is JSON and says that all is there' \
		jq -e '.complete and .captured_bytes == .ram_bytes' "${dump%/*}/record.json"
	same 'the symbol bundle is whole' \
		"$(tar -tf "${dump%/*}/symbols.tar" | sort | tr '\n' ' ' | sed 's,symbols/,,g')" \
		"btf cmdline iomem kallsyms module-build-ids modules version vmcoreinfo "
}

check_truth() {
	check 'pages of the dump are compared with the hypervisor' "$VM_TOOLS/limecheck" compare \
		"$dump" "$dir/before.raw" "$dir/after.raw"
	truth=$(cat "$dir/check.out")
	echo "# truth: $truth"
	# Writers through the page cache leave 35 to 56 %.
	same 'at least 97 % of the pages are as they were before the mount' \
		"$(echo "$truth" | awk -v RS=' ' -F= '
			$1 == "pages" { n = $2 } $1 == "before" { b = $2 }
			END { print (b >= 0.97 * n) }')" 1
	check 'changed pages are counted' "$VM_TOOLS/memdiff" "$dir/before.raw" "$dir/after.raw" \
		"$dir/iomem"
	changed=$(sed 's/.*changed=//' "$dir/check.out")
}

# The same guest for the same time, with steps that do nothing: what changes by itself.
idle_control() {
	printf '#!/bin/sh\nsleep %s\n' "$took" > "$dir/idle.sh"
	vm_disksave "$guest" "$dir/idle.disk.before"
	vm_memsave "$guest" "$dir/idle.before.raw"
	for step in Mount Capture; do
		printf '#!/bin/sh\n' > "$dir/nothing.sh"
		vm_step "$guest" 60 "$step" "$dir/nothing.sh"
	done
	vm_step "$guest" 300 Unmount "$dir/idle.sh"
	vm_memsave "$guest" "$dir/idle.after.raw"
	vm_disksave "$guest" "$dir/idle.disk.after"
	check 'an idle run of the same length' "$VM_TOOLS/memdiff" "$dir/idle.before.raw" \
		"$dir/idle.after.raw" "$dir/iomem"
	idle=$(sed 's/.*changed=//' "$dir/check.out")
	echo "# RAM pages changed by mount, capture and unmount in $took s: $changed;" \
		"by an idle run: $idle; beyond it: $((changed - idle))"
}

fsdiff() {
	"$VM_TOOLS/fsdiff" "$1" "$2" --allow /var/lib/amazon/ssm
}

check_disk() {
	check 'control: an idle run changes only what the agent wrote' fsdiff \
		"$dir/idle.disk.before" "$dir/idle.disk.after"
	check "no block of the host's disk changed but the agent's" fsdiff "$dir/disk.before" \
		"$dir/disk.after"
	printf '#!/bin/sh\nprintf Z | dd of=/dev/nvme0n1 bs=1 seek=268400001 conv=notrunc\n' \
		> "$dir/byte.sh"
	vm_step "$guest" 60 Byte "$dir/byte.sh"
	vm_disksave "$guest" "$dir/byte.disk"
	if fsdiff "$dir/idle.disk.after" "$dir/byte.disk" > "$dir/check.out"; then
		bad 'one deliberate byte is seen'
	else
		ok 'one deliberate byte is seen'
	fi
}

# The live state by its own document, on a volume of its own: disk, mounts and modules stay
# as they were; what it wrote is sealed, and is what unmount and the document printed.
check_triage() {
	cp --sparse=always out/fvol.img "$dir/triage.img"
	vm_attach "$guest" "$dir/triage.img" "$SERIAL"
	path_step "$guest" Mount "VolumeId=$VOLUME_ID"
	same 'mount for triage: exit code' "$STEP_CODE" 0
	vm_disksave "$guest" "$dir/triage.disk.before"
	path_step "$guest" Triage
	vm_disksave "$guest" "$dir/triage.disk.after"
	# 3: on a whole system something always ends while it is read.
	check "triage: exit code $STEP_CODE" test "$STEP_CODE" = 0 -o "$STEP_CODE" = 3
	path_step "$guest" Unmount
	same 'unmount after triage: exit code' "$STEP_CODE" 0
	check 'the volume of triage can be detached' vm_detach "$guest" "$SERIAL"
	check "triage changed no block of the host's disk but the agent's" fsdiff \
		"$dir/triage.disk.before" "$dir/triage.disk.after"
	path_state "$guest" "$dir/state.after"
	check 'triage left no mount, module or process' diff "$dir/state.before" "$dir/state.after"
	mkdir -p "$dir/live"
	check 'its evidence is read back' "$IMAGE_TOOL" extract "$dir/triage.img" /evidence \
		"$dir/live"
	live=$(find "$dir/live" -name triage.jsonl)
	check 'its SHA256SUMS agrees' sh -c "cd '${live%/*}' && sha256sum -c SHA256SUMS"
	same 'the document printed the hash of the records' \
		"$(tail -n 1 "$dir/Triage.out" | jq -r .sha256)" "$(sha256sum < "$live" | cut -c 1-64)"
	same 'and unmount the same' \
		"$(tail -n 1 "$dir/Unmount.out" | jq -r '.triage[].sha256')" \
		"$(sha256sum < "$live" | cut -c 1-64)"
	check 'the chain of custody has the head that unmount printed' \
		build/release/x86_64/bin/hash --custody verify \
		--head "$(tail -n 1 "$dir/Unmount.out" | jq -r '.triage[].custody_head')" \
		"${live%/*}/custody.jsonl"
	same 'the records are whole' "$(tail -n 1 "$live" | jq -r .type)" end
	same 'the first process is in them' \
		"$(jq -r 'select(.type == "process" and .pid == 1) | .pid' "$live")" 1
}

# The mounted volume's catalogue is judged by its number and by the kernel's build id.
check_catalogue() {
	volume=/run/fvol/volume
	manifest=$(sha256sum < out/MANIFEST | cut -c 1-64)
	vm_run "$guest" 60 "$volume/bin/$arch/hash" --volume "$volume" \
		--manifest-sha256 "$manifest" --catalogue-least 999999 || :
	same 'a catalogue older than the least is refused' "$VM_STATUS" 'exit 1'
	says 'it is said' "$VM_ERR" 'older than 999999, the least that is accepted'
	vm_run "$guest" 60 "$volume/bin/$arch/capture" --check --kmods "$volume/kmods" \
		--manifest-sha256 "$manifest" --allow-untested || :
	says 'the module is found by the build id of the kernel' "$VM_OUT" 'by its build id'
}

# The module of the catalogue, on the volume, loads in this very kernel and dumps the same.
check_module() {
	release=$(cut -d ' ' -f 1 "$dir/uname")
	cp --sparse=always out/fvol.img "$dir/lime.img"
	vm_attach "$guest" "$dir/lime.img" "$SERIAL"
	path_step "$guest" Mount "VolumeId=$VOLUME_ID"
	same 'mount for LiME: exit code' "$STEP_CODE" 0
	module=$(jq -r --arg arch "$arch" --arg release "$release" \
		'.modules[] | select(.arch == $arch and .release == $release).file' \
		out/kmods/catalogue.json)
	check 'the catalogue has a module for this kernel' test -n "$module" || return 0
	check_catalogue
	check 'it loads from the volume' "$VM_TOOLS/vmctl" insmod --timeout 300 \
		"$dir/agent.sock" "/run/fvol/volume/kmods/$module" \
		'path=/run/fvol/volume/evidence/module.lime format=lime timeout=0'
	check 'it unloads' "$VM_TOOLS/vmctl" rmmod "$dir/agent.sock" lime
	path_step "$guest" Unmount
	same 'unmount after LiME: exit code' "$STEP_CODE" 0
	vm_detach "$guest" "$SERIAL"
	mkdir -p "$dir/lime"
	check 'its dump is read back' "$IMAGE_TOOL" extract "$dir/lime.img" \
		/evidence/module.lime "$dir/lime"
	check 'its ranges are the same' "$VM_TOOLS/limecheck" ranges \
		"$(find "$dir/lime" -name module.lime)" "$dir/iomem"
}

vm_start "$guest" "$arch" 512 "$VM_KERNEL" "$VM_ROOT"
echo "# kernel: $(cat "$dir/uname")"
attach_volumes
acquire
check_left_nothing
check_evidence
check_truth
idle_control
check_disk
check_triage
if [ "${3:-}" != no-module ]; then check_module; fi
rm -f "$dir"/*.raw "$dir"/*disk* "$dir"/*.img
exit "$failed"
