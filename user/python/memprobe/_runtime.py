# SPDX-License-Identifier: GPL-2.0-only
"""The one backend of this process, its settings, and what is done under pressure."""

import gc
import os
import threading
import time
from pathlib import Path
from typing import Dict, List, Optional, TypedDict, Union

from . import _levels as levels
from ._backend import UNKNOWN, Backend, Point, Sample, log
from ._native import load
from ._pure import Pure

MB = 1048576.0
MAX_NAME = 127  # bytes
MAX_POINTS = 1000  # the library has room for 1024, of which others may take some
OTHERS = "memprobe.others"  # one point for all names beyond that


class MemoryInfo(TypedDict):
    """What check_memory() gives, and says about it."""

    memory_usage: float
    memory_available_mb: float
    current_memory_mb: float
    peak_memory_mb: float
    probe_name: str
    level: str
    timestamp: float
    threshold_exceeded: bool
    severity: str
    reused: bool


class MemoryOverflowError(MemoryError):
    """A call of a critical point was refused: memory is full to above the critical threshold.

    `info` is what check_memory() would have given, or None.
    """

    def __init__(self, message: str = "", info: Optional[MemoryInfo] = None) -> None:
        super().__init__(message)
        self.info = info


class Settings:
    """What configure() changes."""

    def __init__(self) -> None:
        self.raise_on_critical = os.environ.get("MEMPROBE_RAISE", "1") not in ("0", "no", "off")
        self.collect = True


class Runtime:
    """Made once a process, by the import."""

    def __init__(self) -> None:
        self.backend: Backend = load(os.environ, Path(__file__).resolve().parent) or Pure()
        self.settings = Settings()
        self.points: Dict[str, Dict[str, Point]] = {name: {} for name in levels.LEVELS}
        self._count = 0
        self._reacted_at: List[float] = [0.0] * len(levels.LEVELS)
        self._collecting = threading.local()

    def point(self, name: str, level: str) -> Point:
        """The point of a name, which its first level stays with. ValueError: unknown level; a
        name that is empty, has a NUL, or is longer than 127 bytes."""
        number = levels.level_number(level)
        known = self.points[level].get(name)
        if known is not None:
            return known
        check_name(name)
        if self._count >= MAX_POINTS:
            return self._others(number)
        point = self.backend.point(name, number)
        self.points[level][name] = point
        self._count += 1
        return point

    def _others(self, number: int) -> Point:
        points = self.points[levels.LEVELS[number]]
        if OTHERS not in points:
            log.warning("more than %d names of points: the others are counted as %s", MAX_POINTS,
                        OTHERS)
            points[OTHERS] = self.backend.point(OTHERS, number)
        return points[OTHERS]

    def react(self, name: str, level: str, sample: Sample) -> Sample:
        """Says that memory is short, and collects garbage from severity gc on; each level at most
        once in its cooldown. The sample afterwards."""
        number, severity = levels.NUMBERS[level], sample[7]
        now = time.monotonic()
        if now - self._reacted_at[number] < levels.COOLDOWN:
            return sample
        self._reacted_at[number] = now
        log.warning("%s: %.1f %% of %.0f MB are in use (%s), %.0f MB by this process", name,
                    sample[6] * 100, sample[3] / MB, levels.SEVERITIES[min(severity, 3)],
                    sample[1] / MB)
        if severity < levels.GC or not self.settings.collect or not self._collect():
            return sample
        return self.backend.fresh()

    def _collect(self) -> bool:
        """False within itself: a finalizer may check memory, too."""
        if getattr(self._collecting, "is_on", False):
            return False
        self._collecting.is_on = True
        try:
            gc.collect()
        finally:
            self._collecting.is_on = False
        return True

    def info(self, name: str, level: str, threshold_mb: float, sample: Sample) -> MemoryInfo:
        """What check_memory() gives."""
        ts_ns, rss, peak, limit, _, available, ratio, severity, flags = sample
        available_mb, current_mb = available / MB, rss / MB
        if available == UNKNOWN:
            ratio = available_mb = float("nan")
        return {
            "memory_usage": ratio,
            "memory_available_mb": available_mb,
            "current_memory_mb": current_mb,
            "peak_memory_mb": peak / MB,
            "probe_name": name,
            "level": level,
            "timestamp": time.time() - (time.monotonic() - ts_ns * 1e-9),
            "threshold_exceeded": 0 < threshold_mb < current_mb,
            "severity": levels.SEVERITIES[severity],
            "reused": flags & 1 == 1,
        }


def check_name(name: str) -> None:
    """ValueError, TypeError: not what a point can be called."""
    if not isinstance(name, str):
        raise TypeError(f"the name of a point is a str, not {type(name).__name__}")
    size = len(name.encode("utf-8", "surrogateescape"))
    if not 0 < size <= MAX_NAME or "\0" in name:
        raise ValueError(f"the name of a point has 1 to {MAX_NAME} bytes and no NUL, not {name!r}")


def shorten(name: str) -> str:
    """The end of a name that is too long: there it is most particular."""
    raw = name.encode("utf-8", "surrogateescape")
    return name if len(raw) <= MAX_NAME else raw[-MAX_NAME:].decode("utf-8", "ignore")


def check_threshold(threshold_mb: Union[int, float]) -> None:
    """ValueError, TypeError: not a number of MB from 0 on."""
    if not threshold_mb >= 0:
        raise ValueError(f"threshold_mb is a number of MB from 0 on, not {threshold_mb!r}")


runtime = Runtime()
