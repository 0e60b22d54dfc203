#!/bin/sh
# The sources of physical memory in a guest: sources.sh ARCH. What kcore and bpf read is
# held against planted pages and each other; the LiME module is loaded, read, refused to a
# rival, and gone afterwards; lockdown refuses what it says it refuses.
# Exit: 0 all ok; 1 a check failed; 5 never finished.
set -eu
export LC_ALL=C
arch=$1
# shellcheck disable=SC1091 source=tests/vm/vm.sh
. tests/vm/vm.sh
# shellcheck disable=SC1091 source=tests/vm/path.sh
. tests/vm/path.sh
vm_trap
guest=sources-$arch
dir=$VM_DIR/$guest
reader=$VM_TOOLS/$arch/readsource
kmods=/run/kmods
path_prepare "$arch"

build_reader() {
	mkdir -p "${reader%/*}"
	"build/toolchain/$arch/bin/cc" -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -O2 \
		-fsigned-char -I. -isystem "build/deps/$arch/include" -static \
		-Wl,--wrap=connect -o "$reader" tests/vm/readsource.c \
		"build/release/$arch/libfvol.a" "-Lbuild/deps/$arch/lib" -lyyjson -lmbedcrypto
}

# Arguments: WANTED-EXIT TITLE ARGUMENT... (of readsource, after NAME=VALUE...). Output is
# in $dir/out.
reads() {
	want=$1 title=$2
	shift 2
	vm_run "$guest" 300 env ALLOW_UNTESTED=1 "$@" || :
	cat "$VM_OUT" "$VM_ERR" > "$dir/out"
	if [ "$VM_STATUS" = "exit $want" ]; then ok "$title"; else
		bad "$title: $VM_STATUS, wanted exit $want"
		sed 's/^/    /' "$dir/out"
	fi
}

# Arguments: a kernel option or nothing. Boots a guest with the reader in it.
boot() {
	# Under load the emulator's timer fails the kernel's own check of it.
	# shellcheck disable=SC2034
	VM_APPEND="no_timer_check $1"
	vm_start "$guest" "$arch" 512 "$VM_KERNEL" "$VM_ROOT"
	release=$(cut -d ' ' -f 1 "$dir/uname")
	vm_ctl "$guest" put "$reader" /opt/readsource 755
	vm_run "$guest" 20 mkdir -p "$kmods/$arch/$release"
	vm_ctl "$guest" put out/kmods/catalogue.json "$kmods/catalogue.json" 600
	vm_ctl "$guest" put "out/kmods/$arch/$release/lime.ko" \
		"$kmods/$arch/$release/lime.ko" 600
	vm_ctl "$guest" plant 64 "$dir/plant" > "$dir/planted.pid"
	# In the order of addresses: a module's stream can be read only once.
	awk '{ printf "%16s %s\n", $1, $2 }' "$dir/plant" | sort > "$dir/sorted"
	vm_ctl "$guest" put "$dir/sorted" /run/plant 600
}

# Arguments: TITLE. No module, and no process that would load one.
nothing_left() {
	vm_run "$guest" 20 cat /proc/modules
	same "$1: no module is left" "$(cut -d ' ' -f 1 "$VM_OUT")" ''
	vm_ctl "$guest" ps > "$dir/ps"
	same "$1: no process is left" "$(grep -c readsource "$dir/ps" || :)" 0
}

planted() {
	for source in "$@"; do
		reads 0 "$source: planted pages" /opt/readsource pages "$source" /run/plant
		reads 0 "$source: the end of RAM" /opt/readsource outside "$source"
	done
}

