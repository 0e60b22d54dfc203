#!/usr/bin/env python3
"""Makes a small package with a kernel in it: mkpackage.py deb|rpm KERNEL OUT [PATH].

deb: ar of debian-binary, control.tar.gz, data.tar.xz (deb(5)). rpm: lead, two empty
headers, a gzipped cpio of form newc (LSB, "Package File Format"). PATH is the kernel's.
"""
import gzip
import io
import lzma
import struct
import sys
import tarfile


def deb(path, kernel):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, data in (("./boot/System.map-1", b"ffffffffffffffff B The real one is not here\n"),
                           ("./" + path, kernel), ("./usr/share/doc/x", b"x")):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    files = (("debian-binary", b"2.0\n"), ("control.tar.gz", gzip.compress(b"", mtime=0)),
             ("data.tar.xz", lzma.compress(out.getvalue())))
    ar = b"!<arch>\n"
    for name, data in files:
        ar += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode() + data
        ar += b"\n" * (len(data) % 2)
    return ar


def cpio(name, data, mode=0o100644):
    name = name.encode() + b"\0"
    fields = (1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0)
    head = b"070701" + b"".join(b"%08x" % f for f in fields) + name
    head += bytes(-len(head) % 4)
    return head + data + bytes(-len(data) % 4)


def rpm(path, kernel):
    lead = struct.pack(">4sBBHH66sHH16s", b"\xed\xab\xee\xdb", 3, 0, 0, 1, b"kernel", 1, 5, b"")
    header = struct.pack(">3sBIII", b"\x8e\xad\xe8", 1, 0, 0, 0)
    payload = cpio("./" + path, kernel) + cpio("./usr/share/doc/x", b"x") + cpio("TRAILER!!!", b"", 0)
    return lead + header + header + gzip.compress(payload, mtime=0)


def main():
    kind, kernel, out = sys.argv[1:4]
    with open(kernel, "rb") as file:
        kernel = file.read()
    make = {"deb": deb, "rpm": rpm}[kind]
    path = sys.argv[4] if len(sys.argv) > 4 else {
        "deb": "boot/vmlinuz-1", "rpm": "lib/modules/1/vmlinuz"}[kind]
    with open(out, "wb") as file:
        file.write(make(path, kernel))


main()
