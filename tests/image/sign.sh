#!/bin/sh
# Signatures: what image signs openssl verifies and the other way round, also through an
# outside program; hash verifies on both architectures; and whatever is wrong is refused.
# Environment: IMAGE (the program). Exit: 0 passed, 1 failed, 77 skipped with the reason.
# shellcheck disable=SC2016,SC2094,SC2317,SC2329 # inner shells expand; gives calls
set -eu
export LC_ALL=C
HERE=$(cd "$(dirname "$0")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
IMAGE=${IMAGE:-$ROOT/build/release/x86_64/bin/image}

for program in openssl qemu-aarch64-static; do
	command -v "$program" > /dev/null && continue
	echo "skip: $program is missing"
	exit 77
done

PATH=/usr/sbin:/sbin:$PATH
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
trap 'exit 1' HUP INT TERM
cd "$WORK"

# shellcheck source=/dev/null
. "$HERE/checks.sh"

hash_x86_64() { "$ROOT/build/release/x86_64/bin/hash" "$@"; }
hash_aarch64() { qemu-aarch64-static "$ROOT/build/release/aarch64/bin/hash" "$@"; }

# Keys.
gives 0 '^key [0-9a-f]{64}$' 'a key is made' "$IMAGE" keygen a.key a.pub
id=$(sed 's/^key //' log)
gives 0 '^600$' 'that others cannot read' stat -c %a a.key
gives 0 "^$id" 'its id is the hash of the public key in DER' \
	sh -c 'openssl pkey -pubin -in a.pub -outform DER | sha256sum'
gives 0 'BEGIN PRIVATE KEY' 'it is PKCS#8' head -n 1 a.key
gives 0 'valid' 'openssl finds it valid' openssl pkey -in a.key -check -noout
openssl pkey -in a.key -pubout -out a.pub2
gives 0 '' 'and finds the same public half' cmp a.pub a.pub2
gives 5 'a.key: File exists' 'a key is not overwritten' "$IMAGE" keygen a.key x.pub
gives 5 'a.pub: File exists' 'nor a public one' "$IMAGE" keygen x.key a.pub
gives 1 '' 'and no half a pair is left' test -e x.key
"$IMAGE" keygen b.key b.pub > b.id
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out o.key 2> /dev/null
openssl pkey -in o.key -pubout -out o.pub
chmod 600 o.key
openssl ec -in o.key -out sec1.key 2> /dev/null
chmod 600 sec1.key
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out p384.key 2> /dev/null
openssl pkey -in p384.key -pubout -out p384.pub
chmod 600 p384.key
openssl pkcs8 -topk8 -in o.key -passout pass:x -out locked.key
chmod 600 locked.key

# Both directions.
printf 'evidence\n' > file
gives 0 "^file.sig: signed by key $id$" 'a file is signed' "$IMAGE" sign --sign-key a.key file
gives 0 'Verified OK' 'openssl verifies it' \
	openssl dgst -sha256 -verify a.pub -signature file.sig file
cp file.sig first.sig
"$IMAGE" sign --sign-key a.key file > /dev/null
gives 0 '' 'signing again gives the same bytes' cmp first.sig file.sig
gives 0 "^file: signed by key $id$" 'we verify it' "$IMAGE" verify-signature --key a.pub file
for key in o sec1; do
	gives 0 '' "a key of openssl's signs ($key)" "$IMAGE" sign --sign-key $key.key file
	gives 0 'Verified OK' 'and openssl verifies' \
		openssl dgst -sha256 -verify o.pub -signature file.sig file
done
for i in 1 2 3 4 5 6 7 8; do
	openssl dgst -sha256 -sign o.key -out openssl.sig file
	gives 0 'signed by key' "a signature of openssl's ($i: $(stat -c %s openssl.sig) bytes)" \
		"$IMAGE" verify-signature --key o.pub file openssl.sig
	for arch in x86_64 aarch64; do
		gives 0 'signed by key' "also by hash ($arch)" \
			hash_$arch --signature openssl.sig --key o.pub file
	done
done

# What is wrong is said.
cp first.sig file.sig
printf 'Evidence\n' > changed
head -c -1 first.sig > cut.sig
{ cat first.sig; printf 0; } > long.sig
: > empty.sig
for arch in x86_64 aarch64; do
	gives 1 'no trusted key' "another file is refused ($arch)" \
		hash_$arch --signature first.sig --key a.pub changed
	gives 1 'no trusted key' "another key is refused ($arch)" \
		hash_$arch --signature first.sig --key b.pub file
	for bad in cut long empty; do
		gives 1 'not an ECDSA signature' "a signature that is $bad is refused ($arch)" \
			hash_$arch --signature $bad.sig --key a.pub file
	done
	gives 5 'not a public key on P-256' "a key on another curve is refused ($arch)" \
		hash_$arch --signature first.sig --key p384.pub file
done
gives 1 'no trusted key' 'the wrong key is refused by image' \
	"$IMAGE" verify-signature --key b.pub file
gives 5 'not an unencrypted private key' 'a locked key is refused' \
	"$IMAGE" sign --sign-key locked.key file
gives 5 'not an unencrypted private key on P-256' 'P-384 is refused' \
	"$IMAGE" sign --sign-key p384.key file
gives 5 'not an unencrypted private key' 'a public key does not sign' \
	sh -c 'cp a.pub p.key; chmod 600 p.key; exec "$0" sign --sign-key p.key file' "$IMAGE"
chmod 640 o.key
gives 4 'others than its owner may use it' 'a key that others can read is refused' \
	"$IMAGE" sign --sign-key o.key file
chmod 600 o.key
gives 0 '' 'no refused run touched the signature' cmp first.sig file.sig
gives 2 'sign-key, or --sign-command' 'nobody to sign' "$IMAGE" sign file
gives 2 'sign-key, or --sign-command' 'two to sign' \
	"$IMAGE" sign --sign-key a.key --sign-command ./kms --key a.pub file
gives 2 'sign-key, or --sign-command' 'a program without its key' \
	"$IMAGE" sign --sign-command ./kms file

# A program before the key, as with AWS KMS: the digest comes in, DER goes out.
cat > kms <<'EOT'
#!/bin/sh
# What stands before the digest of a SHA-256 DigestInfo is not wanted: pkeyutl signs it raw.
exec openssl pkeyutl -sign -inkey o.key
EOT
chmod 755 kms
gives 0 'signed by key' 'a program signs' "$IMAGE" sign --sign-command ./kms --key o.pub file
gives 0 'Verified OK' 'and openssl verifies' \
	openssl dgst -sha256 -verify o.pub -signature file.sig file
cp file.sig kms.sig
gives 1 'not one of this key' 'its signature by another key is refused' \
	"$IMAGE" sign --sign-command ./kms --key a.pub file
# Arguments: exit code, pattern, line of the program.
odd() {
	printf '#!/bin/sh\n%s\n' "$3" > odd
	chmod 755 odd
	gives "$1" "$2" "a program that does '$3' is refused" \
		"$IMAGE" sign --sign-command ./odd --key o.pub file
}
odd 5 'exited with 3' 'exit 3'
odd 5 'killed by signal 9' 'kill -9 $$'
odd 1 'not an ECDSA' 'exit 0'
odd 1 'not an ECDSA' cat
odd 1 'not an ECDSA' 'head -c 100000 /dev/zero'
odd 1 'not one of this key' 'exec < /dev/null; cat first.sig'
odd 5 'exited with 9' 'cat kms.sig; exit 9'
gives 5 'starting ./none' 'a program that is not there' \
	"$IMAGE" sign --sign-command ./none --key o.pub file
gives 0 '' 'no refused run touched the signature' cmp kms.sig file.sig

# The wrapper for AWS KMS that the man page prints, as it is, before a stand-in for aws that
# takes what the real one takes (fileb:// opens the file) and answers as it does.
mkdir bin
cat > bin/aws <<'EOT'
#!/bin/sh
set -eu
[ "$1 $2" = 'kms sign' ] || exit 252
shift 2
while [ $# -gt 1 ]; do
	case $1 in
	--key-id) [ "$2" = alias/fvol ] || exit 254 ;;
	--message-type) [ "$2" = DIGEST ] || exit 254 ;;
	--signing-algorithm) [ "$2" = ECDSA_SHA_256 ] || exit 254 ;;
	--message) message=${2#fileb://} ;;
	--query) [ "$2" = Signature ] || exit 252 ;;
	--output) [ "$2" = text ] || exit 252 ;;
	*) exit 252 ;;
	esac
	shift 2
