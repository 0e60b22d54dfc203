# shellcheck shell=sh disable=SC2154,SC2034 # sourced by run.sh
# A release without faults.

check 'an image is published and read back' 0 '' publish --json --kms-key "$key" \
	--description 'forensic volume' --tag Team=IR "$work/a.img"
first=$(named)
cp "$work/out" "$work/published"
check 'the snapshot holds the image and nothing else' 0 '' holds "$first" "$work/a.img"
[ "$(requests 'PUT .* 201')" = "$n_blocks" ] && rc=0 || rc=1
result "$rc" 'only blocks that are not zero were sent, each once'
[ "$(requests 'GET .*/blocks/[0-9]+ 200')" = "$n_blocks" ] &&
	[ "$(jq .read_back "$work/published")" = "$n_blocks" ] && rc=0 || rc=1
result "$rc" 'and every one of them was read back'
state ".snapshots[] | select(.id == \"$first\") |
	[.kms, .tags[\"fvol:release\"], .tags[\"fvol:image-sha256\"], .tags.Team, .description,
	.gib] | @tsv" > "$work/out"
printf '%s\t%s\t%s\tIR\tforensic volume\t1\n' "$key" "$(cat VERSION)" \
	"$(sha256sum < "$work/a.img" | cut -c 1-64)" | diff - "$work/out" > "$work/err" && rc=0 || rc=1
result "$rc" 'its key, tags, size and description are those of the release'
[ ! -e "$work/a.img.publish" ] && grep -q "^snapshot $first$" "$work/a.img.blocks" && rc=0 || rc=1
result "$rc" 'the journal is gone and the list of blocks names the snapshot'
fault none 0
check 'publishing it again finds the snapshot' 0 '' publish --json --kms-key "$key" \
	--description 'forensic volume' --tag Team=IR "$work/a.img"
[ "$(named)" = "$first" ] && [ "$(jq .was_complete "$work/out")" = true ] &&
	[ "$(requests 'PUT ')" = 0 ] && rc=0 || rc=1
result "$rc" 'and sends nothing'
check 'a sample is read back' 0 '"read_back":5' publish --json --salt 2 --verify sample \
	--sample 5 "$work/a.img"
# Not a multiple of a block: the tail is padded with zeros.
head -c 300000 /dev/urandom >> "$work/a.img"
check 'an image whose last block is not full' 0 '' publish --json --verify none "$work/a.img"
check 'is padded' 0 '' holds "$(named)" "$work/a.img"
truncate -s 96M "$work/a.img"
check 'other keys are refused' 4 'UnrecognizedClientException' env AWS_ACCESS_KEY_ID=WRONG \
	AWS_SECRET_ACCESS_KEY=wrong "$tool" publish --key "$work/key.pub" --region eu-test-1 \
	--endpoint "https://localhost:$port" --ca "$work/ca.pem" --salt wrong "$work/a.img"
rm -f "$work/a.img.publish"
grep -q secretexample "$work/out" "$work/err" && rc=1 || rc=0
result "$rc" 'and no secret is said'
check 'a key that EBS does not know' 5 'INVALID_KMS_KEY|KMS' publish --salt k \
	--kms-key arn:aws:kms:eu-test-1:111122223333:key/none "$work/a.img"
rm -f "$work/a.img.publish"
