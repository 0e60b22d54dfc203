#!/bin/sh
# The documents' steps on a host with SELinux enforcing: selinux.sh. A guest loads Debian's
# targeted policy, is labelled by it, and runs Mount, Capture and Unmount in the domain of a
# service, as the SSM agent's is; then in domains that may not mount, run, write to or load
# what has no label. Each time the host must be as it was, and all refusals of the policy are
# in its log.
# Environment: SELINUX_CIL, SELINUX_AGENT, another policy: see selinux/policy.sh; what it
# refuses a service is printed then.
# Exit: 0 all ok; 1 a check failed; 5 never finished.
set -eu
export LC_ALL=C
# shellcheck source=tests/vm/vm.sh
. tests/vm/vm.sh
# shellcheck source=tests/vm/path.sh
. tests/vm/path.sh
vm_trap
agent=${SELINUX_AGENT:-initrc_t}
policy=build/tests/selinux-$agent
service=system_u:system_r:$agent:s0
sh tests/vm/selinux/policy.sh "$policy"
extra=$VM_DIR/selinux-root
rm -rf "$extra"
mkdir -p "$extra/etc/selinux" "$extra/usr/sbin"
cp "$policy/policy" "$policy/file_contexts" "$policy/file_contexts.subs_dist" "$extra/etc/selinux"
cp tests/vm/selinux/init "$extra/usr/sbin/selinux-init"
cp "$policy/packages/sbin/setfiles" "$(command -v busybox)" "$extra/usr/sbin"
ROOT_EXTRA=$extra
export ROOT_EXTRA

# Arguments: none. Prints what the policy refused since the last time, one line each.
denials() {
	vm_run "$guest" 20 dmesg
	grep 'avc: .*denied' "$VM_OUT" > "$dir/avc.now" || :
	sed "1,${logged}d" "$dir/avc.now"
	logged=$(wc -l < "$dir/avc.now")
}

# Arguments: none. Attaches a volume as it was released.
attach() {
	cp --sparse=always out/fvol.img "$dir/volume.img"
	vm_attach "$guest" "$dir/volume.img" "$SERIAL"
}

# Arguments: GUEST VARIANT. Boots, and checks that the policy is enforced.
start() {
	guest=$1 dir=$VM_DIR/$1 logged=0
	path_prepare x86_64 "$2"
	VM_APPEND="security=selinux enforcing=0 log_buf_len=8M init=/usr/sbin/selinux-init"
	VM_APPEND="$VM_APPEND agent_context=$service"
	vm_start "$guest" x86_64 512 "$VM_KERNEL" "$VM_ROOT"
	# As systemd does with the file systems that it mounts.
	vm_run "$guest" 20 setfiles -F /etc/selinux/file_contexts /dev /run /tmp
	denials > "$dir/avc.boot"
	vm_run "$guest" 20 sh -c 'echo 1 > /sys/fs/selinux/enforce;
		cat /sys/fs/selinux/enforce /proc/self/attr/current'
	same "the policy is enforced, on the service too" "$(tr '\0\n' '  ' < "$VM_OUT")" \
		"1$service "
	attach
	path_state "$guest" "$dir/state.before"
}

# Arguments: who did it, and a setting of the kernel that may be another. The host must be
# as it was before.
check_as_it_was() {
	path_state "$guest" "$dir/state.after"
	[ -z "${2:-}" ] || sed -i "/^.proc.sys.kernel.$2:/d" "$dir/state.before" "$dir/state.after"
	check "$1: no mount, module, process or file in /run is left" \
		diff "$dir/state.before" "$dir/state.after"
}

# The three documents as a service runs them. What the policy refuses: Debian's lets mount,
# a domain of its own, not mount on what a service makes in /run, until that has the type of
# /mnt.
check_service() {
	for step in Mount Capture Unmount; do
		path_step "$guest" $step "VolumeId=$VOLUME_ID"
		same "service: $step: exit code" "$STEP_CODE" 0
	done
	denials > "$dir/avc.service"
	sed 's/.*denied *{ \(.*\) } .*comm="\([^"]*\)".*tcontext=\([^ ]*\) .*/\2 \1 \3/' \
		"$dir/avc.service" > "$dir/refused"
	if [ "$agent" = initrc_t ]; then
		same 'service: what the policy refused' "$(cat "$dir/refused")" \
			'mount mounton system_u:object_r:initrc_runtime_t:s0'
	else
		sed 's/^/# refused: /' "$dir/refused"
	fi
	same 'service: all of the memory is captured' \
		"$(tail -n 1 "$dir/Capture.out" | jq -r .gap_bytes)" 0
	check_as_it_was service
}

# Arguments: DOMAIN STEP. Runs the script $dir/STEP.sh in a domain.
in_domain() {
	vm_ctl "$guest" put "$dir/$2.sh" /opt/step.sh 700
	printf '#!/bin/sh\nprintf %%s %s > /proc/self/attr/exec\nexec sh /opt/step.sh\n' \
		"system_u:system_r:$1:s0" > "$dir/launch.sh"
	vm_step "$guest" 300 "$2" "$dir/launch.sh" || :
}

# Arguments: DOMAIN STEP WANTED-EXIT [SENTENCE]. Runs a document's step in a domain.
confined() {
	vm_document_script "$DOCUMENTS/FVol-$2.json" "$dir/$2.sh" "VolumeId=$VOLUME_ID"
	in_domain "$1" "$2"
	cp "$VM_ERR" "$dir/$1.$2.err"
	same "$1: $2 ends" "$VM_STATUS" "exit $3" || :
	[ -z "${4:-}" ] || says "$1: $2 says why" "$dir/$1.$2.err" "$4"
}

# A module of the volume's catalogue is loaded by the service, and by nobody who may not.
check_module() {
	vm_detach "$guest" "$SERIAL"
	attach
	manifest=$(sha256sum < out/MANIFEST | cut -c 1-64)
	path_step "$guest" Mount "VolumeId=$VOLUME_ID"
	printf '#!/bin/sh\nexec %s/bin/x86_64/capture --source lime --allow-untested --json \
		--evidence %s/evidence --instance %s --kmods %s/kmods --manifest-sha256 %s\n' \
		/run/fvol/volume /run/fvol/volume "$INSTANCE" /run/fvol/volume "$manifest" \
		> "$dir/module.sh"
	vm_step "$guest" 300 Module "$dir/module.sh" || :
	# 3: the part of a page below 1 MiB, which LiME leaves out, is recorded.
	same 'service: the capture through LiME ends' "$VM_STATUS" 'exit 3'
	says 'service: it is of the module' "$VM_OUT" '"source":"lime"'
	cp "$dir/module.sh" "$dir/Module.sh"
	in_domain no_module_t Module
	same 'no_module_t: the capture through LiME ends' "$VM_STATUS" 'exit 4'
	says 'no_module_t: it says why' "$VM_ERR" 'loading the module: Permission denied'
	path_step "$guest" Unmount
	same 'unmount after LiME: exit code' "$STEP_CODE" 0
	# That a module was loaded stays in the kernel's own word.
	check_as_it_was no_module_t tainted
}

start selinux debian
check_service
confined no_mount_t Mount 4 'mounting /dev/nvme[0-9]n1 was refused'
check_as_it_was no_mount_t
confined no_read_t Mount 4 "policy does not let /run/fvol/volume be read"
check_as_it_was no_read_t
confined no_execute_t Mount 4 "policy does not let hash be run"
check_as_it_was no_execute_t
confined no_create_t Mount 0
confined no_create_t Capture 4 'Permission denied'
confined no_create_t Unmount 0
check_as_it_was no_create_t
check_module
exit "$failed"
