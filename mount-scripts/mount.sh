#!/bin/sh
# shellcheck disable=SC2317,SC2329 # what is called from a trap only is not dead
# Finds the forensic volume whatever its device is called, proves that it is the one that
# was built, and mounts it at /run/fvol/volume. Changes nothing outside /run.
#
# Programs of the host, before the volume is proven (and each may be forged by whoever
# is root here, so `hash` from the volume checks again by its own system calls):
#   mount      the volume: read-only for the proof, then writable
#   umount     takes it back when anything is wrong
#   mkdir      the mount point and the lock, on the tmpfs /run; rmdir removes them;
#              both on the volume, as a trial, when growing has failed
#   dd, od     4 KiB of a device, to see whether it holds our file system
#   sha256sum  the manifest, and the one program that then checks everything else
#   chcon      the mount point, under SELinux when mounting has failed
#   sleep      between looks at a device that is still being attached
# Everything else is done by the shell itself. No here-documents: bash writes those to a
# file in /tmp, which is the evidence's disk.
#
# Exit codes: 0 mounted and proven; 1 a hash differs, or the device with the serial holds
# something else; 2 usage; 4 no device, not permitted, or several to choose from; 5
# failed.

SELF=fvol-mount

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

VOLUME_ID='' DEVICE_NAME='' MANIFEST_SHA256='' LEAST='' WAIT=60
MADE_POINT=no MOUNTING=no SETTING=

# Takes back what mount_read_only did: the mount, and the disk's readahead.
# Arguments: none. Returns: 0 when nothing is mounted any more, else 1.
take_back() {
	# A udev probe or an indexer may hold it for a moment.
	for try in 1 2 3 4 5; do
		find_mount
		[ "$MNT_COUNT" -gt 0 ] || break
		umount -n "$VOLUME" 2> /dev/null || sleep 1
	done
	find_mount
	restore_readahead
	[ "$MNT_COUNT" -eq 0 ]
}

# Undoes what this run did, and only that, unless it came to a good end.
# Arguments: none. Returns: never.
undo() {
	trap - EXIT
	trap '' HUP INT TERM PIPE
	code=${VERDICT:-5}
	if [ "$MOUNTING" = yes ] && ! take_back; then
		printf '%s: %s is still mounted after %s tries to unmount it\n' \
			"$SELF" "$VOLUME" "$try" >&2 || :
		code=5
	fi
	if [ "$MADE_POINT" = yes ]; then rmdir "$VOLUME" 2> /dev/null || :; fi
	drop_lock
	# Fails, as it should, when another run works in it.
	if [ "$MADE_HOUSE" = yes ] && [ "$code" -ne 0 ]; then
		rmdir "$HOUSE" 2> /dev/null || :
	fi
	exit "$code"
}

# Arguments: none. Returns: 0.
usage() {
	printf '%s\n' \
		'Usage: mount.sh --manifest-sha256 HEX [--volume-id ID]' \
		'                [--device-name NAME] [--wait S] [--catalogue-least N]' \
		'Mounts the forensic volume on /run/fvol/volume.' \
		'  --manifest-sha256 HEX  SHA-256 that the MANIFEST must have' \
		'  --volume-id ID         EBS volume id; on NVMe its serial must match' \
		'  --device-name NAME     what it was attached as, /dev/sdf or the like' \
		'  --catalogue-least N    least version of the catalogue of kernel modules' \
		'  --wait S               seconds to wait for it, 0 to 3600, default 60' \
		'Exit: 0 mounted, 1 a hash differs, 2 usage, 4 none or refused, 5 failed.'
}

# Arguments: sentence. Returns: never.
bad_usage() {
	die 2 "$1; see --help"
}

# Arguments: text. Returns: 0 when it is an EBS volume id, else 1.
is_volume_id() {
	case $1 in vol-*) ;; *) return 1 ;; esac
	digits=${1#vol-}
	case $digits in *[!0-9a-f]*) return 1 ;; esac
	[ "${#digits}" -ge 8 ] && [ "${#digits}" -le 17 ]
}

