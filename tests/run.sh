#!/bin/sh
# Runs test suites and counts: run.sh [SUITE...], all of them by default. A test prints one
# line for each thing it tests, "ok NAME", "FAIL NAME" or "skip NAME: reason", everything
# else is detail. A program that ends badly without a FAIL line is a failure of its own,
# one that takes too long "never finished": a failure too, but said as what it is.
# The last line is "N passed, N failed, N skipped". Exit: 0 none failed; 1 otherwise.
#
# Without arguments what runs in guests, which keeps one core busy, runs beside all the
# rest; what a test printed is shown when it has ended.
set -eu
cd "$(dirname "$0")/.."
log=build/check/run
mkdir -p "$log"
: > "$log/counts"
expected_skips=tests/expected-skips

# Arguments: name, limit in seconds, command... Runs it, shows and counts its lines.
run() {
	out=$log/$(echo "$1" | tr ' /' '__').log
	count "$@" > "$out.shown"
	flock "$log/counts" cat "$out.shown"
}

# Arguments: as run's. Prints what is to be shown, and adds a line to the counts.
count() {
	name=$1 limit=$2
	shift 2
	echo "== $name"
	start=$(date +%s)
	rc=0
	timeout -k 10 "$limit" "$@" > "$out" 2>&1 || rc=$?
	grep -E '^(FAIL|skip) ' "$out" || :
	ok=$(grep -c '^ok ' "$out" || :)
	bad=$(grep -c '^FAIL ' "$out" || :)
	skip=$(grep -c '^skip ' "$out" || :)
	if [ "$rc" -eq 124 ] || [ "$rc" -eq 137 ]; then
		echo "FAIL $name: never finished in $limit s"
		bad=$((bad + 1))
	elif [ "$rc" -eq 77 ] && [ "$skip" -eq 0 ]; then
		echo "skip $name: $(tail -n 1 "$out")"
		echo "skip $name" >> "$out"
		skip=1
	elif [ "$rc" -ne 0 ] && [ "$rc" -ne 77 ] && [ "$bad" -eq 0 ]; then
		echo "FAIL $name: exit code $rc"
		bad=1
	elif [ $((ok + bad + skip)) -eq 0 ]; then
		# A target that only has to survive says so by its exit code.
		ok=1
	fi
	# A skip that is not on the list is a failure: a green run that skipped proves nothing.
	unexpected=$(sed -n 's/^skip \([^:]*\).*/\1/p' "$out" |
		grep -cvxFf "$expected_skips" || :)
	if [ "$unexpected" -gt 0 ]; then
		echo "FAIL $name: $unexpected skips that $expected_skips does not list"
		bad=$((bad + unexpected))
		skip=$((skip - unexpected))
	fi
	[ "$bad" -eq 0 ] || tail -n 60 "$out" | sed 's/^/    /'
	echo "   $ok passed, $bad failed, $skip skipped ($(($(date +%s) - start)) s)"
	echo "$ok $bad $skip" >> "$log/counts"
}

unit() {
	for test in build/check/bin/test_*; do
		run "unit ${test##*/test_}" 120 "$test"
	done
	# A processor without the instructions, and one of the other architecture with them.
	run 'unit sha256 (x86_64 without SHA)' 120 \
		qemu-x86_64-static -cpu qemu64 build/tests/x86_64/test_sha256 portable
	run 'unit sha256 (aarch64)' 120 qemu-aarch64-static build/tests/aarch64/test_sha256 \
		'ARMv8 SHA-256 instructions'
}

