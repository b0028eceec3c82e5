# SPDX-License-Identifier: GPL-2.0-only
"""install() and remove(), as a monitor has them run."""

import base64
import ctypes
import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import types
import unittest
import warnings
import zlib

from inject_support import INJECT, MARKER, FakeMarkers, InjectTest, load

SOURCE = """
def func(*args): return args
def generator():
    yield 1
    yield 2
class Thing:
    def method(self): return self
"""
PYTHON_FLAG = 0x100


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) % 2**64
    return value


class SessionTest(InjectTest):
    def setUp(self):
        super().setUp()
        self.fake = FakeMarkers(self.inject)
        self.inject._load_markers = lambda marker: self.fake.markers
        self.mod = self.module("mpt_mod", SOURCE)
        self.now = 1000.0
        self.inject._Session.__init__.__defaults__ = (lambda: self.now,)

    def config(self, *points, **more):
        points = [dict(zip(("name", "level", "python"), point), threshold_mb=0) for point in points]
        return dict({"version": 1, "token": "one", "marker": "", "points": points}, **more)

    def install(self, *points, **more):
        result = self.inject.install(self.config(*points, **more))
        self.assertIsNone(result["error"])
        json.dumps(result)
        return result["points"]

    def log(self):
        calls, self.fake.calls[:] = list(self.fake.calls), []
        return [(call[0], call[2].decode(), call[3]) for call in calls]


