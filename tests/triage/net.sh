#!/bin/sh
# What triage says of network namespaces against what was put there and against ss of
# iproute2, an independent reader of the same kernel. Everything happens in fresh
# namespaces of processes, mounts and network: nothing of this machine is looked at.
# Usage: net.sh [PROGRAM] (prints the records of collect_network())
set -eu
cd "$(dirname "$0")/../.."
program=${1:-$PWD/build/check/bin/netcollect}
for tool in unshare nsenter ip ss python3 setpriv strace; do
	command -v "$tool" > /dev/null || { echo "skip: no $tool"; exit 77; }
done
work=$(mktemp -d /tmp/fvol-net.XXXXXX)
[ -n "${KEEP:-}" ] || trap 'rm -rf "$work"' EXIT
trap 'exit 5' HUP INT TERM
chmod 755 "$work"
unshare -n -p -m -f --mount-proc --propagation private --kill-child \
	sh tests/triage/net-inside.sh "$program" "$work"
