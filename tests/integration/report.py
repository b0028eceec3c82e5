#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Checks of what reports are written as: report.py CHECK FILE [ARGUMENT]...

  schema FILE...          each JSON report keeps docs/report.schema.json
  csv FILE ROWS [EXPR]... RFC 4180, the documented columns first; EXPR about `rows`, a list of dicts
  trace FILE [EXPR]...    trace events that viewers take; EXPR about `events`
  pixels PNG COLOR LEAST  at least so many pixels of a screenshot are of that color, #rrggbb

Exit code 1 and a line on what does not hold; 77 when a module is missing.
"""

import csv
import json
import struct
import sys
import zlib

COLUMNS = ["timestamp", "test_mode", "duration", "model_id", "start_memory_percent",
           "peak_memory_percent", "end_memory_percent", "model_load_time", "avg_memory_percent",
           "min_available_gb", "volatility"]
NEAR = 12  # how far a channel of an antialiased pixel may be off


def fail(what):
    print(what)
    sys.exit(1)


def hold(expressions, **names):
    for expression in expressions:
        if not eval(expression, {}, names):  # of the test itself
            fail(f"does not hold: {expression}")


def check_schema(*files):
    try:
        import jsonschema
    except ImportError:
        print("no python3-jsonschema")
        sys.exit(77)
    with open("docs/report.schema.json", encoding="utf-8") as file:
        schema = json.load(file)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for name in files:
        with open(name, encoding="utf-8") as file:
            report = json.load(file)
        for error in validator.iter_errors(report):
            fail(f"{name}: {error.json_path}: {error.message[:200]}")


def check_csv(name, n_rows, *expressions):
    with open(name, encoding="utf-8", newline="") as file:
        text = file.read()
    if not text.endswith("\r\n"):
        fail("the last line has no end")
    lines = list(csv.reader(text.splitlines(keepends=True), strict=True))
    if lines[0][:len(COLUMNS)] != COLUMNS:
        fail(f"columns are {lines[0]}")
    if len(lines) != int(n_rows) + 1:
        fail(f"{len(lines) - 1} rows")
    if any(len(line) != len(lines[0]) for line in lines):
        fail("rows of different lengths")
    rows = [dict(zip(lines[0], line)) for line in lines[1:]]
    if any(value[:1] in "=+@\t" for row in rows for value in row.values() if value):
        fail("a spreadsheet would run a formula")
    hold(expressions, rows=rows)


def check_nesting(events):
    threads = {}
    for event in events:
        if event["ph"] == "X":
            threads.setdefault((event["pid"], event["tid"]), []).append(event)
    for spans in threads.values():
        ends = []
        for span in sorted(spans, key=lambda s: (s["ts"], -s["dur"])):
            end = round((span["ts"] + span["dur"]) * 1000)
            while ends and ends[-1] <= round(span["ts"] * 1000):
                ends.pop()
            if ends and end > ends[-1]:
                fail(f"{span} outlasts the span around it")
            ends.append(end)


def check_trace(name, *expressions):
    with open(name, encoding="utf-8") as file:
        events = json.load(file)["traceEvents"]
    for event in events:
        if event["ph"] not in "XCiM" or not isinstance(event["name"], str):
            fail(f"no viewer knows {event}")
        if not all(isinstance(event[key], (int, float)) for key in ("ts", "pid", "tid")):
            fail(f"no place for {event}")
        if event["ts"] < 0 or event.get("dur", 0) < 0 or ("dur" in event) != (event["ph"] == "X"):
            fail(f"no time for {event}")
        if event["ph"] == "C" and not all(isinstance(v, int) for v in event["args"].values()):
            fail(f"no value in {event}")
    check_nesting(events)
    hold(expressions, events=events)


def paeth(a, b, c):
    distances = [(abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c)]
    return min(distances)[2]


def unfilter(kind, line, above, size):
    for i, byte in enumerate(line):
        left = line[i - size] if i >= size else 0
        corner = above[i - size] if i >= size else 0
        guess = (0, left, above[i], (left + above[i]) // 2, paeth(left, above[i], corner))[kind]
        line[i] = (byte + guess) & 0xff
    return line


def png_rows(name):
    """The rows of a PNG with 8 bits a channel, and the bytes of a pixel."""
    with open(name, "rb") as file:
        data = file.read()
    at, packed = 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        if kind == b"IHDR":
            width, height, _, color = struct.unpack(">IIBB", body[:10])
        elif kind == b"IDAT":
            packed += body
        at += 12 + length
    size = {2: 3, 6: 4}[color]
    raw, above = zlib.decompress(packed), bytearray(width * size)
    for y in range(height):
        start = y * (width * size + 1)
        above = unfilter(raw[start], bytearray(raw[start + 1:start + 1 + width * size]), above, size)
        yield above, size


def check_pixels(name, color, least):
    wanted = [int(color[i:i + 2], 16) for i in (1, 3, 5)]
    n = 0
    for row, size in png_rows(name):
        for x in range(0, len(row), size):
            n += all(abs(row[x + i] - wanted[i]) <= NEAR for i in range(3))
    if n < int(least):
        fail(f"{name}: {n} pixels of {color}, expected at least {least}")


def main():
    checks = {"schema": check_schema, "csv": check_csv, "trace": check_trace,
              "pixels": check_pixels}
    checks[sys.argv[1]](*sys.argv[2:])


if __name__ == "__main__":
    main()
