#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Writes a GGUF file, by the format's letter and not by our writer:

    make_gguf.py FILE [--version 2|3] [--kv KEY=TYPE:VALUE]... [--tensor NAME:TYPE:NE[,NE]...]...
                 [--cut BYTES]

TYPE of a key is u16, u32, i32, f32, bool, str or list (of texts, with commas between them);
a text may hold bytes as \\x1b. TYPE of a tensor is F32, F16 or Q8_0. --cut takes
bytes from the end.
"""

import argparse
import re
import struct

NUMBERS = {"u16": (2, "<H", int), "u32": (4, "<I", int), "i32": (5, "<i", int),
           "f32": (6, "<f", float), "bool": (7, "<B", int)}
TENSORS = {"F32": (0, 4, 1), "F16": (1, 2, 1), "Q8_0": (8, 34, 32)}
ALIGNMENT = 32


def text(value):
    raw = re.sub(rb"\\x([0-9a-f]{2})", lambda found: bytes([int(found[1], 16)]), value.encode())
    return struct.pack("<Q", len(raw)) + raw


def pair(argument):
    key, _, rest = argument.partition("=")
    kind, _, value = rest.partition(":")
    if kind == "str":
        return text(key) + struct.pack("<I", 8) + text(value)
    if kind == "list":
        items = value.split(",")
        return (text(key) + struct.pack("<IIQ", 9, 8, len(items)) +
                b"".join(text(item) for item in items))
    number, layout, convert = NUMBERS[kind]
    return text(key) + struct.pack("<I", number) + struct.pack(layout, convert(value))


def padded(n):
    return -(-n // ALIGNMENT) * ALIGNMENT


def infos_of(tensors):
    """The infos of all tensors, and how much data they have."""
    infos, offset = b"", 0
    for argument in tensors:
        name, kind, dims = argument.rsplit(":", 2)
        number, block_bytes, block = TENSORS[kind]
        ne = [int(n) for n in dims.split(",")]
        elements = 1
        for n in ne:
            elements *= n
        infos += text(name) + struct.pack(f"<I{len(ne)}QIQ", len(ne), *ne, number, offset)
        offset += padded(elements // block * block_bytes)
    return infos, offset


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--version", type=int, default=3)
    parser.add_argument("--kv", action="append", default=[])
    parser.add_argument("--tensor", action="append", default=[])
    parser.add_argument("--cut", type=int, default=0)
    args = parser.parse_args()
    infos, data = infos_of(args.tensor)
    header = (b"GGUF" + struct.pack("<IQQ", args.version, len(args.tensor), len(args.kv)) +
              b"".join(pair(kv) for kv in args.kv) + infos)
    content = header.ljust(padded(len(header)), b"\0") + bytes(data)
    with open(args.file, "wb") as out:
        out.write(content[:len(content) - args.cut])


if __name__ == "__main__":
    main()
