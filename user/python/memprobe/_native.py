# SPDX-License-Identifier: GPL-2.0-only
"""The backend that is libmemprobe.so, by ctypes.

What is called often is called with the GIL held (PyDLL): it takes a few microseconds at most, and
another thread that computes would keep the GIL for milliseconds. Its arguments are ctypes objects
that were made before, which are passed on without being looked at. What may wait, or calls
back, is called without the GIL (CDLL).
"""

import ctypes
import os
import struct
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Tuple, cast

from ._backend import Backend, Callback, Pressure, Sample, call_back, log
from ._levels import SEVERITIES

SONAME = "libmemprobe.so.0"
INFO = struct.Struct("=QQQQQQdII")  # struct memprobe_info


class CPressure(ctypes.Structure):
    """struct memprobe_pressure."""

    _fields_ = [("severity", ctypes.c_uint32), ("reserved", ctypes.c_uint32),
                ("wanted_bytes", ctypes.c_uint64), ("deadline_ns", ctypes.c_uint64)]


PressureFn = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.POINTER(CPressure), ctypes.c_void_p)

SIGNATURES: Tuple[Tuple[str, Any, List[Any]], ...] = (
    ("memprobe_point", ctypes.c_void_p, [ctypes.c_char_p, ctypes.c_int]),
    ("memprobe_check_point", ctypes.c_int, [ctypes.c_void_p, ctypes.c_void_p]),
    ("memprobe_sample", ctypes.c_int, [ctypes.c_void_p]),
    ("memprobe_fast_check", ctypes.c_int, [ctypes.c_uint64]),
    ("memprobe_on_pressure", ctypes.c_int, [PressureFn, ctypes.c_void_p]),
    ("memprobe_off_pressure", ctypes.c_int, [ctypes.c_int]),
    ("memprobe_relieve", ctypes.c_uint64, [ctypes.POINTER(CPressure)]),
    ("memprobe_agent_start", ctypes.c_int, []),
    ("memprobe_agent_stop", ctypes.c_int, []),
)


def candidates(package: Path) -> Iterator[str]:
    """Where the library may be, for a package in that folder: beside it in the build tree, beside
    it where both are installed (PREFIX/share/memprobe-bpf/python/memprobe), where the system has
    its libraries."""
    yield str(package.parents[2] / "build" / "libmemprobe.so")
    if len(package.parents) > 3:
        prefix = package.parents[3]
        yield str(prefix / "lib" / SONAME)
        yield str(prefix / "lib64" / SONAME)
    yield SONAME


def load(environ: Mapping[str, str], package: Path) -> Optional["Native"]:
    """$MEMPROBE_LIBRARY, whatever it is, or the first of the candidates that there is. None when
    there is none, or the variable is empty. ImportError: that of the variable cannot be used."""
    chosen = environ.get("MEMPROBE_LIBRARY")
    if chosen is not None:
        return _load_chosen(chosen) if chosen else None
    for path in candidates(package):
        if "/" in path and not os.path.exists(path):
            continue
        try:
            return Native(path)
        except (OSError, AttributeError) as error:
            if "/" in path:  # it is there: somebody will want to know
                log.warning("%s cannot be used: %s", path, error)
    return None


def _load_chosen(path: str) -> "Native":
    try:
        return Native(path)
    except (OSError, AttributeError) as error:
        raise ImportError(f"MEMPROBE_LIBRARY={path}: {error} (set it to nothing to do without "
                          "the library)") from error


def last_error(what: str) -> OSError:
    """Of a call by CDLL."""
    number = ctypes.get_errno()
    return OSError(number, f"{what}: {os.strerror(number)}")