# Below 1 MiB a range of x86 ends inside a page, which kcore leaves out and bpf has.
partial_page() {
	[ "$arch" = x86_64 ] || return 0
	reads 3 'kcore: has no place for a part of a page' /opt/readsource sum kcore 9f000 c00
	reads 0 'bpf: reads a part of a page' /opt/readsource sum bpf 9f000 c00
	reads 0 'kcore: low memory' /opt/readsource sum kcore 1000 80000
	cp "$dir/out" "$dir/low"
	reads 0 'bpf: low memory' /opt/readsource sum bpf 1000 80000
	same 'bpf and kcore agree on low memory' "$(cat "$dir/out")" "$(cat "$dir/low")"
	reads 3 'lime: writes zeros for a part of a page, which is a gap' \
		/opt/readsource all lime "$kmods"
	says 'lime: the gap is that part' "$dir/out" ' gaps 3072 '
}

whole() {
	ends=0
	[ "$arch" != x86_64 ] || ends=3
	reads 0 'bpf: every byte of RAM' /opt/readsource all bpf
	says 'bpf: no gap' "$dir/out" ' gaps 0 '
	reads 4 'crash: this machine has none' /opt/readsource outside crash
	reads 5 'lime: lo is down' /opt/readsource all lime "$kmods"
	nothing_left 'lo is down'
	reads 0 'lo is up' /opt/readsource lo
	reads "$ends" 'lime: every range' /opt/readsource all lime "$kmods"
	nothing_left 'lime'
	reads 0 'lime: planted pages' KMODS="$kmods" /opt/readsource pages lime /run/plant
	nothing_left 'lime, closed in the middle'
}

