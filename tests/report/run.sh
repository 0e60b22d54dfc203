#!/bin/sh
# What triage makes of records, as other programs read it: Timesketch's and varc's forms
# by a reader of our own, the bodyfile by mactime, the report in Chromium. The records are
# of a host that was never there, and as hostile as we could think of.
set -eu
cd "$(dirname "$0")/../.."
out=build/check/report
rm -rf "$out"
mkdir -p "$out"
triage=build/release/x86_64/bin/triage
failed=0

# Arguments: name, command... Prints the result line.
result() {
	name=$1
	shift
	if "$@"; then
		echo "ok $name"
	else
		echo "FAIL $name"
		failed=1
	fi
}

# Processes 1 to 120: each payload stands in each place at least once.
python3 tests/report/records.py 120 > "$out/whole.jsonl"
"$triage" --from "$out/whole.jsonl" --output "$out/whole"
mactime -b "$out/whole/bodyfile.txt" -y -z UTC > "$out/mactime"
python3 tests/report/check.py "$out/whole.jsonl" "$out/whole" "$out/mactime" || failed=1

qemu-aarch64-static build/release/aarch64/bin/triage --from "$out/whole.jsonl" \
	--output "$out/aarch64"
result 'both architectures make the same' cmp "$out/whole/SHA256SUMS" "$out/aarch64/SHA256SUMS"

# Cut within a line: said, and everything before it is there.
head -c 100000 "$out/whole.jsonl" > "$out/cut.jsonl"
rc=0
"$triage" --from "$out/cut.jsonl" --output "$out/cut" 2> "$out/cut.err" || rc=$?
result 'records that were cut short are said to be' grep -q 'cut short' "$out/cut.err"
result 'and the exit code is that of gaps' [ "$rc" -eq 3 ]

python3 tests/report/records.py 3000 > "$out/many.jsonl"
"$triage" --from "$out/many.jsonl" --output "$out/many"
python3 tests/report/page.py "$out/whole.jsonl" "$out/whole/report.html" \
	"$out/cut/report.html" "$out/many/report.html" || failed=1
exit $failed
