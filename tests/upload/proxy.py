"""In front of radosgw: what AWS enforces and radosgw does not, and faults on request.

proxy.py DIR UPSTREAM_PORT CERT KEY CA: listens with TLS, prints its port. DIR/fault names
the fault of the moment ("KIND COUNT [METHOD [PATTERN]]", COUNT times, of requests whose
line matches), DIR/owner the account that owns the bucket, DIR/requests is the log.
"""
import base64, hashlib, http.client, http.server, os, re, socketserver, ssl, sys, threading, time
import urllib.parse
import xml.etree.ElementTree as ET

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import faults  # noqa: E402

DIR, UPSTREAM, CERT, KEY, CA = sys.argv[1], int(sys.argv[2]), *sys.argv[3:6]
REGION = "eu-test-1"
NS = "{http://s3.amazonaws.com/doc/2006-03-01/}"
lock = threading.Lock()
uploads, objects = {}, {}  # what checksums the parts and objects have
local = threading.local()
asked = faults.Asked(DIR)
read, fault_for = asked.read, asked.fault_for


class Refused(Exception):
    def __init__(self, status, code):
        self.status, self.code = status, code


def sha256(data):
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


class Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 120
    ahead = 0  # seconds, of the clock that the next answer tells

    def log_message(self, *args):
        pass

    def note(self, text):
        with lock, open(os.path.join(DIR, "requests"), "a") as f:
            f.write("%s %s\n" % (re.sub(r"(X-Amz-(Signature|Security-Token))=[^&]*", r"\1=-",
                                        self.requestline), text))

    def answer(self, status, body=b"", headers=(), close=False):
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if not any(n.lower() == "content-length" for n, _ in headers):
            self.send_header("Content-Length", str(len(body)))
        if close:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.send_header("Date", self.date_time_string(time.time() + self.ahead))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def error(self, status, code, close=False):
        self.note("%d %s" % (status, code))
        body = "<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>no</Message></Error>" % code
        self.answer(status, body.encode(), [("Content-Type", "application/xml")], close)

    def cut(self):
        self.close_connection = True
        try:
            self.connection.unwrap
            self.connection.shutdown(2)
        except OSError:
            pass

    # What AWS checks before it acts.

    def signed_names(self):
        auth = self.headers.get("Authorization", "")
        if auth:
            m = re.match(r"AWS4-HMAC-SHA256 Credential=[^/]+/(\d{8})/([^/]+)/([^/]+)/aws4_request, ?"
                         r"SignedHeaders=([^,]+), ?Signature=[0-9a-f]{64}$", auth)
            if not m:
                raise Refused(400, "AuthorizationHeaderMalformed")
            if m[2] != REGION or m[3] != "s3" or \
                    not self.headers.get("X-Amz-Date", "").startswith(m[1]):
                raise Refused(400, "AuthorizationHeaderMalformed")
            return m[4].split(";")
        if "X-Amz-Signature" not in self.query:
            raise Refused(403, "AccessDenied")
        return self.query["X-Amz-SignedHeaders"].split(";")

    def check_signed(self):
        names = self.signed_names()
        if names != sorted(names) or "host" not in names:
            raise Refused(403, "AccessDenied")
        for name in self.headers.keys():
            low = name.lower()
            if low.startswith("x-amz-") and low not in names:
                raise Refused(403, "HeadersNotSigned")

    def check_payload(self, body):
        claimed = self.headers.get("X-Amz-Content-Sha256")
        if "Authorization" in self.headers and not claimed:
            raise Refused(400, "MissingContentSHA256")
        if claimed and claimed != "UNSIGNED-PAYLOAD" and \
                hashlib.sha256(body).hexdigest() != claimed:
            raise Refused(400, "XAmzContentSHA256Mismatch")
        if claimed == "UNSIGNED-PAYLOAD":
            self.note("unsigned")
        checksum = self.headers.get("x-amz-checksum-sha256")
        if checksum and checksum != sha256(body):
            raise Refused(400, "BadDigest")

    def check_store(self):
        """Headers of CreateMultipartUpload and PutObject."""
        mode = self.headers.get("x-amz-object-lock-mode")
        until = self.headers.get("x-amz-object-lock-retain-until-date")
        hold = self.headers.get("x-amz-object-lock-legal-hold")
        if (mode is None) != (until is None) or mode not in (None, "GOVERNANCE", "COMPLIANCE") \
                or hold not in (None, "ON", "OFF"):
            raise Refused(400, "InvalidArgument")
        if until and until < time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()):
            raise Refused(400, "InvalidArgument")
        put = self.command == "PUT"
        if put and (mode or hold) and not (self.headers.get("x-amz-checksum-sha256") or
                                           self.headers.get("Content-MD5")):
            raise Refused(400, "InvalidRequest")
        sse = self.headers.get("x-amz-server-side-encryption")
        if self.headers.get("x-amz-server-side-encryption-aws-kms-key-id") and sse != "aws:kms":
            raise Refused(400, "InvalidArgument")

    def check_vacant(self):
        match = self.headers.get("If-None-Match")
        if match is not None and match != "*":
            raise Refused(501, "NotImplemented")
        if match and self.path_only in objects:
            raise Refused(412, "PreconditionFailed")

    def check_part(self, body):
        number = self.query["partNumber"]
        if not number.isdigit() or not 1 <= int(number) <= 10000:
            raise Refused(400, "InvalidArgument")
        if len(body) > 5 << 30:
            raise Refused(400, "EntityTooLarge")
        upload = uploads.get(self.query.get("uploadId"))
        if upload and upload["checksums"] and "x-amz-checksum-sha256" not in self.headers:
            raise Refused(400, "InvalidRequest")

    def check_complete(self, body):
        upload = uploads.get(self.query["uploadId"])
        total = 0
        listed = ET.fromstring(body).findall(NS + "Part")
        numbers = [int(part.findtext(NS + "PartNumber")) for part in listed]
        if numbers != sorted(set(numbers)):
            raise Refused(400, "InvalidPartOrder")
        for part, number in zip(listed, numbers):
            if not upload:
                continue
            have = upload["parts"].get(number)
            if not have or have["etag"] != part.findtext(NS + "ETag").strip('"') or (
                    upload["checksums"] and part.findtext(NS + "ChecksumSHA256") != have["sha256"]):
                raise Refused(400, "InvalidPart")
            total += have["size"]
        size = self.headers.get("x-amz-mp-object-size")
        if upload and size is not None and int(size) != total:
            raise Refused(400, "InvalidRequest")

    def check(self, body):
        self.check_signed()
        owner = self.headers.get("x-amz-expected-bucket-owner")
        if owner is not None and owner != read("owner"):
            raise Refused(403, "AccessDenied")
        expired = read("expired")
        if expired and self.headers.get("X-Amz-Security-Token") == expired:
            raise Refused(400, "ExpiredToken")
        self.check_payload(body)
        if self.command == "POST" and "uploads" in self.query:
            self.check_store()
        elif self.command == "PUT" and "partNumber" in self.query:
            self.check_part(body)
        elif self.command == "PUT" and self.path_only.count("/") > 1:
            self.check_store()
            self.check_vacant()
        elif self.command == "POST" and "uploadId" in self.query:
            self.check_complete(body)
            self.check_vacant()

    # What AWS adds to the answers.

    def remember(self, body, status, headers, answer):
        if status >= 300:
            return answer
        if self.command == "POST" and "uploads" in self.query:
            upload_id = ET.fromstring(answer).findtext(NS + "UploadId")
            uploads[upload_id] = {"parts": {}, "checksums":
                                  self.headers.get("x-amz-checksum-algorithm") == "SHA256"}
        elif self.command == "PUT" and "partNumber" in self.query:
            upload = uploads.get(self.query["uploadId"])
            etag = dict((n.lower(), v) for n, v in headers)["etag"].strip('"')
            if upload:
                upload["parts"][int(self.query["partNumber"])] = {
                    "etag": etag, "sha256": sha256(body), "size": len(body)}
                if upload["checksums"]:
                    headers.append(("x-amz-checksum-sha256", sha256(body)))
        elif self.command == "PUT" and self.path_only.count("/") > 1:
            objects[self.path_only] = sha256(body)
            headers.append(("x-amz-checksum-sha256", sha256(body)))
        elif self.command == "POST" and "uploadId" in self.query:
            upload = uploads.pop(self.query["uploadId"], None)
            digests = b"".join(base64.b64decode(p["sha256"])
                               for _, p in sorted(upload["parts"].items())) if upload else b""
            objects[self.path_only] = "%s-%d" % (sha256(digests), len(upload["parts"])) \
                if upload and upload["checksums"] else ""
            if objects[self.path_only]:
                answer = answer.replace(b"</CompleteMultipartUploadResult>", (
                    "<ChecksumSHA256>%s</ChecksumSHA256></CompleteMultipartUploadResult>"
                    % objects[self.path_only]).encode())
        elif self.command == "GET" and "uploadId" in self.query:
            upload = uploads.get(self.query["uploadId"])
            for number, part in (upload["parts"] if upload and upload["checksums"] else {}).items():
                answer = answer.replace(
                    b"<PartNumber>%d</PartNumber>" % number,
                    b"<PartNumber>%d</PartNumber><ChecksumSHA256>%s</ChecksumSHA256>"
                    % (number, part["sha256"].encode()))
        elif self.command == "DELETE" and "uploadId" not in self.query:
            objects.pop(self.path_only, None)
        elif self.command == "HEAD" and self.headers.get("x-amz-checksum-mode") == "ENABLED" \
                and objects.get(self.path_only):
            headers.append(("x-amz-checksum-sha256", objects[self.path_only]))
        return answer

    def forward(self, body):
        for attempt in range(3):
            if not getattr(local, "upstream", None):
                context = ssl.create_default_context(cafile=CA)
                local.upstream = http.client.HTTPSConnection("localhost", UPSTREAM,
                                                             context=context, timeout=60)
            try:
                local.upstream.putrequest(self.command, self.path, skip_host=True,
                                          skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() not in ("connection", "expect", "if-none-match") or (
                            name.lower() == "if-none-match" and "if-none-match" in
                            self.headers.get("Authorization", "")):
                        local.upstream.putheader(name, value)
                local.upstream.endheaders(body if body else None)
                reply = local.upstream.getresponse()
                data = reply.read()
                return reply.status, reply.getheaders(), data
            except (http.client.HTTPException, OSError):
                local.upstream.close()
                local.upstream = None
        return 502, [], b""

    def handle_one(self):
        parsed = urllib.parse.urlsplit(self.path)
        self.path_only = parsed.path
        self.query = dict(urllib.parse.parse_qsl(parsed.query, keep_blank_values=True))
        fault = fault_for(self.requestline)
        length = self.headers.get("Content-Length")
        if self.command in ("PUT", "POST") and (length is None or "Transfer-Encoding" in self.headers):
            return self.error(411, "MissingContentLength", True)
        length = int(length or 0)
        if fault == "early":
            self.error(503, "SlowDown", True)
            self.wfile.flush()
            time.sleep(0.3)
            return None
        if fault in ("cut", "stall"):
            self.rfile.read(length // 2)
            self.note(fault)
            if fault == "stall":
                time.sleep(6)
            return self.cut()
        body = b""
        while len(body) < length:
            piece = self.rfile.read(min(length - len(body), 1 << 20))
            if not piece:
                self.note("incomplete")
                return self.cut()
            body += piece
            if fault == "slow":
                time.sleep(0.4)
        if fault == "garbled":
            body = body[:-1] + bytes([body[-1] ^ 1])
        if fault == "skewed":
            self.ahead = int(read("ahead") or 0)
            self.error(403, "RequestTimeTooSkewed")
            self.ahead = 0
            return None
        if fault in ("500", "503"):
            return self.error(int(fault), "InternalError" if fault == "500" else "SlowDown")
        try:
            self.check(body)
        except Refused as no:
            return self.error(no.status, no.code)
        if fault == "expire":
            # From now on these keys are old, and the metadata service has others.
            with open(os.path.join(DIR, "expired"), "w") as f:
                f.write(self.headers.get("X-Amz-Security-Token", ""))
            os.rename(os.path.join(DIR, "keys.next"), os.path.join(DIR, "keys"))
            return self.error(400, "ExpiredToken")
        if fault == "error200":
            return self.answer(200, b"<?xml version=\"1.0\"?>\n<Error><Code>InternalError</Code></Error>")
        status, headers, data = self.forward(body)
        headers = [(n, v) for n, v in headers if n.lower() not in
                   ("date", "connection", "transfer-encoding", "content-length")
                   or (n.lower() == "content-length" and self.command == "HEAD")]
        with lock:
            data = self.remember(body, status, headers, data)
        if fault == "lost":
            self.note("%d lost" % status)
            return self.cut()
        if fault == "wrong-etag":
            headers = [(n, '"%s"' % ("0" * 32) if n.lower() == "etag" else v) for n, v in headers]
        if fault == "flip" and data:
            data = data[:-1] + bytes([data[-1] ^ 1])
        if fault == "truncated":
            headers = [h for h in headers if h[0].lower() != "content-length"]
            headers.append(("Content-Length", str(len(data) + 100)))
            self.note("%d truncated" % status)
            self.answer(status, data[:len(data) // 2], headers)
            self.wfile.flush()
            return self.cut()
        self.note("%d" % status)
        return self.answer(status, data, headers)

    def do_any(self):
        try:
            self.handle_one()
        except OSError:
            self.close_connection = True

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_any

    def handle_expect_100(self):
        self.send_response_only(100)
        self.end_headers()
        return True


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        pass

    def finish_request(self, request, client_address):
        # The handshake belongs to the thread: a client that hangs must not stop others.
        request.settimeout(20)
        request = self.context.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)


server = Server(("127.0.0.1", 0), Proxy)
server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
server.context.load_cert_chain(CERT, KEY)
print(server.server_port, flush=True)
server.serve_forever()
