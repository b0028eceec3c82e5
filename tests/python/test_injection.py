# SPDX-License-Identifier: GPL-2.0-only
"""Points that are put in from outside: add_custom_probe(), initialize_probes()."""

import json
import logging
import re
import sys
import types
import unittest
from unittest import mock

import memprobe
from memprobe import MemoryOverflowError, get_probe_manager
from memprobe._decorate import Probe
from memprobe._points import DOCUMENTED
from memprobe.probes import ProbeManager
from support import HERE, TOP, fake_memory, python

SOURCE = '''
def plain(a, b=2):
    "What it is."
    return a, b

class Thing:
    def method(self): return "method"
    @classmethod
    def class_method(cls): return cls.__name__
    class Inner:
        def deep(self): return "deep"

class Other:
    def method(self): return "other"

number = 7
'''


class WithModule(unittest.TestCase):
    """A module of the test's own that is loaded."""

    def setUp(self):
        self.module = types.ModuleType("memprobe_test_module")
        exec(SOURCE, self.module.__dict__)
        patch = mock.patch.dict(sys.modules, {self.module.__name__: self.module})
        patch.start()
        self.addCleanup(patch.stop)
        self.manager = ProbeManager()
        self.addCleanup(lambda: [self.manager.remove_custom_probe(path)
                                 for path in list(self.manager.status())])
        logging.getLogger("memprobe").setLevel(logging.CRITICAL)
        self.addCleanup(logging.getLogger("memprobe").setLevel, logging.NOTSET)

    def path(self, rest):
        return f"{self.module.__name__}.{rest}"


class Custom(WithModule):
    def test_the_function_stays_what_it_is(self):
        before = self.module.plain
        held = {"code": before.__code__, "doc": before.__doc__, "defaults": before.__defaults__}
        with fake_memory() as backend:
            self.manager.add_custom_probe(self.path("plain"), level="high")
            self.assertIs(self.module.plain, before)
            self.assertEqual((before(1), before.__doc__, before.__defaults__),
                             ((1, 2), held["doc"], held["defaults"]))
            self.assertEqual(backend.looks, 1)
            self.manager.remove_custom_probe(self.path("plain"))
        self.assertIs(before.__code__, held["code"])

    def test_calls_are_told_and_looked_at(self):
        with fake_memory() as backend:
            backend.watched[0] = 1
            self.manager.add_custom_probe(self.path("plain"), level="low")
            self.module.plain(1)
            self.module.plain(2)
        self.assertEqual([what for what, _, _ in backend.calls], ["enter", "leave"] * 2)
        self.assertEqual({name for _, name, _ in backend.calls}, {self.path("plain")})

    def test_methods_of_any_class_or_of_one(self):
        with fake_memory() as backend:
            backend.watched[0] = 1
            self.manager.add_custom_probe(self.path("method"))
            self.assertEqual((self.module.Thing().method(), self.module.Other().method()),
                             ("method", "other"))
            self.assertEqual(len(backend.calls), 4)
            self.manager.remove_custom_probe(self.path("method"))
            self.manager.add_custom_probe(self.path("Thing.method"))
            self.manager.add_custom_probe(self.path("Thing.Inner.deep"))
            self.manager.add_custom_probe(self.path("Thing.class_method"))
            backend.calls.clear()
            self.module.Other().method()
            self.assertEqual(backend.calls, [])
            self.module.Thing.Inner().deep()
            self.assertEqual(self.module.Thing.class_method(), "Thing")
            self.assertEqual(len(backend.calls), 4)

    def test_a_critical_one_is_refused(self):
        with fake_memory(0.95):
            self.manager.add_custom_probe(self.path("plain"), level="critical")
            with self.assertRaises(MemoryOverflowError):
                self.module.plain(1)
            self.manager.add_custom_probe(self.path("plain"), level="high")
            self.assertEqual(self.module.plain(1), (1, 2), "added again: the new level")

    def test_what_there_is_not(self):
        for path, what in (("nosuchmodule.f", "no module nosuchmodule"),
                           ("nosuch.sub.f", "no module nosuch"),
                           ("xml.nosuch.f", "no module xml.nosuch"),
                           (self.path("nothing"), "has no function nothing"),
                           (self.path("Thing.nothing"), "Thing has no function nothing"),
                           (self.path("Nothing.f"), "has no Nothing"),
                           (self.path("number"), "int"),
                           (self.path("Thing"), "is a class"),
                           ("math.sqrt", "is built in"), ("builtins.len", "is built in"),
                           ("plain", "module[.Class].function"), ("", "module[.Class].function"),
                           ("a..b", "module[.Class].function"), ("a.b c", "module[.Class].function"),
                           (None, "module[.Class].function"), (7, "module[.Class].function")):
            with self.subTest(path):
                with self.assertRaisesRegex(ValueError, re.escape(what)):
                    self.manager.add_custom_probe(path)
        self.assertEqual(self.manager.status(), {})

    def test_unknown_level(self):
        with self.assertRaisesRegex(ValueError, "low, medium, high, critical"):
            self.manager.add_custom_probe(self.path("plain"), level="hi")
        with self.assertRaises(KeyError):
            self.manager.remove_custom_probe(self.path("plain"))

    def test_nothing_is_imported_by_adding(self):
        out = python("import memprobe, sys\n"
                     "before = set(sys.modules)\n"
                     "memprobe.get_probe_manager().add_custom_probe('xml.dom.minidom.parse', 'low')\n"
                     "print([m for m in set(sys.modules) - before if m.startswith('xml')])\n"
                     "print(memprobe.get_probe_manager().status())\n"
                     "import xml.dom.minidom\n"
                     "print(memprobe.get_probe_manager().status())")
        self.assertEqual(out.splitlines(), ["[]", "{'xml.dom.minidom.parse': 'waiting: not loaded yet'}",
                                            "{'xml.dom.minidom.parse': 'attached'}"])

    def test_a_module_that_then_lacks_the_function_is_logged(self):
        done = python("import memprobe\n"
                      "memprobe.get_probe_manager().add_custom_probe('xml.dom.minidom.nothing')\n"
                      "import xml.dom.minidom, xml.sax, json", check=False)
        self.assertEqual(done.returncode, 0)
        self.assertEqual(done.stderr.count("no point at xml.dom.minidom.nothing"), 1)

    def test_the_manager_is_one(self):
        self.assertIs(get_probe_manager(), get_probe_manager())


