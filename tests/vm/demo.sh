#!/bin/sh
# The path on one screen: a machine is running, the volume is attached, mount, capture,
# triage and unmount run as the SSM agent runs them, and the evidence is read back. demo.sh
set -eu
export LC_ALL=C
# shellcheck source=tests/vm/vm.sh
. tests/vm/vm.sh
# shellcheck source=tests/vm/path.sh
. tests/vm/path.sh
vm_trap
guest=demo
dir=$VM_DIR/$guest
path_prepare x86_64

# Arguments: a sentence.
step() {
	printf '\n\033[1m%s\033[0m\n' "$1"
}

# Arguments: GUEST NAME [NAME=VALUE...]. Runs a document and shows what the agent would send.
document() {
	echo "\$ aws ssm send-command --document-name FVol-$2 ${3:+--parameters $3}"
	path_step "$@"
	sed 's/^/  /' "$dir/$2.err" "$dir/$2.out"
	case $STEP_CODE in
	0 | 3) ;;
	*)
		echo "demo: FVol-$2 ended with $STEP_CODE" >&2
		exit 5
		;;
	esac
}

step 'A machine is running (Debian cloud kernel, 512 MiB, no volume yet)'
vm_start "$guest" x86_64 512 "$VM_KERNEL" "$VM_ROOT"
cut -d ' ' -f 1,2 "$dir/uname" | sed 's/^/  /'
vm_ctl "$guest" plant 4 "$dir/plant" > /dev/null
echo '  a process holds four pages of random bytes: the evidence to be found'

step "The forensic volume is attached as $VOLUME_ID"
cp --sparse=always out/fvol.img "$dir/volume.img"
vm_attach "$guest" "$dir/volume.img" "$SERIAL"
document "$guest" Mount "VolumeId=$VOLUME_ID"
document "$guest" Capture
document "$guest" Triage
document "$guest" Unmount
vm_detach "$guest" "$SERIAL"

step 'Detached. The evidence, read back without mounting the volume:'
mkdir -p "$dir/evidence"
"$IMAGE_TOOL" ls "$dir/volume.img" /evidence | sed 's/^/  /'
"$IMAGE_TOOL" extract "$dir/volume.img" /evidence "$dir/evidence" > "$dir/extract.out"
dump=$(find "$dir/evidence" -name memory.lime)
(cd "${dump%/*}" && sha256sum -c SHA256SUMS) | sed 's/^/  /'
"$VM_TOOLS/limecheck" planted "$dump" "$dir/plant" > "$dir/planted"
sed 's/^/  planted pages: /' "$dir/planted"
live=$(find "$dir/evidence" -name triage.jsonl)
(cd "${live%/*}" && sha256sum -c SHA256SUMS) | sed 's/^/  /'
printf '\nThe image is %s,\nthe report %s\n' "$dump" "${live%/*}/report.html"
