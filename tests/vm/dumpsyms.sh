#!/bin/sh
# What the library finds of a kernel in a memory image alone, and in the kernel's file,
# against what the running kernel says: /proc/kallsyms, /sys/kernel/btf/vmlinux and
# /proc/version of a guest, byte for byte, in every format of an image.
# Arguments: [ARCH VMLINUZ]... (default: all of build/kernels and build/tests/kernels).
# Needs build/check/bin/kernelsyms. Exit: 0 all ok; 1 a check failed; 5 never finished.
set -eu
export LC_ALL=C
# shellcheck source=tests/vm/vm.sh
. tests/vm/vm.sh
# shellcheck source=tests/vm/path.sh
. tests/vm/path.sh
vm_trap
READER=build/check/bin/kernelsyms
MEMORY_MIB=320
dir=$VM_DIR

# Arguments: GUEST ARCH VMLINUZ FORMAT... Boots, captures in each format, reads all back.
# Sets dir; the evidence of FORMAT is below $dir/back/FORMAT.
capture() {
	guest=$1 arch=$2 kernel=$3
	shift 3
	dir=$VM_DIR/$guest
	# shellcheck disable=SC2034 # the emulator's timer is late under load
	VM_APPEND=no_timer_check
	vm_start "$guest" "$arch" "$MEMORY_MIB" "$kernel" "$VM_DIR/root-$arch-busybox.img"
	echo "# $guest: $arch $(cut -d ' ' -f 1 "$dir/uname")"
	vm_ctl "$guest" put "build/release/$arch/bin/capture" /opt/capture 755
	disk=$dir/evidence.img
	path_disk "$guest" 4G "$disk" "$SERIAL" -E lazy_itable_init=0,lazy_journal_init=0
	for format; do
		vm_run "$guest" 20 mkdir "/mnt/$format"
		vm_run "$guest" 300 /opt/capture --evidence "/mnt/$format" \
			--instance "$INSTANCE" --format "$format" --no-hash --source kcore || :
		case $VM_STATUS in
		# 3: a part of a page below 1 MiB has no place in kcore.
		'exit 0' | 'exit 3') ok "$guest: captured as $format" ;;
		*)
			bad "$guest: capture as $format: $VM_STATUS"
			cat "$VM_ERR"
			;;
		esac
	done
	vm_run "$guest" 60 umount /mnt
	vm_detach "$guest" "$SERIAL"
	vm_stop "$guest"
	mkdir -p "$dir/back"
	"$IMAGE_TOOL" extract "$disk" / "$dir/back" > "$dir/extract.log"
	rm -f "$disk" "$dir/root.img"
}

# Arguments: none. Is what was found the guest's table? Variables that a table of code alone
# has not, and that were found otherwise, stand behind it.
# shellcheck disable=SC2317 # check calls it
is_table() {
	lines=$(wc -l < "$dir/kallsyms")
	if [ "$(wc -l < "$dir/found/kallsyms")" -ne "$lines" ] &&
		grep -q ' init_task$' "$dir/kallsyms"; then
		echo "found are $(wc -l < "$dir/found/kallsyms") symbols"
		return 1
	fi
	head -n "$lines" "$dir/found/kallsyms" | cmp - "$dir/kallsyms"
}

# Arguments: FORMAT. The image of that format alone against the guest's words.
check_image() {
	image=$(find "$dir/back/$1" -name 'memory.*' -not -name memory.chunks)
	said=${image%/*}/symbols
	tar -xf "$said.tar" -C "${image%/*}"
	told=-
	[ "$1" != raw ] || told=raw
	rm -rf "$dir/found"
	mkdir "$dir/found"
	check "$guest: $1: the kernel is found" "$READER" image "$image" "$told" \
		"$dir/found" || return 0
	cp "$dir/check.out" "$dir/facts"
	grep -v '\[' "$said/kallsyms" > "$dir/kallsyms"
	check "$guest: $1: $(grep -c . "$dir/kallsyms") symbols are those of /proc/kallsyms" \
		is_table
	check "$guest: $1: the types are those of /sys/kernel/btf/vmlinux" \
		cmp "$dir/found/btf" "$said/btf"
	check "$guest: $1: the banner is that of /proc/version" \
		cmp "$dir/found/version" "$said/version"
	same "$guest: $1: the build id is the record's" \
		"$(sed -n 's/.*build_id=\([0-9a-f]*\).*/\1/p' "$dir/facts")" \
		"$(jq -r .kernel.build_id "${said%/*}/record.json")"
}

# Arguments: none. The lime image once more, with the variables of the kernel's table hidden:
# those that are found are where the table has them. Kernels that have none are compared
# with a module's words in symbols.sh.
check_variables() {
	image=$(find "$dir/back/lime" -name memory.lime)
	grep -q ' init_task$' "$dir/kallsyms" || return 0
	check "$guest: variables that are found are the table's" "$READER" data "$image" - ||
		return 0
	cp "$dir/check.out" "$dir/variables"
	echo "# $guest: $(grep -c right "$dir/variables") variables"
	for name in init_task init_net net_namespace_list iomem_resource; do
		same "$guest: $name is found" "$(grep "^$name " "$dir/variables")" "$name right"
	done
}

# Arguments: VMLINUZ. Its symbols, with the guest's KASLR shift, against the guest's.
check_kernel() {
	rm -rf "$dir/found"
	mkdir "$dir/found"
	check "$guest: the file of the kernel has symbols" "$READER" kernel "$1" \
		"$(sed -n 's/.*shift=\([0-9a-f]*\).*/\1/p' "$dir/facts")" "$dir/found" ||
		return 0
	check "$guest: the file's symbols are the guest's, shifted" \
		cmp "$dir/found/kallsyms" "$dir/kallsyms"
}

# Arguments: ARCH VMLINUZ FORMAT...
kernel() {
	kernel_arch=$1 kernel_file=$2
	shift 2
	number=$((${number:-0} + 1))
	capture "dumpsyms-$number" "$kernel_arch" "$kernel_file" "$@"
	for format; do
		check_image "$format"
	done
	check_variables
	check_kernel "$kernel_file"
	rm -rf "$dir/back"
}

# An image of memory without a kernel: the answer is a sentence.
no_kernel() {
	dir=$VM_DIR
	truncate -s 64M "$dir/nothing.raw"
	if "$READER" image "$dir/nothing.raw" raw "$dir" 2> "$dir/nothing.err"; then
		bad 'nothing: something is found in zeros'
	else
		says 'nothing: a sentence says so' "$dir/nothing.err" \
			'^kernelsyms: the image holds no VMCOREINFO'
	fi
	rm -f "$dir/nothing.raw"
}

mkdir -p "$VM_DIR"
for one in x86_64 aarch64; do
	sh tests/vm/mkroot.sh "$one" "$VM_DIR/root-$one-busybox.img" busybox
done
no_kernel
if [ $# -eq 0 ]; then
	for one in x86_64 aarch64; do
		# shellcheck disable=SC2046 # names of our own making, without blanks
		set -- "$@" $(find "build/kernels/$one" "build/tests/kernels/$one" \
			-name 'vmlinuz-*' 2> /dev/null | sort -V | sed "s/^/$one /")
	done
fi
# All formats once for each architecture; they do not depend on the kernel.
seen=
while [ $# -ge 2 ]; do
	case " $seen " in
	*" $1 "*) kernel "$1" "$2" lime ;;
	*) kernel "$1" "$2" lime avml zst raw ;;
	esac
	seen="$seen $1"
	shift 2
done
exit "$failed"
