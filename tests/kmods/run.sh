#!/bin/sh
# kmods: hostile packages are refused with the entry named and nothing written outside,
# modules come out the same anywhere, and a build that is repeated, broken or killed
# leaves a true catalogue. Needs what `make` has built.
set -eu
cd "$(dirname "$0")/../.."
root=$PWD
kmods=${KMODS:-$root/build/release/x86_64/bin/kmods}
checked=$root/build/check/bin/kmods
lock=$root/build/kernels/used.lock
lime=$root/build/lime/src
failed=0
# Not below build/: another user must be able to build in it.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 5' HUP INT TERM
chmod 755 "$work"
# shellcheck source=/dev/null
. tests/kmods/package.sh

# Arguments: exit code of a check, name. Prints the result line.
result() {
	if [ "$1" -eq 0 ]; then
		echo "ok $2"
	else
		echo "FAIL $2"
		failed=1
		[ ! -s "$work/err" ] || sed 's/^/  /' "$work/err"
	fi
}

# Arguments: expected exit code, name, text that must stand on stderr, command...
expect() {
	want=$1 name=$2 text=$3
	shift 3
	rc=0
	"$@" > "$work/out" 2> "$work/err" || rc=$?
	if [ "$rc" -ne "$want" ]; then
		echo "exit code $rc instead of $want" >> "$work/err"
		rc=1
	elif [ -n "$text" ] && ! grep -qF -- "$text" "$work/err"; then
		echo "stderr has not: $text" >> "$work/err"
		rc=1
	else
		rc=0
	fi
	result "$rc" "$name"
}

# Arguments: name, text that the refusal must have, package. Unpacks it with both builds
# into a directory whose neighbours must stay as they are.
refused() {
	for program in "$kmods" "$checked"; do
		rm -rf "$work/place"
		mkdir -p "$work/place/neighbour"
		echo alive > "$work/place/neighbour/canary"
		label=$1
		[ "$program" = "$kmods" ] || label="$1 (sanitized)"
		expect 5 "$label" "$2" "$program" unpack --into "$work/place/inside" "$3"
		now=$(cd "$work/place" && find . -path ./inside -prune -o -print | LC_ALL=C sort)
		rc=0
		if [ "$now" != "$(printf '.\n./neighbour\n./neighbour/canary')" ] ||
			[ "$(cat "$work/place/neighbour/canary")" != alive ] ||
			[ "$(stat -c %h "$work/place/neighbour/canary")" -ne 1 ] ||
			[ -e /fvol-test-escape ]; then
			rc=1
		fi
		result $rc "$label: nothing is written outside"
	done
}

# Arguments: name, text, then the arguments of entry() for the last entry; the entries
# before it are in $work/t.tar.
hostile() {
	name=$1 text=$2
	shift 2
	entry "$work/t.tar" "$@"
	end_tar "$work/t.tar"
	wrap "$work/bad_1_all.deb" "$work/t.tar" xz
	refused "$name" "$text" "$work/bad_1_all.deb"
	rm -f "$work/t.tar"
}

t=$work/t.tar
hostile 'an absolute name' 'bad_1_all.deb: entry /fvol-test-escape: ' \
	/fvol-test-escape 0 '' 644 x
hostile 'a name that leads upward' 'entry ../neighbour/canary: ' \
	../neighbour/canary 0 '' 644 x
hostile 'a name that leads upward later' 'entry a/../../neighbour/new: ' \
	a/../../neighbour/new 0 '' 644 x
entry "$t" ./link 2 ../neighbour 777 ''
hostile 'a file through a symbolic link' 'entry ./link/canary: ' ./link/canary 0 '' 644 x
entry "$t" ./link 2 ../neighbour 777 ''
hostile 'a directory through a symbolic link' 'entry link/new/: ' link/new/ 5 '' 755 ''
entry "$t" link 2 ../neighbour/canary 777 ''
hostile 'a file over a symbolic link' 'entry link: ' link 0 '' 644 x
entry "$t" link 2 ../neighbour 777 ''
hostile 'a directory over a symbolic link' 'entry link: ' link 5 '' 755 ''
hostile 'a hard link upward' 'hard link to ../neighbour/canary: ' \
	new 1 ../neighbour/canary 644 ''
hostile 'a hard link to an absolute name' 'hard link to /etc/passwd: ' \
	new 1 /etc/passwd 644 ''
entry "$t" link 2 ../neighbour 777 ''
hostile 'a hard link through a symbolic link' 'hard link to link/canary: ' \
	new 1 link/canary 644 ''
