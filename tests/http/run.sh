#!/bin/sh
# The HTTP client against a server that misbehaves, on loopback: under sanitizers, as the
# static x86_64 program with AES-NI and without (qemu), as the aarch64 program (qemu); and
# against TLS servers that are not OpenSSL.
set -eu
cd "$(dirname "$0")/../.."
failed=0
dir=$(mktemp -d)
pids=
# shellcheck disable=SC2086 # process ids are words
trap 'exec 9>&-; [ -z "$pids" ] || kill $pids 2> /dev/null || :; rm -rf "$dir"' EXIT

sh tests/http/certs.sh "$dir/certs"
mkfifo "$dir/life"
# The server ends with its input.
python3 -W ignore tests/http/server.py "$dir/certs" "$dir/ports" < "$dir/life" &
exec 9> "$dir/life"
tries=0
until [ -f "$dir/ports" ]; do
	tries=$((tries + 1))
	if [ $tries -gt 300 ]; then
		echo "FAIL http: the server does not start"
		exit 1
	fi
	sleep 0.1
done

# Arguments: name, command... Runs one program's tests, each named after it.
under() {
	name=$1
	shift
	"$@" > "$dir/log" 2>&1 || failed=1
	sed -e "s/^ok /ok http $name: /" -e "s/^FAIL /FAIL http $name: /" "$dir/log"
	if ! grep -qE '^(ok|FAIL) ' "$dir/log"; then
		echo "FAIL http $name: it printed no result"
		failed=1
	fi
}

under sanitized build/check/bin/httptest "$dir/certs" "$dir/ports"
under x86_64 build/tests/http/x86_64/httptest "$dir/certs" "$dir/ports"
under aarch64 qemu-aarch64-static build/tests/http/aarch64/httptest "$dir/certs" "$dir/ports"
under 'no AES-NI' qemu-x86_64-static -cpu Nehalem,-aes,-pclmulqdq \
	build/tests/http/x86_64/httptest "$dir/certs" "$dir/ports" handshakes
under 'GCM x86_64' build/tests/http/x86_64/test_gcm
under 'GCM no AES-NI' qemu-x86_64-static -cpu Nehalem,-aes,-pclmulqdq \
	build/tests/http/x86_64/test_gcm
under 'GCM aarch64' qemu-aarch64-static build/tests/http/aarch64/test_gcm

# Prints a port that nothing listens on.
free_port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}

# Arguments: name, port. One request to a server of another make, with its retries while
# it starts.
peer() {
	echo "peer $2" > "$dir/peer-ports"
	tries=0
	until "$client" "$dir/certs" "$dir/peer-ports" peer > "$dir/log" 2>&1; do
		tries=$((tries + 1))
		if [ $tries -gt 50 ]; then
			echo "FAIL http $1"
			cat "$dir/log"
			failed=1
			return
		fi
		sleep 0.1
	done
	echo "ok http $1"
}

for arch in x86_64 aarch64; do
	client=build/tests/http/$arch/httptest
	if [ $arch = aarch64 ]; then
		printf '#!/bin/sh\nexec qemu-aarch64-static %s "$@"\n' "$PWD/$client" > "$dir/client"
		chmod 755 "$dir/client"
		client=$dir/client
	fi
	for version in 1.2 1.3; do
		port=$(free_port)
		gnutls-serv --http -q -p "$port" --x509certfile "$dir/certs/ecdsa.pem" \
			--x509keyfile "$dir/certs/ecdsa.key" \
			--priority "NORMAL:-VERS-ALL:+VERS-TLS$version" > "$dir/gnutls" 2>&1 &
		pids="$pids $!"
		peer "gnutls TLS $version ($arch)" "$port"
		port=$(free_port)
		flag=-tls1_$(echo "$version" | cut -d . -f 2)
		openssl s_server -accept "127.0.0.1:$port" -cert "$dir/certs/good.pem" \
			"$flag" -www > "$dir/openssl" 2>&1 < "$dir/life" &
		pids="$pids $!"
		peer "openssl TLS $version ($arch)" "$port"
	done
done
exit $failed
