#!/bin/sh
# shellcheck disable=SC2317,SC2329 # what is called from a trap only is not dead
# Collects the live state of this instance (processes, sockets, files, what is hidden) with
# the triage program of the mounted volume, into
# /run/fvol/volume/evidence/<instance>/<UTC time>/. After the capture: memory comes first.
#
# No program of the host is used: everything but the tools of the volume is done by the
# shell itself. No here-documents: bash writes those to a file in /tmp, which is the
# evidence's disk.
#
# Exit codes are those of the triage program: 0 all that there is was read; 3 collected
# with recorded gaps; 4 refused by the system, or no volume is mounted; 5 failed. Besides:
# 1 a tool is not the one that was built; 2 usage.

SELF=fvol-triage

# == base: the same lines in mount.sh, capture.sh, triage.sh and unmount.sh ==
set -eu +afvxC
# bash imports functions from the environment, and one of them may be called "[".
unset -f '[' alias cd command dd echo false kill mkdir mount od printf pwd read rmdir \
	sha256sum sleep test true ulimit umask umount wait
unset IFS ENV BASH_ENV CDPATH GLOBIGNORE TMPDIR POSIXLY_CORRECT
unset LD_PRELOAD LD_LIBRARY_PATH LD_AUDIT LD_DEBUG LD_DEBUG_OUTPUT LD_PROFILE \
	LD_PROFILE_OUTPUT LD_BIND_NOW GLIBC_TUNABLES GCONV_PATH LOCPATH NLSPATH \
	LIBMOUNT_FSTAB LIBMOUNT_MTAB LIBMOUNT_UTAB LIBMOUNT_DEBUG BLKID_FILE BLKID_CONF
PATH=/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
umask 077
HOUSE=/run/fvol
VOLUME=$HOUSE/volume
VERDICT=

# Ends the script. Only what comes through here keeps its exit code: an unforeseen error
# that ends the shell (set -e, set -u) would otherwise look like "a hash differs".
# Arguments: exit code. Returns: never.
finish() {
	VERDICT=$1
	exit "$1"
}

# Arguments: exit code, sentence. Returns: never.
die() {
	printf '%s: %s\n' "$SELF" "$2" >&2 || :
	finish "$1"
}

# Prints one line of the result. Arguments: the line. Returns: 0; does not return when
# the line cannot be written, for nobody would know of the success.
say() {
	printf '%s\n' "$1" || die 5 'writing to standard output failed'
}

# Arguments: text. Returns: 0 when it is 64 lower-case hex digits, else 1.
is_sha256() {
	case $1 in *[!0-9a-f]*) return 1 ;; esac
	[ "${#1}" -eq 64 ]
}

# Arguments: comma-separated options, one option. Returns: 0 when it is one of them, or 1.
has_option() {
	case ",$1," in *",$2,"*) return 0 ;; esac
	return 1
}

# Refuses to go on for anybody but root. Arguments: none. Returns: 0, or not at all.
need_root() {
	effective=
	while read -r key _ value _; do
		[ "$key" = Uid: ] || continue
		effective=$value
		break
	done 2> /dev/null < /proc/self/status || :
	[ -n "$effective" ] || die 4 '/proc is not mounted'
	[ "$effective" = 0 ] || die 4 'must be run by root'
}

