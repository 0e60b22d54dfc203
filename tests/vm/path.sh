# The parts that the whole-path tests and the demonstration share: kernels, root disks, the
# released volume and documents, and the result lines. Source after vm.sh, from the root of
# the repository.
# shellcheck shell=sh disable=SC2034,SC2154
IMAGE_TOOL=build/release/x86_64/bin/image
DOCUMENTS=out/documents
VOLUME_ID=vol-0fedcba9876543210
SERIAL=vol0fedcba9876543210
INSTANCE=i-0123456789abcdef0
failed=0

ok() {
	echo "ok $*"
}

bad() {
	echo "FAIL $*"
	failed=1
}

# Arguments: TITLE COMMAND... Returns: 0 when the command did, 1 otherwise.
check() {
	title=$1
	shift
	if "$@" > "$dir/check.out" 2> "$dir/check.err"; then
		ok "$title"
	else
		bad "$title (exit $?)"
		tail -n 15 "$dir/check.out" "$dir/check.err"
		return 1
	fi
}

# Arguments: TITLE ACTUAL WANTED.
same() {
	if [ "$2" = "$3" ]; then ok "$1"; else bad "$1: '$2', wanted '$3'"; fi
}

# Arguments: TITLE FILE PATTERN (extended).
says() {
	if grep -Eq -e "$3" "$2"; then ok "$1"; else
		bad "$1: nothing says '$3'"
		sed 's/^/    /' "$2"
	fi
}

# Arguments: ARCH [VARIANT]. Sets VM_KERNEL (the newest of the lock file) and makes VM_ROOT.
path_prepare() {
	VM_KERNEL=$(find "build/kernels/$1" -name 'vmlinu*' | sort -V | tail -n 1)
	VM_ROOT=$VM_DIR/root-$1-${2:-default}.img
	mkdir -p "$VM_DIR"
	sh tests/vm/mkroot.sh "$1" "$VM_ROOT" ${2:+"$2"}
}

# Arguments: SIZE IMAGE. Makes the released volume in another size: with the released one's
# moment, and so with its MANIFEST.
path_volume() {
	path_epoch=$("$IMAGE_TOOL" cat out/fvol.img /SBOM.spdx.json |
		jq -r '.creationInfo.created | fromdate')
	"$IMAGE_TOOL" build --plan image/volume.plan --size "$1" --epoch "$path_epoch" "$2" \
		> /dev/null
	"$IMAGE_TOOL" cat "$2" /MANIFEST | cmp - out/MANIFEST
}

# Arguments: GUEST SIZE IMAGE SERIAL [OPTION OF MKE2FS...]. Attaches an empty disk with our
# label and mounts it at /mnt.
path_disk() {
	path_guest=$1 path_size=$2 path_image=$3 path_serial=$4
	shift 4
	truncate -s "$path_size" "$path_image"
	/sbin/mke2fs -q -F -t ext4 -L FVOL "$@" "$path_image"
	vm_attach "$path_guest" "$path_image" "$path_serial"
	# shellcheck disable=SC2016 # the guest's shell expands it
	vm_run "$path_guest" 60 sh -c 'n=100
		mkdir -p /mnt
		while [ $n -gt 0 ]; do
			for d in /sys/block/nvme*; do
				read -r s < $d/device/serial && [ "$s" = "$1" ] &&
					mount -t ext4 /dev/${d##*/} /mnt && exit 0
			done
			sleep 0.1
			n=$((n - 1))
		done
		exit 1' sh "$path_serial"
}

# Arguments: GUEST STEP [NAME=VALUE...]. Runs a document's step as the agent does; the exit
# code is in STEP_CODE, "never" when there was none; output in $dir/STEP.out and .err.
path_step() {
	path_guest=$1 path_name=$2
	shift 2
	path_rc=0
	vm_document "$path_guest" 300 "$DOCUMENTS/FVol-$path_name.json" "$@" || path_rc=$?
	cp "$VM_OUT" "$dir/$path_name.out"
	cp "$VM_ERR" "$dir/$path_name.err"
	STEP_CODE=never
	case $VM_STATUS in
	'exit '*) STEP_CODE=${VM_STATUS#exit } ;;
	*) echo "# $path_name: $VM_STATUS" ;;
	esac
}

# Arguments: GUEST FILE. What of a guest's state an acquisition must leave as it was:
# mounts, modules, everything below /run, the settings below /proc/sys, and processes by
# their programs. Left out are counters, and what is random.
path_state() {
	vm_run "$1" 120 sh -c 'cat /proc/self/mounts /proc/modules; find /run
		find /proc/sys -type f ! -path "*/random/*" ! -name "*-nr" ! -name "*-state" \
			! -name ns_last_pid ! -name "*_count" ! -path "*/pty/*" \
			! -path "*/quota/*" \
			-exec grep -sH "" {} + 2> /dev/null' || :
	cp "$VM_OUT" "$2"
	# Kernel threads come and go; programs of user space do not.
	vm_ctl "$1" ps | awk '$2 != 2 && $3 !~ /^kworker/ { print $3 }' | grep -v '^jbd2/\|^ext4-' |
		sort >> "$2"
}

# Arguments: none. Prints seconds since some moment, with fraction.
path_now() {
	cut -d ' ' -f 1 /proc/uptime
}
