# shellcheck shell=sh disable=SC2154,SC2034,SC2317 # sourced by run.sh
# A tar.zst of triage straight into S3, from made-up trees: whole, or not there.

triage=$(dirname "$tool")/triage
[ "$tool" = "$work/tool" ] && triage=$work/triage &&
	sed "s,bin/upload,bin/triage," "$work/tool" > "$triage" && chmod 755 "$triage"
bin=$root/build/release/x86_64/bin
tree=$work/triage.d

# Arguments: pid. Makes a process whose environment does not compress.
made_up() {
	mkdir -p "$tree/proc/$1/fd" "$tree/proc/$1/ns"
	printf '%s (app) S 1 %s %s 0 -1 4194560 1 0 0 0 1 1 0 0 20 0 1 0 100 1 1 1%s\n' \
		"$1" "$1" "$1" "$(printf ' 0%.0s' $(seq 27))" > "$tree/proc/$1/stat"
	printf 'Name:\tapp\nUid:\t0\t0\t0\t0\n' > "$tree/proc/$1/status"
	printf '/app\0' > "$tree/proc/$1/cmdline"
	printf 'S=%s\0' "$(head -c 1500000 /dev/urandom | base64 -w 0)" > "$tree/proc/$1/environ"
}
mkdir -p "$tree/proc/self" "$tree/proc/sys/kernel/random" "$tree/sys" "$tree/root"
echo 'Linux version 6.1.0' > "$tree/proc/version"
for pid in 11 12 13 14 15 16; do made_up $pid; done

# Arguments: words of triage. Exit 3: much is missing in the trees.
collect() {
	(cd "$tree" && exec env AWS_ACCESS_KEY_ID=ROOTKEY1 AWS_SECRET_ACCESS_KEY=rootsecret1 \
		"$triage" --proc proc --sys sys --root root -i i-0123456789abcdef0 --json \
		--ca "$rgw/ca.pem" --endpoint "https://localhost:$proxy_port" \
		--region eu-test-1 --part-size 5M "$@")
}

# Arguments: prefix. Prints the keys below it.
keys_below() {
	client GET "/evidence?list-type=2&prefix=$1/" | tr '<' '\n' | sed -n 's/^Key>//p'
}

# Arguments: prefix. Fetches the one archive below it and unpacks it.
unpack_all() {
	rm -rf "$work/unpacked"
	mkdir "$work/unpacked"
	fetch "evidence/$(keys_below "$1")" "$work/triage.tar.zst"
	tar --zstd -xf "$work/triage.tar.zst" --no-same-owner -C "$work/unpacked" &&
		(cd "$work/unpacked/i-0123456789abcdef0"/* && sha256sum -c SHA256SUMS)
}

: > "$proxy/requests"
: > "$work/before"
check 'triage into S3' 3 '"where":"s3://evidence/t/1/i-0123456789abcdef0/[0-9TZ]*/triage.tar.zst"' \
	collect --to s3://evidence/t/1/
cp "$work/out" "$work/triage.json"
check 'in parts' 0 '^[23]$' requests 'PUT .*partNumber=.* 200'
check 'one object' 0 "^t/1/i-0123456789abcdef0/[0-9TZ]*/triage.tar.zst$" keys_below t/1
check 'its files agree with their hashes' 0 'triage.jsonl: OK' unpack_all t/1
check 'all of them' 0 '^6$' sh -c "cat '$work'/unpacked/*/*/SHA256SUMS | wc -l"
check 'the log has the head that was printed' 0 \
	"^$(jq -r .custody_head "$work/triage.json")" sh -c "'$bin/hash' --custody head '$work'/unpacked/*/*/custody.jsonl"
check 'the records have the hash that was printed' 0 "^$(jq -r .sha256 "$work/triage.json") " \
	sh -c "sha256sum '$work'/unpacked/*/*/triage.jsonl"
check 'compress bundle agrees' 0 '8 files, 6 as SHA256SUMS' \
	"$bin/compress" bundle --check "$work/triage.tar.zst"
check 'nothing is on the disk' 1 '' sh -c "find '$tree' -newer '$work/before' | grep ."
check 'the keys appear nowhere' 1 '' \
	grep -rqaE 'rootsecret1|ROOTKEY1' "$work/unpacked" "$work/triage.json"

fault cut 3 PUT partNumber
check 'connections are cut' 3 '"where"' collect --to s3://evidence/t/2/
check 'the archive is whole' 0 'triage.jsonl: OK' unpack_all t/2
fault 503 9 PUT partNumber=2
check 'the server never recovers' 5 '503 SlowDown' collect --retries 9 --to s3://evidence/t/3/
fault none 0
check 'there is no object' 1 '' sh -c "[ -n '$(keys_below t/3)' ]"
fault stall 9 PUT partNumber=2
collect --parallel 1 --to s3://evidence/t/4/ > /dev/null 2>&1 &
pid=$!
wait_for 60 grep -q 'partNumber=1.* 200' "$proxy/requests"
pkill -9 -P $pid 2> /dev/null || :
kill -9 $pid 2> /dev/null || :
wait $pid 2> /dev/null || :
fault none 0
check 'killed half-way: there is no object' 1 '' sh -c "[ -n '$(keys_below t/4)' ]"
check 'a refused place' 5 'NoSuchBucket' collect --to s3://nowhere/x/