# Brings a device name into one form: attached at launch it has no "/dev/", and Xen's
# names stand beside the SCSI ones, so /dev/sdf, sdf, xvdf and xvdf1 are all "sdf".
# Arguments: text. Returns: 0 with NAME set, 1 when it is no such name.
normal_name() {
	NAME=${1#/dev/}
	case $NAME in
	xvd*) NAME=${NAME#xvd} ;;
	sd*) NAME=${NAME#sd} ;;
	*) return 1 ;;
	esac
	partition=${NAME#"${NAME%%[0-9]*}"}
	case $partition in *[!0-9]* | ???*) return 1 ;; esac
	NAME=${NAME%"$partition"}
	case $NAME in [a-z] | [a-z][a-z]) ;; *) return 1 ;; esac
	NAME=sd$NAME
}

# Arguments: those of the script. Returns: 0, or not at all.
read_options() {
	seen=
	while [ "$#" -gt 0 ]; do
		case $1 in
		-h | --help)
			usage || finish 5
			finish 0
			;;
		--volume-id | --device-name | --manifest-sha256 | --wait | --catalogue-least) ;;
		*) bad_usage "unknown argument '$1'" ;;
		esac
		[ "$#" -ge 2 ] || bad_usage "$1 needs a value"
		case $seen in *" $1 "*) bad_usage "$1 is given twice" ;; esac
		seen="$seen $1 "
		case $1 in
		--volume-id) VOLUME_ID=$2 ;;
		--device-name) DEVICE_NAME=$2 ;;
		--manifest-sha256) MANIFEST_SHA256=$2 ;;
		--catalogue-least) LEAST=$2 ;;
		--wait) WAIT=$2 ;;
		esac
		shift 2
	done
	is_sha256 "$MANIFEST_SHA256" ||
		bad_usage '--manifest-sha256 with 64 lower-case hex digits is required'
	# Empty is the default of the document's parameter: no id is known.
	[ -z "$VOLUME_ID" ] || is_volume_id "$VOLUME_ID" ||
		bad_usage '--volume-id is not of the form vol-0123456789abcdef0'
	if [ -n "$DEVICE_NAME" ]; then
		normal_name "$DEVICE_NAME" ||
			bad_usage '--device-name is not of the form /dev/sdf or xvdf'
		DEVICE_NAME=$NAME
	fi
	case $LEAST in
	0* | *[!0-9]* | ????????????????*) bad_usage '--catalogue-least takes a number' ;;
	esac
	case $WAIT in
	0) ;;
	'' | 0* | *[!0-9]* | ?????*) bad_usage '--wait takes 0 to 3600 seconds' ;;
	esac
	[ "$WAIT" -le 3600 ] || bad_usage '--wait takes 0 to 3600 seconds'
}

# Refuses to go on where /run is not a tmpfs: the mount point would be written to the
# host's disk. Arguments: none. Returns: 0, or not at all.
need_tmpfs() {
	run_type=
	while read -r _ _ _ _ point _ rest; do
		[ "$point" = /run ] || continue
		case $rest in '- '*) rest=${rest#- } ;; *) rest=${rest#* - } ;; esac
		run_type=${rest%% *}
	done < /proc/self/mountinfo
	[ "$run_type" = tmpfs ] ||
		die 4 '/run is not a tmpfs: the mount point would be written to a disk'
}

# Arguments: none. Returns: 0, or not at all.
need_programs() {
	for program in mount umount mkdir rmdir dd od sha256sum sleep; do
		command -v "$program" > /dev/null ||
			die 4 "this host has no $program in $PATH"
	done
}

