#!/bin/sh
# Tests of the instruments alone, without a guest: each must say no when it has to.
# Exit: 0 all ok; 1 a check failed; 5 could not be run.
set -eu
export LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin

tools=${VM_TOOLS:-build/tests/vm}
failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 5' HUP INT TERM

# Arguments: EXIT-CODE TITLE COMMAND... Prints ok or FAIL; the command must end so.
check() {
	want=$1 title=$2
	shift 2
	rc=0
	"$@" > "$work/out" 2> "$work/err" || rc=$?
	if [ "$rc" -eq "$want" ]; then
		echo "ok   $title"
	else
		echo "FAIL $title (exit $rc, wanted $want)"
		cat "$work/out" "$work/err"
		failed=1
	fi
}

# Arguments: TITLE TEXT. The output of the last check has the text.
said() {
	if grep -q -- "$2" "$work/out" "$work/err"; then
		echo "ok   $1"
	else
		echo "FAIL $1: no '$2' in:"
		cat "$work/out" "$work/err"
		failed=1
	fi
}

# Arguments: NUMBER. Prints it as 8 bytes, little-endian (octal escapes, for any printf).
le64() {
	n=$1
	for _ in 1 2 3 4 5 6 7 8; do
		# shellcheck disable=SC2059
		printf "\\$(printf %o $((n % 256)))"
		n=$((n / 256))
	done
}

# Arguments: START END(inclusive). Prints one LiME v1 record of patterned bytes.
record() {
	printf 'EMiL\001\000\000\000'
	le64 "$1"
	le64 "$2"
	le64 0
	tail -c +$(($1 + 1)) "$work/memory" | head -c $(($2 - $1 + 1))
}

# Arguments: FILE OFFSET. Changes one byte.
flip() {
	byte=$(dd if="$1" bs=1 skip="$2" count=1 2> /dev/null | od -An -tu1)
	# shellcheck disable=SC2059
	printf "\\$(printf %o $((byte ^ 85)))" | dd of="$1" bs=1 seek="$2" conv=notrunc 2> /dev/null
}

lime_checks() {
	seq 1 20000 | head -c 65536 > "$work/memory"
	cat > "$work/iomem" << 'IOMEM'
00000000-00000fff : Reserved
00001000-00003bff : System RAM
  00001000-00001fff : Kernel code
00005000-0000ffff : PCI Bus
  00008000-00009fff : System RAM (kmem)
IOMEM
	{ record 4096 15359; record 32768 40959; } > "$work/dump"
	check 0 'ranges: exact' "$tools/limecheck" ranges "$work/dump" "$work/iomem"
	{ record 4096 15358; record 32768 40959; } > "$work/short"
	check 1 'ranges: last byte of a range missing' \
		"$tools/limecheck" ranges "$work/short" "$work/iomem"
	record 4096 15359 > "$work/one"
	check 1 'ranges: a range missing' "$tools/limecheck" ranges "$work/one" "$work/iomem"
	{ cat "$work/dump"; printf x; } > "$work/long"
	check 5 'ranges: a byte too many' "$tools/limecheck" ranges "$work/long" "$work/iomem"
	head -c -1 "$work/dump" > "$work/cut"
	check 5 'ranges: a byte too few' "$tools/limecheck" ranges "$work/cut" "$work/iomem"
	{ record 32768 40959; record 4096 15359; } > "$work/order"
	check 5 'ranges: out of order' "$tools/limecheck" ranges "$work/order" "$work/iomem"

	check 0 'compare: a dump against its own memory' \
		"$tools/limecheck" compare "$work/dump" "$work/memory" "$work/memory"
	said 'compare: all pages equal' 'pages=5 before=5 after=5 either=5 neither=0 absent=0'
	cp "$work/memory" "$work/later"
	flip "$work/later" 15359
	check 0 'compare: one byte of a partial page' \
		"$tools/limecheck" compare "$work/dump" "$work/memory" "$work/later"
	said 'compare: is counted' 'before=5 after=4 either=5 neither=0'
	check 0 'each: a line a range' \
		"$tools/limecheck" each "$work/dump" "$work/later" "$work/memory"
	said 'each: the range that differs' 'start=1000 pages=3 before=2 either=3 absent=0'
	said 'each: the one that does not' 'start=8000 pages=2 before=2 either=2 absent=0'
	tail -c +$((34000 + 1)) "$work/memory" | head -c 16 | od -An -tx1 > "$work/hex"
	check 0 'find: there' "$tools/limecheck" find "$work/dump" 84d0 "$work/hex"
	check 1 'find: elsewhere' "$tools/limecheck" find "$work/dump" 84d1 "$work/hex"
	check 1 'find: in no range' "$tools/limecheck" find "$work/dump" 4000 "$work/hex"
	printf '8000 2000 0\n' > "$work/later.map"
	check 5 'memdiff: a save that lacks a range' \
		"$tools/memdiff" "$work/memory" "$work/later" "$work/iomem"
	rm "$work/later.map"
	check 0 'memdiff' "$tools/memdiff" "$work/memory" "$work/later" "$work/iomem"
	said 'memdiff: one page' 'pages=5 changed=1'
}