# Looks the mount point up in the mount table of this namespace.
# Arguments: none. Returns: 0; MNT_COUNT is the number of mounts that stand on it, the
# other MNT_ variables describe the uppermost one (MNT_DEV is major:minor).
# shellcheck disable=SC2034 # not every script uses all of them
find_mount() {
	MNT_COUNT=0 MNT_ID='' MNT_DEV='' MNT_OPTIONS='' MNT_TYPE='' MNT_SOURCE=''
	MNT_SUPER=''
	while read -r id _ dev _ point options rest; do
		[ "$point" = "$VOLUME" ] || continue
		MNT_COUNT=$((MNT_COUNT + 1)) MNT_ID=$id MNT_DEV=$dev MNT_OPTIONS=$options
		# The optional fields between the options and " - " vary in number.
		case $rest in '- '*) rest=${rest#- } ;; *) rest=${rest#* - } ;; esac
		MNT_TYPE=${rest%% *} rest=${rest#* }
		MNT_SOURCE=${rest%% *}
		MNT_SUPER=${rest##* }
	done < /proc/self/mountinfo
}

# Arguments: none; reads what find_mount found. Returns: 0 when the mount is one that
# mount.sh makes, else 1 with the reason in WHY.
is_our_mount() {
	WHY=
	[ "$MNT_COUNT" -eq 1 ] || WHY="$MNT_COUNT file systems are mounted on $VOLUME"
	[ "$MNT_TYPE" = ext4 ] || WHY=${WHY:-"$VOLUME is not an ext4 file system"}
	for option in nosuid nodev noatime; do
		has_option "$MNT_OPTIONS" "$option" ||
			WHY=${WHY:-"$VOLUME is mounted without $option"}
	done
	[ -z "$WHY" ]
}

# The mount and the file system have an answer each: after an error ext4 turns read-only
# and the mount stays as it was.
# Arguments: none; reads what find_mount found. Returns: 0 when it can be written, or 1.
is_writable() {
	has_option "$MNT_OPTIONS" rw && has_option "$MNT_SUPER" rw || return 1
	! has_option "$MNT_SUPER" emergency_ro && ! has_option "$MNT_SUPER" shutdown
}
# == end of base ==
# == tool: the same lines in mount.sh, capture.sh, triage.sh and unmount.sh ==
# Finds which directory of tools fits. Not by uname: its answer follows the personality,
# and /proc is one program of the host less.
# Arguments: none. Returns: 0 with ARCH set, or not at all.
find_architecture() {
	ARCH=
	while read -r key rest; do
		case "$key $rest" in
		vendor_id*) ARCH=x86_64 ;;
		'CPU implementer'*) ARCH=aarch64 ;;
		*) continue ;;
		esac
		break
	done 2> /dev/null < /proc/cpuinfo || :
	[ -n "$ARCH" ] || die 4 'this is neither an x86_64 nor an aarch64 machine'
	# A kernel of 32 bits would refuse our tools, and the shell would then take the
	# program for a script. Its symbols have addresses of 8 digits, hidden or not.
	address=
	read -r address _ 2> /dev/null < /proc/kallsyms || :
	[ "${#address}" -ne 8 ] || die 4 'the kernel is one of 32 bits'
}

# Says how a tool ended. Arguments: its name, its status in the shell. Returns: 0; CODE is
# the exit code to go on with and WHY is empty when the tool itself chose it.
judge() {
	WHY=
	CODE=$2
	[ "$2" -gt 5 ] || return 0
	CODE=5
	WHY="$1 ended with the unknown exit code $2"
	[ "$2" -lt 126 ] || WHY="$1 could not be run"
	[ "$2" -lt 128 ] || WHY="$1 was killed by signal $(($2 - 128))"
	# Root may run whatever has an x, unless a policy like SELinux's says no.
	if [ "$2" -eq 126 ] && [ ! -x "$VOLUME/bin/$ARCH/$1" ]; then
		CODE=4
		WHY="this host's policy does not let $1 be run"
	fi
}
# == end of tool ==

MANIFEST_SHA256='' LEAST='' REDACT=''

# Arguments: none. Returns: never; keeps the exit code that finish was given.
leave() {
	trap - EXIT
	exit "${VERDICT:-5}"
}

# Arguments: none. Returns: 0.
usage() {
	printf '%s\n' \
		'Usage: triage.sh [--manifest-sha256 HEX] [--catalogue-least N]' \
		'                 [--redact yes|no]' \
		'Collects the live state to the volume on /run/fvol/volume; prints JSON last.' \
		'  --manifest-sha256 HEX  check the tools by this MANIFEST' \
		'  --catalogue-least N    least version of the catalogue of kernel modules' \
		'  --redact yes|no        names of environment variables without values' \
		'                         (default no: they are evidence, and may be secrets)' \
		'Exit: 0 collected, 1 a hash differs, 2 usage, 3 collected with gaps,' \
		'4 refused, 5 failed.'
}

# Arguments: an option, its value so far. Returns: 0 when it has none yet, or not at all.
need_first() {
	[ -z "$2" ] || die 2 "$1 is given twice; see --help"
}

# Arguments: those of the script. Returns: 0, or not at all.
read_options() {
	while [ "$#" -gt 0 ]; do
		case $1 in
		-h | --help)
			usage || finish 5
			finish 0
			;;
		--manifest-sha256 | --catalogue-least | --redact) ;;
		*) die 2 "unknown argument '$1'; see --help" ;;
		esac
		[ "$#" -ge 2 ] || die 2 "$1 needs a value; see --help"
		case $1 in
		--manifest-sha256)
			need_first "$1" "$MANIFEST_SHA256"
			is_sha256 "$2" ||
				die 2 "$1 takes 64 lower-case hex digits; see --help"
			MANIFEST_SHA256=$2
			;;
		--catalogue-least)
			need_first "$1" "$LEAST"
			case $2 in
			'' | 0* | *[!0-9]* | ????????????????*)
				die 2 "$1 takes a number; see --help"
				;;
			esac
			LEAST=$2
			;;
		--redact)
			need_first "$1" "$REDACT"
			case $2 in yes | no) ;; *) die 2 "$1 takes yes or no; see --help" ;; esac
			REDACT=$2
			;;
		esac
		shift 2
	done
}

