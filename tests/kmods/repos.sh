#!/bin/sh
# Sources of kernel packages: a signed Debian archive and rpm repositories made by the
# distributions' own tools, read from a directory and over loopback, and every way in which
# they can be broken, forged or hostile. Needs what `make` has built, and its tests' packages.
set -eu
cd "$(dirname "$0")/../.."
root=$PWD
# shellcheck disable=SC2034 # repos-rpm.sh uses it
kmods=${KMODS:-$root/build/release/x86_64/bin/kmods}
checked=$root/build/check/bin/kmods
# What is wrong is said on stderr.
# shellcheck disable=SC2034 # checks.sh reads it
streams=err
work=$(mktemp -d)
server=
# Arguments: none. Ends what was started and removes what was made.
# shellcheck disable=SC2317 # the trap calls it
end() {
	[ -z "$server" ] || kill "$server" 2> /dev/null || :
	GNUPGHOME=$work/gpg gpgconf --kill all > /dev/null 2>&1 || :
	rm -rf "$work"
}
trap end EXIT
trap 'exit 5' HUP INT TERM
# shellcheck source=/dev/null
. tests/kmods/sources.sh
# shellcheck source=/dev/null
. tests/kmods/checks.sh

# Arguments: the list's text. Resolves it into $work/lock, with the sanitized program.
resolve() {
	printf '%s\n' "$1" > "$work/list"
	rm -f "$work/lock"
	"$checked" resolve --list "$work/list" --out "$work/lock" --scratch "$work/scratch"
}

# Arguments: exit code, name, text on stderr, a source line; two kernels of it are wanted.
bad_source() {
	expect "$1" "$2" "$3" resolve "$4
kernel s * x86_64 newest 1"
	[ ! -e "$work/lock" ] && rc=0 || rc=1
	result "$rc" "$2: no lock file is written"
}

# Arguments: none. Prints role, architecture, release, package and version of the lock.
lock_words() {
	grep -v '^#' "$work/lock" | cut -d ' ' -f 1-5
}

make_keys
make_debs "$work/deb/pool"
make_archive "$work/deb"
python3 tests/kmods/server.py "$work" "$work/port" &
server=$!
for _ in $(seq 100); do
	[ -s "$work/port" ] && break
	sleep 0.1
done
web=http://127.0.0.1:$(cat "$work/port")
key="key=$work/key.gpg"

echo "# a Debian archive"
cat > "$work/debian.want" <<-EOF
	headers aarch64 6.1.0-99-cloud-arm64 linux-headers-6.1.0-99-cloud-arm64 6.1.199-1
	common aarch64 6.1.0-99-cloud-arm64 linux-headers-6.1.0-99-common 6.1.199-1
	kbuild aarch64 6.1.0-99-cloud-arm64 linux-kbuild-6.1 6.1.199-1
	headers x86_64 6.1.0-100-amd64 linux-headers-6.1.0-100-amd64 6.1.200-1
	common x86_64 6.1.0-100-amd64 linux-headers-6.1.0-100-common 6.1.200-1
	kbuild x86_64 6.1.0-100-amd64 linux-kbuild-6.1 6.1.200-1
	headers x86_64 6.1.0-99-cloud-amd64 linux-headers-6.1.0-99-cloud-amd64 6.1.199-1
	common x86_64 6.1.0-99-cloud-amd64 linux-headers-6.1.0-99-common 6.1.199-1
	kbuild x86_64 6.1.0-99-cloud-amd64 linux-kbuild-6.1 6.1.199-1
	image x86_64 6.1.0-99-cloud-amd64 linux-image-6.1.0-99-cloud-amd64 6.1.199-1
EOF
kernels='kernel s cloud x86_64 newest 1
kernel s generic x86_64 newest 1
kernel s cloud aarch64 all'
for where in "$work/deb" "file://$work/deb" "$web/deb" "$web/moved/deb"; do
	expect 0 "an archive at ${where%%"$work"*}" '' resolve "source s deb $where stable $key
$kernels"
	lock_words | diff "$work/debian.want" - > "$work/err" && rc=0 || rc=1
	result "$rc" 'its kernels, with the packages of their versions'
done
expect 0 'an armored key' '' resolve "source s deb $work/deb stable key=$work/key.asc
$kernels"
expect 0 'newest 1 of several' '' resolve "source s deb $work/deb stable $key
kernel s generic x86_64 newest 1"
grep -q '^headers x86_64 6.1.0-100-amd64 ' "$work/lock" &&
	! grep -q '6.1.0-99-amd64' "$work/lock" && rc=0 || rc=1
