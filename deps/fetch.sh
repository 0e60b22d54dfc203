#!/bin/sh
# Fetches one verified file into a directory: fetch.sh DIR FILE SHA256 ORIGIN...
#
# An origin is an address with a scheme, or a path below an archive: the archives are
# those of this machine's own apt configuration, so no host name stands in this
# repository. DL=DIR names a directory of sources that is looked into first (and, with
# DL set, the network is used only for what is not in it).
# Exit: 0 the verified file is DIR/FILE; 1 every origin failed or gave other bytes.
set -eu

if [ $# -lt 4 ]; then
	echo "usage: fetch.sh DIR FILE SHA256 ORIGIN..." >&2
	exit 2
fi
dir=$1 file=$2 sum=$3
shift 3
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

# Arguments: a path. Returns: 0 when it is a file with the pinned SHA-256.
verified() {
	[ -f "$1" ] && [ "$(sha256sum < "$1")" = "$sum  -" ]
}

if verified "$dir/$file"; then
	exit 0
fi
rm -f "$dir/$file"
tmp=$(mktemp -d "$dir/.fetch.XXXXXX")
trap 'rm -rf "$tmp"' EXIT

# Arguments: a downloaded file. Moves it into place when it is the pinned one.
# Returns: 0 moved; 1 other bytes.
accept() {
	verified "$1" || return 1
	# Readable by every user of the build, whatever the umask of this one.
	chmod 644 "$1"
	mv -f "$1" "$dir/$file"
}

if [ -n "${DL:-}" ] && [ -f "$DL/$file" ]; then
	cp "$DL/$file" "$tmp/offline"
	if accept "$tmp/offline"; then
		exit 0
	fi
	echo "fetch: $DL/$file is not the pinned file (SHA-256 differs)" >&2
	exit 1
fi

# Arguments: an address. Downloads it with apt's own transport (proxies and all) or,
# where there is no apt, with curl. Returns: 0 verified and in place.
download() {
	if [ -x /usr/lib/apt/apt-helper ]; then
		/usr/lib/apt/apt-helper -o APT::Sandbox::User=root -o Acquire::Retries=2 \
			download-file "$1" "$tmp/net" "SHA256:$sum" > "$tmp/log" 2>&1 ||
			return 1
	else
		curl -fsSL --retry 2 -o "$tmp/net" "$1" > "$tmp/log" 2>&1 || return 1
	fi
	accept "$tmp/net"
}

for origin; do
	case $origin in
	*://*)
		if download "$origin"; then exit 0; fi
		tail -n 2 "$tmp/log" >&2
		;;
	*)
		# Security updates live in an archive of their own, so each one is tried.
		# shellcheck disable=SC2016 # apt expands it
		sites=$(apt-get indextargets --format '$(SITE)' 2> /dev/null | sort -u)
		for site in $sites; do
			if download "$site/$origin"; then exit 0; fi
		done
		[ ! -f "$tmp/log" ] || tail -n 2 "$tmp/log" >&2
		;;
	esac
done
echo "fetch: $file: no origin has it (put it into a directory and say DL=DIR)" >&2
exit 1
