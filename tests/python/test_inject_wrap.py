# SPDX-License-Identifier: GPL-2.0-only
"""What wrapping does to a function: nothing that its callers or itself can see, as far as it goes."""

import asyncio
import copy
import functools
import gc
import inspect
import io
import itertools
import pickle
import sys
import threading
import traceback
import types
import unittest
import warnings
import weakref

from inject_support import Gate, InjectTest, Recorder


def plain(a, b=2, *rest, c, d=4, **more):
    "What it says."
    return a, b, rest, c, d, more


def signatures():
    """Functions of every combination of kinds of parameters, each returning all it was given."""
    kinds = ["p, q=11, /", "a, b=12", "*rest", "c, d=13", "**more"]
    for chosen in itertools.product([False, True], repeat=5):
        parts = [kind for kind, is_in in zip(kinds, chosen) if is_in]
        if chosen[3] and not chosen[2]:
            parts.insert(parts.index(kinds[3]), "*")
        if chosen[0] and chosen[1]:
            parts[1] = "a=10, b=12"
        namespace = {}
        exec("def f(%s): return locals()" % ", ".join(parts), namespace)
        yield chosen, namespace["f"]


class Signatures(InjectTest):
    def test_every_combination_of_parameters_is_passed_on(self):
        for chosen, func in signatures():
            args = (1, 2) * chosen[0] + (3, 4) * chosen[1] + (5, 6) * (chosen[2] and chosen[1])
            kwargs = dict(c=7, **({"z": 8} if chosen[4] else {})) if chosen[3] else {}
            before = inspect.signature(func), func(*args, **kwargs)
            recorder = self.wrap(func)
            with self.subTest(signature=str(before[0])):
                self.assertEqual((inspect.signature(func), func(*args, **kwargs)), before)
                self.assertEqual(recorder.taken(), "+1 -1")

    def test_defaults_are_those_of_the_function_even_if_changed_later(self):
        def func(a=1, *, b=2):
            return a, b

        self.wrap(func)
        self.assertEqual(func(), (1, 2))
        func.__defaults__, func.__kwdefaults__ = (3,), {"b": 4}
        self.assertEqual(func(), (3, 4))

    def test_a_wrong_call_fails_as_it_did_and_is_no_call(self):
        def func(a, *, b):
            return a, b

        def message(*args, **kwargs):
            with self.assertRaises(TypeError) as caught:
                func(*args, **kwargs)
            return str(caught.exception)

        calls = [((), {}), ((1, 2), {"b": 1}), ((1,), {"b": 1, "c": 2}), ((1,), {})]
        before = [message(*args, **kwargs) for args, kwargs in calls]
        recorder = self.wrap(func)
        self.assertEqual([message(*args, **kwargs) for args, kwargs in calls], before)
        self.assertEqual(recorder.taken(), "")

    def test_names_that_the_wrapper_uses_itself_may_be_parameters(self):
        def func(call, hooks, *, agen, step, item, sent):
            return call, hooks, agen, step, item, sent

        async def generator(call, call_, agen, step, item, sent):
            yield call, call_, agen, step, item, sent

        async def collect():
            return [item async for item in generator(1, 2, 3, 4, 5, 6)]

        self.wrap(func)
        self.wrap(generator)
        self.assertEqual(func(1, 2, agen=3, step=4, item=5, sent=6), (1, 2, 3, 4, 5, 6))
        self.assertEqual(asyncio.run(collect()), [(1, 2, 3, 4, 5, 6)])

    def test_a_private_parameter_of_a_method(self):
        class Thing:
            def method(self, __secret, *, __other=2):
                return __secret, __other

        self.wrap(Thing.method)
        self.assertEqual(Thing().method(1), (1, 2))

    def test_identity_and_all_that_describes_it_stay(self):
        keys = ("co_name", "co_filename", "co_firstlineno", "co_argcount", "co_posonlyargcount",
                "co_kwonlyargcount", "co_freevars") + (("co_qualname",) * hasattr(
                    plain.__code__, "co_qualname"))

        def describe():
            code = plain.__code__
            flags = code.co_flags & ~0x40
            return ([getattr(code, key) for key in keys], flags, plain.__doc__, plain.__name__,
                    plain.__qualname__, plain.__module__, plain.__dict__, plain.__defaults__,
                    plain.__kwdefaults__, plain.__annotations__, inspect.getsource(plain),
                    types.FunctionType(code, {}).__doc__)

        held, before = plain, describe()
        recorder = self.wrap(plain)
        self.assertEqual(describe(), before)
        self.assertEqual(held(1, c=3), (1, 2, (), 3, 4, {}))
        self.assertEqual(recorder.taken(), "+1 -1")

    def test_taken_out_the_very_code_object_is_back(self):
        code = plain.__code__
        self.wrap(plain)
        self.assertIsNot(plain.__code__, code)
        self.inject.discard(self.points.pop())
        self.assertIs(plain.__code__, code)

    def test_no_warning_and_no_output_at_any_time(self):
        async def generator():
            yield 1

        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            for func in (plain, generator):
                self.wrap(func)
        self.assertEqual(seen, [])

    def test_a_parameter_that_is_no_name_is_refused(self):
        def func(a):
            return a

        names = ("not a name",) + func.__code__.co_varnames[1:]
        func.__code__ = func.__code__.replace(co_varnames=names)
        code = func.__code__
        with self.assertRaisesRegex(self.inject.Unsupported, "no name"):
            self.wrap(func)
        self.assertIs(func.__code__, code)


