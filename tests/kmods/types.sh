#!/bin/sh
# kmods build --symbols --types: real kernels whose BTF was cut away get a symbol file with
# the types of kmods/types, and it agrees with the one that their own BTF gives. Needs what
# `make` has built.
set -eu
cd "$(dirname "$0")/../.."
root=$PWD
kmods=${KMODS:-$root/build/release/x86_64/bin/kmods}
symbols=${SYMBOLS:-$root/build/release/x86_64/bin/symbols}
used=$root/build/kernels/used.lock
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 5' HUP INT TERM
# shellcheck source=/dev/null
. tests/kmods/checks.sh

# Arguments: lock file, output directory, further options. Builds with symbols. The modules
# that make built come from a copy of its store.
# shellcheck disable=SC2317 # expect() calls it
build_with() {
	with=$1 into=$2
	shift 2
	"$kmods" build --lock "$with" --packages "$work/dl" --lime build/lime/src \
		--lime-version 1.12.0 --scratch "$into.scratch" --store "$work/store" \
		--out "$into" --symbols "$@"
}

# Arguments: catalogue directory, true or false, number. Are there that many entries whose
# types are from the module, or not?
# shellcheck disable=SC2317 # check() calls it
from_module() {
	[ "$(jq "[.modules[] | select(.symbols_sha256 != \"\" and
		.symbols_from_module == $2)] | length" "$1/catalogue.json")" -eq "$3" ]
}

mkdir "$work/dl"
[ ! -d build/kernels/store ] || cp -r build/kernels/store "$work/store"
for file in build/dl/*.deb; do ln -s "$root/$file" "$work/dl/"; done

# One kernel of each: 6.1 and 6.12, and one of arm64.
grep -E ' x86_64 6\.1\.[^ ]*-cloud-| x86_64 6\.12\.[^ ]*deb12-cloud-| aarch64 6\.1\.[^ ]*-cloud-' \
	"$used" > "$work/btf.lock" || :
kernels=$(awk '$1 == "headers" { print $2 "/" $3 }' "$work/btf.lock")
if [ "$(echo "$kernels" | wc -w)" -ne 3 ]; then
	echo "FAIL types: $used has not the three kernels"
	exit 1
fi
awk '$1 != "image"' "$work/btf.lock" > "$work/cut.lock"
awk '$1 == "image"' "$work/btf.lock" > "$work/images"
while read -r role arch release name version _ _ origin; do
	made=cut-$arch-$release.deb
	python3 tests/symbols/nobtf.py "build/dl/${origin##*/}" "$release" "$work/dl/$made"
	echo "$role $arch $release $name $version" \
		"$(sha256sum < "$work/dl/$made" | cut -d ' ' -f 1)" \
		"$(stat -c %s "$work/dl/$made") pool/$made" >> "$work/cut.lock"
done < "$work/images"

expect 0 'symbol files from BTF' '' build_with "$work/btf.lock" "$work/btf" \
	--types kmods/types --jobs 2
check 'they are from BTF' from_module "$work/btf" false 3
expect 3 'without BTF and without --types' \
	'the kernel has no BTF: its types must come from a module' \
	build_with "$work/cut.lock" "$work/cut"
expect 0 'kernels whose BTF was cut away' 'its symbol file: made' \
	build_with "$work/cut.lock" "$work/cut" --types kmods/types --jobs 2
check 'the catalogue says where the types are from' from_module "$work/cut" true 3
for kernel in $kernels; do
	types=$work/cut/$kernel/symbols.json.xz btf=$work/btf/$kernel/symbols.json.xz
	check "$kernel: Volatility takes it" "$symbols" --check "$types"
	check "$kernel: it keeps the rules of ISF" python3 tests/symbols/schema.py "$types"
	check "$kernel: members and symbols are where the other has them" \
		python3 tests/symbols/compare.py --part mount,mnt_namespace "$types" "$btf"
	# What plugins cannot do without, where BTF has it.
	xz -dc "$types" | jq -r '.user_types, .enums, .base_types | keys[]' |
		sort -u > "$work/types.names"
	xz -dc "$btf" | jq -r '.user_types, .enums, .base_types | keys[]' |
		sort -u > "$work/btf.names"
	sed -n '/isf_required_types\[\]/,/NULL/p; /isf_used_types\[\]/,/NULL/p' \
		toolkit/lib/isf_known.c | grep -o '"[^"]*"' | tr -d '"' | sort -u |
		comm -12 - "$work/btf.names" | comm -23 - "$work/types.names" > "$work/lack"
	# kmods/types/fvol_private.h says why these.
	cat > "$work/private" <<-END
		ftrace_hash
		kthread
		mnt_namespace
		mount
		netlink_sock
		packet_sock
		prb_data_blk_lpos
		prb_desc
		printk_info
		printk_ringbuffer
		proc_dir_entry
	END
	comm -23 "$work/lack" "$work/private" > "$work/err"
	[ ! -s "$work/err" ] && rc=0 || rc=1
	result "$rc" "$kernel: the types that plugins ask for"
