# shellcheck shell=sh disable=SC2154,SC2034 # sourced by run.sh
# Sharing with exactly a list, and the key that makes it of use.

fault none 0
publish --json --salt share --kms-key "$key" "$work/a.img" > "$work/out" 2> "$work/err"
shared=$(named)

# Prints who may use the snapshot.
users() {
	state ".snapshots[] | select(.id == \"${1:-$shared}\") | .users | sort | join(\",\")"
}

# Arguments: words of share.
share() {
	ours share "$@"
}

cat > "$work/accounts" <<-'END'
	# The organisation.
	222222222222
	333333333333   # production
END
check 'a key whose policy lacks the accounts' 1 'kms:GrantIsForAWSResource' share \
	--accounts "$work/accounts" "$shared"
[ -z "$(users)" ] && rc=0 || rc=1
result "$rc" 'nobody was added before the key could be used'
check '--dry-run shows what would be done' 0 'would add 222222222222' share --dry-run \
	--accounts "$work/accounts" "$shared"
[ -z "$(users)" ] && rc=0 || rc=1
result "$rc" 'and does nothing'
check '--write-key-policy adds them' 0 'policy was written and looked at' share \
	--write-key-policy --accounts "$work/accounts" "$shared"
[ "$(users)" = 222222222222,333333333333 ] && rc=0 || rc=1
result "$rc" 'and the snapshot is shared with the list'
state ".keys[\"$key\"].Policy" > "$work/policy.json"
jq -e '.Statement | length == 3 and .[0].Sid == "own" and
	.[1].Principal.AWS == ["arn:aws:iam::222222222222:root", "arn:aws:iam::333333333333:root"]' \
	"$work/policy.json" > "$work/out" && rc=0 || rc=1
result "$rc" 'what the policy had before is still there'
fault none 0
check 'a second time it changes nothing' 0 'already' share --write-key-policy \
	--accounts "$work/accounts" "$shared"
[ "$(requests 'ModifySnapshotAttribute|PutKeyPolicy')" = 0 ] && rc=0 || rc=1
result "$rc" 'and asks for no change'
check 'another list' 0 'removed 222222222222' share --grants \
	--accounts 333333333333,444444444444 "$shared"
