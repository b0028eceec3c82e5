# SPDX-License-Identifier: GPL-2.0-only
"""memprobe: memory injection points in Python programs, seen by memprobe-bpf.

    from memprobe import check_memory, probe_memory

    check_memory("my_operation")["memory_usage"]

    @probe_memory(level="critical")
    def load(path): ...

Works by itself; with libmemprobe.so (HAS_C_PROBES) it is faster, and a monitor sees the points.
docs/python.md has the whole of it.
"""

from ._backend import Pressure
from ._engine import EngineError
from .environment import EnvironmentSimulator
from .pressure import (MemoryGuard, MemoryManager, MemoryPressurer, get_memory_guard,
                       get_memory_manager)
from .probes import (HAS_C_PROBES, MemoryInfo, MemoryOverflowError, ProbeManager, check_memory,
                     configure, fast_check, get_probe_manager, initialize_probes, mem_probe,
                     probe_memory)
from .quantization import get_optimal_quantization, get_quantization_advice
from .relief import off_pressure, on_pressure, relieve, start_agent, stop_agent

__version__ = "0.1.0"

__all__ = [
    "EngineError", "EnvironmentSimulator", "HAS_C_PROBES", "MemoryGuard", "MemoryInfo",
    "MemoryManager", "MemoryOverflowError", "MemoryPressurer", "Pressure", "ProbeManager",
    "check_memory", "configure", "fast_check", "get_memory_guard", "get_memory_manager",
    "get_optimal_quantization", "get_probe_manager", "get_quantization_advice", "initialize_probes", "mem_probe", "off_pressure", "on_pressure", "probe_memory", "relieve",
    "start_agent", "stop_agent",
]