# Arguments: EXIT TITLE. Compares $work/changed with the original.
disk() {
	check "$1" "fsdiff: $2" "$tools/fsdiff" "$work/disk" "$work/changed" --allow /var/allowed
	cp "$work/disk" "$work/changed"
}

# Arguments: COMMAND. One debugfs command on $work/changed.
edit() {
	debugfs -w -R "$1" "$work/changed" > /dev/null 2>&1
}

fsdiff_checks() {
	mkdir -p "$work/tree/var/allowed/sub" "$work/tree/etc"
	seq 1 3000 > "$work/tree/etc/file"
	seq 1 3000 > "$work/tree/var/allowed/file"
	truncate -s 32M "$work/disk"
	mke2fs -q -F -t ext4 -b 4096 -g 4096 -I 256 -O metadata_csum,64bit,^orphan_file \
		-E lazy_itable_init=0 -J size=4 -d "$work/tree" "$work/disk" 2> /dev/null ||
		mke2fs -q -F -t ext4 -b 4096 -g 4096 -I 256 -O metadata_csum,64bit \
			-E lazy_itable_init=0 -J size=4 -d "$work/tree" "$work/disk"
	cp "$work/disk" "$work/changed"
	disk 0 'the same'
	block=$(debugfs -R 'blocks /etc/file' "$work/disk" 2> /dev/null | awk '{ print $1 }')
	flip "$work/changed" $((block * 4096 + 7))
	disk 1 'one byte of a file'
	said 'fsdiff: names the file' "outside: block $block, byte 7: inode .* /etc/file"
	flip "$work/changed" $((block * 4096 + 3 * 4096 + 4000))
	disk 1 'one byte of slack behind the end of a file'
	free=$(debugfs -R 'ffb 1' "$work/disk" 2> /dev/null | awk '{ print $NF }')
	flip "$work/changed" $((free * 4096))
	disk 1 'one byte of a free block'
	said 'fsdiff: says free' "outside: free block $free"
	flip "$work/changed" $((32 * 1048576 - 1))
	disk 1 'the last byte of the disk'
	flip "$work/changed" 100
	disk 1 'a byte of the boot block'
	flip "$work/changed" 3000
	disk 1 'a byte behind the superblock'
	flip "$work/changed" $((1024 + 0x78))
	disk 1 'a byte of the label'
	edit 'set_inode_field /etc/file atime 20200101000000'
	disk 1 'an access time'
	said 'fsdiff: says access time' 'outside: inode .* /etc/file: access time'
	edit 'set_inode_field / atime 20200101000000'
	disk 1 'the access time of the root directory'
	edit 'set_inode_field <9> mtime 20200101000000'
	disk 1 'a reserved inode'
	edit "setb $free"
	disk 1 'a bit of the block bitmap'
	edit 'seti <40>'
	disk 1 'a bit of the inode bitmap'
	edit "write $work/tree/etc/file /etc/new"
	disk 1 'a new file outside'
	edit 'rm /etc/file'
	disk 1 'a file outside removed'
	edit 'set_super_value mnt_count 7'
	disk 0 'the mount count'
	edit 'set_super_value wtime 20200101000000'
	disk 0 'the write time'
	printf 'cd /var/allowed\nwrite %s new\nmkdir dir\nsif file atime 20200101000000\n' \
		"$work/tree/etc/file" > "$work/commands"
	debugfs -w -f "$work/commands" "$work/changed" > /dev/null 2>&1
	disk 0 'new file and directory, and an access time, inside'
	check 5 'fsdiff: not a file system' "$tools/fsdiff" "$work/memory" "$work/memory"
}

lime_checks
fsdiff_checks
exit "$failed"