class Bodies(InjectTest):
    def test_free_variables_are_shared_with_who_else_has_them(self):
        count = 0

        def bump(by):
            nonlocal count
            count += by
            return count

        cells = bump.__closure__
        self.wrap(bump)
        self.assertEqual((bump(2), count), (2, 2))
        count = 40
        self.assertEqual(bump(2), 42)
        self.assertIs(bump.__closure__, cells)

    def test_free_variables_stay_in_order(self):
        zebra, ape, mole = 1, 2, 3

        def func():
            return mole, zebra, ape

        before = inspect.getclosurevars(func).nonlocals
        self.wrap(func)
        self.assertEqual(inspect.getclosurevars(func).nonlocals, before)
        self.assertEqual(func(), (3, 1, 2))

    def test_a_variable_that_is_not_set_yet(self):
        def func():
            return later

        self.wrap(func)
        with self.assertRaises(NameError):
            func()
        later = 5
        self.assertEqual(func(), 5)

    def test_super_and_class_without_arguments(self):
        class Base:
            def name(self):
                return "base"

            @classmethod
            def make(cls):
                return cls.__name__

        class Derived(Base):
            def name(self):
                return super().name() + __class__.__name__

            @classmethod
            def make(cls):
                return super().make() + "!"

        self.wrap(Derived.__dict__["name"])
        self.wrap(Derived.__dict__["make"].__func__)
        self.assertEqual((Derived().name(), Derived.make()), ("baseDerived", "Derived!"))

    def test_locals_and_own_frame(self):
        def func(a):
            b = a + 1
            frame = sys._getframe()
            return sorted(locals()), frame.f_code.co_name, frame.f_lineno - frame.f_code.co_firstlineno

        before = func(1)
        self.wrap(func)
        self.assertEqual(func(1), before)

    def test_the_caller_that_it_sees_is_itself_and_then_the_caller(self):
        def func():
            frame = sys._getframe(1)
            return frame.f_code.co_name, frame.f_back.f_code.co_name

        self.wrap(func)
        self.assertEqual(func(), ("func", sys._getframe().f_code.co_name))

    def test_recursion_of_its_own_and_of_others(self):
        def factorial(n):
            return n * factorial(n - 1) if n else 1

        recorder = self.wrap(factorial)
        self.assertEqual(factorial(3), 6)
        self.assertEqual(recorder.taken(), "+1 +2 +3 +4 -4 -3 -2 -1")

    def test_too_deep_recursion_is_an_exception_and_every_call_ends(self):
        def endless(n):
            return endless(n + 1)

        recorder = self.wrap(endless)
        for _ in range(2):
            with self.assertRaises(RecursionError):
                endless(0)
        log = recorder.taken().split()
        self.assertEqual(sum(entry[0] == "+" for entry in log),
                         sum(entry[0] == "-" for entry in log))

    def test_half_of_the_depth_is_still_there(self):
        def down(n):
            return down(n - 1) if n else 0

        self.wrap(down)
        old = sys.getrecursionlimit()
        depth = len(inspect.stack(0))
        sys.setrecursionlimit(depth + 1000)
        try:
            self.assertEqual(down(400), 0)
        finally:
            sys.setrecursionlimit(old)

    def test_an_exception_passes_as_it_is_and_the_call_ends(self):
        error = ValueError("as it is")

        def func():
            raise error

        recorder = self.wrap(func)
        with self.assertRaises(ValueError) as caught:
            func()
        self.assertIs(caught.exception, error)
        self.assertIsNone(error.__context__)
        self.assertEqual(recorder.taken(), "+1 -1")

    def test_what_ends_the_process_passes_too(self):
        for kind in (KeyboardInterrupt, SystemExit, GeneratorExit):
            def func():
                raise kind

            recorder = self.wrap(func)
            with self.assertRaises(kind):
                func()
            self.assertEqual(recorder.taken(), "+1 -1")

    def test_a_traceback_shows_the_function_at_its_own_lines(self):
        def func(argument):
            return 1 // argument

        self.wrap(func)
        try:
            func(0)
        except ZeroDivisionError as error:
            entries = traceback.extract_tb(error.__traceback__)[1:]
        first = func.__code__.co_firstlineno
        self.assertEqual([(entry.name, entry.lineno - first, entry.line) for entry in entries],
                         [("func", 0, "def func(argument):"), ("func", 1, "return 1 // argument")])
        self.assertEqual({entry.filename for entry in entries}, {plain.__code__.co_filename})

    def test_an_argument_that_it_drops_is_freed_as_before(self):
        class Big:
            pass

        def func(a, b, *, c):
            refs = [weakref.ref(a), weakref.ref(b), weakref.ref(c)]
            del a, b, c
            return [ref() is None for ref in refs]

        def rest(*args, **kwargs):
            refs = [weakref.ref(thing) for thing in (*args, *kwargs.values())]
            del args, kwargs
            return [ref() is None for ref in refs]

        def assigned(a, b):
            refs = [weakref.ref(a), weakref.ref(b)]
            a = b = None
            return [ref() is None for ref in refs] + [a, b]

        def captured(a):
            ref = weakref.ref(a)
            a = None
            return ref() is None, lambda: a

        def calls():
            return (func(Big(), Big(), c=Big()), rest(Big(), x=Big()), assigned(Big(), Big()),
                    captured(Big())[0])

        before = calls()
        for one in (func, rest, assigned, captured):
            self.wrap(one)
        self.assertEqual(calls()[0], before[0])
        self.assertEqual(calls()[2:], before[2:])
        if sys.version_info >= (3, 12):
            self.assertEqual(calls()[1], before[1])
        if sys.version_info >= (3, 11):
            self.assertEqual(before[0], [True, True, True])

    def test_an_exception_of_enter_is_the_callers(self):
        def enter():
            raise MemoryError("no room")

        def func():
            ran.append(1)

        ran, ended = [], []
        point = self.inject.wrap(func, enter, ended.append)
        self.points.append(point)
        with self.assertRaisesRegex(MemoryError, "no room"):
            func()
        self.assertEqual((ran, ended), ([], []))


