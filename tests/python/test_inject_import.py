# SPDX-License-Identifier: GPL-2.0-only
"""Points in modules that load later, by every way that modules load."""

import importlib
import importlib.abc
import importlib.util
import os
import shutil
import sys
import tempfile
import threading
import types
import unittest
import warnings
import zipfile

from inject_support import InjectTest, Recorder, load

FUNC = "def func(): return __name__\n"


class ImportTest(InjectTest):
    def setUp(self):
        super().setUp()
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        old = list(sys.path)
        sys.path.insert(0, self.folder)
        self.addCleanup(sys.path.__setitem__, slice(None), old)
        self.addCleanup(self._forget)

    def _forget(self):
        for name in [name for name in sys.modules if name.startswith("mpt_")]:
            del sys.modules[name]

    def write(self, name, source=FUNC):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(source)
        importlib.invalidate_caches()
        return path

    def check_works(self, module, point, recorder):
        self.assertEqual((point.status, point.reason), ("attached", ""))
        module.func()
        self.assertEqual(recorder.taken(), "+1 -1")


class Imports(ImportTest):
    def test_a_module_that_is_imported_later(self):
        self.write("mpt_a.py")
        point, recorder = self.add("mpt_a.func")
        self.assertEqual((point.status, point.functions), ("waiting", []))
        import mpt_a

        self.check_works(mpt_a, point, recorder)
        self.assertEqual(point.functions, ["mpt_a.func"])

    def test_no_trace_of_us_is_left_in_the_module(self):
        self.write("mpt_a.py")
        self.add("mpt_a.func")
        import mpt_a

        kind = importlib.machinery.SourceFileLoader
        self.assertIs(type(mpt_a.__loader__), kind)
        self.assertIs(mpt_a.__spec__.loader, mpt_a.__loader__)
        self.assertIs(type(mpt_a.__spec__), importlib.machinery.ModuleSpec)

    def test_a_spec_that_is_only_looked_at(self):
        self.write("mpt_a.py")
        self.add("mpt_a.func")
        spec = importlib.util.find_spec("mpt_a")
        self.assertIsInstance(spec.loader, importlib.machinery.SourceFileLoader)
        self.assertIn("def func", spec.loader.get_source("mpt_a"))
        self.assertNotIn("mpt_a", sys.modules)

    def test_packages_down_to_a_class(self):
        self.write("mpt_p/__init__.py", "")
        self.write("mpt_p/core/__init__.py", "")
        self.write("mpt_p/core/loader.py", "class Loader:\n    def func(self): return 1\n")
        by_class, first = self.add("mpt_p.core.loader.Loader.func")
        without, second = self.add("mpt_p.core.loader.func")
        import mpt_p.core

        self.assertEqual((by_class.status, without.status), ("waiting", "waiting"))
        import mpt_p.core.loader

        mpt_p.core.loader.Loader().func()
        self.assertEqual((first.taken(), second.taken()), ("+1 -1", "+1 -1"))

    def test_a_namespace_package(self):
        self.write("mpt_n/inner/mod.py")
        point, recorder = self.add("mpt_n.inner.mod.func")
        import mpt_n.inner.mod

        self.check_works(mpt_n.inner.mod, point, recorder)

    def test_a_module_without_the_function_is_said_so_when_it_has_loaded(self):
        self.write("mpt_a.py", "other = 1\n")
        point, _ = self.add("mpt_a.func")
        import mpt_a  # noqa: F401

        self.assertEqual((point.status, point.reason), (
            "failed", "module mpt_a has no function func, nor has any of its classes"))

    def test_an_import_that_fails_fails_as_before_and_may_be_tried_again(self):
        self.write("mpt_a.py", "raise ValueError('broken')\n")
        point, recorder = self.add("mpt_a.func")
        with self.assertRaisesRegex(ValueError, "broken"):
            import mpt_a
        self.assertNotIn("mpt_a", sys.modules)
        self.assertEqual(point.status, "waiting")
        self.write("mpt_a.py", FUNC + "# longer than before\n")
        import mpt_a

        self.check_works(mpt_a, point, recorder)

    def test_a_module_that_is_not_there(self):
        self.add("mpt_none.func")
        with self.assertRaisesRegex(ModuleNotFoundError, "No module named 'mpt_none'") as caught:
            import mpt_none  # noqa: F401
        self.assertEqual(caught.exception.name, "mpt_none")

    def test_reload(self):
        self.write("mpt_a.py")
        point, recorder = self.add("mpt_a.func")
        import mpt_a

        old = mpt_a.func
        self.check_works(mpt_a, point, recorder)
        importlib.reload(mpt_a)
        self.assertIsNot(mpt_a.func, old)
        mpt_a.func()
        old()
        self.assertEqual(recorder.taken(), "+2 -2 +3 -3")
        self.assertIs(type(mpt_a.__loader__), importlib.machinery.SourceFileLoader)
        self.inject.discard(point)
        mpt_a.func()
        old()
        self.assertEqual(recorder.taken(), "")

    def test_imported_again_after_it_was_dropped(self):
        self.write("mpt_a.py")
        point, recorder = self.add("mpt_a.func")
        for _ in range(2):
            sys.modules.pop("mpt_a", None)
            module = importlib.import_module("mpt_a")
            recorder.taken()
            module.func()
            self.assertEqual(len(recorder.taken().split()), 2)

    def test_from_a_zip(self):
        path = os.path.join(self.folder, "mpt.zip")
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("mpt_z.py", FUNC)
            archive.writestr("mpt_y.py", FUNC)
        sys.path.insert(0, path)
        point, recorder = self.add("mpt_z.func")
        import mpt_y  # by the same loader
        import mpt_z

        mpt_y.func()
        self.check_works(mpt_z, point, recorder)
        self.assertEqual(type(mpt_z.__loader__).__name__, "zipimporter")
        self.assertEqual(type(mpt_z.__spec__.loader).__name__, "zipimporter")

    def test_loaded_lazily(self):
        self.write("mpt_a.py")
        point, recorder = self.add("mpt_a.func")
        spec = importlib.util.find_spec("mpt_a")
        spec.loader = importlib.util.LazyLoader(spec.loader)
        module = importlib.util.module_from_spec(spec)
        sys.modules["mpt_a"] = module
        spec.loader.exec_module(module)
        import json  # another import is not to wake it

        self.assertEqual((type(module).__name__, point.status), ("_LazyModule", "waiting"), json)
        module.func  # this is
        self.check_works(module, point, recorder)

    def test_lazy_before_we_came(self):
        self.write("mpt_a.py")
        spec = importlib.util.find_spec("mpt_a")
        spec.loader = importlib.util.LazyLoader(spec.loader)
        module = importlib.util.module_from_spec(spec)
        sys.modules["mpt_a"] = module
        spec.loader.exec_module(module)
        point, recorder = self.add("mpt_a.func")
        self.assertEqual((type(module).__name__, point.status), ("_LazyModule", "waiting"))
        module.func
        importlib.import_module("mpt_a")
        self.write("mpt_b.py")
        import mpt_b  # noqa: F401: at the next import it is seen

        self.check_works(module, point, recorder)

    def test_a_module_that_puts_something_else_in_its_place(self):
        self.write("mpt_a.py", FUNC + """
import sys, types
class Stand(types.ModuleType):
    func = staticmethod(func)
sys.modules[__name__] = Stand(__name__)
""")
        point, recorder = self.add("mpt_a.func")
        import mpt_a

        self.check_works(mpt_a, point, recorder)

    def test_a_module_that_is_put_there_by_hand(self):
        point, recorder = self.add("mpt_a.func")
        module = self.module("mpt_a", FUNC)
        self.write("mpt_b.py")
        import mpt_b  # noqa: F401

        self.check_works(module, point, recorder)

    def test_another_module_in_its_place_later(self):
        self.module("mpt_a", FUNC)
        point, recorder = self.add("mpt_a.func")
        module = self.module("mpt_a", FUNC)
        self.write("mpt_b.py")
        import mpt_b  # noqa: F401

        self.check_works(module, point, recorder)

    def test_other_finders_that_wrap_as_we_do(self):
        """wrapt and its like: ask for the spec again, and guard themselves alone."""
        self.write("mpt_a.py")

        class Other:
            asking = False

            def find_spec(self, name, path=None, target=None):
                if name != "mpt_a" or self.asking:
                    return None
                self.asking = True
                try:
                    return importlib.util.find_spec(name)
                finally:
                    self.asking = False

        other = Other()
        for before in (True, False):
            with self.subTest(before=before):
                sys.modules.pop("mpt_a", None)
                point, recorder = (None, None) if before else self.add("mpt_a.func")
                sys.meta_path.insert(0, other)
                try:
                    if before:
                        point, recorder = self.add("mpt_a.func")
                    module = importlib.import_module("mpt_a")
                    self.check_works(module, point, recorder)
                finally:
                    sys.meta_path.remove(other)
                    self.inject.discard(point)

    def test_another_version_of_this_file_in_the_process(self):
        self.write("mpt_a.py")
        point, recorder = self.add("mpt_a.func")
        other, second = load(), Recorder()
        other._HOME = "__mpt_other_version__"
        theirs = other.add("mpt_a.func", second.enter, second.exit)
        try:
            module = importlib.import_module("mpt_a")
            module.func()
            self.assertEqual((recorder.taken(), second.taken()), ("+1 -1", "+1 -1"))
        finally:
            other.discard(theirs)
        module.func()
        self.assertEqual((recorder.taken(), second.taken()), ("+2 -2", ""))

    def test_other_imports_cost_no_search(self):
        self.add("mpt_none.func")
        home = getattr(sys, self.inject._HOME)
        home._refresh = lambda *args: self.fail("looked again")
        importlib.util.find_spec("mpt_other")
        del home._refresh

    def test_a_finder_that_raises(self):
        class Broken:
            def find_spec(self, name, path=None, target=None):
                raise OSError("broken finder")

        self.add("mpt_a.func")
        broken = Broken()
        sys.meta_path.insert(0, broken)
        try:
            with self.assertRaisesRegex(OSError, "broken finder"):
                import mpt_a  # noqa: F401
        finally:
            sys.meta_path.remove(broken)

    def test_a_finder_that_comes_while_we_are_in_stays(self):
        class Late:
            def find_spec(self, name, path=None, target=None):
                return None

        point, _ = self.add("mpt_a.func")
        late = Late()
        sys.meta_path.append(late)
        self.inject.discard(point)
        try:
            self.assertIs(sys.meta_path[-1], late)
            self.assertEqual([f for f in sys.meta_path if "memprobe" in type(f).__module__], [])
        finally:
            sys.meta_path.remove(late)

    def test_a_loader_of_the_old_kind(self):
        class Old:
            def load_module(self, name):
                module = sys.modules.setdefault(name, types.ModuleType(name))
                module.__loader__ = self
                exec(FUNC, module.__dict__)
                return module

        class Finder:
            def find_spec(self, name, path=None, target=None):
                return importlib.machinery.ModuleSpec(name, Old()) if name == "mpt_o" else None

        finder = Finder()
        sys.meta_path.append(finder)
        self.addCleanup(lambda: finder in sys.meta_path and sys.meta_path.remove(finder))
        point, recorder = self.add("mpt_o.func")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                module = importlib.import_module("mpt_o")
            except (ImportError, AttributeError) as problem:
                self.skipTest("this Python has no load_module(): %s" % problem)
        self.check_works(module, point, recorder)
        self.assertIs(type(module.__loader__), Old)
        self.inject.discard(point)
        sys.meta_path.remove(finder)

    def test_an_extension_module(self):
        point, _ = self.add("_mpt_or_any_builtin.func")
        self.assertEqual(point.status, "waiting")
        name = next((name for name in ("xxlimited", "_xxtestfuzz", "audioop", "syslog", "_lsprof")
                     if name not in sys.modules and importlib.util.find_spec(name)), None)
        if name is None:
            self.skipTest("no extension module is left to load")
        point, _ = self.add(name + ".func")
        self.addCleanup(sys.modules.pop, name, None)
        module = importlib.import_module(name)
        self.assertEqual(point.status, "failed")
        self.assertNotIn("memprobe", type(module.__spec__.loader).__module__)


