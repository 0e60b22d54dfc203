#!/bin/sh
# kmods build: modules come out the same anywhere, what was built once is taken from the
# store, and a build that is repeated, broken, killed or out of space leaves a true
# catalogue. Needs what `make` has built.
set -eu
cd "$(dirname "$0")/../.."
root=$PWD
kmods=${KMODS:-$root/build/release/x86_64/bin/kmods}
used=$root/build/kernels/used.lock
lime=$root/build/lime/src
# Not below build/: another user must be able to build in it.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 5' HUP INT TERM
chmod 755 "$work"
# shellcheck source=/dev/null
. tests/kmods/checks.sh

# Arguments: lock file, output directory, further options. Builds.
# shellcheck disable=SC2317 # expect() calls it
build_with() {
	with=$1 into=$2
	shift 2
	"$kmods" build --lock "$with" --packages "$root/build/dl" --lime "$lime" \
		--lime-version 1.12.0 --scratch "$into.scratch" --out "$into" "$@"
}

# Arguments: catalogue directory. Returns: 0 when every module that it lists is there.
# shellcheck disable=SC2317 # check() calls it
true_catalogue() {
	"$kmods" show "$1/catalogue.json" > "$work/table" &&
		awk -v d="$1" 'NR > 1 { print $7 "  " d "/" $1 "/" $2 "/lime.ko" }' \
			"$work/table" > "$work/sums" &&
		{ [ ! -s "$work/sums" ] || sha256sum --quiet -c "$work/sums"; }
}

# Arguments: catalogue directory, number. Is it true, with that many modules?
# shellcheck disable=SC2317 # check() calls it
lists() {
	true_catalogue "$1" && [ "$(wc -l < "$work/table")" -eq $(($2 + 1)) ]
}

# Arguments: words, number. Has the last build said the words that often?
# shellcheck disable=SC2317 # check() calls it
said() {
	[ "$(grep -c "$1" "$work/err")" -eq "$2" ]
}

# Arguments: catalogue directory. Prints what identifies its files and their state.
identity() {
	find "$1" -type f -printf '%P %i %T@ %s\n' | LC_ALL=C sort
}

if [ ! -f "$used" ] || [ ! -d "$lime" ]; then
	echo "FAIL builds: there are no packages: run make first"
	exit 1
fi
# One kernel of each architecture, for time's sake.
lock=$work/two.lock
grep ' 6\.1\.[^ ]*-cloud-' "$used" > "$lock"
a=$work/a
expect 0 'a build' 'built in' build_with "$lock" "$a" --jobs 2
[ "$(find "$a" -name lime.ko -perm 0644 | wc -l)" -eq 2 ] && lists "$a" 2 && rc=0 || rc=1
result "$rc" 'every kernel has its module, and the catalogue is true'
readelf -h "$a"/aarch64/*/lime.ko | grep -q 'Machine:.*AArch64' && rc=0 || rc=1
result "$rc" 'the aarch64 module is for aarch64'
grep -raqF -e "$work" -e "$root" "$a" && rc=1 || rc=0
result "$rc" 'no module and no catalogue has a path of this machine'
[ -z "$(ls -A "$a.scratch/trees")" ] && [ ! -e "$a.scratch/x86_64/lime" ] && rc=0 || rc=1
result "$rc" 'nothing unpacked is left'
if [ -f out/kmods/catalogue.json ]; then
	rc=0
	for ko in "$a"/*/*/lime.ko; do
		cmp "$ko" "out/kmods/${ko#"$a/"}" > "$work/err" 2>&1 || rc=1
	done
	result "$rc" 'the modules are the ones that make built elsewhere'
fi

identity "$a" > "$work/before"
expect 0 'a second build' 'up to date' build_with "$lock" "$a"
identity "$a" | cmp -s - "$work/before" && rc=0 || rc=1
result "$rc" 'a second build touches nothing'
expect 0 'a higher number' '' build_with "$lock" "$a" --catalogue-version 7
expect 0 'a lower number is told' 'WARNING: the catalogue had version 7 and gets 1' \
	build_with "$lock" "$a"
tac "$lock" > "$work/other.lock"
expect 0 'another order of the list, another output' 'taken from the store' \
	build_with "$work/other.lock" "$work/other" --store "$a.scratch/store"
check 'nothing is built for it' said 'built in' 0
check 'it is the same' diff -r "$a" "$work/other"

