#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Runs the tests of the Python package, with libmemprobe.so and without it, and closes with one count.

    tests/python/run.py [-v] [PATTERN...]      as unittest's -k

MEMPROBE_LIBRARY set to nothing: without it only. With MP_RESULTS the counts are appended to that file, too.
"""

import os
import subprocess
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
LIBRARY = TOP / "build" / "libmemprobe.so"


class Result(unittest.TextTestResult):
    """Counts what passed, too; a subtest that fails is its test's failure, once."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.passed = 0
        self.broken = set()

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.broken.add(test.id())

    def addError(self, test, err):
        super().addError(test, err)
        self.broken.add(test.id())

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            self.broken.add(test.id())

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.broken.add(test.id())


def run_here(patterns, verbosity):
    """One pass, in this process. (passed, failed, skipped)"""
    sys.path[:0] = [str(TOP / "user" / "python"), str(HERE)]
    loader = unittest.TestLoader()
    loader.testNamePatterns = [p if "*" in p else f"*{p}*" for p in patterns] or None
    suite = loader.discover(str(HERE), top_level_dir=str(HERE))
    runner = unittest.TextTestRunner(resultclass=Result, verbosity=verbosity, buffer=True)
    result = runner.run(suite)
    for test, reason in result.skipped:
        print(f"skip   {test.id()}: {reason}")
    return result.passed, len(result.broken), len(result.skipped)


def one_pass(name, library, arguments):
    """One pass in a process of its own, since the library is chosen at the import."""
    read_end, write_end = os.pipe()
    env = dict(os.environ, MEMPROBE_LIBRARY=library, PYTHONDONTWRITEBYTECODE="1",
               MP_PYTHON_PASS=str(write_end))
    print(f"-- {name}", flush=True)
    code = subprocess.run([sys.executable, "-W", "error::ResourceWarning", __file__, *arguments],
                          env=env, pass_fds=[write_end], check=False).returncode
    os.close(write_end)
    with open(read_end, encoding="ascii") as counts:
        line = counts.read().split()
    if len(line) == 3 and code == 0:
        return tuple(map(int, line))
    print(f"the pass ended with {code}")
    return 0, 1, 0


def main():
    arguments = sys.argv[1:]
    if "MP_PYTHON_PASS" in os.environ:
        write_end = int(os.environ.pop("MP_PYTHON_PASS"))
        patterns = [each for each in arguments if each != "-v"]
        counts = run_here(patterns, 2 if "-v" in arguments else 1)
        os.write(write_end, " ".join(map(str, counts)).encode())
        return 0
    passes = [("without libmemprobe", "")]
    is_wanted = os.environ.get("MEMPROBE_LIBRARY") != ""
    if is_wanted and LIBRARY.exists():
        passes.insert(0, ("with libmemprobe", str(LIBRARY)))
    elif is_wanted:
        print(f"no {LIBRARY.relative_to(TOP)}: make lib builds it")
    total = [sum(counts) for counts in
             zip(*(one_pass(name, library, arguments) for name, library in passes))]
    total[1] += is_wanted and not LIBRARY.exists()
    print("python: %d passed, %d failed, %d skipped" % tuple(total))
    if os.environ.get("MP_RESULTS"):
        with open(os.environ["MP_RESULTS"], "a", encoding="ascii") as results:
            results.write("python %d %d %d\n" % tuple(total))
    return 1 if total[1] or not total[0] else 0


if __name__ == "__main__":
    sys.exit(main())
