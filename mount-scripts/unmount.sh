#!/bin/sh
# shellcheck disable=SC2317,SC2329 # what is called from a trap only is not dead
# Unmounts the forensic volume from /run/fvol/volume and proves that nothing is left: no
# mount in any mount namespace, no descriptor on the disk, no directory, no kernel module.
# Can be repeated.
#
# Before that, hash of the volume seals the evidence: a line in each custody log over its
# SHA256SUMS. The last line of the output has the heads, for the caller to keep.
#
# Programs of the host: umount; rmdir and mkdir for the mount point and the lock, on the
# tmpfs /run; sleep between two looks. Everything else is done by the shell itself. No
# here-documents: bash writes those to a file in /tmp, which is the evidence's disk.
# Never a lazy unmount: it reports success while the file system lives on.
#
# Exit codes: 0 nothing is mounted any more; 2 usage; 3 unmounted and may be detached, but
# not all evidence is sealed, or its end may be missing; 4 busy, not permitted, or still held
# by another mount namespace or a process: do not detach; 5 failed, the disk was gone
# before, or a lime module is still loaded.

SELF=fvol-unmount

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

# This file may be run from the volume. The shell keeps the script that it reads open,
# which would keep the volume busy, so it goes on from a copy in memory.
case $0 in /*) SCRIPT=$0 ;; *) SCRIPT=$PWD/$0 ;; esac
case $SCRIPT in
"$VOLUME"/*)
	text=
	newline='
'
	while IFS= read -r line; do text=$text$line$newline; done < "$SCRIPT"
	cd /
	exec /bin/sh -c "$text" $SELF "$@"
	;;
esac

# == lock: the same lines in mount.sh and unmount.sh ==
LOCKED=no
MADE_HOUSE=no

# Arguments: none. Returns: 0 with NOW set to the seconds since boot.
look_at_clock() {
	read -r NOW _ < /proc/uptime
	NOW=${NOW%%.*}
}

# A process number comes again; together with its start time it does not.
# Arguments: a process number, or "self". Returns: 0 with PID and STARTED set, 1 when
# there is no such process.
look_at_process() {
	read -r stat 2> /dev/null < "/proc/$1/stat" || return 1
	PID=${stat%% *}
	# The command's name may hold spaces and parentheses: count after the last one.
	stat=${stat##*) }
	# shellcheck disable=SC2086 # the fields are to be split
	set -- $stat
	STARTED=${20}
}

# Removes the lock of a run that is gone: the agent ends a step by SIGKILL.
# Arguments: none. Returns: 0 when it may be free now, 1 when a living run holds it.
break_stale_lock() {
	[ -d "$HOUSE/lock" ] || return 1
	for entry in "$HOUSE"/lock/*; do
		owner=${entry##*/}
		case $owner in
		'*')
			# Between its two mkdirs the owner has no name yet. Five looks, a
			# second apart, are more than it needs.
			UNNAMED=$((UNNAMED + 1))
			[ "$UNNAMED" -gt 5 ] || return 1
			UNNAMED=0
			rmdir "$HOUSE/lock" 2> /dev/null || :
			return 0
			;;
		*[!0-9.]* | *.*.* | .* | *.) return 1 ;;
		esac
		if look_at_process "${owner%.*}" && [ "$STARTED" = "${owner#*.}" ]; then
			HOLDER=$PID
			return 1
		fi
		# Only the run that removes the name may remove the lock.
		rmdir "$entry" 2> /dev/null || return 1
		rmdir "$HOUSE/lock" 2> /dev/null || :
	done
	return 0
}

# Lets one run of mount or unmount work at a time, by a directory on the tmpfs /run.
# Arguments: seconds to wait. Returns: 0 with LOCKED=yes, or not at all.
# shellcheck disable=SC2034 # unmount.sh does not use MADE_HOUSE
take_lock() {
	look_at_clock
	lock_end=$((NOW + $1)) UNNAMED=0 HOLDER=
	look_at_process self
	OWNER=$PID.$STARTED
	while :; do
		if mkdir "$HOUSE" 2> /dev/null; then MADE_HOUSE=yes; fi
		if [ -h "$HOUSE" ]; then die 4 "$HOUSE is a symbolic link"; fi
		if mkdir "$HOUSE/lock" 2> /dev/null; then
			# From here on a signal must take the lock back.
			LOCKED=yes
			if mkdir "$HOUSE/lock/$OWNER" 2> /dev/null; then return 0; fi
			LOCKED=no
		elif break_stale_lock && [ -d "$HOUSE" ] && [ ! -e "$HOUSE/lock" ]; then
			continue
		fi
		look_at_clock
		[ "$NOW" -lt "$lock_end" ] || break
		sleep 1
	done
	[ -d "$HOUSE/lock" ] || die 4 "cannot make $HOUSE/lock"
	die 4 "another run holds $HOUSE/lock${HOLDER:+ (process $HOLDER)}"
}