class Gates(InjectTest):
    def test_with_the_gate_at_0_nothing_is_run(self):
        recorder = self.wrap(plain, Recorder(Gate(0)))
        self.assertEqual(plain(1, c=2)[0], 1)
        self.assertEqual(recorder.taken(), "")
        recorder.gate.value = 2
        plain(1, c=2)
        self.assertEqual(recorder.taken(), "+1 -1")

    def test_a_call_that_began_ends_though_the_gate_has_closed(self):
        recorder = Recorder(Gate(1))

        def func():
            recorder.gate.value = 0

        self.wrap(func, recorder)
        func()
        self.assertEqual(recorder.taken(), "+1 -1")

    def test_several_hooks_on_one_function(self):
        first, second, third = Recorder(), Recorder(Gate(0)), Recorder(Gate(1))
        order = []
        first.exit = lambda call: order.append("first")
        third.exit = lambda call: order.append("third")
        code = plain.__code__
        for recorder in (first, second, third):
            self.wrap(plain, recorder)
        plain(1, c=2)
        self.assertEqual((first.taken(), second.taken(), third.taken()), ("+1", "", "+1"))
        self.assertEqual(order, ["third", "first"])
        self.inject.discard(self.points[0])
        plain(1, c=2)
        self.assertEqual((first.taken(), third.taken()), ("", "+2"))
        self.inject.discard(self.points[2])
        self.inject.discard(self.points[1])
        self.assertIs(plain.__code__, code)

    def test_when_the_second_of_two_refuses_the_first_ends(self):
        first, second = Recorder(), Recorder()
        self.wrap(plain, first)

        def refuse():
            raise MemoryError

        second.enter = refuse
        self.wrap(plain, second)
        with self.assertRaises(MemoryError):
            plain(1, c=2)
        self.assertEqual(first.taken(), "+1 -1")