# Reads the NVMe serial; an EBS volume's is its id without the hyphen.
# Arguments: kernel name of a disk or a partition. Returns: 0 with SERIAL set, empty when
# there is none (Xen, SCSI, virtio).
read_serial() {
	SERIAL=
	case $1 in nvme*) ;; *) return 0 ;; esac
	serial_of=/sys/class/block/$1
	# The entry is a symbolic link, so ".." is the disk that the partition is on.
	[ ! -e "$serial_of/partition" ] || serial_of=$serial_of/..
	# The field is padded with spaces; read drops them.
	read -r SERIAL 2> /dev/null < "$serial_of/device/serial" || :
}

# Reads the part of the superblock that tells our file system. O_DIRECT, because a read
# through the cache takes free pages, which are evidence; where the device or dd cannot
# do that, one buffered read of 4 KiB is the lesser evil.
# Arguments: kernel name. Returns: 0 when it is ext4 with the label FVOL, 1 when not,
# 2 when it cannot be read.
is_fvol() {
	# Bytes 1024+0x38 (magic 0xEF53) to 1024+0x78+16 (label).
	bytes=$(dd "if=/dev/$1" bs=4096 count=1 iflag=direct 2> /dev/null |
		od -A n -v -t x1 -j 1080 -N 80 2> /dev/null) || bytes=
	# shellcheck disable=SC2086 # to be split into bytes
	set -- "$1" $bytes
	if [ "$#" -ne 81 ]; then
		bytes=$(dd "if=/dev/$1" bs=4096 count=1 2> /dev/null |
			od -A n -v -t x1 -j 1080 -N 80 2> /dev/null) || bytes=
		# shellcheck disable=SC2086 # to be split into bytes
		set -- "$1" $bytes
	fi
	[ "$#" -eq 81 ] || return 2
	[ "$2$3" = 53ef ] || return 1
	shift 65
	[ "$*" = '46 56 4f 4c 00 00 00 00 00 00 00 00 00 00 00 00' ]
}

# Adds to the list of what was looked at, for the sentence of a failed search.
# Arguments: kernel name, remark. Returns: 0.
note() {
	# SSM keeps a few thousand characters; a machine may have hundreds of disks.
	[ "${#SEEN}" -lt 1500 ] || return 0
	SEEN="$SEEN${SEEN:+, }$1 ($2)"
}

# Arguments: kernel name. Returns: 0 when it is worth looking at, else 1. Names only
# exclude: what is not one physical disk, and what stalls when opened without a medium.
is_candidate() {
	case $1 in
	*[!A-Za-z0-9_.-]*) return 1 ;;
	loop* | ram* | zram* | dm-* | md* | nbd* | fd* | sr* | mtdblock*) return 1 ;;
	nvme*c*n*) return 1 ;; # a path of a multipath disk: same serial, no device node
	esac
	sectors=0
	read -r sectors 2> /dev/null < "/sys/class/block/$1/size" || return 1
	[ "$sectors" != 0 ] || return 1
	# A member of a RAID or a mapped device belongs to that device.
	for member in "/sys/class/block/$1/holders"/*; do
		[ ! -e "$member" ] || return 1
	done
}

# Looks at the content of one device and enters it in the lists.
# Arguments: kernel name. Returns: 0; FOUND and COUNT grow on a match, OTHER on content
# that is not ours.
look_inside() {
	if [ ! -b "/dev/$1" ]; then
		note "$1" 'has no device node yet'
		return 0
	fi
	rc=0
	is_fvol "$1" || rc=$?
	case $rc in
	0)
		FOUND="$FOUND${FOUND:+ }$1"
		COUNT=$((COUNT + 1))
		;;
	1)
		note "$1" 'is not ext4 labelled FVOL'
		OTHER="$OTHER${OTHER:+ }$1"
		;;
	*) note "$1" 'cannot be read' ;;
	esac
}

# One look at all block devices.
# Arguments: none. Returns: 0; FOUND names the COUNT devices that fit, WRONG those with
# the serial asked for when none of them fits.
search() {
	FOUND='' COUNT=0 WRONG='' OTHER='' SEEN=''
	wanted=
	[ -z "$VOLUME_ID" ] || wanted=vol${VOLUME_ID#vol-}
	unnamed='' ebs=no
	for entry in /sys/class/block/*; do
		name=${entry##*/}
		is_candidate "$name" || continue
		read_serial "$name"
		case $SERIAL in vol*) ebs=yes ;; esac
		if [ -z "$wanted" ] || [ "$SERIAL" = "$wanted" ]; then
			look_inside "$name"
		elif [ -n "$SERIAL" ]; then
			note "$name" "has the serial $SERIAL"
		else
			unnamed="$unnamed $name"
		fi
	done
	if [ -n "$wanted" ]; then
		[ "$COUNT" -gt 0 ] || WRONG=$OTHER
		# Where EBS volumes are NVMe disks, one without a serial is not the one
		# asked for; where they are not (Xen), the content is all there is.
		if [ "$COUNT" -eq 0 ] && [ -z "$WRONG" ] && [ "$ebs" = no ]; then
			for name in $unnamed; do look_inside "$name"; done
		fi
	fi
}

