#!/bin/sh
# Makes a policy for guests with SELinux: policy.sh OUT. OUT/policy is Debian's targeted one,
# every module of its package, and OUT/file_contexts its labels. Added are domains that only
# tests have: each may do everything except what it is called after. What the policy refuses
# without a word (dontaudit) is logged.
# Environment: SELINUX_CIL, a directory with another distribution's policy instead, a
# MODULE.cil for each module and file_contexts.subs_dist; SELINUX_AGENT, the type that a
# service has there (default initrc_t).
# Exit: 0 made; 5 failed.
set -eu
export LC_ALL=C
out=$1
# The policy, what turns its modules into CIL, and the compiler of that.
packages='
selinux-policy-default=2:2.20221101-9@0577cfde2c03754bdb32ea1f103b94cd464c53d73c0c8210c85003e1faf88864
policycoreutils=3.4-1@2194e7dff8dee65fa1f568f7f862fb2dcbe8adfc79ba8759c999386ccb6bcc9d
secilc=3.4-1@2b3a7061f9084db4a8f0d9d0755bd801947c4c5a31aa671e5bbe53c22b0dd24b'

# Arguments: a type, the classes that it may use wholly. Prints a domain of that name with
# these alone, which the agent may begin.
domain() {
	echo "(type $1)(roletype system_r $1)(typeattributeset domain $1)"
	echo "(allow $agent $1 (process (all)))(allow $1 $agent (fd (use)))"
	domain_type=$1
	shift
	for class; do
		echo "(allow $domain_type everything ($class (all)))"
	done
}

# Arguments: words to leave out. Prints the classes of the policy without them.
classes() {
	sed -n 's/^(class \([a-z0-9_]*\) .*/\1/p' "$out/cil/base.cil" | sort -u |
		grep -vxE "${1:-none}"
}

# Prints the domains of the tests.
# shellcheck disable=SC2046 # classes are words
domains() {
	echo '(typeattribute everything)(typeattributeset everything (all))'
	echo '(typeattribute labelled)(typeattributeset labelled (not (unlabeled_t)))'
	domain no_mount_t $(classes filesystem)
	domain no_read_t $(classes 'file|dir')
	echo '(allow no_read_t labelled (file (all)))(allow no_read_t labelled (dir (all)))'
	echo '(allow no_read_t unlabeled_t (dir (mounton getattr)))'
	domain no_execute_t $(classes file)
	echo '(allow no_execute_t labelled (file (all)))'
	echo '(allow no_execute_t unlabeled_t (file (not (execute execute_no_trans))))'
	domain no_create_t $(classes dir)
	echo '(allow no_create_t labelled (dir (all)))'
	echo '(allow no_create_t unlabeled_t (dir (not (add_name))))'
	domain no_module_t $(classes system)
	echo '(allow no_module_t everything (system (not (module_load))))'
}

# Orders lines of labels as semanage does, the less specific first, for the last that fits
# counts: with wildcards before without, then by the length of what stands before the first
# wildcard, by length, and without a kind of file before with one.
sort_labels() {
	awk '{
		at = match($1, /[].^$?*+|({[]/)
		stem = at ? at - 1 : length($1)
		print (at ? 0 : 1), stem, length($1), (NF > 2 ? 1 : 0), NR, $0
	}' | sort -n -k 1,1 -k 2,2 -k 3,3 -k 4,4 -k 5,5 | cut -d ' ' -f 6-
}

if [ -f "$out/policy" ] && [ -z "$(find "$0" -newer "$out/policy")" ]; then exit 0; fi
agent=${SELINUX_AGENT:-initrc_t}
mkdir -p "$out/cil"
if [ ! -d "$out/packages/usr" ]; then
	# shellcheck disable=SC2086 # packages are words
	sh tests/vm/fetch-deb.sh x86_64 "$out/packages" $packages
fi
modules=$out/packages/usr/share/selinux/default
subs=$out/packages/etc/selinux/default/contexts/files/file_contexts.subs_dist
if [ -n "${SELINUX_CIL:-}" ]; then
	cp "$SELINUX_CIL/"*.cil "$out/cil"
	subs=$SELINUX_CIL/file_contexts.subs_dist
else
	for module in "$modules"/*.pp.bz2; do
		name=${module##*/}
		bzip2 -dc "$module" | "$out/packages/usr/libexec/selinux/hll/pp" \
			> "$out/cil/${name%.pp.bz2}.cil"
	done
fi
domains > "$out/cil/fvol-tests.cil"
"$out/packages/usr/bin/secilc" --policyvers 33 --disable-dontaudit --disable-neverallow \
	--output "$out/policy.new" --filecontext "$out/labels" "$out/cil/"*.cil
sort_labels < "$out/labels" > "$out/file_contexts"
[ "$(wc -l < "$out/file_contexts")" -eq "$(wc -l < "$out/labels")" ]
cp "$subs" "$out"
mv "$out/policy.new" "$out/policy"
