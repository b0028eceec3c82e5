# SPDX-License-Identifier: GPL-2.0-only
"""What the tests share."""

import json
import os
import subprocess
import sys
import tempfile
import time
import unittest
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from memprobe import _decorate
from memprobe._backend import Backend
from memprobe._levels import severity_of
from memprobe._runtime import runtime

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
PACKAGE = TOP / "user" / "python"
FIXTURES = TOP / "tests" / "fixtures"
HAS_LIBRARY = runtime.backend.has_c
MB = 1 << 20


def needs_library(test):
    """What is tested of the library alone is no test where there is none."""
    return test if HAS_LIBRARY else None


class FakeBackend(Backend):
    """Memory as the test says: `ratio` of 1000 MB."""

    def __init__(self, ratio=0.5, rss=100 * MB):
        self.ratio = ratio
        self.rss = rss
        self.watched = [0]
        self.calls = []  # ("enter" or "leave", point, call)
        self.looks = 0

    def point(self, name, level):
        return name

    def _sample(self):
        usage = int(self.ratio * 1000 * MB)
        return (time.monotonic_ns(), self.rss, self.rss + MB, 1000 * MB, usage,
                1000 * MB - usage, self.ratio, severity_of(self.ratio), 0)

    def sample(self, point):
        self.looks += 1
        return self._sample()

    def fresh(self):
        return self._sample()

    def severity(self):
        self.looks += 1
        return severity_of(self.ratio)

    def enter(self, point):
        call = len(self.calls) + 1
        self.calls.append(("enter", point, call))
        return call

    def leave(self, point, call):
        self.calls.append(("leave", point, call))

    def relieve(self, pressure):
        return 0


@contextmanager
def fake_memory(ratio=0.5, rss=100 * MB):
    """check_memory(), and what is decorated within, see this memory; cooldowns begin anew."""
    backend = FakeBackend(ratio, rss)
    fresh = {level: {} for level in runtime.points}
    with mock.patch.object(runtime, "backend", backend), \
            mock.patch.object(runtime, "points", fresh), \
            mock.patch.object(runtime, "_reacted_at", [-1e9] * 4):
        yield backend


@contextmanager
def clock():
    """Wrappers that are made within see this time: a list of one number of seconds."""
    now = [1000.0]
    with mock.patch.object(_decorate, "monotonic", lambda: now[0]):
        yield now


def python(code, *args, env=None, timeout=60, check=True):
    """Runs a program that has the package; its output."""
    environ = dict(os.environ, PYTHONPATH=str(PACKAGE), **(env or {}))
    done = subprocess.run([sys.executable, "-c", code, *args], env=environ, text=True,
                          capture_output=True, timeout=timeout, check=False)
    if check and done.returncode:
        raise AssertionError(f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout if check else done


def wait_until(condition, seconds=10.0):
    """Whether it became true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def rss_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class MemoryGroup:
    """A memory cgroup of the test's own, below the one that it runs in. SkipTest: none can be made."""

    def __init__(self, limit):
        self.path = self._make(limit)

    def _make(self, limit):
        tree = runtime_tree()
        if not tree:
            raise unittest.SkipTest("no memory controller")
        directory, names = tree
        path = Path(directory) / f"memprobe-test-{os.getpid()}"
        try:
            path.mkdir()
            (path / names.limit).write_text(str(limit))
        except OSError as error:
            if path.exists():
                path.rmdir()
            raise unittest.SkipTest(f"no memory cgroup can be made: {error}") from None
        return path

    def run(self, code, *args, timeout=60):
        """Runs a program in there; (exit code, output, errors)."""
        prefix = f"open({str(self.path / 'cgroup.procs')!r}, 'w').write('0')\n"
        done = python(prefix + code, *args, timeout=timeout, check=False)
        return done.returncode, done.stdout, done.stderr

    def remove(self):
        wait_until(lambda: not (self.path / "cgroup.procs").read_text())
        self.path.rmdir()


def runtime_tree():
    """The directory of the own memory cgroup, and its files' names."""
    from memprobe._memory import Memory
    return next(iter(Memory()._groups()), None)


class WithEngine(unittest.TestCase):
    """memprobe-bpf is the stand-in of this folder; commands() are those that it was given."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.log = Path(self.folder, "log")
        patch = mock.patch.dict(os.environ, MEMPROBE_BPF=str(HERE / "engine"),
                                ENGINE_LOG=str(self.log))
        patch.start()
        self.addCleanup(patch.stop)

    def set(self, **environ):
        patch = mock.patch.dict(os.environ, environ)
        patch.start()
        self.addCleanup(patch.stop)

    def commands(self):
        """Without where reports go, which is another place each time."""
        commands = [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]
        return [command[:command.index("--save-report")] if "--save-report" in command else command
                for command in commands]
