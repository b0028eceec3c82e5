# SPDX-License-Identifier: GPL-2.0-only
"""The backend without libmemprobe: the same figures, read in Python; no monitor sees it."""

import ctypes
import itertools
import os
import threading
import time
from typing import Any, Callable, Dict, Optional

from ._agent import Agent, Job
from ._backend import Backend, Callback, Pressure, Sample, call_back
from ._levels import INTERVALS, NORMAL, severity_of
from ._memory import Memory

#: Struct memprobe_info's flag of a sample that was taken earlier.
REUSED = 1
FAST_AGE = 0.01  #: seconds for which is_above() takes the resident set to be as it was
MAX_CALLBACKS = 64


class PurePoint:
    """A point, and its last sample."""

    __slots__ = ("name", "interval", "sample", "until")

    def __init__(self, name: str, level: int) -> None:
        self.name = name
        self.interval = INTERVALS[level]
        self.sample: Optional[Sample] = None
        self.until = 0.0


class Pure(Backend):
    """Reads below `root`, which is / but in tests."""

    def __init__(self, root: str = "/") -> None:
        self._memory = Memory(root)
        self._points: Dict[str, PurePoint] = {}
        self._rss = 0
        self._rss_until = 0.0
        self._callbacks: Dict[int, Callback] = {}
        self._handles = itertools.count(1)
        self._running = threading.RLock()
        self._agent: Optional[Agent] = None
        self._trim = _find_trim()
        os.register_at_fork(after_in_child=self._after_fork)

    def point(self, name: str, level: int) -> PurePoint:
        return self._points.setdefault(name, PurePoint(name, level))

    def sample(self, point: PurePoint) -> Sample:
        if point.sample and time.monotonic() < point.until:
            return point.sample[:8] + (REUSED,)
        sample = self._memory.sample()
        point.sample, point.until = sample, time.monotonic() + point.interval
        return sample

    def fresh(self) -> Sample:
        return self._memory.sample()

    def severity(self) -> int:
        limit, usage = self._memory.domain()
        return severity_of(usage / limit) if limit else NORMAL

    def is_above(self, threshold_bytes: int) -> bool:
        now = time.monotonic()
        if now >= self._rss_until:
            self._rss, self._rss_until = self._memory.rss(), now + FAST_AGE
        return self._rss > threshold_bytes

    def enter(self, point: PurePoint) -> Any:
        return 0

    def leave(self, point: PurePoint, call: Any) -> None:
        return None

    def on_pressure(self, callback: Callback) -> int:
        if len(self._callbacks) >= MAX_CALLBACKS:
            raise OSError(28, f"more than {MAX_CALLBACKS} callbacks")
        handle = next(self._handles)
        self._callbacks[handle] = callback
        return handle

    def off_pressure(self, handle: int) -> None:
        self._callbacks.pop(handle)
        with self._running:
            pass

    def relieve(self, pressure: Pressure) -> int:
        before = self._memory.rss()
        self._work(Job(pressure))
        return max(before - self._memory.rss(), 0)

    def agent_start(self) -> None:
        if not self._agent:
            self._agent = Agent(self._work, self._memory.rss)

    def agent_stop(self) -> None:
        agent, self._agent = self._agent, None
        if agent:
            agent.stop()

    def _work(self, job: Job) -> None:
        for handle in sorted(self._callbacks, reverse=True):
            with self._running:
                callback = self._callbacks.get(handle)
                if callback:
                    call_back(callback, job.pressure)
                    job.callbacks += 1
        self._trim(0)

    def _after_fork(self) -> None:
        self._memory.forget()
        self._rss_until = 0.0
        for point in self._points.values():
            point.sample = None
        self._running = threading.RLock()  # a thread that is not there may hold it
        agent, self._agent = self._agent, None
        if agent:
            agent.abandon()


def _find_trim() -> Callable[[int], Any]:
    """malloc_trim() of glibc; other libraries have none."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return lambda pad: 0