lime_troubles() {
	reads 5 'lime: a rival connects first' RIVAL=1 /opt/readsource all lime "$kmods"
	says 'lime: the rival is reported' "$dir/out" 'another process connected .* first'
	# shellcheck disable=SC2016
	vm_run "$guest" 20 sh -c 'for p in /proc/[0-9]*; do
		read -r name < $p/comm && [ "$name" = readsource ] && kill -9 ${p#/proc/}; done; :'
	nothing_left 'a rival'
	reads 4 'lime: a firewall on lo' DROP=1 /opt/readsource all lime "$kmods"
	says 'lime: the firewall is named' "$dir/out" 'firewall'
	nothing_left 'a firewall'
	vm_run "$guest" 60 sh -c "ALLOW_UNTESTED=1 /opt/readsource hold lime $kmods > /run/held &
		n=200; until grep -q open /run/held || [ \$n = 0 ]; do sleep 0.1; n=\$((n - 1)); done
		grep -c '^lime ' /proc/modules; kill -9 \$!
		n=200; while grep -q '^lime ' /proc/modules && [ \$n -gt 0 ]; do
			sleep 0.1; n=\$((n - 1)); done" || :
	same 'lime: is loaded while it is read' "$(cat "$VM_OUT")" 1
	nothing_left 'kill -9'
	left_module
	vm_run "$guest" 20 sh -c "printf x >> $kmods/$arch/$release/lime.ko"
	reads 5 'lime: a module that is too long' /opt/readsource all lime "$kmods"
	nothing_left 'a wrong module'
	vm_run "$guest" 20 env -u ALLOW_UNTESTED /opt/readsource check "$kmods" || :
	[ "$(jq '[.modules[] | select(.tested)] | length' out/kmods/catalogue.json)" != 0 ] ||
		says 'check: an untested module is refused' "$VM_OUT" 'lime refused: .*not boot-tested'
}

# Arguments: none. Loads the module as capture does. Whoever takes the whole stream lets its
# init end well; nobody unloads it.
leave_module() {
	vm_run "$guest" 20 bash -c 'setsid bash -c "
		until exec 3<> /dev/tcp/127.0.0.1/12345; do sleep 0.1; done 2> /dev/null
		cat <&3" > /dev/null 2>&1 < /dev/null &'
	check 'a module is left' "$VM_TOOLS/vmctl" insmod --timeout 300 "$dir/agent.sock" \
		"$kmods/$arch/$release/lime.ko" \
		'path=tcp:12345 localhostonly=1 format=lime timeout=0'
}

# A capture that is killed together with its child, as the agent does at a timeout, and a
# module that such an end has left loaded: capture --unload.
left_module() {
	vm_ctl "$guest" put "build/release/$arch/bin/capture" /opt/capture 755
	# shellcheck disable=SC2016
	vm_run "$guest" 60 sh -c "ALLOW_UNTESTED=1 /opt/readsource hold lime $kmods > /run/held &
		"'n=200; until grep -q open /run/held || [ $n = 0 ]; do sleep 0.1; n=$((n - 1)); done
		for p in /proc/[0-9]*; do
			read -r name < $p/comm && [ "$name" = readsource ] && kill -9 ${p#/proc/}
		done; sleep 1; /opt/capture --unload' || :
	same 'killed with its child: unload' "$VM_STATUS" 'exit 0'
	nothing_left 'killed with its child'
	leave_module
	vm_run "$guest" 60 /opt/capture --unload || :
	says 'a module that a capture left is unloaded' "$VM_OUT" 'module lime was unloaded'
	nothing_left 'a module that was left'
	cp --sparse=always out/fvol.img "$dir/volume.img"
	vm_attach "$guest" "$dir/volume.img" "$SERIAL"
	path_step "$guest" Mount "VolumeId=$VOLUME_ID"
	same 'a module that was left: mount' "$STEP_CODE" 0
	leave_module
	path_step "$guest" Unmount
	same 'a module that was left: unmount' "$STEP_CODE" 0
	says 'a module that was left: unmount unloads it' "$dir/Unmount.err" \
		'module lime was unloaded'
	nothing_left 'a module that was left, after unmount'
	vm_detach "$guest" "$SERIAL"
	rm -f "$dir/volume.img"
	check "a module of somebody's is loaded" "$VM_TOOLS/vmctl" insmod --timeout 300 \
		"$dir/agent.sock" "$kmods/$arch/$release/lime.ko" \
		'path=/dev/null format=raw timeout=0'
	vm_run "$guest" 60 /opt/capture --unload || :
	same "a module of somebody's: exit code" "$VM_STATUS" 'exit 4'
	says "a module of somebody's stays" "$VM_ERR" 'loaded, but no capture loaded it'
	check "and is somebody's to unload" "$VM_TOOLS/vmctl" rmmod "$dir/agent.sock" lime
}

# Arguments: MODE KCORE BPF LIME, each "usable" or "refused".
lockdown() {
	boot "lockdown=$1"
	vm_run "$guest" 20 cat /sys/kernel/security/lockdown
	says "lockdown=$1: is on" "$VM_OUT" "\[$1\]"
	reads 0 "lockdown=$1: check" /opt/readsource check "$kmods"
	cp "$dir/out" "$dir/check"
	says "lockdown=$1: kcore" "$dir/check" "^kcore $2: "
	says "lockdown=$1: bpf" "$dir/check" "^bpf $3: .*$1"
	says "lockdown=$1: lime" "$dir/check" '^lime refused: lockdown refuses modules'
	if [ "$2" = usable ]; then
		planted kcore bpf
	else
		reads 4 "lockdown=$1: kcore is refused" /opt/readsource pages kcore /run/plant
		reads 4 "lockdown=$1: bpf is refused" /opt/readsource pages bpf /run/plant
		says "lockdown=$1: bpf says why" "$dir/out" "lockdown=$1 refuses bpf"
		says "lockdown=$1: kcore says why" "$dir/check" \
			"^kcore refused: lockdown=$1"
	fi
	reads 4 "lockdown=$1: the module is refused" /opt/readsource all lime "$kmods"
	nothing_left "lockdown=$1"
	vm_stop "$guest"
}

build_reader
boot ''
echo "# kernel: $(cat "$dir/uname")"
reads 0 'check' /opt/readsource check "$kmods"
for name in kcore bpf lime; do
	says "check: $name is usable" "$dir/out" "^$name usable: "
done
says 'check: crash is not' "$dir/out" '^crash refused: /dev/crash: '
says 'check: kcore comes first' "$dir/out" '^first kcore'
planted kcore bpf
whole
partial_page
lime_troubles
vm_stop "$guest"
lockdown integrity usable usable
lockdown confidentiality refused refused
# shellcheck disable=SC2154
exit "$failed"
