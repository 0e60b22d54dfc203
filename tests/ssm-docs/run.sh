#!/bin/sh
# Tests lint.sh and generate.sh: run.sh. A case is a directory of cases/ with one document
# and a file "rules" that names the rules the linter must complain by, or "none".
#
# Exit: 0 passed, 1 failed, 77 skipped with the reason.
# shellcheck disable=SC2317,SC2329 # what check and a trap call is not dead
set -eu
LC_ALL=C
export LC_ALL

HERE=$(cd "$(dirname "$0")" && pwd)
DOCS=$(cd "$HERE/../../ssm-docs" && pwd)
HEX=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
for program in jq dash busybox bash shellcheck python3; do
	command -v "$program" > /dev/null && continue
	echo "skip: $program is missing"
	exit 77
done
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
failed=0

# Arguments: what is tested; a command follows. Returns: 0; prints the verdict.
check() {
	what=$1
	shift
	if "$@" > "$WORK/said" 2>&1; then
		echo "ok $what"
	else
		echo "FAIL $what"
		sed 's/^/     | /' "$WORK/said"
		failed=1
	fi
}

# Arguments: directory of a case. Returns: 0 when the linter complains by exactly the
# rules that the case names.
is_judged() {
	rc=0
	sh "$DOCS/lint.sh" "$1"/*.js* > "$WORK/complaints" || rc=$?
	cat "$WORK/complaints"
	tr ' ' '\n' < "$1/rules" | grep -v '^none$' | sort -u > "$WORK/expected" || :
	sed 's/^[^:]*: \([a-z-]*\): .*/\1/' "$WORK/complaints" | sort -u > "$WORK/found"
	cat "$WORK/found" >> "$WORK/covered"
	cmp "$WORK/expected" "$WORK/found" || return 1
	if [ -s "$WORK/expected" ]; then [ "$rc" -eq 1 ]; else [ "$rc" -eq 0 ]; fi
}

# Arguments: document, parameter value. Returns: 0 when the script of the document, with
# the value in the place of every reference, is one that all shells can parse.
is_script() {
	jq -r '.mainSteps[].inputs.runCommand[]' "$1" |
		sed "s/{{ *VolumeId *}}/$2/g; s/{{ *DeviceName *}}//g
			s/{{ *Redact *}}/no/g" > "$WORK/step.sh"
	! grep -n '{{' "$WORK/step.sh" || return 1
	dash -n "$WORK/step.sh" || return 1
	busybox ash -n "$WORK/step.sh" || return 1
	bash --posix -n "$WORK/step.sh" || return 1
	shellcheck "$WORK/step.sh"
}

# Arguments: document, script. Returns: 0 when the document is that script and nothing
# else but three lines for the arguments.
is_verbatim() {
	jq -r '.mainSteps[].inputs.runCommand[]' "$1" > "$WORK/step.sh"
	at=$(grep -n '^# The arguments of scripts' "$WORK/step.sh" | cut -d: -f1)
	sed "$((at - 1)),$((at + 1))d" "$WORK/step.sh" |
		cmp - "$DOCS/../mount-scripts/$2.sh"
}

# Arguments: document, shell, expected exit code. Returns: 0 when the script of the
# document, told nothing else and run by nobody, refuses as the script itself would.
runs_as_nobody() {
	jq -r '.mainSteps[].inputs.runCommand[]' "$1" |
		sed "s/{{ *VolumeId *}}/vol-0123456789abcdef0/g
			s,{{ *DeviceName *}},/dev/sdf,g; s/{{ *Redact *}}/no/g" > "$WORK/step.sh"
	chmod 755 "$WORK" "$WORK/step.sh"
	rc=0
	# shellcheck disable=SC2086 # a shell may have an argument
	setpriv --reuid 9 --regid 9 --clear-groups $2 "$WORK/step.sh" || rc=$?
	[ "$rc" -eq "$3" ]
}

