#!/bin/sh
# Unpacks the kernels that modules were built for into build/kernels/ARCH/RELEASE: tests
# boot them. Environment: KMODS, the program that unpacks; FVOL_KERNELS, another directory
# than build/kernels, whose used.lock is FVOL_USED then; FVOL_BOOT, a pattern of releases,
# since an image with all its modules has 400 MiB (default: Debian 12's cloud kernels).
# Exit: 0 done; 1 a package is not the expected one; 5 failed (and what fetch.sh says).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
kernels=${FVOL_KERNELS:-$root/build/kernels}
kmods=${KMODS:-$root/build/release/x86_64/bin/kmods}
boot=${FVOL_BOOT:-6.1.*-cloud-*}

sh "$here/fetch.sh" images
while read -r role arch release _ _ sum _ origin _; do
	[ "$role" = image ] || continue
	# shellcheck disable=SC2254 # a pattern
	case $release in
	$boot) ;;
	*) continue ;;
	esac
	dir=$kernels/$arch/$release
	# The name is there only when all of it is.
	rm -rf "$dir.partial"
	"$kmods" unpack --into "$dir.partial" --sha256 "$sum" \
		"$root/build/dl/${origin##*/}" > /dev/null < /dev/null
	if [ ! -f "$dir.partial/boot/vmlinuz-$release" ]; then
		echo "kmods: ${origin##*/} has no boot/vmlinuz-$release" >&2
		exit 5
	fi
	rm -rf "$dir"
	mv "$dir.partial" "$dir"
done < "$kernels/used.lock"