# Where serials do not tell, the name that the volume was attached as may. On Xen and SCSI
# it is the kernel's name, unless that one shifts the letters (some RHEL), so it chooses
# but does not exclude. NVMe disks tell it only when asked, which is the checker's work.
# Aliases that udev makes of it are not looked at: they are missing on some systems and
# wrong on others. Arguments: none; reads FOUND. Returns: 0 with FOUND and COUNT for those
# that the name may mean, or 1 when it means none of them.
choose_by_name() {
	named='' count=0
	for name in $FOUND; do
		case $name in
		nvme*) ;;
		*)
			normal_name "$name" || continue
			[ "$NAME" = "$DEVICE_NAME" ] || continue
			;;
		esac
		named="$named${named:+ }$name"
		count=$((count + 1))
	done
	[ "$count" -gt 0 ] || return 1
	FOUND=$named COUNT=$count
}

# Waits for the device. Arguments: none. Returns: 0 with FOUND set to its kernel name, or,
# with a device name, to several of NVMe disks to ask; or not at all.
find_device() {
	look_at_clock
	search_end=$((NOW + WAIT)) wrong_before=
	while :; do
		search
		[ "$COUNT" -eq 0 ] || [ -n "$DEVICE_NAME" ] || break
		if [ "$COUNT" -gt 0 ] && choose_by_name; then break; fi
		# Twice, because a disk is seen for a moment before its partitions are.
		if [ "$WAIT" -eq 0 ]; then wrong_before=$WRONG; fi
		if [ -n "$WRONG" ] && [ "$WRONG" = "$wrong_before" ]; then
			die 1 "$WRONG has the serial of $VOLUME_ID, but other content"
		fi
		wrong_before=$WRONG
		look_at_clock
		[ "$NOW" -lt "$search_end" ] || break
		sleep 1
	done
	if [ "$COUNT" -eq 0 ]; then
		die 4 "no forensic volume after $WAIT s; seen: ${SEEN:-no disk at all}"
	fi
	[ "$COUNT" -gt 1 ] || return 0
	case $DEVICE_NAME:$FOUND in
	:* | *:sd* | *:xvd*)
		die 4 "several devices fit and nothing tells them apart: $FOUND"
		;;
	esac
}

