# shellcheck shell=sh disable=SC2154,SC2034 # sourced by run.sh
# A signed image, one of the next release, and the fake with its keys.

fake=$work/fake
mkdir -p "$fake"
make_ca "$work" ca
make_certificate "$work" server DNS:localhost,IP:127.0.0.1 2 ca
"$tool" keygen "$work/key" "$work/key.pub" > "$work/out"
"$tool" keygen "$work/other" "$work/other.pub" > "$work/out"
mkdir -p "$work/tree/data"
for n in 1 2 3 4 5 6 7 8; do head -c 2100000 /dev/urandom > "$work/tree/data/$n"; done
# Zeros in a file: blocks that are allocated and not sent.
head -c 6000000 /dev/zero > "$work/tree/data/zeros"
echo 'tree / data' > "$work/plan"

# Arguments: image, words of image build. Builds it of the tree.
build() {
	out=$1
	shift
	"$tool" build --plan "$work/plan" --root "$work/tree" --size 96M --epoch 1795219200 \
		"$@" "$out" > "$work/out"
}
build "$work/a.img" --sign-key "$work/key"
build "$work/unsigned.img"
# The next release: a little of one file differs, and its MANIFEST.
cp "$work/tree/data/3" "$work/old"
printf 'other bytes' | dd of="$work/tree/data/3" bs=1 seek=100000 conv=notrunc 2> "$work/err"
build "$work/b.img" --sign-key "$work/key"
mv "$work/old" "$work/tree/data/3"

key=arn:aws:kms:eu-test-1:111122223333:key/11111111-2222-3333-4444-555555555555
key_there=arn:aws:kms:us-test-2:111122223333:key/99999999-2222-3333-4444-555555555555
key_aws=arn:aws:kms:eu-test-1:111122223333:key/aaaaaaaa-2222-3333-4444-555555555555
policy='{"Version":"2012-10-17","Statement":{"Sid":"own","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"kms:*","Resource":"*"}}'
jq -n --arg key "$key" --arg there "$key_there" --arg aws "$key_aws" --arg policy "$policy" '
	{($key): {KeyManager: "CUSTOMER", KeyState: "Enabled", Policy: $policy},
	 ($there): {KeyManager: "CUSTOMER", KeyState: "Enabled", Policy: $policy},
	 ($aws): {KeyManager: "AWS", KeyState: "Enabled", Policy: $policy}}' > "$fake/keys.json"
python3 tests/ebs/server.py "$fake" "$work/server.pem" "$work/server.key" \
	> "$fake/port" 2> "$fake/log" &
server_pids="$server_pids $!"
wait_for 20 test -s "$fake/port"
port=$(cat "$fake/port")
fault none 0
