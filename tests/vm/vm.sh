# The test guests, for POSIX shells: `. tests/vm/vm.sh` from the root of the repository.
# shellcheck shell=sh
#
# A guest NAME has the directory $VM_DIR/NAME: console.log, qemu.log, its sockets, its own
# copy of the root disk (root.img) and what is saved of it. Each call is bounded in time and
# returns 0 (yes), 1 (no) or 5 (never finished: see vm_never_finished); a guest dies with
# the shell that started it, and after VM_MAX_S seconds in any case.
#
# Environment: VM_TOOLS (build/tests/vm), VM_DIR (build/vm), VM_MAX_S (900), VM_READY_S (120),
# VM_LOW_MIB (x86_64: memory below 4 GiB; the rest stands above, as on large instances),
# VM_CPU (x86_64: the processor, default max,la57=off), VM_APPEND (added to the kernel's
# command line).
#
# After vm_run, vm_step and vm_document: $VM_STATUS is `exit N', `signal N', `timeout',
# `error' (the agent could not do it) or `never'; $VM_OUT and $VM_ERR name the files with
# standard output and error.
VM_TOOLS=${VM_TOOLS:-build/tests/vm}
VM_DIR=${VM_DIR:-build/vm}
VM_MAX_S=${VM_MAX_S:-900}
VM_READY_S=${VM_READY_S:-120}
VM_PORTS='rp0 rp1 rp2 rp3 rp4'
VM_NAMES=
VM_STATUS=

# Arguments: none. Sets traps that stop the guests of this run, and only these.
vm_trap() {
	trap vm_stop_all EXIT
	trap 'exit 5' HUP INT TERM
}

vm_stop_all() {
	for vm_one in $VM_NAMES; do
		vm_stop "$vm_one"
	done
	VM_NAMES=
}

# Arguments: none. Returns: 0 when the last vm_run, vm_step or vm_document got no answer in
# time: neither passed nor failed.
vm_never_finished() {
	case $VM_STATUS in
	never | timeout) return 0 ;;
	*) return 1 ;;
	esac
}

# Arguments: ARCH MEM_MIB. Prints the machine's arguments, one a line. Returns: 0; 2 unknown.
vm_machine() {
	case $1 in
	x86_64)
		# Below 2048 MiB all memory stands under the PCI hole, at physical address 0.
		[ "$2" -le 2048 ] || [ -n "${VM_LOW_MIB:-}" ] || return 2
		vm_q35=q35
		[ -z "${VM_LOW_MIB:-}" ] || vm_q35=q35,max-ram-below-4g=${VM_LOW_MIB}M
		# LA57 only where it is the subject.
		printf '%s\n' -M "$vm_q35" -cpu "${VM_CPU:-max,la57=off}"
		printf '%s\n' -chardev socket,id=agent,path=agent.sock,server=on,wait=off \
			-serial file:console.log -serial chardev:agent
		;;
	aarch64)
		# cortex-a72: the emulation of `max` is several times slower. virt has one
		# UART, which is the console's; 8250 on PCI is built into Debian's kernels.
		printf '%s\n' -M virt -cpu cortex-a72
		printf '%s\n' -chardev socket,id=agent,path=agent.sock,server=on,wait=off \
			-serial file:console.log -device pci-serial,chardev=agent
		;;
	*) return 2 ;;
	esac
}

# Arguments: NAME. Writes NAME's map of physical memory for the instruments: a line
# "PHYSICAL LENGTH" (hex) for each part of vm_memsave's file. Uses vm_arch, vm_mem.
vm_memory_map() {
	vm_mib=1048576
	case $vm_arch in
	aarch64) printf '40000000 %x\n' $((vm_mem * vm_mib)) ;;
	x86_64)
		vm_low=${VM_LOW_MIB:-$vm_mem}
		[ "$vm_low" -le "$vm_mem" ] || vm_low=$vm_mem
		printf '0 %x\n' $((vm_low * vm_mib))
		[ "$vm_low" -eq "$vm_mem" ] ||
			printf '100000000 %x\n' $(((vm_mem - vm_low) * vm_mib))
		;;
	esac > "$VM_DIR/$1/memory.map"
}

