# shellcheck shell=sh disable=SC2154,SC2034 # sourced by run.sh
# Releases against a parent.

fault none 0
check 'a parent is published' 0 '' publish --json --salt parent --kms-key "$key" "$work/a.img"
parent=$(named)
cp "$work/a.img.blocks" "$work/parent.blocks"
check 'the next release against its list of blocks' 0 '' publish --json --parent "$parent" \
	--parent-blocks "$work/parent.blocks" "$work/b.img"
child=$(named)
differ=$(python3 - "$work/a.img" "$work/b.img" << 'END'
import sys
with open(sys.argv[1], "rb") as a, open(sys.argv[2], "rb") as b:
    n = 0
    while x := a.read(524288):
        n += x != b.read(524288)
print(n)
END
)
fault none 0
check 'holds the new image' 0 '' holds "$child" "$work/b.img"
[ "$(jq -r --arg id "$child" '.snapshots[] | select(.id == $id) | .own' "$work/state")" = \
	"$differ" ] && [ "$differ" -lt "$n_blocks" ] && rc=0 || rc=1
result "$rc" "only blocks that differ were sent ($differ of $n_blocks)"
[ "$(jq -r --arg id "$child" '.snapshots[] | select(.id == $id) | .kms' "$work/state")" = \
	"$key" ] && rc=0 || rc=1
result "$rc" 'and it is encrypted as its parent is'
check 'the same without the list: the parent is read back' 0 '' publish --json \
	--salt read --parent "$parent" "$work/b.img"
check 'gives the same' 0 '' holds "$(named)" "$work/b.img"
# What only the parent has must become zero.
mv "$work/tree/data/8" "$work/8"
build "$work/less.img" --sign-key "$work/key"
mv "$work/8" "$work/tree/data/8"
check 'a release that holds less than its parent' 0 '' publish --json --parent "$parent" \
	--parent-blocks "$work/parent.blocks" "$work/less.img"
less=$(named)
check 'has zeros where there is nothing any more' 0 '' holds "$less" "$work/less.img"
[ "$(jq -r --arg id "$less" --arg zero \
	"$(head -c 524288 /dev/zero | sha256sum | cut -c 1-64)" \
	'[.snapshots[] | select(.id == $id) | .blocks[] | select(. == $zero)] | length' \
	"$work/state")" -gt 0 ] && rc=0 || rc=1
result "$rc" 'which were sent as blocks of zeros'
check 'the same release as the parent is nothing to publish' 1 'nothing to publish' publish \
	--parent "$parent" --parent-blocks "$work/parent.blocks" "$work/a.img"
check 'a list of another snapshot is refused' 2 'is the list of' publish --parent "$child" \
	--parent-blocks "$work/parent.blocks" "$work/b.img"
sed '6s/[0-9a-f]$/x/' "$work/parent.blocks" > "$work/bad.blocks"
check 'and one that was changed' 5 'line 6 is not one' publish --parent "$parent" \
	--parent-blocks "$work/bad.blocks" "$work/b.img"
sed '6d; s/^count .*/count '$((n_blocks - 1))/ "$work/parent.blocks" > "$work/bad.blocks"
check 'and one of which something was taken' 5 'its hash differs' publish --parent "$parent" \
	--parent-blocks "$work/bad.blocks" "$work/b.img"
# A module more, by image add, which moves nothing.
head -c 50000 /dev/urandom > "$work/tree/new.ko"
echo 'file 0644 /new.ko new.ko' > "$work/more"
"$tool" add --plan "$work/more" --root "$work/tree" --epoch 1795219201 --sign-key "$work/key" \
	"$work/a.img" "$work/more.img" > "$work/out"
check 'a release with one module more' 0 '' publish --json --parent "$parent" \
	--parent-blocks "$work/parent.blocks" "$work/more.img"
[ "$(jq .put "$work/out")" -le 6 ] && rc=0 || rc=1
result "$rc" "sends a few blocks ($(jq .put "$work/out") of $(jq .blocks "$work/out"))"
check 'and is whole' 0 '' holds "$(named)" "$work/more.img"
