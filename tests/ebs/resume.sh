# shellcheck shell=sh disable=SC2154,SC2034 # sourced by run.sh
# Killed in the middle, publish goes on where it was.

# Arguments: number. Waits until so many blocks were acknowledged.
puts_are() {
	[ "$(requests 'PUT .* 201')" -ge "$1" ]
}

fault none 0
connections=2
echo 100 > "$fake/latency"
publish --salt kill "$work/a.img" > "$work/out" 2> "$work/err" &
pid=$!
wait_for 30 puts_are 8
# The shell's function runs env, which became the program.
kill -9 "$(pgrep -P "$pid" || echo "$pid")" 2> "$work/err" || kill -9 "$pid"
wait "$pid" 2> "$work/err" || :
rm -f "$fake/latency"
sleep 0.5
sent=$(requests 'PUT .* 201')
[ "$sent" -ge 8 ] && [ "$sent" -lt "$n_blocks" ] && [ -s "$work/a.img.publish" ] && rc=0 || rc=1
result "$rc" 'a publish was killed in the middle'
cp "$work/a.img.publish" "$work/journal"
known=$(grep -c '^put ' "$work/journal")
check 'another image does not take its journal' 5 'of another image' publish --salt kill \
	--journal "$work/a.img.publish" "$work/b.img"
check 'nor does the same image with other options' 5 'other options' publish --salt other \
	"$work/a.img"
sed '4s/put ./put 9/' "$work/journal" > "$work/a.img.publish"
check 'a journal that was changed is an error' 5 'line 4 is damaged' publish --salt kill \
	"$work/a.img"
{ cat "$work/journal"; printf 'put 12'; } > "$work/a.img.publish"
: > "$fake/requests"
check 'a torn last line is none' 0 '' publish --json --salt kill "$work/a.img"
more=$(requests 'PUT .* 201')
[ "$more" = $((n_blocks - known)) ] && [ "$(requests 'POST /snapshots 201')" = 0 ] &&
	[ "$(jq .kept "$work/out")" = "$known" ] && rc=0 || rc=1
result "$rc" "only the missing blocks were sent again ($known known, $sent acknowledged, $more sent)"
# What was on its way when it was killed may be sent twice, and no more than that.
[ $((sent - known)) -le 2 ] && rc=0 || rc=1
result "$rc" 'and no more than what was on its way was sent twice'
check 'and the snapshot is whole' 0 '' holds "$(named)" "$work/a.img"
echo 100 > "$fake/latency"
publish --salt int "$work/a.img" > "$work/out" 2> "$work/err" &
pid=$!
: > "$fake/requests"
wait_for 30 puts_are 4
kill -INT "$(pgrep -P "$pid" || echo "$pid")"
rc=0
wait "$pid" || rc=$?
rm -f "$fake/latency"
[ "$rc" = 5 ] && grep -q interrupted "$work/err" && rc=0 || rc=1
result "$rc" 'a signal ends it with a sentence'
check 'and it goes on as well' 0 '' publish --json --salt int "$work/a.img"
connections=
