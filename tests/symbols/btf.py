#!/usr/bin/env python3
"""Takes the BTF out of an arm64 Image or an x86 bzImage packed by xz or lz4: btf.py KERNEL
OUT. For benchmarks and by hand; lz4 through the program of that name. Exit: 0; 1 none."""
import lzma
import struct
import subprocess
import sys


def unpack(data):
    if data[0x202:0x206] != b"HdrS":
        return data
    off, length = struct.unpack("<II", data[0x248:0x250])
    start = (data[0x1F1] + 1) * 512 + off
    payload = data[start:start + length - 4]
    if payload.startswith(b"\xfd7zXZ"):
        return lzma.decompress(payload)
    try:
        return subprocess.run(["lz4", "-d", "-c"], input=payload, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return b""


def main():
    with open(sys.argv[1], "rb") as file:
        data = unpack(file.read())
    best = b""
    at = data.find(b"\x9f\xeb\x01\x00\x18\x00\x00\x00")
    while at >= 0:
        types, length = struct.unpack("<II", data[at + 16:at + 24])
        best = max(best, data[at:at + 24 + types + length], key=len)
        at = data.find(b"\x9f\xeb\x01\x00\x18\x00\x00\x00", at + 1)
    if not best:
        sys.exit(1)
    with open(sys.argv[2], "wb") as file:
        file.write(best)


main()
