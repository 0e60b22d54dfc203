#!/bin/sh
# Builds the kernel module for the kernel this machine runs and puts the catalogue that holds
# it into a bucket: the one step of FVol-BuildModule, on a machine that the runbook made from
# the image in question and takes back afterwards. Never on an instance under investigation:
# it installs packages and compiles.
#
# build-step.sh --source s3://BUCKET/PREFIX --destination s3://BUCKET/PREFIX
#               --lime-version V
#
# Below the source stand kmods, build-module.sh (kmods/hook) and lime/ with LiME's *.c and
# *.h; the module arrives below DESTINATION/ARCH/RELEASE. The last line of the output is one
# JSON object. Exit: 0 built, checked and stored; 2 usage; 4 this machine lacks something or
# is no builder; 5 failed.
set -eu
LC_ALL=C
PATH=/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin
export LC_ALL PATH
umask 077
SOURCE='' DESTINATION='' VERSION=''
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
		--source | --destination | --lime-version) ;;
		*) die 2 "unknown argument '$1'" ;;
		esac
		[ "$#" -ge 2 ] || die 2 "$1 needs a value"
		case $1 in
		--source) SOURCE=${2%/} ;;
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
for file in kmods build-module.sh lime; do
	[ -e "$WORK/$file" ] || die 5 "$SOURCE holds no $file"
done
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
