#!/bin/sh
# capture in guests that differ from the one of the other tests: Debian 12's oldest and
# Debian 13's newest cloud kernel; a memory hole and memory above 4 GiB; a page that the
# kernel refuses to read; arm64, plain and locked down; /dev/crash, whose driver is ours
# (tests/vm/crash) with RHEL's refusals. What it captures is held against the guest's iomem
# and the hypervisor's saves before and after.
# Needs build/tests/kernels, which `make test` makes (tests/vm/fetch-kernels.sh).
# Environment: CASES (what to run, default: oldest debian13 hole arm64 lockdown; and
# crash crash-arm64).
# Exit: 0 all ok; 1 a check failed; 5 never finished.
set -eu
export LC_ALL=C
# shellcheck disable=SC1091 source=tests/vm/vm.sh
. tests/vm/vm.sh
# shellcheck disable=SC1091 source=tests/vm/path.sh
. tests/vm/path.sh
vm_trap
KERNELS=build/tests/kernels
# Little, for the emulator is slow; and only kcore's images are hashed.
MEMORY_MIB=256
# Freed, marked pages: memory that would else be zero, where anything passes for captured.
LITTER_PAGES=20000
# Percent. Measured: kcore and bpf 98.3 to 99.9 of all pages and of the litter; a writer
# through the page cache leaves 35 to 56. LiME's stream takes 6 to 11 MiB of free memory
# whatever the machine has, which leaves 95.4 to 98.4 of all pages and 89.6 to 99.6 of the
# litter here.
LEAST=96
LEAST_LIME=92
LEAST_LIME_LITTER=80
dir=$VM_DIR

# Arguments: NAME ARCH KERNEL KMODS [KERNEL-OPTION...]. Boots a guest that has capture, the
# modules of KMODS that are its kernel's, and an empty disk at /mnt.
boot() {
	guest=kernels-$1 arch=$2 kernel=$3 kmods=$4
	shift 4
	dir=$VM_DIR/$guest
	# Under load the emulator's timer fails the kernel's own check of it.
	# shellcheck disable=SC2034
	VM_APPEND="no_timer_check $*"
	vm_start "$guest" "$arch" "$MEMORY_MIB" "$kernel" "$VM_DIR/root-$arch-busybox.img"
	release=$(cut -d ' ' -f 1 "$dir/uname")
	echo "# $guest: $arch $release"
	vm_ctl "$guest" put "build/release/$arch/bin/capture" /opt/capture 755
	vm_run "$guest" 20 mkdir -p "/opt/kmods/$arch/$release"
	vm_ctl "$guest" put "$kmods/catalogue.json" /opt/kmods/catalogue.json 600
	vm_ctl "$guest" put "$kmods/$arch/$release/lime.ko" \
		"/opt/kmods/$arch/$release/lime.ko" 600
	vm_run "$guest" 20 cat /proc/iomem
	cp "$VM_OUT" "$dir/iomem"
	ram=$(awk '/^ *[0-9a-f]+-[0-9a-f]+ : System RAM/ { print $1 }' "$dir/iomem" |
		while IFS=- read -r first last; do
			echo $((0x$last - 0x$first + 1))
		done | awk '{ n += $1 } END { printf "%d", n }')
	# LiME's stream comes over lo, and guests begin with lo down.
	vm_run "$guest" 20 ifconfig lo up
	disk=$dir/evidence.img
	path_disk "$guest" 2G "$disk" "$SERIAL" -E lazy_itable_init=0,lazy_journal_init=0
}

# Arguments: TITLE WANTED-EXIT OPTION... (of capture). Its exit code; output in $dir/out and
# $dir/err, its last line in $dir/json. Returns: 0 when it ended as wanted.
captures() {
	title=$1 want=$2
	shift 2
	vm_run "$guest" 300 /opt/capture "$@" || :
	cp "$VM_OUT" "$dir/out"
	cp "$VM_ERR" "$dir/err"
	tail -n 1 "$dir/out" > "$dir/json"
	if [ "$VM_STATUS" = "exit $want" ]; then ok "$title"; else
		bad "$title: $VM_STATUS, wanted exit $want"
		tail -n 15 "$dir/out" "$dir/err"
		return 1
	fi
}