# Proves what is mounted: by the host's sha256sum as far as the volume's own checker, then
# by that. Arguments: none. Returns: 0, or not at all.
prove() {
	checker=bin/$ARCH/hash
	# Root may read everything, unless a policy like SELinux's says no; then what follows
	# would call the volume another one.
	if [ ! -r "$VOLUME" ] || [ ! -x "$VOLUME" ]; then
		die 4 "this host's policy does not let $VOLUME be read"
	fi
	[ -f "$VOLUME/MANIFEST" ] || die 1 "$MNT_SOURCE holds no MANIFEST"
	sum=$(sha256sum < "$VOLUME/MANIFEST") || die 5 'sha256sum of MANIFEST failed'
	sum=${sum%% *}
	[ "$sum" = "$MANIFEST_SHA256" ] ||
		die 1 "MANIFEST on $MNT_SOURCE has the SHA-256 $sum, not $MANIFEST_SHA256"
	if [ ! -f "$VOLUME/$checker" ] || [ -h "$VOLUME/$checker" ]; then
		die 1 "$MNT_SOURCE holds no $checker"
	fi
	sum=$(sha256sum < "$VOLUME/$checker") || die 5 "sha256sum of $checker failed"
	sum=${sum%% *}
	listed=no
	while IFS= read -r line; do
		[ "$line" != "$sum  $checker" ] || listed=yes
	done < "$VOLUME/MANIFEST"
	[ "$listed" = yes ] || die 1 "$checker is not the one in MANIFEST"

	set -- --volume "$VOLUME" --manifest-sha256 "$MANIFEST_SHA256" \
		--device "$MNT_SOURCE"
	[ -z "$DEVICE_NAME" ] || set -- "$@" --device-name "$DEVICE_NAME"
	[ -z "$VOLUME_ID" ] || [ -z "$SERIAL" ] || set -- "$@" --serial "$SERIAL"
	[ -z "$LEAST" ] || set -- "$@" --catalogue-least "$LEAST"
	rc=0
	"$VOLUME/$checker" "$@" >&2 || rc=$?
	judge hash "$rc"
	case $CODE in
	0) ;;
	1 | 4) die "$CODE" "${WHY:-"hash does not accept the volume"}" ;;
	*) die 5 "${WHY:-"hash failed with exit code $rc"}" ;;
	esac
}

# Makes the proven mount writable. Arguments: none. Returns: 0, or not at all.
make_writable() {
	if ! is_writable; then
		# With both device and directory no fstab is asked for further options.
		# From 5.13 on ext4 reads the bitmaps of the whole volume in advance, 12 KiB
		# of free memory for each 128 MiB; older kernels do not know the option.
		# Each commit of the journal takes two pages more: capture syncs by itself.
		set -- remount,rw,nosuid,nodev,noatime,commit=60
		mount -n -i -o "$1,no_prefetch_block_bitmaps" "$MNT_SOURCE" "$VOLUME" \
			2> /dev/null ||
			mount -n -i -o "$1" "$MNT_SOURCE" "$VOLUME" >&2 ||
			die 5 "making $VOLUME writable failed"
		# Nor need it look for the best place among many: that costs as much.
		# Both, for the limit does not hold once no group is large enough.
		for setting in mb_prefetch mb_prefetch_limit; do
			setting=/sys/fs/ext4/${MNT_SOURCE##*/}/$setting
			if [ -f "$setting" ]; then
				echo 0 2> /dev/null > "$setting" || :
			fi
		done
	fi
	find_mount
	is_our_mount || die 5 "$WHY"
	is_writable || die 5 "$VOLUME is still read-only"
}

# Makes the file system as large as the memory asks for, not as the disk: growing takes
# memory itself, 80 MiB for 1 TiB. By the program of the volume, which `prove` has
# checked. A volume that cannot grow is still one that can be written to, and capture looks
# at the free space itself: so a warning. Arguments: none. Returns: 0 with GROWN true or
# false and GROWTH a JSON object or null; not at all when nothing can be written any more.
grow() {
	GROWN=false GROWTH=null rc=0 output=
	grower=$VOLUME/bin/$ARCH/grow
	if [ ! -f "$grower" ] || [ -h "$grower" ]; then
		WHY="$MNT_SOURCE holds no bin/$ARCH/grow"
	else
		output=$("$grower" --for-memory --json "$VOLUME") || rc=$?
		judge grow "$rc"
		newline=$(printf '\n.')
		json=${output##*"${newline%.}"}
		case $json in
		*[!A-Za-z0-9_\":,{}]*) ;;
		'{'*'}') GROWTH=$json ;;
		esac
		if [ "$rc" -ne 0 ]; then
			WHY=${WHY:-"grow failed with exit code $rc"}
		elif [ "$GROWTH" = null ]; then
			WHY='grow reports success but printed no result'
		else
			GROWN=true
		fi
	fi
	if [ "$GROWN" = false ]; then
		printf '%s: warning: %s: %s may be too small\n' \
			"$SELF" "$WHY" "$VOLUME" >&2 || :
		# An aborted journal shows at the next change only. Where there is nothing to
		# write to, capture could only fail.
		if ! mkdir "$VOLUME/evidence/.probe" || ! rmdir "$VOLUME/evidence/.probe"; then
			die 5 "after growing failed, nothing can be written to $VOLUME"
		fi
	fi
	# An error in the middle makes ext4 read-only.
	find_mount
	is_our_mount || die 5 "after growing: $WHY"
	is_writable || die 5 "growing left $VOLUME read-only"
}

# Prints the last line. Arguments: true when an earlier run had mounted it, else false.
# Returns: 0.
report() {
	serial=null
	case $SERIAL in
	'' | *[!A-Za-z0-9_-]*) ;;
	*) serial="\"$SERIAL\"" ;;
	esac
	say "{\"volume\":\"$VOLUME\",\"device\":\"$MNT_SOURCE\",\"serial\":$serial,\
\"architecture\":\"$ARCH\",\"manifest_sha256\":\"$MANIFEST_SHA256\",\
\"already_mounted\":$1,\"grown\":$GROWN,\"growth\":$GROWTH}"
}