class Generators(InjectTest):
    def setUp(self):
        super().setUp()

        def func(log):
            try:
                while True:
                    try:
                        log.append((yield len(log)))
                    except KeyError as error:
                        log.append(error)
                        if error.args == ("return",):
                            return "returned"
            finally:
                log.append("left")

        self.func = func
        self.recorder = self.wrap(func)

    def test_kind_and_state(self):
        self.assertTrue(inspect.isgeneratorfunction(self.func))
        generator = self.func([])
        self.assertEqual((type(generator), generator.__name__, generator.__qualname__),
                         (types.GeneratorType, "func", self.func.__qualname__))
        self.assertEqual(inspect.getgeneratorstate(generator), inspect.GEN_CREATED)
        self.assertEqual(self.recorder.taken(), "", "no call before it starts")

    def test_send_throw_and_return(self):
        log = []
        generator = self.func(log)
        self.assertEqual((next(generator), generator.send("a")), (0, 1))
        error = KeyError("on")
        self.assertEqual(generator.throw(error), 2)
        self.assertIs(log[1], error)
        with self.assertRaises(StopIteration) as stop:
            generator.throw(KeyError("return"))
        self.assertEqual(stop.exception.value, "returned")
        self.assertEqual(self.recorder.taken(), "+1 -1")

    def test_close(self):
        log = []
        generator = self.func(log)
        next(generator)
        generator.close()
        self.assertEqual((log, self.recorder.taken()), (["left"], "+1 -1"))

    def test_dropped_unfinished(self):
        log = []
        generator = self.func(log)
        next(generator)
        del generator
        gc.collect()
        self.assertEqual((log, self.recorder.taken()), (["left"], "+1 -1"))

    def test_yield_from_passes_through(self):
        def outer(log):
            return (yield from self.func(log))

        generator = outer([])
        next(generator)
        with self.assertRaises(StopIteration) as stop:
            generator.throw(KeyError("return"))
        self.assertEqual(stop.exception.value, "returned")

    def test_stopiteration_within_is_an_error_as_before(self):
        def func():
            yield 1
            raise StopIteration

        self.wrap(func)
        with self.assertRaisesRegex(RuntimeError, "generator raised StopIteration"):
            list(func())

    def test_one_that_ignores_the_end(self):
        def func():
            try:
                yield
            except GeneratorExit:
                yield

        self.wrap(func)
        generator = func()
        next(generator)
        with self.assertRaisesRegex(RuntimeError, "ignored GeneratorExit"):
            generator.close()

    def test_suspended_while_it_is_taken_out_it_goes_on_and_ends(self):
        log = []
        generator = self.func(log)
        next(generator)
        self.inject.discard(self.points.pop())
        self.assertEqual(generator.send("a"), 1)
        generator.close()
        self.assertEqual((log, self.recorder.taken()), (["a", "left"], "+1 -1"))


