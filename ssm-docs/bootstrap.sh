#!/bin/sh
# Sets up a security account and its members with the AWS CLI, from the workstation that
# built the release:
#   bootstrap.sh --region REGION --members FILE [OPTION]... [STEP]...
# The steps, all four in this order without any:
#   account    the stack fvol-security: keys, bucket, roles, the rule for shared evidence
#   documents  the Command documents and runbooks, registered by content and shared
#   members    the stack set fvol-members: the roles in the member accounts
#   release    the image into a snapshot, and the snapshot to the members
# Each step looks first and changes what differs; a second run changes nothing. What was
# done is read back. With --dry-run every command is printed, and none is run.
#
# Exit codes: 0 done and read back; 1 the image is not signed by the key or not that of the
# documents, or AWS has something else than was sent; 2 usage; 4 a program, file or right is missing; 5 failed.
set -eu
LC_ALL=C
AWS_PAGER=
export LC_ALL AWS_PAGER

HERE=$(cd "$(dirname "$0")" && pwd)
TOP=$(cd "$HERE/.." && pwd)
REGION='' MEMBERS='' UNITS='' DRY=no BUCKET='' RETENTION=365 SNAPSHOT_LOCK=governance
OBJECT_LOCK=GOVERNANCE KEY='' PARENT='' VERIFY=all
IMAGE=$TOP/out/fvol.img DOCUMENTS=$TOP/out/documents
PROGRAM=$TOP/build/release/x86_64/bin/image
SHARED='Mount Capture Triage Unmount Acquire'
OWN='BuildStep BuildModule Intake'
STACK=fvol-security SET=fvol-members
WORK=

# Arguments: exit code, sentence. Returns: never.
die() {
	printf 'bootstrap: %s\n' "$2" >&2
	exit "$1"
}

# Arguments: none. Returns: 0.
usage() {
	sed -n '2,/^# done is/{s/^# \{0,1\}//;p;}' "$0"
	printf '%s\n' \
		'  --region REGION         where instances, release and evidence are' \
		'  --members FILE          numbers of the member accounts, one on each line' \
		'  --units OU,...          organisational units: the stack set is then managed by' \
		'                          the organisation; without it by the roles of StackSets' \
		'  --key PUBLIC.pem        who signed the image; --key none: nobody did' \
		'  --parent SNAPSHOT       the last release: only what differs is sent' \
		'  --verify HOW            what of the snapshot is read back: all, sample, none' \
		'  --bucket NAME           name of the evidence bucket (default: chosen by AWS)' \
		'  --retention-days N      of Object Lock and Snapshot Lock (default 365)' \
		'  --object-lock MODE      GOVERNANCE (default) or COMPLIANCE' \
		'  --snapshot-lock MODE    governance (default) or compliance' \
		'  --image FILE            default out/fvol.img' \
		'  --documents DIR         default out/documents' \
		'  --program FILE          the program image' \
		'  --dry-run               print the commands'
}

# Arguments: those of the script. Returns: 0 with STEPS set, or not at all.
read_options() {
	STEPS=
	while [ "$#" -gt 0 ]; do
		case $1 in
		-h | --help)
			usage
			exit 0
			;;
		-V | --version)
			printf 'bootstrap (fvol) %s\n' "$(cat "$TOP/VERSION")"
			exit 0
			;;
		--dry-run)
			DRY=yes
			shift
			continue
			;;
		account | documents | members | release)
			STEPS="$STEPS $1"
			shift
			continue
			;;
		--*) ;;
		*) die 2 "unknown argument '$1'; see --help" ;;
		esac
		[ "$#" -ge 2 ] || die 2 "$1 needs a value; see --help"
		case $1 in
		--region) REGION=$2 ;;
		--members) MEMBERS=$2 ;;
		--units) UNITS=$2 ;;
		--key) KEY=$2 ;;
		--parent) PARENT=$2 ;;
		--verify) VERIFY=$2 ;;
		--bucket) BUCKET=$2 ;;
		--retention-days) RETENTION=$2 ;;
		--object-lock) OBJECT_LOCK=$2 ;;
		--snapshot-lock) SNAPSHOT_LOCK=$2 ;;
		--image) IMAGE=$2 ;;
		--documents) DOCUMENTS=$2 ;;
		--program) PROGRAM=$2 ;;
		*) die 2 "unknown argument '$1'; see --help" ;;
		esac
		shift 2
	done
	STEPS=${STEPS:-account documents members release}
}

