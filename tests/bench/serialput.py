"""serialput.py PORT CA IMAGE: blocks that are not zero, one after the other over one kept
connection: read, hash, sign, put, as a script around the direct API does."""
import base64, hashlib, http.client, json, os, ssl, sys, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import sigv4  # noqa: E402

port, ca, image = sys.argv[1:4]
connection = http.client.HTTPSConnection("localhost", int(port), timeout=60,
                                         context=ssl.create_default_context(cafile=ca))


def call(method, path, body, more=(), good=(200, 201, 202)):
    payload = hashlib.sha256(body).hexdigest()
    headers = {"host": "localhost:" + port, "x-amz-content-sha256": payload,
               "x-amz-date": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()), **dict(more)}
    names = sorted(headers)
    said = sigv4.signature("secretexample", method, path, [], headers, names, payload,
                           headers["x-amz-date"], "eu-test-1", "ebs")
    headers["Authorization"] = (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/%s/eu-test-1/ebs/aws4_request, "
        "SignedHeaders=%s, Signature=%s" % (headers["x-amz-date"][:8], ";".join(names), said))
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    data = answer.read()
    if answer.status not in good:
        sys.exit("%s %s: %d %r" % (method, path, answer.status, data))
    return data


snapshot = json.loads(call("POST", "/snapshots", b'{"VolumeSize": 1}'))["SnapshotId"]
digests = []
with open(image, "rb") as f:
    for index in range((os.path.getsize(image) + 524287) // 524288):
        data = f.read(524288).ljust(524288, b"\0")
        if not data.strip(b"\0"):
            continue
        digests.append(hashlib.sha256(data).digest())
        call("PUT", "/snapshots/%s/blocks/%d" % (snapshot, index), data, {
            "x-amz-data-length": "524288", "x-amz-checksum-algorithm": "SHA256",
            "x-amz-checksum": base64.b64encode(digests[-1]).decode()})
call("POST", "/snapshots/completion/" + snapshot, b"", {
    "x-amz-changedblockscount": str(len(digests)), "x-amz-checksum-algorithm": "SHA256",
    "x-amz-checksum-aggregation-method": "LINEAR",
    "x-amz-checksum": base64.b64encode(hashlib.sha256(b"".join(digests)).digest()).decode()})
