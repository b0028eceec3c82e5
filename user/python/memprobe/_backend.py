# SPDX-License-Identifier: GPL-2.0-only
"""What is done in C where libmemprobe is at hand, and in Python where it is not."""

import logging
from typing import Any, Callable, NamedTuple, Sequence, Tuple

log = logging.getLogger("memprobe")

UNKNOWN = 2**64 - 1

#: In bytes: ts_ns, rss, peak_rss, limit, usage, available, usage_ratio, severity, flags; the
#: fields of struct memprobe_info, in its order. A plain tuple, for it is made at each check.
Sample = Tuple[int, int, int, int, int, int, float, int, int]

#: A point as the backend knows it; of no meaning to others.
Point = Any


class Pressure(NamedTuple):
    """What a callback of on_pressure() is told."""

    severity: str  #: "normal", "warning", "gc" or "critical"
    wanted_bytes: int  #: that would end the pressure; 0: all that can be spared
    deadline: float  #: by time.monotonic(): nobody reads an answer after it


Callback = Callable[[Pressure], Any]


class Backend:
    """The interface of both. Sizes are in bytes, levels and severities are numbers."""

    has_c = False
    origin = ""  #: path of the library that is used

    #: How many monitors have probes on the marker, as the kernel counts them: [0].
    watched: Sequence[int] = (0,)

    def point(self, name: str, level: int) -> Point:
        """The point of that name; its first level stays. ValueError, OSError."""
        raise NotImplementedError

    def sample(self, point: Point) -> Sample:
        """Memory now, or at most one interval of the point's level ago. OSError."""
        raise NotImplementedError

    def fresh(self) -> Sample:
        """Memory now. OSError."""
        raise NotImplementedError

    def severity(self) -> int:
        """How full the limit is now, without what else a sample has."""
        raise NotImplementedError

    def is_above(self, threshold_bytes: int) -> bool:
        """Whether the resident set is larger; by a sample that may be 10 ms old. OSError."""
        raise NotImplementedError

    def enter(self, point: Point) -> Any:
        """Tells the monitor of a call; gives what leave() is to be given."""
        raise NotImplementedError

    def leave(self, point: Point, call: Any) -> None:
        """Tells the monitor of that call's end."""
        raise NotImplementedError

    def on_pressure(self, callback: Callback) -> int:
        """Registers; gives a handle above 0. OSError."""
        raise NotImplementedError

    def off_pressure(self, handle: int) -> None:
        """Takes a callback out; waits until it does not run any more. KeyError."""
        raise NotImplementedError

    def relieve(self, pressure: Pressure) -> int:
        """Calls all callbacks, the last registered first, then trims the allocator. Gives
        the bytes by which the resident set shrank."""
        raise NotImplementedError

    def agent_start(self) -> None:
        """Listens for requests of the monitor; once a process. OSError."""
        raise NotImplementedError

    def agent_stop(self) -> None:
        """Ends that. Nothing when it does not listen."""
        raise NotImplementedError


def call_back(callback: Callback, pressure: Pressure) -> int:
    """What one callback says it freed; 0 when it fails or does not know. Raises nothing, for
    it is called where there is nobody to catch it."""
    try:
        freed = callback(pressure)
    except Exception:  # whatever a user's cleanup raises must not keep the others from running
        log.exception("a cleanup failed: %r", callback)
        return 0
    return freed if isinstance(freed, int) and 0 <= freed < UNKNOWN else 0
