# shellcheck shell=sh disable=SC2154,SC2034 # sourced by run.sh
# Old releases, and everything that must not be taken for one.

fault none 0
region=ap-test-9

# Arguments: day, more members (JSON). Makes a snapshot of that day; prints its id.
snapshot() {
	fake_ask /_snapshot "$(jq -nc --arg day "$1" --argjson more "$2" '{region: "ap-test-9",
		state: "completed", time: "2026-01-\($day)T00:00:00.000Z",
		tags: {"fvol:release": "0.\($day)"}} + $more')" | jq -r .id
}

old=$(snapshot 01 '{}')
locked=$(snapshot 02 '{"lock":"compliance"}')
parent=$(snapshot 03 '{}')
evidence=$(snapshot 04 '{"tags":{"fvol:release":"0.1","fvol:custody-head":"x"}}')
other=$(snapshot 05 '{"tags":{"Name":"database"}}')
broken=$(snapshot 06 '{"state":"error"}')
used=$(snapshot 07 '{}')
new=$(snapshot 08 '{}')
newest=$(snapshot 09 '{}')
pending=$(snapshot 10 "{\"state\":\"pending\",\"tags\":{\"fvol:release\":\"1\",\"fvol:parent\":\"$parent\"}}")
# More than a page of them.
echo 5 > "$fake/page"

# Prints the ids that are left in this Region.
left() {
	state '[.snapshots[] | select(.region == "ap-test-9") | .id] | sort | join(" ")'
}

all=$(left)
check 'prune says what it would delete' 0 "would delete $old" ours prune --keep 2 --dry-run
[ "$(left)" = "$all" ] && [ "$(grep -c '^would delete' "$work/out")" = 2 ] && rc=0 || rc=1
result "$rc" 'and deletes nothing'
echo "$used" > "$fake/in-use"
check 'prune deletes, and says what it could not' 3 'could not be deleted' ours prune --keep 2
rm -f "$fake/in-use"
[ "$(left)" = "$(printf '%s\n' "$locked" "$parent" "$evidence" "$other" "$broken" "$used" \
	"$new" "$newest" "$pending" | sort | tr '\n' ' ' | sed 's/ $//')" ] && rc=0 || rc=1
result "$rc" 'only old releases go'
for words in "$locked .*: locked" "$parent .*: parent of" "$evidence .*: evidence" \
	"$broken .*: not completed" "$new .*: among the newest" "$used .*InUse"; do
	grep -Eq "^kept $words" "$work/out" && rc=0 || rc=1
	result "$rc" "and it says: ${words#*: }"
done
grep -q "$other" "$work/out" && rc=1 || rc=0
result "$rc" 'a snapshot without the tag is not even listed'
check 'the next time the rest goes' 0 "deleted $used" ours prune --keep 2
check '--json' 0 '"done":"kept"' ours prune --keep 2 --json
check 'nothing is kept by 0' 2 'takes 1 to 1000' ours prune --keep 0
region=
rm -f "$fake/page"
