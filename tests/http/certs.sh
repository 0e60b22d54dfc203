#!/bin/sh
# Makes a CA and server certificates, good and bad, in a directory: certs.sh DIR.
# NAME.pem holds certificate and key; ca.pem is what the client trusts.
set -eu
dir=$1
mkdir -p "$dir"
cd "$dir"
rm -rf db
mkdir db
: > db/index.txt
echo unique_subject=no > db/index.txt.attr
cat > ca.cnf <<-'END'
	[req]
	distinguished_name = dn
	[dn]
	[ca]
	default_ca = test
	[test]
	database = db/index.txt
	new_certs_dir = db
	rand_serial = yes
	default_md = sha256
	policy = any
	copy_extensions = copyall
	[any]
	commonName = supplied
	[v3_ca]
	basicConstraints = critical, CA:TRUE
	keyUsage = critical, keyCertSign, cRLSign
END

# Arguments: name. Makes NAME.key and a self-signed CA NAME.pem.
make_ca() {
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.pem" -days 3650 \
		-subj "/CN=fvol test $1" -config ca.cnf -extensions v3_ca
}

# Arguments: name, key options, subjectAltName, start, end, CA, further options...
make_server() {
	name=$1 key=$2 alt=$3 start=$4 end=$5 ca=$6
	shift 6
	# shellcheck disable=SC2086 # key options are words
	openssl req -new -newkey $key -nodes -keyout "$name.key" -out "$name.csr" \
		-subj "/CN=server $name" -addext "subjectAltName=$alt" -config ca.cnf
	openssl ca -batch -notext -config ca.cnf -cert "$ca.pem" -keyfile "$ca.key" \
		-in "$name.csr" -out "$name.crt" -startdate "$start" -enddate "$end" "$@"
	cat "$name.crt" "$name.key" > "$name.pem"
}

past=20200101000000Z later=20210101000000Z far=20480101000000Z
local=DNS:localhost,IP:127.0.0.1
ec='ec -pkeyopt ec_paramgen_curve:P-256'
{
	make_ca ca
	make_ca foreign
	make_server good rsa:2048 $local $past $far ca
	make_server ecdsa "$ec" $local $past $far ca
	make_server name rsa:2048 DNS:other.example,IP:127.0.0.2 $past $far ca
	make_server expired rsa:2048 $local $past $later ca
	make_server future rsa:2048 $local 20470101000000Z $far ca
	make_server stranger rsa:2048 $local $past $far foreign
	make_server short rsa:1024 $local $past $far ca
	make_server sha1 rsa:2048 $local $past $far ca -md sha1
} > log 2>&1 || {
	cat log >&2
	exit 5
}
