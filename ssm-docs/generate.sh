#!/bin/sh
# Writes the Command documents and the Automation runbooks:
#   generate.sh --manifest-sha256 HEX [--catalogue-least N] --out DIR
#
# A document has no logic of its own: it is a script of mount-scripts, line by line, under
# a header that sets its arguments. So what was tested as a script is what the agent runs,
# and whoever reads a document can compare it with the file on the volume. The same input
# gives the same bytes. DIR/SHA256SUMS holds the DocumentHash values for SendCommand.
#
# A runbook is NAME.jq with the scripts NAME-*.py and the hashes of the documents it runs.
# It is JSON, and registered as YAML, which JSON is a part of: Automation takes scripts in
# the text of YAML runbooks only.
#
# Exit codes: 0 written and linted, 1 the linter refuses a document, 2 usage, 5 failed.
set -eu
LC_ALL=C
export LC_ALL

HERE=$(cd "$(dirname "$0")" && pwd)
SCRIPTS=$HERE/../mount-scripts
HEX='' LEAST='' OUT=''

# Arguments: exit code, sentence. Returns: never.
die() {
	printf 'generate: %s\n' "$2" >&2
	exit "$1"
}

# Arguments: those of the script. Returns: 0 with HEX and OUT set, or not at all.
read_options() {
	while [ "$#" -gt 0 ]; do
		case $1 in
		-h | --help)
			echo 'Usage: generate.sh --manifest-sha256 HEX [--catalogue-least N]' \
				'--out DIR'
			exit 0
			;;
		--manifest-sha256 | --catalogue-least | --out) ;;
		*) die 2 "unknown argument '$1'; see --help" ;;
		esac
		[ "$#" -ge 2 ] || die 2 "$1 needs a value; see --help"
		case $1 in
		--manifest-sha256)
			[ -z "$HEX" ] || die 2 "$1 is given twice; see --help"
			HEX=$2
			;;
		--catalogue-least)
			[ -z "$LEAST" ] || die 2 "$1 is given twice; see --help"
			case $2 in
			'' | 0* | *[!0-9]* | ????????????????*)
				die 2 "$1 takes a number; see --help"
				;;
			esac
			LEAST=$2
			;;
		--out)
			[ -z "$OUT" ] || die 2 "$1 is given twice; see --help"
			OUT=$2
			;;
		esac
		shift 2
	done
	case $HEX in
	*[!0-9a-f]*) die 2 '--manifest-sha256 takes 64 hex digits; see --help' ;;
	esac
	[ "${#HEX}" -eq 64 ] || die 2 '--manifest-sha256 HEX is required; see --help'
	[ -n "$OUT" ] || die 2 '--out DIR is required; see --help'
}

# The agent changes the text of a step before it runs: it makes one dollar of two and
# replaces what stands in double braces. A script must hold nothing of that kind.
# Arguments: a script. Returns: 0, or not at all.
need_plain_text() {
	file=$1
	[ -r "$file" ] || die 5 "cannot read $file"
	[ "$(head -n 1 "$file")" = '#!/bin/sh' ] ||
		die 5 "$file does not begin with #!/bin/sh"
	[ -z "$(tail -c 1 "$file")" ] || die 5 "$file does not end with a newline"
	# shellcheck disable=SC2016 # the dollars are meant
	if grep -nE '\$\$|\{\{|\}\}' "$file" >&2; then
		die 5 "$file holds what the agent would rewrite"
	fi
	# Other bytes could be escaped in more than one way.
	if tr -d '\t\n -~' < "$file" | grep -q .; then
		die 5 "$file holds bytes that are not printable ASCII"
	fi
}

# Arguments: document, script, step, timeout in seconds, arguments of the script,
# description, JSON object of parameters. Returns: 0 with OUT/DOCUMENT.json written, or
# not at all.
write_document() {
	need_plain_text "$SCRIPTS/$2.sh"
	jq -n --tab --rawfile script "$SCRIPTS/$2.sh" --arg name "$2" --arg step "$3" \
		--argjson timeout "$4" --arg arguments "$5" --arg description "$6" \
		--argjson parameters "$7" '
		($script | rtrimstr("\n") | split("\n")) as $lines
		# The opening comment stays on top, where shellcheck looks for directives.
		| ($lines | map(startswith("#")) | index(false)) as $top
		| {
			schemaVersion: "2.2",
			description: $description
		}
		+ (if $parameters == {} then {} else {parameters: $parameters} end)
		+ {
			mainSteps: [{
				action: "aws:runShellScript",
				name: $step,
				precondition: {StringEquals: ["platformType", "Linux"]},
				inputs: {
					timeoutSeconds: $timeout,
					runCommand: ($lines[:$top] + [
						"",
						"# The arguments of scripts/\($name).sh",
						("set -- \($arguments)" | rtrimstr(" "))
					] + $lines[$top:])
				}
			}]
		}' > "$OUT/$1.json.partial" || die 5 "writing $OUT/$1.json failed"
	mv "$OUT/$1.json.partial" "$OUT/$1.json" ||
		die 5 "renaming to $OUT/$1.json failed"
}

