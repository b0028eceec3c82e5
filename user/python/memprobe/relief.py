# SPDX-License-Identifier: GPL-2.0-only
"""Giving memory back when the monitor, or systemd's $MEMORY_PRESSURE_WATCH, asks for it.

    import memprobe.relief

    memprobe.relief.start_agent()

    @memprobe.relief.on_pressure
    def drop_cache(pressure):
        cache.clear()

Cleanups run in a thread of the agent's, the last registered first; after them, always, gc.collect()
and the allocator's trimming.
"""

import atexit
import gc
import itertools
import os
import sys
import threading
import time
from typing import Any, Callable, Dict, Optional, TypeVar

from . import _levels as levels
from ._backend import Pressure, log
from ._runtime import runtime

__all__ = ["Pressure", "is_agent_running", "off_pressure", "on_pressure", "relieve", "start_agent",
           "stop_agent"]

C = TypeVar("C", bound=Callable[[Pressure], Any])

#: Seconds after a fork until the child has an agent of its own: most that only exec() are gone by then.
AFTER_FORK = 0.1


class _Agent:
    """Which cleanups are registered with the backend, and whether its agent runs."""

    def __init__(self) -> None:
        self.handles: Dict[Callable[..., Any], int] = {}
        self.is_running = False
        self._lock = threading.Lock()
        self._has_gc = False
        self._hooks = itertools.count()  # what happens once is what finds it at 0

    def prepare(self) -> None:
        """gc.collect() is registered first, so that it runs last."""
        with self._lock:
            if not self._has_gc:
                runtime.backend.on_pressure(_collect)
                self._has_gc = True
        if next(self._hooks) == 0:
            atexit.register(stop_agent)
            os.register_at_fork(after_in_child=self._after_fork)

    def _after_fork(self) -> None:
        self._lock = threading.Lock()
        if not self.is_running:
            return
        self.is_running = False
        timer = threading.Timer(AFTER_FORK, _start_in_child)
        timer.daemon = True
        timer.start()


_agent = _Agent()


def _collect(_: Pressure) -> int:
    gc.collect()
    return 0  # how much that was is measured


def on_pressure(callback: C) -> C:
    """Registers a cleanup, which is called with a Pressure when memory is asked for, and may
    return the bytes that it gave back. It has until `pressure.deadline`. Gives the callback, so that
    this is a decorator, too. Registering it again changes nothing. OSError: more than 63.
    """
    if not callable(callback):
        raise TypeError(f"a cleanup is a function, not {callback!r}")
    _agent.prepare()
    if callback not in _agent.handles:
        _agent.handles[callback] = runtime.backend.on_pressure(callback)
    return callback


def off_pressure(callback: Callable[[Pressure], Any]) -> None:
    """Takes a cleanup out; when this returns it does not run. ValueError: it is not registered."""
    try:
        handle = _agent.handles.pop(callback)
    except KeyError:
        raise ValueError(f"{callback!r} is not registered") from None
    runtime.backend.off_pressure(handle)


def relieve(severity: str = "critical", wanted_bytes: int = 0, timeout: float = 2.0) -> int:
    """Does at once what the agent does when it is asked. `timeout` in seconds is what cleanups
    are told, and not enforced. Gives the bytes by which the resident set shrank. ValueError:
    unknown severity."""
    if severity not in levels.SEVERITIES:
        raise ValueError(f"unknown severity {severity!r}: it is one of "
                         f"{', '.join(levels.SEVERITIES)}")
    _agent.prepare()
    return runtime.backend.relieve(Pressure(severity, wanted_bytes, time.monotonic() + timeout))


def start_agent() -> None:
    """Listens for requests from now on, in this process and in those that it forks. Nothing when it
    does already. OSError: the socket cannot be made."""
    _agent.prepare()
    if not _agent.is_running:
        runtime.backend.agent_start()
        _agent.is_running = True


def stop_agent() -> None:
    """Ends that. Done by itself at the end of the process."""
    if _agent.is_running:
        _agent.is_running = False
        runtime.backend.agent_stop()


def is_agent_running() -> bool:
    """Whether this process listens."""
    return _agent.is_running


def _start_in_child() -> None:
    try:
        start_agent()
    except OSError as error:
        log.warning("no relief agent in this process: %s", error)
        return
    # Processes of multiprocessing end without atexit, but by its own way.
    util: Optional[Any] = sys.modules.get("multiprocessing.util")
    if util:
        util.Finalize(None, stop_agent, exitpriority=0)
