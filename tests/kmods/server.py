"""Serves a directory on loopback: server.py DIR PORTFILE. /moved/X is redirected to /X,
/elsewhere/X to no address, and /large/X is X followed by as much again and again."""

import http.server
import os
import sys


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def redirect(self, where):
        self.send_response(302)
        self.send_header("Location", where)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def large(self, path):
        with open(self.translate_path(path), "rb") as file:
            data = file.read() + b"x"
        self.send_response(200)
        self.send_header("Content-Length", str(len(data) * 1000))
        self.end_headers()
        try:
            for _ in range(1000):
                self.wfile.write(data)
        except OSError:
            self.close_connection = True

    def do_GET(self):
        host, port = self.server.server_address
        if self.path.startswith("/moved/"):
            self.redirect(f"http://{host}:{port}{self.path[6:]}")
        elif self.path.startswith("/elsewhere/"):
            self.redirect("ftp://127.0.0.1/x")
        elif self.path.startswith("/large/") and not self.path.endswith(".xml"):
            self.large(self.path[6:])
        elif self.path.startswith("/large/"):
            self.path = self.path[6:]
            super().do_GET()
        else:
            super().do_GET()


os.chdir(sys.argv[1])


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """A client that has read enough of an endless answer is no error."""


server = Server(("127.0.0.1", 0), Handler)
server.daemon_threads = True
with open(sys.argv[2] + ".partial", "w", encoding="ascii") as file:
    file.write(str(server.server_address[1]))
os.rename(sys.argv[2] + ".partial", sys.argv[2])
server.serve_forever()
