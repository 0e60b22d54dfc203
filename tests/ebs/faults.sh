# shellcheck shell=sh disable=SC2154,SC2034 # sourced by run.sh
# Each fault of the service and of the way to it.

# Arguments: title, fault words.
survives() {
	title=$1
	shift
	rm -f "$work/a.img.publish"
	fault "$@"
	check "$title" 0 '' publish --json --salt "$title" "$work/a.img"
	cp "$work/out" "$work/published"
	rc=0
	holds "$(named)" "$work/a.img" > "$work/err" 2>&1 || rc=1
	result "$rc" 'and the snapshot is whole'
}

survives 'every third call throttled' throttle every 3
[ "$(requests ' 400 RequestThrottledException')" -gt 10 ] &&
	[ "$(jq .throttled "$work/published")" -gt 0 ] && rc=0 || rc=1
result "$rc" 'which publish counts'
survives 'every fifth call beyond a quota' quota every 5
survives 'EC2 says RequestLimitExceeded' limit 2 POST '/ '
survives 'errors of the service' 500 every 6
survives 'connections cut in the middle of a block' cut 8 PUT
survives 'a connection cut while reading back' cut 4 GET
survives 'StartSnapshot whose answer is lost' lost 1 POST '/snapshots '
[ "$(state "[.snapshots[] | select(.state == \"pending\")] | length")" = 0 ] && rc=0 || rc=1
result "$rc" 'and no second one was started'
survives 'CompleteSnapshot whose answer is lost' lost 1 POST completion
survives 'blocks whose acknowledgement is lost' lost 5 PUT
survives 'a block that was garbled on its way back' garble 2 GET '/blocks/[0-9]'
fault stall 2 PUT
check 'a line that stalls is given up and tried again' 0 '' publish --json --salt stall \
	--stall 1 "$work/a.img"
fault none 0

fault lie 1 GET '/blocks/[0-9]'
check 'a block that is read back with other bytes is a no' 1 'is not the image' publish \
	--salt lie "$work/a.img"
rm -f "$work/a.img.publish"
fault garble 100000 GET '/blocks/[0-9]'
check 'and so are bytes that never match their checksum' 1 'not those of its checksum' \
	publish --salt garble "$work/a.img"
rm -f "$work/a.img.publish"
fault 500 100000 PUT
check 'a service that fails for good is a failure' 5 'ebs answered 500' publish --salt 500 \
	--retries 2 "$work/a.img"
fault none 0
check 'after which the next run goes on' 0 '' publish --json --salt 500 "$work/a.img"
echo 'Given key ID is not accessible' > "$fake/failure"
check 'a snapshot that ends in error says why' 5 'error: Given key ID is not accessible' \
	publish --salt error "$work/a.img"
rm -f "$fake/failure"
check 'and its journal says what to do' 5 'another --salt' publish --salt error "$work/a.img"
rm -f "$work/a.img.publish"