fuzz() {
	for target in tests/fuzz/fuzz_*.c; do
		target=${target##*/fuzz_}
		target=${target%.c}
		run "fuzz $target" 600 "build/check/bin/fuzz_$target" "tests/fuzz/corpus/$target"
	done
}

# The suites, in the order in which a failure is cheapest to see.
build() { run build 300 sh tests/build/run.sh; }
rules() { run rules 300 sh tests/rules/run.sh; }
http() { run http 600 sh tests/http/run.sh; }
cli() { run cli 900 sh tests/cli/run.sh; }
binaries() { run binaries 120 sh tests/binaries/run.sh; }
documents() { run documents 900 sh tests/ssm-docs/run.sh; }
scripts() { run scripts 600 sh tests/scripts/run.sh; }
kmods() {
	run kmods 900 sh tests/kmods/run.sh
	run 'kmods build' 900 sh tests/kmods/build.sh
	run 'kmods types' 900 sh tests/kmods/types.sh
	run 'kmods sources' 600 sh tests/kmods/repos.sh
	run 'kmods catalogue' 600 sh tests/kmods/catalogue.sh
	run 'kmods hook' 300 sh tests/kmods/hook.sh
	run 'kmods build step' 300 sh tests/kmods/build-step.sh
	run 'kmods rpm builds' 900 sh tests/kmods/rpm-build.sh
}
boot() { run 'kmods boot' 900 sh tests/kmods/boot.sh; }
image() {
	run image 900 sh tests/image/run.sh
	run 'image release' 600 sh tests/image/release.sh
	run 'image sign' 300 sh tests/image/sign.sh
	run 'image mount' 300 sh tests/image/mount.sh
}
growth() { run 'image growth' 1200 sh tests/image/grow.sh 4G 64G 1100G; }
vm() {
	kernel=$(find build/kernels/x86_64 -name 'vmlinuz-*' | sort -V | tail -n 1)
	run 'vm instruments' 120 sh tests/vm/instruments.sh
	run 'vm harness' 600 env VM_KERNEL="$kernel" sh tests/vm/selftest.sh x86_64
	run 'vm path x86_64' 900 sh tests/vm/whole-path.sh x86_64
	run 'vm path x86_64 busybox' 900 sh tests/vm/whole-path.sh x86_64 busybox no-module
	run 'vm path aarch64' 900 sh tests/vm/whole-path.sh aarch64
	run 'vm selinux' 900 sh tests/vm/selinux.sh
	run 'vm touched' 900 sh tests/vm/touched.sh
	run 'vm bad input' 900 sh tests/vm/bad-input.sh
	run 'vm sources' 900 sh tests/vm/sources.sh x86_64
	run 'vm formats' 1800 sh tests/vm/formats.sh
	run 'vm disk' 1800 sh tests/vm/disk.sh
	run 'vm kernels' 1800 sh tests/vm/kernels.sh
	run 'vm crash' 900 env CASES='crash crash-arm64' sh tests/vm/kernels.sh
	run 'vm symbols' 1800 sh tests/vm/symbols.sh
	run 'vm dumps' 1800 sh tests/vm/dumpsyms.sh
	run 'vm triage x86_64' 900 sh tests/vm/triage.sh x86_64
	run 'vm triage aarch64' 900 sh tests/vm/triage.sh aarch64
}
upload() {
	run 'upload x86_64' 300 sh tests/upload/run.sh x86_64
	run 'upload aarch64' 600 sh tests/upload/run.sh aarch64
}
report() { run report 300 sh tests/report/run.sh; }
publish() { run publish 600 sh tests/ebs/run.sh; }
triage() {
	run triage 900 sh tests/triage/run.sh x86_64
	run 'triage network' 300 sh tests/triage/net.sh
	run 'triage aarch64' 600 sh tests/triage/run.sh aarch64
}
reproducible() { run reproducible 2400 sh tests/reproducible/run.sh; }

# Arguments: suites. Runs them, one after the other.
suites() {
	for suite; do
		case $suite in
		build | rules | unit | fuzz | http | cli | binaries | documents | scripts | \
			kmods | boot | image | growth | publish | upload | report | vm | \
			triage | reproducible) "$suite" ;;
		*)
			echo "run: unknown suite $suite" >&2
			exit 2
			;;
		esac
	done
}

if [ $# -gt 0 ]; then
	suites "$@"
else
	suites build
	suites vm growth boot &
	guests=$!
	# An interrupt does not reach what a shell has in the background. timeout, which is
	# its child, ends what it began.
	trap 'kill $guests $(pgrep -P $guests) 2> /dev/null || :' EXIT
	trap 'exit 5' HUP INT TERM
	suites rules unit fuzz http cli binaries documents scripts triage report kmods \
		image publish upload reproducible
	wait $guests
	trap - EXIT HUP INT TERM
fi
awk '{ ok += $1; bad += $2; skip += $3 }
	END {
		print ok + 0 " passed, " bad + 0 " failed, " skip + 0 " skipped"
		exit bad > 0
	}' "$log/counts"
