"""A metadata service that is as strict as Amazon's, and a container endpoint beside it.

imds.py DIR: prints its port. DIR/role is the role's name (none: 404), DIR/keys the JSON
that it hands out, DIR/imds-requests the log. Without a session token everything is 401.
"""
import http.server, os, secrets, socketserver, sys, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import faults  # noqa: E402

DIR = sys.argv[1]
tokens = {}
read = faults.Asked(DIR).read


class Imds(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, body="", headers=()):
        with open(os.path.join(DIR, "imds-requests"), "a") as f:
            f.write("%s %s %d\n" % (self.command, self.path, status))
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def do_PUT(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        ttl = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
        if self.path != "/latest/api/token":
            return self.answer(405)
        if "X-Forwarded-For" in self.headers:
            return self.answer(403)
        if read("no-imds"):
            return self.answer(403)
        if not ttl.isdigit() or not 1 <= int(ttl) <= 21600:
            return self.answer(400)
        short = read("token-ttl")
        token = secrets.token_urlsafe(40) + "=="
        tokens[token] = time.time() + int(short or ttl)
        return self.answer(200, token, [("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", ttl)])

    def do_GET(self):
        if self.path == "/container/keys":
            if self.headers.get("Authorization") != read("container-token"):
                return self.answer(401)
            return self.answer(200, read("keys"))
        if tokens.get(self.headers.get("X-aws-ec2-metadata-token"), 0) < time.time():
            return self.answer(401)
        base = "/latest/meta-data/iam/security-credentials/"
        if self.path == base and read("role"):
            return self.answer(200, read("role"))
        if self.path == base + read("role") and read("role"):
            return self.answer(200, read("keys"))
        if self.path == "/latest/meta-data/placement/region":
            return self.answer(200, "eu-test-1")
        return self.answer(404)


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


server = Server(("127.0.0.1", 0), Imds)
print(server.server_port, flush=True)
server.serve_forever()