class Coroutines(InjectTest):
    def test_await_return_and_kind(self):
        async def func(a, *, b):
            await asyncio.sleep(0)
            return a + b

        recorder = self.wrap(func)
        self.assertTrue(inspect.iscoroutinefunction(func))
        self.assertTrue(asyncio.iscoroutinefunction(func) if sys.version_info < (3, 14) else True)
        self.assertEqual(asyncio.run(func(1, b=2)), 3)
        self.assertEqual(recorder.taken(), "+1 -1")

    def test_cancelled(self):
        async def func():
            try:
                await asyncio.sleep(60)
            finally:
                cleaned.append(True)

        async def main():
            task = asyncio.ensure_future(func())
            await asyncio.sleep(0)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task

        cleaned = []
        recorder = self.wrap(func)
        asyncio.run(main())
        self.assertEqual((cleaned, recorder.taken()), ([True], "+1 -1"))

    def test_interleaved_calls_are_told_apart(self):
        async def func(n):
            for _ in range(n):
                await asyncio.sleep(0)

        async def main():
            await asyncio.gather(func(1), func(3), func(2))

        recorder = self.wrap(func)
        asyncio.run(main())
        self.assertEqual(recorder.taken(), "+1 +2 +3 -1 -3 -2")

    def test_one_warning_when_it_is_never_awaited(self):
        async def func():
            pass

        recorder = self.wrap(func)
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            func()
            gc.collect()
        self.assertEqual([str(warning.message) for warning in seen],
                         ["coroutine '%s' was never awaited" % func.__qualname__])
        self.assertEqual(recorder.taken(), "")

    def test_a_generator_that_is_awaited(self):
        @types.coroutine
        def pause():
            return (yield "paused")

        async def func():
            return await pause()

        recorder = self.wrap(pause)
        self.assertTrue(inspect.isawaitable(pause()))
        self.assertTrue(pause.__code__.co_flags & inspect.CO_ITERABLE_COROUTINE)
        coroutine = func()
        self.assertEqual(coroutine.send(None), "paused")
        with self.assertRaises(StopIteration) as stop:
            coroutine.send(5)
        self.assertEqual((stop.exception.value, recorder.taken()), (5, "+1 -1"))


class AsyncGenerators(InjectTest):
    def setUp(self):
        super().setUp()

        async def func(log):
            try:
                while True:
                    try:
                        await asyncio.sleep(0)
                        log.append((yield len(log)))
                    except KeyError as error:
                        log.append(error)
                        if error.args == ("return",):
                            return
            finally:
                await asyncio.sleep(0)
                log.append("left")

        self.func = func
        self.recorder = self.wrap(func)

    def run_checked(self, main):
        """What an event loop complains of is a failure, too."""
        complaints = []

        async def checked():
            handler = lambda loop, context: complaints.append(context)
            asyncio.get_running_loop().set_exception_handler(handler)
            return await main()

        result = asyncio.run(checked())
        gc.collect()
        self.assertEqual(complaints, [])
        return result

    def test_kind(self):
        self.assertTrue(inspect.isasyncgenfunction(self.func))
        self.assertEqual(type(self.func([])), types.AsyncGeneratorType)

    def test_iteration_to_the_end(self):
        async def func(n):
            for i in range(n):
                yield i

        async def main():
            return [item async for item in func(3)]

        recorder = self.wrap(func)
        self.assertEqual(self.run_checked(main), [0, 1, 2])
        self.assertEqual(recorder.taken(), "+1 -1")

    def test_asend_athrow_and_aclose(self):
        async def main():
            log = []
            generator = self.func(log)
            self.assertEqual(await generator.__anext__(), 0)
            self.assertEqual(await generator.asend("a"), 1)
            error = KeyError("on")
            self.assertEqual(await generator.athrow(error), 2)
            self.assertIs(log[1], error)
            await generator.aclose()
            return log[2:]

        self.assertEqual(self.run_checked(main), ["left"])
        self.assertEqual(self.recorder.taken(), "+1 -1")

    def test_the_end_by_return_after_an_exception(self):
        async def main():
            generator = self.func([])
            await generator.__anext__()
            with self.assertRaises(StopAsyncIteration):
                await generator.athrow(KeyError("return"))

        self.run_checked(main)
        self.assertEqual(self.recorder.taken(), "+1 -1")

    def test_an_exception_that_it_does_not_catch(self):
        async def main():
            log = []
            generator = self.func(log)
            await generator.__anext__()
            error = ValueError()
            with self.assertRaises(ValueError) as caught:
                await generator.athrow(error)
            self.assertIs(caught.exception, error)
            return log

        self.assertEqual(self.run_checked(main), ["left"])
        self.assertEqual(self.recorder.taken(), "+1 -1")

    def test_one_that_ignores_the_end(self):
        async def func():
            try:
                yield
            except GeneratorExit:
                yield

        async def main():
            generator = func()
            await generator.__anext__()
            with self.assertRaisesRegex(RuntimeError, "ignored GeneratorExit"):
                await generator.aclose()

        self.wrap(func)
        asyncio.run(main())

    def test_cancelled_within(self):
        async def func():
            yield 1
            await asyncio.sleep(60)

        async def consume():
            async for _ in func():
                started.set()

        async def main():
            nonlocal started
            started = asyncio.Event()
            task = asyncio.ensure_future(consume())
            await started.wait()
            await asyncio.sleep(0)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task

        started = None
        recorder = self.wrap(func)
        self.run_checked(main)
        self.assertEqual(recorder.taken(), "+1 -1")

    def test_left_open_it_is_closed_by_the_loop_once(self):
        kept = []

        async def main():
            log = []
            generator = self.func(log)
            await generator.__anext__()
            kept.append((generator, log))

        self.run_checked(main)
        self.assertEqual(kept[0][1], ["left"])
        self.assertEqual(self.recorder.taken(), "+1 -1")

    def test_dropped_it_is_closed_by_the_loop(self):
        async def main():
            log = []
            generator = self.func(log)
            await generator.__anext__()
            del generator
            gc.collect()
            for _ in range(5):
                await asyncio.sleep(0)
            return log

        self.assertEqual(self.run_checked(main), ["left"])
        self.assertEqual(self.recorder.taken(), "+1 -1")

    def test_the_loop_knows_of_it_alone(self):
        seen = []

        async def main():
            old = sys.get_asyncgen_hooks()
            sys.set_asyncgen_hooks(firstiter=lambda agen: seen.append(agen.ag_code))
            try:
                async for _ in self.func([]):
                    break
                return sys.get_asyncgen_hooks().firstiter is not None
            finally:
                sys.set_asyncgen_hooks(*old)

        self.assertTrue(asyncio.run(main()))
        self.assertEqual(seen, [self.func.__code__])

    def test_what_was_yielded_is_not_held_on_to(self):
        class Big:
            pass

        async def func():
            big = Big()
            ref = weakref.ref(big)
            yield big
            del big
            yield ref() is None

        async def main():
            generator = func()
            await generator.__anext__()
            return await generator.__anext__()

        self.wrap(func)
        self.assertTrue(self.run_checked(main))


