#!/bin/sh
# Fetches a pinned source by name: source.sh NAME DIR, by the line of sources.list.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
name=$1 dir=$2
found=
while read -r n _ file sum _ _ origins; do
	[ "$n" = "$name" ] || continue
	found=1
	# shellcheck disable=SC2086 # origins are words
	sh "$here/fetch.sh" "$dir" "$file" "$sum" $origins
done < "$here/sources.list"
if [ -z "$found" ]; then
	echo "source: $name is not in sources.list" >&2
	exit 2
fi