# Arguments: none. Returns: 0.
drop_lock() {
	[ "$LOCKED" = yes ] || return 0
	rmdir "$HOUSE/lock/$OWNER" 2> /dev/null || :
	rmdir "$HOUSE/lock" 2> /dev/null || :
	LOCKED=no
}

# Refuses to go on without the right to mount, which root of a container lacks.
# Arguments: none. Returns: 0, or not at all.
need_mount_right() {
	while read -r key value _; do
		[ "$key" = CapEff: ] || continue
		# CAP_SYS_ADMIN is capability 21.
		[ $((0x$value & 0x200000)) -ne 0 ] || die 4 'CAP_SYS_ADMIN is missing'
	done < /proc/self/status
}

# An ext4 file system has a directory in sysfs for as long as ANY mount namespace, or a
# mount that was only detached, keeps it alive.
# Arguments: major:minor. Returns: 0 when the file system on it is in use, else 1.
is_in_use() {
	kernel_name=$(cd -P "/sys/dev/block/$1" 2> /dev/null && pwd -P) || return 1
	[ -d "/sys/fs/ext4/${kernel_name##*/}" ]
}
# == end of lock ==
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

# Arguments: none. Returns: never; drops the lock and keeps the code finish was given.
leave() {
	trap - EXIT
	trap '' HUP INT TERM PIPE
	drop_lock
	exit "${VERDICT:-5}"
}

# Arguments: those of the script. Returns: 0, or not at all.
read_options() {
	[ "$#" -gt 0 ] || return 0
	case $1 in
	-h | --help)
		printf '%s\n' \
			'Usage: unmount.sh' \
			'Unmounts the volume from /run/fvol/volume.' \
			'Exit: 0 unmounted, 2 usage, 3 unmounted but not all is sealed,' \
			'4 busy or refused, 5 failed or the disk was gone.' ||
			finish 5
		finish 0
		;;
	esac
	die 2 "unknown argument '$1'; see --help"
}

# Names of processes are chosen by whoever is on the host: only harmless characters of
# them reach the output. Arguments: process number. Returns: 0 with COMMAND set.
read_command() {
	COMMAND=
	IFS= read -r COMMAND 2> /dev/null < "/proc/$1/comm" || :
	COMMAND=${COMMAND%%[!A-Za-z0-9_.:/-]*}
	COMMAND=${COMMAND:-?}
}

# Arguments: a process number, MNT_ID. Returns: 0 when one of its descriptors is on the
# mount (fdinfo tells since Linux 3.15), else 1.
has_descriptor_on() {
	for info in "/proc/$1/fdinfo"/*; do
		while read -r key value _; do
			[ "$key" = mnt_id: ] || continue
			[ "$value" != "$2" ] || return 0
			break
		done 2> /dev/null < "$info" || :
	done
	return 1
}

# Arguments: a process number, major:minor. Returns: 0 when it runs or maps a file of that
# device, else 1.
has_mapping_on() {
	# maps writes the numbers in hex.
	hex=$(printf '%02x:%02x' "${2%:*}" "${2#*:}")
	while read -r _ _ _ dev _; do
		[ "$dev" != "$hex" ] || return 0
	done 2> /dev/null < "/proc/$1/maps" || :
	return 1
}

# Arguments: a link to a directory under /proc. Returns: 0 when it leads to the volume.
leads_to_volume() {
	# No readlink needed: a subshell goes there and asks where it is.
	place=$(cd -P "$1" 2> /dev/null && pwd -P) || return 1
	case $place/ in "$VOLUME"/*) return 0 ;; esac
	return 1
}

# Names who has the disk itself open, past any file system. A look is taken five times: udev
# opens a disk for a moment after it was written. test -ef is not in POSIX, but in every
# shell that is /bin/sh somewhere. Arguments: the disk's node, major:minor. Returns: 0 with
# HOLDERS set, also for devices of RAID or mapper that are made of the disk.
find_openers() {
	HOLDERS='' look=0
	while [ -b "$1" ] && [ "$look" -lt 5 ]; do
		[ "$look" -eq 0 ] || sleep 1
		look=$((look + 1)) HOLDERS=
		for process in /proc/[0-9]*; do
			for descriptor in "$process/fd"/*; do
				# shellcheck disable=SC3013
				[ "$descriptor" -ef "$1" ] 2> /dev/null || continue
				read_command "${process##*/}"
				hold "process ${process##*/} ($COMMAND: disk)"
				break
			done
		done
		[ -n "$HOLDERS" ] || break
	done
	for member in "/sys/dev/block/$2/holders"/*; do
		[ ! -e "$member" ] || hold "the device ${member##*/}"
	done
}

