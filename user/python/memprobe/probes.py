# SPDX-License-Identifier: GPL-2.0-only
"""Points in a program: looked at, wrapped, refused when memory is full.

    from memprobe import check_memory, probe_memory

    @probe_memory(level="critical")
    def load(path):
        check_memory("load.before")
        ...
"""

import importlib.machinery
import importlib.util
import sys
import threading
import time
from typing import Any, Callable, Dict, List, Optional, Set, Tuple, TypeVar, cast, overload

from . import _inject, relief
from . import _levels as levels
from ._backend import log
from ._decorate import Probe, wrap
from ._points import DOCUMENTED
from ._runtime import MB, MemoryInfo, MemoryOverflowError, check_threshold, runtime, shorten

__all__ = ["HAS_C_PROBES", "MemoryInfo", "MemoryOverflowError", "ProbeManager", "check_memory", "configure",
           "fast_check", "get_probe_manager", "initialize_probes", "mem_probe", "probe_memory"]

F = TypeVar("F", bound=Callable[..., Any])

#: Whether libmemprobe.so is used. Without it everything works, slower, and no monitor sees it.
HAS_C_PROBES: bool = runtime.backend.has_c


def configure(raise_on_critical: Optional[bool] = None, collect: Optional[bool] = None) -> None:
    """Settings of this process; what is None stays.

    raise_on_critical: whether calls of critical points are refused with MemoryOverflowError from 90 %
    of the limit on (at the start: yes, unless MEMPROBE_RAISE=0 is in the environment). collect: whether
    garbage is collected from 85 % on (at the start: yes).
    """
    if raise_on_critical is not None:
        runtime.settings.raise_on_critical = raise_on_critical
    if collect is not None:
        runtime.settings.collect = collect


def check_memory(name: Optional[str] = None, level: str = "medium",
                 threshold_mb: float = 0) -> MemoryInfo:
    """What memory there is, for the point `name` (if None: that of the calling function).

    memory_usage: 0 to 1, of the effective limit (the memory cgroup's, or the host's), without page
    cache that the kernel drops by itself; NaN when it is not known. memory_available_mb, and of this
    process current_memory_mb and peak_memory_mb (resident set), in MB of 1048576 bytes. probe_name,
    level. timestamp: when that was measured, in seconds since the epoch; reused: an earlier sample was
    good enough, since the interval of the level (low 1 s, medium 0.5 s, high 0.25 s, critical 0.125 s)
    is not over. threshold_exceeded: whether current_memory_mb is above threshold_mb (0: none).
    severity: normal, warning (from 75 %), gc (85 %), critical (90 %). From gc on garbage is collected
    first, at most once a second for a level. ValueError: unknown level, or a name that is empty or
    longer than 127 bytes. OSError: /proc cannot be read.
    """
    if name is None:
        name = _caller()
    try:
        point = runtime.points[level][name]
    except KeyError:
        check_threshold(threshold_mb)
        point = runtime.point(name, level)
    sample = runtime.backend.sample(point)
    if sample[7] != levels.NORMAL:
        sample = runtime.react(name, level, sample)
    return runtime.info(name, level, threshold_mb, sample)


def _caller() -> str:
    """module.function of who called the function that calls this."""
    frame = sys._getframe(2)  # nothing else tells without building a whole stack
    return shorten(f"{frame.f_globals.get('__name__', '')}.{frame.f_code.co_name}")


MOST = 2.0**63  # bytes: no resident set is larger


class _Warned:
    """When fast_check() last logged, by threshold: a loop must not fill the log."""

    PAUSE = 1.0  # seconds

    def __init__(self) -> None:
        self._at: Dict[float, float] = {}

    def may(self, threshold_mb: float) -> bool:
        now = time.monotonic()
        if now - self._at.get(threshold_mb, -self.PAUSE) < self.PAUSE:
            return False
        if len(self._at) > 64:
            self._at.clear()
        self._at[threshold_mb] = now
        return True


_warned = _Warned()


def fast_check(threshold_mb: float = 0) -> bool:
    """Whether the resident set is above so many MB; that is logged as a warning, once a second. By a
    sample that may be 10 ms old. ValueError, TypeError: no number from 0 on. OSError: /proc cannot be
    read."""
    threshold = threshold_mb * 1048576
    if not 0 <= threshold < MOST:
        check_threshold(threshold_mb)
        return False
    is_above = runtime.backend.is_above(int(threshold))
    if is_above and _warned.may(threshold_mb):
        log.warning("resident set: %.0f MB, above %g MB", runtime.backend.fresh()[1] / MB,
                    threshold_mb)
    return is_above


@overload
def probe_memory(level: F) -> F: ...


@overload
def probe_memory(level: str = "medium", name: Optional[str] = None) -> Callable[[F], F]: ...


def probe_memory(level: Any = "medium", name: Optional[str] = None) -> Any:
    """Makes a function a point, called `name` (if None: module.Class.function).

    Before a call memory is looked at, unless the interval of the level is not over: from 85 % on
    garbage is collected, and at level critical MemoryOverflowError is raised from 90 % on, and the
    function not called. A monitor that is attached sees each call. Functions, methods, static and
    class methods (above or below their decorator), coroutines, generators, asynchronous generators. ValueError:
    unknown level. TypeError: a class, a builtin, a property; it says what to do.
    """
    if callable(level) or isinstance(level, (staticmethod, classmethod)):
        return wrap(runtime, level, "medium")
    levels.level_number(level)

    def decorate(function: F) -> F:
        wrapped: F = wrap(runtime, function, level, name)
        return wrapped

    return decorate