# Arguments: NAME WANTED-EXIT OPTION... Captures to /mnt/NAME between two saves by the
# hypervisor, and leaves no module.
take() {
	name=$1 want=$2
	shift 2
	vm_run "$guest" 20 mkdir "/mnt/$name"
	vm_memsave "$guest" "$dir/$name.before"
	captures "$name: capture" "$want" --evidence "/mnt/$name" --instance "$INSTANCE" \
		--kmods /opt/kmods --allow-untested --json "$@" || :
	vm_memsave "$guest" "$dir/$name.after"
	cp "$dir/json" "$dir/$name.json"
}

# Arguments: none. Ends the guest and reads all evidence back from its disk.
read_back() {
	vm_run "$guest" 60 umount /mnt
	vm_detach "$guest" "$SERIAL"
	vm_stop "$guest"
	mkdir -p "$dir/back"
	"$IMAGE_TOOL" extract "$disk" / "$dir/back" > "$dir/extract.log"
	rm -f "$disk"
}

# Arguments: TITLE ACTUAL LEAST. Percentages and counts, whole numbers or not.
at_least() {
	if awk -v a="$2" -v b="$3" 'BEGIN { exit !(a != "" && a + 0 >= b) }'; then
		ok "$1"
	else
		bad "$1: '$2', wanted at least $3"
	fi
}

# Arguments: NAME KEY. A number of $dir/truth, a line of NAME=VALUE.
truth() {
	sed -n "s/.*\\<$1=\\([0-9.]*\\).*/\\1/p" "$dir/truth"
}

# Arguments: NAME SOURCE GAP-BYTES. What a capture of this guest must be, whatever the
# source; GAP-BYTES are missing.
check_capture() {
	name=$1 least=$LEAST least_litter=$LEAST
	if [ "$2" = lime ]; then least=$LEAST_LIME least_litter=$LEAST_LIME_LITTER; fi
	evidence=$(find "$dir/back" -path "*/$name/$INSTANCE/*" -name record.json)
	evidence=${evidence%/record.json}
	dump=$evidence/memory.lime
	if [ "$(jq .sha256 "$evidence/record.json")" != null ]; then
		check "$name: sha256sum -c agrees" \
			sh -c "cd '$evidence' && sha256sum -c SHA256SUMS"
	fi
	check "$name: the ranges are those of iomem" "$VM_TOOLS/limecheck" ranges "$dump" \
		"$dir/iomem"
	same "$name: the record" "$(jq -r '[.source, .complete, .ram_bytes, .captured_bytes,
		.gap_bytes] | join(" ")' "$evidence/record.json")" \
		"$2 $([ "$3" = 0 ] && echo true || echo false) $ram $((ram - $3)) $3"
	check "$name: is compared with the hypervisor" "$VM_TOOLS/limecheck" compare "$dump" \
		"$dir/$name.before" "$dir/$name.after" || return 0
	cp "$dir/check.out" "$dir/truth"
	echo "# $guest $name: $(cat "$dir/truth")"
	at_least "$name: pages as they were before" "$(truth before_percent)" "$least"
	"$VM_TOOLS/limecheck" marked "$dump" "$dir/$name.before" > "$dir/truth"
	echo "# $guest $name: $(cat "$dir/truth")"
	at_least "$name: there was litter" "$(truth marked)" 10000
	at_least "$name: litter that reached the dump" "$(truth percent)" "$least_litter"
}

