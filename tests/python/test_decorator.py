# SPDX-License-Identifier: GPL-2.0-only
"""probe_memory() and mem_probe: what they wrap, what a call then does, and what stays as it was."""

import asyncio
import functools
import inspect
import logging
import multiprocessing
import pickle
import subprocess
import sys
import threading
import traceback
import types
import unittest

import memprobe
from memprobe import MemoryOverflowError, mem_probe, probe_memory
from memprobe._decorate import name_of
from support import PACKAGE, clock, fake_memory, python


@probe_memory(level="low")
def square(number):
    """The square of a number."""
    return number * number


@probe_memory(level="medium")
def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


@probe_memory
def bare_decorator():
    return "bare"


class Base:
    kind = "base"

    @probe_memory(level="high")
    def method(self, a, *, b=2):
        return self.kind, a, b

    @staticmethod
    @probe_memory(level="high")
    def static_above(a):
        return a

    @probe_memory(level="high")
    @staticmethod
    def static_below(a):
        return a

    @classmethod
    @probe_memory(level="high")
    def class_above(cls, a):
        return cls.kind, a

    @probe_memory(level="high")
    @classmethod
    def class_below(cls, a):
        return cls.kind, a

    @property
    @probe_memory(level="high")
    def value(self):
        return self.kind

    @probe_memory(level="low")
    def __mangled(self, __a):
        return __a

    def call_mangled(self, a):
        return self.__mangled(a)


class Derived(Base):
    kind = "derived"

    @probe_memory(level="critical")
    def method(self, a, *, b=3):
        return ("derived", *super().method(a, b=b))


class Quiet(unittest.TestCase):
    def setUp(self):
        logging.getLogger("memprobe").setLevel(logging.CRITICAL)
        self.addCleanup(logging.getLogger("memprobe").setLevel, logging.NOTSET)