if [ "$(id -u)" -eq 0 ]; then
	b=$work/b/a-longer.name/x+y
	mkdir -p "$b"
	chmod 777 "$b"
	# The checkout may be closed to others.
	cp -R "$lime" "$work/lime"
	mkdir "$work/packages"
	awk '$1 != "image" { sub(".*/", "", $8); print $8 }' "$lock" | sort -u |
		while read -r file; do cp "build/dl/$file" "$work/packages/"; done
	cp "$kmods" "$work/"
	chmod -R a+rX "$work/lime" "$work/packages" "$work/kmods" "$lock"
	expect 0 'a build by nobody, elsewhere' 'built in' \
		setpriv --reuid=65534 --regid=65534 --clear-groups \
		env -i PATH=/nowhere TZ=Asia/Tokyo LC_ALL=C.UTF-8 CC=false MAKEFLAGS=-n \
		/bin/sh -c 'umask 077; cd /; exec "$@"' sh "$work/kmods" build \
		--lock "$lock" --packages "$work/packages" --lime "$work/lime" \
		--lime-version 1.12.0 --scratch "$b/s" --out "$b/o" --jobs 3
	check 'another directory and another user give the same bytes' diff -r "$a" "$b/o"
else
	echo "skip a build by nobody, elsewhere: not root"
fi

