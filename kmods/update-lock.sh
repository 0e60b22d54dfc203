#!/bin/sh
# Renews kernels.lock from the archives' signed index: update-lock.sh [--keep] [KERNEL...]
#
# KERNEL is ARCH:FLAVOUR (x86_64:cloud-amd64), the newest one, or ARCH:RELEASE
# (x86_64:6.1.0-54-cloud-amd64). Without any the newest of each flavour that the lock file
# has. The kernels that it has now are replaced; --keep keeps them beside the new ones, for
# instances that still run them. FVOL_LOCK names another file.
# Exit: 0 renewed, or nothing newer; 2 usage; 4 this machine cannot; 5 failed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
lock=${FVOL_LOCK:-$here/kernels.lock}
# shellcheck source=/dev/null
. "$here/apt.sh"

keep=
if [ "${1:-}" = --keep ]; then
	keep=1
	shift
fi
for wanted; do
	case $wanted in
	[!-]*:?*) ;;
	*)
		echo "usage: update-lock.sh [--keep] [ARCH:FLAVOUR | ARCH:RELEASE]..." >&2
		exit 2
		;;
	esac
done
if [ $# -eq 0 ]; then
	# shellcheck disable=SC2046 # words
	set -- $(kernels_of "$lock" | while read -r arch release; do
		echo "$arch:$(flavour_of "$release")"
	done | LC_ALL=C sort -u)
fi
# shellcheck source=/dev/null
if [ "$(. /etc/os-release && echo "${VERSION_CODENAME:-}")" != "$SUITE" ]; then
	say "this machine is not Debian 12: asking its archives for Debian 12's kernels"
fi
apt_open "$root/build/apt" || exit $?

new=$(mktemp "$lock.XXXXXX")
trap 'rm -f "$new" "$new.lines"' EXIT
: > "$new.lines"
for wanted; do
	apt_kernel "${wanted%%:*}" "${wanted#*:}" >> "$new.lines" || exit 5
done
if [ -n "$keep" ]; then
	# What the new lines do not have.
	awk 'NR == FNR { new[$2 " " $3] = 1; next }
		!/^#/ && !(($2 " " $3) in new)' "$new.lines" "$lock" > "$new"
	cat "$new" >> "$new.lines"
fi
{
	sed '/^#/!d' "$lock"
	# By architecture and release; the roles of a kernel stay in their order.
	LC_ALL=C sort -s -u -k 2,3 -k 1,1 "$new.lines"
} > "$new"
rm -f "$new.lines"
if cmp -s "$new" "$lock"; then
	say "the lock file has the newest kernels already"
	exit 0
fi
kernels_of "$new" | while read -r arch release; do
	grep -q "^headers $arch $release " "$lock" || say "new: $arch $release"
done
chmod 644 "$new"
mv -f "$new" "$lock"
