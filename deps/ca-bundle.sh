#!/bin/sh
# Makes the CA bundle of the volume: ca-bundle.sh OUT.pem. Mozilla's certificates as the
# pinned Debian package has them, each behind a line with its name, in the order of names.
set -eu
umask 022
out=$1
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
file=$(awk '$1 == "ca-certificates" { print $3 }' "$here/sources.list")
sh "$here/source.sh" ca-certificates "$root/build/dl"

mkdir -p "$(dirname "$out")"
tmp=$(mktemp -d "$(dirname "$out")/.ca.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
ar p "$root/build/dl/$file" data.tar.xz > "$tmp/data.tar.xz"
tar -xJf "$tmp/data.tar.xz" -C "$tmp" --no-same-owner
for crt in $(cd "$tmp/usr/share/ca-certificates/mozilla" && find . -name '*.crt' |
	LC_ALL=C sort); do
	echo "# ${crt#./}"
	cat "$tmp/usr/share/ca-certificates/mozilla/$crt"
done > "$tmp/ca.pem"
count=$(grep -c '^-----BEGIN CERTIFICATE-----$' "$tmp/ca.pem" || :)
# The list shrinks and grows by a few a year; another number means another form.
if [ "$count" -lt 100 ]; then
	echo "ca-bundle: only $count certificates in $file" >&2
	exit 5
fi
mkdir -p "$root/build/licences/ca-certificates"
cp "$tmp/usr/share/doc/ca-certificates/copyright" "$root/build/licences/ca-certificates/"
mv -f "$tmp/ca.pem" "$out"
