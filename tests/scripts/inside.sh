#!/bin/sh
# The part of run.sh that runs in the private namespaces: inside.sh WORK SCRIPTS SHELL.
# Prints "ok" and "FAIL" lines; exit 0 or 1.
set -eu

WORK=$1
SCRIPTS=$2
SHELL_UNDER_TEST=$3
HEX=$(cat "$WORK/good.manifest")
ID=vol-0123456789abcdef0
SERIAL='vol0123456789abcdef0'
FAILED=0

# shellcheck source=tests/scripts/machine.sh
. "${0%/*}/machine.sh"
# shellcheck source=tests/scripts/hostile.sh
. "${0%/*}/hostile.sh"

# Arguments: none. Returns: 0.
test_arguments() {
	run mount
	expect 'mount without arguments' 2 'required'
	for bad in --bogus "--manifest-sha256 abc" "--manifest-sha256 $HEX --wait 1x" \
		"--manifest-sha256 $HEX --wait 08" "--manifest-sha256 $HEX --wait 3601" \
		"--manifest-sha256 $HEX --wait 1 --wait 1" \
		"--manifest-sha256 $HEX --wait" \
		"--manifest-sha256 $HEX --catalogue-least 0" \
		"--manifest-sha256 $HEX --catalogue-least x" \
		"--manifest-sha256 $HEX --device-name nvme1n1" \
		"--manifest-sha256 $HEX --device-name sdabc" \
		"--manifest-sha256 $HEX --device-name sdf/../x" \
		"--manifest-sha256 $HEX --device-name xvd1" \
		"--manifest-sha256 $HEX --device-name sdf1x" \
		"--manifest-sha256 $HEX --volume-id vol-0123456" \
		"--manifest-sha256 $HEX --volume-id vol-01234567x" \
		"--manifest-sha256 $HEX --volume-id vol-0123456789abcdef01" \
		"--manifest-sha256 ${HEX}a" "--manifest-sha256 $HEX extra"; do
		# shellcheck disable=SC2086 # several arguments
		run mount $bad
		expect "mount $bad" 2 'see --help'
	done
	run mount --manifest-sha256 "$HEX" --volume-id "vol-01234567'; reboot; '"
	expect 'mount with a command in the volume id' 2 'see --help'
	run capture --bogus
	expect 'capture --bogus' 2 'see --help'
	run capture --manifest-sha256 xyz
	expect 'capture with a bad hash' 2 'see --help'
	run triage --bogus
	expect 'triage --bogus' 2 'see --help'
	for bad in '--redact' '--redact maybe' '--redact no --redact no' \
		'--manifest-sha256 xyz' '--catalogue-least 0'; do
		# shellcheck disable=SC2086 # several arguments
		run triage $bad
		expect "triage $bad" 2 'see --help'
	done
	run unmount now
	expect 'unmount with an argument' 2 'see --help'
	for script in mount capture triage unmount; do
		run "$script" --help
		expect "$script --help" 0 "Usage: $script.sh"
		check "$script --help says nothing on stderr" [ ! -s /run/err ]
	done
	check 'no trace after wrong usage' is_clean
}

# Arguments: none. Returns: 0.
test_refusals() {
	kept=$SHELL_UNDER_TEST
	for script in mount capture triage unmount; do
		SHELL_UNDER_TEST="setpriv --reuid 9 --regid 9 --clear-groups $kept"
		set --
		[ "$script" != mount ] || set -- --manifest-sha256 "$HEX"
		run "$script" "$@"
		SHELL_UNDER_TEST=$kept
		expect "$script as nobody" 4 'root'
	done
	SHELL_UNDER_TEST="setpriv --bounding-set -sys_admin --inh-caps -sys_admin $kept"
	run mount --manifest-sha256 "$HEX"
	SHELL_UNDER_TEST=$kept
	expect 'mount without CAP_SYS_ADMIN' 4 'CAP_SYS_ADMIN'

	cp -a /run "$WORK/run.kept"
	mount -t ramfs ramfs /run
	cp -a "$WORK/run.kept/." /run/
	run mount --manifest-sha256 "$HEX" --wait 0
	expect 'mount where /run is a ramfs' 4 'not a tmpfs'
	check 'nothing made on it' is_clean
	umount /run
	rm -rf "$WORK/run.kept"

	run capture
	expect 'capture without a volume' 4 'run mount first'
	run triage
	expect 'triage without a volume' 4 'run mount first'
	run unmount
	expect 'unmount with nothing mounted' 0 'nothing was mounted'
	check 'unmount ends in JSON' ends_in_json
	mkdir -p /run/fvol/volume
	run unmount
	expect 'unmount with empty directories left' 0 'nothing was mounted'
	check 'they are removed' is_clean
	mkdir -p /run/fvol/volume/x
	run unmount
	expect 'unmount with something in the directory' 5 'not empty'
	rmdir /run/fvol/volume/x
	run unmount
	ln -s /tmp /run/fvol
	run mount --manifest-sha256 "$HEX" --wait 0
	expect 'mount where /run/fvol is a symbolic link' 4 'symbolic link'
	rm /run/fvol
}

