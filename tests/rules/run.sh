#!/bin/sh
# Rules of the source itself: the pinned format, shell scripts that shellcheck passes, one
# file for each foreign library, function and file lengths, a man page for each program.
set -eu
cd "$(dirname "$0")/../.."
failed=0

# Arguments: name, file with what is wrong. Prints the result line.
result() {
	if [ -s "$2" ]; then
		echo "FAIL $1"
		sed 's/^/  /' "$2"
		failed=1
	else
		echo "ok $1"
	fi
}

out=build/check/rules
mkdir -p build/check
files() {
	find toolkit kmods image tests "$@" -not -path '*/corpus/*' | sort
}

files -name '*.[ch]' | xargs clang-format-14 --dry-run 2> $out || :
result 'C source has the pinned format' $out

find . -path ./build -prune -o -path ./out -prune -o -path ./.git -prune -o \
	\( -name '*.sh' -o -path ./.ci/run \) -print | sort |
	xargs shellcheck -s sh > $out 2>&1 || :
result 'shellcheck passes' $out

# The rooms of foreign libraries: header, and the only file that may include it.
: > $out
while read -r header room; do
	grep -rlE "#include <$header" toolkit kmods image --include='*.[ch]' |
		grep -vx "$room" >> $out || :
done <<-EOF
	mbedtls/(asn1|bignum|ec|hmac|md|oid|pem|pk|sha) toolkit/lib/crypto_mbedtls.c
	(mbedtls/(ssl|x509)|psa/) toolkit/lib/tls.c
	curl/ toolkit/lib/http.c
	yyjson toolkit/lib/json.c
	expat toolkit/lib/xml.c
	zstd toolkit/lib/zstd_frame.c
	archive \(kmods/unpack\|toolkit/compress/tar\|toolkit/lib/package\).c
	lzma toolkit/lib/xzfile.c
	lz4 toolkit/lib/lz4_legacy.c
	zlib toolkit/lib/gzip.c
	(libelf|gelf) kmods/modinfo.c
	ext2fs/ image/ext4_\(make\|read\|check\).c
EOF
result 'each foreign library stands behind one file' $out

: > $out
files -name '*.[ch]' | while read -r file; do
	awk -v file="$file" '
		/^\{$/ { start = NR }
		/^\}$/ && NR - start > 100 { print file ":" start ": over 100 lines" }
		END { if (NR > 600) print file ": " NR " lines" }' "$file"
done > $out
result 'no function over 100 lines, no file over 600' $out

: > $out
for program in image-publish kmods-catalogue capture hash grow compress upload symbols kmods image \
	bootstrap; do
	[ -s "man/$program.1" ] || echo "man/$program.1 is missing" >> $out
	man --warnings -l "man/$program.1" > /dev/null 2>> $out || :
done
result 'each program has a man page' $out

grep -rnE '[[:space:]]+$' --include='*.[ch]' --include='*.sh' --include='*.mk' \
	toolkit kmods image tests deps mk mount-scripts ssm-docs Makefile > $out || :
result 'no blanks at the end of a line' $out
exit $failed
