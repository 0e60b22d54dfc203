# shellcheck shell=sh disable=SC2154 # sourced by run.sh
# The proxy itself: each rule refuses what breaks it, as a second signer sends it.

# Arguments: words of the client. Prints its answer on one line.
in_one_line() {
	client "$@" | tr '\n' ' '
}

# Arguments: title, status, code, words of the client.
refuses() {
	title=$1 pattern="^$2 .*<Code>$3<"
	shift 3
	check "the proxy refuses $title" 0 "$pattern" in_one_line "$@"
}

check 'the second signer and radosgw agree' 0 '^200' client PUT /evidence/plain =hello
refuses 'an unsigned x-amz header' 403 HeadersNotSigned PUT /evidence/x =a \
	'!unsigned:x-amz-meta-a:b'
refuses 'another Region' 400 AuthorizationHeaderMalformed PUT /evidence/x =a '!region:us-east-9'
refuses 'another payload' 400 XAmzContentSHA256Mismatch PUT /evidence/x =a \
	"!payload:$(printf b | sha256sum | cut -c 1-64)"
refuses 'a wrong checksum' 400 BadDigest PUT /evidence/x =a \
	x-amz-checksum-sha256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=
refuses 'to overwrite with If-None-Match' 412 PreconditionFailed PUT /evidence/plain =b \
	'if-none-match:*'
refuses 'the wrong owner' 403 AccessDenied PUT /evidence/x =a \
	x-amz-expected-bucket-owner:999999999999
refuses 'a lock without its end' 400 InvalidArgument PUT /locked/x =a \
	x-amz-object-lock-mode:GOVERNANCE
refuses 'a lock of no mode' 400 InvalidArgument PUT /locked/x =a x-amz-object-lock-mode:SOFT \
	x-amz-object-lock-retain-until-date:2030-01-01T00:00:00Z
refuses 'a lock that is over' 400 InvalidArgument PUT /locked/x =a \
	x-amz-object-lock-mode:GOVERNANCE x-amz-object-lock-retain-until-date:2020-01-01T00:00:00Z
refuses 'a lock without a checksum' 400 InvalidRequest PUT /locked/x =a \
	x-amz-object-lock-legal-hold:ON
refuses 'a KMS key without KMS' 400 InvalidArgument PUT /evidence/x =a \
	x-amz-server-side-encryption-aws-kms-key-id:testkey-1
client POST '/evidence/parts?uploads' x-amz-checksum-algorithm:SHA256 > "$work/out"
id=$(sed -n 's/.*<UploadId>\(.*\)<\/UploadId>.*/\1/p' "$work/out")
part="PUT /evidence/parts?partNumber"
# shellcheck disable=SC2086 # two words
refuses 'part number 0' 400 InvalidArgument $part=0\&uploadId="$id" =a
# shellcheck disable=SC2086
refuses 'part number 10001' 400 InvalidArgument $part=10001\&uploadId="$id" =a
# shellcheck disable=SC2086
refuses 'a part without its checksum' 400 InvalidRequest $part=1\&uploadId="$id" =a
# Arguments: part numbers. Prints the body of a Complete.
complete_body() {
	echo "=<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">$(
		for n; do
			echo "<Part><PartNumber>$n</PartNumber><ETag>x</ETag></Part>"
		done
	)</CompleteMultipartUpload>"
}
refuses 'parts out of order' 400 InvalidPartOrder POST "/evidence/parts?uploadId=$id" \
	"$(complete_body 2 1)"
refuses 'a part that it does not have' 400 InvalidPart POST "/evidence/parts?uploadId=$id" \
	"$(complete_body 1)"
client DELETE "/evidence/parts?uploadId=$id" > "$work/out"