# Arguments: none. Returns: 0.
test_search() {
	read -r before _ < /proc/uptime
	run mount --manifest-sha256 "$HEX" --wait 2
	read -r after _ < /proc/uptime
	expect 'mount without a disk' 4 'no disk at all'
	# Not by a clock of the test: on a busy machine every bound is too short.
	took=$((${after%%.*} - ${before%%.*}))
	check "after its deadline and not at once (took $took s of 2)" [ "$took" -ge 1 ]
	plug xvda other
	plug loop7 good
	plug dm-0 good
	plug nvme0c1n1 good "$SERIAL"
	plug xvdz empty
	run mount --manifest-sha256 "$HEX" --wait 0
	expect 'mount with only other disks' 4 'xvda (is not ext4 labelled FVOL), xvdz'
	check 'loop, dm and multipath names are not even looked at' \
		sh -c '! grep -qE "loop7|dm-0|nvme0c1n1" /run/err'
	check 'no trace after a search in vain' is_clean
	mkdir /sys/class/block/md0
	plug xvdf good
	: > /sys/class/block/xvdf/holders/md0
	run mount --manifest-sha256 "$HEX" --wait 0
	expect 'a member of a RAID is not taken' 4 'no forensic volume'
	rm /sys/class/block/xvdf/holders/md0
	plug xvdg second
	run mount --manifest-sha256 "$HEX" --wait 5
	expect 'several that fit, without serials' 4 'tells them apart: xvdf xvdg'
	run mount --manifest-sha256 "$HEX" --volume-id "$ID" --wait 5
	expect 'several that fit, an id but no serials' 4 'tells them apart: xvdf xvdg'
	unplug_all

	plug nvme0n1 other vol0aaaaaaaaaaaaaaaa
	plug nvme1n1 second vol0bbbbbbbbbbbbbbbb
	plug xvdf good
	run mount --manifest-sha256 "$HEX" --volume-id "$ID" --wait 0
	expect 'the serial is missing: no guess' 4 'nvme1n1 (has the serial vol0b'
	run mount --manifest-sha256 "$HEX" --volume-id vol-0aaaaaaaaaaaaaaaa --wait 5
	expect 'serial right, content wrong' 1 'nvme0n1 has the serial of vol-0aaa'
	unplug_all
	plug nvme1n1 good "$SERIAL"
	rm /dev/nvme1n1
	run mount --manifest-sha256 "$HEX" --wait 1
	expect 'no device node' 4 'no device node yet'
	check 'no trace after all that' is_clean
	unplug_all
}

# Arguments: none. Returns: 0.
test_proof() {
	plug nvme1n1 second "$SERIAL"
	run mount --manifest-sha256 "$HEX" --wait 0
	expect 'another manifest' 1 'MANIFEST on /dev/nvme1n1 has the SHA-256'
	check 'is unmounted again' is_clean
	unplug_all
	plug nvme1n1 forged "$SERIAL"
	run mount --manifest-sha256 "$(cat "$WORK/forged.manifest")" --wait 0
	expect 'a forged checker' 1 'is not the one in MANIFEST'
	check 'did not run' sh -c '! grep -q stand-in /run/err'
	check 'is unmounted again' is_clean
	unplug_all
	plug nvme1n1 good "$SERIAL"
	for pair in '1 1' '4 4' '5 5' '3 5' '2 5' '77 5' '137 5'; do
		echo "${pair% *}" > /run/ask/hash
		run mount --manifest-sha256 "$HEX" --wait 0
		expect "the checker ends with ${pair% *}" "${pair#* }" 'fvol-mount: hash'
		check 'is unmounted again' is_clean
	done
	rm /run/ask/hash
	unplug_all
}