class Documented(unittest.TestCase):
    def test_the_table_is_the_shipped_file(self):
        text = (TOP / "configs" / "injection_points.yaml").read_text(encoding="utf-8")
        points = [dict(re.findall(r"^[ -]+(name|level|python): (\S+)$", block, re.M))
                  for block in re.split(r"(?m)^  (?=- )", text)[1:]]
        self.assertEqual(len(points), 8)
        self.assertEqual([(each["name"], each["level"], each["python"]) for each in points],
                         list(DOCUMENTED))

    CODE = '''
import json, logging, sys
logging.getLogger("memprobe").setLevel(logging.CRITICAL)
sys.path[:0] = [{here!r}, {documented!r}]
from support import FakeBackend, fake_memory
import memprobe
with fake_memory({ratio}) as backend:
    backend.watched[0] = 1
    if {early}:
        import app
    names = memprobe.initialize_probes(agent=False)
    assert memprobe.initialize_probes(agent=False) == names
    import app
    try:
        good = app.use()
    except memprobe.MemoryOverflowError as error:
        good = str(error)
    counts = {{}}
    for what, name, _ in backend.calls:
        counts[name] = counts.get(name, 0) + (1 if what == "enter" else -100)
    print(json.dumps([names, good, counts, memprobe.get_probe_manager().status()]))
'''

    def use(self, early, ratio=0.5):
        code = self.CODE.format(here=str(HERE), documented=str(HERE / "documented"), early=early,
                                ratio=ratio)
        return json.loads(python(code))

    def test_all_eight_on_a_package_laid_out_like_the_real_one(self):
        for early in (False, True):
            with self.subTest(early=early):
                names, good, counts, status = self.use(early)
                self.assertEqual(names, [name for name, _, _ in DOCUMENTED])
                self.assertEqual(good, [True] * 9)
                self.assertEqual(set(status.values()), {"attached"})
                # parse_file: one of each class, and one that the other calls; every entry has its exit
                expected = {name: -99 for name in names}
                expected["model_loader.load_model"] *= 2
                expected["srt_parser.parse_file"] *= 3
                self.assertEqual(counts, expected)

    def test_critical_ones_are_refused_when_memory_is_full(self):
        _, refused, counts, _ = self.use(False, ratio=0.92)
        self.assertIn("model_loader.load_model was not called: 92.0 % of 1000 MB", refused)
        self.assertEqual(counts, {"model_loader.load_model": -99})

    def test_without_those_modules_nothing_is_wrong(self):
        out = python("import memprobe; print(len(memprobe.initialize_probes()))\n"
                     "print(memprobe.relief.is_agent_running())")
        self.assertEqual(out.split(), ["8", "True"])

    def test_the_app_by_itself(self):
        self.assertEqual(python("import runpy, sys; sys.path.insert(0, sys.argv[1])\n"
                                "runpy.run_path(sys.argv[1] + '/app.py', run_name='__main__')",
                                str(HERE / "documented"), check=False).returncode, 0)


class WithBlocks(unittest.TestCase):
    def test_share_the_probe_of_their_name(self):
        manager = ProbeManager()
        self.assertIs(manager.probe("with.shared", "low"), manager.probe("with.shared", "low"))
        self.assertIsInstance(manager.probe("with.shared", "high"), Probe)


if __name__ == "__main__":
    unittest.main()
