#!/bin/sh
# Prints what an SBOM says of LiME: the source that was used (build/lime/used), by the pin of
# kmods/lime.list, and which files it became. Run from the root of the repository.
set -eu
read -r version _ file < build/lime/used
set -- "$(awk -v f="$file" '$3 == f { print $4, $5; exit }' kmods/lime.list)"
# shellcheck disable=SC2086 # two words
set -- $1
# Upstream's archive has no pin: its content has; the archive that was taken says the rest.
[ "${1:--}" != - ] || set -- "$(sha256sum "build/dl/$file" | cut -d ' ' -f 1)" "${2:-NOASSERTION}"
echo "package lime $version $file $1 GPL-2.0-only $2"
echo 'source-of lime kmods/*/*/lime.ko'