result "$rc" 'is the newest: 100, not 99'
expect 0 'oldest 1' '' resolve "source s deb $work/deb stable $key
kernel s generic x86_64 oldest 1"
grep -q '^headers x86_64 6.1.0-99-amd64 ' "$work/lock" && rc=0 || rc=1
result "$rc" 'is the oldest'
expect 0 'a release' '' resolve "source s deb $work/deb stable $key
kernel s * x86_64 6.1.0-99-amd64"
expect 5 'a release that nobody has' 'offers no kernel * x86_64 6.1.0-98-amd64' resolve \
	"source s deb $work/deb stable $key
kernel s * x86_64 6.1.0-98-amd64"
expect 0 'all' 'x86_64 6.1.0-97-amd64 is left out: s has no linux-headers-6.1.0-97-common' \
	resolve "source s deb $work/deb stable $key
kernel s * x86_64 all"
[ "$(grep -c '^headers' "$work/lock")" -eq 3 ] && rc=0 || rc=1
result "$rc" 'a kernel that lacks a package is left out and told, the others are there'
expect 0 'kbuild of another source' '' resolve "source s deb $work/deb stable $key kbuild=t
source t deb $work/deb other $key
kernel s cloud x86_64 newest 1"
grep -q '^kbuild x86_64 6.1.0-99-cloud-amd64 linux-kbuild-6.1 6.1.210-1 ' "$work/lock" &&
	rc=0 || rc=1
result "$rc" 'is taken from there'
expect 0 'one package of a source' '' "$checked" resolve --list "$work/list" --source t \
	--package linux-kbuild-6.1 --scratch "$work/scratch"
grep -q '^linux-kbuild-6.1 6.1.210-1 [0-9a-f]\{64\} [0-9]* /' "$work/out" && rc=0 || rc=1
result "$rc" 'is printed'

bad_source 1 'an archive that another key signed' 'not signed by the named key' \
	"source s deb $work/deb stable key=$work/other.gpg"
cp -R "$work/deb" "$work/bad"
release=$work/bad/dists/stable
sed -i 's/^-----BEGIN PGP SIGNED MESSAGE-----$//' "$release/InRelease"
bad_source 1 'an archive without a signature' 'it is not signed' \
	"source s deb $work/bad stable $key"
cp "$release/Release" "$release/InRelease"
bad_source 1 'a Release in the place of InRelease' 'it is not signed' \
	"source s deb $web/bad stable $key"
expect 0 'unsigned, as the list says' '' resolve "source s deb $work/bad stable unsigned
kernel s cloud x86_64 newest 1"
sed 's/^Origin: test$/Origin: tost/' "$work/deb/dists/stable/InRelease" > "$release/InRelease"
bad_source 1 'an InRelease that was changed' 'its signature is wrong' \
	"source s deb $work/bad stable $key"
head -c 300 "$work/deb/dists/stable/InRelease" > "$release/InRelease"
bad_source 1 'a truncated InRelease' 'it has no signature' \
	"source s deb $work/bad stable $key"
cp "$work/deb/dists/other/InRelease" "$release/InRelease"
bad_source 1 'the InRelease of another suite' 'it is that of other' \
	"source s deb $work/bad stable $key"
cp "$work/deb/dists/stable/InRelease" "$release/InRelease"
echo >> "$release/main/binary-amd64/Packages.xz"
rm -rf "$work/scratch"
bad_source 5 'an index that is longer than signed' 'larger than the' \
	"source s deb $work/bad stable $key"
: > "$release/main/binary-amd64/Packages.xz"
rm -rf "$work/scratch"
bad_source 1 'an index that is another' 'is another file' \
	"source s deb $work/bad stable $key"
sign_release "$release" stable 'Thu, 01 Jan 2015 00:00:00 UTC'
bad_source 1 'an archive of long ago' 'it was valid until Thu, 01 Jan 2015' \
	"source s deb $work/bad stable $key"
bad_source 5 'an empty archive, expired as the list says' 'offers no kernel' \
	"source s deb $work/bad stable $key expired"

# Arguments: name, text on stderr, sed script for Packages. What it makes is well signed.
bad_packages() {
	xz -dc "$work/deb/dists/stable/main/binary-amd64/Packages.xz" | sed "$3" |
		xz -c > "$release/main/binary-amd64/Packages.xz"
	sign_release "$release" stable
	bad_source 5 "$1" "$2" "source s deb $work/bad stable $key"
}

