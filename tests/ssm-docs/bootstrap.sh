#!/bin/sh
# Tests ssm-docs/bootstrap.sh against a stand-in for the AWS CLI: bootstrap.sh DOCUMENTS.
# shellcheck disable=SC2016,SC2317,SC2329 # an inner shell expands; check calls
set -eu
HERE=$(cd "$(dirname "$0")" && pwd)
DOCUMENTS=$1
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
STATE=$WORK/state CALLS=$WORK/calls FVOL_POLL=0
# By the interpreter itself: starting it through a wrapper takes longer than its work.
{
	python3 -c 'import sys; print("#!" + sys.executable + " -IS")'
	cat "$HERE/stand-in/aws"
} > "$WORK/aws"
mkdir "$WORK/bin"
mv "$WORK/aws" "$WORK/bin/aws"
chmod 755 "$WORK/bin/aws"
PATH=$WORK/bin:$PATH
export STATE CALLS FVOL_POLL PATH
failed=0
printf '# members\n111122223333\n\n444455556666 # second\n' > "$WORK/members"
cp -r "$DOCUMENTS" "$WORK/documents"
MANIFEST=$(sed -n 's/.*--manifest-sha256 \([0-9a-f]\{64\}\).*/\1/p' \
	"$WORK/documents/FVol-Mount.json")
export MANIFEST

# Arguments: what is tested; a command follows. Prints the verdict.
check() {
	what=$1
	shift
	if "$@" > "$WORK/said" 2>&1; then
		echo "ok bootstrap: $what"
	else
		echo "FAIL bootstrap: $what"
		sed 's/^/     | /' "$WORK/said"
		failed=1
	fi
}

# Arguments: those of bootstrap.sh. Returns: its exit code; CALLS has the changing calls.
bootstrap() {
	: > "$CALLS"
	sh "$HERE/../../ssm-docs/bootstrap.sh" --region eu-west-1 --members "$WORK/members" \
		--documents "$WORK/documents" --program "$HERE/stand-in/image" --key none \
		--image "$WORK/members" "$@"
}

# Arguments: exit code, then those of bootstrap.sh. Returns: 0 when it ended by that code.
ends() {
	wanted=$1
	shift
	rc=0
	bootstrap "$@" || rc=$?
	echo "exit code $rc"
	[ "$rc" -eq "$wanted" ]
}

# Arguments: text. Returns: 0 when a call begins so.
called() {
	grep -F -- "$1" "$CALLS" || {
		cat "$CALLS"
		return 1
	}
}

no_call() {
	cat "$CALLS"
	[ ! -s "$CALLS" ]
}

bootstrap --dry-run > "$WORK/dry" 2>&1 || :
check 'a dry run calls nothing' no_call
for line in 'aws cloudformation deploy' 'aws ssm create-document' 'image share' \
	'aws ssm modify-document-permission' 'aws cloudformation create-stack-set' \
	'aws cloudformation create-stack-instances' 'image publish'; do
	check "a dry run prints $line" grep -q -- "$line" "$WORK/dry"
done
check 'the first run ends well' ends 0
check 'the stack gets the members' \
	called 'cloudformation deploy --region eu-west-1 --stack-name fvol-security'
check 'by their numbers' called MemberAccounts=111122223333,444455556666
check 'runbooks are registered as YAML' called \
	'--name FVol-Acquire --document-type Automation --document-format YAML'
check 'and shared' called 'FVol-Acquire --permission-type Share --account-ids-to-add 1111'
check 'what is for the security account alone is not' \
	sh -c '! grep -E "modify.*(Intake|Build)" "$CALLS"'
check 'the stack set gets the keys' \
	called 'ParameterKey=EvidenceKeyArn,ParameterValue=arn:aws:kms:'
check 'the image is published under the release key' \
	called 'publish --region eu-west-1 --verify all --json --unsigned --kms-key arn:aws'
check 'and shared with the members' \
	called 'share --region eu-west-1 --accounts 111122223333,444455556666 snap-0123'
cp "$CALLS" "$WORK/first"
bootstrap > "$WORK/told"
check 'the start of an acquisition is told' grep -q \
	'start-automation-execution.*SnapshotId=snap-0123456789abcdef0,' "$WORK/told"
check 'a second run registers, shares and deploys nothing' sh -c '! grep -vE \
	"^cloudformation deploy .*--no-fail-on-empty-changeset|^image (publish|share)" "$CALLS"'

echo ' ' >> "$WORK/documents/FVol-Capture.json"
bootstrap documents > "$WORK/told"
check 'a changed document becomes the default version' \
	called 'update-document-default-version --region eu-west-1 --name FVol-Capture'
