#!/bin/sh
# Brings the locked kernel packages into build/dl: fetch.sh [images]
#
# Without "images" what modules are built from, with it the kernels too. A package that no
# archive has any more is replaced, with all others of its kernel, by the newest kernel of
# the same flavour: that is said, and build/kernels/used.lock, which is always the list to
# build from, marks it. LOCKED=1 fails instead.
# Exit: 0 all there; 2 usage; 4 this machine cannot look for a successor; 5 failed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
lock=${FVOL_LOCK:-$here/kernels.lock}
dl=${FVOL_DL:-$root/build/dl}
used=${FVOL_USED:-$root/build/kernels/used.lock}
# shellcheck source=/dev/null
. "$here/apt.sh"

roles="headers common kbuild"
case ${1:-} in
'') ;;
images) roles="$roles image" ;;
*)
	echo "usage: fetch.sh [images]" >&2
	exit 2
	;;
esac
mkdir -p "$(dirname "$used")"
new=$(mktemp "$used.XXXXXX")
trap 'rm -f "$new" "$new".*' EXIT

# Arguments: a list of lock lines of one kernel. Fetches the packages of the wanted roles.
# Returns: 0; 1 when one cannot be had (its file name is in $new.missing).
fetch_lines() {
	while read -r role _ _ _ _ sum _ origin _; do
		case " $roles " in
		*" $role "*) ;;
		*) continue ;;
		esac
		file=${origin##*/}
		if ! sh "$root/deps/fetch.sh" "$dl" "$file" "$sum" "$origin" < /dev/null; then
			echo "$file" > "$new.missing"
			return 1
		fi
	done < "$1"
}

# Arguments: an architecture, a release. The successor of that kernel that an earlier run
# chose, if any, is taken first, so that modules and images stay of one kernel; otherwise
# the index names it. Returns: 0 with its lines in $new.lines.
find_successor() {
	flavour=$(flavour_of "$2")
	[ ! -f "$used" ] || awk -v a="$1" -v f="-$flavour" '
		$2 == a && $9 == "successor" &&
			substr($3, length($3) - length(f) + 1) == f' "$used" > "$new.lines"
	if [ -s "$new.lines" ] && fetch_lines "$new.lines"; then
		return 0
	fi
	if [ -z "${APT_STATE:-}" ]; then
		apt_open "$root/build/apt" || return $?
	fi
	apt_kernel "$1" "$flavour" > "$new.found" || return 5
	sed 's/$/ successor/' "$new.found" > "$new.lines"
	if grep -q " $(cat "$new.gone.sum") " "$new.lines"; then
		# The index still names it: an outage, not a package that is gone.
		say "$(cat "$new.gone") is in the index but cannot be fetched"
		return 5
	fi
	fetch_lines "$new.lines" || return 5
}

kernels_of "$lock" > "$new.kernels"
# shellcheck disable=SC2094 # it is only read
while read -r arch release; do
	awk -v a="$arch" -v r="$release" '$2 == a && $3 == r' "$lock" > "$new.locked"
	if fetch_lines "$new.locked"; then
		cat "$new.locked" >> "$new"
		continue
	fi
	mv "$new.missing" "$new.gone"
	gone=$(cat "$new.gone")
	awk -v f="/$gone" 'index($8, f) { print $6 }' "$new.locked" > "$new.gone.sum"
	if [ "${LOCKED:-}" = 1 ]; then
		say "$gone, which kernels.lock pins, cannot be had, and LOCKED=1 forbids" \
			"another (make update-kernels renews the lock file)"
		exit 5
	fi
	if [ -n "${DL:-}" ] && [ -f "$DL/$gone" ]; then
		say "$DL/$gone is not the package that kernels.lock pins"
		exit 5
	fi
	: > "$new.lines"
	rc=0
	find_successor "$arch" "$release" || rc=$?
	if [ "$rc" -ne 0 ]; then
		say "$gone cannot be had, and no successor of $arch $release either"
		exit "$rc"
	fi
	other=$(awk 'NR == 1 { print $3 }' "$new.lines")
	say "WARNING: $gone is gone from every archive"
	if grep -q "^$arch $other\$" "$new.kernels"; then
		say "WARNING: $arch $release is left out: its successor $other is listed too"
		continue
	fi
	say "WARNING: $arch $release is replaced by $other, which kernels.lock does not pin"
	cat "$new.lines" >> "$new"
done < "$new.kernels"

LC_ALL=C sort -u "$new" > "$new.sorted"
# Unchanged it keeps its time, so that nothing is built again for it.
if ! cmp -s "$new.sorted" "$used"; then
	chmod 644 "$new.sorted"
	mv -f "$new.sorted" "$used"
fi