done
for kernel in $kernels; do
	case $kernel in
	*/6.1.*) check "$kernel: mounts" python3 tests/symbols/compare.py \
		--part mount,mnt_namespace --only mount,mnt_namespace,mod_tree_root \
		"$work/cut/$kernel/symbols.json.xz" "$work/btf/$kernel/symbols.json.xz" ;;
	esac
done

expect 0 'a second build' 'up to date' build_with "$work/cut.lock" "$work/cut" \
	--types kmods/types
expect 0 'another output' 'taken from the store' \
	build_with "$work/cut.lock" "$work/more" --types kmods/types
check 'it is the same' diff -r "$work/cut" "$work/more"
rm -rf "$work/more"

# One kernel from here on.
for list in btf cut; do grep ' x86_64 6\.1\.' "$work/$list.lock" > "$work/$list.one"; done
release=$(awk '$1 == "headers" { print $3 }' "$work/cut.one")
# Its own table, and in a package that has one the System.map, which knows one symbol more.
xz -dc "$work/cut/x86_64/$release/symbols.json.xz" | python3 -c 'import json, sys
print("ffffffff81000042 T fvol_only_in_the_map")
for name, symbol in json.load(sys.stdin)["symbols"].items():
    print("%016x T %s" % (symbol["address"], name))' > "$work/System.map"
made=map-$release.deb
file=$(awk '$1 == "image" { sub(".*/", "", $8); print $8 }' "$work/btf.one")
python3 tests/symbols/nobtf.py "build/dl/$file" "$release" "$work/dl/$made" "$work/System.map"
sum=$(sha256sum < "$work/dl/$made" | cut -d ' ' -f 1)
awk -v sum="$sum" -v size="$(stat -c %s "$work/dl/$made")" -v made="$made" '
	$1 == "image" { $6 = sum; $7 = size; $8 = "pool/" made } { print }' "$work/cut.one" \
	> "$work/map.one"
expect 0 'a package with a System.map' 'its symbol file: made' \
	build_with "$work/map.one" "$work/map" --types kmods/types
xz -dc "$work/map/x86_64/$release/symbols.json.xz" |
	grep -q '"fvol_only_in_the_map":{"address":18446744071578845250[,}]' && rc=0 || rc=1
result "$rc" 'its symbols are from there'
cp -r kmods/types "$work/types"
echo '/* changed */' >> "$work/types/fvol_private.h"
expect 0 'another source of the module, a kernel with BTF' 'taken from the store' \
	build_with "$work/btf.one" "$work/more" --types "$work/types"
rm -rf "$work/more"
expect 0 'and one without' 'its symbol file: made' \
	build_with "$work/cut.one" "$work/elsewhere/more" --types "$work/types"
check 'it is made anew, elsewhere, to the same bytes' cmp \
	"$work/elsewhere/more/x86_64/$release/symbols.json.xz" \
	"$work/cut/x86_64/$release/symbols.json.xz"
check 'nothing but the log is left' \
	test -z "$(find "$work/elsewhere/more.scratch" -name '*fvol*' -o -name btf)"
echo '#error not for this kernel' >> "$work/types/fvol_private.h"
expect 3 'a module that does not compile' \
	"x86_64/$release.types.log: make exited with 2" \
	build_with "$work/cut.one" "$work/more" --types "$work/types"
check 'its log says why' grep -q 'not for this kernel' \
	"$work/more.scratch/x86_64/$release.types.log"
check 'the kernel has its LiME module' test -f "$work/more/x86_64/$release/lime.ko"
mkdir "$work/tools"
for tool in /usr/bin/*; do
	[ "${tool##*/}" = pahole ] || ln -s "$tool" "$work/tools/"
done
expect 3 'a machine without pahole' \
	"$release: its symbol file: it has no BTF, and of its types module: pahole is not installed" \
	build_with "$work/cut.one" "$work/more" --types kmods/types --tools "$work/tools"
check 'no symbol file is left of another kernel' \
	test ! -e "$work/more/x86_64/$release/symbols.json.xz"
expect 2 'types without symbols' '--types is for --symbols' "$kmods" build \
	--lock "$work/cut.one" --packages "$work/dl" --lime build/lime/src \
	--lime-version 1.12.0 --scratch "$work/s" --out "$work/o" --types kmods/types
# shellcheck disable=SC2154 # checks.sh
exit "$failed"
