# shellcheck shell=sh
# Results of checks, in the current directory. To be sourced; sets $failed.
# shellcheck disable=SC2034 # whoever sources it exits with it
failed=0

# Arguments: exit code, pattern (extended) that the output must hold, title, command...
gives() {
	want=$1 pattern=$2 title=$3
	shift 3
	rc=0
	"$@" > log 2>&1 || rc=$?
	if [ "$rc" = "$want" ] && { [ -z "$pattern" ] || grep -qE -e "$pattern" log; }; then
		echo "ok $title"
	else
		echo "FAIL $title: exit $rc, wanted $want and '$pattern'"
		head -n 8 log | sed 's/^/     /'
		failed=1
	fi
}