for case in "$HERE"/cases/*/; do
	check "case $(basename "$case")" is_judged "${case%/}"
done

# Too long by itself. A case of 64 KB would only burden the repository.
mkdir "$WORK/long"
jq '.mainSteps[0].inputs.runCommand += [range(700) | "# " + "x" * 100]' \
	"$HERE/cases/good-plain/case.json" > "$WORK/long/case.json"
echo doc-size > "$WORK/long/rules"
check 'a document of more than 64 KB' is_judged "$WORK/long"

for rule in $(sh "$DOCS/lint.sh" --rules); do
	check "rule $rule has a case" grep -qx "$rule" "$WORK/covered"
done
for file in 'no such file' "$WORK"; do
	rc=0
	sh "$DOCS/lint.sh" "$file" > /dev/null 2>&1 || rc=$?
	check "linting $file is an error" [ "$rc" -eq 5 ]
done

check 'generate' sh "$DOCS/generate.sh" --manifest-sha256 "$HEX" --out "$WORK/one"
check 'generate again' sh "$DOCS/generate.sh" --manifest-sha256 "$HEX" --out "$WORK/two"
check 'the bytes are the same' diff -r "$WORK/one" "$WORK/two"
# shellcheck disable=SC2016 # for the inner shell to expand
check 'SHA256SUMS agrees' sh -c 'cd "$1" && sha256sum -c SHA256SUMS' sh "$WORK/one"
check 'nothing else is written' [ "$(cd "$WORK/one" && echo ./*)" = \
	"./FVol-Acquire.json ./FVol-BuildModule.json ./FVol-BuildStep.json ./FVol-Capture.json \
./FVol-Intake.json ./FVol-Mount.json ./FVol-Triage.json ./FVol-Unmount.json \
./SHA256SUMS" ]
check 'generate with the least catalogue' sh "$DOCS/generate.sh" --catalogue-least 7 \
	--manifest-sha256 "$HEX" --out "$WORK/least"
for name in Mount Capture Triage; do
	check "$name carries the least catalogue" \
		grep -q "set -- --manifest-sha256 $HEX --catalogue-least 7" \
		"$WORK/least/FVol-$name.json"
done
check 'mount has the hash' \
	grep -q "set -- --manifest-sha256 $HEX " "$WORK/one/FVol-Mount.json"
for script in mount capture triage unmount; do
	case $script in
	mount) document=$WORK/one/FVol-Mount.json ;;
	capture) document=$WORK/one/FVol-Capture.json ;;
	triage) document=$WORK/one/FVol-Triage.json ;;
	unmount) document=$WORK/one/FVol-Unmount.json ;;
	esac
	name=${document##*/}
	check "$name passes the linter" sh "$DOCS/lint.sh" "$document"
	check "$name is $script.sh" is_verbatim "$document" "$script"
	check "$name with an empty parameter is a script" is_script "$document" ''
	check "$name with a volume id is a script" is_script "$document" \
		vol-0123456789abcdef0
	if [ "$(id -u)" = 0 ]; then
		for shell in dash 'busybox ash' 'bash --posix'; do
			check "$name refuses nobody ($shell)" \
				runs_as_nobody "$document" "$shell" 4
		done
	fi
done
for bad in '' '--manifest-sha256 abc --out x' "--manifest-sha256 $HEX" '--out x' \
	"--manifest-sha256 $HEX --out x --out y" \
	"--manifest-sha256 $HEX --catalogue-least 0 --out x" \
	"--manifest-sha256 $HEX --catalogue-least x --out x" \
	"--manifest-sha256 ${HEX}0 --out x" extra; do
	rc=0
	# shellcheck disable=SC2086 # several arguments
	(cd "$WORK" && sh "$DOCS/generate.sh" $bad) > /dev/null 2>&1 || rc=$?
	check "generate.sh $bad: usage" [ "$rc" -eq 2 ]
