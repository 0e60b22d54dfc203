#!/bin/sh
# Builds the kernel module for the kernel this machine runs and puts the catalogue that holds
# it into a bucket: the one step of FVol-BuildModule, on a machine that the runbook made from
# the image in question and takes back afterwards. Never on an instance under investigation:
# it installs packages and compiles.
#
# build-step.sh --source s3://BUCKET/PREFIX --source-sha256 HEX
#               --destination s3://BUCKET/PREFIX --lime-version V
#
# Below the source stand kmods, build-module.sh (kmods/hook), lime/ with LiME's *.c and *.h,
# and SHA256SUMS, which lists all of these and has the SHA-256 given: whoever can write to the
# bucket can neither have another program run here nor another source compiled. The module
# arrives below DESTINATION/ARCH/RELEASE. The last line of the output is one JSON object.
# Exit: 0 built, checked and stored; 1 the source is not the one that the hash says; 2 usage;
# 4 this machine lacks something or is no builder; 5 failed.
set -eu
LC_ALL=C
PATH=/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin
export LC_ALL PATH
umask 077
SOURCE='' SUMS='' DESTINATION='' VERSION=''
WORK=

# Arguments: exit code, sentence. Returns: never.
die() {
	printf 'build-step: %s\n' "$2" >&2
	exit "$1"
}

# Removes what this run made. Arguments: none. Returns: 0.
# shellcheck disable=SC2317,SC2329 # a trap calls it
clean_up() {
	[ -z "$WORK" ] || rm -rf "$WORK"
}

# Arguments: those of the script. Returns: 0, or not at all.
read_options() {
	while [ "$#" -gt 0 ]; do
		case $1 in
		--source | --source-sha256 | --destination | --lime-version) ;;
		*) die 2 "unknown argument '$1'" ;;
		esac
		[ "$#" -ge 2 ] || die 2 "$1 needs a value"
		case $1 in
		--source) SOURCE=${2%/} ;;
		--source-sha256) SUMS=$2 ;;
		--destination) DESTINATION=${2%/} ;;
		--lime-version) VERSION=$2 ;;
		esac
		shift 2
	done
	for place in "$SOURCE" "$DESTINATION"; do
		case $place in
		s3://?*/?*) ;;
		*) die 2 '--source and --destination take s3://BUCKET/PREFIX' ;;
		esac
	done
	[ -n "$VERSION" ] || die 2 '--lime-version is needed'
	case $SUMS in *[!0-9a-f]*) SUMS= ;; esac
	[ "${#SUMS}" -eq 64 ] || die 2 '--source-sha256 takes 64 lower-case hex digits'
}

# Proves what was fetched before anything of it is used: the list by its hash, each file by
# the list, and that nothing stands beside them. Arguments: none. Returns: 0, or not at all.
check_source() {
	(
		cd "$WORK" || exit 5
		sum=$(sha256sum < SHA256SUMS) || exit 5
		[ "${sum%% *}" = "$SUMS" ] ||
			die 1 "SHA256SUMS of $SOURCE has the SHA-256 ${sum%% *}, not $SUMS"
		# --strict: a line that is no sum must not pass unseen.
		sha256sum --check --strict --quiet SHA256SUMS >&2 ||
			die 1 "a file of $SOURCE is not the one that its SHA256SUMS lists"
		find . ! -type d ! -path ./SHA256SUMS | while IFS= read -r file; do
			sum=$(sha256sum < "$file") || exit 5
			# A fixed string: who could choose a name could choose a pattern.
			grep -Fqx -e "${sum%% *}  ${file#./}" SHA256SUMS ||
				die 1 "$SOURCE holds $file, which its SHA256SUMS does not list"
		done
	) || exit $?
}

# Arguments: packages of dnf and yum, packages of apt. Returns: 0 when they are installed.
install_packages() {
	if command -v dnf > /dev/null; then
		# shellcheck disable=SC2086 # several packages
		dnf -q -y install $1 >&2
	elif command -v yum > /dev/null; then
		# shellcheck disable=SC2086 # several packages
		yum -q -y install $1 >&2
	elif command -v apt-get > /dev/null; then
		apt-get -q update >&2
		# shellcheck disable=SC2086 # several packages
		DEBIAN_FRONTEND=noninteractive apt-get -q -y install $2 >&2
	else
		die 4 'this machine has neither dnf, yum nor apt-get'
	fi
}

read_options "$@"
[ "$(id -u)" = 0 ] || die 4 'must be run by root'
[ ! -d /run/fvol ] || die 4 'a forensic volume was mounted here: this is no builder'
trap clean_up EXIT
trap 'exit 5' HUP INT TERM
WORK=$(mktemp -d /var/tmp/fvol-build.XXXXXX) || die 5 'cannot make a directory'
RELEASE=$(uname -r)
install_packages "make gcc binutils elfutils-libelf kernel-devel-$RELEASE" \
	"make gcc binutils libelf1 linux-headers-$RELEASE" ||
	die 4 "the headers of $RELEASE cannot be installed"
command -v aws > /dev/null || install_packages awscli awscli || die 4 'there is no aws'
aws s3 cp --only-show-errors --recursive "$SOURCE/" "$WORK/" >&2 ||
	die 5 "$SOURCE cannot be read"
for file in kmods build-module.sh lime SHA256SUMS; do
	[ -e "$WORK/$file" ] || die 5 "$SOURCE holds no $file"
done
check_source
chmod 700 "$WORK/kmods"
PLACE=$(sh "$WORK/build-module.sh" --kmods "$WORK/kmods" --lime "$WORK/lime" \
	--lime-version "$VERSION" --catalogue "$WORK/catalogue" --release "$RELEASE" \
	--scratch "$WORK") || die 5 "the module for $RELEASE was not built"
case $PLACE in
*[!A-Za-z0-9._/+~-]* | '') die 5 'build-module.sh named no place' ;;
esac
aws s3 cp --only-show-errors --recursive "$WORK/catalogue/" "$DESTINATION/$PLACE/" >&2 ||
	die 5 "$DESTINATION cannot be written"
printf '{"module":"%s/%s","release":"%s"}\n' "$DESTINATION" "$PLACE" "$RELEASE"
