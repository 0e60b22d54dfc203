# shellcheck shell=sh disable=SC2154 # sourced by run.sh
# What needs no account: the image's signature, --plan and --to-file.

check 'an unsigned image is refused' 1 'MANIFEST.sig: no such file' "$tool" publish --plan \
	--key "$work/key.pub" "$work/unsigned.img"
check 'and so is one that another key signed' 1 'no trusted key has signed it' "$tool" publish --plan \
	--key "$work/other.pub" "$work/a.img"
check 'and one of which nobody says who signed' 2 'whose signature' "$tool" publish --plan \
	"$work/a.img"
cp "$work/a.img" "$work/damaged.img"
block=$(PATH=$PATH:/sbin:/usr/sbin debugfs -R 'blocks /5' "$work/a.img" 2> "$work/err" | awk '{print $2}')
printf 'x' | dd of="$work/damaged.img" bs=1 seek=$((block * 4096 + 7)) conv=notrunc 2> "$work/err"
check 'an image that is not what its MANIFEST says is refused' 1 'differ' "$tool" publish \
	--plan --key "$work/key.pub" "$work/damaged.img"
check 'a plan of an unsigned image that is asked for' 0 'signature not checked' "$tool" \
	publish --plan --unsigned --region eu-test-1 "$work/unsigned.img"

check '--plan counts what is not zero' 0 '' "$tool" publish --plan --json \
	--key "$work/key.pub" --region eu-test-1 "$work/a.img"
cp "$work/out" "$work/plan.json"
n_blocks=$(jq .blocks_to_send "$work/plan.json")
python3 - "$work/a.img" "$work/plan.json" > "$work/out" 2> "$work/err" << 'END' && rc=0 || rc=$?
import base64, hashlib, json, sys
plan, digests = json.load(open(sys.argv[2])), []
whole = hashlib.sha256()
with open(sys.argv[1], "rb") as f:
    while data := f.read(524288):
        whole.update(data)
        data = data.ljust(524288, b"\0")
        if any(data):
            digests.append(hashlib.sha256(data).digest())
assert plan["blocks_to_send"] == len(digests), len(digests)
assert plan["requests"] == len(digests) + 2
assert plan["checksum"] == base64.b64encode(hashlib.sha256(b"".join(digests)).digest()).decode()
assert plan["image_sha256"] == whole.hexdigest()
assert len(plan["token"]) == 64 and plan["signed"] and plan["volume_gib"] == 1
END
result "$rc" 'and its checksum is the one that Python makes'
check 'the same plan has the same token' 0 "$(jq -r .token "$work/plan.json")" "$tool" \
	publish --plan --key "$work/key.pub" --region eu-test-1 "$work/a.img"
for words in '--region eu-test-2' '--region eu-test-1 --salt x' \
	'--region eu-test-1 --tag a=b' '--region eu-test-1 --description a' \
	'--region eu-test-1 --kms-key arn:aws:kms:eu-test-1:111122223333:key/x'; do
	# shellcheck disable=SC2086 # words
	"$tool" publish --plan --json --key "$work/key.pub" $words "$work/a.img" > "$work/out"
	[ "$(jq -r .token "$work/out")" != "$(jq -r .token "$work/plan.json")" ] && rc=0 || rc=1
	result "$rc" "another token with $words"
done

check '--to-file writes the volume' 0 'written and read back' "$tool" publish \
	--key "$work/key.pub" --to-file "$work/volume.raw" "$work/a.img"
[ "$(stat -c %s "$work/volume.raw")" = $((1 << 30)) ] &&
	cmp -n "$(stat -c %s "$work/a.img")" "$work/volume.raw" "$work/a.img" &&
	[ "$(stat -c %b "$work/volume.raw")" -le $((n_blocks * 1024 + 64)) ] && rc=0 || rc=1
result "$rc" 'of 1 GiB, sparse, with the image in it'
[ "$(sed -n 's/^count //p' "$work/volume.raw.blocks")" = "$n_blocks" ] &&
	grep -q '^snapshot -$' "$work/volume.raw.blocks" && rc=0 || rc=1
result "$rc" 'and its list of blocks'
check 'not over the image itself' 2 'the image itself' "$tool" publish --key "$work/key.pub" \
	--to-file "$work/a.img" "$work/a.img"
check 'a parent with a key is refused' 2 'exclude one another' "$tool" publish --plan \
	--unsigned --parent snap-0123456789abcdef0 --parent-blocks x --kms-key "$key" "$work/a.img"

# A key of another Region would be refused only when the snapshot has failed.
check 'a key of another Region is refused' 2 \
	'key is of Region us-test-2, the snapshot would be in eu-test-1' "$tool" publish --plan \
	--unsigned --region eu-test-1 --kms-key "$key_there" "$work/a.img"
check 'also when the Region comes from the environment' 2 \
	'key is of Region eu-test-1, the snapshot would be in us-test-2' env AWS_REGION=us-test-2 \
	"$tool" publish --plan --unsigned --kms-key "$key" "$work/a.img"
check 'and when no plan is asked for' 2 \
	'key is of Region us-test-2, the snapshot would be in eu-test-1' \
	publish --kms-key "$key_there" "$work/a.img"
for arn in x arn:aws:kms:eu-test-1:111122223333:alias/x arn:aws:s3:eu-test-1:111122223333:key/x \
	arn:aws:kms::111122223333:key/x arn:aws:kms:eu-test-1:1111:key/x \
	arn:aws:kms:eu-test-1:111122223333:key/; do
	check "no key: $arn" 2 '--kms-key: is not an ARN' "$tool" publish --plan --unsigned \
		--kms-key "$arn" "$work/a.img"
done
