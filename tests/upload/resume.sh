# shellcheck shell=sh disable=SC2154 # sourced by run.sh
# An upload that was killed goes on with what is missing.

# Arguments: journal, key. Starts an upload of four parts that the third part stalls, and
# kills it when two parts are in the journal.
kill_half_way() {
	fault stall 9 PUT 'partNumber=[34]'
	up -p 5M -P 1 --journal "$1" "$work/four" "$2" > /dev/null 2>&1 &
	pid=$!
	wait_for 30 sh -c "[ \"\$(grep -c '^{\"part\"' '$1')\" -ge 2 ]"
	# env was replaced by the tool, or by the emulator that runs it.
	pkill -9 -P $pid 2> /dev/null || :
	kill -9 $pid 2> /dev/null || :
	wait $pid 2> /dev/null || :
	# Its lock goes with it, which may take a moment.
	flock -w 20 "$1" true
	fault none 0
}
head -c 20971520 /dev/urandom > "$work/four"

kill_half_way "$work/j1" s3://evidence/j/1
check 'killed half-way: no object' 0 '' absent evidence/j/1
check 'goes on with what is missing' 0 '"parts":4,"kept":2' up --json --journal "$work/j1" "$work/four" s3://evidence/j/1
check 'two parts were sent' 0 '^2$' requests 'partNumber=.* 200'
check 'the same bytes' 0 '' same "$work/four" evidence/j/1
check 'the same once more sends nothing' 0 '"was_complete":true' up --json --journal "$work/j1" "$work/four" s3://evidence/j/1
check 'other bytes are not what the journal is of' 1 'other bytes' up --journal "$work/j1" "$work/big" s3://evidence/j/1
check 'the journal of another object' 2 'of another object' up --journal "$work/j1" "$work/four" s3://evidence/j/other
check 'the journal holds no secret' 1 '' grep -qaE 'rootsecret1|Signature|ROOTKEY1' "$work/j1"

kill_half_way "$work/j2" s3://evidence/j/2
cp "$work/four" "$work/changed"
printf x | dd of="$work/changed" bs=1 seek=100 conv=notrunc 2> /dev/null
check 'a part that changed is sent again' 0 '"kept":1' up --json --journal "$work/j2" "$work/changed" s3://evidence/j/2
check 'the same bytes' 0 '' same "$work/changed" evidence/j/2

kill_half_way "$work/j3" s3://evidence/j/3
python3 - "$work/j3" <<-EOF
	import sys
	text = open(sys.argv[1]).read().rstrip("\n")
	open(sys.argv[1], "w").write(text[:-20])
EOF
check 'a torn line is a part that is known by its checksum' 0 '"kept":2' up --json --journal "$work/j3" \
	"$work/four" s3://evidence/j/3
check 'the same bytes' 0 '' same "$work/four" evidence/j/3

kill_half_way "$work/j4" s3://evidence/j/4
check 'an upload can be given up' 0 '' up abort --journal "$work/j4" s3://evidence/j/4
check 'then it is gone' 5 'is gone' up --journal "$work/j4" "$work/four" s3://evidence/j/4

kill_half_way "$work/j5" s3://evidence/j/5
fault lost 1 POST uploadId
check 'killed, and the answer to completing lost' 0 '"kept":2' up --json --journal "$work/j5" "$work/four" s3://evidence/j/5
check 'the same bytes' 0 '' same "$work/four" evidence/j/5
fault none 0
