#!/bin/sh
# What image is measured by; README.md in this directory tells each figure. Run by
# `make bench SUITE=image`. The tree is made here: 300 kernels with a module and symbols
# each, 300 MB, bytes that do not compress.
#   --runs N   of which the median counts, ours and mke2fs -d taking turns (default 5)
#   --dir DIR  where tree and images stand (default build; a disk, not a tmpfs)
# Lines: NAME ours=V peer=V ratio=V goal=V ok|short|reported.
# Exit: 0 all goals reached; 1 one is short; 2 usage; 5 a measurement failed.
# shellcheck disable=SC2317,SC2329 # what a trap calls is not dead
set -eu
export LC_ALL=C
PATH=/usr/sbin:/sbin:$PATH
cd "$(dirname "$0")/../.."
runs=5 dir=build
while [ $# -gt 0 ]; do
	case $1 in
	--runs) runs=$2 ;;
	--dir) dir=$2 ;;
	*)
		sed -n '2,9s/^# //p' "$0" >&2
		exit 2
		;;
	esac
	shift 2
done
image=$PWD/build/release/x86_64/bin/image
timed=$PWD/build/tests/bench/x86_64/timed
work=$(cd "$dir" && mktemp -d "$PWD/bench-image.XXXXXX")
loop=
# Arguments: none. Returns: 0; takes back mount, loop device and files of this run.
clean_up() {
	[ ! -d "$work/mnt" ] || umount "$work/mnt" 2> /dev/null || :
	[ -z "$loop" ] || losetup -d "$loop" || :
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 5' HUP INT TERM PIPE
cd "$work"
short=0

# Arguments: name, ours, peer or -, goal of the ratio or of ours, what (ratio, value or -).
line() {
	awk -v name="$1" -v ours="$2" -v peer="$3" -v goal="$4" -v what="$5" 'BEGIN {
		ratio = peer == "-" || peer == 0 ? "-" : sprintf("%.4f", ours / peer)
		verdict = "reported"
		if (what == "ratio") verdict = ours + 0 <= goal * peer ? "ok" : "short"
		if (what == "value") verdict = ours + 0 <= goal + 0 ? "ok" : "short"
		printf "%s ours=%s peer=%s ratio=%s goal=%s %s\n", name, ours, peer, ratio,
			goal, verdict
		exit verdict == "short"
	}' || short=1
}

