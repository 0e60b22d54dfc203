#!/bin/sh
# Command-line tests as data. A case is a directory under tests/cli/cases with
#   cmd         sourced by sh in an empty directory; tools are called by name
#   expect.out  expect.err  expect.rc    (a missing file: nothing, nothing, 0)
# Each case runs on every architecture, those that are not this machine's under emulation.
# UPDATE=1 rewrites the expectations of the cases from x86_64. Usage: run.sh [CASE...]
set -eu
cd "$(dirname "$0")/../.."
root=$PWD
work=$root/build/check/cli.$$
trap 'rm -rf "$work"' EXIT
failed=0

# Arguments: architecture, case directory. Leaves out, err and rc in $work.
run_case() {
	rm -rf "$work/dir"
	mkdir -p "$work/dir"
	case $1 in
	x86_64) run= ;;
	aarch64) run=qemu-aarch64-static ;;
	esac
	set +e
	# shellcheck disable=SC2317 # the case calls them
	(
		cd "$work/dir" || exit 125
		bin=$root/build/release/$1/bin
		capture() { $run "$bin/capture" "$@"; }
		hash() { $run "$bin/hash" "$@"; }
		upload() { $run "$bin/upload" "$@"; }
		grow() { $run "$bin/grow" "$@"; }
		compress() { $run "$bin/compress" "$@"; }
		symbols() { $run "$bin/symbols" "$@"; }
		mkproc() { "$root/build/check/bin/mkproc" "$@"; }
		mkplace() { "$root/build/check/bin/mkplace" "$@"; }
		umask 022
		# shellcheck source=/dev/null
		. "$2/cmd"
	) > "$work/out" 2> "$work/err" < /dev/null
	echo $? > "$work/rc"
	set -e
}

# Arguments: case directory, name of the stream. Returns: 0 when it is as expected.
as_expected() {
	expect=$1/expect.$2
	if [ ! -e "$expect" ]; then
		expect=$work/none
		if [ "$2" = rc ]; then echo 0 > "$expect"; else : > "$expect"; fi
	fi
	diff -u "$expect" "$work/$2" > "$work/diff" 2>&1
}

# Arguments: case directory. Makes what happened the expectation.
update() {
	for s in out err rc; do
		rm -f "$1/expect.$s"
		if [ "$s" = rc ] && [ "$(cat "$work/rc")" = 0 ]; then continue; fi
		if [ -s "$work/$s" ]; then cp "$work/$s" "$1/expect.$s"; fi
	done
}

mkdir -p "$work"
[ $# -gt 0 ] || set -- "$root"/tests/cli/cases/*/
for case; do
	case=$(cd "$case" && pwd)
	name=${case##*/}
	for arch in x86_64 aarch64; do
		run_case $arch "$case"
		if [ "${UPDATE:-}" = 1 ] && [ $arch = x86_64 ]; then update "$case"; fi
		ok=1
		for s in rc out err; do
			if ! as_expected "$case" $s; then
				ok=0
				echo "# $name ($arch): $s"
				sed 's/^/#   /' "$work/diff"
			fi
		done
		if [ $ok = 1 ]; then echo "ok $name ($arch)"; else echo "FAIL $name ($arch)"; failed=1; fi
	done
done
exit $failed
