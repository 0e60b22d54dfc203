#!/bin/sh
# Unpacks Debian packages of any architecture without touching this machine's dpkg:
#   fetch-deb.sh ARCH DIR PACKAGE[=VERSION][@SHA256]...
# ARCH is x86_64 or aarch64, DIR gets the packages' files. The apt state is a private one
# (in DIR/.apt), so no foreign architecture need be added to the machine. The archives and
# their keys are those of the machine's own apt configuration, which also verifies them.
# With SHA256 a package that has another is refused. With DL=DIRECTORY set, a package found
# there is used and the network is not.
# Exit: 0 unpacked; 2 usage; 5 failed.
set -eu

if [ $# -lt 3 ]; then
	echo "usage: fetch-deb.sh ARCH DIR PACKAGE[=VERSION][@SHA256]..." >&2
	exit 2
fi
case $1 in
x86_64) arch=amd64 ;;
aarch64) arch=arm64 ;;
*)
	echo "fetch-deb: unknown architecture $1" >&2
	exit 2
	;;
esac
mkdir -p "$2/.apt/deb"
dir=$(cd "$2" && pwd)
apt=$dir/.apt
shift 2

# Arguments: none. Makes a private apt state for $arch. Returns: 0 with fresh lists.
prepare() {
	mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial"
	: > "$apt/status"
	cat > "$apt/conf" << CONF
APT::Architecture "$arch";
APT::Architectures { "$arch"; };
APT::Sandbox::User "";
Acquire::Retries "2";
Acquire::Languages "none";
Dir::State "$apt/state";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
CONF
	APT_CONFIG=$apt/conf apt-get -qq update
}

# Arguments: PACKAGE[=VERSION]. Puts its .deb into $apt/deb. Returns: 0 done.
obtain() {
	for deb in "${DL:-/nonexistent}/${1%%=*}"_*_"$arch".deb \
		"${DL:-/nonexistent}/${1%%=*}"_*_all.deb; do
		if [ -f "$deb" ]; then
			cp "$deb" "$apt/deb/"
			return 0
		fi
	done
	[ -f "$apt/conf" ] || prepare
	(cd "$apt/deb" && APT_CONFIG=$apt/conf apt-get -qq download "$1" > /dev/null)
}

for package; do
	rm -f "$apt/deb/"*.deb
	obtain "${package%@*}" || {
		echo "fetch-deb: ${package%@*}: cannot be had for $arch" >&2
		exit 5
	}
	case $package in
	*@*)
		sum=$(sha256sum "$apt/deb/"*.deb)
		[ "${sum%% *}" = "${package#*@}" ] || {
			echo "fetch-deb: ${package%@*} has the SHA-256 ${sum%% *}," \
				"not ${package#*@}" >&2
			exit 5
		}
		;;
	esac
	dpkg-deb -x "$apt/deb/"*.deb "$dir" || exit 5
done
rm -rf "$apt"