class Loading(ImportTest):
    SLOW = """
import sys
def func(): return 1
started, go_on = sys.mpt_events
started.set()
go_on.wait(10)
class Thing:
    def func(self): return 2
"""

    def setUp(self):
        super().setUp()
        sys.mpt_events = threading.Event(), threading.Event()
        self.addCleanup(delattr, sys, "mpt_events")

    def start_import(self, source):
        self.write("mpt_s.py", source)
        errors = []

        def work():
            try:
                importlib.import_module("mpt_s")
            except ValueError as error:
                errors.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        sys.mpt_events[0].wait(10)
        return thread, errors

    def finish(self, thread):
        sys.mpt_events[1].set()
        thread.join()

    def test_a_module_that_another_thread_is_importing(self):
        thread, _ = self.start_import(self.SLOW)
        module = sys.modules["mpt_s"]
        point, recorder = self.add("mpt_s.func")
        later, second = self.add("mpt_s.Thing.func")
        self.assertEqual((point.functions, later.status), (["mpt_s.func"], "waiting"))
        self.finish(thread)
        self.assertEqual(point.functions, ["mpt_s.func", "mpt_s.Thing.func"])
        module.Thing().func()
        self.assertEqual((recorder.taken(), second.taken()), ("+1 -1", "+1 -1"))
        self.assertIs(type(module.__spec__), importlib.machinery.ModuleSpec)
        self.assertNotIn("_memprobe_done", vars(module.__spec__))

    def test_taken_out_before_it_has_loaded(self):
        thread, _ = self.start_import(self.SLOW)
        module = sys.modules["mpt_s"]
        point, recorder = self.add("mpt_s.Thing.func")
        self.inject.discard(point)
        self.assertIs(type(module.__spec__), importlib.machinery.ModuleSpec)
        self.finish(thread)
        module.Thing().func()
        self.assertEqual(recorder.taken(), "")

    def test_when_that_import_fails(self):
        source = self.SLOW.replace("class Thing", "raise ValueError('late')\nclass Thing")
        thread, errors = self.start_import(source)
        point, _ = self.add("mpt_s.Thing.func")
        self.finish(thread)
        self.assertEqual(str(errors[0]), "late")
        self.assertEqual(point.status, "waiting")

    def test_threads_that_import_many_modules_while_points_come_and_go(self):
        for n in range(40):
            self.write("mpt_m%d.py" % n)
        errors = []

        def work(numbers):
            try:
                for n in numbers:
                    importlib.import_module("mpt_m%d" % n)
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(range(n, 40, 4),)) for n in range(4)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            point, _ = self.add("mpt_m%d.func" % (len(self.points) % 40))
            self.inject.discard(point)
        for thread in threads:
            thread.join()
        self.assertEqual(errors, [])

    def test_after_fork_with_the_lock_taken_the_child_goes_on(self):
        self.write("mpt_a.py")
        point, recorder = self.add("mpt_a.func")
        home = getattr(sys, self.inject._HOME)
        locked, go_on = threading.Event(), threading.Event()

        def hold():
            home._locked(lambda: (locked.set(), go_on.wait(20)))

        thread = threading.Thread(target=hold)
        thread.start()
        locked.wait(10)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of 3.12 on: that there are threads is the point
            pid = os.fork()
        if pid == 0:
            try:
                import mpt_a

                mpt_a.func()
                os._exit(0 if recorder.taken() == "+1 -1" else 1)
            finally:
                os._exit(2)
        _, status = os.waitpid(pid, 0)
        go_on.set()
        thread.join()
        self.assertEqual(status, 0)


if __name__ == "__main__":
    unittest.main()