# Proves a mount that was there before; it is not this run's to undo.
# Arguments: none. Returns: 0, or not at all.
accept_mount() {
	is_our_mount || die 4 "$WHY: run unmount first"
	case $MNT_SOURCE in
	/dev/*[!A-Za-z0-9_./-]*) die 4 "$VOLUME has a strange device: run unmount" ;;
	/dev/*) ;;
	*) die 4 "$VOLUME is not mounted from a device: run unmount first" ;;
	esac
	read_serial "${MNT_SOURCE##*/}"
	if [ -n "$VOLUME_ID" ]; then
		case $SERIAL in
		'' | "vol${VOLUME_ID#vol-}") ;;
		*) die 4 "$VOLUME is another volume ($SERIAL): run unmount first" ;;
		esac
	fi
	prove
	make_writable
	grow
	say "$VOLUME was already mounted from $MNT_SOURCE; it has been checked again"
	report true
}

# What is read ahead of this disk would take the place of free pages, which are evidence:
# 32 pages for each piece of a tool that runs. A setting of the volume's disk alone, which
# goes when the disk goes. Arguments: none. Returns: 0 with SETTING, and READAHEAD for what
# it was.
no_readahead() {
	for SETTING in "/sys/class/block/$DEVICE/queue/read_ahead_kb" \
		"/sys/class/block/$DEVICE/../queue/read_ahead_kb"; do
		[ -f "$SETTING" ] || continue
		READAHEAD=
		read -r READAHEAD 2> /dev/null < "$SETTING" || :
		echo 0 2> /dev/null > "$SETTING" || :
		return 0
	done
	SETTING=
}

# A disk that is not taken stays as it was. Arguments: none. Returns: 0.
restore_readahead() {
	if [ -f "$SETTING" ] && [ -n "$READAHEAD" ]; then
		echo "$READAHEAD" 2> /dev/null > "$SETTING" || :
	fi
	SETTING=
}

# Arguments: none. Returns: 0 with device_number set when DEVICE can be mounted, or 1 with
# the reason in WHY.
is_unused() {
	WHY="$DEVICE has gone away"
	read -r device_number 2> /dev/null < "/sys/class/block/$DEVICE/dev" || return 1
	WHY="/dev/$DEVICE is already mounted, elsewhere or in another namespace"
	! is_in_use "$device_number"
}