# Arguments: none. Each source in this guest. On x86 a range ends inside a page below 1 MiB,
# for which LiME writes zeros and kcore has no place: bpf has.
all_sources() {
	partial=0 lime_exit=0
	if [ "$arch" = x86_64 ]; then partial=3072 lime_exit=3; fi
	vm_ctl "$guest" litter "$LITTER_PAGES"
	take kcore 0 --source kcore
	take bpf 0 --source bpf --no-hash
	take lime "$lime_exit" --source lime --no-hash
	vm_run "$guest" 20 cat /proc/modules
	same 'lime: no module is left' "$(grep -c '^lime ' "$VM_OUT" || :)" 0
}

check_sources() {
	check_capture kcore kcore 0
	check_capture bpf bpf 0
	check_capture lime lime "$partial"
}

# Arguments: none. A page that the kernel refuses: first kcore alone, then every source.
refused_page() {
	vm_ctl "$guest" put "build/tests/kernels/fault/$arch/$release/lime.ko" /opt/fault.ko 600
	vm_ctl "$guest" insmod /opt/fault.ko
	take refused 0 --source kcore --no-hash
	vm_run "$guest" 20 cat /sys/module/lime/parameters/phys
	refused_at=$(cat "$VM_OUT")
	vm_ctl "$guest" rmmod lime
	vm_ctl "$guest" insmod /opt/fault.ko everywhere=1
	take gap 3 --source kcore --no-hash
	vm_run "$guest" 20 cat /sys/module/lime/parameters/phys
	gap_at=$(cat "$VM_OUT")
	vm_ctl "$guest" rmmod lime
}

# Arguments: SAVE PHYSICAL. Prints the page in hex; 0 bytes when the save has not that page.
page_of() {
	while read -r phys len off; do
		if [ "$2" -ge $((0x$phys)) ] && [ "$2" -lt $((0x$phys + 0x$len)) ]; then
			dd if="$1" bs=4096 skip=$((($2 - 0x$phys + 0x$off) / 4096)) count=1 \
				2> /dev/null | od -A n -v -t x1
		fi
	done < "$1.map"
}

check_refused_page() {
	check_capture refused kcore 0
	same 'refused: bpf gave that page, and what else kcore lacks' \
		"$(jq -r '[.second_source, .second_source_bytes] | join(" ")' "$dir/refused.json")" \
		"bpf $((4096 + partial))"
	page_of "$dir/refused.before" "$refused_at" > "$dir/page"
	check 'refused: the page has its bytes' "$VM_TOOLS/limecheck" find "$dump" \
		"$(printf %x "$refused_at")" "$dir/page"
	check_capture gap kcore 4096
	same 'gap: the record names that page and why' \
		"$(jq -c .gap_list "$evidence/record.json")" \
		"$(printf '[{"start":"0x%x","end":"0x%x","kind":"unreadable","reason":"%s"}]' \
			"$gap_at" $((gap_at + 4095)) 'Bad address')"
	od -A n -v -t x1 -N 4096 /dev/zero > "$dir/page"
	check 'gap: the page is zero in the image' "$VM_TOOLS/limecheck" find "$dump" \
		"$(printf %x "$gap_at")" "$dir/page"
}

