#!/bin/sh
# triage against a kernel that lies: triage.sh ARCH. In a guest a module (tests/vm/hide)
# takes a process and a file out of every listing, a port out of the table of sockets and
# itself out of the list of modules. Before it is loaded nothing is hidden; afterwards triage
# says all four, with the process's own record. And a program of BPF that a process holds,
# sockets in four network namespaces, and Yama, which refuses the memory of processes.
# Exit: 0 all ok; 1 a check failed; 5 never finished.
# shellcheck disable=SC2016 # what the guests shell expands
set -eu
export LC_ALL=C
arch=$1
# shellcheck disable=SC1091 source=tests/vm/vm.sh
. tests/vm/vm.sh
# shellcheck disable=SC1091 source=tests/vm/path.sh
. tests/vm/path.sh
vm_trap
guest=triage-$arch
dir=$VM_DIR/$guest
path_prepare "$arch"

# Arguments: NAME WANTED-EXIT. Runs triage in the guest and fetches its evidence to
# $dir/NAME.jsonl.
triage() {
	vm_run "$guest" 300 /opt/triage --output "/run/$1" --json || :
	same "$1: triage ends" "$VM_STATUS" "exit $2" || cat "$VM_ERR"
	vm_ctl "$guest" get "/run/$1/triage.jsonl" "$dir/$1.jsonl"
}

# Arguments: FILE, a filter of jq. Prints what it makes of the records.
records() {
	jq -c "$2" "$dir/$1.jsonl"
}

# Arguments: FILE. Lists the processes that the shell of the guest sees.
listing() {
	vm_run "$guest" 60 sh -c 'for d in /proc/[0-9]*; do echo ${d#/proc/}; done' || :
	sort "$VM_OUT" > "$1"
}

# Arguments: none. What of the system triage may have changed.
state() {
	vm_run "$guest" 60 sh -c 'cat /proc/modules /proc/self/mountinfo; cd /proc/sys &&
		for f in kernel/modules_disabled kernel/core_pattern kernel/kptr_restrict \
			kernel/tainted; do cat $f; done' || :
	cut -d ' ' -f 1-6 "$VM_OUT"
}

