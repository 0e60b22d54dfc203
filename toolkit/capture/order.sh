#!/bin/sh
# Writes order.ld: which functions a capture runs, so that the linker puts them side by side
# and a capture touches few pages of its own program. Run by `make update-order` when the
# bench of capture says that the program's pages have grown; a list that is out of date
# costs pages, never correctness.
#
# Arguments: for each architecture a program with fixed addresses and symbols, and its
# linker map. Each runs in the emulator over a made-up machine (tests/cli/mkproc.c); the
# emulator's log names every block of code that was reached.
# Environment: MKPROC, the program that makes it. Exit: 0 written; 5 failed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Arguments: none. The files of /proc and /sys that a capture reads.
make_machine() {
	mkdir -p "$scratch/proc/kernel/btf" "$scratch/proc/kernel/security" \
		"$scratch/proc/module/nvme/notes" "$scratch/evidence"
	"$MKPROC" "$scratch/proc" 0 'OSRELEASE=6.1.0
KERNELOFFSET=0
NUMBER(pgtable_l5_enabled)=0
'
	for file in version kallsyms cmdline modules module/nvme/notes/.note.gnu.build-id \
		kernel/btf/vmlinux kernel/notes; do
		echo 'nvme 49152 3 - Live 0x0000000000000000' > "$scratch/proc/$file"
	done
	echo '[none] integrity' > "$scratch/proc/kernel/security/lockdown"
}

# Arguments: a program, its map. Prints input sections in the order of their first use.
sections() {
	machine=$(readelf -h "$1" | sed -n 's/.*Machine: *//p')
	case $machine in
	AArch64) emulator=qemu-aarch64-static ;;
	*) emulator=qemu-x86_64-static ;;
	esac
	for hash in '' --no-hash; do
		# 3: the made-up memory has gaps.
		"$emulator" -cpu max -d in_asm -D "$scratch/log" "$1" --proc "$scratch/proc" \
			--sys "$scratch/proc" --dev "$scratch/proc" --evidence "$scratch/evidence" \
			--instance i-1 $hash > "$scratch/out" 2>&1 || [ $? -eq 3 ] || {
			cat "$scratch/out" >&2
			return 5
		}
		sed -n '/^IN:/{n;s/^0x0*\([0-9a-f]*\):.*/\1/p;}' "$scratch/log"
		# A second directory of the same second would be refused.
		rm -rf "$scratch/evidence"/*
	done > "$scratch/reached"
	# Lines of a map: " SECTION [newline] 0xADDRESS 0xSIZE FILE".
	awk '
		function number(hex,  i, n) {
			for (i = 1; i <= length(hex); i++)
				n = n * 16 + index("0123456789abcdef", substr(hex, i, 1)) - 1
			return n
		}
		FNR == NR {
			if ($1 ~ /^\.text/ && NF == 1) { name = $1; next }
			if ($1 ~ /^\.text/ && NF == 4) { name = $1; start = $2; size = $3; file = $4 }
			else if (name != "" && NF == 3 && $1 ~ /^0x/) { start = $1; size = $2; file = $3 }
			else { name = ""; next }
			start = number(substr(start, 3)); size = number(substr(size, 3))
			if (start && size) {
				at[++count] = start; end[count] = start + size
				sub(/.*\//, "", file); sub(/.*\(/, "", file); sub(/\)/, "", file)
				section[count] = name; object[count] = file
			}
			name = ""
			next
		}
		{
			address = number($1); low = 1; high = count
			while (low < high) {
				middle = int((low + high + 1) / 2)
				if (at[middle] <= address) low = middle; else high = middle - 1
			}
			if (address >= at[low] && address < end[low] && !seen[low]++ &&
			    section[low] != ".text.startup") {
				sub(/\.(constprop|isra|part)\.[0-9].*/, "", section[low])
				# Only what has no section of its own is named by its file.
				print section[low], section[low] == ".text" ? object[low] : "-"
			}
		}' "$2" "$scratch/reached"
}

make_machine
while [ $# -ge 2 ]; do
	sections "$1" "$2"
	shift 2
done > "$scratch/all"
{
	echo "/* Written by order.sh: the functions that a capture runs, and what they read. */"
	echo "SECTIONS"
	echo "{"
	echo "	.text.first : {"
	awk '!seen[$0]++ {
		if ($2 != "-") printf "\t\t*%s(.text)\n", $2
		# Parts that the compiler split off have names like NAME.part.0.
		else printf "\t\t*(%s %s.*)\n", $1, $1
	}' "$scratch/all"
	# What the emulator's processor cannot do, what a made-up machine refuses or is too
	# small for, and the start and end of a program whose addresses are not fixed.
	echo "		*libfvol.a:sha256_x86.o(.text .text.*)"
	echo "		*libfvol.a:source_bpf.o(.text .text.*)"
	echo "		*libc.a:syscall.lo(.text .text.*)"
	echo "		*(.text.sink_sync .text.fdatasync .text.source_room .text.__wait)"
	echo "		*rcrt1.o(.text .text.*)"
	echo "		*crtbeginS.o(.text)"
	echo "		*libgcc.a:cpuinfo.o(.text.startup)"
	echo "		KEEP(*(SORT_NONE(.fini)))"
	echo "	}"
	echo "}"
	echo "INSERT BEFORE .text;"
	echo "SECTIONS"
	echo "{"
	echo "	.rodata.first : {"
	# The usage is long, and no capture prints it.
	echo "		*toolkit/capture/options.o(.rodata.usage)"
	echo "		*libyyjson.a:*(.rodata.enc_table* .rodata.*char_table .rodata.digi*)"
	echo "		*libyyjson.a:*(.rodata.cst* .rodata.yyjson_mut_write*)"
	echo "		*toolkit/capture/*.o(.rodata .rodata.*)"
	echo "		*libfvol.a:*(.rodata .rodata.*)"
	echo "		*libmbedcrypto.a:sha256.o(.rodata .rodata.*)"
	echo "		*libc.a:*(.rodata .rodata.*)"
	echo "	}"
	echo "}"
	echo "INSERT AFTER .rodata;"
	# What is written to, from the page that .data ends in.
	echo "SECTIONS"
	echo "{"
	echo "	.bss.first (NOLOAD) : {"
	echo "		*libfvol.a:remote.o(.bss .bss.*)"
	echo "		*crtbegin*.o(.bss .bss.*)"
	echo "		*libgcc.a:*(.bss .bss.*)"
	echo "		*libc.a:*(.bss .bss.*)"
	echo "		*libfvol.a:gone.o(.bss .bss.*)"
	echo "		*libfvol.a:interrupt.o(.bss .bss.*)"
	echo "		*libfvol.a:processor.o(.bss .bss.*)"
	echo "		*capture.o(.bss.cap)"
	echo "	}"
	echo "}"
	echo "INSERT AFTER .data;"
} > "$scratch/order.ld"
[ "$(wc -l < "$scratch/all")" -gt 100 ]
mv "$scratch/order.ld" "$here/order.ld"