# Arguments: a step. Returns: 0 when it is to be done.
has_step() {
	case " $STEPS " in
	*" $1 "*) return 0 ;;
	esac
	return 1
}

# Looks, before anything is made, whether the image is signed by the key and whether the
# documents are those of this image: they accept no other. Needs no AWS.
# Arguments: none. Returns: 0, or not at all.
check_release() {
	has_step release && [ "$DRY" = no ] || return 0
	[ -x "$PROGRAM" ] || die 4 "$PROGRAM is missing: run make"
	if [ "$KEY" = none ]; then set -- --unsigned; else set -- --key "$KEY"; fi
	plan=$("$PROGRAM" publish --plan --json "$@" "$IMAGE") ||
		die "$?" "$IMAGE is not what can be published; nothing was made"
	manifest=$(printf '%s\n' "$plan" | jq -r .manifest_sha256) ||
		die 5 "image publish --plan named no MANIFEST of $IMAGE"
	for document in Mount Capture Triage; do
		document=$DOCUMENTS/FVol-$document.json
		[ -r "$document" ] || die 4 "$document is missing: run make"
		grep -q -e "--manifest-sha256 $manifest" "$document" ||
			die 1 "$document is of another image than $IMAGE; nothing was made"
	done
}

# Arguments: none. Returns: 0 with ACCOUNTS set, one a line; or not at all.
check_options() {
	case $REGION in
	[a-z][a-z]-*[0-9]) ;;
	*) die 2 '--region takes a name like eu-west-1; see --help' ;;
	esac
	case $RETENTION in
	'' | 0* | *[!0-9]* | ?????*) die 2 '--retention-days takes 1 to 9999' ;;
	esac
	case $OBJECT_LOCK in
	GOVERNANCE | COMPLIANCE) ;;
	*) die 2 '--object-lock takes GOVERNANCE or COMPLIANCE' ;;
	esac
	case $SNAPSHOT_LOCK in
	governance | compliance) ;;
	*) die 2 '--snapshot-lock takes governance or compliance' ;;
	esac
	[ -n "$MEMBERS" ] || die 2 '--members FILE is required; see --help'
	[ -r "$MEMBERS" ] || die 4 "$MEMBERS cannot be read"
	ACCOUNTS=$(sed 's/#.*//' "$MEMBERS" | tr -d ' \t\r' | grep . | sort -u) || :
	[ -n "$ACCOUNTS" ] || die 2 "$MEMBERS names no account"
	if printf '%s\n' "$ACCOUNTS" | grep -qvxE '[0-9]{12}'; then
		die 2 "$MEMBERS holds what is not the number of an account"
	fi
	case $VERIFY in
	all | sample | none) ;;
	*) die 2 '--verify takes all, sample or none' ;;
	esac
	case $PARENT in
	'' | snap-[0-9a-f]*) ;;
	*) die 2 '--parent takes snap-...' ;;
	esac
	if has_step release; then
		[ -n "$KEY" ] || die 2 'release needs --key PUBLIC.pem, or --key none; see --help'
		[ "$KEY" = none ] || [ -r "$KEY" ] || die 4 "$KEY cannot be read"
		[ -r "$IMAGE" ] || die 4 "$IMAGE cannot be read: run make"
	fi
	command -v jq > /dev/null || die 4 'jq is not installed'
	[ "$DRY" = yes ] || command -v aws > /dev/null || die 4 'the AWS CLI is not installed'
}

# Prints a command as a shell would read it. Arguments: the command. Returns: 0.
show() {
	line=
	for word; do
		case $word in
		*[!A-Za-z0-9_./:=,@%+-]* | '')
			word="'$(printf '%s' "$word" | sed "s/'/'\\\\''/g")'"
			;;
		esac
		line="$line${line:+ }$word"
	done
	printf '%s\n' "$line"
}

# Arguments: a command that changes something. Returns: 0, or not at all.
run() {
	if [ "$DRY" = yes ]; then
		show "$@" >&3
		return 0
	fi
	"$@" > "$WORK/out" || die 5 "$(show "$@" | cut -c 1-200) failed"
}

# Arguments: what it stands for in a dry run; a command that only reads. Returns: the
# command's; prints its output.
look() {
	stands_for=$1
	shift
	if [ "$DRY" = yes ]; then
		show "$@" >&3
		printf '%s\n' "$stands_for"
		return 0
	fi
	"$@"
}

