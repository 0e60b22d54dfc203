"""Writes an rpm byte by byte, as no honest tool would: rpm.py FILE COMPRESSION ENTRY...

COMPRESSION is gzip, xz or none. An entry is NAME|MODE|CONTENT[|NLINK|INODE[|SIZE]], MODE
in octal with the type (100644, 120777, 20666, …)."""

import gzip
import lzma
import struct
import sys


def header(entries):
    store = b""
    index = b""
    for tag, kind, value in entries:
        if kind == 4:
            store += b"\0" * (-len(store) % 4)
        index += struct.pack(">IIII", tag, kind, len(store), 1)
        store += value
    return struct.pack(">IIII", 0x8EADE801, 0, len(entries), len(store)) + index + store


def cpio(entries):
    out = b""
    for number, entry in enumerate(entries):
        name, mode, content, *rest = entry.split("|")
        nlink = int(rest[0]) if rest else 1
        inode = int(rest[1]) if len(rest) > 1 else number + 1
        data = content.encode()
        size = int(rest[2]) if len(rest) > 2 else len(data)
        name = name.encode() + b"\0"
        fields = (inode, int(mode, 8), 0, 0, nlink, 1700000000, size, 0, 0, 0, 0, len(name), 0)
        out += b"070701" + b"".join(b"%08x" % field for field in fields) + name
        out += b"\0" * (-len(out) % 4) + data
        out += b"\0" * (-len(out) % 4)
    return out


def main():
    path, how, *entries = sys.argv[1:]
    payload = cpio(entries + ["TRAILER!!!|0|"])
    if how == "gzip":
        payload = gzip.compress(payload, mtime=0)
    elif how == "xz":
        payload = lzma.compress(payload)
    lead = struct.pack(">IBBHH66sHH16x", 0xEDABEEDB, 3, 0, 0, 1, b"kernel-devel", 1, 5)
    text = [(1000, 6, b"kernel-devel\0"), (1001, 6, b"6.1.99\0"), (1002, 6, b"1.test\0"),
            (1003, 4, struct.pack(">I", 7)), (1022, 6, b"x86_64\0"),
            (1047, 8, b"kernel-devel-uname-r\0"), (1113, 8, b"6.1.99-1.test.x86_64\0")]
    with open(path, "wb") as file:
        file.write(lead + header([(1000, 6, b"x\0")]) + b"\0" * 6 + header(text) + payload)


main()
