# SPDX-License-Identifier: GPL-2.0-only
"""What the tests of _inject.py share. Each test gets the file executed anew, as a target does."""

import os
import sys
import types
import unittest

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
INJECT = os.path.join(REPO, "user", "python", "memprobe", "_inject.py")
START = os.path.join(REPO, "user", "python", "sitecustomize")
MARKER = os.environ.get("MEMPROBE_MARKER", os.path.join(REPO, "build", "memprobe-marker.so"))

with open(INJECT, encoding="utf-8") as _file:
    _CODE = compile(_file.read(), INJECT, "exec", 0, True)


def load():
    """A fresh instance, as a namespace that is not in sys.modules."""
    module = types.SimpleNamespace(__name__="__memprobe_inject__")
    exec(_CODE, module.__dict__)
    return module


class Gate:
    def __init__(self, value=1):
        self.value = value


class Recorder:
    """Hooks that write down what they are called for."""

    def __init__(self, gate=None):
        self.log = []
        self.gate = gate
        self._last = 0

    def enter(self):
        self._last += 1
        self.log.append("+%d" % self._last)
        return self._last

    def exit(self, call):
        self.log.append("-%d" % call)

    def taken(self):
        log, self.log = self.log, []
        return " ".join(log)


class FakeMarkers:
    """Markers whose calls are recorded, with semaphores to set."""

    def __init__(self, inject):
        self.calls = []
        self.gate, self.exit_gate = Gate(0), Gate(0)
        self.markers = inject.Markers(
            self._enter, self._exit, self.gate, self.exit_gate
        )

    def attach(self, count=1):
        self.gate.value = self.exit_gate.value = count

    def _enter(self, point, name, level, call, size):
        self.calls.append(("enter", point.value, name, level, call, size))

    def _exit(self, point, name, level, call):
        self.calls.append(("exit", point.value, name, level, call))


class InjectTest(unittest.TestCase):
    """Whatever a test does, the process is afterwards as it was before."""

    def setUp(self):
        self.inject = load()
        self._meta_path = sys.meta_path
        self._finders = list(sys.meta_path)
        self._modules = set(sys.modules)
        self._trace = sys.gettrace()
        self.points = []
        self.addCleanup(self._check_clean)

    def _check_clean(self):
        for point in self.points:
            self.inject.discard(point)
        self.inject.remove()
        for name in set(sys.modules) - self._modules:
            if name.startswith("mpt_"):
                del sys.modules[name]
        self.assertIs(sys.meta_path, self._meta_path)
        self.assertEqual(sys.meta_path, self._finders)
        self.assertEqual([name for name in vars(sys) if "memprobe" in name], [])
        self.assertEqual([name for name in sys.modules if "memprobe_inject" in name], [])
        self.assertIs(sys.gettrace(), self._trace)

    def wrap(self, func, recorder=None):
        recorder = recorder or Recorder()
        point = self.inject.wrap(func, recorder.enter, recorder.exit, recorder.gate)
        self.points.append(point)
        return recorder

    def add(self, path, recorder=None):
        recorder = recorder or Recorder()
        point = self.inject.add(path, recorder.enter, recorder.exit, recorder.gate)
        self.points.append(point)
        return point, recorder

    def module(self, name, source, **attributes):
        """A module that was loaded before we came."""
        module = types.ModuleType(name)
        module.__dict__.update(attributes)
        exec(compile(source, name + ".py", "exec"), module.__dict__)
        sys.modules[name] = module
        return module
