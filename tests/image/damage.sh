#!/bin/sh
# Damages the metadata of an image at random places, the same in every run, and reads it:
# damage.sh IMAGE RUNS. PROGRAM is best the one under sanitizers, which does not look at
# ext4's checksums (whoever damages a volume on purpose makes them right).
# Exit: 0 every run ended in time with 0, 1, 3 or 5 and no report of a sanitizer; 1 not.
set -eu
export LC_ALL=C
PATH=/usr/sbin:/sbin:$PATH
image=$1
runs=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cp --sparse=always "$image" "$work/v"

# Superblock and descriptors, the inode table's first blocks, directories.
table=$(dumpe2fs "$image" 2> /dev/null | sed -n 's/^ *Inode table at \([0-9]*\)-.*/\1/p' |
	head -n 1)
blocks="0 1 $table $((table + 1))"
for path in / /bin /docs /many; do
	blocks="$blocks $(debugfs -R "blocks $path" "$image" 2> /dev/null)"
done
# shellcheck disable=SC2086 # a list
set -- $blocks

seed=1
codes=
while [ "$seed" -le "$runs" ]; do
	# The lines "OFFSET BYTE" of this run: places in use, values that tell.
	awk -v seed="$seed" -v blocks="$*" 'BEGIN {
		srand(seed); n = split(blocks, b, " ")
		split("000 001 002 004 177 200 377 012 057", v, " ")
		for (i = int(rand() * 6); i >= 0; i--) {
			k = b[int(rand() * n) + 1]
			at = rand() < 0.7 ? int(rand() * 300) : int(rand() * 4096)
			print (k == 0 ? 1024 : k * 4096) + at, v[int(rand() * 9) + 1]
		}
	}' > "$work/changes"
	while read -r off byte; do
		# shellcheck disable=SC2059 # the byte as an escape
		printf "\\$byte" | dd of="$work/v" bs=1 seek="$off" conv=notrunc 2> /dev/null
	done < "$work/changes"
	rm -rf "$work/into"
	mkdir "$work/into"
	for command in 'verify v' 'ls v' 'extract v / into'; do
		rc=0
		# shellcheck disable=SC2086 # words
		(cd "$work" && timeout 60 "$PROGRAM" $command > out 2> err) || rc=$?
		case $rc in
		0 | 1 | 3 | 5) codes="$codes $rc" ;;
		*)
			echo "seed $seed, $command: exit $rc"
			head -n 20 "$work/err"
			exit 1
			;;
		esac
		if grep -q -e Sanitizer -e 'runtime error' "$work/err"; then
			echo "seed $seed, $command:"
			head -n 20 "$work/err"
			exit 1
		fi
	done
	while read -r off _; do
		at=$((off / 4096))
		dd if="$image" of="$work/v" bs=4096 skip="$at" seek="$at" count=1 conv=notrunc \
			2> /dev/null
	done < "$work/changes"
	seed=$((seed + 1))
done
cmp "$image" "$work/v"
# shellcheck disable=SC2086 # a list
printf '%s\n' $codes | sort | uniq -c | awk '{ printf "%s times exit %s; ", $1, $2 }
	END { print "none else" }'
