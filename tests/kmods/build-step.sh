#!/bin/sh
# The step of FVol-BuildModule for real, from the document as it is registered: packages are
# installed, the tools fetched, a module compiled, checked and stored. It runs on a builder of
# its own: this machine's file system below a layer that is thrown away (overlayfs in a mount
# namespace), where apt-get, aws and uname are stand-ins and the headers real packages.
# Exit: 0 passed; 1 not; 77 skipped with the reason.
set -eu
cd "$(dirname "$0")/../.."
root=$PWD
kmods=${KMODS:-$root/build/release/x86_64/bin/kmods}
lime=$root/build/lime/src
lock=$root/build/kernels/used.lock
document=$root/out/documents/FVol-BuildStep.json
if [ "${1:-}" != inside ]; then
	if [ "$(id -u)" != 0 ] || ! grep -qw overlay /proc/filesystems ||
		! unshare -m true 2> /dev/null; then
		echo 'skip: needs root, a mount namespace and overlayfs'
		exit 77
	fi
	exec unshare -m sh "$0" inside
fi
work=$(mktemp -d)
trap 'umount -R "$work" 2> /dev/null || :; rm -rf --one-file-system "$work"' EXIT
trap 'exit 5' HUP INT TERM
mount -t tmpfs none "$work"
# shellcheck source=/dev/null
. tests/kmods/checks.sh
# shellcheck source=tests/vm/vm.sh disable=SC1091
. tests/vm/vm.sh

if [ ! -f "$lock" ] || [ ! -d "$lime" ] || [ ! -f "$document" ]; then
	echo 'FAIL build step: there are no packages or documents: run make first'
	exit 1
fi
release=$(jq -r '[.modules[] | select(.arch == "x86_64")][0].release' out/kmods/catalogue.json)
machine=$work/machine
asked=$machine/asked
mkdir "$work/upper" "$work/layer" "$machine"
mount -t overlay none -o "lowerdir=/,upperdir=$work/upper,workdir=$work/layer" "$machine"
mount --rbind /proc "$machine/proc"
mount --rbind /dev "$machine/dev"
mount -t tmpfs none "$machine/run"
mount -t tmpfs none "$machine/var/tmp"
mkdir -p "$asked/packages" "$asked/buckets/tools/source/lime" "$asked/buckets/tools/empty"
for name in aws dnf yum; do
	rm -f "$machine/usr/bin/$name" "$machine/usr/sbin/$name" "$machine/usr/local/bin/$name"
done
cp tests/kmods/stand-in/aws "$asked/aws"
cp "$machine/usr/bin/uname" "$machine/usr/bin/uname.real"
cp tests/kmods/stand-in/apt-get tests/kmods/stand-in/uname "$machine/usr/bin/"
echo "$release" > "$asked/release"
awk -v r="$release" '$2 == "x86_64" && $3 == r && $1 != "image" { sub(".*/", "", $8); print $8 }' \
	"$lock" | while read -r file; do
	"$kmods" unpack --into "$asked/packages/linux-headers-$release" "build/dl/$file" > /dev/null
