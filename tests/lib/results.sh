# shellcheck shell=sh
# Results of a suite that talks to servers of its own. To be sourced by one that has made
# $work; sets $failed, and stops at its end the servers whose numbers $server_pids holds.
# shellcheck disable=SC2034,SC2154,SC2317,SC2329 # used by whoever sources it
failed=0
server_pids=

stop_servers() {
	for pid in $server_pids; do
		kill -9 "$pid" 2> /dev/null || :
	done
}
trap stop_servers EXIT
# A shell that is ended by a signal runs no trap of its exit.
trap 'exit 5' INT TERM HUP

# Arguments: exit code of what was tested, title. Prints the result line.
result() {
	if [ "$1" -eq 0 ]; then echo "ok $2"; else
		echo "FAIL $2"
		sed 's/^/  /' "$work/out" "$work/err" 2> /dev/null | tail -n 12
		failed=1
	fi
}

# Arguments: title, exit code that it must have, pattern of what it must print (may be
# empty), command...
check() {
	title=$1 want=$2 pattern=$3
	shift 3
	rc=0
	"$@" > "$work/out" 2> "$work/err" || rc=$?
	if [ "$rc" -eq "$want" ] &&
		{ [ -z "$pattern" ] || cat "$work/out" "$work/err" | grep -Eq -e "$pattern"; }; then
		result 0 "$title"
	else
		echo "# exit code $rc, wanted $want and '$pattern'"
		result 1 "$title"
	fi
}