# Names whatever keeps the mount busy. Arguments: none. Returns: 0 with HOLDERS set.
find_holders() {
	HOLDERS=
	for process in /proc/[0-9]*; do
		number=${process##*/} how=
		! leads_to_volume "$process/cwd" || how="$how cwd"
		! leads_to_volume "$process/root" || how="$how root"
		! has_descriptor_on "$number" "$MNT_ID" || how="$how file"
		! has_mapping_on "$number" "$MNT_DEV" || how="$how program"
		[ -n "$how" ] || continue
		read_command "$number"
		hold "process $number ($COMMAND:$how)"
	done
	while read -r _ _ _ _ point _; do
		case $point in "$VOLUME"/*) hold "the mount on $point" ;; esac
	done < /proc/self/mountinfo
	for loop in /sys/block/loop*; do
		file=
		read -r file 2> /dev/null < "$loop/loop/backing_file" || :
		case $file in "$VOLUME"/*) hold "the device /dev/${loop##*/}" ;; esac
	done
	while read -r file _; do
		case $file in "$VOLUME"/*) hold "the swap file $file" ;; esac
	done 2> /dev/null < /proc/swaps || :
}

# Arguments: what holds the volume. Returns: 0.
hold() {
	# SSM keeps a few thousand characters.
	[ "${#HOLDERS}" -lt 1500 ] || return 0
	HOLDERS="$HOLDERS${HOLDERS:+, }$1"
}

# Looks for the volume in all mount namespaces, for a container that was started meanwhile
# got a copy of every mount. Each namespace is read once: the id of its first mount is its
# own. Arguments: major:minor, or nothing when it is not known. Returns: 0 with HOLDERS
# naming one process of each namespace that has the volume.
find_namespaces() {
	HOLDERS='' visited=' '
	for process in /proc/[0-9]*; do
		number=${process##*/} first=yes
		while read -r id _ dev _ point _; do
			if [ "$first" = yes ]; then
				case $visited in *" $id "*) break ;; esac
				visited="$visited$id "
				first=no
			fi
			case $dev:$point in
			"${1:-none}:"* | *"$VOLUME") ;;
			*) continue ;;
			esac
			read_command "$number"
			hold "the mount namespace of process $number ($COMMAND)"
			break
		done 2> /dev/null < "$process/mountinfo" || :
	done
}

# Seals the evidence. Whatever comes of it, the volume is unmounted.
# Arguments: none. Returns: 0 with HEADS set to lines "HEAD  INSTANCE/TIME", TROUBLE to
# unsealed when not everything could be sealed.
seal() {
	HEADS=''
	WHY='cannot tell the architecture'
	# die would end more than the seal: in a process of its own it does not.
	if ARCH=$(find_architecture && printf '%s' "$ARCH"); then
		tool=$VOLUME/bin/$ARCH/hash
		if [ ! -f "$tool" ] || [ -h "$tool" ]; then
			WHY="the volume holds no bin/$ARCH/hash"
		else
			rc=0
			HEADS=$("$tool" --custody seal "$VOLUME/evidence") || rc=$?
			judge hash "$rc"
			[ "$CODE" -ne 0 ] || return 0
			WHY=${WHY:-"hash ended with exit code $CODE"}
		fi
	fi
	TROUBLE=unsealed
	printf '%s: warning: not all evidence is sealed: %s\n' "$SELF" "$WHY" >&2 || :
}

# Arguments: INSTANCE/TIME. Returns: 0 with HEAD set to the head of its custody log in
# quotes, or to null.
find_head() {
	HEAD=null
	newline='
'
	case $newline$HEADS$newline in *"  $1$newline"*) ;; *) return 0 ;; esac
	head=${HEADS%%"  $1"*}
	head=${head##*"$newline"}
	! is_sha256 "$head" || HEAD="\"$head\""
}