done
# shellcheck disable=SC2016 # the dollars are meant
for bad in 'echo $$' 'x={{ y }}' 'printf "\351"'; do
	mkdir -p "$WORK/tree/ssm-docs" "$WORK/tree/mount-scripts"
	cp "$DOCS"/* "$WORK/tree/ssm-docs/"
	cp "$DOCS"/../mount-scripts/*.sh "$WORK/tree/mount-scripts/"
	case $bad in
	printf*) printf '# \351\n' ;;
	*) printf '%s\n' "$bad" ;;
	esac >> "$WORK/tree/mount-scripts/capture.sh"
	rc=0
	sh "$WORK/tree/ssm-docs/generate.sh" --manifest-sha256 "$HEX" --out "$WORK/bad" \
		> /dev/null 2>&1 || rc=$?
	check "a script with $bad is refused" [ "$rc" -eq 5 ]
done

# The runbooks.
check 'a runbook is YAML too' python3 - "$WORK"/one/FVol-[ABI]*e.json <<'EOF'
import json, sys
try:
    import yaml
except ImportError:
    sys.exit(0)
for name in sys.argv[1:]:
    text = open(name).read()
    assert yaml.safe_load(text) == json.loads(text), name
EOF
mkdir "$WORK/three"
cp "$DOCS"/* "$WORK/three/"
printf 'x = "{{ a }}"\n' >> "$WORK/three/acquire-plan.py"
mkdir "$WORK/mount-scripts"
cp "$DOCS"/../mount-scripts/*.sh "$WORK/mount-scripts/"
rc=0
sh "$WORK/three/generate.sh" --manifest-sha256 "$HEX" --out "$WORK/bad" > /dev/null 2>&1 ||
	rc=$?
check 'a script with double braces is refused' [ "$rc" -eq 5 ]
for part in Mount Capture Triage Unmount; do
	hash=$(sha256sum < "$WORK/one/FVol-$part.json" | cut -c 1-64)
	check "FVol-Acquire pins FVol-$part by its hash" \
		grep -q "\"DocumentHash\": \"$hash\"" "$WORK/one/FVol-Acquire.json"
done

# Arguments: name, command... Runs a program that prints result lines of its own.
series() {
	what=$1
	shift
	rc=0
	"$@" > "$WORK/series" 2>&1 || rc=$?
	cat "$WORK/series"
	if [ "$rc" -ne 0 ]; then
		failed=1
		grep -q '^FAIL' "$WORK/series" || echo "FAIL $what: exit code $rc"
	fi
}

PYTHONDONTWRITEBYTECODE=1
export PYTHONDONTWRITEBYTECODE
series graph python3 "$HERE/graph.py" "$WORK/one/FVol-Acquire.json"
series acquire python3 "$HERE/acquire.py" "$WORK/one"
series hostile python3 "$HERE/hostile.py" "$WORK/one"
series intake python3 "$HERE/intake.py" "$WORK/one"
series build python3 "$HERE/build.py" "$WORK/one"

# The CloudFormation templates, and the page that explains them.
templates=$HERE/../../cloudformation
series templates python3 "$HERE/templates.py" "$WORK/one" "$templates"
jq -rn -f "$templates/permissions.jq" \
	--slurpfile security "$templates/security-account.json" \
	--slurpfile member "$templates/member-account.json" \
	--slurpfile analyst "$templates/analyst-account.json" > "$WORK/permissions.md" || :
check 'docs/permissions.md is what permissions.jq makes of the templates' \
	diff "$WORK/permissions.md" "$HERE/../../docs/permissions.md"
if command -v cfn-lint > /dev/null; then
	for template in "$templates"/*.json; do
		check "cfn-lint ${template##*/}" cfn-lint "$template"
	done
else
	echo 'skip cfn-lint of the templates: it is not installed'
fi

series guide python3 "$HERE/guide.py" "$WORK/one" "$HERE/../.."
series bootstrap sh "$HERE/bootstrap.sh" "$WORK/one"

# AWS's own schema of runbooks, from npm.
modules=$HERE/../../build/check/npm
have_schema() {
	[ -d "$modules/node_modules/ajv" ] && return 0
	command -v node > /dev/null && command -v npm > /dev/null || return 1
	mkdir -p "$modules"
	timeout 60 npm install --silent --no-audit --no-fund --ignore-scripts \
		--prefix "$modules" aws-ssm-document-language-service@1.0.0 ajv@8.17.1 \
		> "$WORK/npm" 2>&1
}
if have_schema; then
	series schema node "$HERE/schema.js" "$modules/node_modules" "$WORK"/one/FVol-[ABI]*e.json
else
	echo 'skip schema of runbooks: npm cannot be reached'
fi

if command -v moto_server > /dev/null && python3 -c 'import boto3' 2> /dev/null; then
	series moto python3 "$HERE/moto.py" "$WORK/one"
else
	echo 'skip runbook against moto_server: it is not installed'
fi
exit "$failed"