check 'and no other is touched' [ "$(wc -l < "$CALLS")" -eq 2 ]
echo 111122223333 > "$WORK/members"
bootstrap documents > "$WORK/told"
check 'an account that is no member any more loses the documents' \
	called 'FVol-Mount --permission-type Share --account-ids-to-remove 444455556666'
seq 100000000001 100000000045 > "$WORK/members"
bootstrap documents > "$WORK/told"
check 'accounts go in twenties' [ "$(grep -c 'FVol-Mount.*to-add' "$CALLS")" -eq 3 ]
echo 999988887777 > "$WORK/members"
bootstrap documents release > "$WORK/told"
check 'the security account is not shared with' sh -c '! grep -E "to-add|accounts .*999988887777" "$CALLS"'
check 'and where it is alone nobody keeps the snapshot' \
	called 'share --region eu-west-1 --nobody snap-0123'
printf '111122223333\n' > "$WORK/members"

# Somebody has set what bootstrap knows nothing of, and then the template has changed.
python3 - "$STATE" << 'END'
import json, sys
state = json.load(open(sys.argv[1]))
for pair in state['set']['Parameters']:
    pair['ParameterValue'] = {'Uploads': 'yes', 'ByHand': 'responders'}.get(
        pair['ParameterKey'], pair['ParameterValue'])
state['set']['TemplateBody'] = '{"Parameters": {}}'
json.dump(state, open(sys.argv[1], 'w'))
END
bootstrap members > "$WORK/told"
check 'a changed template is given to the stack set' called 'cloudformation update-stack-set'
check 'which keeps the parameters that others have set' jq -e '.set.Parameters
	| map({(.ParameterKey): .ParameterValue}) | add | .Uploads == "yes" and
	.ByHand == "responders" and (.EvidenceBucket | length > 0)' "$STATE"
bootstrap members > "$WORK/told"
check 'and is not touched again' no_call

rc=0
HASH=$(printf '%064d' 0) bootstrap documents > "$WORK/told" 2>&1 || rc=$?
check 'a document that AWS has otherwise is exit 1' [ "$rc" -eq 1 ]
for refused in deploy create-document modify-document-permission describe-document \
	describe-stacks create-stack-instances; do
	rm -f "$STATE"
	rc=0
	REFUSE=$refused bootstrap > "$WORK/told" 2>&1 || rc=$?
	check "$refused refused is exit 5" [ "$rc" -eq 5 ]
done
rm -f "$STATE"
rc=0
OPERATION=FAILED bootstrap > "$WORK/told" 2>&1 || rc=$?
check 'a failed stack set is exit 5' [ "$rc" -eq 5 ]
for what in publish share; do
	rc=0
	FAIL=$what bootstrap account release > "$WORK/told" 2>&1 || rc=$?
	check "a failed image $what is exit 5" [ "$rc" -eq 5 ]
done
rc=0
FAIL=plan FAIL_CODE=1 bootstrap > "$WORK/told" 2>&1 || rc=$?
check 'an image that the key did not sign is exit 1' [ "$rc" -eq 1 ]
check 'before anything is made' no_call
rc=0
MANIFEST=$(printf '%064d' 0) bootstrap > "$WORK/told" 2>&1 || rc=$?
check 'an image that is not that of the documents is exit 1' [ "$rc" -eq 1 ]
check 'and nothing is made for it either' no_call
check 'a key that is not there is exit 4' ends 4 --key "$WORK/none"
check 'an image that is not there is exit 4' ends 4 --image "$WORK/none"
check 'and makes nothing' no_call
rm -f "$STATE"
check 'without the account the rest is refused' ends 5 members
check 'an organisation takes units' ends 0 --units ou-abcd-11111111,ou-abcd-22222222 \
	account members
check 'and the stack set is the organisation'"'"'s' called 'SERVICE_MANAGED'
check 'a parent takes the place of the key' ends 0 --parent snap-00000001 release
check 'and is handed on' called '--unsigned --parent snap-00000001'
rm "$WORK/documents/FVol-Intake.json"
check 'a missing document is exit 4' ends 4 documents
check 'a missing list is exit 4' ends 4 --members "$WORK/none"
echo 12345 > "$WORK/members"
check 'a number that is none is exit 2' ends 2
echo > "$WORK/members"
check 'an empty list is exit 2' ends 2
bootstrap > "$WORK/told" 2>&1 || :
check 'and is called one' grep -q 'names no account' "$WORK/told"
echo 111122223333 > "$WORK/members"
for bad in '--region x' '--retention-days 0' '--object-lock none' '--snapshot-lock off' \
	'--verify some' '--parent x' elsewhere '--unknown x' '--parent'; do
	# shellcheck disable=SC2086 # several arguments
	check "$bad is exit 2" ends 2 $bad
done
exit "$failed"
