# shellcheck shell=sh disable=SC2034,SC2154,SC2317,SC2329 # a library
# For inside.sh: tests of the scripts under signals, in concurrence, in a hostile
# environment, and of what they touch.

# Starts a mount in the background. Arguments: those of mount. Returns: 0 with CHILD set.
start_mount() {
	# shellcheck disable=SC2086 # a shell may have an argument
	$SHELL_UNDER_TEST /run/scripts/mount.sh "$@" > /run/out 2> /run/err &
	CHILD=$!
}

# Arguments: none. Returns: 0.
test_signals() {
	start_mount --manifest-sha256 "$HEX" --wait 60
	sleep 1
	kill -TERM "$CHILD"
	RC=0
	wait "$CHILD" || RC=$?
	expect 'SIGTERM while waiting for a disk' 5 'ended by a signal'
	check 'no trace' is_clean
	plug nvme1n1 good "$SERIAL"
	: > /run/ask/hash.sleep
	start_mount --manifest-sha256 "$HEX"
	while [ ! -f /run/ask/hash.began ]; do sleep 0.1; done
	kill -INT "$CHILD" || :
	kill -TERM "$CHILD"
	RC=0
	wait "$CHILD" || RC=$?
	rm -f /run/ask/hash.sleep /run/ask/hash.began
	expect 'SIGTERM during the proof' 5 'ended by a signal'
	check 'is unmounted' is_clean
	unplug_all

	start_mount --manifest-sha256 "$HEX" --wait 60
	sleep 1
	kill -KILL "$CHILD"
	wait "$CHILD" 2> /dev/null || :
	check 'SIGKILL leaves a lock' [ -d /run/fvol/lock ]
	plug nvme1n1 good "$SERIAL"
	run mount --manifest-sha256 "$HEX" --wait 3
	expect 'the next run takes it over' 0 'mounted /dev/nvme1n1'
	run unmount
	expect 'and unmounts' 0 'unmounted'
	mkdir -p /run/fvol/lock
	run mount --manifest-sha256 "$HEX" --wait 10
	expect 'a lock without a name is taken over' 0 'mounted /dev/nvme1n1'
	run unmount
	mkdir -p "/run/fvol/lock/1.1"
	run unmount
	expect 'a lock of a process number that came again' 0 'nothing was mounted'
	unplug_all

	start_mount --manifest-sha256 "$HEX" --wait 20
	sleep 1
	run mount --manifest-sha256 "$HEX" --wait 1
	expect 'a second run meanwhile' 4 "(process $CHILD)"
	kill "$CHILD"
	wait "$CHILD" 2> /dev/null || :
	check 'no trace' is_clean
}

# Arguments: none. Returns: 0.
test_concurrency() {
	plug nvme1n1 good "$SERIAL"
	children=
	for n in 1 2 3 4 5 6; do
		# shellcheck disable=SC2086 # a shell may have an argument
		$SHELL_UNDER_TEST /run/scripts/mount.sh --manifest-sha256 "$HEX" \
			--wait 60 > "/run/out.$n" 2> "/run/err.$n" &
		children="$children $!"
	done
	good=0
	for child in $children; do
		if wait "$child"; then good=$((good + 1)); fi
	done
	check "six mounts at once ($good succeeded)" [ "$good" -eq 6 ]
	check 'one of them mounted' \
		[ "$(cat /run/out.* | grep -c '"already_mounted":false')" -eq 1 ]
	check 'and once only' [ "$(grep -c /run/fvol/volume /proc/self/mounts)" -eq 1 ]
	run unmount
	check 'leaves nothing' is_clean
	rm -f /run/out.* /run/err.*
	unplug_all
}

