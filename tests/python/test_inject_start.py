# SPDX-License-Identifier: GPL-2.0-only
"""`run`: with the program from its beginning, by sitecustomize; and functions of __main__."""

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import zlib

from inject_support import INJECT, MARKER, START

APP = """
import json, os, sys
calls = []
class Thing:
    def work(self): return 2
    class Inner:
        @staticmethod
        def work(): return 3
def decorate(function): return function
@decorate
def work(n):
    return n
first = [work(n) for n in range(3)]
@decorate
async def later(): pass
if len(sys.argv) > 9:
    def work(n): return -n
def main():
    def hidden(): pass
    import mpt_mod
    mpt_mod.func()
    return hidden
if __name__ == "__main__":
    main()
    def is_wrapped(function):
        names = [type(c).__name__ for c in function.__code__.co_consts]
        return "_Hooks" in names
    print(json.dumps({
        "argv": sys.argv, "path": sys.path[0], "trace": repr(sys.gettrace()),
        "tools": [sys.monitoring.get_tool(n) for n in range(6)]
                 if hasattr(sys, "monitoring") else [None] * 6,
        "frame": repr(sys._getframe().f_trace),
        "custom": repr(sys.modules.get("sitecustomize")),
        "folders": [entry for entry in sys.path if entry.endswith("sitecustomize")],
        "cache": [entry for entry in sys.path_importer_cache if entry.endswith("sitecustomize")],
        "wrapped": [is_wrapped(f) for f in (work, later, Thing.work, Thing.Inner.work)],
        "doc": __doc__, "spec": repr(__spec__ and __spec__.name), "main": sorted(globals()),
    }))
"""