# Arguments: name of the runbook, jq program, further arguments of jq. Returns: 0 with
# OUT/NAME.json written, or not at all.
write_runbook() {
	name=$1 program=$2
	shift 2
	for part in "$HERE/$program"-*.py; do
		[ -r "$part" ] || die 5 "cannot read $part"
		# Tabs would not be YAML; double braces would be references.
		if LC_ALL=C grep -nE '[^ -~]|\{\{|\}\}' "$part" >&2; then
			die 5 "$part holds what a runbook cannot"
		fi
		key=${part##*/"$program"-}
		set -- "$@" --rawfile "${key%.py}" "$part"
	done
	# No indentation by tabs, for YAML's sake.
	jq -n --indent 1 -L "$HERE" -f "$HERE/$program.jq" "$@" > "$OUT/$name.json.partial" ||
		die 5 "writing $OUT/$name.json failed"
	bytes=$(wc -c < "$OUT/$name.json.partial")
	[ "$bytes" -le 65536 ] || die 5 "$name has $bytes bytes: a document may have 65536"
	mv "$OUT/$name.json.partial" "$OUT/$name.json" ||
		die 5 "renaming to $OUT/$name.json failed"
}

# Arguments: document. Returns: 0 and prints the hash SendCommand pins it by.
hash_of() {
	sha256sum < "$OUT/$1.json" | cut -c 1-64
}

read_options "$@"
BOUND="--manifest-sha256 $HEX${LEAST:+ --catalogue-least $LEAST}"
command -v jq > /dev/null || die 5 'jq is missing'
mkdir -p "$OUT" || die 5 "cannot make $OUT"

# 900 s: the wait for the device is 60 s; the rest is for the first reads of a volume
# whose blocks still come out of the snapshot. maxChars lets the linter count the size.
# shellcheck disable=SC2016 # a dollar of a regular expression
write_document FVol-Mount mount mountForensicVolume 900 \
	"$BOUND --volume-id '{{ VolumeId }}' --device-name '{{ DeviceName }}'" \
	'Finds, proves and mounts the forensic volume on /run/fvol/volume.' \
	'{"VolumeId": {
		"type": "String",
		"description": "EBS id of the forensic volume; empty when unknown.",
		"default": "",
		"allowedPattern": "^(vol-[0-9a-f]{8,17})?$",
		"maxChars": 21
	}, "DeviceName": {
		"type": "String",
		"description": "What it was attached as, /dev/sdf or the like; empty when unknown.",
		"default": "",
		"allowedPattern": "^(/dev/(sd|xvd)[a-z]{1,2})?$",
		"maxChars": 10
	}}'
# 172800 s, the most there is: when it is over, the agent kills a capture that works, and
# the memory of a 24 TiB instance takes that long at the speed of an ordinary volume. One
# that hangs is cancelled by the responder.
write_document FVol-Capture capture captureMemory 172800 "$BOUND" \
	'Captures memory to the forensic volume on /run/fvol/volume.' '{}'
# 1800 s: seconds for what is read, the rest for hashing and saving files of the host's disk
# when it is busy. What hangs by then hangs for ever, and must not keep the volume mounted.
# shellcheck disable=SC2016 # a dollar of a regular expression
write_document FVol-Triage triage collectLiveState 1800 "$BOUND --redact '{{ Redact }}'" \
	'Collects the live state to the forensic volume on /run/fvol/volume.' \
	'{"Redact": {
		"type": "String",
		"description": "yes: names of environment variables without their values.",
		"default": "no",
		"allowedPattern": "^(yes|no)$",
		"maxChars": 3
	}}'
# 3600 s: what was written and not yet flushed goes to the volume first.
write_document FVol-Unmount unmount unmountForensicVolume 3600 '' \
	'Unmounts the forensic volume and proves that nothing is left mounted.' '{}'

# On a builder: packages, a compiler and one module. Not of mount-scripts.
SCRIPTS=$HERE
# shellcheck disable=SC2016 # a dollar of a regular expression
write_document FVol-BuildStep build-step buildModule 5000 \
	"--source '{{ Source }}' --source-sha256 '{{ SourceSha256 }}' --destination '{{ Destination }}' --lime-version '{{ LimeVersion }}'" \
	'Builds the kernel module for the kernel of a builder; FVol-BuildModule runs it.' \
	'{"Source": {
		"type": "String",
		"description": "s3://BUCKET/PREFIX with kmods, build-module.sh, lime/ and SHA256SUMS.",
		"allowedPattern": "^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[A-Za-z0-9/_.-]{1,200}$",
		"maxChars": 270
	}, "SourceSha256": {
		"type": "String",
		"description": "SHA-256 of SHA256SUMS, checked before anything of Source is used.",
		"allowedPattern": "^[0-9a-f]{64}$",
		"maxChars": 64
	}, "Destination": {
		"type": "String",
		"description": "s3://BUCKET/PREFIX that receives ARCH/RELEASE/.",
		"allowedPattern": "^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[A-Za-z0-9/_.-]{1,200}$",
		"maxChars": 270
	}, "LimeVersion": {
		"type": "String",
		"description": "The version of lime/.",
		"allowedPattern": "^[0-9]+(\\.[0-9]+){1,3}$",
		"maxChars": 20
	}}'

sh "$HERE/lint.sh" "$OUT/FVol-Mount.json" "$OUT/FVol-Capture.json" \
	"$OUT/FVol-Triage.json" "$OUT/FVol-Unmount.json" "$OUT/FVol-BuildStep.json"
write_runbook FVol-Acquire acquire --arg mount_hash "$(hash_of FVol-Mount)" \
	--arg capture_hash "$(hash_of FVol-Capture)" \
	--arg triage_hash "$(hash_of FVol-Triage)" \
	--arg unmount_hash "$(hash_of FVol-Unmount)"
write_runbook FVol-Intake intake
write_runbook FVol-BuildModule build --arg build_hash "$(hash_of FVol-BuildStep)"

(cd "$OUT" && sha256sum FVol-Acquire.json FVol-BuildModule.json FVol-BuildStep.json \
	FVol-Capture.json FVol-Intake.json FVol-Mount.json FVol-Triage.json \
	FVol-Unmount.json \
	> SHA256SUMS.partial && mv SHA256SUMS.partial SHA256SUMS) ||
	die 5 "writing $OUT/SHA256SUMS failed"
