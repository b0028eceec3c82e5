# SPDX-License-Identifier: GPL-2.0-only
"""Wrappers around functions of any kind, made to cost little while their point is not due.

A wrapper has the same parameters as its function, since passing these on by *args and **kwargs
costs more than the rest of it. It is made once for each list of parameters, by exec(), as dataclasses
and namedtuple are.
"""

import functools
import inspect
import keyword
import types
from time import monotonic
from typing import Any, Callable, Dict, Optional, Tuple, cast

from . import _levels as levels
from ._backend import Backend, Sample
from ._inject import _first_step
from ._runtime import MemoryOverflowError, Runtime, shorten

ANY = ("*args, **kwargs", "*args, **kwargs")

PLAIN = """
def make(_mp_call, _mp_now, _mp_probe, _mp_watched, _mp_begin, _mp_end):
    {async_}def wrapper({parameters}):
        if _mp_now() < _mp_probe.due and not _mp_watched[0]:
            return ({await_} _mp_call({arguments}))
        _mp_token = _mp_begin()
        try:
            return ({await_} _mp_call({arguments}))
        finally:
            _mp_end(_mp_token)
    return wrapper
"""

# There is no "yield from" for these: what is sent and thrown in, and the end, is passed on by hand.
# The event loop knows the wrapper alone, and closes it.
ASYNC_GENERATOR = """
def make(_mp_call, _mp_now, _mp_probe, _mp_watched, _mp_begin, _mp_end):
    async def wrapper({parameters}):
        _mp_token = _mp_begin()
        _mp_inner = _mp_call({arguments})
        try:
            _mp_value = await _mp_first(_mp_inner)
            while True:
                try:
                    _mp_sent = yield _mp_value
                except GeneratorExit:
                    await _mp_inner.aclose()
                    raise
                except BaseException as _mp_error:
                    _mp_value = await _mp_inner.athrow(_mp_error)
                else:
                    _mp_value = await _mp_inner.asend(_mp_sent)
        except StopAsyncIteration:
            return
        finally:
            _mp_end(_mp_token)
    return wrapper
"""

TEMPLATES: Dict[str, str] = {
    "function": PLAIN.format(async_="", await_="", parameters="{parameters}",
                             arguments="{arguments}"),
    "generator": PLAIN.format(async_="", await_="yield from", parameters="{parameters}",
                              arguments="{arguments}"),
    "coroutine": PLAIN.format(async_="async ", await_="await", parameters="{parameters}",
                              arguments="{arguments}"),
    "async generator": ASYNC_GENERATOR,
}

BUILTINS = (types.BuiltinFunctionType, types.MethodDescriptorType, types.WrapperDescriptorType,
            types.MethodWrapperType, types.ClassMethodDescriptorType)


LOOKED = object()  # stands for a call that no monitor was told of


class Probe:
    """One point that calls are looked at for: when it is due, and what happens then."""

    __slots__ = ("name", "level", "point", "due", "_interval", "_is_critical", "_runtime",
                 "_backend", "_watched")

    def __init__(self, runtime: Runtime, name: str, level: str) -> None:
        number = levels.level_number(level)
        self.name = name
        self.level = level
        self.point = runtime.point(name, level)
        self.due = 0.0  # by time.monotonic(): until then calls are passed through
        self._interval = levels.INTERVALS[number]
        self._is_critical = number == levels.CRITICAL
        self._runtime = runtime
        self._backend: Backend = runtime.backend
        self._watched = runtime.backend.watched

    def begin(self) -> Any:
        """A call begins: gives what end() is to be given. MemoryOverflowError: it must not."""
        is_due = monotonic() >= self.due
        if not self._watched[0] and not is_due:
            return None
        call = self._backend.enter(self.point) if self._watched[0] else LOOKED
        if is_due:
            try:
                self._look(self._is_critical)
            except BaseException:
                self._leave(call)
                raise
        return call

    def end(self, call: Any) -> None:
        """That call ends. After one that took longer than the interval memory is looked at."""
        if call is None:
            return
        self._leave(call)
        if monotonic() >= self.due:
            self._look(False)

    def _leave(self, call: Any) -> None:
        if call is not LOOKED:
            self._backend.leave(self.point, call)

    def _look(self, may_refuse: bool) -> None:
        severity = self._backend.severity()
        self.due = monotonic() + self._interval
        if severity != levels.NORMAL:
            self._judge(may_refuse)

    def _judge(self, may_refuse: bool) -> None:
        sample = self._runtime.react(self.name, self.level, self._backend.fresh())
        if sample[7] < levels.PRESSURE_CRITICAL:
            return
        self.due = 0.0  # while it is critical every call is looked at
        if may_refuse and self._runtime.settings.raise_on_critical:
            self._refuse(sample)

    def _refuse(self, sample: Sample) -> None:
        info = self._runtime.info(self.name, self.level, 0, sample)
        raise MemoryOverflowError(
            f"{self.name} was not called: {sample[6] * 100:.1f} % of {sample[3] / 1048576:.0f} MB "
            f"are in use, critical from {levels.THRESHOLDS[3] * 100:.0f} % on", info)