[ "$(users)" = 333333333333,444444444444 ] && rc=0 || rc=1
result "$rc" 'adds and removes'
[ "$(state ".keys[\"$key\"].Grants | length")" = 1 ] && rc=0 || rc=1
result "$rc" 'and grants are made for whom the policy lacks'
for n in $(seq 1 1201); do printf '5%011d\n' "$n"; done > "$work/many"
fault none 0
check 'more accounts than a call takes' 0 '' share --no-key-check --accounts "$work/many" "$shared"
[ "$(requests 'ModifySnapshotAttribute')" = 4 ] &&
	[ "$(users | tr ',' '\n' | wc -l)" = 1201 ] && rc=0 || rc=1
result "$rc" 'take several'
check 'an account that is none' 2 'line 2: an account is 12 digits' share --accounts \
	"$(printf '222222222222\n12' > "$work/bad"; echo "$work/bad")" "$shared"
echo '# none' > "$work/none"
check 'a list without one' 2 'nobody takes all away' share --accounts "$work/none" "$shared"
check '--nobody takes all away' 0 '' share --nobody "$shared"
[ -z "$(users)" ] && rc=0 || rc=1
result "$rc" 'all of them'

# What cannot be shared, and says why.
fake_ask /_snapshot "{\"region\":\"eu-test-1\",\"state\":\"completed\",\"kms\":\"$key_aws\"}" > "$work/x"
check 'the default key is refused with the reason' 4 'default key .* no other account can use' \
	share --accounts 222222222222 "$(jq -r .id "$work/x")"
fake_ask /_snapshot '{"region":"eu-test-1","state":"pending"}' > "$work/x"
check 'a snapshot that is not completed is not shared' 5 'is pending' share \
	--accounts 222222222222 "$(jq -r .id "$work/x")"
check 'a snapshot that is not there' 1 'there is no snapshot' share --accounts 222222222222 \
	snap-0123456789abcdef0
fake_ask /_snapshot '{"region":"eu-test-1","state":"completed","groups":["all"]}' > "$work/x"
check 'a public snapshot is public no longer' 0 'no longer public' share \
	--accounts 222222222222 "$(jq -r .id "$work/x")"
[ "$(state ".snapshots[] | select(.id == \"$(jq -r .id "$work/x")\") | .groups | length")" = 0 ] &&
	rc=0 || rc=1
result "$rc" 'EC2 says so, too'
jq -c '.Statement += [{"Effect":"Deny","Principal":"*","Action":"kms:Decrypt","Resource":"*"}]' \
	"$work/policy.json" > "$work/deny.json"
fake_ask /_key "$(jq -n --arg key "$key" --rawfile policy "$work/deny.json" \
	'{($key): {KeyManager: "CUSTOMER", KeyState: "Enabled", Policy: $policy}}')" > "$work/x"
check 'a policy that denies it' 1 'a statement denies it' share --write-key-policy \
	--accounts 222222222222 "$shared"
fake_ask /_key "$(jq -n --arg key "$key" --arg policy "$policy" \
	'{($key): {KeyManager: "CUSTOMER", KeyState: "Disabled", Policy: $policy}}')" > "$work/x"
check 'a disabled key' 4 'is Disabled' share --accounts 222222222222 "$shared"
fake_ask /_key "$(jq -n --arg key "$key" --arg policy "$policy" \
	'{($key): {KeyManager: "CUSTOMER", KeyState: "Enabled", Policy: $policy}}')" > "$work/x"

# Block Public Access, lock, copies.
check 'Block Public Access is shown, and enabled' 0 'Block Public Access: block-all-sharing' share \
	--write-key-policy --block-public-access --lock governance --lock-days 30 \
	--accounts 222222222222 "$shared"
[ "$(state '.public["eu-test-1"]')" = block-all-sharing ] &&
	[ "$(state ".snapshots[] | select(.id == \"$shared\") | .lock")" = governance ] && rc=0 || rc=1
result "$rc" 'and the snapshot is locked'
check 'a copy into another Region' 0 'us-test-2, copied' share --write-key-policy \
	--accounts 222222222222 --copy-to us-test-2 --kms-key "$key_there" "$shared"
copy=$(state '.snapshots[] | select(.region == "us-test-2") | .id')
[ "$(users "$copy")" = 222222222222 ] && [ "$(state ".snapshots[] | select(.id == \"$copy\") |
	[.kms, .tags[\"fvol:copy-of\"], .tags[\"fvol:image-sha256\"]] | join(\" \")")" = \
	"$key_there $shared $(sha256sum < "$work/a.img" | cut -c 1-64)" ] && rc=0 || rc=1
result "$rc" 'is shared, encrypted with its key and tagged'
fault none 0
check 'a second time it finds the copy' 0 "$copy" share --json --write-key-policy \
	--accounts 222222222222 --copy-to us-test-2 --kms-key "$key_there" "$shared"
[ "$(requests 'CopySnapshot')" = 0 ] && rc=0 || rc=1
result "$rc" 'and makes no other'
check 'a copy with a key that is not there' 5 'error: Given key ID is not accessible' share \
	--write-key-policy --accounts 222222222222 --copy-to us-test-3 \
	--kms-key arn:aws:kms:us-test-3:111122223333:key/none "$shared"
fault none 0
check 'a copy with a key of another Region is refused' 2 \
	'key is of Region us-test-2, the snapshot would be in us-test-3' share \
	--accounts 222222222222 --copy-to us-test-3 --kms-key "$key_there" "$shared"
[ "$(requests .)" = 0 ] && rc=0 || rc=1
result "$rc" 'before anything is asked'