finish_guest() {
	rm -rf "$dir/back"
	rm -f "$dir"/*.before "$dir"/*.after
}

# Arguments: NAME PATTERN. A kernel of tests/vm/kernels.lock, by each source.
one_kernel() {
	image=$(find "$KERNELS/x86_64" -name "vmlinuz-$2" | sort -V | tail -n 1)
	if ! check "$1: there is a kernel" test -n "$image"; then return 0; fi
	boot "$1" x86_64 "$image" "$KERNELS/kmods"
	all_sources
	read_back
	check_sources
	finish_guest
}

# Arguments: TITLE PATTERN. What `capture --check` says of crash, whatever of the others.
check_says() {
	vm_run "$guest" 60 ${as:+$as} /opt/capture --check || :
	says "$1" "$VM_OUT" "^crash +$2"
}

# Arguments: TITLE BLOCK-BYTES BLOCK ERROR. A read of the device that the driver refuses.
driver_refuses() {
	vm_run "$guest" 20 dd if=/dev/crash of=/dev/null "bs=$2" "skip=$3" count=1 || :
	says "$1" "$VM_ERR" "$4"
}

# What no device is, and what no memory comes from.
crash_verdicts() {
	as=
	check_says 'no device' 'refused: /dev/crash: No such file or directory'
	vm_run "$guest" 20 touch /dev/crash
	check_says 'a file' 'refused: /dev/crash is not a character device'
	captures 'a file is not read' 4 --source crash --evidence /mnt \
		--instance "$INSTANCE" || :
	says 'a file: says why' "$dir/err" '/dev/crash is not a character device'
	vm_run "$guest" 20 rm /dev/crash
	vm_ctl "$guest" insmod "/opt/crash.ko"
	vm_run "$guest" 20 test -c /dev/crash
	same 'the driver makes the device' "$VM_STATUS" 'exit 0'
	check_says 'a driver' 'usable: /dev/crash opens and gives memory'
	as='/opt/as 0 no-rawio' check_says 'without the capability' \
		'refused: /dev/crash needs CAP_SYS_RAWIO'
	set_refuse 2
	check_says 'nothing is given' 'refused: .*gives no memory: Bad address'
	set_refuse 0
	# The driver is what the reader was written for.
	driver_refuses 'driver: two pages' 8192 "$((0x2000000 / 8192 + ram_base / 8192))" \
		'Invalid argument'
	driver_refuses 'driver: behind all memory' 4096 "$((0x800000000 / 4096))" 'Bad address'
	driver_refuses 'driver: a hole' 4096 "$((hole_at / 4096))" 'Bad address'
}

# Arguments: 0, 1 or 2 (tests/vm/crash).
set_refuse() {
	vm_run "$guest" 20 sh -c "echo $1 > /sys/module/lime/parameters/refuse"
}

# Arguments: none. How often the driver has logged that a page is no RAM.
logged() {
	vm_run "$guest" 20 dmesg
	grep -c 'crash memory driver: !page_is_ram' "$VM_OUT" || :
}

# Arguments: NAME ARCH KERNEL HOLE [KERNEL-OPTION...]. Captures by /dev/crash: whole, with a
# page that the driver refuses and kcore has, and one that nobody gives: the driver of this
# guest does not ask lockdown, which takes kcore and bpf away.
crash() {
	prefix=$1 arch=$2 kernel=$3 hole_at=$4
	shift 4
	boot "$prefix" "$arch" "$kernel" out/kmods "$@"
	partial=0 ends=0 ram_base=$((0x40000000))
	if [ "$arch" = x86_64 ]; then partial=3072 ends=3 ram_base=0; fi
	vm_ctl "$guest" put "build/tests/kernels/crash/$arch/$release/lime.ko" /opt/crash.ko 600
	vm_ctl "$guest" put "$VM_TOOLS/$arch/as" /opt/as 755
	crash_verdicts
	vm_ctl "$guest" litter "$LITTER_PAGES"
	before=$(logged)
	take crash "$ends" --source crash
	# A page is asked for once, or the log would tell of nothing else.
	same 'crash: lines in the log, one for each part of a page' \
		"$(($(logged) - before))" "$((partial / 3072))"
	vm_run "$guest" 20 cat /sys/module/lime/parameters/phys
	refused_at=$(cat "$VM_OUT")
	set_refuse 1
	take crash-refused "$ends" --source crash --no-hash
	vm_run "$guest" 20 sh -c 'echo confidentiality > /sys/kernel/security/lockdown'
	take crash-gap 3 --no-hash
	read_back
	check_capture crash crash "$partial"
	check_ends
	check_capture crash-refused crash "$partial"
	check_part
	same 'crash-refused: kcore gave that page' "$(jq -r \
		'[.second_source, .second_source_bytes] | join(" ")' "$dir/crash-refused.json")" \
		'kcore 4096'
	page_of "$dir/crash-refused.before" "$refused_at" > "$dir/page"
	check 'crash-refused: the page has its bytes' "$VM_TOOLS/limecheck" find "$dump" \
		"$(printf %x "$refused_at")" "$dir/page"
	check_capture crash-gap crash $((partial + 4096))
	check_part
	same 'crash-gap: the record names that page and why' "$(jq -c --arg at \
		"$(printf 0x%x "$refused_at")" '.gap_list[] | select(.start == $at)' \
		"$evidence/record.json")" "$(printf \
		'{"start":"0x%x","end":"0x%x","kind":"unreadable","reason":"Bad address"}' \
		"$refused_at" $((refused_at + 4095)))"
	finish_guest
}

# Arguments: none. The only gap besides a refused page: the part of a page at a range's end.
check_part() {
	same "$name: parts of a page that are gaps" "$(jq -c \
		'[.gap_list[] | select(.end == "0x9fbff") | .start, .reason]' \
		"$evidence/record.json")" \
		"$([ "$partial" = 0 ] && echo '[]' || echo '["0x9f000","Bad address"]')"
}

# Arguments: ADDRESS. Prints how many of the 64 pieces of a page stand in $dump as they were
# before or after: the kernel may be at work in some of them.
pieces() {
	for save in before after; do
		page_of "$dir/$name.$save" "$1" | split -l 4 -d -a 2 - "$dir/piece.$save."
	done
	n=0
	for piece in "$dir"/piece.before.*; do
		where=$(printf %x $(($1 + 64 * n)))
		for save in before after; do
			! "$VM_TOOLS/limecheck" find "$dump" "$where" \
				"$dir/piece.$save.${piece##*.}" > /dev/null 2>&1 || echo "$n"
		done
		n=$((n + 1))
	done | sort -u | wc -l
}

# Arguments: none. The last whole page of each range, of $dump.
check_ends() {
	filled=0
	sed -n 's/^ *\([0-9a-f]*\)-\([0-9a-f]*\) : System RAM$/\1 \2/p' "$dir/iomem" > "$dir/ranges"
	while read -r first last; do
		at=$(((0x$last + 1) / 4096 * 4096 - 4096))
		[ "$at" -ge $((0x$first)) ] || continue
		n=$(pieces "$at")
		echo "# $guest $name: last page of $first-$last: $n of 64 pieces"
		at_least "$name: the last page of $first-$last" "$n" 48
		! cat "$dir"/piece.before.* | grep -q '[1-9a-f]' || filled=$((filled + 1))
	done < "$dir/ranges"
	at_least "$name: last pages with something in them" "$filled" 1
}

# 16 MiB that the kernel does not use in the middle of memory, and a part of it above 4 GiB.
hole() {
	# Enough litter for every part: the memory above 4 GiB is taken first.
	MEMORY_MIB=384 LITTER_PAGES=45000
	VM_LOW_MIB=256
	# shellcheck disable=SC2016
	boot hole x86_64 "$x86_kernel" out/kmods 'memmap=16M$128M'
	# The firmware keeps a little at the end of what is below.
	same 'hole: the ranges around it' "$(sed -n 's/^\([01].*\) : System RAM$/\1/p' \
		"$dir/iomem" | tail -n 3 | sed 's/-0ffd.*/-0ffd/' | tr '\n' ' ')" \
		'00100000-07ffffff 09000000-0ffd 100000000-107ffffff '
	all_sources
	refused_page
	# shellcheck disable=SC2034
	VM_LOW_MIB='' MEMORY_MIB=256 LITTER_PAGES=20000
	read_back
	check_sources
	# A part read from the wrong place has nothing of its litter. What a capture takes for
	# itself comes from above 4 GiB alone, so there the bound is looser than for the whole.
	for name in kcore bpf lime; do
		"$VM_TOOLS/limecheck" each "$(find "$dir/back" -path "*/$name/*" -name memory.lime)" \
			"$dir/$name.before" "$dir/$name.after" | tail -n 3 > "$dir/each"
		sed "s/^/# hole $name: /" "$dir/each"
		for start in 100000 9000000 100000000; do
			grep "start=$start " "$dir/each" > "$dir/truth" || :
			at_least "hole: $name: 0x$start: there was litter" "$(truth marked)" 1000
			same "hole: $name: 0x$start: it is in its place" \
				"$(awk -v m="$(truth marked)" -v k="$(truth kept)" \
					'BEGIN { print (k >= 0.8 * m) }')" 1
		done
	done
	check_refused_page
	finish_guest
}

arm64() {
	boot arm64 aarch64 "$arm_kernel" out/kmods
	all_sources
	refused_page
	read_back
	check_sources
	check_refused_page
	finish_guest
}

# Arguments: TITLE OPTION... (of capture). It is refused, says why, and leaves nothing.
refuses() {
	title=$1
	shift
	captures "$title is refused" 4 --evidence /mnt --instance "$INSTANCE" \
		--kmods /opt/kmods --allow-untested "$@" || :
	says "$title: says why" "$dir/err" 'lockdown'
	vm_run "$guest" 20 ls /mnt
	same "$title: leaves nothing" "$(grep -v lost+found "$VM_OUT" || :)" ''
}

# What the modes of lockdown refuse on arm64; sources.sh has x86.
lockdown() {
	boot integrity aarch64 "$arm_kernel" out/kmods lockdown=integrity
	captures 'integrity: check' 0 --check --kmods /opt/kmods --allow-untested || :
	says 'integrity: kcore is usable' "$dir/out" '^kcore +usable: '
	says 'integrity: bpf is usable' "$dir/out" '^bpf +usable: .*integrity'
	says 'integrity: lime is refused' "$dir/out" '^lime +refused: lockdown refuses modules'
	refuses 'integrity: lime' --source lime
	vm_ctl "$guest" litter "$LITTER_PAGES"
	take default 0
	take bpf 0 --source bpf --no-hash
	read_back
	check_capture default kcore 0
	check_capture bpf bpf 0
	finish_guest
	boot confidentiality aarch64 "$arm_kernel" out/kmods lockdown=confidentiality
	captures 'confidentiality: check' 4 --check --kmods /opt/kmods --allow-untested || :
	cp "$dir/out" "$dir/check"
	for name in kcore bpf lime; do
		says "confidentiality: $name is refused" "$dir/check" "^$name +refused: .*lockdown"
		refuses "confidentiality: $name" --source "$name"
	done
	refuses 'confidentiality: capture'
	vm_stop "$guest"
}

path_prepare aarch64 busybox
arm_kernel=$VM_KERNEL
path_prepare x86_64 busybox
x86_kernel=$VM_KERNEL
for case in ${CASES:-oldest debian13 hole arm64 lockdown}; do
	case $case in
	oldest) one_kernel oldest '6.1.*' ;;
	debian13) one_kernel debian13 '6.*+deb13*' ;;
	hole) hole ;;
	arm64) arm64 ;;
	lockdown) lockdown ;;
	crash)
		# With a hole in the middle, and memory above 4 GiB.
		MEMORY_MIB=384 VM_LOW_MIB=256 LITTER_PAGES=45000
		# shellcheck disable=SC2016
		crash crash x86_64 "$x86_kernel" $((0x8000000)) 'memmap=16M$128M'
		# shellcheck disable=SC2034
		VM_LOW_MIB='' MEMORY_MIB=256 LITTER_PAGES=20000
		;;
	crash-arm64) crash crash-arm64 aarch64 "$arm_kernel" $((0x10000000)) ;;
	*)
		echo "kernels: no case $case" >&2
		exit 2
		;;
	esac
done
# shellcheck disable=SC2154
exit "$failed"
