#!/bin/sh
# Mounts images on this machine's kernel through a loop device, read-write as on an
# instance, and counts the blocks that a mount alone changes. Growing needs a kernel that
# lets us: grow.sh.
# Environment: IMAGE (the program), SETTLE (settle.c).
# Exit: 0 passed, 1 failed, 77 skipped with the reason.
# shellcheck disable=SC2317,SC2329 # what a trap calls is not dead
set -eu
export LC_ALL=C
PATH=/usr/sbin:/sbin:$PATH

ROOT=$(cd "$(dirname "$0")/../.." && pwd)
IMAGE=${IMAGE:-$ROOT/build/release/x86_64/bin/image}
SETTLE=${SETTLE:-$ROOT/build/check/bin/settle}

[ "$(id -u)" = 0 ] || { echo 'skip: mounting needs root'; exit 77; }
for program in losetup e2fsck mount umount; do
	command -v "$program" > /dev/null && continue
	echo "skip: $program is missing"
	exit 77
done
losetup -f > /dev/null 2>&1 || { echo 'skip: no loop devices'; exit 77; }

WORK=$(mktemp -d)
loop=
# Arguments: none. Returns: 0; takes back the mount and the loop device of this run.
clean_up() {
	umount "$WORK/mnt" 2> /dev/null || :
	[ -z "$loop" ] || losetup -d "$loop" || :
	rm -rf "$WORK"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM
cd "$WORK"
mkdir mnt tree
failed=0

# Arguments: title, command... Returns: 0; says whether the command succeeded.
holds() {
	title=$1
	shift
	if "$@" > log 2>&1; then
		echo "ok   $title"
	else
		echo "FAIL $title"
		sed 's/^/     /' log
		failed=1
	fi
}

# Arguments: two files. Prints the numbers of the 4 KiB blocks in which they differ.
changed_blocks() {
	cmp -l "$1" "$2" | awk '{ b = int(($1 - 1) / 4096); if (!(b in seen)) print b; seen[b] }'
}

i=0
while [ $i -lt 200 ]; do
	mkdir -p "tree/$i"
	echo "number $i" > "tree/$i/file with blanks"
	i=$((i + 1))
done
printf '%s\n' 'tree /kmods/x86_64 tree' 'dir 0700 /evidence' > plan

for size in 128M 1G; do
	"$IMAGE" build --plan plan --size $size --epoch 1700000000 --manifest-out m a.img \
		> /dev/null
	cp --sparse=always a.img b.img
	loop=$(losetup -f --show b.img)
	if ! mount -t ext4 -o nosuid,nodev,noatime "$loop" mnt 2> log; then
		echo "skip: this kernel cannot mount here: $(cat log)"
		exit 77
	fi
	holds "$size: sha256sum agrees inside the mount" \
		sh -c 'cd mnt && sha256sum -c --quiet MANIFEST'
	holds "$size: the MANIFEST is the one that was built" cmp m mnt/MANIFEST
	holds "$size: /evidence is root's alone" \
		[ "$(stat -c %a.%u.%g mnt/evidence)" = 700.0.0 ]
	# Any background writing of inode tables would have begun by now.
	sleep 2
	umount mnt
	changed_blocks a.img b.img > changed
	count=$(wc -l < changed)
	echo "     $size: a mount and unmount changed $count blocks of 4 KiB: $(tr '\n' ' ' < changed)"
	# Superblock and its copies, and a few of the journal: nothing else.
	holds "$size: a mount writes few blocks" [ "$count" -le 16 ]
	holds "$size: e2fsck finds nothing after a mount" e2fsck -fn b.img
	mount -t ext4 -o nosuid,nodev,noatime "$loop" mnt
	mkdir mnt/evidence/i-1
	if [ $size = 1G ]; then
		rc=0
		"$SETTLE" mnt/evidence/i-1/reserved 800 30 > settled 2>&1 || rc=$?
		echo "     $size: reserving 800 MiB: $(cat settled)"
		holds "$size: bitmaps of reserved room leave the memory" [ $rc = 0 -o $rc = 77 ]
		rm mnt/evidence/i-1/reserved
	fi
	dd if=/dev/urandom of=mnt/evidence/i-1/memory.lime bs=1M count=20 oflag=direct 2> log
	cp mnt/evidence/i-1/memory.lime written
	umount mnt
	holds "$size: e2fsck finds nothing after writing" e2fsck -fn b.img
	holds "$size: verify after writing" "$IMAGE" verify b.img
	mkdir "into-$size"
	holds "$size: evidence comes back" "$IMAGE" extract b.img /evidence/i-1 "into-$size"
	holds "$size: with the same bytes" cmp written "into-$size/i-1/memory.lime"
	# Pulled: a copy as the disk stands after fsync of each file, which commits to the
	# journal: names and sizes may stand there alone.
	mount -t ext4 -o nosuid,nodev,noatime "$loop" mnt
	mkdir mnt/evidence/i-2
	i=0
	while [ $i -lt 300 ]; do
		head -c $((i * 40 + 1)) written > "mnt/evidence/i-2/file-$i"
		i=$((i + 1))
	done
	rm mnt/evidence/i-2/file-?
	rm -r mnt/evidence/i-1
	cp written mnt/evidence/i-2/memory.lime
	rm -rf seen "pulled-$size"
	cp -r mnt/evidence/i-2 seen
	find mnt/evidence -exec sync {} +
	cp --sparse=always b.img pulled.img
	umount mnt
	mkdir "pulled-$size"
	rc=0
	"$IMAGE" extract pulled.img /evidence "pulled-$size" > log 2>&1 || rc=$?
	holds "$size: a pulled volume says so" [ $rc = 3 ]
	holds "$size: all of it is read by way of the journal" \
		diff -r seen "pulled-$size/evidence/i-2"
	holds "$size: and what was removed is not there" [ ! -e "pulled-$size/evidence/i-1" ]
	holds "$size: verify of a pulled volume" "$IMAGE" verify pulled.img
	# How much of it the kernel has written to its place by now is its own affair.
	debugfs -w -R 'feature -needs_recovery' pulled.img > /dev/null 2>&1
	echo "     $size: without the journal $("$IMAGE" ls pulled.img /evidence 2> /dev/null |
		wc -l) of $(find "pulled-$size/evidence" | wc -l) names were seen"
	rm -rf seen pulled.img
	losetup -d "$loop"
	loop=
done
exit $failed