@functools.lru_cache(maxsize=512)
def _maker(kind: str, parameters: str, arguments: str) -> Callable[..., Any]:
    source = TEMPLATES[kind].format(parameters=parameters, arguments=arguments)
    namespace: Dict[str, Any] = {"_mp_first": _first_step}
    exec(compile(source, "<memprobe wrapper>", "exec"), namespace)
    return cast(Callable[..., Any], namespace["make"])


def parameters_of(code: types.CodeType) -> Tuple[str, str]:
    """The parameters of a function, and how they are passed on to another with the same."""
    names = code.co_varnames
    positional = code.co_argcount
    keywords = positional + code.co_kwonlyargcount
    total = keywords + bool(code.co_flags & inspect.CO_VARARGS) + bool(
        code.co_flags & inspect.CO_VARKEYWORDS)
    if not all(name.isidentifier() and not keyword.iskeyword(name) for name in names[:total]):
        return ANY
    taken = list(names[:positional])
    passed = list(taken)
    if code.co_posonlyargcount:
        taken.insert(code.co_posonlyargcount, "/")
    if code.co_flags & inspect.CO_VARARGS:
        taken.append("*" + names[keywords])
        passed.append("*" + names[keywords])
    elif code.co_kwonlyargcount:
        taken.append("*")
    taken += names[positional:keywords]
    passed += [f"{name}={name}" for name in names[positional:keywords]]
    if code.co_flags & inspect.CO_VARKEYWORDS:
        taken.append("**" + names[total - 1])
        passed.append("**" + names[total - 1])
    return ", ".join(taken), ", ".join(passed)


def _kind_of(function: Callable[..., Any]) -> str:
    if inspect.isasyncgenfunction(function):
        return "async generator"
    if inspect.iscoroutinefunction(function):
        return "coroutine"
    return "generator" if inspect.isgeneratorfunction(function) else "function"


def name_of(function: Callable[..., Any]) -> str:
    """module.Class.function, the end of it when that is too long."""
    what: Any = function if hasattr(function, "__qualname__") else type(function)
    return shorten(f"{what.__module__}.{what.__qualname__}".replace("\0", ""))


def wrap(runtime: Runtime, function: Any, level: str, name: Optional[str] = None) -> Any:
    """A function that calls `function` and is a point. TypeError: for what that cannot be done."""
    if isinstance(function, (staticmethod, classmethod)):
        return type(function)(wrap(runtime, function.__func__, level, name))
    refuse_others(function)
    probe = Probe(runtime, name or name_of(function), level)
    code = getattr(function, "__code__", None)
    is_plain = isinstance(function, types.FunctionType) and isinstance(code, types.CodeType)
    parameters, arguments = parameters_of(code) if is_plain else ANY  # type: ignore[arg-type]
    make = _maker(_kind_of(function), parameters, arguments)
    wrapper = make(function, monotonic, probe, runtime.backend.watched, probe.begin, probe.end)
    if is_plain:
        dress(wrapper, function)
    wrapper = functools.update_wrapper(wrapper, function)
    is_old_coroutine = bool(code and code.co_flags & inspect.CO_ITERABLE_COROUTINE)
    return types.coroutine(wrapper) if is_old_coroutine else wrapper


def dress(wrapper: types.FunctionType, function: types.FunctionType) -> None:
    """Defaults, and the name that tracebacks and profilers show."""
    wrapper.__defaults__ = function.__defaults__
    wrapper.__kwdefaults__ = dict(function.__kwdefaults__ or {})
    names: Dict[str, Any] = {"co_name": function.__code__.co_name}
    if hasattr(function.__code__, "co_qualname"):
        names["co_qualname"] = function.__code__.co_qualname
    wrapper.__code__ = wrapper.__code__.replace(**names)


def refuse_others(function: Any) -> None:
    """TypeError, with what to do, for what is not a function or the like."""
    if isinstance(function, type):
        raise TypeError(f"probe_memory cannot wrap the class {function.__qualname__}: decorate its "
                        "__init__, or the methods that need memory")
    if isinstance(function, BUILTINS):
        raise TypeError(f"probe_memory cannot wrap the builtin {function.__qualname__}: decorate a "
                        "Python function that calls it")
    if isinstance(function, property):
        raise TypeError("probe_memory cannot wrap a property: put it below @property, on the getter")
    if not callable(function):
        raise TypeError("probe_memory wraps functions and methods, not "
                        f"{type(function).__name__} objects")