# Everything an environment can hold against a shell script. Arguments: none. Returns: 0.
test_environment() {
	mkdir -p /run/evil
	for program in '[' cat cp cut dd grep mkdir mount od printf rmdir sha256sum \
		sleep umount uname; do
		printf '#!/bin/sh\n: > /run/evil/ran\n' > "/run/evil/$program"
		chmod 755 "/run/evil/$program"
	done
	echo ': > /run/evil/ran' > /run/evil/env
	plug nvme1n1 good "$SERIAL"
	kept=$SHELL_UNDER_TEST
	# bash by its own name, which no /bin/sh has, reads this before the first line.
	startup=BASH_ENV=/run/evil/env
	[ "$kept" != bash ] || startup=
	SHELL_UNDER_TEST="env PATH=/run/evil ENV=/run/evil/env $startup
		IFS=/v CDPATH=/:/run TMPDIR=/nonexistent GLOBIGNORE=* LC_ALL=tr_TR.UTF-8
		PWD=/nowhere OLDPWD=/nowhere LIBMOUNT_FSTAB=/run/evil/env
		VOLUME=/tmp HOUSE=/tmp VERDICT=0 LOCKED=yes OWNER=x MOUNTING=yes
		MADE_POINT=yes MADE_HOUSE=yes WAIT=0 VOLUME_ID=x MANIFEST_SHA256=x ARCH=x
		DEVICE=x SERIAL=x DEVICE_NAME=x SETTING=/run/evil/env
		READAHEAD=x MNT_COUNT=0 CODE=0 WHY=x rc=0 SELF=x IMAGES=x HOLDERS=x
		RECORDS=x REDACT=yes
		BASH_FUNC_[%%=(){:>/run/evil/ran;} $(command -v "${kept%% *}")"
	case $kept in *' '*) SHELL_UNDER_TEST="$SHELL_UNDER_TEST ${kept#* }" ;; esac
	for mask in 000 777; do
		umask "$mask"
		# The output files must stay readable.
		: > /run/out && chmod 600 /run/out
		run mount --manifest-sha256 "$HEX" --wait 0
		umask 022
		name=$SHELL_UNDER_TEST SHELL_UNDER_TEST=$kept
		expect "mount in a hostile environment ()" 0 'mounted /dev/nvme1n1'
		check 'the directory is private' [ "$(stat -c %a /run/fvol)" = 700 ]
		SHELL_UNDER_TEST=$name
		umask "$mask"
		run capture
		umask 022
		SHELL_UNDER_TEST=$kept
		expect 'capture in a hostile environment' 0 'captured and hashed'
		SHELL_UNDER_TEST=$name
		umask "$mask"
		run triage
		umask 022
		SHELL_UNDER_TEST=$kept
		expect 'triage in a hostile environment' 0 'collected and hashed'
		check 'is not told to redact' sh -c '! grep -q -e --redact /run/err'
		SHELL_UNDER_TEST=$name
		umask "$mask"
		run unmount
		umask 022
		SHELL_UNDER_TEST=$kept
		expect 'unmount in a hostile environment' 0 'unmounted /dev/nvme1n1'
		check 'leaves nothing' is_clean
		SHELL_UNDER_TEST=$name
	done
	SHELL_UNDER_TEST=$kept
	check 'nothing of it ran' [ ! -e /run/evil/ran ]
	case $kept in
	bash*) test_functions ;;
	esac
	unplug_all
}

# A library in LD_PRELOAD gets into the shell itself, before its first line, and no
# further. One in /etc/ld.so.preload gets into every program of the host, which is why
# nothing that they say is believed. Arguments: none. Returns: 0.
test_preload() {
	plug nvme1n1 good "$SERIAL"
	kept=$SHELL_UNDER_TEST
	for script in mount capture triage unmount; do
		set --
		[ "$script" != mount ] || set -- --manifest-sha256 "$HEX" --wait 0
		: > /run/preloaded
		SHELL_UNDER_TEST="env LD_PRELOAD=$WORK/preload.so $kept"
		run "$script" "$@"
		SHELL_UNDER_TEST=$kept
		expect "$script with LD_PRELOAD" 0 ''
		check 'no program of the script has it' \
			[ "$(grep -cvE '^(env|dash|sh|bash|mksh)$' /run/preloaded)" -eq 0 ]
	done
	# The trap works at all.
	: > /run/preloaded
	LD_PRELOAD=$WORK/preload.so sleep 0
	check 'the library would tell' grep -qx sleep /run/preloaded
	unplug_all
}

# Functions that bash takes from the environment. Arguments: none. Returns: 0.
test_functions() {
	kept=$SHELL_UNDER_TEST
	set --
	for name in '[' mount umount mkdir rmdir dd od sha256sum sleep read printf cd \
		test pwd command; do
		set -- "$@" "BASH_FUNC_$name%%=() { : > /run/evil/ran; }"
	done
	for script in mount capture triage unmount; do
		arguments=
		[ "$script" != mount ] || arguments="--manifest-sha256 $HEX --wait 0"
		RC=0
		# shellcheck disable=SC2086 # several arguments
		env "$@" SHELLOPTS=noglob $kept "/run/scripts/$script.sh" $arguments \
			> /run/out 2> /run/err || RC=$?
		expect "$script with functions in the environment" 0 ''
	done
	check 'none of the functions ran' [ ! -e /run/evil/ran ]
	check 'leaves nothing' is_clean
}

