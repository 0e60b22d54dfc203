#!/bin/sh
# The hook of an image pipeline: build-module.sh against stand-ins, and once for real
# against a kernel's build tree made of its header packages. Exit: 0 passed; 1 not.
set -eu
cd "$(dirname "$0")/../.."
root=$PWD
kmods=${KMODS:-$root/build/release/x86_64/bin/kmods}
hook=$root/kmods/hook/build-module.sh
lime=$root/build/lime/src
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 5' HUP INT TERM
# shellcheck source=/dev/null
. tests/kmods/checks.sh

# == a stand-in for kmods, that tells what it was asked and ends as told
cat > "$work/kmods" <<-EOF
	#!/bin/sh
	echo "kmods \$*" >> $work/asked
	if [ "\$1" = need ]; then
		while [ "\$1" != --list ]; do shift; done
		cat "\$2" >> $work/asked
	fi
	exit \$(cat $work/code)
EOF
chmod 755 "$work/kmods"
mkdir -p "$work/sys/lib/modules/6.1.0-9-a/build" "$work/sys/lib/modules/6.1.0-10-a/build" \
	"$work/sys/lib/modules/6.1.0-11-a"
touch "$work/sys/lib/modules/6.1.0-9-a/build/Makefile" \
	"$work/sys/lib/modules/6.1.0-10-a/build/Makefile"
# Arguments: further ones of the hook. Runs it with the stand-in.
# shellcheck disable=SC2317,SC2329 # expect() calls it
run() {
	rm -f "$work/asked"
	sh "$hook" --kmods "$work/kmods" --lime "$lime" --lime-version 1.12.0 \
		--catalogue "$work/catalogue" --root "$work/sys" --scratch "$work" "$@"
}
arch=$(uname -m)
echo 0 > "$work/code"
expect 0 'the newest kernel with a build tree' "$arch/6.1.0-10-a" run
check 'its tree is the source' grep -qx \
	"source here tree $work/sys/lib/modules/6.1.0-10-a/build" "$work/asked"
check 'that release is wanted' grep -qx "kernel here \* $arch 6.1.0-10-a" "$work/asked"
check 'the catalogue is verified' grep -qx "kmods verify $work/catalogue" "$work/asked"
expect 0 'a release that is named' "$arch/6.1.0-9-a" run --release 6.1.0-9-a
check 'standard output is the name alone' [ "$(cat "$work/out")" = "$arch/6.1.0-9-a" ]
expect 4 'a kernel without headers' 'install the headers of 6.1.0-11-a' \
	run --release 6.1.0-11-a
expect 2 'a release that is a path' 'not the release' run --release ../x
expect 2 'an unknown argument' "unknown argument '--bogus'" run --bogus
expect 2 'an argument without a value' 'needs a value' run --release
expect 2 'nothing is said' 'are needed' sh "$hook"
expect 0 'help' 'build-module.sh --kmods' sh "$hook" --help
mkdir "$work/empty"
expect 4 'a machine without a build tree' 'install its headers' run --root "$work/empty"
for code in 1 5; do
	echo "$code" > "$work/code"
	expect 5 "kmods ends with $code" "kmods ended with $code" run
	check 'nothing is said to be built' [ ! -s "$work/out" ]
done
check 'no scratch directory stays' [ -z "$(find "$work" -name 'fvol-module.*')" ]

# == for real: the tree that the packages would install
lock=$root/build/kernels/used.lock
if [ ! -f "$lock" ] || [ ! -d "$lime" ]; then
	echo "FAIL hook: there are no packages: run make first"
	exit 1
fi
release=$(jq -r '[.modules[] | select(.arch == "x86_64")][0].release' out/kmods/catalogue.json)
awk -v r="$release" '$2 == "x86_64" && $3 == r && $1 != "image" { sub(".*/", "", $8); print $8 }' \
	"$lock" > "$work/files"
while read -r file; do
	"$kmods" unpack --into "$work/real" "build/dl/$file" > /dev/null
done < "$work/files"
headers=$work/real/usr/src/linux-headers-$release
# It includes the common one from where the package would be installed.
sed -i 's|^include /usr/src/|include ../|' "$headers/Makefile"
mkdir -p "$work/real/lib/modules/$release"
ln -sfn "../../../usr/src/linux-headers-$release" "$work/real/lib/modules/$release/build"
expect 0 'a module of a build tree' "x86_64/$release" sh "$hook" --kmods "$kmods" \
	--lime "$lime" --lime-version 1.12.0 --catalogue "$work/built" --root "$work/real" \
	--scratch "$work"
check 'its catalogue verifies' "$kmods" verify "$work/built"
check 'its vermagic is the one of the packages' [ "$(jq -r '.modules[0].vermagic' \
	"$work/built/catalogue.json")" = "$(jq -r --arg r "$release" \
	'.modules[] | select(.release == $r) | .vermagic' out/kmods/catalogue.json)" ]
check 'nobody has tested it' jq -e '.modules[0].tested == false' "$work/built/catalogue.json"
check 'the tree stands as its source' jq -e '.modules[0].packages[0].name == "kernel-tree"' \
	"$work/built/catalogue.json"

# == the component: the names that it uses are those of the script
for word in --kmods --lime --lime-version --catalogue; do
	check "the component gives $word" grep -q -- " $word " kmods/hook/component.yml
done
exit "${failed:?}"
