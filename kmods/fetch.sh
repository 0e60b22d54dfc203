#!/bin/sh
# Brings the locked kernel packages into build/dl: fetch.sh [images]
#
# Without "images" what modules are built from, with it the kernels too. This is `kmods
# fetch` with the build's own files: build/kernels/used.lock is the list to build from
# then. Environment: KMODS, the program; DL, a directory looked into first; LOCKED=1: no
# successor for a package that is gone; FVOL_LOCK, FVOL_LIST, FVOL_DL, FVOL_USED, other
# files than the build's.
# Exit: 0 all there; 2 usage; else what kmods says.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
images=
case ${1:-} in
'') ;;
images) images=--images ;;
*)
	echo "usage: fetch.sh [images]" >&2
	exit 2
	;;
esac
set -- --lock "${FVOL_LOCK:-$here/kernels.lock}" --list "${FVOL_LIST:-$here/kernels.list}" \
	--packages "${FVOL_DL:-$root/build/dl}" \
	--used "${FVOL_USED:-$root/build/kernels/used.lock}" --scratch "$root/build/index"
[ -z "$images" ] || set -- "$@" --images
[ "${LOCKED:-}" != 1 ] || set -- "$@" --locked
[ -z "${DL:-}" ] || set -- "$@" --offline "$DL"
exec "${KMODS:-$root/build/release/x86_64/bin/kmods}" fetch "$@"
