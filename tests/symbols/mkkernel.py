#!/usr/bin/env python3
"""Makes small files with the shape of a kernel that a machine boots, for tests.

mkkernel.py FORM BTF OUT: FORM is vmlinux (ELF), bzimage-PACKING, image (raw arm64),
image-gzip, zboot-PACKING; PACKING is gzip, xz, lzma, zstd, lz4, bzip2 or lzo (the last
three of which only lz4 is unpacked by us; it holds literals alone). The layouts are those
of Documentation/x86/boot.rst, arm64/booting.rst and efi/libstub/zboot-header.S.
"""
import bz2
import gzip
import lzma
import struct
import subprocess
import sys

BANNER = b"Linux version 6.1.0-test (a@b) (gcc) #1 SMP now\n\0"
DRAFT = b"Linux version 6.1.0-test (a@b) (gcc) # SMP now\n\0"
BUILD_ID = bytes(range(20))
BASE = 0xFFFFFFFF81000000


def note(kind):
    return struct.pack("<III4s", 4, 20, 3, b"GNU\0") + kind


def vmlinux(btf, machine=62):
    """An ELF file with one segment and the sections that are looked for."""
    sections = [(b".rodata", DRAFT + BANNER), (b".notes", note(BUILD_ID)), (b".BTF", btf)]
    names = b"\0" + b"".join(n + b"\0" for n, _ in sections) + b".shstrtab\0"
    body, headers, offset, at = b"", [struct.pack("<IIQQQQIIQQ", *[0] * 10)], 64 + 56, 1
    for name, data in sections + [(b".shstrtab", names)]:
        while (offset + len(body)) % 8:
            body += b"\0"
        off = offset + len(body)
        headers.append(struct.pack("<IIQQQQIIQQ", at, 1, 2, BASE + off, off, len(data),
                                   0, 0, 1, 0))
        body += data
        at += len(name) + 1
    end = offset + len(body)
    head = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 2, machine, 1, BASE, 64, end,
                       0, 64, 56, 1, 64, len(headers), len(headers) - 1)
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, BASE, 0, end, end, 4096)
    return head + load + body + b"".join(headers)


def image(btf):
    """A raw arm64 Image that carries a vDSO with a build id of its own."""
    vdso_note = note(bytes(20))
    vdso = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 3, 183, 1, 0, 0,
                       64 + len(vdso_note), 0, 64, 56, 0, 64, 1, 0)
    vdso += vdso_note + bytes(64)
    head = struct.pack("<QQQQQQQ4sI", 0, 0, 0x10000, 0xA, 0, 0, 0, b"ARM\x64", 0)
    return (head + DRAFT + BANNER).ljust(512, b"\0") + vdso + note(BUILD_ID) + btf + bytes(64)


def pack(data, how):
    if how == "gzip":
        return gzip.compress(data, mtime=0)
    if how == "xz":
        return lzma.compress(data, check=lzma.CHECK_CRC32)
    if how == "lzma":
        return lzma.compress(data, format=lzma.FORMAT_ALONE)
    if how == "bzip2":
        return bz2.compress(data)
    if how == "lzo":
        return b"\x89LZO\0\r\n\x1a\n" + bytes(64)
    if how == "zstd":
        return subprocess.run(["zstd", "-q", "-c"], input=data, stdout=subprocess.PIPE,
                              check=True).stdout
    length, extra = len(data), b""
    rest = length - 15
    while rest >= 255:
        extra, rest = extra + b"\xff", rest - 255
    block = b"\xf0" + extra + bytes([rest]) + data
    return struct.pack("<II", 0x184C2102, len(block)) + block


def bzimage(btf, how):
    payload = pack(vmlinux(btf), how) + struct.pack("<I", len(vmlinux(btf)))
    setup = bytearray(1024)
    setup[0x1F1] = 1
    setup[0x202:0x206] = b"HdrS"
    setup[0x206:0x208] = struct.pack("<H", 0x20F)
    setup[0x248:0x250] = struct.pack("<II", 16, len(payload))
    return bytes(setup) + bytes(16) + payload


def zboot(btf, how):
    payload = pack(image(btf), how) + struct.pack("<I", len(image(btf)))
    return struct.pack("<4s4sIIII8s", b"MZ\0\0", b"zimg", 64, len(payload), 0, 0,
                       how.encode()).ljust(64, b"\0") + payload


def main():
    form, btf, out = sys.argv[1:]
    with open(btf, "rb") as file:
        btf = file.read()
    kind, _, how = form.partition("-")
    if kind == "vmlinux":
        data = vmlinux(btf)
    elif kind == "image":
        data = pack(image(btf), how) if how else image(btf)
    else:
        data = {"bzimage": bzimage, "zboot": zboot}[kind](btf, how)
    with open(out, "wb") as file:
        file.write(data)


main()
