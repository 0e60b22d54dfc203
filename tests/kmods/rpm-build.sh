#!/bin/sh
# Modules for kernels whose headers come as rpms in Red Hat's and SUSE's layout, and for a
# build tree: the headers are Debian's, laid out as those distributions do. Needs what
# `make` has built, and rpmbuild.
set -eu
cd "$(dirname "$0")/../.."
root=$PWD
kmods=${KMODS:-$root/build/release/x86_64/bin/kmods}
lock=kmods/kernels.lock
# In memory: trees of ten thousand files are made, packed, and unpacked again.
work=$(mktemp -d -p /dev/shm)
trap 'rm -rf "$work"' EXIT
trap 'exit 5' HUP INT TERM
# shellcheck source=/dev/null
. tests/kmods/sources.sh
# shellcheck source=/dev/null
. tests/kmods/checks.sh

# Arguments: name, architecture, release, the list. Resolves and builds into $work/out.
builds() {
	rc=0
	printf '%s\n' "$4" > "$work/list"
	rm -rf "$work/out" "$work/scratch" "$work/lock"
	{
		"$kmods" resolve --list "$work/list" --out "$work/lock" --scratch \
			"$work/index" &&
			"$kmods" fetch --lock "$work/lock" --packages "$work/got" \
				--scratch "$work/index" &&
			"$kmods" build --lock "$work/lock" --packages "$work/got" \
				--lime build/lime/src --lime-version 1.12.0 \
				--scratch "$work/scratch" --out "$work/out" --jobs 2
	} > "$work/out.log" 2> "$work/err" || rc=1
	result "$rc" "$1"
	ko=$work/out/$2/$3/lime.ko
	rc=0
	grep -aqF "vermagic=$3 SMP " "$ko" || rc=1
	result "$rc" "$1: the module is for $3"
}

# The one cloud kernel of 6.1 of each architecture.
for arch in x86_64 aarch64; do
	awk -v a=$arch '$2 == a && $3 ~ /^6\.1\..*-cloud-/' $lock > "$work/$arch.lock"
done

rel=6.1.99-1.test.x86_64
make_whole_tree "$kmods" build/dl "$work/x86_64.lock" x86_64 $rel
cp -R "$work/whole" "$work/tree"
make_tree_rpm "$work/rh" kernel-devel x86_64 "Provides: kernel-devel-uname-r = $rel" \
	usr/src/kernels/$rel 1.test "$work/whole"
builds 'headers of Red Hat' x86_64 $rel "source s dir $work/rh
kernel s generic x86_64 all"
cp "$ko" "$work/rh.ko"

before=$(cd "$work/tree" && find . -printf '%P %i %T@ %s\n' | LC_ALL=C sort | sha256sum)
builds 'a build tree' x86_64 $rel "source s tree $work/tree
kernel s * x86_64 all"
cmp "$ko" "$work/rh.ko" > "$work/err" 2>&1 && rc=0 || rc=1
result "$rc" 'the same headers give the same module'
[ "$(cd "$work/tree" && find . -printf '%P %i %T@ %s\n' | LC_ALL=C sort | sha256sum)" = \
	"$before" ] && rc=0 || rc=1
result "$rc" 'the tree is as it was'
echo >> "$work/tree/Makefile"
rc=0
"$kmods" build --lock "$work/lock" --packages "$work/got" --lime build/lime/src \
	--lime-version 1.12.0 --scratch "$work/scratch2" --out "$work/out2" \
	> "$work/out.log" 2> "$work/err" || rc=$?
[ $rc -eq 5 ] && grep -q 'has changed since it was listed' "$work/err" && rc=0 || rc=1
result "$rc" 'a tree that has changed is refused'

# A foreign architecture: its rpm has programs that do not run here.
rel=6.1.99-1.test.aarch64
make_whole_tree "$kmods" build/dl "$work/aarch64.lock" aarch64 $rel
foreign=$work/whole
for program in scripts/basic/fixdep scripts/mod/modpost; do
	rm -f "$foreign/$program"
	cp build/release/aarch64/bin/hash "$foreign/$program"
done
make_tree_rpm "$work/rh" kernel-devel aarch64 "Provides: kernel-devel-uname-r = $rel" \
	usr/src/kernels/$rel 1.test "$work/whole"
builds 'headers of Red Hat for aarch64, programs for x86_64' aarch64 $rel \
	"source s dir $work/rh
