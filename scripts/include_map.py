#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Checks by their #include lines that the modules of user/ depend downwards only.

    cli -> monitor -> {probe, inject, source, action, report, metrics}
        -> {state, policy, config, elf, target, cgroup} -> base, abi.h, lib/marker.h

Prints every include that breaks the map as file:line: reason; exit code 1.
"""

import re
import sys
from pathlib import Path

LAYERS = [
    {"base"},
    {"state", "policy", "config", "elf", "target", "cgroup"},
    {"probe", "inject", "source", "action", "report", "metrics"},
    {"monitor"},
    {"cli"},
]
# Within a layer modules do not know each other, but for these.
SAME_LAYER = {("policy", "config"), ("policy", "state"), ("target", "cgroup")}
# lib runs inside other people's processes and stays small.
ONLY = {"lib": {"base"}}
# What this program and those under watch agree on, as abi.h is with the kernel side.
SHARED = {"abi.h", "lib/marker.h"}
SKELETON = "memprobe.skel.h"
SKELETON_USERS = {"probe", "source"}
# What these compute depends on their arguments alone: no clock, no files, no kernel.
PURE = {"state", "policy"}
IMPURE = re.compile(r"^(bpf/.*|fcntl\.h|time\.h|sys/time\.h|sys/stat\.h|syslog\.h"
                    r"|base/clock\.h|base/fsroot\.h)$")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def layer_of(module):
    for number, modules in enumerate(LAYERS):
        if module in modules:
            return number
    return None


def may_use(module, other):
    if module == other:
        return True
    if module in ONLY:
        return other in ONLY[module]
    if (module, other) in SAME_LAYER:
        return True
    return layer_of(module) > layer_of(other)


def problem_of(module, quote, name):
    """Why `module` may not have this include, or None."""
    if module in PURE and IMPURE.match(name):
        return f"{module}/ is pure and may not include {name}"
    if name == SKELETON:
        if module not in SKELETON_USERS:
            return f"only {' and '.join(sorted(SKELETON_USERS))} may include {SKELETON}"
        return None
    if quote == "<" or name in SHARED:
        return None
    other, slash, _ = name.partition("/")
    if not slash:
        return f'"{name}" must name its module: "{module}/{name}"'
    if layer_of(other) is None and other not in ONLY:
        return f"{other}/ is not in the map of scripts/include_map.py"
    if not may_use(module, other):
        return f"{module}/ may not depend on {other}/"
    return None


def check_file(path, module):
    problems = 0
    for number, line in enumerate(path.read_text().splitlines(), 1):
        found = INCLUDE.match(line)
        problem = problem_of(module, *found.groups()) if found else None
        if problem:
            print(f"{path}:{number}: {problem}")
            problems += 1
    return problems


def main():
    problems = 0
    for path in sorted(Path("user").glob("*/*.[ch]")):
        module = path.parent.name
        if layer_of(module) is None and module not in ONLY:
            print(f"{path}: {module}/ is not in the map of scripts/include_map.py")
            problems += 1
            continue
        problems += check_file(path, module)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
