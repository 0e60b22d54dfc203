#!/bin/sh
# Obtains LiME's source by lime.list: lime.sh [fallback]
#
# With "fallback" the last version of the list, for kernels that the first does not compile
# for, into build/lime/fallback; when it cannot be had there is none: that is said, and
# LOCKED=1 forbids it. build/lime/src receives *.c and *.h, build/lime/used one line:
# VERSION CONTENT FILE. Looked for in this order: DL, the pinned package, a package of the same version in
# Debian unstable, upstream; everything is checked by its content. Only when no way gives
# the first version is the next one taken: that is said, and LOCKED=1 forbids it.
# Environment: KMODS, the program that unpacks; DL, a directory looked into first.
# Exit: 0 done; 2 usage; 5 failed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
list=${FVOL_LIME_LIST:-$here/lime.list}
out=${FVOL_LIME_OUT:-$root/build/lime}
dl=${FVOL_DL:-$root/build/dl}
kmods=${KMODS:-$root/build/release/x86_64/bin/kmods}

# Arguments: a sentence. Tells it on stderr.
say() {
	echo "kmods: $*" >&2
}

case ${1:-} in
'') ;;
fallback) out=$out/fallback ;;
*)
	echo "usage: lime.sh [fallback]" >&2
	exit 2
	;;
esac
if [ ! -x "$kmods" ]; then
	say "$kmods is not built yet"
	exit 5
fi
mkdir -p "$out" "$dl"
tmp=$(mktemp -d "$out/.new.XXXXXX")
trap 'rm -rf "$tmp"' EXIT

# Arguments: a directory. Prints the digest of the *.c and *.h in it.
content_of() {
	(cd "$1" && sha256sum -- *.c *.h) | LC_ALL=C sort | sha256sum | cut -d ' ' -f 1
}

# Arguments: a version, its content, a package or archive. Puts the source into place when
# it is the right one. Returns: 0; 1 it is not.
accept() {
	rm -rf "$tmp/tree" "$tmp/src"
	mkdir "$tmp/src"
	if ! "$kmods" unpack --into "$tmp/tree" "$3" > /dev/null; then
		return 1
	fi
	header=$(find "$tmp/tree" -name lime.h -type f | head -n 1)
	if [ -z "$header" ]; then
		say "$3 has no lime.h"
		return 1
	fi
	find "$(dirname "$header")" -maxdepth 1 -type f -name '*.[ch]' \
		-exec cp {} "$tmp/src/" \;
	if [ "$(content_of "$tmp/src")" != "$2" ]; then
		say "$3 is not LiME $1 as lime.list pins it"
		return 1
	fi
	# The callers test the answer, so errexit is off here.
	rm -rf "$out/src" && mv "$tmp/src" "$out/src" &&
		echo "$1 $2 $(basename "$3")" > "$tmp/used" && mv "$tmp/used" "$out/used"
}

# Arguments: a version, its content. Looks for it in DL under any of its names.
from_directory() {
	[ -n "${DL:-}" ] || return 1
	for file in "$DL/lime-forensics-dkms_$1-"*_all.deb "$DL/v$1.tar.gz"; do
		[ -f "$file" ] || continue
		if accept "$1" "$2" "$file"; then return 0; fi
	done
	return 1
}

# Arguments: a version, its content. Asks Debian unstable's index for a package.
from_index() {
	# NAME VERSION SHA256 SIZE FILENAME
	found=$("$kmods" resolve --list "$here/kernels.list" --source debian-unstable \
		--package lime-forensics-dkms --scratch "$root/build/index") || return 1
	# shellcheck disable=SC2086 # words
	set -- "$1" "$2" $found
	case $4 in
	"$1"-*) ;;
	*) return 1 ;;
	esac
	sh "$root/deps/fetch.sh" "$dl" "${7##*/}" "$5" "$7" || return 1
	accept "$1" "$2" "$dl/${7##*/}"
}

# Arguments: a version, its content, an address. The bytes are judged by their content.
from_upstream() {
	if command -v curl > /dev/null; then
		curl -fsSL --retry 2 -o "$tmp/upstream" "$3" || return 1
	else
		/usr/lib/apt/apt-helper -o APT::Sandbox::User= download-file "$3" \
			"$tmp/upstream" > "$tmp/log" 2>&1 || return 1
	fi
	accept "$1" "$2" "$tmp/upstream"
}

# Arguments: a version. Tries every way. Returns: 0 with the source in place.
obtain() {
	grep "^$1 " "$list" > "$tmp/ways"
	content=$(awk 'NR == 1 { print $2 }' "$tmp/ways")
	if from_directory "$1" "$content"; then return 0; fi
	while read -r _ _ file sum origin; do
		[ "$sum" != - ] || continue
		if sh "$root/deps/fetch.sh" "$dl" "$file" "$sum" "$origin" < /dev/null &&
			accept "$1" "$content" "$dl/$file"; then
			return 0
		fi
	done < "$tmp/ways"
	if from_index "$1" "$content"; then return 0; fi
	while read -r _ _ _ sum origin; do
		[ "$sum" = - ] || continue
		if from_upstream "$1" "$content" "$origin"; then return 0; fi
	done < "$tmp/ways"
	return 1
}

if [ "${1:-}" = fallback ]; then
	version=$(awk '!/^#/ && NF >= 5 { last = $1 } END { print last }' "$list")
	if obtain "$version"; then
		exit 0
	fi
	rm -rf "$out/src" "$out/used"
	say "WARNING: LiME $version cannot be had; a kernel that the first version does" \
		"not compile for gets no module"
	[ "${LOCKED:-}" != 1 ] || exit 5
	exit 0
fi
first=
# shellcheck disable=SC2013 # words
for version in $(awk '!/^#/ && NF >= 5 && !seen[$1]++ { print $1 }' "$list"); do
	if [ -n "$first" ]; then
		say "WARNING: no way gives LiME $first; taking $version instead, which has" \
			"known faults (nested ranges, machine checks)"
	fi
	if obtain "$version"; then
		exit 0
	fi
	first=${first:-$version}
	if [ "${LOCKED:-}" = 1 ]; then
		say "LiME $version cannot be had, and LOCKED=1 forbids another"
		exit 5
	fi
done
say "LiME cannot be had: put its Debian package into a directory and say DL=DIR"
exit 5