# Arguments: none. Returns: 0.
test_cycle() {
	plug nvme0n1 other vol0aaaaaaaaaaaaaaaa
	plug nvme1n1 good "$SERIAL"
	plug nvme2n1 second vol0bbbbbbbbbbbbbbbb
	run mount --manifest-sha256 "$HEX" --volume-id "$ID"
	expect 'mount by serial among others' 0 "\"serial\":\"$SERIAL\""
	check 'ends in JSON' ends_in_json
	check 'is writable with nosuid,nodev,noatime' is_mounted rw
	check 'the checker was told the serial' \
		grep -qF -- "--manifest-sha256 $HEX --device /dev/nvme1n1 --serial $SERIAL" /run/err
	run mount --manifest-sha256 "$HEX" --volume-id "$ID" --catalogue-least 7
	check 'the checker was told the least catalogue' \
		grep -qF -- "--serial $SERIAL --catalogue-least 7" /run/err
	check 'the directory is private' [ "$(stat -c %a /run/fvol)" = 700 ]
	run mount --manifest-sha256 "$HEX" --volume-id "$ID"
	expect 'mount again' 0 'already mounted'
	check 'says so in JSON' grep -q '"already_mounted":true' /run/out
	run mount --manifest-sha256 "$HEX" --volume-id vol-0bbbbbbbbbbbbbbbb
	expect 'mount of another volume over it' 4 'is another volume'
	run mount --manifest-sha256 "$(cat "$WORK/second.manifest")"
	expect 'mount with another manifest over it' 1 'MANIFEST'
	check 'leaves it alone' is_mounted rw
	mount -o remount,ro /run/fvol/volume
	run capture
	expect 'capture to a read-only volume' 4 'read-only'
	run triage
	expect 'triage to a read-only volume' 4 'read-only'
	run mount --manifest-sha256 "$HEX"
	expect 'mount makes it writable again' 0 'already mounted'
	check 'indeed' is_mounted rw
	mount -o remount,suid /run/fvol/volume
	run capture
	expect 'capture to a volume with suid' 4 'without nosuid'
	mount -o remount,nosuid /run/fvol/volume

	export AWS_SSM_INSTANCE_ID=i-0123456789abcdef0
	run capture --manifest-sha256 "$HEX"
	expect 'capture' 0 'captured and hashed'
	check 'capture was told the MANIFEST' \
		grep -q "capture .*--kmods .* --manifest-sha256 $HEX" /run/err
	check 'ends in JSON' ends_in_json
	check 'passes what the tool printed' grep -q '^one line before$' /run/out
	check 'the checker ran first' sh -c 'head -n 1 /run/err | grep -q "hash --volume"'
	test_capture_codes
	test_triage
	test_instance_ids
	sh -c 'cd /run/fvol/volume; exec sleep 1000' &
	test_busy "$!" cwd
	sh -c 'exec sleep 1000 < /run/fvol/volume/README.txt' &
	test_busy "$!" file
	cp "$(command -v busybox)" /run/fvol/volume/evidence/busybox
	/run/fvol/volume/evidence/busybox sleep 1000 &
	test_busy "$!" program
	mount -t tmpfs tmpfs /run/fvol/volume/evidence
	run unmount
	expect 'unmount with a mount on it' 4 'the mount on /run/fvol/volume/evidence'
	umount /run/fvol/volume/evidence
	test_namespace
	test_open_disk

	run unmount
	expect 'unmount' 0 'unmounted /dev/nvme1n1'
	check 'ends in JSON' ends_in_json
	sum=$(echo memory | sha256sum | cut -c1-64)
	check 'with the hash of the image' grep -qF \
		"20240102T030405Z/memory.lime\",\"sha256\":\"$sum\"" /run/out
	head=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
	check 'with the head of its custody log' grep -qF \
		"\"sha256\":\"$sum\",\"custody_head\":\"$head\"}" /run/out
	check 'and with the records of triage' grep -qF \
		"\"triage\":[{\"records\":\"i-0123456789abcdef0/20240102T030406Z/triage.jsonl\"" /run/out
	check 'sealed, too' grep -qF '"custody_head":"fedcba9876543210' /run/out
	check 'leaves nothing' is_clean
	run unmount
	expect 'unmount again' 0 'nothing was mounted'
	unplug_all
}

