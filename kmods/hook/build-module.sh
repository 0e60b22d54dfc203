#!/bin/sh
# Builds the LiME module for a kernel that is installed on this machine, from its build
# tree /lib/modules/RELEASE/build, and adds it to a catalogue: a step of a pipeline that
# makes machine images, so that each image has its module before an instance runs it.
#
# build-module.sh --kmods PROGRAM --lime DIR --lime-version V --catalogue DIR
#                 [--release RELEASE] [--root DIR] [--scratch DIR]
#
#   --kmods PROGRAM     the program kmods, for this machine
#   --lime DIR          LiME's *.c and *.h (build/lime/src), --lime-version V: which
#   --catalogue DIR     made when missing; the module is added, nothing else changes
#   --release RELEASE   without it the newest kernel that has a build tree; not the one
#                       that runs, which in a pipeline is often not the one installed
#   --root DIR          where lib/modules is looked for (default /)
#   --scratch DIR       a new directory below it is used and removed (default /var/tmp)
#
# Needs make, gcc and binutils, and the kernel's headers. The last line on standard output
# is ARCH/RELEASE. Exit: 0 the module is there and checked; 2 usage; 4 this machine lacks
# something; 5 failed.
set -eu
KMODS='' LIME='' VERSION='' CATALOGUE='' RELEASE='' ROOT='' SCRATCH=''
work=

# Arguments: exit code, sentence. Returns: never.
die() {
	printf 'build-module: %s\n' "$2" >&2
	exit "$1"
}

# Removes what this run made. Arguments: none. Returns: 0.
# shellcheck disable=SC2317,SC2329 # a trap calls it
clean_up() {
	[ -z "$work" ] || rm -rf "$work"
}

# Arguments: those of the script. Returns: 0, or not at all.
read_options() {
	while [ "$#" -gt 0 ]; do
		case $1 in
		-h | --help)
			sed -n '2,/^set -eu/{/^#/s/^# \{0,1\}//p;}' "$0"
			exit 0
			;;
		--kmods | --lime | --lime-version | --catalogue | --release | --root | --scratch) ;;
		*) die 2 "unknown argument '$1'; see --help" ;;
		esac
		[ "$#" -ge 2 ] || die 2 "$1 needs a value; see --help"
		case $1 in
		--kmods) KMODS=$2 ;;
		--lime) LIME=$2 ;;
		--lime-version) VERSION=$2 ;;
		--catalogue) CATALOGUE=$2 ;;
		--release) RELEASE=$2 ;;
		--root) ROOT=${2%/} ;;
		--scratch) SCRATCH=$2 ;;
		esac
		shift 2
	done
	for value in "$KMODS" "$LIME" "$VERSION" "$CATALOGUE"; do
		[ -n "$value" ] ||
			die 2 '--kmods, --lime, --lime-version and --catalogue are needed; see --help'
	done
	case $RELEASE in
	.* | -* | *[!A-Za-z0-9.+_~:%-]*) die 2 "$RELEASE is not the release of a kernel" ;;
	esac
	[ -x "$KMODS" ] || die 4 "$KMODS cannot be run"
	[ -d "$LIME" ] || die 4 "$LIME is not a directory"
}

# Arguments: none. Returns: 0 with RELEASE and TREE set, or not at all.
find_kernel() {
	if [ -z "$RELEASE" ]; then
		for build in "$ROOT"/lib/modules/*/build; do
			[ -f "$build/Makefile" ] || continue
			release=${build%/build}
			printf '%s\n' "${release##*/}"
		done | sort -V | tail -n 1 > "$work/newest"
		read -r RELEASE < "$work/newest" ||
			die 4 "no kernel below $ROOT/lib/modules has a build tree: install its headers"
	fi
	TREE=$ROOT/lib/modules/$RELEASE/build
	[ -f "$TREE/Makefile" ] ||
		die 4 "$TREE has no Makefile: install the headers of $RELEASE"
	TREE=$(cd -P "$TREE" && pwd -P) || die 5 "cannot enter $TREE"
	case $TREE in
	*[!A-Za-z0-9/._+~-]*) die 4 "$TREE: a kernel cannot be built below that name" ;;
	esac
}

# kmods calls compiler and binutils by the names that Debian gives the cross ones. On
# another distribution this machine's own get these names; the catalogue says what they
# call themselves. Arguments: architecture. Returns: 0 with TOOLS set, or not at all.
find_tools() {
	TOOLS=/usr/sbin:/usr/bin:/sbin:/bin
	command -v make > /dev/null || die 4 'make is not installed'
	if command -v "$1-linux-gnu-gcc-12" > /dev/null; then
		return 0
	fi
	mkdir "$work/tools"
	for tool in gcc-12:gcc gcc:gcc ld:ld ar:ar as:as nm:nm objcopy:objcopy \
		objdump:objdump strip:strip readelf:readelf; do
		program=$(command -v "${tool#*:}") || die 4 "${tool#*:} is not installed"
		ln -s "$program" "$work/tools/$1-linux-gnu-${tool%:*}"
	done
	TOOLS=$work/tools:$TOOLS
}

read_options "$@"
trap clean_up EXIT
trap 'exit 5' HUP INT TERM
work=$(mktemp -d "${SCRATCH:-/var/tmp}/fvol-module.XXXXXX") || die 5 'cannot make a directory'
find_kernel
arch=$(uname -m)
find_tools "$arch"
printf 'source here tree %s\nkernel here * %s %s\n' "$TREE" "$arch" "$RELEASE" > "$work/list"
rc=0
"$KMODS" need --build --catalogue "$CATALOGUE" --list "$work/list" --arch "$arch" \
	--packages "$work/packages" --lime "$LIME" --lime-version "$VERSION" \
	--scratch "$work/scratch" --tools "$TOOLS" "$RELEASE" >&2 || rc=$?
if [ "$rc" -ne 0 ]; then
	# The directory goes, and a pipeline shows nothing but what is printed.
	tail -n 40 "$work/scratch/$arch/$RELEASE.log" >&2 2> /dev/null || :
	die 5 "the module for $RELEASE was not built (kmods ended with $rc)"
fi
"$KMODS" verify "$CATALOGUE" >&2 || die 5 "$CATALOGUE is not right"
printf '%s/%s\n' "$arch" "$RELEASE"