# Arguments: none. Returns: 0 when there is a mount to collect to, or not at all.
need_volume() {
	find_mount
	[ "$MNT_COUNT" -gt 0 ] || die 4 "nothing is mounted on $VOLUME: run mount first"
	is_our_mount || die 4 "$WHY: run unmount, then mount"
	is_writable || die 4 "$VOLUME is read-only: run mount again"
	for tool in bin/$ARCH/triage bin/$ARCH/hash; do
		if [ ! -f "$VOLUME/$tool" ] || [ -h "$VOLUME/$tool" ]; then
			die 5 "the volume holds no $tool"
		fi
	done
	if [ ! -d "$VOLUME/evidence" ] || [ -h "$VOLUME/evidence" ]; then
		die 5 'the volume holds no directory evidence'
	fi
}

# == instance: the same lines in capture.sh and triage.sh ==
# Arguments: text. Returns: 0 when it is the id of an instance or of a managed node.
is_instance_id() {
	case $1 in i-*) digits=${1#i-} ;; mi-*) digits=${1#mi-} ;; *) return 1 ;; esac
	case $digits in *[!0-9a-f]*) return 1 ;; esac
	[ "${#digits}" -ge 8 ] && [ "${#digits}" -le 17 ]
}

# The id becomes the name of a directory, so nothing that is not one gets through.
# Arguments: none. Returns: 0 with INSTANCE set.
find_instance() {
	INSTANCE=${AWS_SSM_INSTANCE_ID:-}
	is_instance_id "$INSTANCE" && return 0
	# On Nitro the asset tag is the instance id.
	tag=
	read -r tag 2> /dev/null < /sys/devices/virtual/dmi/id/board_asset_tag || :
	INSTANCE=$tag
	case $tag in i-*) is_instance_id "$tag" && return 0 ;; esac
	INSTANCE=unknown
}

# Hours may have gone by since the mount. Arguments: none. Returns: 0, or not at all.
check_tools() {
	[ -n "$MANIFEST_SHA256" ] || return 0
	set -- --volume "$VOLUME" --manifest-sha256 "$MANIFEST_SHA256"
	[ -z "$LEAST" ] || set -- "$@" --catalogue-least "$LEAST"
	rc=0
	"$VOLUME/bin/$ARCH/hash" "$@" >&2 || rc=$?
	judge hash "$rc"
	case $CODE in
	0) ;;
	1 | 4) die "$CODE" "${WHY:-"hash does not accept the volume"}" ;;
	*) die 5 "${WHY:-"hash failed with exit code $rc"}" ;;
	esac
}
# == end of instance ==

# Runs the triage program and says in a sentence how it went; its own last line, one JSON
# object, is the last line here too. Arguments: none. Returns: never.
triage() {
	set -- --evidence "$VOLUME/evidence" --instance "$INSTANCE" --json
	[ "$REDACT" != yes ] || set -- "$@" --redact
	rc=0
	output=$("$VOLUME/bin/$ARCH/triage" "$@") || rc=$?
	judge triage "$rc"
	newline=$(printf '\n.')
	newline=${newline%.}
	json=${output##*"$newline"}
	case $json in
	'{'*'}')
		above=${output%"$json"}
		;;
	*)
		above=$output
		json=
		# Without it nobody has the hash: not a success, whatever the code says.
		if [ "$CODE" -eq 0 ] || [ "$CODE" -eq 3 ]; then
			CODE=5
			WHY='triage reports success but printed no result'
		fi
		;;
	esac
	[ -z "$above" ] || say "${above%"$newline"}"
	case $CODE in
	0) say "live state of $INSTANCE collected and hashed" ;;
	3) say "live state of $INSTANCE collected WITH GAPS, which are recorded" ;;
	4) WHY=${WHY:-'the system refused the triage'} ;;
	5) WHY=${WHY:-'the triage failed'} ;;
	*)
		WHY="triage ended with the unexpected exit code $rc"
		CODE=5
		;;
	esac
	if [ "$CODE" -ne 0 ] && [ "$CODE" -ne 3 ]; then
		printf '%s: %s: the live state is not complete\n' "$SELF" "$WHY" >&2 || :
	fi
	[ -z "$json" ] || say "$json"
	finish "$CODE"
}

trap leave EXIT
trap 'die 5 "ended by a signal"' HUP INT TERM PIPE
exec < /dev/null
cd /
# A core file of one of our tools would be written to the host's disk.
# shellcheck disable=SC3045 # not in POSIX, but in every shell that is /bin/sh somewhere
ulimit -c 0 2> /dev/null || :

read_options "$@"
need_root
find_architecture
need_volume
find_instance
check_tools
triage
