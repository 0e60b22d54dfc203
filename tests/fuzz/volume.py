#!/usr/bin/env python3
"""Writes a volume as fuzz_volume reads it: volume.py IMAGE > tests/fuzz/corpus/volume/NAME"""
import struct
import sys

BLOCK = 4096
with open(sys.argv[1], "rb") as image:
    out = sys.stdout.buffer
    number = 0
    blocks = []
    while data := image.read(BLOCK):
        if data.strip(b"\0"):
            blocks.append((number, data.ljust(BLOCK, b"\0")))
        number += 1
    out.write(struct.pack("<I", number))
    for block, data in blocks:
        out.write(struct.pack("<I", block) + data)
