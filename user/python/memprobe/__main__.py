# SPDX-License-Identifier: GPL-2.0-only
"""python3 -m memprobe: tries out the probes in this process, and shows what they cost here.

Exit codes: 0 all held, 1 something did not, 2 usage, 6 --c-only and there is no library.
"""

import argparse
import gc
import logging
import os
import platform
import sys
import timeit
from typing import Any, Callable, Dict, List, Tuple

MIB = 1 << 20


def parse(arguments: List[str]) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="python3 -m memprobe", description="Tries out the memory "
                                     "probes in this process, and shows what they cost here.")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--python-only", action="store_true", help="do without libmemprobe.so")
    only.add_argument("--c-only", action="store_true", help="do not do without it")
    parser.add_argument("--pressure", action="store_true",
                        help="make 200 MB of garbage, and have it given back")
    return parser.parse_args(arguments)


def line(what: str, value: Any) -> None:
    """One line of what is shown."""
    print(f"  {what:<34} {value}")


def nanoseconds(work: Callable[[], Any], calls: int = 20000) -> float:
    """Of one call, the best of five."""
    return min(timeit.repeat(work, number=calls, repeat=5)) / calls * 1e9


def bare(one: int, other: int) -> int:
    """A function that does next to nothing."""
    return one + other


class Trial:
    """What is tried; `failed` counts what did not hold."""

    def __init__(self) -> None:
        import memprobe
        from memprobe._runtime import runtime
        self.memprobe = memprobe
        self.runtime = runtime
        self.failed = 0

    def holds(self, what: str, is_so: bool) -> None:
        """Says so."""
        self.failed += not is_so
        line(what, "ok" if is_so else "FAILED")

    def show_where(self) -> None:
        """What the probes measure, and by what."""
        backend = self.runtime.backend
        print(f"memprobe {self.memprobe.__version__} in Python {platform.python_version()}")
        line("library", backend.origin or "none: in Python, slower, and not seen by a monitor")
        info = self.memprobe.check_memory("self_test.check")
        line("in use of the limit", f"{info['memory_usage'] * 100:.1f} % ({info['severity']})")
        line("available", f"{info['memory_available_mb']:.0f} MB")
        line("this process", f"{info['current_memory_mb']:.0f} MB")
        line("monitors attached", backend.watched[0])

    def try_probes(self) -> None:
        """Checks, a decorator, a refusal."""
        from unittest import mock
        runtime = self.runtime
        decorated = self.memprobe.probe_memory(level="critical")(bare)
        self.holds("a decorated call", decorated(2, 3) == 5)
        self.holds("fast_check() below and above", self.memprobe.fast_check(1) and
                   not self.memprobe.fast_check(10**9))
        full = mock.patch.multiple(runtime.backend, severity=lambda: 3,
                                   fresh=lambda: (0, 1, 1, MIB, MIB, 0, 0.99, 3, 0))
        with full, mock.patch.object(runtime, "react", lambda name, level, sample: sample):
            try:
                self.memprobe.probe_memory(level="critical")(bare)(2, 3)
                self.holds("a critical call at 99 % is refused", False)
            except self.memprobe.MemoryOverflowError:
                self.holds("a critical call at 99 % is refused", True)

    def show_costs(self) -> None:
        """Nanoseconds a call."""
        decorated = self.memprobe.probe_memory(level="low")(bare)
        plain = nanoseconds(lambda: bare(1, 2))
        backend = self.runtime.backend
        costs: Dict[str, float] = {
            "check_memory(), reused": nanoseconds(lambda: self.memprobe.check_memory("self_test")),
            "a new sample": nanoseconds(backend.fresh),
            "fast_check()": nanoseconds(lambda: self.memprobe.fast_check(10**6)),
            "a decorated call, beyond the bare": nanoseconds(lambda: decorated(1, 2)) - plain,
        }
        for what, cost in costs.items():
            line(what, f"{cost:.0f} ns")

    def try_relief(self) -> None:
        """Garbage that only a collection finds, given back."""
        gc.disable()
        try:
            for _ in range(200):
                cycle: List[Any] = [bytearray(b"x") * MIB]
                cycle.append(cycle)
            freed, took = self._relieve()
        finally:
            gc.enable()
        self.holds(f"relief: {freed / MIB:.0f} of 200 MB in {took * 1e3:.1f} ms", freed > 180 * MIB)

    def _relieve(self) -> Tuple[int, float]:
        begin = timeit.default_timer()
        freed = self.memprobe.relieve()
        return freed, timeit.default_timer() - begin


def main(arguments: List[str]) -> int:
    """The exit code."""
    options = parse(arguments)
    if options.python_only and os.environ.get("MEMPROBE_LIBRARY") != "":
        os.environ["MEMPROBE_LIBRARY"] = ""  # it is chosen at the import, which was made
        os.execv(sys.executable, [sys.executable, "-m", "memprobe", *arguments])
    logging.getLogger("memprobe").setLevel(logging.ERROR)
    trial = Trial()
    if options.c_only and not trial.memprobe.HAS_C_PROBES:
        print("memprobe: error: no libmemprobe.so here: make lib builds it", file=sys.stderr)
        return 6
    trial.show_where()
    trial.try_probes()
    trial.show_costs()
    if options.pressure:
        trial.try_relief()
    return 1 if trial.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
