#!/usr/bin/env python3
"""Makes a kernel package without BTF out of a real one: nobtf.py IN.deb RELEASE OUT.deb [MAP]

The kernel (bzImage packed by xz, lz4 or zstd; arm64's Image) is taken out of the package,
unpacked by the programs of those names, and its .BTF overwritten; of an ELF file the section
loses its name too. OUT has the kernel and
nothing else, but for MAP as its System.map. Exit: 0; 1 there was no BTF.
"""
import io
import struct
import subprocess
import sys
import tarfile

MAGIC = b"\x9f\xeb\x01\x00\x18\x00\x00\x00"
UNPACK = ((b"\xfd7zXZ", "xz"), (b"\x02\x21\x4c\x18", "lz4"), (b"\x28\xb5\x2f\xfd", "zstd"))


def kernel_of(package, release):
    names = subprocess.run(["ar", "t", package], stdout=subprocess.PIPE, check=True).stdout
    member = next(n for n in names.decode().split() if n.startswith("data.tar"))
    ar = subprocess.Popen(["ar", "p", package, member], stdout=subprocess.PIPE)
    with tarfile.open(fileobj=ar.stdout, mode="r|*") as tar:
        for info in tar:
            if info.name.endswith("/vmlinuz-" + release):
                data = tar.extractfile(info).read()
                ar.kill()
                return data
    sys.exit(f"{package} has no vmlinuz-{release}")


def unpack(data):
    if data[0x202:0x206] != b"HdrS":
        return data
    off, length = struct.unpack("<II", data[0x248:0x250])
    start = (data[0x1F1] + 1) * 512 + off
    payload = data[start:start + length - 4]
    program = next(p for magic, p in UNPACK if payload.startswith(magic))
    # The last program complains of what follows its stream; what it wrote is judged below.
    return subprocess.run([program, "-d", "-c"], input=payload, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, check=False).stdout


def cut(kernel):
    kernel, count = bytearray(kernel), 0
    at = kernel.find(MAGIC)
    while at >= 0:
        types, length = struct.unpack("<II", kernel[at + 16:at + 24])
        size = 24 + types + length
        # A module's small one, inside a driver's firmware or so, is none of the kernel.
        if 1 << 20 < size <= len(kernel) - at:
            kernel[at:at + size] = bytes(size)
            count += 1
        at = kernel.find(MAGIC, at + 1)
    # Of an ELF file's strings those of the sections come last.
    name = kernel.rfind(b"\0.BTF\0")
    if kernel.startswith(b"\x7fELF") and name >= 0:
        kernel[name:name + 6] = b"\0.CUT\0"
    if count != 1:
        sys.exit(f"{count} BTF instead of one")
    return bytes(kernel)


def ar(files):
    out = b"!<arch>\n"
    for name, data in files:
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode()
        out += data + b"\n" * (len(data) % 2)
    return out


def main():
    package, release, path = sys.argv[1:4]
    kernel = cut(unpack(kernel_of(package, release)))
    tar_bytes = io.BytesIO()
    with tarfile.open(fileobj=tar_bytes, mode="w", format=tarfile.GNU_FORMAT) as tar:
        files = [("vmlinuz", kernel)]
        for name in sys.argv[4:]:
            with open(name, "rb") as file:
                files.append(("System.map", file.read()))
        for name, data in files:
            info = tarfile.TarInfo(f"./boot/{name}-{release}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    data = subprocess.run(["zstd", "-q", "-1", "-c"], input=tar_bytes.getvalue(),
                          stdout=subprocess.PIPE, check=True).stdout
    with open(path, "wb") as file:
        file.write(ar((("debian-binary", b"2.0\n"), ("data.tar.zst", data))))


main()
