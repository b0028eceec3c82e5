#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Checks an event stream: check.py STREAM [NAME=VALUE | NAME=@FILE | EXPRESSION]...

Every stream must keep the contract (see verify()); then each EXPRESSION, in
Python, must hold. NAME=VALUE gives an expression a number or a text, and
NAME=@FILE the last line of a file as JSON. Expressions may use:

  records, of(TYPE)     all records, those of a type
  probes(POINT, PHASE)  probe records, of a point, of a phase
  point(NAME)           its row of the summary
  pressures(SOURCE)     pressure records, of a source
  ooms(IS_TARGET)       oom records, of targets or of others
  killed()              oom records in the order in which they were chosen
  kernel                [major, minor] of the kernel that the stream is from
  start, stop, summary  the last record of these types, or None
  lost(SOURCE)          count of the records lost by a source

A comparison that does not hold is printed with both of its sides. Records
can be read as objects: point("a").hits == 5. Exit code 1: something does not hold.
"""

import ast
import json
import re
import sys

TYPES = {"start", "stop", "site", "probe", "process", "pressure", "oom", "decision", "action",
         "lost", "summary"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")


class Record(dict):
    """A JSON object whose fields can be read as attributes."""

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"no field {name} in {dict(self)}") from None


def fail(text):
    print(text)
    sys.exit(1)


def parse_line(number, line):
    try:
        text = line.decode("utf-8")
        record = json.loads(text, object_hook=Record)
    except ValueError as error:
        fail(f"line {number} is not JSON in UTF-8: {error}: {line[:200]!r}")
    bad = [c for c in text if ord(c) < 0x20 or 0x7f <= ord(c) < 0xa0]
    if bad:
        fail(f"line {number} holds control characters {bad!r}")
    return record


def load(path):
    with open(path, "rb") as stream:
        lines = stream.read().split(b"\n")
    if lines.pop() != b"":
        fail(f"{path} does not end with a newline")
    return [parse_line(number, line) for number, line in enumerate(lines, 1)]


def verify_record(number, record):
    if record.get("v") != 1 or record.get("type") not in TYPES:
        fail(f"line {number}: wrong v or type: {record}")
    if not isinstance(record.get("ts_ns"), int) or not TIME.match(record.get("time") or ""):
        fail(f"line {number}: wrong ts_ns or time: {record}")


def verify_point(row):
    if row.hits + row.returns != row.emitted + row.suppressed + row.lost:
        fail(f"hits + returns != emitted + suppressed + lost: {row}")
    for phase, hits in (row.enter, row.hits), (row.exit, row.returns):
        if not phase.hits == hits == phase.emitted + phase.suppressed + phase.lost:
            fail(f"hits != emitted + suppressed + lost in a phase of: {row}")


def verify(records):
    """What CONTRACT.md promises of every stream."""
    for number, record in enumerate(records, 1):
        verify_record(number, record)
    for record in records:
        if record.type == "summary":
            for row in record.points:
                verify_point(row)
    if any(r.type == "stop" for r in records) and records[-1].type != "stop":
        fail(f"there are records after stop: {records[-1]}")


def names_for(records):
    def of(kind):
        return [r for r in records if r.type == kind]

    def last(kind):
        found = of(kind)
        return found[-1] if found else None

    def probes(name=None, phase=None):
        return [r for r in of("probe")
                if name in (None, r.point) and phase in (None, r.phase)]

    def point(name):
        rows = [r for r in last("summary").points if r.point == name]
        if len(rows) != 1:
            fail(f"{len(rows)} rows for point {name} in the summary")
        return rows[0]

    def lost(source):
        return sum(r.count for r in of("lost") if r.source == source)

    def pressures(source=None):
        return [r for r in of("pressure") if source in (None, r.source)]

    def ooms(is_target):
        return [r for r in of("oom") if r.is_target == is_target]

    def killed():
        return sorted(of("oom"), key=lambda r: r.ts_ns)

    found = re.match(r"(\d+)\.(\d+)", last("start").kernel if of("start") else "")
    kernel = [int(n) for n in found.groups()] if found else None
    return {"records": records, "of": of, "probes": probes, "pressures": pressures,
            "ooms": ooms, "killed": killed, "point": point, "lost": lost, "kernel": kernel,
            "start": last("start"), "stop": last("stop"), "summary": last("summary")}


def last_json(path):
    with open(path, encoding="utf-8") as stream:
        return json.loads(stream.read().strip().split("\n")[-1], object_hook=Record)


def value_of(text):
    if text.startswith("@"):
        return last_json(text[1:])
    try:
        return int(text)
    except ValueError:
        return text


def sides(expression, names):
    """The values compared, for the message."""
    tree = ast.parse(expression, mode="eval").body
    if not isinstance(tree, ast.Compare):
        return ""
    parts = [tree.left] + tree.comparators
    values = [eval(compile(ast.Expression(p), "", "eval"), names) for p in parts]
    return " (" + " vs ".join(repr(v)[:400] for v in values) + ")"


def holds(expression, names):
    try:
        if eval(expression, names):
            return True
        print(f"does not hold: {expression}{sides(expression, names)}")
    except Exception as error:
        print(f"cannot be told: {expression}: {error!r}")
    return False


def main():
    records = load(sys.argv[1])
    verify(records)
    names = names_for(records)
    ok = True
    for arg in sys.argv[2:]:
        given = re.match(r"([a-z_]+)=(?!=)(.*)$", arg, re.DOTALL)
        if given:
            names[given.group(1)] = value_of(given.group(2))
        else:
            ok = holds(arg, names) and ok
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