entry "$t" link 2 ../neighbour/canary 777 ''
hostile 'a hard link to a symbolic link' 'hard link to link: ' new 1 link 644 ''
hostile 'a hard link to what is not there' 'hard link to later: ' new 1 later 644 ''
hostile 'a device' 'entry dev/null: ' dev/null 3 '' 666 ''
hostile 'a fifo' 'entry pipe: ' pipe 6 '' 666 ''
hostile 'a setuid file' 'entry su: ' su 0 '' 4755 x
entry "$t" twice 0 '' 644 x
hostile 'a file that stands twice' 'entry twice: ' twice 0 '' 644 y
hostile 'control bytes in a name' 'entry a\x1bb: ' "$(printf 'a\033b')" 0 '' 644 x
hostile 'a name with too many levels' 'levels' "$(printf 'd/%.0s' 1 2 3 4 5 6 7 8 9 0 \
	1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9)f" \
	0 '' 644 x
hostile 'a huge file' 'entry huge: the package unpacks to more than' \
	huge 0 '' 644 x 77777777777
hostile 'a file that is cut short' 'entry cut: ' cut 0 '' 644 x 00000100000

# An honest package with everything that is allowed, in each compression.
entry "$t" ./ 5 '' 755 ''
entry "$t" ./usr/ 5 '' 755 ''
entry "$t" ./usr/file 0 '' 640 content
entry "$t" ./usr/tool 0 '' 750 '#!/bin/sh'
entry "$t" ./usr/link 2 /usr/file 777 ''
entry "$t" ./made/above/hard 1 ./usr/file 644 ''
end_tar "$t"
for how in xz zst gz; do
	wrap "$work/good.$how.deb" "$t" $how
	rm -rf "$work/into"
	expect 0 "an honest package ($how)" '' "$kmods" unpack --into "$work/into" \
		"$work/good.$how.deb"
	(cd "$work/into" && find . -printf '%P %y %m %l %n\n' | grep -v ' d ' |
		LC_ALL=C sort) > "$work/tree"
	rc=0
	cmp -s "$work/tree" - <<-EOF || rc=1
		made/above/hard f 644  2
		usr/file f 644  2
		usr/link l 777 /usr/file 1
		usr/tool f 755  1
	EOF
	result $rc "its files, links and modes ($how)"
	(cd "$work" && sha256sum "good.$how.deb") | cmp -s - "$work/out" || rc=1
	result $rc "its hash is printed ($how)"
done
size=$(stat -c %s "$work/good.xz.deb")
head -c $((size - 40)) "$work/good.xz.deb" > "$work/short.deb"
refused 'a truncated package' 'short.deb: ' "$work/short.deb"
head -c 100 "$work/good.xz.deb" > "$work/short.deb"
refused 'a package that is cut in its first members' 'short.deb: ' "$work/short.deb"
head -c 5000 "$kmods" > "$work/other.deb"
refused 'what is not a package' 'other.deb: ' "$work/other.deb"
: > "$work/empty.deb"
(cd "$work" && ar rcD nodata.deb empty.deb)
refused 'an archive that is not a package' 'nodata.deb: ' "$work/nodata.deb"
rm -rf "$work/into"
expect 1 'another hash than expected' 'is another file' "$kmods" unpack --into "$work/into" \
	--sha256 "$(printf '0%.0s' $(seq 64))" "$work/good.xz.deb"
[ -z "$(ls -A "$work/into")" ] && rc=0 || rc=1
result $rc 'nothing of it is unpacked'
expect 1 'a package that is not in the lock file' 'is not in the lock file' \
	"$kmods" unpack --into "$work/into" --lock "$lock" "$work/good.xz.deb"
expect 0 'an entry over one of an earlier package is its own' '' \
	"$kmods" unpack --into "$work/into" "$work/good.xz.deb"
expect 5 'an entry over one of an earlier package is refused' 'usr/file' \
	"$kmods" unpack --into "$work/into" "$work/good.gz.deb"

# Lock files.
# Arguments: name, text on stderr, the file's lines.
bad_lock() {
	printf '# comment\n\n%s\n' "$3" > "$work/bad.lock"
	expect 5 "$1" "$2" build_with "$work/bad.lock" "$work/none"
}

# Arguments: lock file, output directory, further options. Builds.
# shellcheck disable=SC2317 # expect() calls it
build_with() {
	with=$1 into=$2
	shift 2
	"$kmods" build --lock "$with" --packages "$root/build/dl" --lime "$lime" \
		--lime-version 1.12.0 --scratch "$into.scratch" --out "$into" "$@"
}

