#!/bin/sh
# kmods boot-test: one kernel really, and what an emulator may do instead of running one.
# Needs what `make` has built.
set -eu
cd "$(dirname "$0")/../.."
root=$PWD
kmods=${KMODS:-$root/build/release/x86_64/bin/kmods}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 5' HUP INT TERM
# shellcheck source=/dev/null
. tests/kmods/checks.sh

lock=$work/one.lock
grep ' x86_64 6\.1\.[^ ]*-cloud-' build/kernels/used.lock > "$lock"
release=$(awk '$1 == "headers" { print $3 }' "$lock")
out=$work/modules
"$kmods" build --lock "$lock" --packages build/dl --lime build/lime/src \
	--lime-version 1.12.0 --scratch "$work/scratch" --out "$out" > "$work/build" 2>&1 || {
	echo "FAIL there is no module to test"
	cat "$work/build"
	exit 1
}

guest=build/release/guest
# Arguments: further options. Tests the module.
# shellcheck disable=SC2317 # expect() calls it
boot_test() {
	"$kmods" boot-test --catalogue "$out" --lock "$lock" --packages build/dl \
		--guest "$guest" --scratch "$work/boot" --store "$work/store" "$@"
}

# Arguments: yes or no. Does the catalogue call the module tested?
# shellcheck disable=SC2317 # check() calls it
tested() {
	"$kmods" show "$out/catalogue.json" | grep -q " yes  *$1 "
}

# Arguments: shell code. Makes $work/tools, whose emulator does that.
stand_in() {
	mkdir -p "$work/tools"
	ln -sf /usr/bin/timeout "$work/tools/timeout"
	printf '#!/bin/sh\nPATH=/usr/bin:/bin\n%s\n' "$1" > "$work/tools/qemu-system-x86_64"
	chmod 755 "$work/tools/qemu-system-x86_64"
}

sed -i 's/"tested": false/"tested": true/' "$out/catalogue.json"
stand_in 'printf "\nfvol-boot-test: failed, the module is still loaded\n"'
expect 1 'a guest that says no' \
	"x86_64 $release: its boot test failed, the module is still loaded; see " \
	boot_test --tools "$work/tools"
check 'the module loses its mark' tested no
stand_in 'echo "Kernel panic - not syncing"; exit 0'
expect 1 'a guest that panics' 'the guest ended without a word' \
	boot_test --tools "$work/tools"
grep -q 'Kernel panic' "$work/boot/x86_64/$release.boot.log" && rc=0 || rc=1
result "$rc" 'its console is kept'
stand_in 'exec sleep 100'
expect 1 'a guest that hangs' 'its boot test never finished' \
	boot_test --tools "$work/tools" --timeout 1
stand_in 'printf "fvol-boot-test: passed, 3 ran"'
expect 1 'half a line is no word' 'without a word' boot_test --tools "$work/tools"
rm "$work/tools/qemu-system-x86_64"
check 'none of them made it tested' tested no
# What could not be run is no answer, and takes no mark away.
sed -i 's/"tested": false/"tested": true/' "$out/catalogue.json"
expect 5 'no emulator' 'qemu-system-x86_64 is not installed' boot_test --tools "$work/tools"
guest=$work/absent
expect 5 'no guest' '1 of 1 modules could not be tested' boot_test
guest=build/release/guest
check 'the mark stays' tested yes
sed -i 's/"tested": true/"tested": false/' "$out/catalogue.json"
expect 5 'a kernel that the catalogue does not have' 'the catalogue has no module 9.9' \
	boot_test 9.9
expect 2 'a bad timeout' 'not a number of seconds' boot_test --timeout 0

expect 0 'a module on its very kernel' 'passed, ' boot_test --timeout 800 "x86_64/$release"
check 'it is tested now' tested yes
sed 's/^/# /' "$work/err"
stand_in 'exit 1'
sed -i 's/"tested": true/"tested": false/' "$out/catalogue.json"
expect 0 'the same module again' '1 of 1 modules passed' boot_test --tools "$work/tools"
check 'it is remembered' tested yes
# Another module has yet to pass.
printf x >> "$out/x86_64/$release/lime.ko"
sum=$(sha256sum < "$out/x86_64/$release/lime.ko" | cut -d ' ' -f 1)
sed -i "s/\"sha256\": \"[0-9a-f]*\",\$/&/; /\"file\"/{n;s/\"[0-9a-f]\{64\}\"/\"$sum\"/}" \
	"$out/catalogue.json"
expect 1 'another module' 'without a word' boot_test --tools "$work/tools"
check 'what the old one passed is not its own' tested no
printf x >> "$out/x86_64/$release/lime.ko"
expect 1 'a module that is not the one of the catalogue' \
	'is not the module of the catalogue' boot_test
# shellcheck disable=SC2154 # checks.sh
exit "$failed"