# Watches every system call that could write. Arguments: none. Returns: 0.
test_writes() {
	plug nvme1n1 good "$SERIAL"
	kept=$SHELL_UNDER_TEST
	calls=open,openat,creat,mkdir,mkdirat,mknod,mknodat,unlink,unlinkat,rmdir,rename
	calls=$calls,renameat,renameat2,link,linkat,symlink,symlinkat,truncate,chmod
	calls=$calls,fchmodat,chown,fchownat,utimensat,setxattr
	for script in mount capture triage unmount; do
		set --
		if [ "$script" = mount ]; then
			set -- --manifest-sha256 "$HEX" --volume-id "$ID"
		fi
		trace=/run/trace.$script
		SHELL_UNDER_TEST="strace -f -qq -o $trace -e trace=execve,$calls $kept"
		run "$script" "$@"
		SHELL_UNDER_TEST=$kept
		expect "$script under strace" 0 ''
		check "$script writes nothing outside /run" writes_only_in_run "$trace"
	done
	check 'mount uses no program that it does not list' runs_only /run/trace.mount \
		'mount|umount|mkdir|rmdir|dd|od|sha256sum|sleep'
	check 'capture uses none but the mkdir of the stand-in' \
		runs_only /run/trace.capture mkdir
	check 'triage uses none but the mkdir of the stand-in' \
		runs_only /run/trace.triage mkdir
	check 'unmount uses none but umount, mkdir, rmdir' runs_only /run/trace.unmount \
		'umount|mkdir|rmdir'
	rm /run/trace.*
	unplug_all
}

# Arguments: file of strace. Returns: 0 when no call in it makes or opens for writing
# anything outside /run and /dev/null, else 1 with the calls printed.
writes_only_in_run() {
	grep -q execve "$1" || return 1
	flags='(CLOEXEC|DIRECT|DIRECTORY|LARGEFILE|NOCTTY|NOFOLLOW|NONBLOCK|PATH)'
	! grep -v -e ' = -1 ' -e 'execve(' "$1" |
		grep -v -E "open(at)?\\(.*, O_RDONLY(\\|O_$flags)*(\\)| <unfinished)" |
		grep -E '[a-z]\(' | grep -v -E '"/run/|"/dev/null"'
}

# Arguments: file of strace, programs as an extended regular expression. Returns: 0 when
# nothing else was run from the host, else 1 with the calls printed. busybox runs its own
# programs through /proc/self/exe.
runs_only() {
	grep -q execve "$1" || return 1
	# To mksh alone printf is no builtin.
	case $kept in mksh) set -- "$1" "$2|printf" ;; esac
	! grep 'execve(' "$1" | grep ' = 0$' | grep -v 'execve("/run/fvol/volume/' |
		sed 1d | grep -v -E "execve\\(\"[a-z/]*/($2)\"" |
		grep -v -E "execve\\(\"/proc/self/exe\", \\[\"($2)\""
}

# The programs of busybox alone, as on a small distribution. Arguments: none. Returns: 0.
test_busybox_userland() {
	plug nvme1n1 good "$SERIAL"
	mkdir -p /run/bb
	cp "$(command -v busybox)" /run/bb/busybox
	/run/bb/busybox --list | while read -r applet; do
		[ "$applet" = busybox ] || ln -s busybox "/run/bb/$applet"
	done
	RC=0
	# shellcheck disable=SC2016 # for the inner shell to expand
	unshare -m --propagation private /run/bb/busybox sh -c '
		mount --bind /run/bb /usr/bin && mount --bind /run/bb /usr/sbin || exit 9
		[ -h /bin ] || mount --bind /run/bb /bin
		[ -h /sbin ] || mount --bind /run/bb /sbin
		mount="mount --manifest-sha256 $1 --volume-id $2"
		for step in "$mount" capture triage unmount; do
			/run/bb/busybox ash /run/scripts/${step%% *}.sh $(
				case $step in *" "*) echo "${step#* }" ;; esac) || exit
		done' sh "$HEX" "$ID" > /run/out 2> /run/err || RC=$?
	expect 'a userland of busybox alone' 0 'unmounted /dev/nvme1n1'
	check 'all four ended in JSON' [ "$(grep -c '^{' /run/out)" -eq 4 ]
	unplug_all
}