# Arguments: none. Returns: 0.
test_capture_codes() {
	for pair in '3 3 GAPS' '4 4 refused' '5 5 failed' '99 5 unknown' 'kill 5 signal' \
		'silent 5 no'; do
		# shellcheck disable=SC2086 # three words
		set -- $pair
		echo "$1" > /run/ask/capture
		run capture
		expect "capture ends with $1" "$2" "$3"
	done
	echo 3 > /run/ask/capture
	run capture
	check 'gaps still end in JSON' ends_in_json
	rm /run/ask/capture
}

# Arguments: none. Returns: 0.
test_triage() {
	run triage --manifest-sha256 "$HEX" --catalogue-least 7
	expect 'triage' 0 'collected and hashed'
	check 'triage was told where' grep -qxF "stand-in triage --evidence \
/run/fvol/volume/evidence --instance i-0123456789abcdef0 --json" /run/err
	check 'ends in JSON' ends_in_json
	check 'passes what the tool printed' grep -q '^one line before$' /run/out
	check 'the checker ran first' sh -c \
		'head -n 1 /run/err | grep -q "hash --volume.* --catalogue-least 7"'
	run triage --redact yes
	check 'triage was told to redact' grep -q -- '--json --redact$' /run/err
	run triage --redact no
	check 'triage was not told to redact' sh -c '! grep -q -e --redact /run/err'
	echo 1 > /run/ask/hash
	run triage --manifest-sha256 "$HEX"
	expect 'triage with a forged tool' 1 'does not accept'
	check 'it did not run' sh -c '! grep -q "stand-in triage" /run/err'
	rm /run/ask/hash
	for pair in '3 3 GAPS' '4 4 refused' '5 5 failed' '1 5 unexpected' '2 5 unexpected' \
		'99 5 unknown' 'kill 5 signal' 'silent 5 no'; do
		# shellcheck disable=SC2086 # three words
		set -- $pair
		echo "$1" > /run/ask/triage
		run triage
		expect "triage ends with $1" "$2" "$3"
	done
	echo 3 > /run/ask/triage
	run triage
	check 'gaps still end in JSON' ends_in_json
	rm /run/ask/triage
}

# Arguments: none. Returns: 0.
test_instance_ids() {
	for pair in 'mi-01234567 mi-01234567' '../../etc unknown' 'i-xyz unknown' \
		'i-01234567/../x unknown' 'i- unknown'; do
		export AWS_SSM_INSTANCE_ID="${pair% *}"
		run capture
		expect "instance id ${pair% *}" 0 "--instance ${pair#* } "
		run triage
		expect "the same of triage" 0 "--instance ${pair#* } "
	done
	unset AWS_SSM_INSTANCE_ID
	run capture
	expect 'no instance id at all' 0 '--instance unknown '
}

# Arguments: process that holds the volume, how. Returns: 0; ends the process.
test_busy() {
	sleep 1
	run unmount
	expect "unmount while a process has its $2 there" 4 "process $1 ("
	check "says it is the $2" grep -q "process $1 ([a-z]*:.* *$2" /run/err
	kill "$1"
	wait "$1" 2> /dev/null || :
	check 'it is still mounted' is_mounted rw
}

# A container that began meanwhile. Arguments: none. Returns: 0.
test_namespace() {
	unshare -m --propagation private sleep 1000 &
	holder=$!
	sleep 1
	run unmount
	expect 'unmount while a mount namespace keeps it' 4 \
		"namespace of process $holder (sleep)"
	run unmount
	expect 'and again' 4 "namespace of process $holder (sleep)"
	run mount --manifest-sha256 "$HEX" --volume-id "$ID" --wait 0
	expect 'mount meanwhile' 4 'in another namespace'
	kill "$holder"
	wait "$holder" 2> /dev/null || :
	run mount --manifest-sha256 "$HEX" --volume-id "$ID" --wait 0
	expect 'mount afterwards' 0 'mounted /dev/nvme1n1'
}