bad_packages 'a package that leads upward' 'leads upward' 's,^Filename: pool,Filename: ../..,'
bad_packages 'a package at an absolute path' 'absolute path' 's,^Filename: ,Filename: /,'
bad_packages 'a package without a hash' 'has no SHA256' '/^SHA256/d'
bad_packages 'a package with a word for a size' 'Size' 's/^Size: /Size: x/'
bad_packages 'a package with a blank in its version' 'no usable version' \
	's/^Version: /Version: 1 /'
bad_packages 'a field that stands twice' 'stands twice' 's/^\(Version: .*\)/\1\n\1/'
bad_packages 'what is no field' 'it is no field' 's/^Version: /Version /'
xz -dc "$work/deb/dists/stable/main/binary-amd64/Packages.xz" | xz -c | head -c 200 \
	> "$release/main/binary-amd64/Packages.xz"
sign_release "$release" stable
bad_source 5 'an index that was cut before it was signed' 'Packages.xz: ' \
	"source s deb $work/bad stable $key"
head -c 20000000 /dev/zero | xz -c > "$release/main/binary-amd64/Packages.xz"
sign_release "$release" stable '' 1000
bad_source 5 'an index that unpacks to more than it says' 'unpacks to more than 1000 bytes' \
	"source s deb $work/bad stable $key"
bad_source 5 'an archive that answers without end' 'larger than the' \
	"source s deb $web/large/deb stable $key"
bad_source 5 'an archive that sends us elsewhere' 'redirected to no address' \
	"source s deb $web/elsewhere/deb stable $key"
bad_source 5 'an archive that is not there' 'the server says 404' \
	"source s deb $web/nowhere stable $key"
bad_source 5 'an archive that nobody serves' 'http://127.0.0.1:1/' \
	"source s deb http://127.0.0.1:1/x stable $key"
expect 5 'one source that fails does not hide the other' 'source t: ' resolve \
	"source s deb $work/deb stable $key
source t deb $work/none stable $key
kernel t * x86_64 all
kernel s cloud x86_64 7.0
kernel s cloud x86_64 all"
grep -q 's offers no kernel cloud x86_64 7.0' "$work/err" && rc=0 || rc=1
result "$rc" 'both are told'

echo "# lists"
# Arguments: name, text, the list.
bad_list() {
	expect 2 "$1" "$2" resolve "$3"
}
bad_list 'a source without a key' 'key=FILE' "source s deb $work/deb stable"
bad_list 'a key and none' 'contradict' "source s deb $work/deb stable $key unsigned"
bad_list 'a relative location' 'not a location' "source s dir deb"
bad_list 'an unknown kind' 'not a kind' "source s zip /x"
bad_list 'a kernel of no source' 'no source t' 'kernel t cloud x86_64 all'
bad_list 'an architecture that we do not know' 'i386' "source s dir $work
kernel s cloud i386 all"
bad_list 'newest of nothing' 'number of kernels' "source s dir $work
kernel s cloud x86_64 newest 0"
bad_list 'an unknown option' 'not an option' "source s rpm /x $key fast"
bad_list 'a kbuild of no source' 'no source u' "source s deb /x y $key kbuild=u"
bad_list 'no line that we know' ':2: kernal' "
kernal s"
expect 5 'a list that asks for nothing' 'asks for no kernel' resolve "source s dir $work"
[ ! -e "$work/lock" ] && rc=0 || rc=1
result "$rc" 'it gives no lock file'
# Root would rename over /dev/null as well.
mkfifo "$work/pipe"
printf 'source s deb %s stable %s\nkernel s cloud x86_64 newest 1\n' "$work/deb" "$key" \
	> "$work/list"
expect 5 'a lock file that is none' 'no regular file and is not replaced' "$checked" resolve \
	--list "$work/list" --out "$work/pipe" --scratch "$work/scratch"
[ -p "$work/pipe" ] && rc=0 || rc=1
result "$rc" 'it stays what it was'

echo "# fetching"
resolve "source s deb $web/deb stable $key
kernel s cloud x86_64 newest 1
kernel s generic x86_64 newest 1" 2> /dev/null
# Arguments: exit code, name, text on stderr, further options. Fetches into $work/got.
fetch() {
	code=$1 name=$2 text=$3
	shift 3
	rm -rf "$work/got" "$work/used"
	expect "$code" "$name" "$text" "$checked" fetch --lock "$work/lock" --packages \
		"$work/got" --used "$work/used" --scratch "$work/scratch" "$@"
}
fetch 0 'packages over HTTP' ''
[ "$(find "$work/got" -type f | wc -l)" -eq 6 ] && cmp -s "$work/lock" "$work/lock" &&
	grep -v '^#' "$work/lock" | cmp -s - "$work/used" && rc=0 || rc=1
