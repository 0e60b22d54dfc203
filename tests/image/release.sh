#!/bin/sh
# From one release to the next: the plan's settings, the SBOM, `add` and `build --like`,
# `diff`, and `verify` of all that an image is. No root needed but for a loop device.
# Environment: IMAGE (the program). Exit: 0 passed, 1 failed, 77 skipped with the reason.
# shellcheck disable=SC2016,SC2317,SC2329 # inner shells expand; gives and traps call
set -eu
export LC_ALL=C
PATH=/usr/sbin:/sbin:$PATH
HERE=$(cd "$(dirname "$0")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
IMAGE=${IMAGE:-$ROOT/build/release/x86_64/bin/image}

for program in e2fsck dumpe2fs debugfs jq python3; do
	command -v "$program" > /dev/null && continue
	echo "skip: $program is missing"
	exit 77
done

WORK=$(mktemp -d)
loop=
# Arguments: none. Returns: 0; takes back the loop device of this run.
clean_up() {
	[ -z "$loop" ] || losetup -d "$loop" || :
	rm -rf "$WORK"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM
cd "$WORK"

# shellcheck source=/dev/null
. "$HERE/checks.sh"

# Arguments: image, debugfs command... Returns: 0; changes an image that no one mounts.
change() {
	target=$1
	shift
	printf '%s\n' "$@" > requests
	debugfs -w -f requests "$target" > /dev/null 2>&1
}

# Arguments: kernel, directory. Makes a module, its symbols and nothing else.
make_kernel() {
	mkdir -p "$2/x86_64/$1"
	seq 1 4000 | sed "s/^/$1 /" > "$2/x86_64/$1/lime.ko"
	seq 1 90000 | sed "s/^/$1 symbol /" > "$2/x86_64/$1/symbols.json.xz"
}

# Arguments: directory, kernels... Writes a catalogue of them.
make_catalogue() {
	into=$1
	shift
	for kernel; do
		printf '{"arch":"x86_64","release":"%s"}\n' "$kernel"
	done | jq -s '{format: 2, catalogue_version: 1, modules: .}' > "$into/catalogue.json"
}

mkdir -p tree/bin tree/kmods
printf 'a tool\n' > tree/bin/hash
printf 'a capture\n' > tree/bin/capture
for k in 6.1.0-1 6.1.0-2 6.1.0-3 6.12.5; do make_kernel $k tree/kmods; done
make_catalogue tree/kmods 6.1.0-1 6.1.0-2 6.1.0-3 6.12.5
sum=$(echo archive | sha256sum | cut -c 1-64)
cat > sources << END
# name version file sha256 licence used-by origin
musl 1.2.5 musl_1.2.5.orig.tar.gz $sum MIT toolkit pool/main/m/musl/musl_1.2.5.orig.tar.gz
mbedtls 3.6.6 mbedtls.tar.bz2 $sum Apache-2.0-OR-GPL-2.0-or-later toolkit pool/x https://example.org/mbedtls
headers 6.1 headers_6.1-1_all.deb $sum GPL-2.0-WITH-Linux-syscall-note toolkit pool/y
END
cat > parts << END
tool hash musl mbedtls
contains hash bin/hash
tool capture musl
contains capture bin/capture
package lime 1.12.0 lime-forensics-dkms_1.12.0-1_all.deb $sum GPL-2.0-only pool/z
source-of lime kmods/*/*/lime.ko
END
cat > plan << 'END'
label FVOL
size 64M
uuid content
sbom sources parts
file 0755 /bin/hash tree/bin/hash
file 0755 /bin/capture tree/bin/capture
tree /kmods tree/kmods
dir 0700 /evidence
END

# --- the plan says it ---

gives 0 'MANIFEST sha256' 'label, size, UUID and SBOM of the plan' \
	"$IMAGE" build --plan plan --epoch 1700000000 --manifest-out m a.img
gives 0 '^67108864$' 'the size is the plan'\''s' stat -c %s a.img
gives 0 'Filesystem volume name: *FVOL$' 'and the label' dumpe2fs -h a.img
gives 0 '' 'another size on the command line' \
	"$IMAGE" build --plan plan --size 96M --epoch 1700000000 b.img
gives 0 '^100663296$' 'counts' stat -c %s b.img
sed 's/^uuid .*/uuid 12345678-9abc-4def-8123-456789abcdef/' plan > uuid.plan
gives 0 '' 'a given UUID' "$IMAGE" build --plan uuid.plan --epoch 1700000000 b.img
gives 0 'UUID: *12345678-9abc-4def-8123-456789abcdef' 'is the one of the file system' \
	dumpe2fs -h b.img
gives 0 '' 'e2fsck finds nothing in it' e2fsck -fn b.img

# Arguments: pattern, title, a line that replaces one of the same keyword.
wrong() {
	grep -v "^${3%% *} " plan > bad.plan
	echo "$3" >> bad.plan
	gives 5 "$1" "$2" "$IMAGE" build --plan bad.plan --epoch 1 b.img
}
wrong 'line 8: the label must be FVOL' 'another label is refused' 'label OTHER'
wrong 'line 8: the size is not a multiple of 4K' 'an odd size' 'size 5'
wrong 'line 8: the size is not a number' 'a size without a number' 'size big'
wrong 'line 8: the UUID must be' 'a UUID that is too short' 'uuid 1234'
wrong 'line 8: the UUID must be' 'a UUID in capitals' \
	'uuid 12345678-9ABC-4def-8123-456789abcdef'
wrong 'line 8: expected: sbom SOURCES PARTS' 'half an SBOM' 'sbom sources'
wrong 'none: No such file' 'an SBOM of lists that are not there' 'sbom none parts'
{ cat plan; echo 'size 1G'; } > bad.plan
gives 5 'line 9: size is said twice' 'a setting twice' \
	"$IMAGE" build --plan bad.plan --epoch 1 b.img
for line in 'tool hash musl none' 'contains none x' 'frob hash x' \
	'package x 1 f 1234 MIT pool/x'; do
	echo "$line" > bad.parts
	sed 's/^sbom .*/sbom sources bad.parts/' plan > bad.plan
	gives 5 'bad.parts: line 1: ' "a list of parts: $line" \
		"$IMAGE" build --plan bad.plan --epoch 1 b.img
done

# --- the SBOM ---

"$IMAGE" cat a.img /SBOM.spdx.json > sbom
gives 0 '^ok$' 'the SBOM has what SPDX 2.3 asks for' python3 "$HERE/spdx.py" sbom
gives 1 'documentNamespace' 'and the test sees what it has not' \
	sh -c "jq 'del(.documentNamespace)' sbom > broken; python3 '$HERE/spdx.py' broken"
gives 1 'SPDXRef-Package-musl' 'or names without an element' \
	sh -c "jq 'del(.packages[] | select(.name == \"musl\"))' sbom > broken
		python3 '$HERE/spdx.py' broken"
gives 0 '' 'its files have the hashes of the MANIFEST' sh -c \
	'jq -r ".files[] | .checksums[0].checksumValue + \"  \" + .fileName[2:]" sbom |
		sort > files; grep -v SBOM m | sort | cmp - files'
gives 0 '' 'and the SHA-1 that sha1sum finds' sh -c 'rm -rf got && mkdir got &&
	"$1" extract a.img / got && jq -r ".files[] | (.checksums[] |
		select(.algorithm == \"SHA1\").checksumValue) + \"  \" + .fileName" sbom > sha1 &&
	test -s sha1 && cd got && sha1sum --strict -c ../sha1' sh "$IMAGE"
gives 0 '  SBOM.spdx.json$' 'and it stands in the MANIFEST' cat m
gives 0 '^Apache-2.0 OR GPL-2.0-or-later$' 'licence expressions' \
	jq -r '.packages[] | select(.name == "mbedtls").licenseDeclared' sbom
gives 0 '^pkg:deb/debian/lime-forensics-dkms@1.12.0-1\?arch=all$' 'package URLs' \
	jq -r '.packages[] | select(.name == "lime").externalRefs[0].referenceLocator' sbom
# Arguments: type. Prints how many relationships there are.
relations() {
	jq --arg t "$1" '[.relationships[] | select(.relationshipType == $t)] | length' sbom
}
gives 0 '^3$' 'what is linked' relations STATIC_LINK
gives 0 '^4$' 'modules come from LiME' relations GENERATED_FROM
gives 0 '^1$' 'headers helped to build' relations BUILD_DEPENDENCY_OF
gives 0 '^13$' 'everything is contained' relations CONTAINS
gives 0 '^2023-11-14T22:13:20Z$' 'its time is the epoch' \
	jq -r .creationInfo.created sbom

# --- a release with one kernel more ---

mkdir new
make_kernel 6.1.0-9 new
make_catalogue new 6.1.0-1 6.1.0-2 6.1.0-3 6.12.5 6.1.0-9
echo 'tree /kmods new' > more.plan
gives 0 'MANIFEST sha256' 'add' "$IMAGE" add --plan more.plan a.img c.img
gives 0 '' 'e2fsck finds nothing' e2fsck -fn c.img
gives 0 'as the MANIFEST says' 'verify' "$IMAGE" verify c.img
cp c.img again.img
gives 0 '' 'add once more' "$IMAGE" add --plan more.plan a.img again.img
gives 0 '' 'gives the same bytes' cmp c.img again.img
"$IMAGE" cat c.img /SBOM.spdx.json > sbom
gives 0 '^ok$' 'the SBOM is made anew' python3 "$HERE/spdx.py" sbom
gives 0 '' 'with the SHA-1 of the files that were taken over' sh -c 'rm -rf got && mkdir got &&
	"$1" extract c.img / got && jq -r ".files[] | (.checksums[] |
		select(.algorithm == \"SHA1\").checksumValue) + \"  \" + .fileName" sbom > sha1 &&
	test -s sha1 && cd got && sha1sum --strict -c ../sha1' sh "$IMAGE"
gives 0 '^5$' 'with the new module'\''s origin' relations GENERATED_FROM
gives 0 '^3$' 'and the links of before' relations STATIC_LINK
# The same by a full plan.
cp -r tree whole
cp -r new/. whole/kmods/
sed 's/tree\//whole\//' plan > whole.plan
gives 0 '' 'build --like' \
	"$IMAGE" build --plan whole.plan --epoch 1700000000 --like a.img d.img
gives 0 '' 'gives the same bytes as add' cmp c.img d.img
gives 0 '' 'build --like of the same is the same' \
	sh -c "'$IMAGE' build --plan plan --epoch 1700000000 --like a.img e.img && cmp a.img e.img"
"$IMAGE" build --plan whole.plan --epoch 1700000000 f.img > /dev/null

# Arguments: two images. Prints how many blocks of 512 KiB differ.
changed() {
	cmp -l "$1" "$2" | awk '{ b = int(($1 - 1) / 524288); if (!(b in s)) n++; s[b] }
		END { print n + 0 }'
}
n=$(changed a.img c.img) full=$(changed a.img f.img)
# 90,000 lines are four blocks of a snapshot.
if [ "$n" -le 9 ] && [ "$n" -lt "$full" ]; then
	echo "ok $n blocks of 512 KiB differ, $full in one built anew"
else
	echo "FAIL $n blocks of 512 KiB differ, $full in one built anew"
	failed=1
fi
for path in /bin/hash /kmods/x86_64/6.12.5/symbols.json.xz; do
	gives 0 '' "$path stays where it is" sh -c "
		debugfs -R 'stat $path' a.img 2> /dev/null | sed '/csum\|hecksum/d' > s1
		debugfs -R 'stat $path' c.img 2> /dev/null | sed '/csum\|hecksum/d' > s2
		cmp s1 s2"
done
printf 'a newer tool\n' > newer
printf 'file 0750 /bin/hash newer\n' > replace
gives 0 '' 'add replaces' "$IMAGE" add --plan replace a.img g.img
gives 0 '^a newer tool$' 'a file' "$IMAGE" cat g.img /bin/hash
gives 0 '' 'e2fsck finds nothing' e2fsck -fn g.img
printf 'file 0644 /bin newer\n' > bad.plan
gives 5 'line 1: /bin is a directory in the image' 'but no directory by a file' \
	"$IMAGE" add --plan bad.plan a.img h.img
printf 'file 0644 /MANIFEST newer\n' > bad.plan
gives 5 'MANIFEST is (made by the build|already)' 'nor what the build makes' \
	"$IMAGE" add --plan bad.plan a.img h.img
cp a.img same.img
gives 2 'is the old image itself' 'add does not write over the old image' \
	"$IMAGE" add --plan replace same.img ./same.img
gives 0 '' 'which stays as it is' cmp a.img same.img
seq 1 9000000 > large
printf 'file 0644 /large large\n' > bad.plan
gives 5 'too small' 'add of what has no room' "$IMAGE" add --plan bad.plan a.img h.img
gives 1 '' 'leaves nothing' test -e h.img
gives 5 'has another size' 'like an image of another size' \
	"$IMAGE" build --plan plan --size 96M --epoch 1 --like a.img h.img
cp a.img used.img
change used.img 'mkdir evidence/i-1' 'write plan evidence/i-1/memory.lime'
gives 1 'memory.lime is not of the image as it was built' 'a volume with evidence is no parent' \
	"$IMAGE" add --plan more.plan used.img h.img
cp a.img used.img
printf X | dd of=used.img bs=1 conv=notrunc 2> /dev/null \
	seek=$(($(debugfs -R 'blocks /bin/hash' a.img 2> /dev/null) * 4096 + 2))
gives 1 '1 differences' 'nor a damaged one' "$IMAGE" add --plan more.plan used.img h.img

# --- diff ---

gives 0 '' 'diff of the same' "$IMAGE" diff a.img e.img
gives 0 '^0$' 'says nothing' sh -c "'$IMAGE' diff a.img e.img | wc -c"
gives 1 '^added /kmods/x86_64/6.1.0-9/lime.ko 0644 [0-9]+ bytes sha256 [0-9a-f]{64}$' \
	'diff: a file more' "$IMAGE" diff a.img c.img
gives 1 '^kernel added: x86_64 6.1.0-9$' 'diff: a kernel more' "$IMAGE" diff a.img c.img
gives 1 '^removed /kmods/x86_64/6.1.0-9/ 0755$' 'diff: a directory less' \
	"$IMAGE" diff c.img a.img
gives 1 '^kernel removed: x86_64 6.1.0-9$' 'diff: a kernel less' "$IMAGE" diff c.img a.img
gives 1 '^changed /bin/hash 0755 7 bytes .* -> 0750 13 bytes' 'diff: bytes and mode' \
	"$IMAGE" diff a.img g.img
"$IMAGE" build --plan plan --size 96M --epoch 1700000000 b.img > /dev/null
gives 1 '^file system: size_bytes 67108864 -> 100663296$' 'diff: the file system' \
	"$IMAGE" diff a.img b.img
"$IMAGE" diff --json a.img g.img > json 2> /dev/null || :
gives 0 '^true$' 'diff --json' jq -e '.same == false and ([.files[] |
	select(.path == "bin/hash" and .change == "changed" and .from.mode == "0755" and
	.to.bytes == 13)] | length == 1)' json
gives 1 'memory|differences' 'diff of a damaged image' "$IMAGE" diff a.img used.img

# --- verify: signature and file system ---

"$IMAGE" keygen k.key k.pub > /dev/null
"$IMAGE" keygen o.key o.pub > /dev/null
"$IMAGE" trust keys k.pub > /dev/null
"$IMAGE" build --plan plan --epoch 1700000000 --sign-key k.key s.img > /dev/null
gives 0 'MANIFEST signed by key [0-9a-f]{64}' 'verify by a key' "$IMAGE" verify --key k.pub s.img
gives 0 'MANIFEST signed by key' 'verify by trusted keys' "$IMAGE" verify --keys keys s.img
gives 1 'MANIFEST.sig' 'verify by another key' "$IMAGE" verify --key o.pub s.img
gives 1 'MANIFEST.sig' 'verify of an unsigned image' "$IMAGE" verify --key k.pub a.img
gives 2 'enough' 'both ways at once' "$IMAGE" verify --key k.pub --keys keys a.img
gives 0 'MANIFEST signed' 'add signs anew' \
	"$IMAGE" add --plan more.plan --sign-key k.key s.img t.img
gives 0 'MANIFEST signed' 'and it verifies' "$IMAGE" verify --key k.pub t.img
gives 0 '' 'add without a key' "$IMAGE" add --plan more.plan s.img u.img
gives 1 'MANIFEST.sig' 'leaves no old signature' "$IMAGE" verify --key k.pub u.img

# Arguments: pattern, title, debugfs command...
damaged() {
	pattern=$1 title=$2
	shift 2
	cp a.img v.img
	change v.img "$@"
	gives 1 "$pattern" "$title" "$IMAGE" verify v.img
}
block=$(debugfs -R 'blocks /bin/capture' a.img 2> /dev/null | tr -d ' ')
damaged 'the file system is damaged' 'a block in use that is marked free' "freeb $block"
damaged 'the file system is damaged' 'a free block that is marked in use' 'setb 16000'
damaged 'the file system is damaged' 'an inode in use that is marked free' 'freei <20>'
damaged 'the file system is damaged' 'wrong counts' 'ssv free_blocks_count 17'
table=$(dumpe2fs a.img 2> /dev/null | sed -n 's/^ *Inode table at \([0-9]*\)-.*/\1/p' | head -n 1)
cp a.img v.img
printf X | dd of=v.img bs=1 seek=$((table * 4096 + 19 * 256 + 20)) conv=notrunc 2> /dev/null
gives 1 'checksum' 'an inode with a wrong checksum' "$IMAGE" verify v.img
"$IMAGE" build --plan plan --size 192M --epoch 1700000000 v.img > /dev/null
gives 0 '' 'e2fsck makes one from a copy of the superblock' sh -c '
	dd if=/dev/zero of=v.img bs=4096 count=2 conv=notrunc 2> /dev/null
	e2fsck -fy -b 32768 -B 4096 v.img; [ $? -le 1 ]'
gives 0 'as the MANIFEST says' 'and nothing is lost' "$IMAGE" verify v.img
if [ "$(id -u)" = 0 ] && losetup -f > /dev/null 2>&1; then
	loop=$(losetup -f --show s.img)
	gives 0 'MANIFEST signed' 'verify of a device' "$IMAGE" verify --key k.pub "$loop"
	mkdir into
	gives 0 '' 'extract from a device' "$IMAGE" extract "$loop" /bin into
	losetup -d "$loop"
	loop=
else
	echo 'skip image release devices: needs root and loop devices'
fi
exit "${failed:?}"