# Lists the images and the records of triage on the volume with the hashes that were made
# while they were written, for the last line of the output. Everything on the volume may
# have been rewritten by root of this host: only plain names and hashes get through.
# Arguments: none. Returns: 0 with IMAGES and RECORDS set to the members of JSON arrays.
list_images() {
	IMAGES='' RECORDS='' listed=0
	for sums in "$VOLUME"/evidence/*/*/SHA256SUMS; do
		if [ ! -f "$sums" ] || [ -h "$sums" ]; then continue; fi
		place=${sums#"$VOLUME"/evidence/}
		place=${place%/SHA256SUMS}
		case $place in *[!A-Za-z0-9/-]*) continue ;; esac
		find_head "$place"
		lines=0
		while read -r sum name && [ "$lines" -lt 64 ] && [ "$listed" -lt 32 ]; do
			lines=$((lines + 1))
			case $name in memory.* | triage.jsonl) ;; *) continue ;; esac
			case $name in *[!a-z0-9.]*) continue ;; esac
			is_sha256 "$sum" || continue
			listed=$((listed + 1))
			rest="\"sha256\":\"$sum\",\"custody_head\":$HEAD}"
			case $name in
			triage.jsonl)
				RECORDS=$RECORDS${RECORDS:+,}
				RECORDS="$RECORDS{\"records\":\"$place/$name\",$rest"
				;;
			*)
				IMAGES=$IMAGES${IMAGES:+,}
				IMAGES="$IMAGES{\"image\":\"$place/$name\",$rest"
				;;
			esac
		done 2> /dev/null < "$sums" || :
	done
}

# Looks whether everything can have reached the disk. Before it is unmounted; the answer to
# "may it be detached" does not depend on it. Arguments: none. Returns: 0 with TROUBLE
# as it was, or one of: gone, read-only.
find_trouble() {
	is_writable || TROUBLE=read-only
	[ -d "/sys/dev/block/$MNT_DEV" ] || TROUBLE=gone
	case $TROUBLE in
	gone)
		message='the disk was gone before it was unmounted: what had not reached it'
		message="$message by then is lost, and the evidence is not sealed"
		;;
	read-only)
		message='the file system had become read-only: what was captured last may'
		message="$message be missing on it, and the evidence is not sealed"
		;;
	*) return 0 ;;
	esac
	printf '%s: warning: %s\n' "$SELF" "$message" >&2 || :
}

# A capture that was killed together with its child, as the agent does at a timeout, may
# have left its module loaded. Our tool takes back what a capture of ours loaded and no
# other. Arguments: none. Returns: 0; need_no_module has the last word.
unload_module() {
	is_module_loaded || return 0
	ARCH=$(find_architecture && printf '%s' "$ARCH") || return 0
	tool=$VOLUME/bin/$ARCH/capture
	if [ -f "$tool" ] && [ ! -h "$tool" ]; then
		"$tool" --unload >&2 || :
	fi
}

# Unmounts every layer of the mount point. Arguments: none. Returns: 0, or not at all.
unmount() {
	layers=$MNT_COUNT
	while [ "$MNT_COUNT" -gt 0 ] && [ "$layers" -gt 0 ]; do
		layers=$((layers - 1))
		# A udev probe or an indexer may hold it for a moment.
		message=
		for try in 1 2 3; do
			[ "$try" -eq 1 ] || sleep 1
			if message=$(umount -n "$VOLUME" 2>&1); then break; fi
		done
		before=$MNT_COUNT held_id=$MNT_ID held_dev=$MNT_DEV
		find_mount
		[ "$MNT_COUNT" -ge "$before" ] || continue
		printf '%s: cannot unmount: %s\n' "$SELF" "$message" >&2 || :
		MNT_ID=$held_id MNT_DEV=$held_dev
		find_holders
		[ -n "$HOLDERS" ] || die 4 'nothing that can be seen here holds it'
		die 4 "busy, held by $HOLDERS"
	done
	[ "$MNT_COUNT" -eq 0 ] || die 4 "something mounts on $VOLUME again and again"
}

# Arguments: sentence. Returns: never. The next run must not forget what this one has
# unmounted and may not let go: a directory on /run has its name.
die_held() {
	mkdir "$HOUSE/held-$DEV-${device##*/}" 2> /dev/null || :
	die 4 "unmounted here, but do not detach$1"
}

