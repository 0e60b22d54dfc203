#!/usr/bin/env python3
"""An HTTP server that misbehaves on request, on loopback: server.py CERTS PORTS_FILE.

The path of a request says what happens; the port says under which TLS. PORTS_FILE gets
one line "NAME PORT" for each listener when all of them listen. Ends with its stdin.
"""
import hashlib
import os
import socket
import ssl
import struct
import sys
import threading
import time

certs, ports_file = sys.argv[1:3]


def context(name, low=ssl.TLSVersion.TLSv1_2, high=ssl.TLSVersion.TLSv1_3):
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.set_ciphers("ALL:@SECLEVEL=0")
    ctx.minimum_version, ctx.maximum_version = low, high
    ctx.load_cert_chain(os.path.join(certs, name + ".pem"))
    return ctx


class Gone(Exception):
    pass


class Connection:
    def __init__(self, sock, raw):
        self.sock, self.raw, self.buf, self.poisoned = sock, raw, b"", False
        self.served = 0

    def more(self):
        data = self.sock.recv(65536)
        if not data:
            raise Gone
        self.buf += data

    def head(self):
        while b"\r\n\r\n" not in self.buf:
            self.more()
        head, self.buf = self.buf.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, _ = lines[0].split(" ", 2)
        self.lines = lines[1:]
        self.fields = {k.lower(): v.strip() for k, v in
                       (line.split(":", 1) for line in self.lines)}
        self.length = int(self.fields.get("content-length", "0"))

    def body(self):
        digest, left = hashlib.sha256(), self.length
        while left:
            if not self.buf:
                self.more()
            piece, self.buf = self.buf[:left], self.buf[left:]
            digest.update(piece)
            left -= len(piece)
        return digest.hexdigest()

    def send(self, text):
        self.sock.sendall(text.encode("latin-1") if isinstance(text, str) else text)

    def answer(self, status, body="", fields=()):
        self.send("HTTP/1.1 %d Whatever\r\nContent-Length: %d\r\n%s\r\n" % (
            status, len(body), "".join(f + "\r\n" for f in fields)) +
            ("" if self.method == "HEAD" else body))

    def reset(self):
        """Closes with a reset, as a server does that leaves bytes unread."""
        self.raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Gone

    def until_gone(self):
        while True:
            self.more()
            self.buf = b""


def echo(c, _):
    digest = c.body()
    c.answer(200, "%s %s\n%s\nsha256 %s\nserved %d\n" % (
        c.method, c.target, "\n".join(c.lines), digest, c.served),
        ["ETag:  \"abc\"  ", "X-Empty:", "Set-Cookie: a=b"])


def sink(c, _):
    left, room = c.length - len(c.buf), bytearray(1 << 20)
    c.buf = b""
    while left > 0:
        n = c.sock.recv_into(room)
        if not n:
            raise Gone
        left -= n
    c.answer(200)


def status(c, arg):
    c.body()
    c.answer(int(arg), "status body")


def early(c, arg):
    """Answers after the head, reads nothing more."""
    c.answer(int(arg), "early body", ["Connection: close"] if arg == "400" else [])
    if arg == "403":
        c.reset()
    if arg == "503":
        c.raw.shutdown(socket.SHUT_WR)
    c.until_gone()


def expect(c, _):
    c.answer(403 if c.fields.get("expect") == "100-continue" else 500, "not you")
    c.length = 0


def goes_on(c, _):
    c.send("HTTP/1.1 100 Continue\r\nETag: \"wrong\"\r\n\r\n")
    echo(c, _)


def cut(c, arg):
    c.body()
    c.send({"headers": "HTTP/1.1 200 OK\r\nContent-Le",
            "body": "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this",
            "chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100\r\nabc",
            "eof": "HTTP/1.1 200 OK\r\n\r\nuntil the end",
            "empty": ""}[arg])
    raise Gone


def stall(c, arg):
    if arg == "read":
        time.sleep(3600)
    c.body()
    c.send({"answer": "", "body": "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nsome",
            "headers": "HTTP/1.1 200 OK\r\nA: b\r\n"}[arg])
    c.until_gone()


def slow(c, _):
    c.body()
    c.send("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n")
    for i in range(12):
        time.sleep(0.25)
        c.send(chr(65 + i))


def big(c, arg):
    c.body()
    c.answer(200, "x" * int(arg))