class StartTest(unittest.TestCase):
    def setUp(self):
        if not os.path.exists(MARKER):
            self.skipTest("there is no memprobe-marker.so")
        self.folder = os.path.realpath(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.write("app.py", APP)
        self.write("mpt_mod.py", "def func(): return 1\n")
        with open(MARKER, "rb") as file:
            self.marker = base64.b64encode(zlib.compress(file.read())).decode()

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
        return path

    def configure(self, *paths):
        self.result = os.path.join(self.folder, "result.json")
        points = [{"name": path, "level": 1, "python": path, "threshold_mb": 0} for path in paths]
        return self.write("config.json", json.dumps({
            "version": 1, "token": "t", "points": points, "marker": self.marker,
            "result": self.result}))

    def start(self, *command, config=None, **more):
        env = dict(os.environ, PYTHONPATH=START, PYTHONDONTWRITEBYTECODE="1", **more)
        env.pop("PYTHONSTARTUP", None)
        if config:
            env["MEMPROBE_PYTHON_CONFIG"] = config
        done = subprocess.run([sys.executable, *command], env=env, cwd=self.folder, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual((done.returncode, done.stderr.decode()), (0, ""))
        return done.stdout.decode()

    def statuses(self):
        with open(self.result) as file:
            result = json.load(file)
        self.assertIsNone(result["error"])
        return {p["name"]: (p["status"], p["functions"] or p["reason"]) for p in result["points"]}


class Start(StartTest):
    def check_app(self, *command, spec="None"):
        paths = ["app.work", "app.Thing.work", "__main__.later", "app.nope", "app.hidden",
                 "mpt_mod.func", "mpt_none.func"]
        out = json.loads(self.start(*command, config=self.configure(*paths)))
        self.assertEqual(out["wrapped"], [True, True, True, True])
        self.assertEqual((out["trace"], out["frame"], out["tools"], out["folders"], out["cache"]),
                         ("None", "None", [None] * 6, [], []))
        self.assertNotIn("memprobe", out["custom"])
        self.assertEqual(out["path"], self.folder)
        absent = "module __main__ has no function %s, nor has any of its classes"
        self.assertEqual(self.statuses(), {
            "app.work": ("attached", ["__main__.Thing.work", "__main__.Thing.Inner.work",
                                      "__main__.work"]),
            "app.Thing.work": ("attached", ["__main__.Thing.work"]),
            "__main__.later": ("attached", ["__main__.later"]),
            "app.nope": ("failed", absent % "nope"), "app.hidden": ("failed", absent % "hidden"),
            "mpt_mod.func": ("attached", ["mpt_mod.func"]),
            "mpt_none.func": ("waiting", "not loaded yet")})
        bare = subprocess.run([sys.executable, *command], cwd=self.folder, stdout=subprocess.PIPE,
                              env=dict(os.environ, PYTHONDONTWRITEBYTECODE="1"), check=True)
        bare = json.loads(bare.stdout.decode())
        for key in ("argv", "spec", "doc", "main", "custom"):
            self.assertEqual(out[key], bare[key], key)

    def test_a_script(self):
        self.check_app("app.py")

    def test_a_module(self):
        self.check_app("-m", "app")

    def test_with_options(self):
        self.check_app("-W", "error", "-X", "dev", "-b", "app.py", "one")

    def test_every_call_from_the_first_on_counts(self):
        """Three calls in the body of the script, before it has ended."""
        source = """
import sys
def work(n): return n
class Thing:
    def work(self): return 1
total = sum(work(n) for n in range(3)) + Thing().work()
home = [value for name, value in vars(sys).items() if "memprobe" in name][0]
print(total, [point.functions for point in home.points])
"""
        path = self.write("deep/pack/counted.py", source)
        out = self.start(path, config=self.configure("pack.counted.work"))
        self.assertEqual(out, "4 [['__main__.work', '__main__.Thing.work']]\n")

    def test_a_body_that_never_ends_is_not_followed_for_ever(self):
        source = """
import sys
def work(): return 1
for n in range(3):
    traced = sys.gettrace() is not None or hasattr(sys, "monitoring") and any(
        sys.monitoring.get_tool(n) for n in range(6))
    print(traced, end=" ")
"""
        self.write("loop.py", source)
        self.assertEqual(self.start("loop.py", config=self.configure("loop.work")),
                         "False False False ")

    def test_functions_that_are_made_under_a_condition(self):
        self.write("cond.py", """
import sys
if len(sys.argv) > 5:
    def work(): return 1
else:
    try:
        def work(): return 2
    finally:
        pass
    print(work(), "_Hooks" in [type(c).__name__ for c in work.__code__.co_consts])
""")
        self.assertEqual(self.start("cond.py", config=self.configure("cond.work")), "2 True\n")
        self.assertEqual(self.statuses()["cond.work"], ("attached", ["__main__.work"]))

    def test_a_script_that_fails_fails_as_before(self):
        self.write("bad.py", "def work(): raise ValueError('mine')\nwork()\n")
        env = dict(os.environ, PYTHONPATH=START, PYTHONDONTWRITEBYTECODE="1",
                   MEMPROBE_PYTHON_CONFIG=self.configure("bad.work"))
        done = subprocess.run([sys.executable, "bad.py"], env=env, cwd=self.folder,
                              stderr=subprocess.PIPE)
        text = done.stderr.decode()
        self.assertEqual((done.returncode, text.splitlines()[-1]), (1, "ValueError: mine"))
        self.assertNotIn("memprobe", text)

    def test_when_something_else_traces_already(self):
        self.write("mpt_start/sitecustomize.py", "import sys\n"
                   "if not hasattr(sys, 'monitoring'): sys.settrace(lambda *args: None)\n")
        self.write("traced.py", "import sys\nprint(sys.gettrace() is not None\n"
                   "      or hasattr(sys, 'monitoring'))\n")
        both = os.path.join(self.folder, "mpt_start")
        env_path = START + os.pathsep + both
        done = subprocess.run(
            [sys.executable, "traced.py"], cwd=self.folder, stdout=subprocess.PIPE, check=True,
            env=dict(os.environ, PYTHONPATH=env_path, PYTHONDONTWRITEBYTECODE="1",
                     MEMPROBE_PYTHON_CONFIG=self.configure("traced.work")))
        self.assertEqual(done.stdout, b"True\n")


class MakingWay(StartTest):
    def run_with(self, source, *paths, **more):
        self.write("other/sitecustomize.py", source)
        env = dict(os.environ, PYTHONDONTWRITEBYTECODE="1",
                   PYTHONPATH=os.pathsep.join([START, os.path.join(self.folder, "other")]), **more)
        return subprocess.run(
            [sys.executable, "-c",
             "import sys; m = sys.modules.get('sitecustomize'); print(m and m.__file__, "
             "getattr(m, 'mark', None), m and m.__spec__.name)"],
            env=env, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def test_the_next_sitecustomize_takes_our_place(self):
        done = self.run_with("mark = 5\n", MEMPROBE_PYTHON_CONFIG=self.configure("app.work"))
        path = os.path.join(self.folder, "other", "sitecustomize.py")
        self.assertEqual((done.stdout.decode(), done.stderr),
                         ("%s 5 sitecustomize\n" % path, b""))

    def test_one_that_is_broken_is_told_of_as_before(self):
        done = self.run_with("1 / 0\n", MEMPROBE_PYTHON_CONFIG=self.configure("app.work"))
        self.assertIn(b"Error in sitecustomize", done.stderr)
        self.assertIn(b"ZeroDivisionError", done.stderr)
        self.assertEqual(done.stdout, b"None None None\n")

    def test_without_another_there_is_none(self):
        show = "import sys; print(sys.modules.get('sitecustomize'))"
        bare = subprocess.run([sys.executable, "-c", show], stdout=subprocess.PIPE, check=True)
        out = self.start("-c", show, config=self.configure("app.work"))
        self.assertEqual(out, bare.stdout.decode())

    def test_configurations_that_cannot_be_used(self):
        for text in (None, "", "{", "[]", "7", '{"version": 9}', '{"version": 1}', "\xff\xfe"):
            with self.subTest(text=text):
                path = self.write("bad.json", text) if text is not None else "/none/config.json"
                self.assertEqual(self.start("-c", "print('ran')", config=path), "ran\n")
        self.assertEqual(self.start("-c", "print('ran')"), "ran\n")

    def test_an_inject_file_by_name(self):
        other = self.write("my_inject.py", "def install(config): print(config['token'], "
                           "config['is_starting'])\n")
        out = self.start("-c", "pass", config=self.configure("app.work"),
                         MEMPROBE_PYTHON_INJECT=other)
        self.assertEqual(out, "t True\n")

    def test_one_next_to_it(self):
        folder = os.path.join(self.folder, "private")
        os.mkdir(folder)
        shutil.copy(os.path.join(START, "sitecustomize.py"), folder)
        shutil.copy(INJECT, folder)
        env = dict(os.environ, PYTHONPATH=folder, PYTHONDONTWRITEBYTECODE="1",
                   MEMPROBE_PYTHON_CONFIG=self.configure("app.work"))
        subprocess.run([sys.executable, "app.py"], env=env, cwd=self.folder, check=True,
                       stdout=subprocess.DEVNULL)
        self.assertEqual(self.statuses()["app.work"][0], "attached")

    def test_isolated_it_is_not_run(self):
        config = self.configure("app.work")
        for option in ("-I", "-E", "-S"):
            out = self.start(option, "-c", "import sys; print([name for name in vars(sys) "
                             "if 'memprobe' in name])", config=config)
            self.assertEqual(out, "[]\n")

    def test_a_child_is_started_with_it_too(self):
        self.write("parent.py", "import subprocess, sys\n"
                   "sys.exit(subprocess.call([sys.executable, 'app.py']))\n")
        out = json.loads(self.start("parent.py", config=self.configure("app.work")))
        self.assertTrue(out["wrapped"][0])


class Attaching(StartTest):
    """install() while the body of __main__ runs, as when a live process is attached to."""

    def check(self, source):
        config = self.configure("live.work", "live.Late.work")
        self.write("live.py", "INJECT, CONFIG = %r, %r\n" % (INJECT, config) + """
import json, sys
with open(CONFIG) as file: CONFIG = json.load(file)
def attach():
    namespace = {"__name__": "__memprobe_inject__"}
    with open(INJECT) as file: exec(compile(file.read(), "i", "exec"), namespace)
    return [point["status"] for point in namespace["install"](CONFIG)["points"]]
""" + source)
        return self.start("live.py").strip()

    def test_functions_that_are_still_to_be_made(self):
        out = self.check("""
def outer(): return attach()
print(outer())
def work(): return 1
class Late:
    def work(self): return 1
print([type(c).__name__ for c in Late.work.__code__.co_consts].count("_Hooks"), sys.gettrace())
""")
        self.assertEqual(out, "['waiting', 'waiting']\n1 None")
        self.assertEqual(self.statuses(), {
            "live.work": ("attached", ["__main__.work", "__main__.Late.work"]),
            "live.Late.work": ("attached", ["__main__.Late.work"])})

    def test_functions_that_were_made(self):
        out = self.check("""
def work(): return 1
print(attach(), sys.gettrace())
""")
        self.assertEqual(out, "['attached', 'failed'] None")

    def test_a_debugger_keeps_its_place(self):
        out = self.check("""
def tracer(*args): return None
if not hasattr(sys, "monitoring"): sys.settrace(tracer)
before = sys.gettrace()
attach()
print(sys.gettrace() is before)
def work(): return 1
class Late:
    def work(self): return 1
print(sys.gettrace() is before)
""")
        self.assertEqual(out, "True\nTrue")

    def test_removed_before_they_are_made(self):
        out = self.check("""
print(attach())
[value for name, value in vars(sys).items() if "memprobe" in name][0].session.end(None)
print(sys.gettrace(), sys._getframe().f_trace,
      [name for name in vars(sys) if "memprobe" in name])
def work(): return 1
class Late:
    def work(self): return 1
print([type(c).__name__ for c in Late.work.__code__.co_consts].count("_Hooks"))
""")
        self.assertEqual(out, "['waiting', 'waiting']\nNone None []\n0")


if __name__ == "__main__":
    unittest.main()
