# shellcheck shell=sh disable=SC2154,SC2034,SC2317 # sourced by run.sh
# Evidence straight into S3, from a made-up /proc: alone, and beside a directory.

capture=$(dirname "$tool")/capture
[ "$tool" = "$work/tool" ] && capture=$work/capture &&
	sed "s,bin/upload,bin/capture," "$work/tool" > "$capture" && chmod 755 "$capture"
case_dir=$work/capture.d
mkdir -p "$case_dir/proc" "$case_dir/evidence"
(cd "$case_dir" && "$root/build/check/bin/mkproc" proc)

# Arguments: words of capture. Exit 3: the made-up machine has a gap.
take() {
	(cd "$case_dir" && env AWS_ACCESS_KEY_ID=ROOTKEY1 AWS_SECRET_ACCESS_KEY=rootsecret1 \
		"$capture" --proc proc --sys proc --dev proc -s kcore -i i-0123456789abcdef0 \
		--json --ca "$rgw/ca.pem" --endpoint "https://localhost:$proxy_port" \
		--region eu-test-1 --part-size 5M "$@")
}

# Arguments: directory. Fetches every object that SHA256SUMS below $place names.
fetch_evidence() {
	rm -rf "$1"
	mkdir -p "$1"
	fetch "$place/SHA256SUMS" "$1/SHA256SUMS"
	fetch "$place/custody.jsonl" "$1/custody.jsonl"
	sed 's/^[0-9a-f]*  //' "$1/SHA256SUMS" | while read -r name; do
		fetch "$place/$name" "$1/$name"
	done
	(cd "$1" && sha256sum -c SHA256SUMS) && "$hash" --custody verify "$1/custody.jsonl"
}
hash=$root/build/release/x86_64/bin/hash

check 'capture into S3 alone' 3 '"s3":"s3://evidence/live/i-0123456789abcdef0/' \
	take --to s3://evidence/live
cp "$work/out" "$case_dir/json"
place=evidence/$(sed -n 's,.*"image":"\([^"]*\)/memory.lime".*,live/\1,p' "$work/out")
check 'all of it is there, and agrees' 0 'memory.lime: OK' fetch_evidence "$work/fetched"
check 'the log has the head that was printed' 0 "^$(jq -r .custody_head "$case_dir/json")" \
	"$hash" --custody head "$work/fetched/custody.jsonl"
check 'nothing is on the disk' 1 '' sh -c "ls -A '$case_dir/evidence' | grep ."

check 'capture into S3 and a directory' 3 '"s3":' take --to s3://evidence/both/ --to evidence
image=$(sed -n 's,.*"image":"\([^"]*\)/memory.lime".*,\1,p' "$work/out")
place=evidence/both/$image
check 'both agree' 0 '' sh -c "cd '$case_dir/evidence/$image' && sha256sum -c --quiet SHA256SUMS"
check 'what is in S3 is what is on the disk' 0 '' same \
	"$case_dir/evidence/$image/memory.lime" "$place/memory.lime"
for name in SHA256SUMS record.json memory.chunks symbols.tar custody.jsonl; do
	check "and $name" 0 '' same "$case_dir/evidence/$image/$name" "$place/$name"
done

for format in avml zst; do
	check "capture into S3 as $format" 3 '"s3":' take -f $format --to s3://evidence/$format
	place=evidence/$format/$(sed -n 's,.*"image":"\([^"]*\)/memory[^"]*".*,\1,p' "$work/out")
	check "$format agrees with its hash" 0 ': OK' fetch_evidence "$work/fetched"
done

check 'a refused place: the directory has all' 5 'whole on the volume, but not in S3' \
	take --to s3://nowhere/x --to evidence
image=$(find "$case_dir/evidence" -name SHA256SUMS | sort | tail -n 1)
check 'the directory agrees' 0 '' sh -c "cd '${image%/*}' && sha256sum -c --quiet SHA256SUMS"
check 'a refused place alone' 5 'NoSuchBucket' take --to s3://nowhere/x
