#!/bin/sh
# Every program that is shipped is static, for its architecture, runs, and carries no path
# of the machine that built it.
set -eu
cd "$(dirname "$0")/../.."
failed=0

# Arguments: condition's exit code, name. Prints the result line.
result() {
	if [ "$1" -eq 0 ]; then echo "ok $2"; else
		echo "FAIL $2"
		failed=1
	fi
}

for file in build/release/*/bin/*; do
	arch=${file#build/release/}
	arch=${arch%%/*}
	run=
	[ "$arch" = x86_64 ] || run=qemu-$arch-static
	name="${file##*/} ($arch)"
	headers=$(readelf -hldW "$file")
	rc=0
	echo "$headers" | grep -qE 'INTERP|NEEDED' && rc=1
	result $rc "$name has neither interpreter nor shared library"
	rc=0
	case $arch in
	x86_64) echo "$headers" | grep -q 'Machine:.*X86-64' || rc=1 ;;
	aarch64) echo "$headers" | grep -q 'Machine:.*AArch64' || rc=1 ;;
	esac
	result $rc "$name is for its architecture"
	rc=0
	echo "$headers" | grep -q 'GNU_STACK.*RW ' && echo "$headers" | grep -q GNU_RELRO || rc=1
	result $rc "$name has no executable stack and relro"
	rc=0
	$run "$file" --version | grep -qx "${file##*/} (fvol) $(cat VERSION)" || rc=1
	result $rc "$name runs and says its version"
	rc=0
	grep -qaF "$PWD" "$file" && rc=1
	result $rc "$name holds no path of this machine"
done
exit $failed