class Native(Backend):
    """OSError, AttributeError: no such library, or one that lacks a function."""

    has_c = True

    def __init__(self, path: str) -> None:
        quick = ctypes.PyDLL(path)
        self._slow = ctypes.CDLL(path, use_errno=True)
        for name, result, arguments in SIGNATURES:
            function = getattr(self._slow, name)
            function.restype, function.argtypes = result, arguments
        self.origin = path
        self._check = quick.memprobe_check_point
        self._sample = quick.memprobe_sample
        self._severity = quick.memprobe_severity
        self._fast_check = quick.memprobe_fast_check
        self._enter = quick.memprobe_enter
        self._enter.restype = ctypes.c_uint64
        self._exit = quick.memprobe_exit
        self._exit.restype = None
        self.watched = _semaphore(quick)
        self._buffers: List[Tuple[Any, Any]] = []
        self._thresholds: Dict[int, ctypes.c_uint64] = {}
        self._callbacks: Dict[int, Any] = {}

    def point(self, name: str, level: int) -> ctypes.c_void_p:
        address = self._slow.memprobe_point(name.encode("utf-8", "surrogateescape"), level)
        if not address:
            raise last_error(f"point {name!r}")
        return ctypes.c_void_p(address)

    def sample(self, point: ctypes.c_void_p) -> Sample:
        buffer = self._take_buffer()
        if self._check(point, buffer[1]):
            self._fail(self._slow.memprobe_check_point, point, buffer[0])
        return self._give_back(buffer)

    def fresh(self) -> Sample:
        buffer = self._take_buffer()
        if self._sample(buffer[1]):
            self._fail(self._slow.memprobe_sample, buffer[0])
        return self._give_back(buffer)

    # A buffer is taken out while it is used: a signal handler, or another thread, may
    # check memory in between.

    def _take_buffer(self) -> Tuple[Any, Any]:
        try:
            return self._buffers.pop()
        except IndexError:
            buffer = ctypes.create_string_buffer(INFO.size)
            return buffer, ctypes.byref(buffer)

    def _give_back(self, buffer: Tuple[Any, Any]) -> Sample:
        sample = INFO.unpack_from(buffer[0])
        self._buffers.append(buffer)
        return cast(Sample, sample)

    def severity(self) -> int:
        severity: int = self._severity()
        return severity

    def is_above(self, threshold_bytes: int) -> bool:
        threshold = self._thresholds.get(threshold_bytes)
        if threshold is None:
            threshold = self._keep_threshold(threshold_bytes)
        result: int = self._fast_check(threshold)
        if result < 0:
            self._fail(self._slow.memprobe_fast_check, threshold_bytes)
        return result == 1

    def enter(self, point: ctypes.c_void_p) -> Any:
        return ctypes.c_uint64(self._enter(point, ZERO))

    def leave(self, point: ctypes.c_void_p, call: Any) -> None:
        self._exit(point, call)

    def on_pressure(self, callback: Callback) -> int:
        def answer(pressure: Any, _: Any) -> int:
            return call_back(callback, _pressure_of(pressure.contents))

        function = PressureFn(answer)
        handle: int = self._slow.memprobe_on_pressure(function, None)
        if handle < 0:
            raise last_error("on_pressure")
        self._callbacks[handle] = function  # the library has no reference to it
        return handle

    def off_pressure(self, handle: int) -> None:
        function = self._callbacks.pop(handle)
        if self._slow.memprobe_off_pressure(handle):
            self._callbacks[handle] = function
            raise last_error("off_pressure")

    def relieve(self, pressure: Pressure) -> int:
        request = CPressure(SEVERITIES.index(pressure.severity), 0, pressure.wanted_bytes,
                            int(pressure.deadline * 1e9))
        return int(self._slow.memprobe_relieve(ctypes.byref(request)))

    def agent_start(self) -> None:
        if self._slow.memprobe_agent_start():
            raise last_error("relief agent")

    def agent_stop(self) -> None:
        self._slow.memprobe_agent_stop()

    def _keep_threshold(self, threshold_bytes: int) -> ctypes.c_uint64:
        """Thresholds are few and constant; of many none is kept."""
        threshold = ctypes.c_uint64(threshold_bytes)
        if len(self._thresholds) < 64:
            self._thresholds[threshold_bytes] = threshold
        return threshold

    @staticmethod
    def _fail(function: Callable[..., int], *arguments: Any) -> None:
        """Calls it (again) in the way that shows errno; OSError if it fails (again)."""
        if function(*arguments) < 0:
            raise last_error("memory cannot be sampled")


ZERO = ctypes.c_uint64(0)


def _semaphore(library: ctypes.CDLL) -> memoryview:
    """The kernel counts the monitors' probes in there."""
    counter = (ctypes.c_ushort * 1).in_dll(library, "memprobe_enter_semaphore")
    return memoryview(counter).cast("B").cast("H")


def _pressure_of(pressure: CPressure) -> Pressure:
    return Pressure(SEVERITIES[min(pressure.severity, 3)], pressure.wanted_bytes,
                    pressure.deadline_ns / 1e9)