class Calls(Quiet):
    def test_functions_and_methods(self):
        base, derived = Base(), Derived()
        self.assertEqual(square(7), 49)
        self.assertEqual(fibonacci(15), 610)
        self.assertEqual(bare_decorator(), "bare")
        self.assertEqual(base.method(1), ("base", 1, 2))
        self.assertEqual(derived.method(1, b=5), ("derived", "derived", 1, 5))
        self.assertEqual((base.static_above(3), Base.static_below(4)), (3, 4))
        self.assertEqual((derived.class_above(5), Derived.class_below(6)),
                         (("derived", 5), ("derived", 6)))
        self.assertEqual(derived.value, "derived")
        self.assertEqual(base.call_mangled(8), 8)

    def test_every_kind_of_parameter_is_passed_on(self):
        def all_kinds(a, b=2, /, c=3, *rest, d, e=5, **more):
            return a, b, c, rest, d, e, more

        wrapped = probe_memory(level="low")(all_kinds)
        for args, kwargs in (((1,), {"d": 4}), ((1, 2, 3, 4, 5), {"d": 4, "e": 6, "f": 7}),
                             ((1,), {"c": 9, "d": 4, "a": 1, "b": 2})):
            with self.subTest((args, kwargs)):
                self.assertEqual(wrapped(*args, **kwargs), all_kinds(*args, **kwargs))
        for args, kwargs in (((), {}), ((1,), {}), ((1,), {"b": 2})):
            with self.subTest((args, kwargs)), self.assertRaises(TypeError) as wrong:
                wrapped(*args, **kwargs)
            with self.assertRaises(TypeError) as right:
                all_kinds(*args, **kwargs)
            self.assertEqual(str(wrong.exception).split("() ")[1],
                             str(right.exception).split("() ")[1])

    def test_other_callables(self):
        partial = probe_memory(level="low")(functools.partial(max, 3))
        self.assertEqual(partial(2, 5), 5)
        cached = probe_memory(level="low")(functools.lru_cache()(lambda n: n + 1))
        self.assertEqual((cached(1), cached(1)), (2, 2))
        bound = probe_memory(level="low")(Base().method)
        self.assertEqual(bound(1), ("base", 1, 2))

    def test_exceptions_pass_and_the_traceback_shows_the_function(self):
        @probe_memory(level="high")
        def fails():
            raise KeyError("what")

        try:
            fails()
        except KeyError as error:
            frames = traceback.extract_tb(error.__traceback__)
            self.assertEqual((error.args, error.__context__), (("what",), None))
        self.assertEqual([frame.name for frame in frames[1:]], ["fails", "fails"])

    def test_recursion_is_limited_as_ever(self):
        @probe_memory(level="low")
        def endless():
            return endless()

        with self.assertRaises(RecursionError):
            endless()

    def test_threads(self):
        results = []
        threads = [threading.Thread(target=lambda n=n: results.append(fibonacci(n)))
                   for n in range(8, 16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(results), [21, 34, 55, 89, 144, 233, 377, 610])

    def test_processes(self):
        for method in ("fork", "spawn"):
            with self.subTest(method), multiprocessing.get_context(method).Pool(2) as pool:
                self.assertEqual(pool.map(square, range(7)), [0, 1, 4, 9, 16, 25, 36])


class Looks(Quiet):
    """What a function is, to those who look at it."""

    def test_names_signature_and_wrapped(self):
        def plain(a: int, b: str = "x", *, c: float = 1.5) -> bytes:
            """What it is."""

        wrapped = probe_memory(level="low")(plain)
        self.assertIs(wrapped.__wrapped__, plain)
        self.assertEqual(inspect.signature(wrapped), inspect.signature(plain))
        self.assertEqual(inspect.signature(wrapped, follow_wrapped=False).parameters.keys(),
                         inspect.signature(plain).parameters.keys())
        for name in ("__name__", "__qualname__", "__doc__", "__module__", "__annotations__",
                     "__defaults__", "__kwdefaults__"):
            with self.subTest(name):
                self.assertEqual(getattr(wrapped, name), getattr(plain, name))
        self.assertIsInstance(wrapped, types.FunctionType)
        self.assertEqual(wrapped.__code__.co_name, "plain")

    def test_pickled_by_name(self):
        for function in (square, Base.method, Base.static_below, Derived.method):
            with self.subTest(function):
                self.assertIs(pickle.loads(pickle.dumps(function)), function)
        self.assertEqual(pickle.loads(pickle.dumps(Derived().method))(1),
                         ("derived", "derived", 1, 3))

    def test_name_of_the_point(self):
        self.assertEqual(name_of(Derived.method), f"{__name__}.Derived.method")
        self.assertEqual(name_of(functools.partial(max)), "functools.partial")

        def long():
            pass

        long.__qualname__ = "x" * 200 + ".end"
        self.assertEqual(len(name_of(long)), 127)
        self.assertTrue(name_of(long).endswith("x.end"))

    def test_kinds(self):
        async def coroutine():
            pass

        def generator():
            yield

        async def async_generator():
            yield

        for function, test in ((coroutine, inspect.iscoroutinefunction),
                               (generator, inspect.isgeneratorfunction),
                               (async_generator, inspect.isasyncgenfunction)):
            with self.subTest(test.__name__):
                self.assertTrue(test(probe_memory(level="low")(function)))


class Refusals(Quiet):
    def test_what_cannot_be_wrapped_says_what_to_do(self):
        for thing, what in ((len, "Python function that calls it"), ([].append, "builtin"),
                            (str.join, "builtin"), (object.__init__, "builtin"),
                            (dict.fromkeys, "builtin"), (int, "decorate its __init__"),
                            (Base, "the class Base"), (property(len), "below @property"),
                            (7, "not int"), (None, "not NoneType")):
            with self.subTest(thing), self.assertRaisesRegex(TypeError, what):
                probe_memory(level="low")(thing)
        for thing in (len, int):
            with self.subTest(thing), self.assertRaises(TypeError):
                probe_memory(thing)
            with self.subTest(thing), self.assertRaises(TypeError):
                mem_probe(thing)
        with self.assertRaisesRegex(TypeError, "builtin"):
            probe_memory(level="low")(staticmethod(len))

    def test_unknown_level_at_once(self):
        for level in ("huge", None, 3):
            with self.subTest(level), self.assertRaisesRegex(ValueError, "low, medium, high, crit"):
                probe_memory(level=level)


class Intervals(Quiet):
    def test_one_look_in_each_interval(self):
        for level, interval in (("low", 1), ("medium", 0.5), ("high", 0.25), ("critical", 0.125)):
            with self.subTest(level), fake_memory() as backend, clock() as now:
                wrapped = probe_memory(level=level)(lambda: None)
                for _ in range(20):
                    wrapped()
                self.assertEqual(backend.looks, 1)
                now[0] += interval * 0.99
                wrapped()
                self.assertEqual(backend.looks, 1)
                now[0] += interval * 0.02
                wrapped()
                wrapped()
                self.assertEqual(backend.looks, 2)

    def test_a_look_after_a_long_call(self):
        with fake_memory() as backend, clock() as now:
            @probe_memory(level="high")
            def long(seconds):
                now[0] += seconds

            long(0.2)
            self.assertEqual(backend.looks, 1)
            now[0] += 1
            long(0.3)
            self.assertEqual(backend.looks, 3)

    def test_every_call_while_it_is_critical(self):
        with fake_memory(0.95) as backend:
            wrapped = probe_memory(level="low")(lambda: None)
            for _ in range(5):
                wrapped()
            self.assertGreaterEqual(backend.looks, 5)
            backend.ratio = 0.1
            wrapped()
            looks = backend.looks
            wrapped()
            self.assertEqual(backend.looks, looks)


class Overflow(Quiet):
    def test_critical_points_are_refused_from_90_percent_on(self):
        called = []
        for level in ("low", "medium", "high", "critical"):
            for ratio in (0.89, 0.9, 0.97):
                with self.subTest((level, ratio)), fake_memory(ratio):
                    called.clear()
                    wrapped = probe_memory(level=level, name="point")(
                        lambda n: called.append(n))
                    if level == "critical" and ratio >= 0.9:
                        with self.assertRaisesRegex(MemoryOverflowError, "point was not called"):
                            wrapped(1)
                        self.assertEqual(called, [])
                    else:
                        wrapped(1)
                        self.assertEqual(called, [1])

    def setUp(self):
        super().setUp()
        self.calls = 0

        @probe_memory(level="critical", name="overflow.point")
        def wrapped():
            self.calls += 1

        self.make = lambda: probe_memory(level="critical", name="overflow.point")(
            wrapped.__wrapped__)

    def test_is_a_memory_error_with_figures(self):
        with fake_memory(0.93), self.assertRaises(MemoryError) as caught:
            self.make()()
        error = caught.exception
        self.assertIn("overflow.point was not called: 93.0 % of 1000 MB", str(error))
        self.assertEqual((error.info["memory_usage"], error.info["severity"],
                          error.info["level"]), (0.93, "critical", "critical"))
        again = pickle.loads(pickle.dumps(error))
        self.assertEqual((str(again), again.info), (str(error), error.info))
        self.assertEqual(self.calls, 0)

    def test_not_when_garbage_was_all_there_was(self):
        import gc
        with fake_memory(0.93) as backend:
            def release(_, info):
                backend.ratio = 0.5
            gc.callbacks.append(release)
            self.addCleanup(gc.callbacks.remove, release)
            self.make()()
        self.assertEqual(self.calls, 1)

    def test_can_be_turned_off(self):
        memprobe.configure(raise_on_critical=False)
        self.addCleanup(memprobe.configure, raise_on_critical=True)
        with fake_memory(0.99):
            self.make()()
        self.assertEqual(self.calls, 1)

    def test_again_as_soon_as_there_is_room(self):
        with fake_memory(0.99) as backend:
            wrapped = self.make()
            for _ in range(3):
                with self.assertRaises(MemoryOverflowError):
                    wrapped()
            backend.ratio = 0.5
            wrapped()
        self.assertEqual(self.calls, 1)

    def test_before_any_of_a_generator_or_coroutine_runs(self):
        ran = []

        def generator():
            ran.append(1)
            yield

        async def coroutine():
            ran.append(2)

        async def async_generator():
            ran.append(3)
            yield

        async def first(agen):
            await agen.__anext__()

        with fake_memory(0.95):
            critical = probe_memory(level="critical")
            with self.assertRaises(MemoryOverflowError):
                next(critical(generator)())
            with self.assertRaises(MemoryOverflowError):
                asyncio.run(critical(coroutine)())
            with self.assertRaises(MemoryOverflowError):
                asyncio.run(first(critical(async_generator)()))
        self.assertEqual(ran, [])


class Markers(Quiet):
    """Each call is told while a monitor has probes on the markers, and not else."""

    def test_entry_and_exit_of_each_call(self):
        with fake_memory() as backend:
            @probe_memory(level="low", name="p")
            def called(n):
                if n == 3:
                    raise ValueError
                return n

            called(1)
            self.assertEqual(backend.calls, [])
            backend.watched[0] = 1
            called(2)
            with self.assertRaises(ValueError):
                called(3)
            self.assertEqual(backend.calls, [("enter", "p", 1), ("leave", "p", 1),
                                             ("enter", "p", 3), ("leave", "p", 3)])
            backend.watched[0] = 0
            called(4)
            self.assertEqual(len(backend.calls), 4)

    def test_a_refused_call_ends_too(self):
        with fake_memory(0.95) as backend:
            backend.watched[0] = 1
            wrapped = probe_memory(level="critical", name="p")(lambda: None)
            with self.assertRaises(MemoryOverflowError):
                wrapped()
        self.assertEqual(backend.calls, [("enter", "p", 1), ("leave", "p", 1)])

    def test_interleaved_generators_leave_their_own_call(self):
        with fake_memory() as backend:
            backend.watched[0] = 1

            @probe_memory(level="low", name="p")
            def generator():
                yield

            one, other = generator(), generator()
            next(one)
            next(other)
            one.close()
            other.close()
        self.assertEqual(backend.calls, [("enter", "p", 1), ("enter", "p", 2),
                                         ("leave", "p", 1), ("leave", "p", 2)])


class Generators(Quiet):
    def test_send_throw_close_and_the_result(self):
        log = []

        @probe_memory(level="high")
        def echo(first):
            try:
                got = yield first
                while got != "stop":
                    try:
                        got = yield got
                    except KeyError as error:
                        got = yield ("caught", error.args)
                return "result"
            finally:
                log.append("closed")

        gen = echo("a")
        self.assertEqual(next(gen), "a")
        self.assertEqual(gen.send("b"), "b")
        self.assertEqual(gen.throw(KeyError("k")), ("caught", ("k",)))
        with self.assertRaises(StopIteration) as end:
            gen.send("stop")
        self.assertEqual(end.exception.value, "result")
        other = echo(1)
        next(other)
        other.close()
        self.assertEqual(log, ["closed", "closed"])
        with self.assertRaises(ZeroDivisionError):
            third = echo(1)
            next(third)
            third.throw(ZeroDivisionError)

    def test_nothing_before_the_first_next(self):
        with fake_memory() as backend:
            @probe_memory(level="high")
            def generator():
                yield 1

            gen = generator()
            self.assertEqual(backend.looks, 0)
            self.assertEqual(list(gen), [1])
            self.assertEqual(backend.looks, 1)

    def test_old_coroutines(self):
        @probe_memory(level="low")
        @types.coroutine
        def old():
            yield
            return 7

        async def use():
            return await old()

        coroutine = use()
        coroutine.send(None)
        with self.assertRaises(StopIteration) as end:
            coroutine.send(None)
        self.assertEqual(end.exception.value, 7)


class Asyncio(Quiet):
    def test_coroutines_side_by_side_and_cancelled(self):
        ended = []

        @probe_memory(level="medium")
        async def work(n):
            try:
                await asyncio.sleep(0.001 if n < 5 else 60)
                return n * n
            finally:
                ended.append(n)

        async def main():
            last = asyncio.ensure_future(work(9))
            results = await asyncio.gather(*(work(n) for n in range(5)))
            last.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await last
            return results

        self.assertEqual(asyncio.run(main()), [0, 1, 4, 9, 16])
        self.assertEqual(sorted(ended), [0, 1, 2, 3, 4, 9])

    async def use(self, echo, log):
        gen = echo(1)
        self.assertEqual(await gen.__anext__(), 1)
        self.assertEqual(await gen.asend(2), ("got", 2))
        self.assertEqual(await gen.athrow(KeyError()), "caught")
        with self.assertRaises(StopAsyncIteration):
            await gen.asend("stop")
        other = echo(1)
        await other.__anext__()
        await other.aclose()
        third = echo(1)
        await third.__anext__()
        with self.assertRaises(ZeroDivisionError):
            await third.athrow(ZeroDivisionError())
        async for _ in echo(1):
            break
        while len(log) < 4:  # the event loop closes the one that was left
            await asyncio.sleep(0)

    def test_asynchronous_generators(self):
        log = []

        @probe_memory(level="medium")
        async def echo(first):
            try:
                got = yield first
                while True:
                    await asyncio.sleep(0)
                    try:
                        got = yield ("got", got)
                    except KeyError:
                        got = yield "caught"
                        if got == "stop":
                            return
            finally:
                await asyncio.sleep(0)
                log.append("closed")

        for function in (echo.__wrapped__, echo):
            log.clear()
            asyncio.run(asyncio.wait_for(self.use(function, log), 20))
            self.assertEqual(log, ["closed"] * 4)

    def test_asynchronous_iteration(self):
        @probe_memory(level="medium")
        async def numbers():
            for n in range(3):
                yield n

        async def main():
            return [n async for n in numbers()]

        self.assertEqual(asyncio.run(main()), [0, 1, 2])


class MemProbe(Quiet):
    def test_as_a_check(self):
        info = mem_probe("mem.check", level="high")
        self.assertEqual((info["probe_name"], info["level"]), ("mem.check", "high"))
        self.assertIsInstance(info, dict)
        self.assertEqual(mem_probe()["probe_name"], f"{__name__}.test_as_a_check")
        with self.assertRaisesRegex(ValueError, "low, medium"):
            mem_probe("a", level="none")

    def test_as_a_context_manager(self):
        with fake_memory() as backend:
            backend.watched[0] = 1
            with mem_probe("mem.with", level="high") as outer:
                self.assertEqual(outer["memory_usage"], 0.5)
                with mem_probe("mem.with", level="high"):
                    pass
        self.assertEqual([(what, call) for what, _, call in backend.calls],
                         [("enter", 1), ("enter", 2), ("leave", 2), ("leave", 1)])

    def test_the_block_of_a_critical_one_is_not_entered(self):
        entered = []
        with fake_memory(0.95), self.assertRaises(MemoryOverflowError):
            with mem_probe("mem.critical", level="critical"):
                entered.append(1)
        self.assertEqual(entered, [])

    def test_as_a_decorator(self):
        @mem_probe("mem.named", level="low")
        def named(a):
            return a

        @mem_probe
        def plain(a):
            return a

        @mem_probe(level="low")
        def unnamed(a):
            return a

        for function in (named, plain, unnamed):
            self.assertEqual(function(3), 3)
            self.assertEqual(function.__wrapped__(4), 4)


class Cost(Quiet):
    def test_parameters_without_surprises_cost_no_packing(self):
        with fake_memory():
            wrapped = probe_memory(level="low")(lambda a, b=1, *, c=2: None)
        self.assertEqual(wrapped.__code__.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS), 0)