class Results(SessionTest):
    def test_the_whole_of_it(self):
        result = self.inject.install(self.config(
            ("a", 3, "mpt_mod.func"), ("b", 0, "mpt_none.func"), ("c", 1, "mpt_mod.nope")))
        self.assertEqual(result, {
            "version": 1, "token": "one", "python": "%d.%d.%d" % sys.version_info[:3],
            "pid": os.getpid(), "error": None, "notes": [],
            "points": [
                {"name": "a", "status": "attached", "functions": ["mpt_mod.func"], "reason": ""},
                {"name": "b", "status": "waiting", "functions": [], "reason": "not loaded yet"},
                {"name": "c", "status": "failed", "functions": [],
                 "reason": "module mpt_mod has no function nope, nor has any of its classes"},
            ]})

    def test_points_that_are_wrong_fail_alone(self):
        points = self.install(
            ("", 1, "mpt_mod.func"), ("x" * 128, 1, "mpt_mod.func"), ("n\0l", 1, "mpt_mod.func"),
            (7, 1, "mpt_mod.func"), ("lvl", 4, "mpt_mod.func"), ("lvl", True, "mpt_mod.func"),
            ("path", 1, "func"), ("path", 1, None), ("x" * 127, 1, "mpt_mod.func"))
        self.assertEqual([point["status"] for point in points], ["failed"] * 8 + ["attached"])
        self.assertEqual({point["reason"] for point in points[:4]}, {"a name has 1 to 127 bytes"})
        self.assertEqual(points[4]["reason"], "there is no level 4")

    def test_configurations_that_are_wrong(self):
        good = self.config(("a", 3, "mpt_mod.func"))
        for change in ({"version": 2}, {"version": None}, {"points": 7}, {"points": [7]},
                       {"points": None}, {"wait_s": "soon"}):
            with self.subTest(change=change):
                result = self.inject.install(dict(good, **change))
                self.assertTrue(result["error"])
                self.assertEqual((result["token"], result["points"]), ("one", []))
                self.assertEqual(self.mod.func.__code__.co_consts, (None,))
        for config in (None, [], "x", {}, {"version": 1}):
            with self.subTest(config=config):
                self.assertTrue(self.inject.install(config)["error"])

    def test_remove_when_nothing_is_in(self):
        result = self.inject.remove("one")
        self.assertEqual((result["error"], result["points"], result["token"]), (None, [], "one"))

    def test_a_result_that_is_written_and_written_again(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, "result.{pid}.json")
        self.install(("b", 0, "mpt_later.func"), result=path)
        real = path.replace("{pid}", str(os.getpid()))

        def status():
            with open(real) as file:
                return json.load(file)["points"][0]["status"]

        self.assertEqual((status(), os.listdir(folder)), ("waiting", [os.path.basename(real)]))
        self.assertEqual(os.stat(real).st_mode & 0o777, 0o600)
        with open(os.path.join(folder, "mpt_later.py"), "w") as file:
            file.write("def func(): pass\n")
        sys.path.insert(0, folder)
        self.addCleanup(sys.path.remove, folder)
        importlib.invalidate_caches()
        importlib.import_module("mpt_later")
        self.assertEqual(status(), "attached")
        shutil.rmtree(folder)
        os.mkdir(folder)
        self.module("mpt_other", "")
        import mpt_later

        importlib.reload  # the folder is gone: nothing happens
        self.inject.remove()
        self.assertEqual(os.listdir(folder), [], mpt_later)

    def test_a_child_does_not_write_its_parents_result(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, "result")
        self.install(("a", 3, "mpt_later.func"), result=path)
        os.unlink(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pid = os.fork()
        if pid == 0:
            try:
                self.module("mpt_later", SOURCE)
                importlib.util.find_spec("mpt_none")
                home = getattr(sys, self.inject._HOME)
                os._exit(0 if home.points[0].status == "attached" else 1)
            finally:
                os._exit(2)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        self.assertEqual(os.listdir(folder), [])

    def test_a_result_that_cannot_be_written(self):
        result = self.inject.install(self.config(("a", 3, "mpt_mod.func"), result="/none/x"))
        self.assertIn("FileNotFoundError", result["error"])
        self.assertEqual(result["points"][0]["status"], "attached")

    def test_a_result_is_not_written_through_a_link(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, "result")
        os.symlink("/etc/passwd", "%s.%d" % (path, os.getpid()))
        result = self.inject.install(self.config(("a", 3, "mpt_mod.func"), result=path))
        self.assertIn("FileExistsError", result["error"])


class Calls(SessionTest):
    def test_what_the_markers_are_given(self):
        self.install(("pt.é", 2, "mpt_mod.func"))
        self.fake.attach()
        self.mod.func(1)
        (_, point, name, level, call, size), last = self.fake.calls
        self.assertEqual((point, name, level, size),
                         (fnv1a("pt.é".encode()), "pt.é".encode(), 2 | PYTHON_FLAG, 0))
        self.assertEqual(last, ("exit", point, name, level, call))
        self.assertNotEqual(call, 0)
        self.assertLess(call, 2**64)

    def test_ids_of_known_names(self):
        self.assertEqual(self.inject._fnv1a(b""), 0xCBF29CE484222325)
        self.assertEqual(self.inject._fnv1a(b"a"), 0xAF63DC4C8601EC8C)
        self.assertEqual(self.inject._fnv1a(b"foobar"), 0x85944171F73967E8)

    def test_calls_have_keys_of_their_own(self):
        self.install(("a", 2, "mpt_mod.generator"))
        self.fake.attach()
        first, second = self.mod.generator(), self.mod.generator()
        next(first), next(second), first.close(), second.close()
        calls = [(call[0], call[4]) for call in self.fake.calls]
        self.assertEqual([kind for kind, _ in calls], ["enter", "enter", "exit", "exit"])
        self.assertEqual([key for _, key in calls[:2]], [key for _, key in calls[2:]])
        self.assertNotEqual(calls[0][1], calls[1][1])

    def test_two_instances_count_in_ranges_of_their_own(self):
        first = self.fake.markers._next_call()
        second = FakeMarkers(load()).markers._next_call()
        self.assertNotEqual(first, second)
        self.assertTrue(all(2**28 <= call < 2**29 for call in (first, second)))

    def test_without_a_monitor_no_marker_is_called(self):
        self.install(("a", 2, "mpt_mod.func"))
        self.mod.func()
        self.assertEqual(self.log(), [])

    def test_an_exit_that_nobody_waits_for(self):
        self.install(("a", 2, "mpt_mod.generator"))
        self.fake.attach()
        generator = self.mod.generator()
        next(generator)
        self.fake.attach(0)
        generator.close()
        self.assertEqual([call[0] for call in self.fake.calls], ["enter"])

    def test_two_points_on_one_function(self):
        self.install(("a", 2, "mpt_mod.func"), ("b", 1, "mpt_mod.func"))
        self.fake.attach()
        self.assertEqual(self.mod.func(7), (7,))
        self.assertEqual(self.log(), [("enter", "a", 0x102), ("enter", "b", 0x101),
                                      ("exit", "b", 0x101), ("exit", "a", 0x102)])


class Ends(SessionTest):
    def setUp(self):
        super().setUp()
        self.code = self.mod.func.__code__

    def is_wrapped(self):
        return self.mod.func.__code__ is not self.code

    def test_remove(self):
        self.install(("a", 3, "mpt_mod.func"), ("b", 3, "mpt_later.func"))
        result = self.inject.remove("one")
        self.assertEqual(result["error"], None)
        self.assertEqual([(p["name"], p["status"], p["functions"]) for p in result["points"]],
                         [("a", "removed", ["mpt_mod.func"]), ("b", "removed", [])])
        self.assertFalse(self.is_wrapped())

    def test_remove_by_another_instance_of_the_file(self):
        """The monitor's second script is not the first one."""
        self.install(("a", 3, "mpt_mod.func"))
        self.assertEqual(len(load().remove("one")["points"]), 1)
        self.assertFalse(self.is_wrapped())

    def test_the_call_after_the_monitor_is_gone_takes_everything_out(self):
        self.install(("a", 3, "mpt_mod.func"), ("b", 3, "mpt_mod.method"))
        method = self.mod.Thing.__dict__["method"]
        self.fake.attach()
        self.mod.func()
        self.assertTrue(self.is_wrapped())
        self.fake.attach(0)
        self.assertEqual(self.mod.func(5), (5,), "this call is as good as any")
        self.assertFalse(self.is_wrapped())
        self.assertEqual(method.__code__.co_consts, (None,))
        self.assertEqual([name for name in vars(sys) if "memprobe" in name], [])
        self.assertEqual(self.log(), [("enter", "a", 0x103), ("exit", "a", 0x103)])

    def test_every_kind_of_function_takes_out(self):
        source = """
def plain(): return 1
def generator(): yield 1
async def coroutine(): return 1
async def asyncgen(): yield 1
"""
        import asyncio

        async def collect(agen):
            return [item async for item in agen]

        calls = {"plain": lambda func: func(), "generator": lambda func: list(func()),
                 "coroutine": lambda func: asyncio.run(func()),
                 "asyncgen": lambda func: asyncio.run(collect(func()))}
        for name, call in calls.items():
            with self.subTest(kind=name):
                func = getattr(self.module("mpt_kinds", source), name)
                code = func.__code__
                self.install(("a", 3, "mpt_kinds." + name))
                self.fake.attach()
                result = call(func)
                self.fake.attach(0)
                self.assertIsNot(func.__code__, code)
                self.assertEqual(call(func), result)
                self.assertIs(func.__code__, code)

    def test_a_monitor_that_never_attaches(self):
        self.install(("a", 3, "mpt_mod.func"), wait_s=7)
        self.now += 6.9
        self.mod.func()
        self.assertTrue(self.is_wrapped())
        self.now += 0.1
        self.mod.func()
        self.assertFalse(self.is_wrapped())

    def test_a_monitor_that_comes_late_enough_stays(self):
        self.install(("a", 3, "mpt_mod.func"), wait_s=7)
        self.fake.attach()
        self.mod.func()
        self.now += 1000
        self.mod.func()
        self.assertTrue(self.is_wrapped())

    def test_an_import_takes_out_too(self):
        self.install(("a", 3, "mpt_mod.func"))
        self.fake.attach()
        importlib.util.find_spec("mpt_none")
        self.assertTrue(self.is_wrapped())
        self.fake.attach(0)
        importlib.util.find_spec("mpt_none")
        self.assertFalse(self.is_wrapped())

    def test_taken_out_from_within_a_call_in_a_thread_while_others_are_inside(self):
        go_on, inside = threading.Event(), threading.Semaphore(0)

        def func(*args):
            inside.release()
            go_on.wait(10)
            return args

        self.mod.func = func
        code, results = func.__code__, []
        self.install(("a", 3, "mpt_mod.func"))
        self.fake.attach()
        threads = [threading.Thread(target=lambda n=n: results.append(func(n))) for n in range(3)]
        for thread in threads:
            thread.start()
        for _ in threads:
            inside.acquire()
        self.fake.attach(0)
        last = threading.Thread(target=lambda: results.append(func(3)))
        last.start()
        inside.acquire()
        self.assertIs(func.__code__, code)
        go_on.set()
        for thread in threads + [last]:
            thread.join()
        self.assertEqual(sorted(results), [(0,), (1,), (2,), (3,)])

    def test_a_generator_that_was_suspended_over_it(self):
        self.install(("a", 3, "mpt_mod.func"), ("b", 3, "mpt_mod.generator"))
        self.fake.attach()
        generator = self.mod.generator()
        self.assertEqual(next(generator), 1)
        self.fake.attach(0)
        self.mod.func()
        self.assertEqual(list(generator), [2])

    def test_what_someone_else_changed_is_told(self):
        self.install(("a", 3, "mpt_mod.func"))
        self.mod.func.__code__ = (lambda *args: "other").__code__
        result = self.inject.remove("one")
        self.assertEqual(result["error"], "changed by something else since: mpt_mod.func")
        self.assertEqual(self.mod.func(), "other")

    def test_points_of_the_package_stay(self):
        point, recorder = self.add("mpt_mod.func")
        self.install(("a", 3, "mpt_mod.func"))
        self.fake.attach()
        self.mod.func()
        self.assertEqual((len(self.log()), recorder.taken()), (2, "+1 -1"))
        self.inject.remove()
        self.mod.func()
        self.assertEqual((len(self.log()), recorder.taken()), (0, "+2 -2"))


class Sharing(SessionTest):
    def second(self, *points, **more):
        """Another monitor, with its own copy of the file."""
        other = load()
        other._load_markers = lambda marker: self.fail("the markers are there already")
        return other, other.install(self.config(*points, token="two", **more))

    def test_a_call_is_told_once_for_both(self):
        self.install(("a", 3, "mpt_mod.func"))
        self.second(("b", 1, "mpt_mod.func"), ("m", 1, "mpt_mod.method"))
        self.fake.attach(2)
        self.mod.func()
        self.mod.Thing().method()
        self.assertEqual(self.log(), [("enter", "a", 0x103), ("enter", "b", 0x101),
                                      ("exit", "b", 0x101), ("exit", "a", 0x103),
                                      ("enter", "m", 0x101), ("exit", "m", 0x101)])

    def test_the_same_point_of_two_is_one_hit(self):
        self.install(("a", 3, "mpt_mod.func"))
        _, result = self.second(("a", 3, "mpt_mod.func"))
        self.assertEqual(result["points"][0]["status"], "attached")
        self.fake.attach(2)
        self.mod.func()
        self.assertEqual(self.log(), [("enter", "a", 0x103), ("exit", "a", 0x103)])
        code = self.mod.func.__code__
        self.inject.remove("one")
        self.assertIs(self.mod.func.__code__, code, "no call is missed meanwhile")
        self.mod.func()
        self.assertEqual(self.log(), [("enter", "a", 0x103), ("exit", "a", 0x103)])
        self.inject.remove("two")
        self.mod.func()
        self.assertEqual(self.log(), [])

    def test_each_takes_out_its_own(self):
        self.install(("a", 3, "mpt_mod.func"))
        other, _ = self.second(("m", 1, "mpt_mod.method"))
        self.fake.attach(2)
        self.assertEqual([p["name"] for p in self.inject.remove("one")["points"]], ["a"])
        self.mod.func()
        self.mod.Thing().method()
        self.assertEqual(self.log(), [("enter", "m", 0x101), ("exit", "m", 0x101)])
        self.assertEqual([p["name"] for p in other.remove("two")["points"]], ["m"])

    def test_one_that_goes_does_not_take_out_one_that_comes(self):
        self.install(("a", 3, "mpt_mod.func"))
        self.fake.attach(1)
        self.mod.func()
        self.second(("m", 1, "mpt_mod.method"))
        self.mod.func()
        self.fake.attach(0)
        self.mod.func()
        self.now += 4.9
        self.mod.func()
        self.fake.attach(1)
        self.mod.Thing().method()
        self.assertEqual(self.log()[-1], ("exit", "m", 0x101))
        self.now += 1
        self.fake.attach(0)
        self.mod.func()
        self.assertEqual([name for name in vars(sys) if "memprobe" in name], [])

    def test_again_by_the_same_replaces(self):
        self.install(("a", 3, "mpt_mod.func"), ("b", 3, "mpt_mod.method"))
        self.install(("a", 1, "mpt_mod.func"))
        self.fake.attach()
        self.mod.func()
        self.mod.Thing().method()
        self.assertEqual(self.log(), [("enter", "a", 0x101), ("exit", "a", 0x101)])


@unittest.skipUnless(os.path.exists(MARKER), "there is no memprobe-marker.so")
class RealMarker(InjectTest):
    """With the library itself; the kernel's part, the semaphores, is played."""

    def setUp(self):
        super().setUp()
        self.mod = self.module("mpt_mod", SOURCE)
        with open(MARKER, "rb") as file:
            self.bytes = file.read()

    def config(self, marker):
        return {"version": 1, "token": "one", "marker": marker,
                "points": [{"name": "a", "level": 3, "python": "mpt_mod.func"}]}

    def packed(self):
        return base64.b64encode(zlib.compress(self.bytes)).decode()

    def semaphores(self):
        session = getattr(sys, self.inject._HOME).session
        return session.markers.gate, session.markers._exit_gate

    @staticmethod
    def mapped():
        with open("/proc/self/maps") as file:
            return {line.split(None, 5)[5].strip() for line in file if "memprobe-marker" in line}

    def install(self, marker):
        result = self.inject.install(self.config(marker))
        self.assertEqual((result["error"], result["points"][0]["status"]), (None, "attached"))

    def test_from_memory(self):
        fds = os.listdir("/proc/self/fd")
        self.install(self.packed())
        self.assertIn("/memfd:memprobe-marker (deleted)", self.mapped())
        self.assertEqual(os.listdir("/proc/self/fd"), fds)
        gate, exit_gate = self.semaphores()
        self.assertEqual((gate.value, exit_gate.value), (0, 0))
        gate.value = exit_gate.value = 1
        try:
            for n in range(1000):
                self.assertEqual(self.mod.func(n), (n,))
        finally:
            gate.value = exit_gate.value = 0
        self.mod.func()
        self.assertEqual([name for name in vars(sys) if "memprobe" in name], [])

    def test_again_and_again_it_is_mapped_once(self):
        def lines():
            with open("/proc/self/maps") as file:
                return sum("memfd:memprobe-marker" in line for line in file)

        self.install(self.packed())
        before = lines()
        for _ in range(5):
            self.inject.remove()
            self.install(self.packed())
        self.assertEqual(lines(), before)

    def test_from_a_path(self):
        self.install(MARKER)
        self.assertIn(MARKER, self.mapped())

    def test_from_a_file_where_there_is_no_memory_file(self):
        folders = os.listdir(tempfile.gettempdir())
        with open(MARKER, "rb") as file:
            library = self.inject._load_from_folder(file.read(), None)
        self.assertEqual(self.inject._markers_of(library).gate.value, 0)
        self.assertTrue(any(path.endswith("memprobe-marker.so (deleted)") for path in self.mapped()))
        self.assertEqual(os.listdir(tempfile.gettempdir()), folders)

    def test_where_memory_files_are_denied_it_goes_on(self):
        def deny(data):
            raise PermissionError("denied")

        self.inject._load_from_memory = deny
        self.install(self.packed())

    def test_what_is_no_library(self):
        for marker in (base64.b64encode(zlib.compress(b"no library")).decode(), "not base64!",
                       "/none/memprobe-marker.so", "", base64.b64encode(b"junk").decode()):
            with self.subTest(marker=marker):
                result = self.inject.install(self.config(marker))
                self.assertTrue(result["error"])
                self.assertEqual(self.mod.func.__code__.co_consts, (None,))

    def test_arguments_as_the_abi_has_them(self):
        """C functions with the markers' parameters in their place, called as these are."""
        word, pointer = ctypes.c_uint64, ctypes.c_void_p
        calls = []
        enter = ctypes.CFUNCTYPE(None, word, pointer, word, word, word)(
            lambda *args: calls.append(args))
        leave = ctypes.CFUNCTYPE(None, word, pointer, word, word)(lambda *args: calls.append(args))
        library = self.inject._load_marker(MARKER)
        markers = self.inject._markers_of(library)
        for name, function in (("_enter", enter), ("_exit", leave)):
            raw = library._FuncPtr(ctypes.cast(function, pointer).value)
            raw.restype = None
            setattr(markers, name, raw)
        markers._exit_gate = ctypes.c_ushort(1)
        hook = markers.hook("name.of.point", 3, self.inject.Idle())
        for _ in range(3):
            hook.exit(hook.enter())
        keys = set()
        for (point, name, level, call, size), last in zip(calls[::2], calls[1::2]):
            self.assertEqual((point, ctypes.string_at(name), level, size),
                             (fnv1a(b"name.of.point"), b"name.of.point", 0x103, 0))
            self.assertEqual(last, (point, name, level, call))
            keys.add(call)
        self.assertEqual(len(keys), 3)
        self.assertTrue(all(0 < key < 2**32 for key in keys))


class Interpreters(InjectTest):
    def run_python(self, program, *options):
        done = subprocess.run([sys.executable, *options, "-c", program], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=60)
        return done.returncode, done.stdout.decode()

    def test_without_ctypes_it_is_said(self):
        code, out = self.run_python("""
import sys
sys.modules["_ctypes"] = None
namespace = {"__name__": "__memprobe_inject__"}
exec(compile(open(%r).read(), "i", "exec"), namespace)
print(namespace["install"]({"version": 1, "token": "t", "marker": "/x.so", "points": []})["error"])
""" % INJECT)
        self.assertEqual(code, 0)
        self.assertIn("ctypes", out)

    def test_no_warning_even_when_all_are_errors(self):
        code, out = self.run_python("""
namespace = {"__name__": "__memprobe_inject__"}
with open(%r) as file: exec(compile(file.read(), "i", "exec"), namespace)
def func(): return 1
namespace["wrap"](func, int, id)
func()
result = namespace["install"]({"version": 1, "token": "t", "marker": %r,
    "points": [{"name": "a", "level": 1, "python": "__main__.func"}]})
func()
namespace["remove"]()
print(result["error"])
""" % (INJECT, MARKER), "-W", "error", "-b", "-X", "dev")
        self.assertEqual((code, out.strip().splitlines()[-1:]),
                         (0, ["None" if os.path.exists(MARKER) else out.strip()]))

    def test_another_interpreter_is_left_alone(self):
        code, out = self.run_python("""
import sys
try:
    try: import _interpreters as interpreters
    except ImportError: import _xxsubinterpreters as interpreters
except ImportError:
    print("skip"); sys.exit()
other = interpreters.create()
script = '''
namespace = {"__name__": "__memprobe_inject__"}
with open(%r) as file: exec(compile(file.read(), "i", "exec"), namespace)
print(namespace["install"]({"version": 1, "token": "t", "marker": "/x.so", "points": []})["error"],
      flush=True)
'''
run = getattr(interpreters, "run_string")
print(run(other, script) or "", flush=True)
namespace = {"__name__": "__memprobe_inject__"}
with open(%r) as file: exec(compile(file.read(), "i", "exec"), namespace)
print(namespace["_notes"]())
""" % (INJECT, INJECT))
        if out.strip() == "skip":
            self.skipTest("this Python has no module for interpreters")
        self.assertEqual(code, 0, out)
        self.assertIn("this is not the main interpreter", out)
        self.assertIn("there are others", out)

    def test_at_the_very_end_of_a_process(self):
        code, out = self.run_python("""
import atexit, sys
namespace = {"__name__": "__memprobe_inject__"}
with open(%r) as file: exec(compile(file.read(), "i", "exec"), namespace)
def func(): return 1
def gen():
    try: yield 1
    finally: print("closed")
async def agen():
    try: yield 1
    finally: print("aclosed")
class Last:
    def __del__(self): print("last", func())
namespace["install"]({"version": 1, "token": "t", "marker": %r, "points": [
    {"name": n, "level": 1, "python": "__main__." + n} for n in ("func", "gen", "agen")]})
namespace["wrap"](func, int, id)
namespace["wrap"](gen, int, id)
namespace["wrap"](agen, int, id)
kept = gen(); next(kept)
other = agen()
try: other.asend(None).send(None)
except StopIteration: pass
last = Last()
""" % (INJECT, MARKER), "-X", "dev")
        self.assertEqual((code, sorted(out.split("\n"))), (0, ["", "aclosed", "closed", "last 1"]))


if __name__ == "__main__":
    unittest.main()
