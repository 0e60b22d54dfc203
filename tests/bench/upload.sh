#!/bin/sh
# 1 GiB over TLS to radosgw on loopback: upload against curl (one PUT, no hash), rclone,
# awscli and minio-client, those of them that this machine has; and `openssl dgst` of the
# file, which whoever sends by curl needs as well to know what was sent. Runs are
# interleaved, the median of each counts. Lines: "NAME ours=V peer=V ratio=V goal=V ok|short|reported".
# Usage: upload.sh [--mib N] [--runs N]; MINIO_CLIENT= names the program.
# Exit: 0 all goals reached; 1 a figure is short; 2 usage; 5 a measurement failed.
set -eu
cd "$(dirname "$0")/../.."
mib=1024 runs=3
while [ $# -gt 0 ]; do
	case $1 in
	--mib) mib=$2 ;;
	--runs) runs=$2 ;;
	*)
		sed -n '2,8s/^# //p' "$0" >&2
		exit 2
		;;
	esac
	shift 2
done
work=$PWD/build/bench-upload
rm -rf "$work"
mkdir -p "$work"
# shellcheck source=tests/upload/radosgw.sh
. tests/upload/radosgw.sh
trap 'rgw_stop; rm -f "$work/data"' EXIT
trap 'exit 5' INT TERM
rgw_start "$work/rgw" || exit 5
rgw_admin user create --uid root --display-name root --access-key ROOTKEY1 \
	--secret-key rootsecret1 > /dev/null 2>&1
printf 'AWS_ACCESS_KEY_ID=ROOTKEY1\nAWS_SECRET_ACCESS_KEY=rootsecret1\n' > "$work/env"
ca=$work/rgw/ca.pem
url=https://localhost:$RGW_PORT
python3 tests/upload/client.py "$work/env" "$ca" "$RGW_PORT" PUT /bench > /dev/null
head -c $((mib << 20)) /dev/urandom > "$work/data"
export AWS_ACCESS_KEY_ID=ROOTKEY1 AWS_SECRET_ACCESS_KEY=rootsecret1
unset AWS_CA_BUNDLE
export AWS_DEFAULT_REGION=eu-test-1
# This radosgw is older than the checksums that newer clients add by default.
export AWS_REQUEST_CHECKSUM_CALCULATION=when_required

# A client slower than 8 MiB/s will not finish, or the store has stalled.
limit_s=$((60 + mib / 8))

# Arguments: name, command... Adds "wall cpu rss" of a run to the file of that name.
measure() {
	name=$1
	shift
	python3 -c '
import os, signal, sys, time
limit_s = int(sys.argv.pop(1))
start = time.monotonic()
pid = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ,
                      file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)])
signal.signal(signal.SIGALRM, lambda *_: os.kill(pid, signal.SIGKILL))
signal.alarm(limit_s)
_, status, usage = os.wait4(pid, 0)
if status:
    late = time.monotonic() - start >= limit_s
    sys.exit("%s: %s" % (sys.argv[1], "did not finish in %d s" % limit_s if late
                         else "failed (%d)" % status))
print("%.2f %.2f %d" % (time.monotonic() - start, usage.ru_utime + usage.ru_stime,
                        usage.ru_maxrss))' "$limit_s" "$name" "$@" >> "$work/$name" ||
		exit 5
}

# Arguments: what, key. One run of it.
one() {
	case $1 in
	upload | upload-unsigned)
		name=$1 key=$2
		shift 2
		[ "$name" = upload ] || set -- --unsigned-payload
		measure "$name" build/release/x86_64/bin/upload --ca "$ca" --endpoint "$url" \
			--region eu-test-1 "$@" "$work/data" "s3://bench/$key"
		set -- "$name" "$key"
		;;
	curl)
		measure curl curl -sS --fail --cacert "$ca" --aws-sigv4 aws:amz:eu-test-1:s3 \
			-H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' -u ROOTKEY1:rootsecret1 \
			-T "$work/data" "$url/bench/$2"
		;;
	openssl)
		measure openssl openssl dgst -sha256 "$work/data"
		return
		;;
	awscli) measure awscli aws --ca-bundle "$ca" --endpoint-url "$url" s3 cp --quiet "$work/data" "s3://bench/$2" ;;
	rclone)
		measure rclone rclone --config /dev/null --ca-cert "$ca" copyto "$work/data" \
			":s3,provider=Ceph,env_auth=true,endpoint='$url':bench/$2"
		;;
	minio-client)
		measure minio-client env MC_HOST_b="https://ROOTKEY1:rootsecret1@localhost:$RGW_PORT" \
			SSL_CERT_FILE="$ca" "$MINIO_CLIENT" --quiet --config-dir "$work/mc" \
			cp "$work/data" "b/bench/$2"
		;;
	esac
	empty "$2"
}

