#!/bin/sh
# Builds one pinned source for one target: build.sh TARGET NAME.
#
# TARGET is x86_64 or aarch64 (static, against our musl) or host (this machine's libc:
# for unit tests under sanitizers only). recipes/NAME.sh holds the function build(),
# which runs in the unpacked source and installs into $PREFIX. The environment is
# emptied first, so that nothing of the caller's reaches the bytes.
set -eu

if [ "${FVOL_CLEAN_ENV:-}" != yes ]; then
	exec env -i FVOL_CLEAN_ENV=yes PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C TZ=UTC \
		HOME=/nonexistent SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-0}" DL="${DL:-}" \
		JOBS="${JOBS:-2}" http_proxy="${http_proxy:-}" sh "$0" "$@"
fi
umask 022

TARGET=$1
NAME=$2
ROOT=$(cd "$(dirname "$0")/.." && pwd)
DEPS=$ROOT/deps
TOOLCHAIN=$ROOT/build/toolchain/$TARGET
PREFIX=$ROOT/build/deps/$TARGET
WORK=$ROOT/build/work/$TARGET/$NAME

# Whatever the source tree records of its place becomes /b.
COMMON="-O2 -g0 -fPIE -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables"
# aarch64 has unsigned char by default, which flips a flag of ext4's directory hash.
COMMON="$COMMON -fsigned-char -ffile-prefix-map=$WORK=/b -ffile-prefix-map=$ROOT=/b"

case $TARGET in
x86_64 | aarch64)
	CC=$TOOLCHAIN/bin/cc
	AR=$TARGET-linux-gnu-ar
	RANLIB=$TARGET-linux-gnu-ranlib
	HOST=$TARGET-linux-musl
	;;
host)
	CC=gcc
	AR="ar"
	RANLIB="ranlib"
	HOST=x86_64-linux-gnu
	;;
*)
	echo "build: unknown target $TARGET" >&2
	exit 2
	;;
esac
CFLAGS="$COMMON -isystem $PREFIX/include"
LDFLAGS=-L$PREFIX/lib
export CC AR RANLIB CFLAGS LDFLAGS PKG_CONFIG=false

# Arguments: configure options. Configures as a cross build on every target, so that no
# test program is run and nothing of this machine is taken over.
configure() {
	./configure --host="$HOST" --build=x86_64-pc-linux-gnu --prefix=/usr \
		--disable-shared --enable-static "$@"
}

# Arguments: files. Copies headers into the prefix.
headers() {
	mkdir -p "$PREFIX/include"
	cp "$@" "$PREFIX/include/"
}

# Arguments: archives. Copies static libraries into the prefix.
libraries() {
	mkdir -p "$PREFIX/lib"
	cp "$@" "$PREFIX/lib/"
}

# Arguments: a name. Prints the file that sources.list pins for it.
pinned_file() {
	awk -v n="$1" '$1 == n { print $3 }' "$DEPS/sources.list"
}

sh "$DEPS/source.sh" "$NAME" "$ROOT/build/dl"
rm -rf "$WORK"
mkdir -p "$WORK"
tar -xf "$ROOT/build/dl/$(pinned_file "$NAME")" -C "$WORK" --strip-components=1 --no-same-owner
cd "$WORK"
for patch in "$DEPS/patches/$NAME"-*.patch; do
	[ -f "$patch" ] || continue
	patch -p1 --silent < "$patch"
done

# shellcheck source=/dev/null
. "$DEPS/recipes/$NAME.sh"
# Not "if ! build": a condition would switch errexit off inside it.
set +e
(
	set -e
	build
) > "$WORK.log" 2>&1
rc=$?
set -e
if [ "$rc" -ne 0 ]; then
	tail -n 25 "$WORK.log" >&2
	echo "build: $NAME for $TARGET failed: see ${WORK#"$ROOT"/}.log" >&2
	exit 1
fi
# The licence travels with what was linked.
mkdir -p "$ROOT/build/licences/$NAME"
for f in COPYING* COPYRIGHT* LICENSE* NOTICE*; do
	[ ! -f "$f" ] || cp "$f" "$ROOT/build/licences/$NAME/"
done
cd "$ROOT"
rm -rf "$WORK"
