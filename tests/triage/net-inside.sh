#!/bin/sh
# The inside of net.sh: pid 1 of its namespaces. Usage: net-inside.sh PROGRAM DIR
# shellcheck disable=SC2016 # what the inner shell expands
set -eu
program=$1 DIR=$2
export DIR
mount -t tmpfs none /run
ip link set lo up

# Arguments: name of what holds sockets. Waits until it does.
wait_for() {
	tries=0
	until grep -q '^ready$' "$DIR/$1" 2> /dev/null; do
		tries=$((tries + 1))
		[ "$tries" -lt 600 ] || { echo "FAIL $1 never opened its sockets"; exit 1; }
		sleep 0.1
	done
}

# Arguments: name, command that runs it in its namespace... Starts what holds sockets.
hold() {
	name=$1
	shift
	sleep 1000 | "$@" python3 tests/triage/netsockets.py "$name" > "$DIR/$name" &
	wait_for "$name"
}

# Arguments: name, options of nsenter... What ss says there.
look() {
	name=$1
	shift
	nsenter "$@" sh -c 'for family in -t4 -t6 -u4 -u6 -w4 -w6 -x -0; do
		ss -H -n -a -e $family | sed "s/^/$family /"
	done' > "$DIR/$name.ss"
}

hold first env
# The loopback of the second is listened to promiscuously.
hold second env PROMISCUOUS=1 unshare -n sh -c 'ip link set lo up && exec "$@"' sh
# Nobody lives in the third, which is mounted; who holds its sockets has gone elsewhere.
ip netns add third
ip netns exec third ip link set lo up
hold third env LEAVE=/run/netns/third CLOSE=1
# Nobody lives in the fourth, and a descriptor alone holds it.
ip netns add fourth
ip netns exec fourth ip link set lo up
hold fourth env LEAVE=/run/netns/fourth
umount -l /run/netns/fourth

"$program" > "$DIR/out" 2> "$DIR/err" || {
	echo "FAIL the program ends well"
	cat "$DIR/err"
	exit 1
}
second=$(awk 'NR == 1 { print $2 }' "$DIR/second")
fourth=$(awk '$1 == "netns" { print $2, $3 }' "$DIR/fourth")
look first --net=/proc/self/ns/net
look second -n -t "$second"
look third --net=/run/netns/third
look fourth --net="/proc/${fourth% *}/fd/${fourth#* }"
rc=0
python3 tests/triage/netcheck.py "$DIR" || rc=1

# The leak checker itself traces, and two cannot; the runs without strace have it.
traced() {
	ASAN_OPTIONS=detect_leaks=0 strace -f -o "$DIR/trace" "$@"
}

# Nothing is written, no program is run, no socket but netlink's is opened.
traced -e trace=openat,open,creat,execve,socket,mount,ioctl,connect,bind \
	"$program" > /dev/null 2>&1 || rc=1
if sed 1d "$DIR/trace" | grep -E 'O_WRONLY|O_RDWR|O_CREAT|creat\(|execve\(|mount\(|AF_(PACKET|UNIX|INET)' |
	grep -v '= -1 EINVAL'; then
	echo "FAIL nothing is opened for writing"
	rc=1
else
	echo "ok nothing is opened for writing"
fi

# Where no module is known to be there, netlink is not asked of sockets at all.
mkdir "$DIR/empty"
: > "$DIR/nothing"
printf '# CONFIG_UNIX_DIAG is not set\n' | gzip > "$DIR/config.gz"
mount --bind "$DIR/config.gz" /proc/config.gz 2> /dev/null ||
	echo "note: this kernel has no /proc/config.gz"
for table in modules kallsyms; do
	[ ! -e /proc/$table ] || mount --bind "$DIR/nothing" /proc/$table
done
for dir in /boot /lib/modules; do
	[ ! -d $dir ] || mount --bind "$DIR/empty" $dir
done
traced -e trace=sendto "$program" > "$DIR/blind" 2>&1 || rc=1
if grep -q 'SOCK_DIAG\|nlmsg_type=0x14 ' "$DIR/trace" ||
	[ "$(grep -c would_change_host "$DIR/blind")" -ne 6 ] ||
	! grep -q '"protocol":"tcp6".*"views":\["proc"\]' "$DIR/blind"; then
	echo "FAIL no module would be loaded"
	rc=1
else
	echo "ok no module would be loaded"
fi

# Without any privilege: less is read, which is said, and nobody is accused.
setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all --bounding-set=-all \
	--no-new-privs "$program" > "$DIR/poor" 2> "$DIR/err" || rc=1
if grep -q unowned_socket "$DIR/poor" ||
	! grep -q '"type":"unread".*"reason":"capability"' "$DIR/poor" ||
	! grep -q '"protocol":"tcp".*"state":"LISTEN"' "$DIR/poor"; then
	echo "FAIL without privileges"
	cat "$DIR/err"
	rc=1
else
	echo "ok without privileges"
fi
exit $rc