# Arguments: name of an output of the stack. Returns: 0 and prints it, or not at all.
output_of() {
	value=$(look "<$1>" aws cloudformation describe-stacks --region "$REGION" \
		--stack-name "$STACK" --output text \
		--query "Stacks[0].Outputs[?OutputKey=='$1'].OutputValue") ||
		die 5 "the stack $STACK cannot be read: run the step account first"
	case $value in
	'' | None) die 5 "the stack $STACK has no output $1: run the step account first" ;;
	esac
	printf '%s\n' "$value"
}

# Arguments: none. Returns: 0 with SELF set to the number of this account.
find_self() {
	SELF=$(look 000000000000 aws sts get-caller-identity --region "$REGION" \
		--query Account --output text) || die 4 'AWS does not know the credentials'
}

do_account() {
	set -- "RetentionDays=$RETENTION" "ObjectLockMode=$OBJECT_LOCK" \
		"SnapshotLockMode=$SNAPSHOT_LOCK"
	[ -z "$BUCKET" ] || set -- "$@" "BucketName=$BUCKET"
	run aws cloudformation deploy --region "$REGION" --stack-name "$STACK" \
		--template-file "$TOP/cloudformation/security-account.json" \
		--capabilities CAPABILITY_NAMED_IAM --no-fail-on-empty-changeset \
		--parameter-overrides \
		"MemberAccounts=$(printf '%s\n' "$ACCOUNTS" | paste -sd , -)" "$@"
	key=$(output_of EvidenceKeyArn)
	tell 'account: the stack %s stands, evidence key %s\n' "$STACK" "$key"
}

# Arguments: name of a document. Returns: 0 and prints its hash at AWS, "none" without one.
hash_at_aws() {
	if ! look none aws ssm describe-document --region "$REGION" --name "$1" \
		--query Document.Hash --output text 2> "$WORK/err"; then
		if ! grep -q InvalidDocument "$WORK/err"; then
			cat "$WORK/err" >&2
			return 1
		fi
		echo none
	fi
}

# Says what was done. Arguments: as for printf. Returns: 0.
tell() {
	# shellcheck disable=SC2059 # the format is the caller's
	[ "$DRY" = yes ] || printf "$@"
}

# Registers a document, or a new version of it. Arguments: its name without FVol-, type,
# format. Returns: 0, or not at all.
register() {
	name=FVol-$1 file=$DOCUMENTS/FVol-$1.json
	[ -r "$file" ] || die 4 "$file is missing: run make"
	wanted=$(sha256sum < "$file" | cut -c 1-64)
	found=$(hash_at_aws "$name") || die 5 "$name cannot be looked up"
	if [ "$found" = "$wanted" ]; then
		tell 'documents: %s is there\n' "$name"
		return 0
	fi
	if [ "$found" = none ]; then
		run aws ssm create-document --region "$REGION" --name "$name" \
			--document-type "$2" --document-format "$3" --content "file://$file"
	else
		run aws ssm update-document --region "$REGION" --name "$name" \
			--document-version "\$LATEST" --document-format "$3" \
			--content "file://$file" --query DocumentDescription.DocumentVersion \
			--output text
		version=VERSION
		[ "$DRY" = yes ] || read -r version < "$WORK/out"
		run aws ssm update-document-default-version --region "$REGION" \
			--name "$name" --document-version "$version"
	fi
	[ "$DRY" = no ] || return 0
	# The runbook runs these bytes or none: SendCommand is told the hash.
	found=$(hash_at_aws "$name") || die 5 "$name cannot be looked up"
	[ "$found" = "$wanted" ] ||
		die 1 "AWS says that $name has the hash $found, but it has $wanted"
	tell 'documents: %s is registered, %s\n' "$name" "$wanted"
}

# Writes the accounts to share with, all but this one. Arguments: file. Returns: 0, or not
# at all: a list that is cut short would take accounts away.
list_others() {
	printf '%s\n' "$ACCOUNTS" | grep -vx "$SELF" > "$1" || [ "$?" -eq 1 ] ||
		die 5 "$1 cannot be written"
}