def raw_answer(c, arg):
    c.body()
    c.send({"longheader": "HTTP/1.1 200 OK\r\nA: " + "x" * 70000 + "\r\n\r\n",
            "manyheaders": "HTTP/1.1 200 OK\r\n" + "Name: value of it\r\n" * 5000 + "\r\n",
            "endless": "HTTP/1.1 200 OK\r\n" + "Name: value of it\r\n" * 50000,
            "longvalue": "HTTP/1.1 200 OK\r\nETag: " + "x" * 2000 +
                         "\r\nContent-Length: 0\r\n\r\n",
            "twice": "HTTP/1.1 200 OK\r\nETag: a\r\nETag: b\r\nContent-Length: 0\r\n\r\n",
            "same": "HTTP/1.1 200 OK\r\nETag: a\r\nETag: a\r\nContent-Length: 0\r\n\r\n",
            "control": "HTTP/1.1 200 OK\r\nETag: a\x01b\r\nContent-Length: 0\r\n\r\n",
            "ssh": "SSH-2.0-OpenSSH_9.2\r\n",
            "status": "HTTP/1.1 20x OK\r\nContent-Length: 0\r\n\r\n",
            "lengths": "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
                       "Content-Length: 9\r\n\r\nhello",
            "negative": "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
            "chunks": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nETag: first\r\n\r\n"
                      "5\r\nhello\r\n6\r\n world\r\n0\r\nETag: trailer\r\n\r\n",
            "badchunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello",
            "redirect": "HTTP/1.1 307 Elsewhere\r\nLocation: http://127.0.0.1:1/\r\n"
                        "Content-Length: 0\r\n\r\n"}[arg])
    if arg not in ("twice", "same", "control", "longvalue", "chunks", "redirect"):
        raise Gone


def poison(c, _):
    """The next request on this connection gets no answer."""
    c.body()
    c.poisoned = True
    c.answer(200, "poisoned")


ACTIONS = {"echo": echo, "sink": sink, "status": status, "early": early, "expect": expect,
           "continue": goes_on, "cut": cut, "stall": stall, "slow": slow, "big": big,
           "raw": raw_answer, "poison": poison}


def serve(raw, ctx):
    conn = None
    try:
        sock = ctx.wrap_socket(raw, server_side=True) if ctx else raw
        conn = Connection(sock, raw if ctx is None else sock)
        while True:
            conn.head()
            conn.served += 1
            if conn.poisoned:
                break
            words = conn.target.split("?")[0].strip("/").split("/") + [""]
            ACTIONS.get(words[0], echo)(conn, words[1])
    except (Gone, OSError, ValueError, KeyError):
        pass
    finally:
        # No farewell of TLS: what ends like this may have been cut.
        (conn.sock if conn else raw).close()


def relay(raw, port, garble):
    """Passes bytes on; of the server's, one bit is turned late in its answer."""
    peer = socket.create_connection(("127.0.0.1", port))

    def pump(src, dst, at):
        seen = 0
        try:
            while data := src.recv(65536):
                if at is not None and seen <= at < seen + len(data):
                    i = at - seen
                    data = data[:i] + bytes([data[i] ^ 1]) + data[i + 1:]
                seen += len(data)
                dst.sendall(data)
        except OSError:
            pass
        for s in src, dst:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    threading.Thread(target=pump, args=(raw, peer, None), daemon=True).start()
    pump(peer, raw, garble)


def listen(handler):
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(64)

    def loop():
        while True:
            conn, _ = sock.accept()
            # A reset would discard what Nagle holds back.
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=handler, args=(conn,), daemon=True).start()

    threading.Thread(target=loop, daemon=True).start()
    return sock.getsockname()[1]


V = ssl.TLSVersion
KINDS = {"good": context("good"), "ecdsa": context("ecdsa"),
         "tls12": context("good", high=V.TLSv1_2), "tls13": context("good", low=V.TLSv1_3),
         "tls11": context("good", V.TLSv1_1, V.TLSv1_1),
         "name": context("name"), "expired": context("expired"),
         "future": context("future"), "stranger": context("stranger"),
         "short": context("short"), "sha1": context("sha1"), "plain": None}
ports = {n: listen(lambda s, c=c: serve(s, c)) for n, c in KINDS.items()}
# 20000 bytes are past the handshake.
ports["garbled"] = listen(lambda s: relay(s, ports["good"], 20000))
ports["mute"] = listen(lambda s: time.sleep(3600))
closed = socket.socket()
closed.bind(("127.0.0.1", 0))
ports["closed"] = closed.getsockname()[1]
with open(ports_file + ".partial", "w", encoding="ascii") as out:
    out.writelines("%s %d\n" % item for item in ports.items())
os.rename(ports_file + ".partial", ports_file)
sys.stdin.read()