# Arguments: key. Frees what it took of the store, which is memory: the gateway deletes an
# object's tail when it collects garbage, by itself once an hour.
empty() {
	if ! python3 tests/upload/client.py "$work/env" "$ca" "$RGW_PORT" DELETE "/bench/$1" \
		> "$work/deleted" || ! grep -qx 204 "$work/deleted" ||
		! rgw_admin gc process --include-all > "$work/gc.log" 2>&1; then
		echo "upload.sh: /bench/$1 was not deleted" >&2
		exit 5
	fi
}

peers=curl
command -v aws > /dev/null && peers="$peers awscli"
command -v rclone > /dev/null && peers="$peers rclone"
MINIO_CLIENT=${MINIO_CLIENT:-$(command -v minio-client || command -v mcli || :)}
[ -z "$MINIO_CLIENT" ] || peers="$peers minio-client"
i=0
while [ $i -lt "$runs" ]; do
	i=$((i + 1))
	for what in upload upload-unsigned openssl $peers; do
		one "$what" "$what$i"
	done
	# What both hashes of so many bytes take: seconds of one core.
	build/tests/bench/x86_64/sha256 1 two |
		awk -v mib="$mib" '{ printf "- %.2f -\n", mib * 1.048576 / $1 }' >> "$work/sha256"
done
paste -d ' ' "$work/upload" "$work/sha256" | awk '{ print $1, $2 - $5, $3 }' > "$work/sending"
paste -d ' ' "$work/curl" "$work/openssl" | awk '{ print $1 + $4, $2 + $5, $3 }' > "$work/curl+openssl"

# Arguments: name, column. Prints the median.
median() {
	cut -d ' ' -f "$2" "$work/$1" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

short=0
# Arguments: figure, ours, peer's, goal (a number that the ratio must not exceed, or -).
line() {
	awk -v name="$1" -v ours="$2" -v peer="$3" -v goal="$4" 'BEGIN {
		ratio = peer > 0 ? ours / peer : 0
		good = goal == "-" ? "reported" : ratio <= goal ? "ok" : "short"
		printf "%s ours=%s peer=%s ratio=%.2f goal=%s %s\n", name, ours, peer, ratio,
			goal == "-" ? "-" : "<=" goal, good
		exit good == "short" }' || short=1
}

for what in upload upload-unsigned openssl sha256 $peers; do
	echo "# $what: wall cpu rss_kib: $(tr '\n' ';' < "$work/$what")"
done
for peer in $peers; do
	line "wall_s/$peer" "$(median upload-unsigned 1)" "$(median "$peer" 1)" 1.0
	line "wall_signed_s/$peer" "$(median upload 1)" "$(median "$peer" 1)" -
done
line cpu_s/curl+openssl "$(median upload 2)" "$(median curl+openssl 2)" 1.0
line cpu_s/curl "$(median upload 2)" "$(median curl 2)" -
line cpu_unhashed_s/curl "$(median sending 2)" "$(median curl 2)" -
for peer in $peers; do
	[ "$peer" = curl ] || line "cpu_s/$peer" "$(median upload 2)" "$(median "$peer" 2)" -
done
# Four parts of 8 MiB, and 8 MiB.
line rss_kib/bound "$(median upload 3)" $(((4 * 8 + 8) * 1024)) 1.0
exit $short