# One kernel from here on: each change is one build.
one=$work/one.lock
grep ' x86_64 ' "$lock" > "$one"
release=$(awk '$1 == "headers" { print $3 }' "$one")
ko=$a/x86_64/$release/lime.ko
sed -i '/x86_64/,$ s/"tested": false/"tested": true/' "$a/catalogue.json"
expect 0 'a kernel taken out of the lock file' '' build_with "$one" "$a"
[ ! -e "$a/aarch64/$(ls "$a/aarch64" 2> /dev/null)/lime.ko" ] && lists "$a" 1 && rc=0 || rc=1
result "$rc" 'its module and entry are gone'
grep -q ' yes *yes ' "$work/table" && rc=0 || rc=1
result "$rc" 'what a boot test noted of a kept module is kept'
expect 0 'and put into it again' 'taken from the store' build_with "$lock" "$a"
check 'it is not built for that' said 'built in' 0
expect 0 'taken out once more' '' build_with "$one" "$a"
printf x >> "$ko"
expect 0 'a module that was changed' 'taken from the store' build_with "$one" "$a"
lists "$a" 1 && grep -q ' yes *yes ' "$work/table" && rc=0 || rc=1
result "$rc" 'it is the tested one again'
printf x >> "$ko"
for stored in "$a.scratch"/store/*/lime.ko; do printf x >> "$stored"; done
expect 0 'a store that was changed' 'built in' build_with "$one" "$a"
check 'its module is built again' lists "$a" 1

mkdir "$work/tools"
ln -s /usr/bin/x86_64-linux-gnu-gcc-12 /usr/bin/x86_64-linux-gnu-strip "$work/tools/"
expect 5 'a missing cross compiler' 'aarch64-linux-gnu-gcc-12 is not installed' \
	build_with "$lock" "$a" --tools "$work/tools"
true_catalogue "$a" && grep -q "^x86_64  *$release " "$work/table" && rc=0 || rc=1
result "$rc" 'the other kernel keeps its module'
check 'the failed kernel is named' said '1 of 2 kernels have no module: aarch64 ' 1
[ "$(stat -c %Y "$a/catalogue.json")" -eq 0 ] && rc=0 || rc=1
result "$rc" 'make would not take that catalogue for complete'

# Both kinds of wrong input at once; neither keeps the other from being named.
{
	sed 's/ x86_64 / aarch64 /' "$one"
	awk '$1 == "headers" { $6 = substr($6, 2) (substr($6, 1, 1) == "0" ? "1" : "0") }
		{ print }' "$one"
} > "$work/wrong.lock"
expect 5 'headers of another architecture' 'its headers are not for aarch64' \
	build_with "$work/wrong.lock" "$work/wrong"
grep -q 'is another file' "$work/err" && said '2 of 2 kernels' 1 && rc=0 || rc=1
result "$rc" 'a package with another hash'
[ -z "$(find "$work/wrong" -name lime.ko)" ] && rc=0 || rc=1
result "$rc" 'no module comes of them'
grep -v '^kbuild ' "$one" > "$work/wrong.lock"
expect 5 'headers without a kbuild' 'its packages have no linux-kbuild-' \
	build_with "$work/wrong.lock" "$work/wrong"

# LiME versions: one that no compiler takes, and the fallback.
mkdir "$work/bad"
cp "$lime"/*.h "$work/bad/"
echo '#error not for this kernel' > "$work/bad/main.c"
# Arguments: output directory, lime, version, fallback, version. Builds the one kernel.
# shellcheck disable=SC2317 # expect() calls it
fall_back() {
	"$kmods" build --lock "$one" --packages "$root/build/dl" --lime "$2" \
		--lime-version "$3" --fallback-lime "$4" --fallback-lime-version "$5" \
		--scratch "$1.scratch" --out "$1"
}
expect 5 'no version compiles' \
	'LiME 8.0: make exited with 2; LiME 9.0: make exited with 2' \
	fall_back "$work/f" "$work/bad" 8.0 "$work/bad" 9.0
grep -q "see $work/f.scratch/x86_64/$release.log" "$work/err" &&
	grep -q 'not for this kernel' "$work/f.scratch/x86_64/$release.log" && rc=0 || rc=1
result "$rc" 'the log is named and says why'
expect 0 'a kernel that failed is tried again, by the fallback' 'LiME 1.12.0' \
	fall_back "$work/f" "$work/bad" 8.0 "$lime" 1.12.0
lists "$work/f" 1 && grep -q ' 1\.12\.0 ' "$work/table" && rc=0 || rc=1
result "$rc" 'the catalogue says which version it is'
expect 2 'a fallback without its version' 'go together' \
	build_with "$one" "$a" --fallback-lime "$lime"

# Killed: after the first of two kernels, and in the middle of one.
k=$work/k
setsid "$kmods" build --lock "$lock" --packages "$root/build/dl" --lime "$lime" \
	--lime-version 1.12.0 --scratch "$k.scratch" --out "$k" > "$work/killed" 2>&1 &
pid=$!
tries=600
until grep -q 'built in' "$work/killed" || [ $tries -eq 0 ]; do
	sleep 0.1
	tries=$((tries - 1))
done
expect 5 'a second build at the same time' 'another build is at work' \
	build_with "$lock" "$k"
kill -KILL "-$pid"
wait "$pid" 2> /dev/null || :
# Its children hold the lock until they are gone, too.
while kill -0 "-$pid" 2> /dev/null; do
	sleep 0.1
done
check 'killed in the middle, it leaves a true catalogue' true_catalogue "$k"
expect 0 'a build after that' 'built in' build_with "$lock" "$k"
check 'it goes on where the other was' said 'built in' 1
check 'it completes the catalogue' lists "$k" 2
check 'with the same bytes' diff -r "$work/other" "$k"

# A disk that is full, in a mount namespace of its own; then there is space again.
if [ "$(id -u)" -eq 0 ]; then
	mkdir "$work/disk"
	# shellcheck disable=SC2016
	unshare -m sh -c 'set -u
		disk=$1
		shift
		mount -t tmpfs -o size=16k tmpfs "$disk" || exit 9
		mkdir "$disk/out"
		"$@" 2> "$disk.full"
		echo $? > "$disk.rc"
		find "$disk" -name lime.ko > "$disk.found"
		mount -o remount,size=4m "$disk" || exit 9
		"$@" 2> "$disk.space"
		echo $? >> "$disk.rc"
		cp -r "$disk/out" "$disk.out"' sh "$work/disk" \
		"$kmods" build --lock "$one" --packages "$root/build/dl" --lime "$lime" \
		--lime-version 1.12.0 --scratch "$work/d.scratch" \
		--store "$work/disk/store" --out "$work/disk/out" || :
	grep -q 'No space left on device' "$work/disk.full" &&
		[ "$(sed -n 1p "$work/disk.rc")" = 5 ] && rc=0 || rc=1
	cp "$work/disk.full" "$work/err"
	result "$rc" 'a full disk is named'
	[ ! -s "$work/disk.found" ] && rc=0 || rc=1
	result "$rc" 'no half of a module is left'
	[ "$(sed -n 2p "$work/disk.rc")" = 0 ] && lists "$work/disk.out" 1 && rc=0 || rc=1
	cp "$work/disk.space" "$work/err"
	result "$rc" 'with space it is built'
else
	echo "skip a full disk: not root"
fi

# Symbol files; the images come with the boot tests.
image=$(awk '$1 == "image" { sub(".*/", "", $8); print $8 }' "$one")
if [ -f "build/dl/$image" ]; then
	expect 0 'symbols beside the module' 'its symbol file: made' build_with "$one" "$a" --symbols
	xz=$a/x86_64/$release/symbols.json.xz
	xz -dc "$xz" | grep -q '"linux_banner"' && rc=0 || rc=1
	result "$rc" 'the file is a symbol file'
	grep -q "\"symbols_sha256\": \"$(sha256sum < "$xz" | cut -d ' ' -f 1)\"" \
		"$a/catalogue.json" &&
		grep -q '"kernel_build_id": "[0-9a-f]\{40\}"' "$a/catalogue.json" && rc=0 || rc=1
	result "$rc" "the catalogue has its hash and the kernel's build id"
	expect 0 'a second build with symbols' 'up to date' build_with "$one" "$a" --symbols
	sed '/^image/ { s/'"$image"'/none.deb/ }' "$one" > "$work/noimage.lock"
	rm -rf "$a.scratch/store"
	expect 3 'an image that is not there' 'its symbol file' \
		build_with "$work/noimage.lock" "$a" --symbols
	[ ! -e "$xz" ] && lists "$a" 1 && rc=0 || rc=1
	result "$rc" 'the module is there, an old symbol file is not'
else
	echo "FAIL symbols: there is no $image: run make first"
	failed=1
fi
# shellcheck disable=SC2154 # checks.sh
exit "$failed"