class Elsewhere(InjectTest):
    def test_taken_out_while_other_threads_are_inside(self):
        inside, go_on = threading.Semaphore(0), threading.Event()

        def func(n):
            inside.release()
            go_on.wait(10)
            return n

        code = func.__code__
        results = []
        recorder = self.wrap(func)
        threads = [threading.Thread(target=lambda n=n: results.append(func(n))) for n in range(4)]
        for thread in threads:
            thread.start()
        for _ in threads:
            inside.acquire()
        self.inject.discard(self.points.pop())
        self.assertIs(func.__code__, code)
        go_on.set()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(results), [0, 1, 2, 3])
        log = recorder.taken().split()
        self.assertEqual(sorted(log), ["+1", "+2", "+3", "+4", "-1", "-2", "-3", "-4"])

    def test_put_in_and_taken_out_while_threads_call(self):
        def func(a, b=1):
            return a + b

        stop = threading.Event()
        wrong = []

        def call():
            while not stop.is_set():
                for n in range(100):
                    if func(n) != n + 1:
                        wrong.append(n)

        threads = [threading.Thread(target=call) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(100):
                self.wrap(func)
                self.inject.discard(self.points.pop())
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(wrong, [])

    def test_code_that_someone_else_has_put_in_stays(self):
        def func():
            return "first"

        def other():
            return "second"

        recorder = self.wrap(func)
        func.__code__ = other.__code__
        self.inject.discard(self.points.pop())
        self.assertEqual((func(), recorder.taken()), ("second", ""))

    def test_our_code_in_someone_elses_hands_falls_silent(self):
        def func():
            return "ran"

        recorder = self.wrap(func)
        ours = types.FunctionType(func.__code__, func.__globals__)
        func.__code__ = (lambda: "other").__code__
        self.assertEqual((ours(), recorder.taken()), ("ran", "+1 -1"))
        self.inject.discard(self.points.pop())
        self.assertEqual((ours(), recorder.taken()), ("ran", ""))

    def test_a_wrapped_function_that_is_gone_is_forgotten(self):
        def func():
            return 1

        ref = weakref.ref(func)
        self.wrap(func)
        point = self.points.pop()
        del func
        gc.collect()
        self.inject.discard(point)
        self.assertIsNone(ref())

    def test_nothing_of_ours_is_left_in_memory(self):
        def func():
            return 1

        async def generator():
            yield 1

        for one in (func, generator):
            self.wrap(one)
            func()
            self.inject.discard(self.points.pop())
        gc.collect()
        gc.collect()
        ours = [thing for thing in gc.get_objects()
                if type(thing).__module__ == "__memprobe_inject__" and not isinstance(thing, type)]
        self.assertEqual(ours, [])
        self.assertEqual(gc.garbage, [])

    def test_a_wrapped_function_keeps_nothing_alive(self):
        """The garbage collector does not look into code objects."""
        class Big:
            pass

        def make():
            big = Big()

            def func():
                return big, func

            async def agen():
                yield big, agen

            def gen():
                yield big, gen

            for one in (func, gen, agen):
                self.wrap(one)
            func()
            kept = gen()
            next(kept)
            big.kept = kept
            return weakref.ref(big)

        ref = make()
        gc.collect()
        self.assertIsNone(ref())

    def test_sent_by_value_it_runs_bare(self):
        """As cloudpickle does with functions of __main__: code object, globals, closure."""
        def func(a):
            return a * 2

        recorder = self.wrap(func)
        hooks = [const for const in func.__code__.co_consts
                 if type(const).__module__ == "__memprobe_inject__"]
        self.assertEqual(len(hooks), 1)
        idle = self.sent(self.inject.Idle())
        self.assertLess(idle.now(), idle.until)
        replaced = tuple(self.sent(const) if const in hooks else const
                         for const in func.__code__.co_consts)
        there = types.FunctionType(func.__code__.replace(co_consts=replaced), {})
        self.assertEqual((there(4), recorder.taken()), (8, ""))

    @staticmethod
    def sent(hooks):
        make, arguments, state = hooks.__reduce__()
        state = pickle.loads(pickle.dumps(state))
        thing = make(*arguments)
        thing.__dict__.update(state)
        return thing

    def test_a_copy_is_the_same_function(self):
        self.wrap(plain)
        self.assertIs(copy.deepcopy(plain), plain)
        self.assertIs(pickle.loads(pickle.dumps(plain)), plain)

    def test_methods_of_all_kinds_by_their_functions(self):
        class Thing:
            def method(self, a):
                return "method", a

            @classmethod
            def of_class(cls, a):
                return cls, a

            @staticmethod
            def static(a):
                return a

            def __call__(self, a):
                return "call", a

        bound = Thing().method
        recorder = Recorder()
        for name in ("method", "of_class", "static", "__call__"):
            entry = Thing.__dict__[name]
            self.wrap(getattr(entry, "__func__", entry), recorder)
        self.assertEqual((bound(1), Thing.of_class(2), Thing.static(3), Thing()(4)),
                         (("method", 1), (Thing, 2), 3, ("call", 4)))
        self.assertEqual(recorder.taken(), "+1 -1 +2 -2 +3 -3 +4 -4")

    def test_what_is_no_python_function_is_refused(self):
        class Thing:
            pass

        for thing, why in ((len, "built in"), (Thing, "a class"), (Thing(), "no Python function"),
                           (functools.partial(plain), "functools.partial"),
                           (str.join, "built in"), (property(plain), "a property")):
            with self.subTest(thing=thing), self.assertRaisesRegex(self.inject.Unsupported, why):
                self.wrap(thing)

    def test_an_audit_hook_may_forbid_it(self):
        import subprocess

        from inject_support import INJECT

        program = """
import sys
namespace = {'__name__': '__memprobe_inject__'}
exec(compile(open(%r).read(), 'i', 'exec'), namespace)
def func(): return 1
def audit(event, arguments):
    if event == 'object.__setattr__' and arguments[1] == '__code__':
        raise RuntimeError('not here')
sys.addaudithook(audit)
try:
    namespace['wrap'](func, int, int)
except namespace['Unsupported'] as problem:
    print(problem, func())
""" % INJECT
        out = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True)
        self.assertIn(b"may not be changed: not here 1", out.stdout)


if __name__ == "__main__":
    unittest.main()
