#!/bin/sh
# Makes the kernels that only tests need: fetch-kernels.sh. Below build/tests/kernels stand
# then, for each kernel of tests/vm/kernels.lock, ARCH/RELEASE/boot/vmlinuz-RELEASE and
# kmods/ARCH/RELEASE/lime.ko with kmods/catalogue.json; and for each kernel of the build
# that guests boot fault/ARCH/RELEASE/lime.ko, which is tests/vm/fault; and for all of them
# facts*/ARCH/RELEASE/lime.ko, which is tests/vm/facts; hide/… is tests/vm/hide,
# crash/… tests/vm/crash.
# When an archive has no longer what is locked, the tests take what the index offers
# instead, and say so; LOCKED=1 forbids it. Run from the root of the repository.
# Environment: KMODS, the program that unpacks and builds.
# Exit: 0 done; 4 this machine cannot; 5 failed.
set -eu
out=build/tests/kernels
export FVOL_USED="$out/used.lock" FVOL_KERNELS="$out" FVOL_BOOT="*"
KMODS=${KMODS:-build/release/x86_64/bin/kmods}
export KMODS

# Arguments: a lock file. Fetches and unpacks its kernels, no other ones in their stead.
fetch() {
	FVOL_LOCK=$1 LOCKED=1 sh kmods/images.sh
}

# Arguments: LOCK SOURCE VERSION OUT.
build() {
	"$KMODS" build --lock "$1" --packages build/dl --lime "$2" --lime-version "$3" \
		--scratch "$out/scratch" --out "$4" --jobs "$(nproc)"
}

mkdir -p "$out"
if ! fetch tests/vm/kernels.lock; then
	[ "${LOCKED:-}" != 1 ] || exit 5
	echo "tests: WARNING: tests/vm/kernels.lock names packages that are gone;" \
		"taking others (make update-kernels renews it)" >&2
	"$KMODS" resolve --list tests/vm/kernels.list --out "$out/other.lock"
	fetch "$out/other.lock"
fi
build "$out/used.lock" build/lime/src "$(cut -d ' ' -f 1 build/lime/used)" "$out/kmods"
# Of the kernels of the build those that guests boot.
while read -r role arch release rest; do
	[ ! -f "build/kernels/$arch/$release/boot/vmlinuz-$release" ] ||
		echo "$role $arch $release $rest"
done < build/kernels/used.lock > "$out/booted.lock"
# A module built by kmods is called lime, whatever it is.
build "$out/booted.lock" tests/vm/fault 0 "$out/fault"
build "$out/booted.lock" tests/vm/facts 0 "$out/facts"
build "$out/booted.lock" tests/vm/hide 0 "$out/hide"
build "$out/booted.lock" tests/vm/crash 0 "$out/crash"
build "$out/used.lock" tests/vm/facts 0 "$out/facts-others"