result "$rc" 'all but the image are there, and the list to build from'
fetch 0 'images too' '' --images
[ "$(find "$work/got" -name 'linux-image*' | wc -l)" -eq 1 ] && rc=0 || rc=1
result "$rc" 'the image is there'
before=$(find "$work/got" -printf '%f %i %T@\n' | LC_ALL=C sort)
"$checked" fetch --lock "$work/lock" --packages "$work/got" --scratch "$work/scratch"
[ "$(find "$work/got" -printf '%f %i %T@\n' | LC_ALL=C sort)" = "$before" ] && rc=0 || rc=1
result "$rc" 'what is there is left alone'
good=$work/lock.good
cp "$work/lock" "$good"
deb=$(find "$work/deb/pool" -name 'linux-headers-6.1.0-99-cloud-amd64*')
cp "$deb" "$work/kept.deb"
printf X | dd of="$deb" bs=1 seek=200 conv=notrunc 2> /dev/null
fetch 5 'a package with other bytes' 'is another file: SHA-256'
grep -q '1 of 2 kernels cannot be had' "$work/err" && [ ! -e "$work/used" ] &&
	[ ! -e "$work/got/${deb##*/}" ] &&
	[ -e "$work/got/linux-headers-6.1.0-100-amd64_6.1.200-1_amd64.deb" ] && rc=0 || rc=1
result "$rc" 'its kernel is named, the other one is there, and no list to build from'
head -c 100 "$work/kept.deb" > "$deb"
fetch 5 'a truncated package' 'is another file'
cat "$work/kept.deb" "$work/kept.deb" > "$deb"
fetch 5 'a package that is too long' 'larger than the'
rm "$deb"
fetch 5 'a package that is gone, with --locked' 'LOCKED=1 forbids' --locked
fetch 5 'a package that is gone, and no list' 'no successor of x86_64 6.1.0-99-cloud-amd64'
mkdir "$work/offline"
cp "$work/kept.deb" "$work/offline/${deb##*/}"
fetch 0 'a package out of an offline directory' '' --offline "$work/offline"
fetch 0 'the same directory by a relative name' '' \
	--offline "$(realpath --relative-to=. "$work/offline")"
fetch 5 'an offline directory that is not there' 'absent: No such file' \
	--offline "$work/absent"
echo x >> "$work/offline/${deb##*/}"
fetch 5 'another package in the offline directory' 'is not the package that the lock file pins' \
	--offline "$work/offline"
sed 's/6\.1\.0-99-cloud/6.1.0-98-cloud/g; s/ [0-9a-f]\{8\}\([0-9a-f]\{56\}\) / 00000000\1 /' \
	"$good" | grep cloud > "$work/lock"
cp "$work/kept.deb" "$deb"
fetch 0 'a package that is gone' \
	'WARNING: x86_64 6.1.0-98-cloud-amd64 is replaced by 6.1.0-99-cloud-amd64' \
	--list "$work/list"
[ "$(grep -c ' successor$' "$work/used")" -eq 4 ] && rc=0 || rc=1
result "$rc" 'its successor is marked'
cp "$good" "$work/lock"
rm "$deb"
fetch 5 'a package that the index has, but not the archive' \
	'is in the index but cannot be fetched' --list "$work/list"
cp "$work/kept.deb" "$deb"

# A disk of 4 KiB, in a mount namespace of this test alone.
# shellcheck disable=SC2317 # expect calls it
full_disk() {
	mkdir -p "$work/full"
	# shellcheck disable=SC2016 # the inner shell's
	unshare -m sh -c 'mount -t tmpfs -o size=4k none "$1" && shift && "$@"' sh \
		"$work/full" "$checked" fetch --lock "$work/one.lock" --packages "$work/full" \
		--used "$work/full.used" --scratch "$work/scratch"
}
if [ "$(id -u)" -eq 0 ]; then
	head -c 100000 /dev/urandom > "$work/large.deb"
	echo "headers x86_64 6.1.0-1-amd64 a 1 $(sha256sum < "$work/large.deb" |
		cut -d ' ' -f 1) 100000 $work/large.deb" > "$work/one.lock"
	expect 5 'a full disk' 'No space left on device' full_disk
	[ ! -e "$work/full.used" ] && rc=0 || rc=1
	result "$rc" 'leaves no list to build from'
else
	echo "skip a full disk: not root"
fi

# shellcheck source=/dev/null
. tests/kmods/repos-rpm.sh
exit "${failed:?}"
