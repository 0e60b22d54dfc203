#!/bin/sh
# Grows images online by `grow`, mounted in a virtual machine, to the size of larger disks:
# grow.sh [SIZE...] (default 4G 64G 1T). Run from the root of the repository. By hand up to
# what ext4 can hold, on a file system that takes so large a sparse file (ext4 does not, tmpfs
# does); half an hour, of which next to all is the emulated kernel's:
#   GROW_DISK=/dev/shm/disk GROW_MIB=3072 GROW_S=5000 VM_MAX_S=6000 FROM=1G \
#       sh tests/image/grow.sh 16T
# Environment: GROW_DISK (the disk's file), GROW_MIB (the guest's memory, 1024), GROW_S (its
# time for one growth, 600), FROM (sizes of the image, "128M 1G"), VM_KERNEL (a vmlinuz for x86_64), VM_ROOT (a root disk of mkroot.sh; made
# when unset), IMAGE, GROW (the program, static), VM_TOOLS.
# Exit: 0 passed, 1 failed, 5 never finished, 77 skipped with the reason.
set -eu
export LC_ALL=C
PATH=/usr/sbin:/sbin:$PATH

IMAGE=${IMAGE:-build/release/x86_64/bin/image}
VM_TOOLS=${VM_TOOLS:-build/tests/vm}
VM_DIR=${VM_DIR:-build/vm/grow}
GROW=${GROW:-build/release/x86_64/bin/grow}
export VM_TOOLS VM_DIR

VM_KERNEL=${VM_KERNEL:-$(find build/kernels/x86_64 -name 'vmlinu*' 2> /dev/null |
	sort -V | tail -n 1)}
[ -n "$VM_KERNEL" ] || { echo 'skip: no kernel in VM_KERNEL or build/kernels'; exit 77; }
for program in qemu-system-x86_64 e2fsck jq "$GROW" "$VM_TOOLS/vmctl"; do
	command -v "$program" > /dev/null && continue
	echo "skip: $program is missing"
	exit 77
done
mkdir -p "$VM_DIR"
# shellcheck source=tests/vm/vm.sh disable=SC1091
. tests/vm/vm.sh
vm_trap
if [ -z "${VM_ROOT:-}" ]; then
	VM_ROOT=$VM_DIR/root.img
	sh tests/vm/mkroot.sh x86_64 "$VM_ROOT" busybox
fi
guest=grow
disk=${GROW_DISK:-$VM_DIR/disk.img}
failed=0

# Arguments: title, command... Returns: 0; says whether the command succeeded.
holds() {
	title=$1
	shift
	if "$@" > "$VM_DIR/log" 2>&1; then
		echo "ok $title"
	else
		echo "FAIL $title"
		tail -n 12 "$VM_DIR/log" | sed 's/^/     /'
		failed=1
	fi
}

# Arguments: title, program and arguments. Runs it in the guest; shows what it prints.
in_guest() {
	title=$1
	shift
	rc=0
	vm_run $guest "${GROW_S:-600}" "$@" || rc=$?
	if vm_never_finished; then
		echo "never finished: $title"
		exit 5
	fi
	if [ $rc = 0 ]; then
		echo "ok $title"
	else
		echo "FAIL $title: $VM_STATUS"
		cat "$VM_OUT" "$VM_ERR" | tail -n 12 | sed 's/^/     /'
		failed=1
	fi
}

# What runs in the guest: finds the disk, grows it, writes to it, grows it again.
# Arguments: serial.
make_step() {
	cat > "$VM_DIR/step.sh" << END
set -eu
d=
for i in 1 2 3 4 5 6 7 8 9 10; do
	for s in /sys/block/nvme*/device/serial; do
		grep -q $1 "\$s" && d=\$(basename "\$(dirname "\$(dirname "\$s")")")
	done
	[ -b "/dev/\$d" ] && break
	sleep 1
done
mkdir -p /tmp/v
mount -t ext4 -o nosuid,nodev,noatime "/dev/\$d" /tmp/v
# Pages that growing takes: cached blocks of the disk and the kernel's own tables.
kib() { awk '/^(Buffers|Slab|Cached):/ { n += \$2 } END { print n }' /proc/meminfo; }
# Field 7 of stat: sectors written; 9-10 in newer ones are not of interest.
set -- \$(cat /sys/block/\$d/stat) && w=\$7
m=\$(kib)
u=\$(cut -d' ' -f1 /proc/uptime)
/tmp/grow --json /tmp/v > /tmp/grow.out
u2=\$(cut -d' ' -f1 /proc/uptime)
set -- \$(cat /sys/block/\$d/stat)
echo "\$u \$u2 \$(((\$7 - w) / 2)) \$((\$(kib) - m))" |
	awk '{ printf "%.2f s, %d KiB written, %d KiB of memory\n", \$2 - \$1, \$3, \$4 }'
dd if=/dev/urandom of=/tmp/v/evidence/after bs=1M count=8 2> /dev/null
(cd /tmp/v && sha256sum -c MANIFEST > /dev/null)
/tmp/grow /tmp/v | grep -q 'is large enough'
umount /tmp/v
tail -n 1 /tmp/grow.out
END
}

mkdir -p "$VM_DIR/tree"
echo evidence > "$VM_DIR/tree/file"
printf '%s\n' "tree /docs tree" 'dir 0700 /evidence' > "$VM_DIR/plan"
export VM_LOW_MIB="${VM_LOW_MIB:-2048}"
vm_start $guest x86_64 "${GROW_MIB:-1024}" "$VM_KERNEL" "$VM_ROOT"
vm_ctl $guest put "$GROW" /tmp/grow 755 > /dev/null

# 4097 MiB: the last group is too small to be one. 4232 MiB: it is small, but can be.
[ $# -gt 0 ] || set -- 4G 4097M 4232M 64G 1T
n=0
for size in "$@"; do
	for from in ${FROM:-128M 1G}; do
		n=$((n + 1))
		serial=$(printf 'vol%017d' $n)
		rm -f "$disk"
		"$IMAGE" build --plan "$VM_DIR/plan" --root "$VM_DIR" --size "$from" \
			--epoch 1700000000 "$disk" > /dev/null
		if ! truncate -s "$size" "$disk" 2> /dev/null; then
			echo "     $from to $size: no such file on this file system"
			continue
		fi
		vm_attach $guest "$disk" "$serial"
		make_step "$serial"
		vm_ctl $guest put "$VM_DIR/step.sh" /tmp/step.sh 755 > /dev/null
		in_guest "$from to $size: grows" /bin/sh /tmp/step.sh
		sed 's/^/     /' "$VM_OUT"
		tail -n 1 "$VM_OUT" > "$VM_DIR/json"
		# At most 8 MiB are left over.
		holds "$from to $size: to the end of the disk" jq -e '.complete and
			.disk_bytes - .after_bytes < 8388608' "$VM_DIR/json"
		vm_detach $guest "$serial"
		holds "$from to $size: e2fsck finds nothing" e2fsck -fn "$disk"
		holds "$from to $size: verify" "$IMAGE" verify "$disk"
		dumpe2fs -h "$disk" 2> /dev/null |
			sed -n 's/^Filesystem features: */     features: /p'
		echo "     the disk's file takes $(du -m "$disk" | cut -f1) MiB"
	done
done
rm -f "$disk"
exit $failed