# Somebody has the disk itself open. Arguments: none. Returns: 0; mounted at the end.
test_open_disk() {
	sh -c 'exec sleep 1000 < /dev/nvme1n1' &
	holder=$!
	sleep 1
	for again in '' ' again'; do
		run unmount
		expect "unmount while a process has the disk open$again" 4 \
			"do not detach, held by process $holder (sleep: disk)"
	done
	kill "$holder"
	wait "$holder" 2> /dev/null || :
	run unmount
	expect 'and afterwards' 0 'nothing was mounted'
	check 'leaves nothing' is_clean
	run mount --manifest-sha256 "$HEX" --volume-id "$ID" --wait 0
}

# Arguments: none. Returns: 0.
test_places() {
	plug nvme1n1 empty "$SERIAL"
	plug_partition nvme1n1 nvme1n1p1 good
	run mount --manifest-sha256 "$HEX" --volume-id "$ID" --wait 5
	expect 'the volume on a partition, by serial' 0 '"device":"/dev/nvme1n1p1"'
	run unmount
	unplug_all
	plug xvda other
	plug sdf good
	run mount --manifest-sha256 "$HEX" --volume-id "$ID" --wait 5
	expect 'no serials at all: by content' 0 '"device":"/dev/sdf","serial":null'
	cp -a /run/scripts /run/kept
	for path in /run/fvol/volume/scripts/unmount.sh scripts/unmount.sh; do
		rc=0
		# shellcheck disable=SC2086 # a shell may have an argument
		(cd /run/fvol/volume && exec $SHELL_UNDER_TEST "$path") \
			> /run/out 2> /run/err || rc=$?
		RC=$rc
		expect "unmount.sh from the volume itself ($path)" 0 'unmounted /dev/sdf'
		run mount --manifest-sha256 "$HEX" --wait 0
	done
	run unmount
	unplug_all
	check 'leaves nothing' is_clean
}

# Arguments: none. Returns: 0. What growing says reaches the result; that it fails is a
# warning.
test_growth() {
	plug nvme1n1 good "$SERIAL"
	run mount --manifest-sha256 "$HEX" --wait 0
	expect 'mount grows the file system' 0 '"grown":true,"growth":{"before_bytes":8388608,'
	check 'the program was told the directory' \
		grep -qxF 'stand-in grow --for-memory --json /run/fvol/volume' /run/err
	check 'after the checker' sh -c 'grep -n stand-in /run/err | tail -n 1 | grep -q grow'
	for pair in '5 exit code 5' '4 exit code 4' '99 unknown' 'kill signal' \
		'silent no result' 'odd no result'; do
		echo "${pair%% *}" > /run/ask/grow
		run mount --manifest-sha256 "$HEX" --wait 0
		expect "grow ends with ${pair%% *}: no failure" 0 '"grown":false,'
		check 'but a warning' grep -q "warning: .*${pair#* }" /run/err
		check 'ends in JSON' ends_in_json
		check 'is writable' is_mounted rw
	done
	rm /run/ask/grow
	run unmount
	check 'unmount has nothing to tell' grep -q '"trouble":null' /run/out
	for pair in '1 exit code 1' '99 unknown' 'kill signal'; do
		run mount --manifest-sha256 "$HEX" --wait 0
		echo "${pair%% *}" > /run/ask/hash
		run unmount
		expect "seal ends with ${pair%% *}: unmounted all the same" 3 \
			'"trouble":"unsealed"'
		check 'but a warning' grep -q "not all evidence is sealed: .*${pair#* }" /run/err
		check 'ends in JSON' ends_in_json
		rm /run/ask/hash
	done
	run mount --manifest-sha256 "$HEX" --wait 0
	mount -o remount,ro /run/fvol/volume
	run unmount
	expect 'unmount of one that became read-only' 3 '"trouble":"read-only"'
	check 'with a warning' grep -q 'warning: the file system had become read-only' /run/err
	unplug_all
}

