#!/bin/sh
# The build itself: a second make does nothing, a machine that we do not know is told what
# it needs, and no source is taken that is not the pinned one.
set -eu
cd "$(dirname "$0")/../.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0

# Arguments: TITLE EXIT PATTERN COMMAND...: what the command must end with and print (an
# empty pattern: anything).
check() {
	title=$1 want=$2 pattern=$3
	shift 3
	rc=0
	"$@" > "$tmp/out" 2>&1 || rc=$?
	if [ "$rc" -eq "$want" ] && { [ -z "$pattern" ] || grep -Eq -e "$pattern" "$tmp/out"; }; then
		echo "ok $title"
	else
		echo "FAIL $title (exit $rc)"
		tail -n 10 "$tmp/out"
		failed=1
	fi
}

check 'a second make does nothing' 0 'Nothing to be done' make all

# /etc/os-release of another system, in a mount namespace of this test alone.
# shellcheck disable=SC2317 # check calls it
other_system() {
	printf 'ID=plan9\nVERSION_ID=4\nPRETTY_NAME="Plan 9"\n' > "$tmp/os-release"
	unshare -m sh -c "mount --bind $tmp/os-release /usr/lib/os-release &&
		sh deps/host-packages.sh build"
}
if [ "$(id -u)" -eq 0 ]; then
	check 'an unknown system is named' 4 'not Debian 12 \(Plan 9\)' other_system
	check 'and told what is needed' 4 '^  gcc-12-aarch64-linux-gnu$' other_system
else
	echo 'skip an unknown system is named: not root'
fi

sum=$(printf abc | sha256sum | cut -c 1-64)
mkdir "$tmp/dl" "$tmp/got"
printf abc > "$tmp/dl/good"
printf abd > "$tmp/dl/bad"
check 'an offline source is taken' 0 '' env DL="$tmp/dl" sh deps/fetch.sh "$tmp/got" good \
	"$sum" none/good
check 'and is the pinned one' 0 '^abc$' sh -c "cat '$tmp/got/good'; echo"
check 'an offline source that is not the pinned one is refused' 1 'is not the pinned file' \
	env DL="$tmp/dl" sh deps/fetch.sh "$tmp/got" bad "$sum" none/bad
check 'nothing is left of it' 0 '^good$' ls -A "$tmp/got"
check 'a source that nobody has is named' 1 'nowhere: no origin has it' \
	sh deps/fetch.sh "$tmp/got" nowhere "$sum" pool/none/nowhere
check 'a damaged download is replaced' 0 '' sh -c "printf x > '$tmp/got/good' &&
	DL='$tmp/dl' sh deps/fetch.sh '$tmp/got' good $sum none/good && grep -q abc '$tmp/got/good'"
exit $failed
