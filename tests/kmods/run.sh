#!/bin/sh
# kmods: hostile packages are refused with the entry named and nothing written outside, and
# so are bad lock files and packages that are gone. Needs what `make` has built.
set -eu
cd "$(dirname "$0")/../.."
root=$PWD
kmods=${KMODS:-$root/build/release/x86_64/bin/kmods}
checked=$root/build/check/bin/kmods
lock=$root/build/kernels/used.lock
lime=$root/build/lime/src
# What is wrong is said on stderr.
# shellcheck disable=SC2034 # checks.sh reads it
streams=err
# Not below build/: another user must be able to build in it.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 5' HUP INT TERM
chmod 755 "$work"
# shellcheck source=/dev/null
. tests/kmods/package.sh
# shellcheck source=/dev/null
. tests/kmods/checks.sh

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
		result "$rc" "$label: nothing is written outside"
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
	result "$rc" "its files, links and modes ($how)"
	(cd "$work" && sha256sum "good.$how.deb") | cmp -s - "$work/out" || rc=1
	result "$rc" "its hash is printed ($how)"
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
result "$rc" 'nothing of it is unpacked'
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

# One kernel of the lock that is used, for what follows.
one=$work/one.lock
grep ' x86_64 6\.1\.[^ ]*-cloud-' "$lock" > "$one"

# Fetching. A package that nobody has, and content instead of names.
sed 's/6\.1\./6.0.99-gone./g; s/ [0-9a-f]\{8\}\([0-9a-f]\{56\}\) / 00000000\1 /' "$one" \
	> "$work/gone.lock"
expect 5 'LOCKED=1 and a package that is gone' 'LOCKED=1 forbids' \
	env LOCKED=1 DL= FVOL_LOCK="$work/gone.lock" FVOL_DL="$work/dl" \
	FVOL_USED="$work/fetch/used.lock" sh kmods/fetch.sh
[ ! -e "$work/fetch/used.lock" ] && rc=0 || rc=1
result "$rc" 'it leaves no list to build from'
mkdir "$work/offline"
(cd "$lime/.." && tar -cf "$work/offline/v1.12.0.tar.gz" src)
expect 0 'LiME from an archive with the pinned content' '' \
	env DL="$work/offline" KMODS="$kmods" FVOL_LIME_OUT="$work/lime-out" \
	FVOL_DL="$work/dl" sh kmods/lime.sh
grep -q '^1\.12\.0 .* v1\.12\.0\.tar\.gz$' "$work/lime-out/used" &&
	diff -r "$lime" "$work/lime-out/src" && rc=0 || rc=1
result "$rc" 'it is that source'
exit "${failed:?}"
