# What the tests of image formats share: a guest with memory that does not compress, a plain
# disk that captures go to, and the images read back from it. Source after vm.sh and path.sh,
# from the root of the repository.
# shellcheck shell=sh disable=SC2034,SC2154
READIMAGE=build/check/bin/readimage
EVIDENCE=/mnt/evidence

# Arguments: MEM_MIB DISK_SIZE. Boots $guest, with capture and fill in it and an empty ext4
# disk of that size mounted at /mnt. Uses guest; sets dir, disk.
images_boot() {
	dir=$VM_DIR/$guest
	vm_start "$guest" x86_64 "$1" "$VM_KERNEL" "$VM_ROOT"
	vm_ctl "$guest" put build/release/x86_64/bin/capture /tmp/capture 755
	vm_ctl "$guest" put "$VM_TOOLS/x86_64/fill" /tmp/fill 755
	disk=$dir/disk.img
	images_disk "$2" "$disk" "$SERIAL"
}

# Arguments: SIZE IMAGE SERIAL. Attaches an empty disk and mounts it at /mnt.
images_disk() {
	path_disk "$guest" "$1" "$2" "$3" -m 0
	vm_run "$guest" 20 mkdir /mnt/evidence
}

# Arguments: SERIAL. Unmounts and detaches what images_disk made.
images_eject() {
	vm_run "$guest" 60 umount /mnt
	vm_detach "$guest" "$1"
}

# Arguments: MIB [EVERY_KIB] of fill. Replaces what was filled before. Sets fill_phys and
# fill_len: the longest stretch of it in physical memory.
images_fill() {
	images_unfill
	if ! vm_run "$guest" 120 /tmp/fill "$@"; then
		cat "$VM_OUT" "$VM_ERR"
		return 1
	fi
	read -r fill_phys fill_len < "$VM_OUT"
	fill_phys=$((0x$fill_phys)) fill_len=$((0x$fill_len))
}

images_unfill() {
	for holder in $(vm_ctl "$guest" ps | awk '$3 == "fill" { print $1 }'); do
		vm_run "$guest" 20 sh -c "kill $holder"
	done
}

# Arguments: NAME [OPTION...]. A capture in the guest, with the instance id NAME. The exit
# code is in $dir/NAME.code ("never" when there was none), its output in NAME.out and .err.
images_capture() {
	images_name=$1
	shift
	vm_run "$guest" 300 /tmp/capture --evidence "$EVIDENCE" --instance "$images_name" \
		--json "$@" || :
	cp "$VM_OUT" "$dir/$images_name.out"
	cp "$VM_ERR" "$dir/$images_name.err"
	case $VM_STATUS in
	'exit '*) echo "${VM_STATUS#exit }" ;;
	*) echo never ;;
	esac > "$dir/$images_name.code"
}

# Arguments: NAME. Was memory captured whole, or but for a gap that is listed? Some guests
# have a part of a page below 1 MiB that no source gives.
images_captured() {
	case $(cat "$dir/$1.code") in
	0 | 3) ok "$1: ends with $(cat "$dir/$1.code")" ;;
	*)
		bad "$1: ends with $(cat "$dir/$1.code")"
		cat "$dir/$1.err"
		;;
	esac
}

# Arguments: none. Copies all evidence off the disk, which the guest must have let go, to
# $dir/evidence/NAME/TIME.
images_pull() {
	mkdir -p "$dir/pulled"
	"$IMAGE_TOOL" extract "$disk" /evidence "$dir/pulled" > "$dir/extract.log" 2>&1
	mv "$dir/pulled/evidence" "$dir/evidence"
}

# Arguments: NAME. Prints the path of the one image of that capture.
images_path() {
	find "$dir/evidence/$1" -name 'memory.*' -not -name memory.chunks
}
