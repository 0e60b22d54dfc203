# shellcheck shell=sh
# Results of checks. To be sourced; needs $work, sets $failed. Texts are looked for in
# $streams, "out err" unless whoever sources it says that only one of them will do.
: "${work:?}" "${streams:=out err}"
# shellcheck disable=SC2034 # whoever sources it exits with it
failed=0

# Arguments: exit code of a check, name. Prints the result line.
result() {
	if [ "$1" -eq 0 ]; then
		echo "ok $2"
	else
		echo "FAIL $2"
		# shellcheck disable=SC2034
		failed=1
		for stream in err out; do
			[ ! -s "$work/$stream" ] || sed 's/^/  /' "$work/$stream"
		done
	fi
}

# Arguments: name, command... Succeeds when the command does.
check() {
	name=$1
	shift
	rc=0
	# Not into the files that the command may look at.
	"$@" > "$work/check" 2>&1 || rc=1
	[ $rc -eq 0 ] || mv "$work/check" "$work/err"
	result $rc "$name"
}

# Arguments: none. Prints what a command wrote to $streams.
streams_text() {
	for stream in $streams; do
		cat "$work/$stream"
	done
}

# Arguments: expected exit code, name, text that must stand in $streams, command...
expect() {
	want=$1 name=$2 text=$3
	shift 3
	rc=0
	"$@" > "$work/out" 2> "$work/err" || rc=$?
	if [ "$rc" -ne "$want" ]; then
		echo "exit code $rc instead of $want" >> "$work/err"
		rc=1
	elif [ -n "$text" ] && ! streams_text | grep -qF -- "$text"; then
		echo "not in $streams: $text" >> "$work/err"
		rc=1
	else
		rc=0
	fi
	result "$rc" "$name"
}
