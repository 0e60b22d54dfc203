# shellcheck shell=sh
# Makes packages, byte by byte, that no honest tool would make. To be sourced; needs $work.
: "${work:?}"

# Arguments: offset, text. Writes it into the header under construction.
field() {
	printf '%s' "$2" | dd of="$work/header" bs=1 seek="$1" conv=notrunc 2> /dev/null
}

# Arguments: tar file, name, type (0 file, 1 hard link, 2 symbolic link, 3 character
# device, 5 directory, 6 fifo), link target, mode in octal, content. POSIX ustar.
# A seventh one is the size to claim instead of the content's.
entry() {
	dd if=/dev/zero of="$work/header" bs=512 count=1 2> /dev/null
	field 0 "$2"
	field 100 "$(printf '%07o' "0$5")"
	field 108 0000000
	field 116 0000000
	field 124 "${7:-$(printf '%011o' "${#6}")}"
	field 136 00000000000
	field 148 '        '
	field 156 "$3"
	field 157 "$4"
	field 257 ustar
	field 263 00
	field 329 0000001
	field 337 0000003
	sum=$(od -An -v -tu1 "$work/header" |
		awk '{ for (i = 1; i <= NF; i++) s += $i } END { print s }')
	field 148 "$(printf '%06o' "$sum")"
	printf '\0' | dd of="$work/header" bs=1 seek=154 conv=notrunc 2> /dev/null
	cat "$work/header" >> "$1"
	[ -z "$6" ] || printf '%s' "$6" | dd bs=512 conv=sync 2> /dev/null >> "$1"
}

# Arguments: tar file. Ends it.
end_tar() {
	dd if=/dev/zero bs=512 count=2 2> /dev/null >> "$1"
}

# Arguments: package, tar file, compression (xz, zst, gz). Wraps the one into the other.
wrap() {
	rm -rf "$work/deb"
	mkdir "$work/deb"
	printf '2.0\n' > "$work/deb/debian-binary"
	: > "$work/deb/control.tar.gz"
	case $3 in
	xz) xz -T1 -c "$2" > "$work/deb/data.tar.xz" ;;
	zst) zstd -q -c "$2" > "$work/deb/data.tar.zst" ;;
	gz) gzip -nc "$2" > "$work/deb/data.tar.gz" ;;
	esac
	rm -f "$1"
	(cd "$work/deb" && ar rcD package.deb debian-binary control.tar.gz "data.tar.$3")
	mv "$work/deb/package.deb" "$1"
}