class Typing(unittest.TestCase):
    SOURCE = '''
from memprobe import check_memory, mem_probe, probe_memory

@probe_memory(level="high")
def half(number: int) -> float:
    return number / 2

@probe_memory
def name() -> str:
    return "x"

reveal_type(half)
reveal_type(name())
reveal_type(check_memory("a")["level"])
half("x")
'''

    def test_decorated_functions_keep_their_types(self):
        mypy = subprocess.run([sys.executable, "-m", "mypy", "--version"], capture_output=True,
                              check=False)
        python3 = sys.executable
        if mypy.returncode:
            python3 = "/usr/bin/python3"
            if subprocess.run([python3, "-m", "mypy", "--version"], capture_output=True,
                              check=False).returncode:
                self.skipTest("no mypy here")
        done = subprocess.run([python3, "-m", "mypy", "--strict", "--cache-dir=/dev/null", "-c",
                               self.SOURCE], env={"MYPYPATH": str(PACKAGE), "PATH": "/usr/bin:/bin"},
                              capture_output=True, text=True, check=False)
        self.assertIn('"def (number: builtins.int) -> builtins.float"', done.stdout)
        self.assertIn('"builtins.str"', done.stdout)
        self.assertIn('has incompatible type "str"; expected "int"', done.stdout)
        self.assertIn("Found 1 error", done.stdout)


class Import(unittest.TestCase):
    def test_is_quick_and_starts_nothing(self):
        out = python("import sys, threading, memprobe\n"
                     "print(threading.active_count(), 'asyncio' in sys.modules)")
        self.assertEqual(out.split(), ["1", "False"])