done
cp "$lime"/*.[ch] "$asked/buckets/tools/source/lime/"
cp "$kmods" kmods/hook/build-module.sh "$asked/buckets/tools/source/"
echo nothing > "$asked/buckets/tools/empty/other"
source=$asked/buckets/tools/source

# Arguments: none. Lists the source as a builder of the release does; sets sum.
seal() {
	(cd "$source" && sha256sum kmods build-module.sh lime/* > SHA256SUMS)
	sum=$(sha256sum < "$source/SHA256SUMS" | cut -c 1-64)
}
seal

# Arguments: Source, Destination. Runs the document's step on the builder.
# shellcheck disable=SC2317,SC2329 # expect() calls it
step() {
	: > "$asked/calls"
	vm_document_script "$document" "$asked/step.sh" "Source=$1" "Destination=$2" \
		"SourceSha256=$sum" LimeVersion=1.12.0
	chroot "$machine" sh /asked/step.sh
}
from=s3://tools/source to=s3://modules/new

expect 5 'a source that is not there' 's3://none/source cannot be read' \
	step s3://none/source $to
check 'the headers are asked for by the release that runs' grep -qx \
	"apt-get -q -y install make gcc binutils libelf1 linux-headers-$release" "$asked/calls"
check 'and the client of AWS, which is not there' grep -qx 'apt-get -q -y install awscli' \
	"$asked/calls"
expect 5 'a source without the tools' 's3://tools/empty holds no kmods' step s3://tools/empty $to
check 'a client that is there is not asked for again' \
	sh -c "! grep -q awscli '$asked/calls'"
expect 2 'a bucket without a prefix' 'take s3://BUCKET/PREFIX' step s3://tools $to
mkdir "$machine/run/fvol"
expect 4 'a machine on which a forensic volume was mounted' 'this is no builder' step $from $to
check 'is left alone' [ ! -s "$asked/calls" ]
rmdir "$machine/run/fvol"
echo 6.1.0-0-none > "$asked/release"
expect 4 'a kernel without packages' 'the headers of 6.1.0-0-none cannot be installed' \
	step $from $to
echo "$release" > "$asked/release"

# Another program in the bucket: it must not be run, whatever it was listed as.
mv "$source/kmods" "$work/kmods"
printf '#!/bin/sh\necho run >> /asked/calls\n' > "$source/kmods"
expect 1 'another kmods' 's3://tools/source is not the one that its SHA256SUMS lists' \
	step $from $to
true_sum=$sum
seal
sum=$true_sum
expect 1 'another kmods and another list' "not $true_sum" step $from $to
check 'neither was run' sh -c "! grep -qx run '$asked/calls'"
mv "$work/kmods" "$source/kmods"
seal
echo 'int evil;' > "$source/lime/other.c"
expect 1 'a file that is not listed' 'holds ./lime/other.c, which' step $from $to
rm "$source/lime/other.c"
echo "no sum" >> "$source/SHA256SUMS"
sum=$(sha256sum < "$source/SHA256SUMS" | cut -c 1-64)
expect 1 'a list with a line that is no sum' 'is not the one that' step $from $to
rm "$source/SHA256SUMS"
expect 5 'a source without a list' 'holds no SHA256SUMS' step $from $to
sum=1234
expect 2 'a hash that is none' 'takes 64 lower-case hex digits' step $from $to
seal

mv "$asked/buckets/tools/source/lime/main.c" "$work/main.c"
echo 'this is no C' > "$asked/buckets/tools/source/lime/main.c"
seal
expect 5 'a module that does not compile' "the module for $release was not built" step $from $to
check 'its log is told' grep -q 'this is no C' "$work/err"
mv "$work/main.c" "$asked/buckets/tools/source/lime/main.c"
seal
check 'so far nothing is stored' [ ! -e "$asked/buckets/modules" ]

echo s3://modules > "$asked/deny"
expect 5 'a destination that may not be written' 's3://modules/new cannot be written' \
	step $from $to
check 'names no module' sh -c "! grep -q '\"module\"' '$work/out'"
rm "$asked/deny"

expect 0 'a module is built and stored' \
	"{\"module\":\"s3://modules/new/x86_64/$release\",\"release\":\"$release\"}" step $from $to/
check 'and nothing else stands on standard output' [ "$(wc -l < "$work/out")" -eq 1 ]
stored=$asked/buckets/modules/new/x86_64/$release
check 'with a catalogue that verifies, hashes and all' "$kmods" verify "$stored"
check 'of this release alone' [ "$(jq -r '[.modules[].release] | join(" ")' \
	"$stored/catalogue.json")" = "$release" ]
check 'its vermagic is that of the packages' [ "$(jq -r '.modules[0].vermagic' \
	"$stored/catalogue.json")" = "$(jq -r --arg r "$release" \
	'[.modules[] | select(.release == $r and .arch == "x86_64")][0].vermagic' \
	out/kmods/catalogue.json)" ]
printf 'x' >> "$stored/x86_64/$release/lime.ko"
expect 1 'another byte, and it verifies no more' '' "$kmods" verify "$stored"
check 'nothing stays on the builder' [ -z "$(ls -A "$machine/var/tmp")" ]
check 'and this machine is as it was' [ ! -e /asked ]
exit "${failed:?}"
