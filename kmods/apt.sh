# shellcheck shell=sh
# A private apt state, for questions to the signed index: which package is the newest,
# what is its hash. Nothing of the machine's own state is read or changed but the names of
# its archives, its transport settings and its keyring, so it needs no root. To be sourced.

# The kernels that we build for are Debian 12's.
SUITE=bookworm
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# Arguments: a sentence. Tells it on stderr.
say() {
	echo "kmods: $*" >&2
}

# Arguments: options and words of apt-get or apt-cache, after its name.
# Returns: what that returns, working on the private state.
private() {
	program=$1
	shift
	LC_ALL=C "$program" -c "$APT_STATE/apt.conf" "$@"
}

# Prints SITE SUITE pairs: the machine's own archives, with its release's name replaced by
# ours, and with one argument that suite of its main archive too.
apt_suites() {
	[ -r /etc/os-release ] || return 0
	# shellcheck source=/dev/null
	own=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	# Without an index the code name is unknown, and apt leaves the word as it is.
	# shellcheck disable=SC2016 # words of apt, not of the shell
	apt-get indextargets --format '$(SITE) $(CODENAME) $(RELEASE)' 2> /dev/null |
		LC_ALL=C sort -u |
		awk -v own="$own" -v suite="$SUITE" -v more="${1:-}" '
			{ name = $2 ~ /^\$/ ? $3 : $2 }
			own != "" && index(name "-", own "-") == 1 {
				print $1, suite substr(name, length(own) + 1)
				if (more != "" && name == own)
					print $1, more
			}'
}

# Arguments: a directory for the state, perhaps a further suite. Makes the state (or
# renews it) and reads the index. Returns: 0; 4 when this machine cannot; 5 when the
# archives cannot be read.
apt_open() {
	if ! command -v apt-get > /dev/null || [ ! -r "$KEYRING" ]; then
		say "this machine has no apt with Debian's keyring: the index cannot be read"
		return 4
	fi
	mkdir -p "$1"
	APT_STATE=$(cd "$1" && pwd)
	mkdir -p "$APT_STATE/lists/partial" "$APT_STATE/archives/partial"
	: > "$APT_STATE/status"
	apt_suites "${2:-}" | while read -r site suite; do
		echo "deb [signed-by=$KEYRING] $site $suite main"
	done > "$APT_STATE/sources.list"
	if [ ! -s "$APT_STATE/sources.list" ]; then
		say "this machine's apt names no Debian archive: the index cannot be read"
		return 4
	fi
	cat > "$APT_STATE/apt.conf" <<-EOF
		APT::Architecture "amd64";
		APT::Architectures { "amd64"; "arm64"; };
		APT::Sandbox::User "";
		APT::Get::List-Cleanup "true";
		Dir::State "$APT_STATE";
		Dir::State::lists "$APT_STATE/lists";
		Dir::State::status "$APT_STATE/status";
		Dir::Cache "$APT_STATE";
		Dir::Etc::sourcelist "$APT_STATE/sources.list";
		Dir::Etc::sourceparts "/dev/null";
		Dir::Etc::preferences "/dev/null";
		Dir::Etc::preferencesparts "/dev/null";
		Acquire::Languages "none";
		Acquire::Retries "2";
	EOF
	if ! private apt-get -q update > "$APT_STATE/log" 2>&1; then
		tail -n 5 "$APT_STATE/log" >&2
		say "the archives' index cannot be read"
		return 5
	fi
}

# Arguments: a package (NAME or NAME:ARCH), perhaps a version.
# Prints: NAME VERSION SHA256 SIZE FILENAME of the newest, or of that version.
# Returns: 1 when there is none.
apt_package() {
	private apt-cache show --no-all-versions "$1${2:+=$2}" 2> /dev/null | awk '
		$1 == "Package:" { name = $2 }
		$1 == "Version:" { version = $2 }
		$1 == "SHA256:" { sum = $2 }
		$1 == "Size:" { size = $2 }
		$1 == "Filename:" { file = $2 }
		END {
			if (name == "" || sum == "" || file == "")
				exit 1
			print name, version, sum, size, file
		}'
}

# Arguments: a package, a pattern. Prints the first name in its Depends that matches.
apt_depends() {
	private apt-cache show --no-all-versions "$1" 2> /dev/null |
		sed -n 's/^Depends: //p' | tr ',' '\n' | sed 's/^ *//; s/ .*//' |
		grep -m 1 "$2"
}

# Arguments: a role, our name of an architecture, a release, a package.
# Prints: its line of a lock file.
apt_lock_line() {
	if ! record=$(apt_package "$4"); then
		say "the index has no package $4"
		return 1
	fi
	echo "$1 $2 $3 $record"
}

# Arguments: our name of an architecture; a flavour (cloud-amd64), of which the newest is
# meant, or a release (6.1.0-54-cloud-amd64).
# Prints: the lock lines of that kernel. Returns: 1 for none.
# A subshell: what it finds must not overwrite what the caller holds.
apt_kernel() (
	case $1 in
	x86_64) deb=amd64 ;;
	aarch64) deb=arm64 ;;
	*) say "$1 is not a known architecture" && return 1 ;;
	esac
	if ! headers=$(apt_depends "linux-headers-$2:$deb" '^linux-headers-[0-9]'); then
		say "the index has no kernel $2 for $1"
		return 1
	fi
	# Other than a flavour's package, a release's depends on the common headers.
	case $headers in
	*-common | *-common-*) headers=linux-headers-$2 ;;
	esac
	release=${headers#linux-headers-}
	# The program part runs here, whatever the kernel is for.
	if ! common=$(apt_depends "$headers:$deb" '^linux-headers-.*common') ||
		! kbuild=$(apt_depends "$headers:$deb" '^linux-kbuild-'); then
		say "$headers depends on no common headers or no kbuild"
		return 1
	fi
	apt_lock_line headers "$1" "$release" "$headers:$deb" &&
		apt_lock_line common "$1" "$release" "$common" &&
		apt_lock_line kbuild "$1" "$release" "$kbuild:amd64" &&
		apt_lock_line image "$1" "$release" "linux-image-$release:$deb"
)

# Arguments: a kernel release. Prints its flavour: cloud-amd64 of 6.1.0-56-cloud-amd64.
flavour_of() {
	echo "$1" | sed 's/^[^-]*-//; s/^[0-9]*-//'
}

# Arguments: a lock file. Prints ARCH RELEASE of each kernel in it, sorted.
kernels_of() {
	awk '$1 !~ /^#/ && NF >= 8 { print $2, $3 }' "$1" | LC_ALL=C sort -u
}
