"""Requests signed by a second signer, written from the specification alone.

client.py ENV-FILE CA PORT METHOD PATH[?QUERY] [NAME:VALUE...] [@BODY-FILE|=BODY]
prints the status and the answer. ENV-FILE has AWS_ACCESS_KEY_ID=... lines. Special names:
  !unsigned:NAME:VALUE   a header that is sent and not signed
  !payload:HEX           a payload hash that is claimed instead of the true one
  !region:R  !service:S  of the scope
  !into:FILE             where the answer is written, in place of printing it
"""
import datetime, hashlib, http.client, os, ssl, sys, urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import sigv4  # noqa: E402


def sign(keys, method, path, query, headers, payload, region, service, now):
    date = now.strftime("%Y%m%dT%H%M%SZ")
    headers = dict((n.lower(), v) for n, v in headers.items())
    headers["x-amz-date"] = date
    if keys.get("AWS_SESSION_TOKEN"):
        headers["x-amz-security-token"] = keys["AWS_SESSION_TOKEN"]
    names = sorted(headers)
    signature = sigv4.signature(keys["AWS_SECRET_ACCESS_KEY"], method, path, query, headers, names,
                                payload, date, region, service)
    headers["Authorization"] = (
        "AWS4-HMAC-SHA256 Credential=%s/%s/%s/%s/aws4_request, SignedHeaders=%s, Signature=%s" %
        (keys["AWS_ACCESS_KEY_ID"], date[:8], region, service, ";".join(names), signature))
    return headers


def main():
    env, ca, port, method, target = sys.argv[1:6]
    keys = dict(line.strip().split("=", 1) for line in open(env) if "=" in line)
    path, _, query = target.partition("?")
    query = urllib.parse.parse_qsl(query, keep_blank_values=True)
    headers, unsigned, body = {"host": "localhost:" + port}, {}, b""
    payload, region, service = None, "eu-test-1", "s3"
    into = None
    for word in sys.argv[6:]:
        if word.startswith("@"):
            body = open(word[1:], "rb").read()
        elif word.startswith("="):
            body = word[1:].encode()
        elif word.startswith("!unsigned:"):
            name, value = word[10:].split(":", 1)
            unsigned[name] = value
        elif word.startswith("!payload:"):
            payload = word[9:]
        elif word.startswith("!region:"):
            region = word[8:]
        elif word.startswith("!into:"):
            into = word[6:]
        elif word.startswith("!service:"):
            service = word[9:]
        else:
            name, value = word.split(":", 1)
            headers[name] = value
    payload = payload or hashlib.sha256(body).hexdigest()
    if service == "s3":
        headers["x-amz-content-sha256"] = payload
    now = datetime.datetime.now(datetime.timezone.utc)
    signed = sign(keys, method, urllib.parse.unquote(path), query, headers, payload, region,
                  service, now)
    connection = http.client.HTTPSConnection("localhost", int(port), timeout=60,
                                             context=ssl.create_default_context(cafile=ca))
    connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
    for name, value in list(signed.items()) + list(unsigned.items()):
        connection.putheader(name, value)
    if body or method in ("PUT", "POST"):
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body or None)
    reply = connection.getresponse()
    if into and reply.status == 200:
        with open(into, "wb") as f:
            f.write(reply.read())
        return
    print(reply.status)
    for name, value in reply.getheaders():
        if name.lower().startswith("x-amz-"):
            print("%s: %s" % (name.lower(), value))
    sys.stdout.write(reply.read().decode("utf-8", "replace") + "\n")


main()
