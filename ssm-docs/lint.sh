#!/bin/sh
# Holds SSM Command documents (schema 2.2) to what the agent really does with them:
# lint.sh FILE...   or   lint.sh --rules, which prints the names of the rules.
# The rules and their reasons stand in lint.jq; here are those about the file as a whole.
#
# Exit codes: 0 no complaint, 1 a document is refused, 2 usage, 5 cannot read or no jq.
set -eu
LC_ALL=C
export LC_ALL

HERE=$(cd "$(dirname "$0")" && pwd)
# A document may have 64 KB, the parameters of the run included.
LIMIT=65536

# Arguments: file, rule, message. Returns: 0; prints the complaint.
complain() {
	printf '%s: %s: %s\n' "$1" "$2" "$3"
	refused=1
}

# Arguments: file. Returns: 0, or not at all when it cannot be read.
lint() {
	if [ ! -r "$1" ] || [ ! -f "$1" ]; then
		printf 'lint: cannot read %s\n' "$1" >&2
		exit 5
	fi
	# The file is named as the document will be.
	name=${1##*/}
	case $name in
	*.json) name=${name%.json} ;;
	*) complain "$1" doc-name 'the file is not called NAME.json' ;;
	esac
	case $name in
	*[!a-zA-Z0-9_.-]*) complain "$1" doc-name 'more than a-z A-Z 0-9 _ . -' ;;
	esac
	if [ "${#name}" -lt 3 ] || [ "${#name}" -gt 128 ]; then
		complain "$1" doc-name 'a name has 3 to 128 characters'
	fi
	if ! jq -e -s 'map(type) == ["object"]' "$1" > /dev/null 2>&1; then
		complain "$1" doc-json 'not one JSON object'
		return 0
	fi
	bytes=$(wc -c < "$1")
	room=$(jq '[.parameters? // {} | objects | .[] | objects
		| (.maxChars | numbers) // 4096] | add // 0' "$1")
	if [ "$((bytes + room))" -gt "$LIMIT" ]; then
		complain "$1" doc-size "$((bytes)) and $room for parameters exceed $LIMIT"
	fi
	complaints=$(jq -r -f "$HERE/lint.jq" "$1") || {
		printf 'lint: the rules failed on %s\n' "$1" >&2
		exit 5
	}
	[ -n "$complaints" ] || return 0
	refused=1
	printf '%s\n' "$complaints" | while IFS= read -r line; do
		printf '%s: %s\n' "$1" "$line"
	done
}

case ${1:-} in
'' | -h | --help)
	echo 'Usage: lint.sh FILE... | lint.sh --rules'
	[ -n "${1:-}" ] || exit 2
	exit 0
	;;
--rules)
	printf '%s\n' doc-name doc-json doc-size
	sed -n 's/^# rule \([a-z-]*\):.*/\1/p' "$HERE/lint.jq"
	exit 0
	;;
-*)
	echo "lint: unknown argument '$1'; see --help" >&2
	exit 2
	;;
esac
command -v jq > /dev/null || {
	echo 'lint: jq is missing' >&2
	exit 5
}
refused=0
for file in "$@"; do lint "$file"; done
exit "$refused"