# Makes the accounts that may use a document exactly the members. Twenty are taken at once.
# Arguments: name without FVol-. Returns: 0, or not at all.
share_document() {
	have=$(look '' aws ssm describe-document-permission --region "$REGION" \
		--name "FVol-$1" --permission-type Share --query 'AccountIds[]' \
		--output text) || die 5 "who may use FVol-$1 cannot be looked up"
	printf '%s\n' "$have" | tr -s '[:blank:]' '\n' | { grep -xE '[0-9]{12}|all' || :; } |
		sort -u > "$WORK/have" || die 5 "$WORK/have cannot be written"
	list_others "$WORK/want"
	for change in add remove; do
		case $change in
		add) comm -13 "$WORK/have" "$WORK/want" ;;
		remove) comm -23 "$WORK/have" "$WORK/want" ;;
		esac | xargs -r -n 20 > "$WORK/change"
		while read -r batch; do
			# shellcheck disable=SC2086 # up to twenty accounts
			run aws ssm modify-document-permission --region "$REGION" \
				--name "FVol-$1" --permission-type Share \
				"--account-ids-to-$change" $batch < /dev/null
			tell 'documents: FVol-%s: %s %s\n' "$1" "$change" "$batch"
		done < "$WORK/change"
	done
}

do_documents() {
	find_self
	for document in Mount Capture Triage Unmount BuildStep; do
		register "$document" Command JSON
	done
	# JSON is YAML, and scripts in the text are for runbooks in YAML only.
	for document in Acquire Intake BuildModule; do
		register "$document" Automation YAML
	done
	for document in $SHARED; do
		share_document "$document"
	done
	tell 'documents: of this account alone: %s\n' "$OWN"
}

# Waits for the operation whose id the last command printed. Arguments: none. Returns: 0
# when it has ended well, or not at all.
wait_for_set() {
	[ "$DRY" = no ] || return 0
	read -r operation < "$WORK/out" || die 5 "AWS named no operation of $SET"
	tries=0
	while [ "$tries" -lt 360 ]; do
		state=$(aws cloudformation describe-stack-set-operation --region "$REGION" \
			--stack-set-name "$SET" --operation-id "$operation" \
			--query StackSetOperation.Status --output text) ||
			die 5 "the operation $operation of $SET cannot be read"
		case $state in
		SUCCEEDED) return 0 ;;
		FAILED | STOPPED) die 5 "the operation $operation of $SET ended as $state" ;;
		esac
		tries=$((tries + 1))
		sleep "${FVOL_POLL:-5}"
	done
	die 5 "the operation $operation of $SET has not ended within half an hour"
}

# Arguments: none. Returns: 0 and prints the parameters and the template of the stack set at
# AWS in an order of ours, or "none"; 1 when it cannot be read.
set_at_aws() {
	if ! look none aws cloudformation describe-stack-set --region "$REGION" \
		--stack-set-name "$SET" --output json > "$WORK/set" 2> "$WORK/err"; then
		if grep -q StackSetNotFound "$WORK/err"; then
			echo none
			return 0
		fi
		cat "$WORK/err" >&2
		return 1
	fi
	if [ "$DRY" = yes ]; then
		echo none
		return 0
	fi
	jq -r '.StackSet.Parameters | map(select(.ParameterKey | IN("Uploads", "ByHand") | not)
		| "\(.ParameterKey) \(.ParameterValue)") | sort[]' < "$WORK/set"
	jq -r .StackSet.TemplateBody < "$WORK/set" | jq -S .
}