done
[ $# -eq 0 ] || exit 252
cat < "$message" > digest
[ "$(stat -c %s digest)" = 32 ] || exit 254
openssl pkeyutl -sign -inkey o.key -in digest | base64 -w 0
echo
EOT
sed -n '/^#!\/bin\/sh$/,/^\.fi$/p' "$ROOT/man/image.1" | grep -v '^\.fi$' |
	sed 's/\\-/-/g; s/\\e$/\\/' > wrapper
chmod 755 bin/aws wrapper
rm file.sig
gives 0 'aws kms sign --key-id' 'the man page has a wrapper for KMS' cat wrapper
gives 0 'signed by key' 'it signs' \
	env PATH="$PWD/bin:$PATH" "$IMAGE" sign --sign-command ./wrapper --key o.pub file
gives 0 'Verified OK' 'and openssl verifies' \
	openssl dgst -sha256 -verify o.pub -signature file.sig file
gives 1 'not an ECDSA|exited with' 'a KMS that refuses is no signature' env \
	PATH="$PWD/bin:$PATH" sh -c 'printf "#!/bin/sh\nexit 254\n" > bin/aws
	exec "$0" sign --sign-command ./wrapper --key o.pub file' "$IMAGE"
cp kms.sig file.sig

# Trusted keys: rotation and revocation.
gives 0 "^trusted: key $id" 'a key is trusted' "$IMAGE" trust keys a.pub
"$IMAGE" trust keys b.pub > /dev/null
gives 5 'File exists' 'a key is trusted once' "$IMAGE" trust keys a.pub
"$IMAGE" sign --sign-key a.key file > /dev/null
gives 0 "$id" 'a trusted key is found' "$IMAGE" verify-signature --keys keys file
gives 1 'no trusted key' 'one that is not trusted is refused' \
	"$IMAGE" verify-signature --keys keys file kms.sig
gives 1 'not trusted itself' 'a stranger revokes nothing' \
	"$IMAGE" revoke --sign-key o.key --reason mischief keys "$id"
gives 2 'cannot revoke itself' 'a key does not revoke itself' \
	"$IMAGE" revoke --sign-key a.key --reason x keys "$id"
gives 2 '64 hex digits' 'an id has 64 digits' \
	"$IMAGE" revoke --sign-key b.key --reason x keys 12
gives 2 'a reason of one line' 'a reason has one line' \
	"$IMAGE" revoke --sign-key b.key --reason 'a
b' keys "$id"
gives 1 '' 'nothing is written by then' test -e keys/revoked
gives 0 "revoked: key $id" 'the other key revokes it' \
	"$IMAGE" revoke --sign-key b.key --reason 'laptop stolen' keys "$id"
gives 0 "^$id 20[0-9-]* laptop stolen$" 'which the list says' cat keys/revoked
gives 0 'Verified OK' 'and openssl verifies the list' \
	openssl dgst -sha256 -verify b.pub -signature keys/revoked.sig keys/revoked
gives 1 "signed by the revoked key $id" 'its signature is refused' \
	"$IMAGE" verify-signature --keys keys file
for arch in x86_64 aarch64; do
	gives 1 "signed by the revoked key $id" "by hash, too ($arch)" \
		hash_$arch --signature file.sig --keys keys file
done
"$IMAGE" sign --sign-key b.key file > /dev/null
gives 0 'signed by key' 'the new key counts' "$IMAGE" verify-signature --keys keys file
gives 1 'not trusted itself' 'a revoked key revokes nothing' \
	"$IMAGE" revoke --sign-key a.key --reason revenge keys "$(sed 's/key //' b.id)"
cp -r keys gone && rm gone/revoked
gives 1 'without its list' 'a list that was taken away is missed' \
	"$IMAGE" verify-signature --keys gone file
cp -r keys unsigned && rm unsigned/revoked.sig
gives 5 'revoked.sig' 'a list that is not signed is refused' \
	"$IMAGE" verify-signature --keys unsigned file
cp -r keys forged && sed -i 's/stolen/found/' forged/revoked
gives 1 'revoked.sig: no trusted key' 'a list that was changed is refused' \
	"$IMAGE" verify-signature --keys forged file
cp -r keys self && openssl dgst -sha256 -sign a.key -out self/revoked.sig self/revoked
gives 1 'revoked.sig: signed by the revoked key' 'a revoked key does not sign the list' \
	"$IMAGE" verify-signature --keys self file
cp -r keys swapped && cp o.pub "swapped/$id.pem"
gives 1 'holds the key' 'a key under the name of another is refused' \
	"$IMAGE" verify-signature --keys swapped file
mkdir none
gives 5 'holds no key' 'a directory without keys is refused' \
	"$IMAGE" verify-signature --keys none file

# The image: a signature adds itself and changes nothing else.
mkdir src && cp file src/file
printf 'file 0644 /a/file src/file\nfile 0644 /z src/file\ndir 0700 /evidence\n' > plan
build_signed() {
	name=$1
	shift
	"$IMAGE" build --plan plan --size 64M --epoch 1700000000 \
		--manifest-out "$name.MANIFEST" "$@" "$name.img"
}
gives 0 '' 'an unsigned image' build_signed plain
gives 0 'MANIFEST signed by key' 'a signed image' build_signed signed --sign-key b.key
gives 0 '' 'signed again it has the same bytes' sh -c '
	"$0" build --plan plan --size 64M --epoch 1700000000 --sign-key b.key again.img &&
	cmp signed.img again.img' "$IMAGE"
gives 0 '' 'the MANIFEST is the same' cmp plain.MANIFEST signed.MANIFEST
"$IMAGE" ls plain.img > plain.ls
"$IMAGE" ls signed.img > signed.ls
gives 0 '' 'the signature is the one name more' sh -c '
	grep -v MANIFEST.sig signed.ls | cmp - plain.ls && grep -q MANIFEST.sig signed.ls'
gives 0 '' 'the rest stands where it stood' sh -c '
	for f in a/file z MANIFEST; do
		[ "$(debugfs -R "stat /$f" plain.img 2> /dev/null)" = \
			"$(debugfs -R "stat /$f" signed.img 2> /dev/null)" ] || exit 1
	done'
gives 0 '' 'e2fsck finds nothing' e2fsck -fn signed.img
gives 0 'as the MANIFEST says' 'image verify accepts it' "$IMAGE" verify signed.img
"$IMAGE" cat signed.img MANIFEST.sig > MANIFEST.sig
gives 0 'Verified OK' 'openssl verifies it' \
	openssl dgst -sha256 -verify b.pub -signature MANIFEST.sig signed.MANIFEST
gives 0 'MANIFEST signed by key' 'a program signs an image' \
	build_signed byprogram --sign-command ./kms --key o.pub
gives 1 'signing the MANIFEST' 'a wrong signature makes no image' \
	build_signed wrong --sign-command ./kms --key a.pub
gives 1 '' 'none at all' test -e wrong.img
gives 0 '' 'the keys go onto the volume' build_signed keys --keys keys --sign-key b.key
gives 0 'keys/revoked.sig' 'under the MANIFEST' cat keys.MANIFEST
gives 0 '' 'no private key is in any output' sh -c '
	secret=$(openssl pkey -in b.key -outform DER | tail -c +8 | head -c 32 |
		od -An -v -tx1 | tr -d " \n")
	openssl pkey -in b.key -text -noout | tr -d " :\n" | grep -qF "$secret" || exit 2
	for f in signed.img *.sig *.MANIFEST log; do
		od -An -v -tx1 "$f" | tr -d " \n" | grep -qF "$secret" && exit 1
	done
	! grep -l "PRIVATE KEY" ./*.img ./*.MANIFEST log'
exit "${failed:?}"
