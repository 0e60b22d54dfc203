#!/bin/sh
# triage by its goals, and what it finds of what was planted, beside ps, ss and, where they
# are given, UAC and varc; all in new namespaces. Times depend on what else the machine does.
# triage.sh [--uac DIR] [--varc DIR [--packages DIR]]: their sources, and what varc imports.
# Lines: NAME ours=V peer=V ratio=V goal=V ok|short|reported. Exit: 0 all ok; 1 one is short.
set -eu
cd "$(dirname "$0")/../.."
while [ $# -gt 0 ]; do
	case $1 in
	--uac | --varc | --packages)
		if [ $# -lt 2 ] || [ ! -d "$2" ]; then
			echo "triage: $1 takes a directory" >&2
			exit 2
		fi
		name=$(echo "${1#--}" | tr '[:lower:]' '[:upper:]')
		export "TRIAGE_$name=$(cd "$2" && pwd)"
		shift 2
		;;
	*)
		echo "usage: triage.sh [--uac DIR] [--varc DIR [--packages DIR]]" >&2
		exit 2
		;;
	esac
done
export TRIAGE_SPACE=1 PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=tests/triage
# shellcheck disable=SC2016
exec unshare -mpfniuC --mount-proc --kill-child sh -c '
	echo 32768 > /proc/sys/kernel/pid_max
	ip link set lo up
	python3 tests/bench/triage.py
	exit $?'
