#!/bin/sh
# capture in guests that differ from the one of the other tests: Debian 12's oldest and
# Debian 13's newest cloud kernel; a memory hole and memory above 4 GiB; a page that the
# kernel refuses to read; arm64, plain and locked down. What it captures is held against
# the guest's iomem and the hypervisor's saves before and after.
# Needs build/tests/kernels, which `make test` makes (tests/vm/fetch-kernels.sh).
# Environment: CASES (what to run, default all: oldest debian13 hole arm64 lockdown).
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
	*)
		echo "kernels: no case $case" >&2
		exit 2
		;;
	esac
done
# shellcheck disable=SC2154
exit "$failed"
