#!/bin/sh
# Tests the image program without root and without a kernel: what it builds is judged by
# e2fsprogs, what it reads is damaged by debugfs first. mount.sh and grow.sh go on with
# kernels. Environment: IMAGE (the program), IMAGE_CHECK (the same under sanitizers and
# without ext4 checksums, for damaged volumes; skipped when it is not there), IMAGE_FLIP
# (that one on a disk with a bad byte, flip.c).
#
# Exit: 0 passed, 1 failed, 77 skipped with the reason.
# shellcheck disable=SC2016,SC2094 # inner shells expand; a pipe ends before its file is read
set -eu
export LC_ALL=C
PATH=/usr/sbin:/sbin:$PATH

HERE=$(cd "$(dirname "$0")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
IMAGE=${IMAGE:-$ROOT/build/release/x86_64/bin/image}
IMAGE_CHECK=${IMAGE_CHECK:-$ROOT/build/check/bin/image}
IMAGE_FLIP=${IMAGE_FLIP:-$ROOT/build/check/bin/image-flip}

for program in e2fsck dumpe2fs debugfs setpriv; do
	command -v "$program" > /dev/null && continue
	echo "skip: $program is missing"
	exit 77
done

WORK=$(mktemp -d)
chmod 755 "$WORK"
trap 'rm -rf "$WORK"' EXIT
trap 'exit 1' HUP INT TERM
cd "$WORK"
failed=0


ok() {
	echo "ok   $*"
}

bad() {
	echo "FAIL $*"
	failed=1
}

# Arguments: title, command... Returns: 0; says whether the command succeeded.
holds() {
	title=$1
	shift
	if "$@" > log 2>&1; then
		ok "$title"
	else
		bad "$title"
		head -n 8 log | sed 's/^/     /'
	fi
}

# Arguments: exit code, pattern that the output must hold, title, command...
gives() {
	want=$1 pattern=$2 title=$3
	shift 3
	rc=0
	"$@" > log 2>&1 || rc=$?
	if [ "$rc" = "$want" ] && { [ -z "$pattern" ] || grep -q -e "$pattern" log; }; then
		ok "$title"
	else
		bad "$title: exit $rc, wanted $want and '$pattern'"
		head -n 8 log | sed 's/^/     /'
	fi
}

# Arguments: image, debugfs command... Returns: 0; changes an image that no one mounts.
change() {
	target=$1
	shift
	printf '%s\n' "$@" > requests
	debugfs -w -f requests "$target" > /dev/null 2>&1
}

# Arguments: image, path. Prints the number of the first block of a file.
first_block() {
	debugfs -R "blocks $2" "$1" 2> /dev/null | awk '{ print $1; exit }'
}

make_tree() {
	mkdir -p "$1/docs/deep/er" "$1/many" "$1/hollow"
	printf 'a tool\n' > "$1/tool"
	: > "$1/docs/empty"
	printf 'x' > "$1/docs/deep/er/one"
	printf 'with blanks\n' > "$1/docs/two words"
	dd if=/dev/zero bs=4096 count=1 2> /dev/null > "$1/docs/exactly one block"
	i=0
	while [ $i -lt 300 ]; do
		echo $i > "$1/many/a-name-that-fills-the-directory-block-quickly-$i"
		i=$((i + 1))
	done
}

# Longer than a block group: its blocks go around the superblock copy of group 1.
make_big() {
	yes 'the same line again and again' | head -c 150000000 > "$1/big"
}

cat > plan << 'END'
# A plan for the tests.
file 0755 /bin/tool tree/tool
tree /docs tree/docs
tree /many tree/many
file 0644 /big tree/big
dir 0700 /evidence
END
mkdir tree
make_tree tree
make_big tree

# --- what is built ---

gives 0 'MANIFEST sha256' 'builds' \
	"$IMAGE" build --plan plan --size 512M --epoch 1700000000 --manifest-out m a.img
holds 'e2fsck finds nothing' e2fsck -fn a.img

# --- a disk that gives other bytes back than were written ---

# Arguments: offset, what is said, title. Builds the same once more with that byte bad.
build_flipped() {
	gives 5 "$2" "$3" env FLIP="$1" "$IMAGE_FLIP" build --plan plan --size 512M \
		--epoch 1700000000 flipped.img
	holds "$3: no image is left" sh -c '[ ! -e flipped.img ] && [ ! -e flipped.img.partial ]'
}

# Arguments: path. Prints the offset of its inode's first extent's block number.
extent_offset() {
	debugfs -R "imap $1" a.img 2> /dev/null | sed -n \
		's/.*located at block \([0-9]*\), offset 0x\([0-9a-fA-F]*\).*/\1 0x\2/p' | {
		read -r block offset
		echo $((block * 4096 + offset + 60))
	}
}

build_flipped $(($(first_block a.img /bin/tool) * 4096 + 3)) \
	'gives other bytes back than were written' 'a bad byte of a small file'
build_flipped $(($(first_block a.img /big) * 4096 + 5000000)) \
	'gives other bytes back than were written' 'a bad byte of a large file'
build_flipped $(($(first_block a.img /MANIFEST) * 4096 + 1)) \
	'verifying what was written' 'a bad byte of the MANIFEST'
build_flipped "$(extent_offset /big)" 'verifying what was written' \
	'an inode that leads elsewhere'

dumpe2fs a.img > dump 2>&1
for line in 'volume name: *FVOL' 'Errors behavior: *Remount read-only' \
	'Reserved block count: *0$' 'Maximum mount count: *-1' 'Check interval: *0 ' \
	'Filesystem state: *clean' 'Journal size: *16M\|Total journal size: *16M' \
	'Filesystem created: *Tue Nov 14 22:13:20 2023' 'Last checked: *Tue Nov 14 22:13:20' \
	'Last write time: *Tue Nov 14 22:13:20 2023' 'Reserved GDT blocks: *127' \
	'Directory Hash Seed'; do
	holds "dumpe2fs: $line" env TZ=UTC grep -q "$line" dump
done
for feature in has_journal resize_inode 64bit flex_bg metadata_csum extent dir_index \
	large_file huge_file dir_nlink extra_isize sparse_super; do
	holds "feature $feature" grep -q "^Filesystem features:.* $feature" dump
done
holds 'no recovery is needed' sh -c '! grep -q needs_recovery dump'
groups=$(grep -c '^Group [0-9]' dump || :)
zeroed=$(grep -c '^Group [0-9].*ITABLE_ZEROED' dump || :)
holds "all $groups inode tables are marked zero" [ "$groups" = "$zeroed" ]
holds 'the output is sparse' [ "$(du -k a.img | cut -f1)" -lt 170000 ]
for path in / /big /bin /bin/tool /evidence /lost+found /MANIFEST '<7>' '<8>'; do
	debugfs -R "stat $path" a.img > stat 2> /dev/null
	times=$(grep -c 'time: 0x6553f100:00000000' stat || :)
	holds "all times and the owner of $path" \
		sh -c "[ $times = 4 ] && grep -q 'User: *0 *Group: *0 ' stat"
done
debugfs -R 'ls -p /' a.img 2> /dev/null > list
holds 'modes' sh -c "grep -q '/040700/0/0/evidence/' list && grep -q \
	'/040700/0/0/lost+found/' list && grep -q '/100644/0/0/MANIFEST/' list &&
	grep -q '/040755/0/0/bin/' list"
debugfs -R 'rdump / out' a.img > /dev/null 2>&1 || mkdir out
mkdir -p out && debugfs -R 'rdump / out' a.img > /dev/null 2>&1
holds 'sha256sum agrees with the MANIFEST' sh -c 'cd out && sha256sum -c --quiet MANIFEST'
holds 'the MANIFEST is sorted' sh -c "sed 's/^[^ ]*  //' m | sort -c"
holds 'the MANIFEST names every file' sh -c \
	'cd out && find . -type f ! -path ./MANIFEST | wc -l > ../n && [ "$(cat ../n)" -eq "$(wc -l < ../m)" ]'
holds '--manifest-out is the same' cmp m out/MANIFEST
holds 'UUID is of the MANIFEST' sh -c \
	'dumpe2fs -h a.img 2> /dev/null | grep -q "UUID: *$(sha256sum m | cut -c1-8)-"'
gives 0 'as the MANIFEST says' 'verify' "$IMAGE" verify a.img
gives 0 'as the MANIFEST says' 'verify with the hash of the MANIFEST' \
	"$IMAGE" verify --manifest-sha256 "$(sha256sum m | cut -d' ' -f1)" a.img
gives 1 'MANIFEST does not have the hash' 'verify with another hash' \
	"$IMAGE" verify --manifest-sha256 "$(echo | sha256sum | cut -d' ' -f1)" a.img

# Nothing but what the build makes itself: its own inodes must be right here, too.
for lines in '# nothing' 'dir 0700 /evidence'; do
	echo "$lines" > empty.plan
	gives 0 '0 files' "builds: $lines" \
		"$IMAGE" build --plan empty.plan --size 64M --epoch 1700000000 empty.img
	holds "e2fsck finds nothing: $lines" e2fsck -fn empty.img
	gives 0 '0 files' "verify: $lines" "$IMAGE" verify empty.img
done

# --- the same bytes ---

# Arguments: title, command that builds b.img.
same() {
	title=$1
	shift
	rm -f b.img
	"$@" > log 2>&1 || { bad "$title"; head -n 8 log | sed 's/^/     /'; return; }
	holds "same bytes: $title" cmp a.img b.img
}
build='--size 512M --epoch 1700000000'
# shellcheck disable=SC2086 # options
same 'umask, time zone, locale, times in the environment' \
	env TZ=Asia/Tokyo LC_ALL=C.UTF-8 LANG=tr_TR SOURCE_DATE_EPOCH=5 \
	E2FSPROGS_FAKE_TIME=7 sh -c "umask 077; exec '$IMAGE' build --plan plan $build b.img"
mkdir -p other/place
cp -r tree other/place/tree2
mkdir other/place/tree
# Made in another order, with other modes and times.
(cd other/place/tree2 && find . | sort -r) | (cd other/place && cpio --quiet -pd tree \
	2> /dev/null < /dev/stdin) || true
rm -rf other/place/tree
(cd other/place/tree2 && find . -type d | sort -r | while read -r d; do
	mkdir -p "../tree/$d"
done
find . -type f | sort -r | while IFS= read -r f; do
	cat "$f" > "../tree/$f"
	chmod 604 "../tree/$f"
	touch -d '1999-01-01' "../tree/$f"
done)
(sed -n '1!G;h;$p' plan) > other/place/plan
# shellcheck disable=SC2086 # options
same 'another directory, files and lines in another order' \
	"$IMAGE" build --plan other/place/plan --root other/place $build b.img
if [ "$(id -u)" = 0 ]; then
	cp "$IMAGE" image && chmod 755 image
	mkdir nobody && chown 65534:65534 nobody
	# shellcheck disable=SC2086 # options
	same 'another user' sh -c "setpriv --reuid 65534 --regid 65534 --clear-groups \
		./image build --plan plan $build nobody/b.img && mv nobody/b.img b.img"
else
	echo 'skip image another user: needs root'
fi
printf 'y' > tree/docs/deep/er/one
# shellcheck disable=SC2086 # options
"$IMAGE" build --plan plan $build b.img > /dev/null
holds 'other bytes for other content' sh -c '! cmp -s a.img b.img'
printf 'x' > tree/docs/deep/er/one
printf 'an old image' > keep.img
# shellcheck disable=SC2086 # options
holds 'replaces an old image' "$IMAGE" build --plan plan $build keep.img
holds 'the new one is whole' cmp a.img keep.img
rm -f b.img keep.img

# --- plans that are wrong ---

# Arguments: pattern, title, lines of the plan...
wrong() {
	pattern=$1 title=$2
	shift 2
	printf '%s\n' "$@" > bad.plan
	gives 5 "$pattern" "$title" \
		"$IMAGE" build --plan bad.plan --size 128M --epoch 1 b.img
	holds "$title: no output" sh -c '[ ! -e b.img ] && [ ! -e b.img.partial ]'
}
wrong 'line 2: tree/none: No such file' 'missing source' '#' 'file 0644 /a tree/none'
wrong 'line 2: /a is already the destination of line 1' 'destination twice' \
	'file 0644 /a tree/tool' 'file 0644 /a tree/big'
wrong 'line 3: /d/empty is already' 'destination twice through a tree' \
	'' 'file 0644 /d/empty tree/tool' 'tree /d tree/docs'
wrong 'line 1: /a is a file, but' 'a file that is a directory' \
	'file 0644 /a tree/tool' 'file 0644 /a/b tree/tool'
wrong 'line 4: a line begins with' 'bad word' '' '# x' '' 'link /a /b'
wrong 'line 1: expected: file MODE' 'too few words' 'file 0644 /a'
wrong 'line 1: the mode' 'bad mode' 'file 4755 /a tree/tool'
wrong 'line 1: DEST must begin' 'relative destination' 'file 0644 a tree/tool'
wrong 'line 1: DEST has the name' 'destination with ..' 'file 0644 /a/../b tree/tool'
wrong 'line 1: SOURCE must be' 'absolute source' 'file 0644 /a /etc/hostname'
wrong 'line 1: SOURCE has the name' 'source with ..' 'file 0644 /a ../x'
wrong 'line 1: /MANIFEST is made by' 'MANIFEST is ours' 'file 0644 /MANIFEST tree/tool'
wrong 'is not a regular file' 'directory as a file' 'file 0644 /a tree/docs'
ln -s tool tree/docs/link
wrong 'tree/docs/link is neither' 'symbolic link in a tree' 'tree /d tree/docs'
rm tree/docs/link
wrong 'is too small: the plan needs 14[0-9] MiB' 'too small' 'file 0644 /a tree/big'
gives 5 'too small' 'far too small' \
	"$IMAGE" build --plan plan --size 4M --epoch 1 b.img
gives 2 'not a multiple' 'odd size' "$IMAGE" build --plan plan --size 5 --epoch 1 b.img
gives 2 'which size' 'no size' "$IMAGE" build --plan plan --epoch 1 b.img
gives 2 'given twice' 'option twice' \
	"$IMAGE" build --plan plan --plan plan --size 1G --epoch 1 b.img
gives 2 'takes no --size' 'option of another command' "$IMAGE" verify --size 1G a.img
gives 2 'unknown command' 'unknown command' "$IMAGE" mount a.img
gives 0 'usage: image' 'help' "$IMAGE" --help
gives 0 '^image .fvol. [0-9]' 'version' "$IMAGE" --version
gives 5 'No space left' 'standard output on a full disk' \
	sh -c "'$IMAGE' --help > /dev/full"
if [ "$(id -u)" = 0 ] && unshare -m true 2> /dev/null; then
	gives 0 'nothing left' 'output on a full disk' unshare -m sh -c "
		mkdir -p small && mount -t tmpfs -o size=20m none small &&
		! '$IMAGE' build --plan plan --size 512M --epoch 1 small/x.img 2> small.log &&
		grep -q 'No space left' small.log &&
		[ -z \"\$(ls -A small)\" ] && echo nothing left"
else
	echo 'skip image output on a full disk: needs root and a mount namespace'
fi
"$IMAGE" build --plan plan --size 512M --epoch 1700000000 killed.img > /dev/null 2>&1 &
killed=$!
while [ ! -s killed.img.partial ]; do sleep 0.01; done
gives 5 'by another run' 'two runs for one output' \
	"$IMAGE" build --plan plan --size 512M --epoch 1 killed.img
kill -9 $killed 2> /dev/null || :
wait $killed 2> /dev/null || :
holds 'killed: no output' [ ! -e killed.img ]
# shellcheck disable=SC2086 # options
holds 'goes on after a killed run' "$IMAGE" build --plan plan $build killed.img
holds 'nothing of it shows' cmp a.img killed.img
rm -f killed.img

# --- a volume that was changed ---

cat > small.plan << 'END'
file 0755 /bin/tool tree/tool
tree /docs tree/docs
tree /many tree/many
dir 0700 /evidence
END
"$IMAGE" build --plan small.plan --size 64M --epoch 1700000000 s.img > /dev/null
fresh() {
	cp --sparse=always s.img v.img
}

fresh
printf 'X' | dd of=v.img bs=1 seek=$(($(first_block v.img /bin/tool) * 4096 + 3)) \
	conv=notrunc 2> /dev/null
gives 1 '^/bin/tool: differs' 'a changed byte' "$IMAGE" verify v.img
fresh
truncate -s 30M v.img
# The answer is no as long as the volume could be read, however little of it is there.
gives 1 'truncated' 'truncated' "$IMAGE" verify v.img
truncate -s 1000 v.img
gives 1 'superblock' 'truncated in the superblock' "$IMAGE" verify v.img
truncate -s 0 v.img
gives 1 'superblock' 'empty' "$IMAGE" verify v.img
gives 1 'superblock' 'not a volume' "$IMAGE" verify tree/big
gives 5 'neither a file' 'a directory' "$IMAGE" verify tree
mkfifo fifo
gives 5 'neither a file' 'a pipe' timeout 10 "$IMAGE" verify fifo
gives 5 'No such file' 'no file' "$IMAGE" verify none
fresh
# The n-th read of the volume fails: of its superblock, of what describes it, of its files.
if command -v strace > /dev/null; then
	for n in 1 4 16 64; do
		gives 5 'I/O error' "a disk that fails at read $n is no answer" \
			strace -f -o /dev/null -e inject=pread64,read:error=EIO:when=$n+ "$IMAGE" \
			verify v.img
	done
else
	echo 'skip image a disk that fails: strace is missing'
fi
fresh
change v.img 'write tree/tool bin/extra'
gives 1 '^/bin/extra: is not in the MANIFEST' 'a file more' "$IMAGE" verify v.img
fresh
change v.img 'rm bin/tool'
gives 1 '^/bin/tool: is missing' 'a file less' "$IMAGE" verify v.img
fresh
change v.img 'symlink bin/link /etc/passwd' 'cd docs' 'mknod null c 1 3'
gives 1 '^/bin/link: is a symbolic link' 'a symbolic link' "$IMAGE" verify v.img
gives 1 '^/docs/null: is a device node' 'a device node' "$IMAGE" verify v.img
fresh
change v.img 'sif bin/tool mode 0104755'
gives 1 '^/bin/tool: is setuid' 'a setuid bit' "$IMAGE" verify v.img
fresh
change v.img 'link docs docs/deep/again'
gives 1 '^/docs/deep/again: is a directory inside itself' 'a circle' "$IMAGE" verify v.img
fresh
change v.img 'write tree/tool evidence/anything' 'mkdir evidence/i-1' \
	'symlink evidence/l /etc/passwd'
gives 0 'as the MANIFEST says' 'evidence is not judged' "$IMAGE" verify v.img
fresh
tune2fs -L OTHER v.img > /dev/null 2>&1
gives 1 'label is not FVOL' 'another label' "$IMAGE" verify v.img
tune2fs -L FVOL -O ^metadata_csum v.img > /dev/null 2>&1
gives 1 'checksums are off' 'without checksums' "$IMAGE" verify v.img
fresh
change v.img 'feature needs_recovery'
gives 0 'was not unmounted' 'a volume that was pulled' "$IMAGE" verify v.img

# --- reading evidence ---

fresh
truncate -s 20000000 sparse
printf 'in the middle' | dd of=sparse bs=1 seek=9000000 conv=notrunc 2> /dev/null
printf 'log line\n' > log.txt
change v.img 'mkdir evidence/i-1' 'mkdir evidence/i-1/t' \
	'write sparse evidence/i-1/t/memory.lime' 'write log.txt evidence/i-1/t/log'
mkdir into
gives 0 '' 'extract' "$IMAGE" extract v.img /evidence/i-1 into
holds 'the same bytes' cmp sparse into/i-1/t/memory.lime
holds 'holes stay holes' [ "$(du -k into/i-1/t/memory.lime | cut -f1)" -lt 100 ]
holds 'modes of the copy' [ "$(stat -c %a into/i-1/t/log)" = 600 ]
gives 5 'File exists' 'never overwrites' "$IMAGE" extract v.img /evidence/i-1 into
gives 0 '' 'one file' "$IMAGE" extract v.img evidence/i-1/t/log into
holds 'the file' cmp log.txt into/log
holds 'cat' sh -c "'$IMAGE' cat v.img /evidence/i-1/t/memory.lime | cmp - sparse"
gives 1 'no such file' 'cat of nothing' "$IMAGE" cat v.img /evidence/none
gives 1 'not a regular' 'cat of a directory' "$IMAGE" cat v.img /evidence
gives 0 '^-0755 .* 1700000000 /bin/tool' 'ls' "$IMAGE" ls v.img
gives 0 '/evidence/i-1/t/log' 'ls of a part' "$IMAGE" ls v.img /evidence
change v.img 'cd evidence/i-1/t' 'symlink link /etc/passwd' \
	'mknod null c 1 3' 'mknod ../../out p'
mkdir into2
gives 3 '^/evidence/i-1/t/link: left out' 'extract leaves out' \
	"$IMAGE" extract v.img /evidence into2
holds 'only files' [ "$(find into2 ! -type f ! -type d | wc -l)" = 0 ]
holds 'the rest is there' cmp sparse into2/evidence/i-1/t/memory.lime
cp --sparse=always v.img huge.img
change huge.img 'sif evidence/i-1/t/log size 0x7ffffffffffff000'
mkdir into7
gives 3 '^/evidence/i-1/t/log: left out: its size is 92[0-9]*, more than' \
	'a size that no file can have costs one file' "$IMAGE" extract huge.img /evidence into7
holds 'and no other' cmp sparse into7/evidence/i-1/t/memory.lime
rm -f huge.img
mkdir into3
ln -s "$WORK/tree" into3/evidence
gives 5 'File exists' 'no way through a link' "$IMAGE" extract v.img /evidence into3
gives 3 "^/evidence/i-1/t/../../out: left out: has a name with a slash" \
	"extract leaves out a name with slashes" sh -c "mkdir into6 && '$IMAGE' extract v.img /evidence into6"
gives 1 "has a name with a slash" "ls tells a name with slashes" "$IMAGE" ls v.img /evidence
# A block that was written without its checksum.
block=$(first_block v.img /evidence/i-1/t)
dd if=v.img bs=4096 skip="$block" count=1 2> /dev/null |
	sed 's/memory\.lime/..\/..\/l.lim/' | head -c 4096 > block
dd if=block of=v.img bs=4096 seek="$block" conv=notrunc 2> /dev/null
mkdir into4
gives 3 'left out' 'a block with a wrong checksum' "$IMAGE" extract v.img /evidence into4
# An inode with a wrong checksum between two names of others: the cache of libext2fs held it
# under the number of one of them, and its bytes came out under that one's second name.
fresh
change v.img 'mkdir evidence/l' 'cd evidence/l' 'write log.txt a1' 'write tree/tool a2' \
	'write tree/docs/deep/er/one a3' 'write plan a4' 'write small.plan bad' \
	'link a1 b1' 'link a2 b2' 'link a3 b3' 'link a4 b4'
# shellcheck disable=SC2046 # two words: its block, and where in it
set -- $(debugfs -R 'imap /evidence/l/bad' v.img 2> /dev/null |
	sed -n 's/.*located at block \([0-9]*\), offset 0x\([0-9a-f]*\)/\1 \2/p')
printf '\377' | dd of=v.img bs=1 seek=$(($1 * 4096 + 0x$2 + 24)) conv=notrunc 2> /dev/null
mkdir into8
gives 3 '^/evidence/l/bad: left out: .*checksum' 'a damaged inode costs one file' \
	"$IMAGE" extract v.img /evidence into8
for i in 1 2 3 4; do
	holds "and not another's second name ($i)" cmp "into8/evidence/l/a$i" "into8/evidence/l/b$i"
done
if [ -x "$IMAGE_CHECK" ]; then
	if PROGRAM=$IMAGE_CHECK sh "$HERE/damage.sh" s.img 60 > log 2>&1; then
		ok "damaged volumes: $(tail -n 1 log)"
	else
		bad 'damaged volumes'
		tail -n 20 log
	fi
else
	echo "skip image damaged volumes: there is no $IMAGE_CHECK"
fi

exit $failed
