"""Signature Version 4, written from the specification alone: what a second signer sends and
what a strict server recomputes. Nothing here is of the program that is tested."""
import hashlib, hmac, re, urllib.parse


def quote(text, safe="~"):
    return urllib.parse.quote(text, safe=safe)


def signature(secret, method, path, query, headers, names, payload, date, region, service):
    """query: decoded pairs; headers: lower-case names to values; names: those signed."""
    canonical = "\n".join([
        method, quote(path, "/~"),
        "&".join("%s=%s" % pair for pair in sorted((quote(n), quote(v)) for n, v in query)),
        "".join("%s:%s\n" % (n, " ".join(headers[n].split())) for n in names),
        ";".join(names), payload])
    scope = "/".join([date[:8], region, service, "aws4_request"])
    text = "\n".join(["AWS4-HMAC-SHA256", date, scope,
                      hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + secret).encode()
    for word in scope.split("/"):
        key = hmac.new(key, word.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, ?"
    r"SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$")