# Arguments: none. Sockets of every kind in four network namespaces: this one, one that a
# process lives in, one that is mounted and one that a descriptor alone holds.
spaces() {
	mkdir "$dir/spaces"
	vm_ctl "$guest" put "$VM_TOOLS/$arch/sockets" /opt/sockets 755
	vm_run "$guest" 60 sh -c 'mkdir /run/spaces
		for one in first-here second-new third-mounted fourth-held; do
			name=${one%-*}
			/opt/sockets /run/spaces $name ${one#*-} > /run/spaces/$name 2>&1 < /dev/null &
			until grep -q "^ready$" /run/spaces/$name; do sleep 0.1; done
		done'
	same 'spaces: sockets are opened' "$VM_STATUS" 'exit 0' || cat "$VM_ERR"
	for name in first second third fourth; do
		vm_ctl "$guest" get "/run/spaces/$name" "$dir/spaces/$name"
	done
	vm_run "$guest" 300 /opt/triage --only network --no-hash --output /run/spaces/out || :
	same 'spaces: triage ends' "$VM_STATUS" 'exit 0' || cat "$VM_ERR"
	vm_ctl "$guest" get /run/spaces/out/triage.jsonl "$dir/spaces/out"
	python3 tests/triage/netcheck.py "$dir/spaces" /run/spaces || failed=1
}

# Arguments: NAME WANTED-EXIT COMMAND... Runs triage, the command's last word, for the memory
# of both processes of yama(), and fetches its records to $dir/NAME.jsonl.
memory() {
	name=$1 wanted=$2
	shift 2
	vm_run "$guest" 300 "$@" --only processes --no-hash --memory "$pid" --memory "$theirs" \
		--output "/run/open/$name" --json || :
	same "$name: triage ends" "$VM_STATUS" "exit $wanted" || cat "$VM_ERR"
	vm_ctl "$guest" get "/run/open/$name/triage.jsonl" "$dir/$name.jsonl"
	vm_run "$guest" 20 sh -c "ls /run/open/$name/recovered 2> /dev/null || :"
	mv "$VM_OUT" "$dir/$name.files"
}

# Arguments: NAME PID... The memory of these was refused by Yama, which is said with its
# scope, and nothing is claimed of it.
refused() {
	name=$1
	shift
	for one in "$@"; do
		same "$name: why the memory of process $one was not read" \
			"$(records "$name" "select(.type == \"unread\" and .pid == $one) |
				[.reason, .yama, .errno, .capability // \"-\"]" | tr -d '"')" "$said"
		same "$name: nothing is claimed of process $one" \
			"$(records "$name" "select(.type == \"recovered\" and .pid == $one).what"
				grep -c "^$one-" "$dir/$name.files" || :)" 0
	done
	same "$name: it is not called complete" \
		"$(records "$name" 'select(.type == "end") | [.complete, .unread.yama]')" \
		"[false,$#]"
}

# Arguments: none. Yama, of the guest's kernel, refuses to read the memory of others: with
# scope 2 to all but who has CAP_SYS_PTRACE, with 3 to everybody, and that until it boots.
yama() {
	vm_ctl "$guest" put "$VM_TOOLS/$arch/as" /opt/as 755
	vm_run "$guest" 20 sh -c 'mkdir -m 1777 /run/open
		/opt/as 1000 /bin/sleep 86398 > /dev/null 2>&1 < /dev/null & echo $!'
	theirs=$(cat "$VM_OUT")
	vm_run "$guest" 20 sh -c 'echo 1 > /proc/sys/kernel/yama/ptrace_scope'
	memory parents 3 /opt/as 1000 /opt/triage
	same 'parents: the rights of a user are told from what Yama refuses' \
		"$(records parents 'select(.type == "unread" and .pid) |
			[.pid, .reason, .yama, .capability]' | tr -d '"\n')" \
		"[$pid,capability,null,CAP_SYS_PTRACE][$theirs,yama,1,CAP_SYS_PTRACE]"
	vm_run "$guest" 20 sh -c 'echo 2 > /proc/sys/kernel/yama/ptrace_scope'
	memory able 0 /opt/triage
	same 'able: with CAP_SYS_PTRACE the memory of both is saved' \
		"$(records able 'select(.type == "recovered") |
			[.pid, .what, .complete, .stored_bytes > 4096]' | tr '\n' ' ')" \
		"[$pid,\"memory\",true,true] [$theirs,\"memory\",true,true] "
	said='[yama,2,EACCES,CAP_SYS_PTRACE]'
	memory unable 3 /opt/as 0 no-ptrace /opt/triage
	refused unable "$pid" "$theirs"
	memory user 3 /opt/as 1000 /opt/triage
	refused user "$pid" "$theirs"
	vm_run "$guest" 20 sh -c 'echo 3 > /proc/sys/kernel/yama/ptrace_scope'
	said='[yama,3,EACCES,-]'
	memory nobody 3 /opt/triage
	refused nobody "$pid" "$theirs"
	memory nobody-unable 3 /opt/as 0 no-ptrace /opt/triage
	refused nobody-unable "$pid" "$theirs"
}

vm_start "$guest" "$arch" 512 "$VM_KERNEL" "$VM_ROOT"
release=$(cut -d ' ' -f 1 "$dir/uname")
vm_ctl "$guest" put "build/release/$arch/bin/triage" /opt/triage 755
vm_ctl "$guest" put "build/tests/kernels/hide/$arch/$release/lime.ko" /opt/hide.ko 600
vm_run "$guest" 20 sh -c 'sleep 86399 > /dev/null 2>&1 < /dev/null & echo $!'
pid=$(cat "$VM_OUT")
# A program in a file that has the name which will be hidden, and one that holds BPF.
vm_ctl "$guest" put "$VM_TOOLS/$arch/hold" "/opt/$pid" 755
vm_run "$guest" 20 sh -c "/opt/$pid > /dev/null 2>&1 < /dev/null &
	/opt/$pid bpf > /run/bpf 2>&1 < /dev/null & echo \$!
	until grep -q . /run/bpf; do sleep 0.1; done"
holder=$(cat "$VM_OUT")
state > "$dir/before"
listing "$dir/listed.before"

triage shown 0
listing "$dir/listed.after"
same 'shown: it ends with an end' "$(tail -n 1 "$dir/shown.jsonl" | jq -r .type)" end
same 'shown: the process is there' \
	"$(records shown "select(.type == \"process\" and .pid == $pid).argv")" \
	'["sleep","86399"]'
same 'shown: nobody is said to hide' \
	"$(records shown 'select(.type == "finding") | .kind' | grep -c hidden || :)" 0
same 'shown: the log was read from its beginning, and gives no lead' \
	"$(records shown 'select(.type == "kernel").log_lost, select(.type == "lead")')" 0
same 'shown: every process is coherent' \
	"$(records shown 'select(.type == "process" and (.coherent | not)).pid')" ''
records shown 'select(.type == "process").pid' | sort > "$dir/recorded"
same 'shown: all that the shell saw before and sees after' \
	"$(comm -12 "$dir/listed.before" "$dir/listed.after" |
		comm -23 - "$dir/recorded")" ''
same 'shown: the program of BPF, and who holds it' \
	"$(records shown 'select(.type == "bpf" and .name == "fvol_planted") |
		[.kind, .owners[0].pid]')" "[\"program\",$holder]"
state > "$dir/after"
same 'shown: modules, mounts and settings are as before' \
	"$(diff "$dir/before" "$dir/after" | head -n 5)" ''

spaces
yama
port=$(awk '$5 == "LISTEN" && $4 == "tcp" && NF == 7 { print $7 }' "$dir/spaces/first")
vm_ctl "$guest" insmod /opt/hide.ko "name=$pid port=$port"
vm_run "$guest" 20 sh -c "ls /proc | grep -cx $pid" || :
same 'the listing of /proc has it no more' "$(cat "$VM_OUT")" 0
vm_run "$guest" 20 sh -c 'grep -c "^lime " /proc/modules; ls /sys/module | grep -cx lime' || :
same 'nor has the list of modules the module' "$(tr '\n' ' ' < "$VM_OUT")" '0 0 '

vm_run "$guest" 20 sh -c "cat /proc/net/tcp | grep -c :$(printf %04X "$port")" || :
same 'nor has the table the port, but for who is connected to it' "$(cat "$VM_OUT")" 1

triage hidden 0
same 'hidden: the process is found' \
	"$(records hidden "select(.kind == \"hidden_process\") | [.severity, .subject.pid, \
		.evidence.readdir, .evidence.lookup, .evidence.signal]")" \
	"[\"high\",$pid,\"absent\",\"shown\",\"shown\"]"
same 'hidden: its own record tells what it is' \
	"$(records hidden "select(.type == \"process\" and .pid == $pid).argv")" \
	'["sleep","86399"]'
same 'hidden: the file is found' \
	"$(records hidden "select(.kind == \"hidden_file\").subject.path" | sort -u)" \
	"\"/opt/$pid\""
same 'hidden: the sockets of the port are found, by what the kernel counts' \
	"$(records hidden 'select(.kind == "hidden_socket") |
		[.type, .severity, .evidence.counted - .evidence.proc, (.evidence.descriptors | sort)]')" \
	"$(awk -v port="$port" '$7 == port && $4 == "tcp" {
		list = list (list == "" ? "" : ",") "\"" $2 "/fd/" $3 "\"" }
		END { print "[\"finding\",\"high\",2,[" list "]]" }' "$dir/spaces/first")"
# By its name where a view is left that has it (x86_64), or by its memory.
same 'hidden: the module is found' \
	"$(records hidden 'select(.kind == "hidden_module") | .kind' | sort -u)" \
	'"hidden_module"'
# The log has its name; on x86_64 a view has it as well, and there is nothing to add.
name=$(records hidden 'select(.kind == "hidden_module").subject.module' | grep -v null || :)
same 'hidden: where only its memory tells of it the log has its name' \
	"$(records hidden 'select(.type == "lead") | [.kind, .subject.module, .evidence.log,
		.evidence.tainted]')" \
	"$([ -n "$name" ] || echo '["module_log","lime","lime: loading out-of-tree module' \
		'taints kernel.",["out_of_tree_module","unsigned_module"]]')"
records hidden 'select(.type == "finding")' | sed 's/^/# /'
vm_stop "$guest"
exit "${failed:?}"
