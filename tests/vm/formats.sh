#!/bin/sh
# The formats of memory images, end to end in guests: captured while memory holds much that
# does not compress, read back by readers that share no line with the writers, and held
# against the hypervisor's save. What cannot be AVML becomes lime before it has its name;
# raw asks for the room of the ranges and not of its holes; 5-level paging is warned of.
# Exit: 0 all ok; 1 a check failed; 5 never finished.
set -eu
export LC_ALL=C
# shellcheck source=tests/vm/vm.sh
. tests/vm/vm.sh
# shellcheck source=tests/vm/path.sh
. tests/vm/path.sh
# shellcheck source=tests/vm/images.sh
. tests/vm/images.sh
vm_trap
MIB=1048576
MEMORY_MIB=256
FILL_MIB=112
path_prepare x86_64

# Arguments: NAME WANTED-SUFFIX. What every capture must have come to.
check_capture() {
	images_captured "$1"
	same "$1: names the image" "$(tail -n 1 "$dir/$1.out" | jq -r .image |
		sed 's/.*\///')" "memory.$2"
}

# Arguments: NAME SAVE PHYSICAL LENGTH. The image in $dir/evidence against the save of the
# hypervisor, and the stretch that nothing wrote to byte by byte.
check_image() {
	image=$(images_path "$1")
	# The emulator hashes slowly: raw, whose hash others test, has none here.
	[ "${image%raw}" != "$image" ] ||
		check "$1: the hashes agree" sh -c "cd '${image%/*}' && sha256sum -c SHA256SUMS"
	rm -f "$dir/flat"
	check "$1: an independent reader opens it" "$READIMAGE" flat "$image" "$dir/flat"
	"$VM_TOOLS/limecheck" compare "$dir/flat" "$2" "$2" > "$dir/truth" || :
	echo "# $1: $(cat "$dir/truth")"
	# The guest goes on living; writers through the page cache leave 35 to 56 %.
	same "$1: at least 95 % of the pages are the hypervisor's" "$(awk -v RS=' ' -F= '
		$1 == "pages" { n = $2 } $1 == "before" { b = $2 }
		END { print (n > 0 && b >= 0.95 * n) }' "$dir/truth")" 1
	check "$1: $(($4 / MIB)) MiB of random bytes are the hypervisor's, all of them" \
		cmp -n "$4" -i "$3" "$dir/flat" "$2"
	same "$1: no unfinished file is left" "$(find "$dir/evidence/$1" -name '*.partial')" ''
}

# Memory of which every MiB holds a page of text: each format can have it.
mixed_memory() {
	images_fill "$FILL_MIB" 1024
	mixed_phys=$fill_phys mixed_len=$fill_len
	same 'mixed: at least 64 MiB stand together' "$((mixed_len >= 64 * MIB))" 1
	vm_memsave "$guest" "$dir/mixed.raw"
	images_capture avml --format avml
	images_capture raw --format raw --no-hash
}

# Memory that no AVML block can hold: 16 MiB is the longest, and this is four of them.
random_memory() {
	images_fill "$FILL_MIB"
	random_phys=$fill_phys random_len=$fill_len
	same 'random: at least 64 MiB stand together' "$((random_len >= 64 * MIB))" 1
	vm_memsave "$guest" "$dir/random.raw"
	images_capture fallback --format avml
	images_capture zst --format zst
}

