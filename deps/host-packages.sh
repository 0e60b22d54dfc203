#!/bin/sh
# Installs what is missing of one group of packages.debian: host-packages.sh
# build|test|bench.
# On a distribution that is not Debian 12 it prints what is needed and stops, unless
# HAVE_PACKAGES=1 says that everything is there.
# Exit: 0 all there; 4 cannot install; 5 installing failed.
set -eu
group=$1
list=$(dirname "$0")/packages.debian
needed=$(awk -v g="$group" '$1 == g { print $2 }' "$list")

if [ "${HAVE_PACKAGES:-}" = 1 ]; then
	exit 0
fi
# shellcheck source=/dev/null
. /etc/os-release
if [ "${ID:-} ${VERSION_ID:-}" != "debian 12" ]; then
	echo "This is not Debian 12 (${PRETTY_NAME:-an unknown system})." >&2
	echo "Install what these Debian packages hold, then run make HAVE_PACKAGES=1:" >&2
	echo "$needed" | sed 's/^/  /' >&2
	exit 4
fi

missing=
for package in $needed; do
	status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null || true)
	[ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

sudo=
if [ "$(id -u)" -ne 0 ]; then
	if ! command -v sudo > /dev/null; then
		echo "These packages are missing, and there is neither root nor sudo:$missing" >&2
		exit 4
	fi
	sudo=sudo
fi
echo "  INSTALL$missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# A fresh machine may have no index, or one that names packages which are gone.
# shellcheck disable=SC2086 # packages are words
if ! { $sudo env DEBIAN_FRONTEND=noninteractive apt-get -q update &&
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
		-o DPkg::Lock::Timeout=300 install --no-install-recommends $missing; } \
	> "$log" 2>&1; then
	tail -n 20 "$log" >&2
	echo "host-packages: installing failed" >&2
	exit 5
fi
