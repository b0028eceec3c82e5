# SPDX-License-Identifier: GPL-2.0-only
"""What a path leads to, and what is said when it leads nowhere."""

import sys
import types
import unittest

from inject_support import InjectTest

SOURCE = """
import functools, contextlib
def func(): return 'func'
class Outer:
    def method(self): return 'Outer.method'
    def func(self): return 'Outer.func'
    @classmethod
    def made(cls): return 'made'
    @staticmethod
    def static(): return 'static'
    @property
    def prop(self): return 'prop'
    class Inner:
        def func(self): return 'Inner.func'
class Derived(Outer):
    pass
def decorate(function):
    @functools.wraps(function)
    def decorated(*args): return function(*args)
    return decorated
@decorate
@decorate
def wrapped(): return 'wrapped'
@functools.lru_cache(None)
def cached(n): return n
@contextlib.contextmanager
def managed(): yield
partial = functools.partial(func)
instance = Outer()
number = 7
Alias = Outer
"""


class Paths(InjectTest):
    def setUp(self):
        super().setUp()
        self.mod = self.module("mpt_mod", SOURCE)

    def names(self, path):
        functions, reason = self.inject.resolve(path)
        self.assertEqual(reason, "")
        return [name for name, _ in functions]

    def functions(self, path):
        return [func for _, func in self.inject.resolve(path)[0]]

    def reason(self, path):
        functions, reason = self.inject.resolve(path)
        self.assertEqual(functions, [])
        return reason

    def test_without_a_class_every_class_of_the_module_counts(self):
        self.assertEqual(self.names("mpt_mod.func"),
                         ["mpt_mod.func", "mpt_mod.Outer.func", "mpt_mod.Outer.Inner.func"])
        self.assertEqual(self.names("mpt_mod.method"), ["mpt_mod.Outer.method"])

    def test_with_a_class_it_alone(self):
        self.assertEqual(self.names("mpt_mod.Outer.func"), ["mpt_mod.Outer.func"])
        self.assertEqual(self.functions("mpt_mod.Outer.Inner.func"),
                         [self.mod.Outer.Inner.__dict__["func"]])
        self.assertEqual(self.functions("mpt_mod.Alias.func"), [self.mod.Outer.__dict__["func"]])

    def test_class_and_static_methods(self):
        self.assertEqual(self.functions("mpt_mod.made"), [self.mod.Outer.made.__func__])
        self.assertEqual(self.functions("mpt_mod.static"), [self.mod.Outer.static])

    def test_a_class_of_another_module_is_not_looked_through(self):
        self.module("mpt_other", "from mpt_mod import Outer, func")
        self.assertEqual(self.names("mpt_other.func"), ["mpt_other.func"])
        self.assertIn("has no function method", self.reason("mpt_other.method"))

    def test_what_is_imported_from_elsewhere_is_the_function_there(self):
        self.module("mpt_other", "from mpt_mod import func")
        self.assertEqual(self.functions("mpt_other.func"), [self.mod.func])

    def test_decorated_the_function_as_written_counts(self):
        inner = self.mod.wrapped.__wrapped__.__wrapped__
        self.assertEqual(self.functions("mpt_mod.wrapped"), [inner])
        self.assertEqual(self.functions("mpt_mod.cached"), [self.mod.cached.__wrapped__])
        self.assertEqual(self.functions("mpt_mod.managed"), [self.mod.managed.__wrapped__])

    def test_a_wrapper_of_this_module_around_a_function_of_another(self):
        other = self.module("mpt_other", "import mpt_mod\nfunc = None\n"
                            "import functools\n@functools.wraps(mpt_mod.func)\n"
                            "def func(): return mpt_mod.func()")
        self.assertEqual(self.functions("mpt_other.func"), [other.func])

    def test_a_chain_that_bites_its_tail(self):
        self.mod.func.__wrapped__ = self.mod.func
        self.assertIn(self.mod.func, self.functions("mpt_mod.func"))

    def test_reasons(self):
        for path, reason in (
            ("mpt_mod.nope", "module mpt_mod has no function nope, nor has any of its classes"),
            ("mpt_mod.Outer.nope", "mpt_mod.Outer has no function nope"),
            ("mpt_mod.Nope.func", "mpt_mod has no Nope"),
            ("mpt_mod.func.func", "mpt_mod.func is no class"),
            ("mpt_mod.Derived.method", "mpt_mod.Derived.method is inherited: "
                                       "name mpt_mod.Outer.method"),
            ("mpt_mod.Outer", "mpt_mod.Outer is a class: name one of its methods"),
            ("mpt_mod.Outer.Inner", "mpt_mod.Outer.Inner is a class: name one of its methods"),
            ("mpt_mod.Outer.prop", "mpt_mod.Outer.prop is a property"),
            ("mpt_mod.partial", "mpt_mod.partial is no Python function, but a functools.partial"),
            ("mpt_mod.instance", "mpt_mod.instance is no Python function, but a mpt_mod.Outer"),
            ("mpt_mod.number", "mpt_mod.number is no Python function, but a builtins.int"),
            ("math.sin", "math.sin is built in: only a function that is written in Python can be "
                         "wrapped"),
        ):
            with self.subTest(path=path):
                import math  # noqa: F401: is to be loaded

                self.assertEqual(self.reason(path), reason)

    def test_what_is_not_loaded(self):
        for path in ("mpt_none.func", "mpt_none.Class.func", "mpt_none.a.b.c.func"):
            self.assertEqual(self.inject.resolve(path), ([], None))

    def test_a_module_of_a_package_that_is_not_loaded(self):
        self.module("mpt_pack", "def func(): pass", __path__=[])
        self.assertEqual(self.inject.resolve("mpt_pack.later.func"), ([], None))
        self.assertEqual(self.names("mpt_pack.func"), ["mpt_pack.func"])
        self.assertIn("has no function nope", self.reason("mpt_pack.nope"))

    def test_the_longest_module_name_wins(self):
        self.module("mpt_pack", "class sub:\n def func(self): pass", __path__=[])
        self.assertEqual(self.names("mpt_pack.sub.func"), ["mpt_pack.sub.func"])
        sub = self.module("mpt_pack.sub", "def func(): pass")
        self.addCleanup(sys.modules.pop, "mpt_pack.sub")
        self.assertEqual(self.functions("mpt_pack.sub.func"), [sub.func])

    def test_the_script_by_the_name_that_it_would_have_as_a_module(self):
        main, script = sys.modules["__main__"], types.ModuleType("__main__")
        script.__file__ = "/srv/app/src/core/app.py"
        exec("def func(): pass\nclass Thing:\n def func(self): pass", script.__dict__)
        sys.modules["__main__"] = script
        try:
            names = ["__main__.func", "__main__.Thing.func"]
            for path in ("app.func", "core.app.func", "src.core.app.func", "__main__.func"):
                self.assertEqual(self.names(path), names)
            self.assertEqual(self.names("app.Thing.func"), names[1:])
            self.assertEqual(self.inject.resolve("pp.func"), ([], None))
            self.assertEqual(self.inject.resolve("other.app.func"), ([], None))
        finally:
            sys.modules["__main__"] = main

    def test_nothing_foreign_is_run_to_look(self):
        class Meta(type):
            def __getattribute__(cls, name):
                raise AssertionError("asked for %s" % name)

            def __eq__(cls, other):
                raise AssertionError("compared")

            __hash__ = type.__hash__

        class Proxy:
            def __getattribute__(self, name):
                raise AssertionError("asked for %s" % name)

            def __eq__(self, other):
                raise AssertionError("compared")

        class Lazy(types.ModuleType):
            def __getattribute__(self, name):
                raise AssertionError("asked for %s" % name)

        def made(name):
            return Meta(name, (), {"__module__": "mpt_lazy", "func": lambda self: 1})

        lazy = Lazy("mpt_lazy")
        object.__getattribute__(lazy, "__dict__").update(
            Thing=made("Thing"), Other=made("Other"), proxy=Proxy(), first=self.mod.func)
        self.mod.func.__wrapped__ = Proxy()
        sys.modules["mpt_lazy"] = lazy
        self.assertEqual(self.names("mpt_lazy.func"),
                         ["mpt_lazy.Thing.func", "mpt_lazy.Other.func"])
        self.assertEqual(self.functions("mpt_lazy.first"), [self.mod.func])
        self.assertIn("no Python function", self.reason("mpt_lazy.proxy"))
        self.assertIn("has no function absent", self.reason("mpt_lazy.absent"))

    def test_paths_that_are_none(self):
        for path in ("", ".", "func", "mpt_mod.", ".func", "a..b", "a b.c", "a.b-c", 7, None,
                     "mpt_mod.func\n", "mpt_mod.func()"):
            with self.subTest(path=path):
                point, _ = self.add(path)
                self.assertEqual(point.status, "failed")
                self.assertTrue(point.reason)

    def test_one_function_by_two_names_is_wrapped_once(self):
        self.mod.again = self.mod.func
        first, recorder = self.add("mpt_mod.func")
        self.points.append(self.inject.add("mpt_mod.again", recorder.enter, recorder.exit))
        self.mod.func()
        self.assertEqual(recorder.taken(), "+1 +2 -2 -1", "two points, each once")
        self.assertEqual(len(first.functions), 3)

    def test_an_alias_in_another_module_is_covered(self):
        other = self.module("mpt_other", "from mpt_mod import func as held")
        _, recorder = self.add("mpt_mod.func")
        self.assertEqual(other.held(), "func")
        self.assertEqual(recorder.taken(), "+1 -1")


if __name__ == "__main__":
    unittest.main()