# Arguments: PATH. Prints it absolute.
vm_absolute() {
	case $1 in
	/*) printf '%s\n' "$1" ;;
	*) printf '%s\n' "$PWD/$1" ;;
	esac
}

# Arguments: NAME ARCH MEM_MIB KERNEL ROOTDISK. Boots a guest with its own copy of ROOTDISK
# and waits until its agent answers. Returns: 0 ready; 2 usage; 5 it never came up.
vm_start() {
	vm_boot "$@" && return 0
	vm_rc=$?
	# The kernel changes its code while it runs, by way of an int3 that the emulator now
	# and then shows to the other processor too late. Nothing of ours has run by then.
	grep -q 'Oops: int3' "$VM_DIR/$1/console.log" 2> /dev/null || return $vm_rc
	echo "# vm: $1: the emulated kernel died of an int3 while booting; once more" >&2
	vm_boot "$@"
}

# Arguments, returns: as vm_start's.
vm_boot() {
	vm_name=$1 vm_arch=$2 vm_mem=$3
	vm_kernel=$(vm_absolute "$4")
	vm_home=$VM_DIR/$vm_name
	vm_ctl=$(vm_absolute "$VM_TOOLS/vmctl")
	# Each step by itself: set -e is off in a function that is called under a condition.
	rm -rf "$vm_home" && mkdir -p "$vm_home/attached" &&
		cp --sparse=always "$5" "$vm_home/root.img" || return 5
	vm_machine "$vm_arch" "$vm_mem" > "$vm_home/arguments" || return 2
	case $vm_arch in
	x86_64) vm_line='console=ttyS0 agent_tty=ttyS1' ;;
	*) vm_line='console=ttyAMA0 agent_tty=ttyS0' ;;
	esac
	vm_memory_map "$vm_name" || return 5
	vm_line="$vm_line root=/dev/nvme0n1 rw init=/sbin/agent panic=-1 quiet"
	vm_line="$vm_line ${VM_APPEND:-}"
	set -- -nodefaults -no-user-config -display none -no-reboot -nic none -smp 2 \
		-accel tcg -m "$vm_mem" -kernel "$vm_kernel" -append "$vm_line" \
		-qmp unix:qmp.sock,server=on,wait=off \
		-drive if=none,id=root,file=root.img,format=raw \
		-device nvme,drive=root,serial=vol00000000000000000
	vm_slot=1
	for vm_port in $VM_PORTS; do
		set -- "$@" -device \
			"pcie-root-port,id=$vm_port,bus=pcie.0,chassis=$vm_slot,slot=$vm_slot"
		vm_slot=$((vm_slot + 1))
	done
	while read -r vm_word; do
		set -- "$@" "$vm_word"
	done < "$vm_home/arguments"
	(
		cd "$vm_home" || exit 5
		exec "$vm_ctl" guard "$VM_MAX_S" "qemu-system-$vm_arch" "$@" \
			< /dev/null > qemu.log 2>&1
	) &
	echo $! > "$vm_home/pid"
	VM_NAMES="$VM_NAMES $vm_name"
	if ! "$vm_ctl" ready "$vm_home/agent.sock" "$VM_READY_S" \
		"$(cat "$vm_home/pid")" > "$vm_home/uname"; then
		echo "vm: never finished: $vm_name did not come up; the end of its console:" >&2
		tail -n 15 "$vm_home/qemu.log" "$vm_home/console.log" >&2 || :
		vm_stop "$vm_name"
		return 5
	fi
	# Plugged in only now, so that the root disk is surely nvme0.
	truncate -s 8M "$vm_home/mailbox" || return 5
	vm_attach "$vm_name" "$vm_home/mailbox" mailbox
}

# Arguments: NAME. Ends the guest at once. Returns: 0, also when it is gone already.
vm_stop() {
	[ -f "$VM_DIR/$1/pid" ] || return 0
	vm_pid=$(cat "$VM_DIR/$1/pid")
	rm -f "$VM_DIR/$1/pid"
	kill "$vm_pid" 2> /dev/null || :
	wait "$vm_pid" 2> /dev/null || :
}

# Arguments: NAME JSON. One command to NAME's monitor; prints what it returns.
vm_qmp() {
	"$VM_TOOLS/vmctl" qmp "$VM_DIR/$1/qmp.sock" "$2" 120
}

# Arguments: NAME IMAGE SERIAL. Plugs IMAGE (raw) in as an NVMe disk with that serial.
# Returns: 0 plugged in (the guest sees it within a second or two); 4 no free port.
vm_attach() {
	vm_port=
	for vm_one in $VM_PORTS; do
		if ! grep -qs "^$vm_one\$" "$VM_DIR/$1/attached/"*; then
			vm_port=$vm_one
			break
		fi
	done
	[ -n "$vm_port" ] || return 4
	vm_qmp "$1" "{\"execute\":\"blockdev-add\",\"arguments\":{\"driver\":\"raw\",
		\"node-name\":\"b-$3\",\"discard\":\"unmap\",
		\"file\":{\"driver\":\"file\",\"filename\":\"$(vm_absolute "$2")\"}}}" \
		> /dev/null || return $?
	if ! vm_qmp "$1" "{\"execute\":\"device_add\",\"arguments\":{\"driver\":\"nvme\",
		\"id\":\"d-$3\",\"serial\":\"$3\",\"drive\":\"b-$3\",\"bus\":\"$vm_port\"}}" \
		> /dev/null; then
		vm_qmp "$1" "{\"execute\":\"blockdev-del\",
			\"arguments\":{\"node-name\":\"b-$3\"}}" > /dev/null || :
		return 1
	fi
	echo "$vm_port" > "$VM_DIR/$1/attached/$3"
}

# Arguments: NAME SERIAL. Unplugs the disk and waits until it is gone.
# Returns: 0 gone; 1 refused; 5 the guest never let go.
vm_detach() {
	# A slot whose disk came or went a moment ago refuses for about five seconds.
	vm_tries=100
	until vm_qmp "$1" "{\"execute\":\"device_del\",\"arguments\":{\"id\":\"d-$2\"}}" \
		> "$VM_DIR/$1/detach" 2>&1; do
		vm_tries=$((vm_tries - 1))
		if [ "$vm_tries" -eq 0 ] || ! grep -q 'guest is busy' "$VM_DIR/$1/detach"; then
			cat "$VM_DIR/$1/detach" >&2
			return 1
		fi
		sleep 0.1
	done
	vm_tries=150
	while vm_qmp "$1" '{"execute":"qom-list","arguments":{"path":"/machine/peripheral"}}' |
		grep -q "\"d-$2\""; do
		vm_tries=$((vm_tries - 1))
		if [ "$vm_tries" -eq 0 ]; then
			echo "vm: never finished: $1 did not let go of $2" >&2
			return 5
		fi
		sleep 0.1
	done
	# The device is gone before its last request has let go of the image.
	vm_tries=50
	while ! vm_qmp "$1" "{\"execute\":\"blockdev-del\",
		\"arguments\":{\"node-name\":\"b-$2\"}}" > /dev/null 2>&1; do
		vm_tries=$((vm_tries - 1))
		if [ "$vm_tries" -eq 0 ]; then
			echo "vm: never finished: $1 does not close $2" >&2
			return 5
		fi
		sleep 0.1
	done
	rm -f "$VM_DIR/$1/attached/$2"
}

# Arguments: NAME. Stop and continue the guest's processors; nested calls are not counted.
vm_pause() {
	vm_qmp "$1" '{"execute":"stop"}' > /dev/null
}

vm_resume() {
	vm_qmp "$1" '{"execute":"cont"}' > /dev/null
}

# Arguments: NAME FILE. Saves the physical memory of a guest that vm_pause stopped, and
# FILE.map beside it ("PHYSICAL LENGTH OFFSET"), which the instruments look for.
vm_memsave_paused() {
	vm_file=$(vm_absolute "$2")
	vm_off=0
	: > "$vm_file.map"
	: > "$vm_file"
	while read -r vm_phys vm_len; do
		vm_part=$vm_file
		[ "$vm_off" -eq 0 ] || vm_part=$vm_file.part
		vm_qmp "$1" "{\"execute\":\"pmemsave\",\"arguments\":{\"val\":$((0x$vm_phys)),
			\"size\":$((0x$vm_len)),\"filename\":\"$vm_part\"}}" > /dev/null || return $?
		if [ "$vm_off" -ne 0 ]; then
			cat "$vm_part" >> "$vm_file" || return 5
			rm -f "$vm_part"
		fi
		printf '%s %s %x\n' "$vm_phys" "$vm_len" "$vm_off" >> "$vm_file.map"
		vm_off=$((vm_off + 0x$vm_len))
	done < "$VM_DIR/$1/memory.map"
}

# Arguments: NAME FILE. As vm_memsave_paused, for a running guest.
vm_memsave() {
	vm_pause "$1" || return $?
	vm_rc=0
	vm_memsave_paused "$1" "$2" || vm_rc=$?
	vm_resume "$1" || return $?
	return "$vm_rc"
}

# Arguments: NAME FILE. Saves the root disk with everything written back: sync in the guest,
# then a copy while it stands still.
vm_disksave() {
	"$VM_TOOLS/vmctl" sync "$VM_DIR/$1/agent.sock" || return $?
	vm_pause "$1" || return $?
	vm_rc=0
	cp --sparse=always "$VM_DIR/$1/root.img" "$2" || vm_rc=5
	vm_resume "$1" || return $?
	return "$vm_rc"
}

# Arguments: NAME COMMAND [ARGUMENT...]. A command of vmctl (put get ps plant litter insmod
# rmmod sync) with NAME's socket put in; options of insmod and rmmod are not taken here.
vm_ctl() {
	vm_name=$1 vm_verb=$2
	shift 2
	"$VM_TOOLS/vmctl" "$vm_verb" "$VM_DIR/$vm_name/agent.sock" "$@"
}

# Arguments: NAME VERB [ARGUMENT...]: run or step, its options and arguments; the word
# SOCKET stands for NAME's. Sets VM_STATUS, VM_OUT, VM_ERR. Returns: vmctl's exit code.
vm_captured() {
	vm_name=$1 vm_verb=$2
	shift 2
	VM_OUT=$VM_DIR/$vm_name/stdout
	VM_ERR=$VM_DIR/$vm_name/stderr
	vm_rc=0
	"$VM_TOOLS/vmctl" "$vm_verb" --status "$VM_DIR/$vm_name/status" "$@" \
		> "$VM_OUT" 2> "$VM_ERR" || vm_rc=$?
	VM_STATUS=$(cat "$VM_DIR/$vm_name/status") || VM_STATUS=never
	if [ "$vm_rc" -ge 4 ]; then
		echo "# vm: $vm_name: $vm_verb: $VM_STATUS; the end of its console:"
		tail -n 2 "$VM_ERR"
		tail -n 15 "$VM_DIR/$vm_name/qemu.log" "$VM_DIR/$vm_name/console.log"
	fi >&2
	# vmctl's own last word is not the program's.
	sed '/^vmctl: /d' "$VM_ERR" > "$VM_ERR.program" && mv "$VM_ERR.program" "$VM_ERR"
	return "$vm_rc"
}

# Arguments: NAME TIMEOUT_S PROGRAM [ARGUMENT...]. Runs a program in the guest.
# Returns: 0 exit code 0; 1 another end (VM_STATUS); 4, 5 no answer.
vm_run() {
	vm_name=$1 vm_timeout=$2
	shift 2
	vm_captured "$vm_name" run --timeout "$vm_timeout" "$VM_DIR/$vm_name/agent.sock" "$@"
}

# Arguments: NAME TIMEOUT_S STEP SCRIPT [OPTION...]. Runs a script as a document's step, with
# more options of vmctl step (--env NAME=VALUE). Returns: as vm_run.
vm_step() {
	vm_name=$1 vm_timeout=$2 vm_step_name=$3 vm_script=$4
	shift 4
	vm_captured "$vm_name" step --timeout "$vm_timeout" --step "$vm_step_name" \
		--command "$(cat /proc/sys/kernel/random/uuid)" "$@" \
		"$VM_DIR/$vm_name/agent.sock" "$vm_script"
}

# Arguments: DOCUMENT.json OUT [NAME=VALUE...]. Writes the script of a Command document's
# first step as the SSM agent would: lines joined, and {{ NAME }} replaced by the value given,
# or by the default, as text.
vm_document_script() {
	vm_doc=$1 vm_target=$2
	shift 2
	jq -r '
		($ARGS.positional | map(capture("^(?<key>[^=]*)=(?<value>.*)$"; "s")) |
			from_entries) as $given |
		((.parameters // {}) | map_values(.default // "") | . + $given) as $values |
		.mainSteps[0].inputs.runCommand | join("\n") |
		reduce ($values | to_entries[]) as $p (.;
			[splits("\\{\\{ *" + $p.key + " *\\}\\}")] | join($p.value | tostring))
	' "$vm_doc" --args "$@" > "$vm_target"
}

# Arguments: NAME TIMEOUT_S DOCUMENT.json [PARAMETER=VALUE...]. Runs the step of a Command
# document. Returns: as vm_run.
vm_document() {
	vm_name=$1 vm_timeout=$2 vm_doc=$3
	shift 3
	vm_target=$VM_DIR/$vm_name/document.sh
	vm_document_script "$vm_doc" "$vm_target" "$@" || return 2
	vm_step "$vm_name" "$vm_timeout" "$(jq -r '.mainSteps[0].name' "$vm_doc")" "$vm_target"
}
