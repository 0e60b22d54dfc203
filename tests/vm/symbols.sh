#!/bin/sh
# Symbol files against the kernels that they are of: a module built with each kernel's real
# headers says, in a guest that runs it, where its structures have their members and where
# its variables are; and the file made from the kernel's package must say the same. The
# file made from the guest's own bundle, and from a dump of its memory, must be that file.
# Needs build/tests/kernels, which `make test` makes (tests/vm/fetch-kernels.sh).
# Environment: CASES (what to run, default all: x86_64 debian13 aarch64).
# Exit: 0 all ok; 1 a check failed; 5 never finished.
set -eu
export LC_ALL=C
# shellcheck disable=SC1091 source=tests/vm/vm.sh
. tests/vm/vm.sh
# shellcheck disable=SC1091 source=tests/vm/path.sh
. tests/vm/path.sh
vm_trap
SYMBOLS=build/release/x86_64/bin/symbols
dir=$VM_DIR

# Arguments: NAME ARCH KERNEL. A guest with capture, the facts module and an empty disk at
# /mnt; leaves its facts, its shift and the evidence in $dir.
ask() {
	guest=symbols-$1 arch=$2
	dir=$VM_DIR/$guest
	# shellcheck disable=SC2034
	VM_APPEND=no_timer_check
	vm_start "$guest" "$arch" 512 "$3" "$VM_DIR/root-$arch-busybox.img"
	release=$(cut -d ' ' -f 1 "$dir/uname")
	echo "# $guest: $arch $release"
	vm_ctl "$guest" put "build/release/$arch/bin/capture" /opt/capture 755
	vm_ctl "$guest" put "$(find build/tests/kernels/facts* \
		-path "*/$arch/$release/lime.ko")" /opt/facts.ko 600
	vm_ctl "$guest" insmod /opt/facts.ko
	vm_run "$guest" 20 cat /proc/fvol_facts
	cp "$VM_OUT" "$dir/facts"
	path_disk "$guest" 1G "$dir/evidence.img" "$SERIAL" \
		-E lazy_itable_init=0,lazy_journal_init=0
	vm_run "$guest" 300 /opt/capture --evidence /mnt --instance "$INSTANCE" --no-hash
	same "$1: capture" "$VM_STATUS" 'exit 0'
	vm_run "$guest" 60 umount /mnt
	vm_detach "$guest" "$SERIAL"
	vm_stop "$guest"
	mkdir -p "$dir/back"
	"$IMAGE_TOOL" extract "$dir/evidence.img" / "$dir/back" > "$dir/extract.log"
	rm -f "$dir/evidence.img"
	image=$(find "$dir/back" -name memory.lime)
	bundle=${image%/*}/symbols.tar
	shift=$(tar -xOf "$bundle" symbols/vmcoreinfo | sed -n 's/^KERNELOFFSET=//p')
}

# Arguments: TITLE WANTED-EXIT OPTION... Runs the program; output in $dir/out and .err.
makes() {
	title=$1 want=$2
	shift 2
	rc=0
	"$SYMBOLS" "$@" > "$dir/out" 2> "$dir/err" || rc=$?
	same "$title" "$rc" "$want"
	[ "$rc" = "$want" ] || sed 's/^/    /' "$dir/err"
}

# Arguments: NAME KERNEL WANTED-EXIT. What is made of package, bundle and dump.
compare() {
	makes "$1: from the kernel" "$3" --vmlinux "$2" --output "$dir/kernel.json.xz"
	cp "$dir/err" "$dir/missing"
	makes "$1: from the bundle" "$3" --bundle "$bundle" --output "$dir/bundle.json.xz"
	makes "$1: from the dump alone" "$3" --dump "$image" --output "$dir/dump.json.xz"
	check "$1: a reader of its own takes it" python3 tests/symbols/schema.py \
		"$dir/kernel.json.xz" || :
	makes "$1: --check takes it" 0 --check "$dir/kernel.json.xz"
	python3 tests/symbols/facts.py "$dir/kernel.json.xz" "$dir/facts" "$shift" \
		> "$dir/compared" || failed=1
	sed "s/^\(ok\|FAIL\) /\1 $1: /" "$dir/compared"
}

# Arguments: NAME ARCH DIRECTORY-OF-KERNELS. One kernel with a symbol table that has data.
whole() {
	kernel=$(find "$3" -name 'vmlinuz-*' | sort -V | tail -n 1)
	ask "$1" "$2" "$kernel"
	compare "$1" "$kernel" 0
	check "$1: bundle and dump give the same file" cmp "$dir/bundle.json.xz" \
		"$dir/dump.json.xz" || :
	check "$1: the kernel's file is the same, too" cmp "$dir/kernel.json.xz" \
		"$dir/dump.json.xz" || :
	rm -rf "$dir/back"
}

# Debian's 6.1 for arm64 has functions alone in its table: what is found beside it must be
# right, and what is missing is said.
functions_alone() {
	kernel=$(find build/kernels/aarch64 -name 'vmlinuz-*' | sort -V | tail -n 1)
	ask aarch64 aarch64 "$kernel"
	compare aarch64 "$kernel" 3
	says 'aarch64: what is missing is named' "$dir/missing" \
		"^symbols: missing: the kernel's table has no tty_drivers\$"
	# A dump has more to find things by than the kernel's file, its bundle less.
	python3 tests/symbols/facts.py "$dir/dump.json.xz" "$dir/facts" "$shift" \
		> "$dir/compared" || failed=1
	sed "s/^\(ok\|FAIL\) /\1 aarch64 dump: /" "$dir/compared"
	# The module that tells the facts is loaded, so that there is a list of modules.
	xz -dc "$dir/dump.json.xz" | jq -r '.symbols | keys[]' > "$dir/names"
	for name in init_files init_mm modules module_kset socket_file_ops \
		sockfs_dentry_operations iomem_resource linux_banner; do
		same "aarch64 dump: $name is found" "$(grep -cx "$name" "$dir/names")" 1
	done
	rm -rf "$dir/back"
}

for arch in x86_64 aarch64; do
	sh tests/vm/mkroot.sh $arch "$VM_DIR/root-$arch-busybox.img" busybox
done
for case in ${CASES:-x86_64 debian13 aarch64}; do
	case $case in
	x86_64) whole x86_64 x86_64 build/kernels/x86_64 ;;
	debian13) whole debian13 x86_64 build/tests/kernels/x86_64 ;;
	aarch64) functions_alone ;;
	esac
done
exit "$failed"
