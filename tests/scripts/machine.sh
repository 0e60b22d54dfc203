# shellcheck shell=sh disable=SC2034,SC2317,SC2329 # a library
# For inside.sh: a machine of its own in the private namespaces, and the verdicts.

# Arguments: none. Returns: 0; a machine of our own. Nothing of it is seen outside.
make_machine() {
	mount -t tmpfs -o mode=755 tmpfs /run
	mkdir /run/scripts /run/ask
	cp "$SCRIPTS"/*.sh /run/scripts/
	chmod 755 /run/scripts /run/scripts/*
	mount -t tmpfs -o mode=755 tmpfs /dev
	for node in 'null 1 3' 'zero 1 5' 'random 1 8' 'urandom 1 9' 'tty 5 0'; do
		# shellcheck disable=SC2086 # name, major, minor
		set -- $node
		mknod -m 666 "/dev/$1" c "$2" "$3"
	done
	mount -t tmpfs tmpfs /sys/class/block
}

# Adds a disk. Arguments: kernel name, name of an image, serial or nothing. Returns: 0.
plug() {
	loop=$(sed -n "s/^$2 //p" "$WORK/disks")
	entry=/sys/class/block/$1
	mkdir -p "$entry/device" "$entry/holders" "$entry/queue"
	cat "/sys/block/$loop/size" > "$entry/size"
	cat "/sys/block/$loop/dev" > "$entry/dev"
	# Padded as the NVMe field is.
	[ -z "${3:-}" ] || printf '%-20s \n' "$3" > "$entry/device/serial"
	number=$(cat "$entry/dev")
	mknod -m 600 "/dev/$1" b "${number%:*}" "${number#*:}"
}

# Adds a partition. Arguments: disk, partition, name of an image. Returns: 0.
plug_partition() {
	plug "$2" "$3"
	mkdir -p /sys/class/block/.devices
	if [ ! -d "/sys/class/block/.devices/$1" ]; then
		mv "/sys/class/block/$1" "/sys/class/block/.devices/$1"
		ln -s ".devices/$1" "/sys/class/block/$1"
	fi
	rm -rf "/sys/class/block/$2/device"
	echo 1 > "/sys/class/block/$2/partition"
	mv "/sys/class/block/$2" "/sys/class/block/.devices/$1/$2"
	ln -s ".devices/$1/$2" "/sys/class/block/$2"
}

# Takes all disks out. Arguments: none. Returns: 0.
unplug_all() {
	for entry in /sys/class/block/*; do
		[ ! -b "/dev/${entry##*/}" ] || rm "/dev/${entry##*/}"
		rm -rf "$entry"
	done
	rm -rf /sys/class/block/.devices
}

# Arguments: script without .sh, its arguments. Returns: 0; RC, /run/out, /run/err.
run() {
	script=$1
	shift
	RC=0
	# shellcheck disable=SC2086 # a shell may have an argument
	$SHELL_UNDER_TEST "/run/scripts/$script.sh" "$@" > /run/out 2> /run/err || RC=$?
}

# Arguments: what is tested, expected exit code, text that stdout or stderr must hold.
# Returns: 0; prints the verdict on the last run.
expect() {
	if [ "$RC" = "$2" ] && cat /run/out /run/err | grep -qF -- "$3"; then
		echo "ok [$SHELL_UNDER_TEST] $1"
		return 0
	fi
	echo "FAIL [$SHELL_UNDER_TEST] $1: exit $RC, not $2, or no \"$3\""
	sed 's/^/     | /' /run/out /run/err
	FAILED=1
}

# Arguments: what is tested; a command follows. Returns: 0; prints the verdict.
check() {
	what=$1
	shift
	if "$@" > /run/said 2>&1; then
		echo "ok [$SHELL_UNDER_TEST] $what"
	else
		echo "FAIL [$SHELL_UNDER_TEST] $what"
		sed 's/^/     | /' /run/said
		FAILED=1
	fi
}

# Arguments: none. Returns: 0 when no trace of a run is left.
is_clean() {
	[ ! -e /run/fvol ] && ! grep -q /run/fvol /proc/self/mountinfo
}

# Arguments: option of the mount. Returns: 0 when the volume is mounted with it.
is_mounted() {
	grep -q "^[^ ]* /run/fvol/volume ext4 $1,nosuid,nodev,noatime" /proc/self/mounts
}

# Arguments: none. Returns: 0 when the last line of /run/out is one JSON object.
ends_in_json() {
	tail -n 1 /run/out | grep -q '^{".*}$' && {
		! command -v jq > /dev/null || tail -n 1 /run/out | jq -e . > /dev/null
	}
}