check_fallback() {
	says 'fallback: a sentence says so' "$dir/fallback.err" \
		'^capture: warning: incompressible at 0x[0-9a-f]+: .*: written as lime instead$'
	record=$(find "$dir/evidence/fallback" -name record.json)
	same 'fallback: the record says so' \
		"$(jq -c '[.format, .format_asked, (.format_fallback | test("^incompressible at 0x"))]' \
			"$record")" '["lime","avml",true]'
	same 'fallback: one image, of which the sums and the log are' \
		"$(cd "${record%/*}" && echo memory.* && grep -o 'memory\..*' SHA256SUMS)" \
		"$(printf 'memory.chunks memory.lime\nmemory.lime\nmemory.chunks')"
	check 'fallback: the ranges are those of iomem' "$VM_TOOLS/limecheck" ranges \
		"$(images_path fallback)" "$dir/iomem"
	same 'fallback: each byte is in the log once' \
		"$(tail -n 1 "$(images_path fallback | sed 's/lime$/chunks/')" | cut -d ' ' -f 2)" \
		"$(printf '%x' "$(($(grep 'System RAM' "$dir/iomem" | tail -n 1 |
			sed 's/^ *[0-9a-f]*-\([0-9a-f]*\).*/0x\1/')))")"
}

# A volume with less room than the memory, for the format that reserves range by range.
small_volume() {
	images_disk 100M "$dir/small.img" vol00000000000000002
	images_capture small --format raw
	same 'a small volume: raw ends with 5' "$(cat "$dir/small.code")" 5
	says 'a small volume: with both figures' "$dir/small.err" \
		'the volume is too small: memory.raw needs [0-9]+ bytes, [0-9]+ are free'
	vm_run "$guest" 20 find "$EVIDENCE" -name '*.raw*'
	same 'a small volume: no image was begun' "$(cat "$VM_OUT")" ''
	images_eject vol00000000000000002
}

formats() {
	guest=formats
	# Where KASLR puts the kernel it would cut what stands together.
	VM_APPEND=nokaslr images_boot "$MEMORY_MIB" 4G
	vm_run "$guest" 20 cat /proc/iomem
	cp "$VM_OUT" "$dir/iomem"
	mixed_memory
	random_memory
	images_eject "$SERIAL"
	small_volume
	vm_stop "$guest"
	images_pull
	for format in avml raw; do
		check_capture "$format" "$format"
		check_image "$format" "$dir/mixed.raw" "$mixed_phys" "$mixed_len"
	done
	check_capture fallback lime
	check_image fallback "$dir/random.raw" "$random_phys" "$random_len"
	check_capture zst lime.zst
	check_image zst "$dir/random.raw" "$random_phys" "$random_len"
	check_fallback
	same 'avml: is one' "$(od -A n -t x1 -N 8 "$(images_path avml)" | tr -d ' ')" \
		41564d4c02000000
	check 'zst: the stock zstd makes lime of it' zstd -q -d -f -o "$dir/stock.lime" \
		"$(images_path zst)"
	check 'zst: with the ranges of iomem' "$VM_TOOLS/limecheck" ranges "$dir/stock.lime" \
		"$dir/iomem"
	rm -rf "$dir"/*.raw* "$dir"/*.img "$dir/flat" "$dir/evidence" "$dir"/*.lime
}

# Memory above 4 GiB, with 5-level page tables, and a disk that the holes would not fit on.
above() {
	guest=formats-above
	VM_LOW_MIB=128 VM_CPU=max,la57=on images_boot 384 512M
	vm_run "$guest" 20 cat /proc/iomem
	cp "$VM_OUT" "$dir/iomem"
	images_fill 64
	vm_memsave "$guest" "$dir/before.raw"
	images_capture above --format raw --no-hash
	images_eject "$SERIAL"
	vm_stop "$guest"
	images_pull
	check_capture above raw
	image=$(images_path above)
	same 'above: raw is as long as the last address' "$(stat -c %s "$image")" \
		"$(($(grep 'System RAM' "$dir/iomem" | tail -n 1 |
			sed 's/^ *[0-9a-f]*-\([0-9a-f]*\).*/0x\1/') + 1))"
	# In the save, what stands from 4 GiB on follows what stands below.
	same 'above: some of it stands above 4 GiB' "$((fill_phys >= 4096 * MIB))" 1
	check "above: $((fill_len / MIB)) MiB of random bytes are the hypervisor's" \
		cmp -n "$fill_len" -i "$fill_phys:$((fill_phys - (4096 - 128) * MIB))" \
		"$image" "$dir/before.raw"
	says 'five levels: warned of' "$dir/above.err" '^capture: warning: .*5-level page tables'
	same 'five levels: recorded' "$(jq -c '[.kernel.five_level_paging,
		(.warnings[] | test("LA57"))]' "${image%/*}/record.json")" '["1",true]'
	rm -rf "$dir"/*.raw* "$dir"/*.img "$dir/evidence"
}

formats
above
exit "$failed"
