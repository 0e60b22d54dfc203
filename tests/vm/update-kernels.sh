#!/bin/sh
# Renews tests/vm/kernels.lock from the archives' signed index: the oldest cloud kernel of
# Debian 12 that has headers, and the newest one of Debian 13. FVOL_LOCK names another file.
# Exit: 0 renewed, or nothing newer; 4 this machine cannot; 5 failed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
lock=${FVOL_LOCK:-$here/kernels.lock}
# shellcheck source=kmods/apt.sh
. "$root/kmods/apt.sh"

new=$(mktemp "$lock.XXXXXX")
trap 'rm -f "$new"' EXIT
sed '/^#/!d' "$here/kernels.lock" > "$new"

# Debian 13's kbuild wants a newer libc than Debian 12 has; the backport of the same version
# in Debian 12's archive does not.
SUITE=trixie
apt_open "$root/build/apt-trixie" || exit $?
newest=$(apt_kernel x86_64 cloud-amd64) || exit 5
release=$(echo "$newest" | awk 'NR == 1 { print $3 }')
version=${release%%+*}

# shellcheck disable=SC2034 # apt_open reads it
SUITE=bookworm
apt_open "$root/build/apt" || exit $?
for oldest in $(private apt-cache search --names-only '^linux-headers-6[.]1[.].*-cloud-amd64$' |
	sed 's/ .*//; s/^linux-headers-//' | sort -V); do
	if apt_package "linux-image-$oldest:amd64" > /dev/null; then
		break
	fi
	oldest=
done
if [ -z "${oldest:-}" ]; then
	say "the index has no cloud kernel 6.1 of Debian 12"
	exit 5
fi
{
	apt_kernel x86_64 "$oldest"
	echo "$newest" | grep -v '^kbuild '
	apt_lock_line kbuild x86_64 "$release" "linux-kbuild-$version+deb12:amd64" || exit 5
} | LC_ALL=C sort -k 2,3 -k 1,1 >> "$new"
if [ "$(grep -vc '^#' "$new")" -ne 8 ]; then
	say "two kernels of four packages each were not found"
	exit 5
fi
if cmp -s "$new" "$lock"; then
	say "the tests' lock file has these kernels already"
	exit 0
fi
chmod 644 "$new"
mv -f "$new" "$lock"
say "the tests' kernels are $oldest and $release"