# Arguments: none. Returns: 0 with DEV and device set when an earlier run left them.
remember_held() {
	for entry in "$HOUSE"/held-*; do
		held=${entry#"$HOUSE/held-"}
		case $held in
		*[!A-Za-z0-9_.:-]* | *:*:* | [!0-9]* | [!0-9]*:* | *:[!0-9]*) continue ;;
		*:*-?*) ;;
		*) continue ;;
		esac
		DEV=${held%%-*} device=/dev/${held#*-}
	done
}

# Proves that no other mount namespace keeps the file system alive. Before the mount point
# is removed: since Linux 3.18 that detaches the copies in other namespaces, as lazily as
# umount -l would, with nobody told. And that nobody has the disk open.
# Arguments: major:minor, or nothing when it is not known, the disk's node. Returns: 0, or
# not at all.
need_released() {
	look=0
	while [ -n "${1:-}" ] && is_in_use "$1" && [ "$look" -lt 5 ]; do
		look=$((look + 1))
		sleep 1
	done
	find_namespaces "${1:-}"
	[ -z "$HOLDERS" ] || die_held ", held by $HOLDERS"
	if [ -n "${1:-}" ] && is_in_use "$1"; then
		die_held ': the kernel still uses it'
	fi
	[ -n "${1:-}" ] || return 0
	# The unmounting has written everything back and flushed the disk's own cache; this
	# is about somebody who could write once more.
	find_openers "$2" "$1"
	[ -z "$HOLDERS" ] || die_held ", held by $HOLDERS"
}

# Removes the directories on /run. Arguments: none. Returns: 0, or not at all.
remove_house() {
	if [ -d "$VOLUME" ]; then
		rmdir "$VOLUME" || die 5 "$VOLUME is not empty with nothing mounted on it"
	fi
	for entry in "$HOUSE"/held-*; do
		[ ! -d "$entry" ] || rmdir "$entry" 2> /dev/null || :
	done
	drop_lock
	rmdir "$HOUSE" 2> /dev/null || :
	# A mount that has begun meanwhile has its lock in it, and may.
	if [ -d "$HOUSE" ] && [ ! -d "$HOUSE/lock" ] && [ ! -d "$VOLUME" ]; then
		die 5 "$HOUSE cannot be removed: something else is in it"
	fi
}

# Arguments: none. Returns: 0 when the module that captures use is loaded, else 1.
is_module_loaded() {
	while read -r module _; do
		[ "$module" != lime ] || return 0
	done 2> /dev/null < /proc/modules || :
	return 1
}

# Arguments: none. Returns: 0, or not at all when the module of the capture is loaded.
need_no_module() {
	! is_module_loaded ||
		die 5 'unmounted, but the kernel module lime is still loaded'
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
mounted=no device='' DEV='' IMAGES='' RECORDS='' TROUBLE='' HEADS=''
find_mount
if [ "$MNT_COUNT" -gt 0 ] || [ -d "$HOUSE" ]; then
	need_mount_right
	take_lock 60
	find_mount
	if [ "$MNT_COUNT" -gt 0 ]; then
		device=${MNT_SOURCE%%[!A-Za-z0-9_./-]*} DEV=$MNT_DEV
		find_trouble
		# What cannot be written cannot be sealed; and what is gone cannot be run.
		if [ "$TROUBLE" != gone ]; then unload_module; fi
		if [ -z "$TROUBLE" ]; then seal; fi
		list_images
		unmount
		mounted=yes
	else
		remember_held
	fi
fi
need_released "$DEV" "$device"
if [ -d "$HOUSE" ]; then remove_house; fi
need_no_module
code=0
if [ "$mounted" = yes ]; then
	say "unmounted $device"
	# Unmounted it is, and may be detached; that is not all that was to be done.
	case $TROUBLE in
	'') ;;
	gone) code=5 ;;
	*) code=3 ;;
	esac
	if [ -n "$TROUBLE" ]; then TROUBLE="\"$TROUBLE\""; fi
	say "{\"unmounted\":true,\"device\":\"$device\",\"trouble\":${TROUBLE:-null},\
\"images\":[$IMAGES],\"triage\":[$RECORDS]}"
else
	say "nothing was mounted on $VOLUME"
	say "{\"unmounted\":false,\"device\":null,\"images\":[],\"triage\":[]}"
fi
finish "$code"