# Arguments: none. Returns: 0. Choosing by what the volume was attached as.
test_names() {
	plug xvdf good
	plug xvdg second
	for name in /dev/sdf sdf xvdf /dev/xvdf /dev/sdf1; do
		run mount --manifest-sha256 "$HEX" --device-name "$name" --wait 0
		expect "two Xen disks, attached as $name" 0 '"device":"/dev/xvdf"'
		check 'the checker was told it' \
			grep -q -- '--device /dev/xvdf --device-name sdf$' /run/err
		run unmount
	done
	run mount --manifest-sha256 "$HEX" --device-name sdh --wait 2
	expect 'two Xen disks, attached as neither' 4 'tells them apart: xvdf xvdg'
	unplug_all
	# RHEL shifts the letters: the only one is taken, after the others had their time.
	plug xvdj good
	run mount --manifest-sha256 "$HEX" --device-name sdf --wait 1
	expect 'one Xen disk with shifted letters' 0 '"device":"/dev/xvdj"'
	run unmount
	unplug_all

	plug nvme0n1 other vol0aaaaaaaaaaaaaaaa
	plug nvme1n1 second vol0bbbbbbbbbbbbbbbb
	plug nvme2n1 good "$SERIAL"
	echo 128 > /sys/class/block/nvme1n1/queue/read_ahead_kb
	# A wrong alias, and one that leads nowhere.
	ln -s nvme0n1 /dev/sdf
	mkdir -p /dev/disk/by-id
	ln -s ../../nvme9n9 "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_$SERIAL"
	run mount --manifest-sha256 "$HEX" --device-name sdf --wait 0
	expect 'two NVMe disks: the one that proves' 0 '"device":"/dev/nvme2n1"'
	check 'the other one said why not' grep -q 'MANIFEST on /dev/nvme1n1' /run/err
	check 'and has its readahead back' \
		[ "$(cat /sys/class/block/nvme1n1/queue/read_ahead_kb)" = 128 ]
	run unmount
	echo /dev/nvme2n1 > /run/ask/hash.reject
	run mount --manifest-sha256 "$HEX" --device-name sdf --wait 0
	expect 'two NVMe disks and none that was attached so' 1 \
		'none of these was attached as sdf'
	check 'leaves nothing' is_clean
	run mount --manifest-sha256 "$HEX" --volume-id "$ID" --device-name sdf --wait 0
	expect 'the serial, but attached otherwise' 1 'does not accept'
	check 'leaves nothing' is_clean
	rm /run/ask/hash.reject
	run mount --manifest-sha256 "$HEX" --volume-id "$ID" --wait 0
	expect 'aliases that are wrong do not matter' 0 '"device":"/dev/nvme2n1"'
	run unmount
	rm -r /dev/sdf /dev/disk
	unplug_all
}

# A failed mount leaves the disk's settings as they were. Arguments: none. Returns: 0.
test_settings() {
	plug nvme1n1 second "$SERIAL"
	setting=/sys/class/block/nvme1n1/queue/read_ahead_kb
	echo 128 > "$setting"
	run mount --manifest-sha256 "$HEX" --wait 0
	expect 'a mount that fails' 1 'MANIFEST'
	check 'gives the readahead back' [ "$(cat "$setting")" = 128 ]
	unplug_all
	plug nvme1n1 good "$SERIAL"
	echo 128 > "$setting"
	run mount --manifest-sha256 "$HEX" --wait 0
	check 'one that succeeds switches it off' [ "$(cat "$setting")" = 0 ]
	run unmount
	unplug_all
}

# /var where the agent keeps its files may be read-only or noexec, /run may be noexec: the
# scripts need neither. Arguments: none. Returns: 0.
test_mount_options() {
	plug nvme1n1 good "$SERIAL"
	mount -t tmpfs -o ro,noexec tmpfs /var
	mount -t tmpfs -o ro,noexec tmpfs /tmp
	mount -o remount,noexec,nosuid,nodev /run
	run mount --manifest-sha256 "$HEX" --wait 0
	expect '/var and /tmp read-only, /run noexec: mount' 0 'mounted /dev/nvme1n1'
	run capture
	expect '/var and /tmp read-only, /run noexec: capture' 0 'captured and hashed'
	run triage
	expect '/var and /tmp read-only, /run noexec: triage' 0 'collected and hashed'
	run unmount
	expect '/var and /tmp read-only, /run noexec: unmount' 0 'unmounted /dev/nvme1n1'
	check 'leaves nothing' is_clean
	mount -o remount,exec,suid,dev /run
	umount /tmp
	umount /var
	unplug_all
}

make_machine
test_arguments
test_refusals
test_search
test_proof
test_cycle
test_growth
test_places
test_names
test_settings
test_signals
test_concurrency
test_environment
test_preload
test_mount_options
test_writes
case $SHELL_UNDER_TEST in busybox*) test_busybox_userland ;; esac
exit "$FAILED"