class mem_probe(Dict[str, Any]):
    """A point in the three ways that one may want it: a dict as check_memory() gives it; in a `with`
    statement a point that the block is the call of; above a function as probe_memory() is.

        info = mem_probe("stage.one")

        with mem_probe("stage.two", level="high"):
            ...

        @mem_probe(level="low")
        def stage_three(): ...

    Arguments and exceptions are those of check_memory(), or probe_memory(). In a `with` statement each
    use has an object of its own.
    """

    def __init__(self, name: Optional[str] = None, level: str = "medium",
                 threshold_mb: float = 0) -> None:
        self._name = name
        self._level = level
        self._calls: List[Tuple[Probe, Any]] = []
        info = check_memory(_caller() if name is None else name, level, threshold_mb)
        super().__init__(cast(Dict[str, Any], info))

    def __new__(cls, name: Any = None, level: str = "medium", threshold_mb: float = 0) -> Any:
        if callable(name) or isinstance(name, (staticmethod, classmethod)):
            return wrap(runtime, name, level)
        return super().__new__(cls)

    def __call__(self, function: F) -> F:
        wrapped: F = wrap(runtime, function, self._level, self._name)
        return wrapped

    def __enter__(self) -> "mem_probe":
        probe = get_probe_manager().probe(self["probe_name"], self._level)
        self._calls.append((probe, probe.begin()))
        return self

    def __exit__(self, *_: Any) -> None:
        probe, call = self._calls.pop()
        probe.end(call)


class ProbeManager:
    """Points that are put into functions from outside. One a process: get_probe_manager()."""

    def __init__(self) -> None:
        self._probes: Dict[Tuple[str, str], Probe] = {}
        self._custom: Dict[str, _inject.Point] = {}
        self._told: Set[str] = set()
        self._lock = threading.Lock()

    def probe(self, name: str, level: str) -> Probe:
        """The one of a name and level that all `with` blocks of it share."""
        probe = self._probes.get((name, level))
        if probe is None:
            probe = self._probes[name, level] = Probe(runtime, name, level)
        return probe

    def add_custom_probe(self, path: str, level: str = "medium") -> None:
        """Makes module[.Class].function a point, at once or when the module is imported; without a
        class, functions of that name in any class of the module are meant, too. The function stays
        the same object. Adding a path again gives it the new level. ValueError: unknown level; no such
        module, or no such function in it; a builtin."""
        levels.level_number(level)
        _require(path)
        self._add(shorten(path), level, path)
        point = self._custom[path]
        if point.status == "failed":
            self.remove_custom_probe(path)
            raise ValueError(f"no point at {path}: {point.reason}")

    def remove_custom_probe(self, path: str) -> None:
        """Takes it out again. KeyError: it is not in."""
        point = self._custom.pop(path)
        _inject.injector().discard([point])

    def status(self) -> Dict[str, str]:
        """Of each path: attached, waiting (its module is not imported), or failed: and why."""
        return {path: f"{point.status}: {point.reason}" if point.reason else point.status
                for path, point in self._custom.items()}

    def add_documented(self) -> List[str]:
        """See initialize_probes()."""
        for name, level, path in DOCUMENTED:
            if path not in self._custom:
                self._add(name, level, path)
        self._tell()
        return [name for name, _, path in DOCUMENTED if self._custom[path].status != "failed"]

    def _add(self, name: str, level: str, path: str) -> None:
        probe = Probe(runtime, name, level)
        point = _inject.Point(name, path, _inject.Hook(probe.begin, probe.end))
        with self._lock:
            if path in self._custom:
                self.remove_custom_probe(path)
            self._custom[path] = point
            injector = _inject.injector()
            if self._tell not in injector.changed:
                injector.changed.append(self._tell)
            injector.add([point])

    def _tell(self) -> None:
        """A module was imported, and may lack what it is to have."""
        for path, point in list(self._custom.items()):
            if point.status == "failed" and path not in self._told:
                self._told.add(path)
                log.warning("no point at %s: %s", path, point.reason)


def _require(path: str) -> None:
    """ValueError: the path names no module that is there or could be imported. Imports nothing."""
    parts = path.split(".") if isinstance(path, str) else []
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        raise ValueError(f"{path!r} is not of the form module[.Class].function")
    count, is_package = _find_module(parts[:-1])
    if count == 0 or (is_package and count < len(parts) - 1):
        raise ValueError(f"no point at {path}: there is no module {'.'.join(parts[:count + 1])}")


def _find_module(parts: List[str]) -> Tuple[int, bool]:
    """How many of the parts name a module, and whether it is a package that does not know the next
    part. What is loaded may have that as an attribute."""
    locations: Any = None
    for count, part in enumerate(parts):
        name = ".".join(parts[:count + 1])
        module = sys.modules.get(name)
        if module is not None:
            locations = getattr(module, "__path__", None)
        elif count and hasattr(sys.modules.get(".".join(parts[:count])), part):
            return count, False
        else:
            spec = _find_spec(name, locations)
            if spec is None:
                return count, True
            locations = spec.submodule_search_locations
        if locations is None:
            return count + 1, False
    return len(parts), True


def _find_spec(name: str, locations: Any) -> Optional[importlib.machinery.ModuleSpec]:
    try:
        if locations is None:
            return importlib.util.find_spec(name)
        return importlib.machinery.PathFinder.find_spec(name, locations)
    except (ImportError, ValueError):  # ValueError: a module without a spec
        return None


_manager = ProbeManager()


def get_probe_manager() -> ProbeManager:
    """The one manager of this process."""
    return _manager


def initialize_probes(agent: bool = True) -> List[str]:
    """Puts in the eight documented points, now or as their modules are imported, and starts the relief
    agent unless `agent` is false. Gives the names of the points that are in or wait; a module that lacks
    its function is logged. OSError: the agent's socket cannot be made."""
    names = _manager.add_documented()
    if agent:
        relief.start_agent()
    return names
