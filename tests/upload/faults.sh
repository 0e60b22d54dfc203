# shellcheck shell=sh disable=SC2154 # sourced by run.sh
# Each fault once: the object must then be there, byte for byte, or the tool must say why.

n=0
# Arguments: title, exit code, pattern, fault words (one string), further words of upload.
under() {
	case=$1 must=$2 pattern=$3 words=$4
	shift 4
	n=$((n + 1))
	# shellcheck disable=SC2086 # words
	fault $words
	check "$case" "$must" "$pattern" up --json -p 5M "$@" "$work/big" "s3://evidence/f/$n"
	if [ "$must" -eq 0 ]; then
		check "$case: the same bytes" 0 '' same "$work/big" "evidence/f/$n"
	else
		check "$case: no object" 0 '' absent "evidence/f/$n"
	fi
	check "$case: it happened" 0 '^[a-z0-9-]+ 0' cat "$proxy/fault"
}

under 'connections are cut' 0 '"retries":[1-9]' 'cut 4 PUT partNumber'
under 'a connection stalls' 0 '"retries":[1-9]' 'stall 1 PUT partNumber' --stall 2
under 'the server is slow' 0 '' 'slow 2 PUT partNumber'
under 'the server fails' 0 '"retries":[1-9]' '500 4 PUT partNumber'
under 'the server slows us down' 0 '"retries":[1-9]' '503 6 PUT partNumber'
under 'the server answers early' 0 '"retries":[1-9]' 'early 3 PUT partNumber'
under 'starting fails' 0 '' '503 3 POST uploads'
under 'completing fails' 0 '' '500 2 POST uploadId'
under 'completing fails behind a 200' 0 '' 'error200 2 POST uploadId'
under 'the answer to completing is lost' 0 '"head":"equal"' 'lost 1 POST uploadId'
under 'answers are lost' 0 '"retries":[1-9]' 'lost 3 PUT partNumber'
under 'answers are cut short' 0 '' 'truncated 1 POST uploadId'
under 'answers of starting are cut short' 0 '' 'truncated 1 POST uploads'
under 'an ETag is wrong' 0 '' 'wrong-etag 1 PUT partNumber=2'
under 'looking is cut' 0 '' 'cut 2 HEAD'
under 'the server never recovers' 5 '503 SlowDown' '503 9 PUT partNumber=2' --retries 9

fault flip 1 GET
check 'a byte that reads back wrong is found' 1 'reads back with another SHA-256' \
	up --verify -p 5M "$work/big" s3://evidence/f/flip
fault truncated 1 GET
check 'reading back goes on after a cut' 0 'read back' up --verify -p 5M "$work/big" s3://evidence/f/cut
fault lost 1 PUT f/small
check 'the answer to storing is lost' 0 '' up "$work/small" s3://evidence/f/small
check 'the same bytes' 0 '' same "$work/small" evidence/f/small
fault none 0

# On a terminal a line says how far it is; standard error was none until here.
check 'no line of progress elsewhere' 1 '' grep -q MiB/s "$work/err"
whole=$tool
tool=$work/terminal
printf '#!/bin/sh\nexec python3 %s/tests/upload/terminal.py %s "$@"\n' "$root" "$whole" > "$tool"
chmod 755 "$tool"
fault 500 2 PUT partNumber
check 'a line of progress, with what failed' 0 \
	'upload: 12 MiB of 12 MiB \(100 %\), [0-9]+ MiB/s, 0 s left, 2 tries failed' \
	up -p 5M "$work/big" s3://evidence/f/terminal
fault none 0
check 'and of a stream, whose end nobody knows' 0 'upload: 12 MiB, [0-9]+ MiB/s' \
	up -p 5M - s3://evidence/f/stream < "$work/big"
tool=$whole

# A clock that is wrong. The server's is two hours ahead for one answer: what is sent next is
# signed by it, which radosgw, whose clock is right, refuses with a date of its own.
echo 7200 > "$proxy/ahead"
fault skewed 1 PUT f/skewed
check "the server's clock is taken over" 0 '"retries":[1-9]' up --json "$work/small" s3://evidence/f/skewed
check 'the same bytes' 0 '' same "$work/small" evidence/f/skewed
check 'it was refused by both' 0 '' test "$(requests ' 403')" -eq 2
rm "$proxy/ahead"
# What helps nothing is said, and not tried for ever.
fault skewed 9 PUT f/skewed2
check 'a clock that nothing helps' 4 "403 RequestTimeTooSkewed: .* clock" \
	up "$work/small" s3://evidence/f/skewed2
check 'no object' 0 '' absent evidence/f/skewed2
check 'and it is not tried again' 0 '' test "$(requests RequestTimeTooSkewed)" -eq 1
fault none 0

# What is not signed is still checked: by the checksum, whose header is.
fault garbled 1 PUT partNumber=2
check 'a part that is another than its checksum says' 5 'part 2: .*400 BadDigest' \
	up --unsigned-payload -p 5M "$work/big" s3://evidence/f/garbled
check 'no object' 0 '' absent evidence/f/garbled
check 'its payload was not signed' 0 '' test "$(requests ' unsigned')" -ge 1
fault none 0
check 'parts whose payload is not signed' 0 '"checksum":"[A-Za-z0-9+/]{43}=-3"' \
	up --json --unsigned-payload -p 5M "$work/big" s3://evidence/f/unsigned
check 'the same bytes' 0 '' same "$work/big" evidence/f/unsigned
check 'all three of them' 0 '' test "$(requests ' unsigned')" -eq 3

# Certificates: nothing may be sent to who is not who was asked.
make_ca "$rgw" foreign
make_certificate "$rgw" alien DNS:localhost 2 foreign
make_certificate "$rgw" elsewhere DNS:elsewhere.example 2 ca
make_certificate "$rgw" expired DNS:localhost -1 ca
make_certificate "$rgw" future DNS:localhost 9 ca 5
for name in alien elsewhere expired future; do
	case $name in
	alien) why='by no CA of the bundle' ;;
	elsewhere) why='for another host name' ;;
	expired) why="has expired, by this machine's clock" ;;
	*) why="is not yet valid, by this machine's clock" ;;
	esac
	start_proxy "$work/$name" "$RGW_PORT" "$name"
	check "a certificate is refused: $name" 5 "certificate .*$why" env AWS_ACCESS_KEY_ID=ROOTKEY1 \
		AWS_SECRET_ACCESS_KEY=rootsecret1 "$tool" "$work/small" s3://evidence/f/tls \
		--ca "$rgw/ca.pem" --endpoint "https://localhost:$PORT" --region eu-test-1
	check "nothing was sent to it: $name" 1 '' test -e "$work/$name/requests"
done
