#!/bin/sh
# triage against plants, never in this machine's own namespaces: each case runs in new ones
# of every kind but user and time, and ends with them. run.sh [ARCH [CASE...]]
set -eu
cd "$(dirname "$0")"
arch=${1:-x86_64}
[ $# -eq 0 ] || shift
export TRIAGE_ARCH="$arch" TRIAGE_SPACE=1 PYTHONDONTWRITEBYTECODE=1
# What the whole run of the other architecture, under emulation, is.
few='arguments unterminated names nameless disguise descriptors left_out left_out_unheld
	in_no_table'
failed=0

if [ "$(id -u)" -ne 0 ]; then
	echo 'namespaces need root'
	exit 77
fi
if [ $# -gt 0 ]; then cases=$*; elif [ "$arch" = x86_64 ]; then
	cases=$(python3 main.py --list)
else cases=$few; fi
for case in $cases; do
	# The shell is process 1 there, and takes up those whose parents have ended.
	# shellcheck disable=SC2016
	timeout -k 5 180 unshare -mpfniuC --mount-proc --kill-child sh -c '
		echo 32768 > /proc/sys/kernel/pid_max
		ip link set lo up
		python3 main.py "$1"
		exit $?' sh "$case" || {
		rc=$?
		failed=1
		[ $rc -eq 1 ] || echo "FAIL $case: ended by $rc"
	}
done
exit $failed
