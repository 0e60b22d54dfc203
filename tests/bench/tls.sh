#!/bin/sh
# A PUT over TLS on loopback: MB for each second of the client's processor time, ours
# against the machine's curl (OpenSSL), TLS 1.2 and 1.3. The processor time is the measure:
# the wall time belongs to the slower of client and server. Options: --mib N, --runs N.
# A ratio is ours by curl's, medians of the runs; no goal is set.
set -eu
cd "$(dirname "$0")/../.."
mib=512 runs=5
while [ $# -gt 0 ]; do
	case $1 in
	--mib) mib=$2 ;;
	--runs) runs=$2 ;;
	*)
		echo "usage: tls.sh [--mib N] [--runs N]" >&2
		exit 2
		;;
	esac
	shift 2
done
dir=$(mktemp -d)
trap 'exec 9>&-; rm -rf "$dir"' EXIT
sh tests/http/certs.sh "$dir/certs"
mkfifo "$dir/life"
python3 -W ignore tests/http/server.py "$dir/certs" "$dir/ports" < "$dir/life" &
exec 9> "$dir/life"
while [ ! -f "$dir/ports" ]; do sleep 0.1; done
head -c "${mib}M" /dev/zero > "$dir/body"

# Arguments: command... Prints MB by second of user and system time, the median of runs.
rate() {
	python3 - "$runs" "$mib" "$@" <<-'END'
		import resource, statistics, subprocess, sys
		runs, mib, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
		rates, before = [], 0.0
		for _ in range(runs):
		    if subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode:
		        sys.exit(5)
		    used = resource.getrusage(resource.RUSAGE_CHILDREN)
		    total = used.ru_utime + used.ru_stime
		    rates.append(mib * 1.048576 / (total - before))
		    before = total
		print("%.0f" % statistics.median(rates))
	END
}

for version in 1.2 1.3; do
	port=$(awk -v n="tls$(echo $version | tr -d .)" '$1 == n { print $2 }' "$dir/ports")
	url=https://localhost:$port/sink
	ours=$(rate build/tests/bench/x86_64/tls "$dir/certs/ca.pem" "$dir/body" "$url")
	for suite in default aes128; do
		set --
		[ $suite = default ] || set -- --ciphers ECDHE-RSA-AES128-GCM-SHA256 \
			--tls13-ciphers TLS_AES_128_GCM_SHA256
		peer=$(rate curl -sS --cacert "$dir/certs/ca.pem" -H Expect: "$@" \
			-T "$dir/body" "$url")
		echo "tls${version}_mb_per_cpu_s/curl-$suite ours=$ours peer=$peer" \
			"ratio=$(echo "scale=2; $ours / $peer" | bc) reported"
	done
done