# Arguments: file of numbers. Prints the median.
median() {
	sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# Arguments: number. Puts one kernel's module and symbols into the tree.
make_kernel() {
	mkdir -p "tree/kmods/x86_64/6.1.0-$1-cloud-amd64"
	tail -c +$(($1 * 950000 + 1)) noise | head -c 30000 \
		> "tree/kmods/x86_64/6.1.0-$1-cloud-amd64/lime.ko"
	tail -c +$(($1 * 950000 + 30001)) noise | head -c $((800000 + $1 * 700)) \
		> "tree/kmods/x86_64/6.1.0-$1-cloud-amd64/symbols.json.xz"
}

# Arguments: name, program and arguments. Adds seconds to NAME.s and NAME.cpu, KiB to NAME.kib.
measure() {
	name=$1
	shift
	"$timed" "$@" > out 2> err || exit 5
	tail -n 1 out | grep -q '^timed exit=0 ' || { cat out err >&2; exit 5; }
	sed -n 's/^timed .* wall_ns=\([0-9]*\) .*/\1/p' out |
		awk '{ printf "%.3f\n", $1 / 1e9 }' >> "$name.s"
	sed -n 's/^timed .* cpu_us=\([0-9]*\) .*/\1/p' out |
		awk '{ printf "%.3f\n", $1 / 1e6 }' >> "$name.cpu"
	sed -n 's/^timed .* maxrss_kib=//p' out >> "$name.kib"
}

# Arguments: two images, or one. Prints how many blocks of 512 KiB differ, or are not zero.
blocks() {
	python3 -c '
import os, sys
n = 512 * 1024
files = [open(p, "rb") for p in sys.argv[1:]]
count = 0
while True:
    data = [f.read(n) for f in files]
    if not any(data):
        break
    count += data[0] != (data[1] if len(data) > 1 else bytes(len(data[0])))
print(count)' "$@"
}

# Arguments: image. Mounts and unmounts it; prints sectors written to the device.
mount_sectors() {
	mkdir -p mnt
	loop=$(losetup -f --show "$1") || return 1
	before=$(awk '{ print $7 }' "/sys/block/${loop#/dev/}/stat")
	mount -t ext4 -o nosuid,nodev,noatime "$loop" mnt || return 1
	# Any background writing of inode tables would have begun by now.
	sleep 3
	umount mnt
	sync "$loop"
	after=$(awk '{ print $7 }' "/sys/block/${loop#/dev/}/stat")
	losetup -d "$loop"
	loop=
	echo $((after - before))
}

openssl enc -aes-128-ctr -K 0 -iv 0 -in /dev/zero 2> /dev/null | head -c 320000000 > noise ||
	:
i=0
while [ $i -lt 300 ]; do
	make_kernel $i
	i=$((i + 1))
done
mkdir tree/bin
tail -c 20000000 noise > tree/bin/capture
printf 'tree / tree\nsize 1G\nsbom sources parts\ndir 0700 /evidence\n' > plan
echo "lib 1 lib.tar $(sha256sum plan | cut -c 1-64) MIT toolkit pool/lib.tar" > sources
printf 'tool capture lib\ncontains capture bin/capture\n' > parts
# What is written and read back takes no less than this, past the page cache where it can be.
cat > floor << 'END'
#!/bin/sh
set -e
rm -f floor.img
out=oflag=direct in=iflag=direct
dd if=/dev/null of=floor.img oflag=direct 2> /dev/null || out=bs=1M in=bs=1M
dd if=all of=floor.img bs=1M conv=fsync $out
dd if=floor.img of=/dev/null bs=1M $in
END
find tree -type f -exec cat {} + > all
sync
echo "# load $(cut -d ' ' -f 1-3 /proc/loadavg), $(nproc) processors, $(df --output=fstype . |
	tail -n 1); tree $(du -sm tree | cut -f 1) MiB"
echo '# ours: copied, hashed, SBOM, MANIFEST, all read back and compared, fsync'
echo '# mke2fs -d: copied, fsync'
i=0
while [ "$i" -lt "$runs" ]; do
	rm -f a.img
	measure ours "$image" build --plan plan --epoch 1700000000 a.img
	rm -f b.img
	truncate -s 1G b.img
	measure peer mke2fs -q -t ext4 -d tree b.img
	measure floor sh ./floor
	rm -f floor.img
	i=$((i + 1))
done
line build_wall_s/mke2fs-d "$(median ours.s)" "$(median peer.s)" 0.5 ratio
line build_cpu_s/mke2fs-d "$(median ours.cpu)" "$(median peer.cpu)" - -
line build_floor_s/mke2fs-d "$(median floor.s)" "$(median peer.s)" - -
line build_peak_kib/mke2fs-d "$(sort -n ours.kib | tail -n 1)" \
	"$(sort -n peer.kib | tail -n 1)" 65536 value

make_kernel 300
mkdir new
mv tree/kmods/x86_64/6.1.0-300-cloud-amd64 new/
printf 'tree /kmods/x86_64 new\n' > more.plan
measure add "$image" add --plan more.plan a.img c.img
all=$(blocks c.img)
line release_blocks_512k/all "$(blocks a.img c.img)" "$all" 0.01 ratio
mkdir -p tree/kmods/x86_64/6.1.0-300-cloud-amd64
cp new/*/* tree/kmods/x86_64/6.1.0-300-cloud-amd64/
measure like "$image" build --plan plan --epoch 1700000000 --like a.img d.img
line release_like_blocks_512k/all "$(blocks a.img d.img)" "$all" 0.01 ratio
measure full "$image" build --plan plan --epoch 1700000000 e.img
line release_anew_blocks_512k/all "$(blocks a.img e.img)" "$all" - -
line add_wall_s/build "$(cat add.s)" "$(median ours.s)" - -

if [ "$(id -u)" = 0 ] && losetup -f > /dev/null 2>&1; then
	cp --sparse=always a.img f.img
	line mount_sectors/mke2fs "$(mount_sectors f.img)" "$(mount_sectors b.img)" 1 ratio
else
	line mount_sectors/mke2fs - - 1 -
fi
exit $short
