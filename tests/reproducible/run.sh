#!/bin/sh
# The same sources give the same bytes: builds this tree once more from nothing, in another
# directory, as another user (when run by root), with another umask, locale and time zone,
# offline from the downloads of this build, and compares everything that is shipped.
set -eu
cd "$(dirname "$0")/../.."
root=$PWD
failed=0
tmp=$(mktemp -d /var/tmp/fvol-reproducible.XXXXXX)
trap 'rm -rf "$tmp"' EXIT
chmod 755 "$tmp"
clone=$tmp/another-name
mkdir "$clone"
git ls-files -z --cached --others --exclude-standard | tar -c --null -T - | tar -x -C "$clone"

# Nor the times of the sources, nor their order in their directories.
find "$clone" -exec touch -h -d '2001-02-03 04:05:06' {} +

as=
if [ "$(id -u)" -eq 0 ]; then
	chown -R nobody "$clone"
	as='setpriv --reuid nobody --regid nogroup --clear-groups'
fi
# shellcheck disable=SC2086 # words
(
	cd "$clone"
	umask 077
	exec $as env -i PATH="$PATH" HOME="$clone" LC_ALL=C.UTF-8 TZ=Pacific/Chatham LOCKED=1 \
		HAVE_PACKAGES=1 DL="$root/build/dl" make
) > "$tmp/log" 2>&1 || {
	echo 'FAIL the second build'
	tail -n 30 "$tmp/log"
	exit 1
}

# Arguments: a path.
same() {
	if cmp "$root/$1" "$clone/$1"; then echo "ok the same bytes: $1"; else
		echo "FAIL the same bytes: $1"
		failed=1
	fi
}

for file in build/release/*/bin/*; do
	same "$file"
done
for file in $(find out -type f | sort); do
	same "$file"
done
(cd out && find . -type f | sort) > "$tmp/here"
(cd "$clone/out" && find . -type f | sort) > "$tmp/there"
if diff "$tmp/here" "$tmp/there"; then echo 'ok the same files'; else
	echo 'FAIL the same files'
	failed=1
fi
exit $failed