# Under SELinux mount may be a domain of its own, which may mount on directories of some
# types only, and what a service makes in /run need not be of one (Debian's policy has it
# so). /mnt's type is one in every policy. The label goes with the directory.
# Arguments: none. Returns: 0 when the mount point has got that type, else 1.
label_point() {
	[ -e /sys/fs/selinux/enforce ] && command -v chcon > /dev/null || return 1
	chcon -t mnt_t "$VOLUME" 2> /dev/null
}

# Mounts DEVICE for the proof. Arguments: none. Returns: 0, or not at all.
mount_read_only() {
	# Not noexec: the tools run from here. -n and -i: nothing is written to /etc/mtab
	# and no helper of the host is run. Propagation stays what it is for /run: a
	# private mount would outlive its unmounting in namespaces made meanwhile.
	set -- -n -i -t ext4 -o ro,nosuid,nodev,noatime,inode_readahead_blks=0 \
		"/dev/$DEVICE" "$VOLUME"
	if ! message=$(mount "$@" 2>&1) && ! { label_point && message=$(mount "$@" 2>&1); }; then
		printf '%s\n' "$message" >&2 || :
		case $message in
		# The second is how mount words EACCES when asked for a read-only mount.
		*[Pp]'ermission denied'* | *'cannot mount '*' read-only'*)
			die 4 "mounting /dev/$DEVICE was refused"
			;;
		esac
		die 5 "mounting /dev/$DEVICE failed"
	fi
	find_mount
	is_our_mount || die 5 "$WHY"
	[ "$MNT_DEV" = "$device_number" ] ||
		die 5 "/dev/$DEVICE is device $MNT_DEV, not $device_number"
	prove
}

# Several NVMe disks fit. What each was attached as only the checker can ask, and before a
# disk is mounted there is no checker: so they are mounted read-only in turn until one is
# proven. Arguments: none. Returns: 0 with DEVICE mounted, or not at all.
try_each() {
	for DEVICE in $FOUND; do
		if ! is_unused; then
			printf '%s: %s\n' "$SELF" "$WHY" >&2 || :
			continue
		fi
		read_serial "$DEVICE"
		no_readahead
		# In a process of its own, which die ends and no more.
		rc=0
		(
			trap - EXIT
			mount_read_only
		) || rc=$?
		if [ "$rc" -eq 0 ]; then
			find_mount
			return 0
		fi
		take_back || die 5 "/dev/$DEVICE cannot be unmounted again"
	done
	die 1 "none of these was attached as $DEVICE_NAME and is this release: $FOUND"
}

# Mounts what was found and proves it. Arguments: none. Returns: 0, or not at all.
mount_device() {
	if [ ! -d "$VOLUME" ]; then
		mkdir "$VOLUME" || die 5 "cannot make $VOLUME"
		MADE_POINT=yes
	fi
	[ ! -h "$VOLUME" ] || die 4 "$VOLUME is a symbolic link"
	# Before the mount, so that a signal during it finds it.
	MOUNTING=yes
	if [ "$COUNT" -eq 1 ]; then
		DEVICE=$FOUND
		is_unused || die 4 "$WHY"
		read_serial "$DEVICE"
		no_readahead
		mount_read_only
	else
		try_each
	fi
	make_writable
	grow
	say "mounted /dev/$DEVICE on $VOLUME"
	report false
	MOUNTING=no MADE_POINT=no
}

trap undo EXIT
trap 'die 5 "ended by a signal"' HUP INT TERM PIPE
exec < /dev/null
cd /
# A core file of one of our tools would be written to the host's disk.
# shellcheck disable=SC3045 # not in POSIX, but in every shell that is /bin/sh somewhere
ulimit -c 0 2> /dev/null || :

read_options "$@"
need_root
need_mount_right
need_tmpfs
need_programs
find_architecture
take_lock "$WAIT"
find_mount
if [ "$MNT_COUNT" -gt 0 ]; then
	accept_mount
else
	find_device
	mount_device
fi
finish 0
