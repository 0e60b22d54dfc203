#!/bin/sh
# Tests mount.sh, capture.sh, triage.sh and unmount.sh without a virtual machine, under
# every shell that is /bin/sh somewhere: run.sh [SHELL...].
#
# The scripts have no test hooks: nothing in their environment can redirect them. Instead
# each run gets a machine of its own in private mount and PID namespaces (inside.sh): a
# tmpfs on /run and /dev, and a made-up /sys/class/block whose disks nvme1n1, xvdf... have
# the device numbers of loop devices. Loop devices themselves the scripts skip, so this
# does not test the kernel's own naming, hot-plug or NVMe serials: tests/vm does.
#
# Exit: 0 passed, 1 failed, 77 skipped with the reason.
# shellcheck disable=SC2317,SC2329 # what a trap calls is not dead
set -eu

HERE=$(cd "$(dirname "$0")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)

[ "$(id -u)" = 0 ] || { echo "skip: needs root for namespaces"; exit 77; }
for program in unshare setpriv mke2fs losetup strace cc dash busybox bash mksh; do
	command -v "$program" > /dev/null && continue
	echo "skip: $program is missing"
	exit 77
done
unshare -m -p -f --propagation private true || { echo "skip: no namespaces"; exit 77; }

# Each shell in a run of its own, all at once: most of the time they sleep.
if [ "$#" -ne 1 ]; then
	[ "$#" -gt 0 ] || set -- dash 'busybox ash' 'bash --posix' bash mksh
	WORK=$(mktemp -d)
	trap 'rm -rf "$WORK"' EXIT
	trap 'exit 1' HUP INT TERM
	children='' number=0 failed=0
	for shell in "$@"; do
		number=$((number + 1))
		sh "$HERE/run.sh" "$shell" > "$WORK/$number" 2>&1 &
		children="$children $!"
	done
	for child in $children; do wait "$child" || failed=1; done
	cat "$WORK"/*
	exit "$failed"
fi

WORK=$(mktemp -d)
LOOPS=

# Arguments: none. Returns: 0; detaches the loop devices of this run and no others.
clean_up() {
	for loop in $LOOPS; do losetup -d "$loop" || :; done
	rm -rf "$WORK"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

# Arguments: name, label. Returns: 0; makes a volume in WORK/NAME.img with stand-ins for
# the tools, and the hash of its manifest in WORK/NAME.manifest.
make_volume() {
	tree=$WORK/tree
	rm -rf "$tree"
	mkdir -p "$tree/bin/x86_64" "$tree/bin/aarch64" "$tree/scripts"
	mkdir -m 700 "$tree/evidence"
	for arch in x86_64 aarch64; do
		cp "$HERE/stand-in"/* "$tree/bin/$arch/"
		chmod 755 "$tree/bin/$arch"/*
	done
	cp "$ROOT"/mount-scripts/*.sh "$tree/scripts/"
	echo "$1" > "$tree/README.txt"
	(cd "$tree" && find . -type f ! -name MANIFEST | sed 's,^\./,,' | LC_ALL=C sort |
		xargs sha256sum > "$WORK/MANIFEST")
	mv "$WORK/MANIFEST" "$tree/MANIFEST"
	case $1 in
	forged) sed -i 's/^exit/echo forged; exit/' "$tree/bin/x86_64/hash" \
		"$tree/bin/aarch64/hash" ;;
	esac
	manifest=$(sha256sum < "$tree/MANIFEST")
	echo "${manifest%% *}" > "$WORK/$1.manifest"
	truncate -s 8M "$WORK/$1.img"
	mke2fs -q -F -t ext4 -L "$2" -d "$tree" "$WORK/$1.img"
}

# Arguments: name. Returns: 0; a loop device for WORK/NAME.img, noted in WORK/disks.
attach() {
	loop=$(losetup -f --show "$WORK/$1.img")
	LOOPS="$LOOPS $loop"
	echo "$1 ${loop#/dev/}" >> "$WORK/disks"
}

# Tells which programs it was loaded into.
cc -shared -fPIC -o "$WORK/preload.so" "$HERE/preload.c"

make_volume good FVOL
make_volume second FVOL
make_volume forged FVOL
make_volume other OTHER
truncate -s 8M "$WORK/empty.img"
for name in good second forged other empty; do attach "$name"; done

# The four scripts and their common parts.
failed=0
for three in 'base mount capture' 'base mount triage' 'base mount unmount' \
	'tool mount capture' 'tool mount triage' 'tool mount unmount' \
	'lock mount unmount' 'instance capture triage'; do
	part=${three%% *} script=${three##* } first=${three#* }
	first=${first% *}
	for file in "$first" "$script"; do
		sed -n "/^# == $part: /,/^# == end of $part ==/p" \
			"$ROOT/mount-scripts/$file.sh" > "$WORK/part.$file"
	done
	if [ -s "$WORK/part.$first" ] &&
		cmp -s "$WORK/part.$first" "$WORK/part.$script"; then
		echo "ok $part is the same in $first.sh and $script.sh"
	else
		echo "FAIL $part differs between $first.sh and $script.sh"
		failed=1
	fi
done

unshare -m -p -f --propagation private --mount-proc \
	sh "$HERE/inside.sh" "$WORK" "$ROOT/mount-scripts" "$1" || failed=1
exit "$failed"