kernel s generic aarch64 all"
mv "$work/rh/kernel-devel-6.1.99-1.test.x86_64.rpm" "$work/aside.rpm"
rc=0
"$kmods" resolve --list "$work/list" --out "$work/lock" --scratch "$work/index" \
	> "$work/out.log" 2> "$work/err" || rc=$?
[ $rc -eq 5 ] && grep -q 'is left out: s has no kernel-devel for this machine' "$work/err" &&
	rc=0 || rc=1
result "$rc" 'without those programs the kernel is left out and told'

rel=6.1.99-1.2-default
make_whole_tree "$kmods" build/dl "$work/x86_64.lock" x86_64 $rel
mkdir -p "$work/obj/x86_64/default/arch/x86/include" "$work/obj/x86_64/default/include"
obj=$work/obj/x86_64/default
mv "$work/whole/.config" "$work/whole/Module.symvers" "$work/whole/.kernelvariables" "$obj/"
mv "$work/whole/include/generated" "$work/whole/include/config" "$obj/include/"
mv "$work/whole/arch/x86/include/generated" "$obj/arch/x86/include/"
# Debian's makefiles look for it here, others in scripts.
mv "$work/whole/arch/x86/module.lds" "$obj/arch/x86/"
cp -R "$work/whole/scripts" "$work/whole/tools" "$obj/"
echo 'include /usr/src/linux-6.1.99-1.2/Makefile' > "$obj/Makefile"
make_tree_rpm "$work/suse" kernel-devel noarch '' usr/src/linux-6.1.99-1.2 1.2.1 "$work/whole"
make_tree_rpm "$work/suse" kernel-default-devel x86_64 '' usr/src/linux-6.1.99-1.2-obj \
	1.2.1 "$work/obj"
builds 'headers of SUSE' x86_64 $rel "source s dir $work/suse
kernel s default x86_64 all"

# Ubuntu's: like Debian's, with the programs in the flavour's own package.
rel=6.1.0-99-aws
make_whole_tree "$kmods" build/dl "$work/aarch64.lock" aarch64 $rel
for arch in arm64 amd64; do
	into=$work/ubuntu/$arch/usr/src/linux-headers-$rel
	mkdir -p "$into/arch/arm64/include" "$into/include" "$work/ubuntu/$arch/DEBIAN"
	cp "$work/whole/.config" "$work/whole/Module.symvers" "$work/whole/.kernelvariables" \
		"$into/"
	cp -R "$work/whole/include/generated" "$work/whole/include/config" "$into/include/"
	cp -R "$work/whole/arch/arm64/include/generated" "$into/arch/arm64/include/"
	cp "$work/whole/arch/arm64/module.lds" "$into/arch/arm64/"
	cp -R "$work/whole/scripts" "$work/whole/tools" "$into/"
	echo 'include /usr/src/linux-headers-6.1.0-99/Makefile' > "$into/Makefile"
	[ $arch = amd64 ] || cp build/release/aarch64/bin/hash "$into/scripts/mod/modpost"
	printf 'Package: %s\nVersion: 1\nArchitecture: %s\nMaintainer: x\n%s\n' \
		"linux-headers-$rel" "$arch" 'Depends: linux-headers-6.1.0-99' \
		> "$work/ubuntu/$arch/DEBIAN/control"
	echo 'Description: x' >> "$work/ubuntu/$arch/DEBIAN/control"
	dpkg-deb -Zgzip -z1 --root-owner-group -b "$work/ubuntu/$arch" "$work/ubuntu/" \
		> "$work/out.log"
done
rm -rf "$work/whole/include/generated" "$work/whole/include/config" \
	"$work/whole/.config" "$work/whole/.kernelvariables"
mkdir -p "$work/ubuntu/all/usr/src" "$work/ubuntu/all/DEBIAN"
mv "$work/whole" "$work/ubuntu/all/usr/src/linux-headers-6.1.0-99"
printf 'Package: %s\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: x\n' \
	linux-headers-6.1.0-99 > "$work/ubuntu/all/DEBIAN/control"
dpkg-deb -Zgzip -z1 --root-owner-group -b "$work/ubuntu/all" "$work/ubuntu/" > "$work/out.log"
builds 'headers of Ubuntu for aarch64, programs for amd64' aarch64 $rel \
	"source s dir $work/ubuntu
kernel s aws aarch64 all"
exit "${failed:?}"