sum=$(printf 'a%.0s' $(seq 64))
bad_lock 'a lock line with a word too few' ':3: ' "headers x86_64 6.1 a 1 $sum 1"
bad_lock 'an unknown role' 'hedders is not a role' "hedders x86_64 6.1 a 1 $sum 1 pool/a"
bad_lock 'an unknown architecture' 'i386' "headers i386 6.1 a 1 $sum 1 pool/a"
bad_lock 'a release that is a path' '../x' "headers x86_64 ../x a 1 $sum 1 pool/a"
bad_lock 'a bad hash' 'SHA-256' "headers x86_64 6.1 a 1 abc 1 pool/a"
bad_lock 'a kernel without headers' 'exactly one headers' \
	"common x86_64 6.1 a 1 $sum 1 pool/a"

# Arguments: catalogue directory. Returns: 0 when every module that it lists is there.
true_catalogue() {
	"$kmods" show "$1/catalogue.json" > "$work/table" &&
		awk -v d="$1" 'NR > 1 { print $7 "  " d "/" $1 "/" $2 "/lime.ko" }' \
			"$work/table" > "$work/sums" &&
		{ [ ! -s "$work/sums" ] || sha256sum --quiet -c "$work/sums"; }
}

# Arguments: catalogue directory. Prints what identifies its files and their state.
identity() {
	find "$1" -type f -printf '%P %i %T@ %s\n' | LC_ALL=C sort
}

if [ ! -f "$lock" ] || [ ! -d "$lime" ]; then
	echo "FAIL builds: there are no packages: run make first"
	exit 1
fi
count=$(awk '$1 == "headers"' "$lock" | wc -l)
a=$work/a
expect 0 'a build' 'built in' build_with "$lock" "$a" --jobs 2
[ "$(find "$a" -name lime.ko -perm 0644 | wc -l)" -eq "$count" ] &&
	true_catalogue "$a" && rc=0 || rc=1
result $rc 'every kernel has its module, and the catalogue is true'
readelf -h "$a"/aarch64/*/lime.ko | grep -q 'Machine:.*AArch64' && rc=0 || rc=1
result $rc 'the aarch64 module is for aarch64'
grep -raqF -e "$work" -e "$root" "$a" && rc=1 || rc=0
result $rc 'no module and no catalogue has a path of this machine'
if [ -f out/kmods/catalogue.json ] && cmp -s build/lime/src/main.c "$lime/main.c"; then
	cmp "$a/catalogue.json" out/kmods/catalogue.json > "$work/err" 2>&1 && rc=0 || rc=1
	result $rc 'the catalogue is the one that make wrote elsewhere'
fi

identity "$a" > "$work/before"
expect 0 'a second build' 'up to date' build_with "$lock" "$a"
identity "$a" | cmp -s - "$work/before" && rc=0 || rc=1
result $rc 'a second build touches nothing'

if [ "$(id -u)" -eq 0 ]; then
	b=$work/b/a-longer.name/x+y
	mkdir -p "$b"
	chmod 777 "$b"
	# The checkout may be closed to others.
	cp -R "$lime" "$work/lime"
	mkdir "$work/packages"
	awk '$1 != "image" { sub(".*/", "", $8); print $8 }' "$lock" | sort -u |
		while read -r file; do cp "build/dl/$file" "$work/packages/"; done
	cp "$kmods" "$lock" "$work/"
	chmod -R a+rX "$work/lime" "$work/packages" "$work/kmods" "$work/used.lock"
	expect 0 'a build by nobody, elsewhere' 'built in' \
		setpriv --reuid=65534 --regid=65534 --clear-groups \
		env -i PATH=/nowhere TZ=Asia/Tokyo LC_ALL=C.UTF-8 CC=false MAKEFLAGS=-n \
		/bin/sh -c 'umask 077; cd /; exec "$@"' sh "$work/kmods" build \
		--lock "$work/used.lock" --packages "$work/packages" --lime "$work/lime" \
		--lime-version 1.12.0 --scratch "$b/s" --out "$b/o" --jobs 3
	diff -r "$a" "$b/o" > "$work/err" 2>&1 && rc=0 || rc=1
	result $rc 'another directory and another user give the same bytes'
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
[ ! -e "$a/aarch64/$(ls "$a/aarch64" 2> /dev/null)/lime.ko" ] &&
	true_catalogue "$a" && [ "$(wc -l < "$work/table")" -eq 2 ] && rc=0 || rc=1