do_members() {
	find_self
	release_key=$(output_of ReleaseKeyArn)
	evidence_key=$(output_of EvidenceKeyArn)
	bucket=$(output_of EvidenceBucketName)
	set -- --region "$REGION" --stack-set-name "$SET" \
		--template-body "file://$TOP/cloudformation/member-account.json" \
		--capabilities CAPABILITY_NAMED_IAM --parameters \
		"ParameterKey=SecurityAccountId,ParameterValue=$SELF" \
		"ParameterKey=ReleaseKeyArn,ParameterValue=$release_key" \
		"ParameterKey=EvidenceKeyArn,ParameterValue=$evidence_key" \
		"ParameterKey=EvidenceBucket,ParameterValue=$bucket"
	have=$(set_at_aws) || die 5 "the stack set $SET cannot be read"
	printf '%s\n' "EvidenceBucket $bucket" "EvidenceKeyArn $evidence_key" \
		"ReleaseKeyArn $release_key" "SecurityAccountId $SELF" > "$WORK/want"
	jq -S . < "$TOP/cloudformation/member-account.json" >> "$WORK/want"
	if [ "$have" = none ] && [ -n "$UNITS" ]; then
		run aws cloudformation create-stack-set "$@" \
			--permission-model SERVICE_MANAGED \
			--auto-deployment Enabled=true,RetainStacksOnAccountRemoval=false
	elif [ "$have" = none ]; then
		run aws cloudformation create-stack-set "$@"
	elif ! printf '%s\n' "$have" | cmp -s - "$WORK/want"; then
		# What is not ours to say stays as it was set: a parameter that is not named
		# would get its default back.
		# shellcheck disable=SC2046 # one word for each
		set -- "$@" $(jq -r '.StackSet.Parameters[].ParameterKey
			| select(IN("Uploads", "ByHand"))
			| "ParameterKey=\(.),UsePreviousValue=true"' < "$WORK/set")
		run aws cloudformation update-stack-set "$@" --query OperationId --output text
		wait_for_set
	fi
	add_instances
	tell 'members: the stack set %s stands\n' "$SET"
}

# Adds the accounts, or organisational units, that the stack set has not. IAM is one for all
# Regions, so one will do.
# Arguments: none. Returns: 0, or not at all.
add_instances() {
	column=Account wanted=$ACCOUNTS
	if [ -n "$UNITS" ]; then
		column=OrganizationalUnitId wanted=$(printf '%s\n' "$UNITS" | tr , '\n')
	fi
	have=$(look '' aws cloudformation list-stack-instances --region "$REGION" \
		--stack-set-name "$SET" --query "Summaries[].$column" --output text) ||
		die 5 "the accounts of $SET cannot be listed"
	printf '%s\n' "$have" | tr -s '[:blank:]' '\n' | sort -u > "$WORK/have"
	printf '%s\n' "$wanted" | sort -u | comm -13 "$WORK/have" - > "$WORK/new"
	[ -s "$WORK/new" ] || return 0
	set -- aws cloudformation create-stack-instances --region "$REGION" \
		--stack-set-name "$SET" --regions "$REGION" --query OperationId --output text
	if [ -n "$UNITS" ]; then
		set -- "$@" --deployment-targets \
			"OrganizationalUnitIds=$(paste -sd , - < "$WORK/new")"
	else
		# shellcheck disable=SC2046 # one word for each account
		set -- "$@" --accounts $(cat "$WORK/new")
	fi
	run "$@"
	wait_for_set
}

do_release() {
	find_self
	key=$(output_of ReleaseKeyArn)
	set -- publish --region "$REGION" --verify "$VERIFY" --json
	if [ "$KEY" = none ]; then set -- "$@" --unsigned; else set -- "$@" --key "$KEY"; fi
	# A snapshot with a parent is encrypted as its parent is.
	if [ -n "$PARENT" ]; then
		set -- "$@" --parent "$PARENT"
	else
		set -- "$@" --kms-key "$key"
	fi
	run "$PROGRAM" "$@" "$IMAGE"
	snapshot=SNAPSHOT
	if [ "$DRY" = no ]; then
		snapshot=$(sed -n 's/.*"snapshot": *"\(snap-[0-9a-f]*\)".*/\1/p' "$WORK/out" |
			tail -n 1)
		[ -n "$snapshot" ] || die 5 'image publish named no snapshot'
	fi
	list_others "$WORK/accounts"
	set -- --nobody
	[ ! -s "$WORK/accounts" ] || set -- --accounts "$(paste -sd , - < "$WORK/accounts")"
	run "$PROGRAM" share --region "$REGION" "$@" "$snapshot"
	tell 'release: %s is published and shared\n' "$snapshot"
	tell_how "$snapshot"
}

# Says how the responder starts. Arguments: the snapshot. Returns: 0.
tell_how() {
	evidence=$(output_of EvidenceKeyArn)
	bucket=$(output_of EvidenceBucketName)
	prefix=$(printf '%s' "$evidence" | sed 's/^\(arn:[a-z-]*\):.*/\1/')
	[ "$DRY" = no ] || prefix=arn:aws
	documents=$prefix:ssm:$REGION:$SELF:document
	printf '\nIn a member account, the acquisition of an instance:\n\n'
	printf '%s' "aws ssm start-automation-execution --region $REGION" \
		" --document-name $documents/FVol-Acquire --parameters" \
		" InstanceId=i-...,CaseId=CASE,SnapshotId=$1,SecurityAccountId=$SELF" \
		",KmsKeyId=$evidence,EvidenceBucket=$bucket,DocumentPrefix=$documents/FVol-" \
		",RetentionDays=$RETENTION,ObjectLockMode=$OBJECT_LOCK" \
		",AutomationAssumeRole=$prefix:iam::ACCOUNT:role/fvol-acquire"
	echo
}

read_options "$@"
check_options
WORK=$(mktemp -d) || die 5 'cannot make a directory'
trap 'rm -rf "$WORK"' EXIT
trap 'exit 5' HUP INT TERM
check_release
# The commands of a dry run.
exec 3>&1
for step in $STEPS; do "do_$step"; done
