#!/bin/sh
# What triage makes of records, as other programs read it: Timesketch's and varc's forms
# by a reader of our own, the bodyfile by mactime, the report in Chromium. The records are
# of a host that was never there, and as hostile as we could think of.
set -eu
cd "$(dirname "$0")/../.."
out=build/check/report
rm -rf "$out"
mkdir -p "$out/whole" "$out/cut" "$out/many"
derive=build/check/bin/triage_derive

# Processes 1 to 120: each payload stands in each place at least once.
python3 tests/report/records.py 120 > "$out/whole.jsonl"
"$derive" "$out/whole.jsonl" "$out/whole"
mactime -b "$out/whole/bodyfile.txt" -y -z UTC > "$out/mactime" 2> "$out/mactime.err"
failed=0
python3 tests/report/check.py "$out/whole.jsonl" "$out/whole" "$out/mactime" || failed=1

# Cut within a line: said, and everything before it is there.
head -c 100000 "$out/whole.jsonl" > "$out/cut.jsonl"
rc=0
"$derive" "$out/cut.jsonl" "$out/cut" 2> "$out/cut.err" || rc=$?
if [ "$rc" -eq 3 ] && grep -q 'cut short' "$out/cut.err"; then
	echo "ok records that were cut short are said to be"
else
	echo "FAIL records that were cut short are said to be"
	failed=1
fi

python3 tests/report/records.py 3000 > "$out/many.jsonl"
"$derive" "$out/many.jsonl" "$out/many"
python3 tests/report/page.py "$out/whole.jsonl" "$out/whole/report.html" \
	"$out/cut/report.html" "$out/many/report.html" || failed=1
exit $failed