result $rc 'its module and entry are gone'
grep -q ' yes *yes ' "$work/table" && rc=0 || rc=1
result $rc 'what a boot test noted of a kept module is kept'
printf x >> "$ko"
expect 0 'a module that was changed' 'built in' build_with "$one" "$a"
true_catalogue "$a" && grep -q ' yes *no ' "$work/table" && rc=0 || rc=1
result $rc 'it is built again, and no longer tested'

mkdir "$work/tools"
ln -s /usr/bin/x86_64-linux-gnu-gcc-12 /usr/bin/x86_64-linux-gnu-strip "$work/tools/"
expect 5 'a missing cross compiler' 'aarch64-linux-gnu-gcc-12 is not installed' \
	build_with "$lock" "$a" --tools "$work/tools"
true_catalogue "$a" && grep -q "^x86_64  *$release " "$work/table" && rc=0 || rc=1
result $rc 'the other kernel keeps its module'
grep -q "1 of $count kernels have no module: aarch64 " "$work/err" && rc=0 || rc=1
result $rc 'the failed kernel is named'
[ "$(stat -c %Y "$a/catalogue.json")" -eq 0 ] && rc=0 || rc=1
result $rc 'make would not take that catalogue for complete'

# Both kinds of wrong input at once; neither keeps the other from being named.
{
	sed 's/ x86_64 / aarch64 /' "$one"
	awk '$1 == "headers" { $6 = substr($6, 2) (substr($6, 1, 1) == "0" ? "1" : "0") }
		{ print }' "$one"
} > "$work/wrong.lock"
expect 5 'headers of another architecture' 'its headers are not for aarch64' \
	build_with "$work/wrong.lock" "$work/wrong"
grep -q 'is another file' "$work/err" && grep -q '2 of 2 kernels' "$work/err" && rc=0 || rc=1
result $rc 'a package with another hash'
[ -z "$(find "$work/wrong" -name lime.ko)" ] && rc=0 || rc=1
result $rc 'no module comes of them'

grep -v '^kbuild ' "$one" > "$work/wrong.lock"
expect 5 'headers without a kbuild' 'its packages have no linux-kbuild-' \
	build_with "$work/wrong.lock" "$work/wrong"

echo garbage > "$a/catalogue.json"
setsid "$kmods" build --lock "$one" --packages "$root/build/dl" --lime "$lime" \
	--lime-version 1.12.0 --scratch "$a.scratch" --out "$a" > "$work/out" 2>&1 &
pid=$!
sleep 2
expect 5 'a second build at the same time' 'another build is at work' \
	build_with "$one" "$a"
kill -KILL "-$pid"
wait "$pid" 2> /dev/null || :
true_catalogue "$a" && rc=0 || rc=1
result $rc 'killed in the middle, it leaves a true catalogue'
expect 0 'a build after that' 'built in' build_with "$one" "$a"
true_catalogue "$a" && [ "$(wc -l < "$work/table")" -eq 2 ] && rc=0 || rc=1
result $rc 'it completes the catalogue'

# Fetching. A package that nobody has, and content instead of names.
sed 's/6\.1\./6.0.99-gone./g; s/ [0-9a-f]\{8\}\([0-9a-f]\{56\}\) / 00000000\1 /' "$one" \
	> "$work/gone.lock"
expect 5 'LOCKED=1 and a package that is gone' 'LOCKED=1 forbids' \
	env LOCKED=1 DL= FVOL_LOCK="$work/gone.lock" FVOL_DL="$work/dl" \
	FVOL_USED="$work/fetch/used.lock" sh kmods/fetch.sh
[ ! -e "$work/fetch/used.lock" ] && rc=0 || rc=1
result $rc 'it leaves no list to build from'
mkdir "$work/offline"
(cd "$lime/.." && tar -cf "$work/offline/v1.12.0.tar.gz" src)
expect 0 'LiME from an archive with the pinned content' '' \
	env DL="$work/offline" KMODS="$kmods" FVOL_LIME_OUT="$work/lime-out" \
	FVOL_DL="$work/dl" sh kmods/lime.sh
grep -q '^1\.12\.0 .* v1\.12\.0\.tar\.gz$' "$work/lime-out/used" &&
	diff -r "$lime" "$work/lime-out/src" && rc=0 || rc=1
result $rc 'it is that source'
exit $failed
