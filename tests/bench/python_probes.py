# SPDX-License-Identifier: GPL-2.0-only
"""What the Python package costs, beside what the documented implementation's way of measuring does,
psutil, and sys.setprofile; and relief of garbage, asked through the agent's socket."""

import json
import os
import socket
import statistics
import struct
import subprocess
import sys
import time

from common import REPEATS, TOP, headline, pinned, report

ENVIRON = dict(os.environ, PYTHONPATH=str(TOP / "user/python"),
               MEMPROBE_LIBRARY=str(TOP / "build/libmemprobe.so"))
REQUEST = struct.Struct("=IHHQQQ")
REPLY = struct.Struct("=IHHQQQII")
PAGE = os.sysconf("SC_PAGE_SIZE")

# Each way is timed in turns with the others, in one process; prints the best of each in nanoseconds.
COSTS = '''
import json, sys, time, timeit
import memprobe
from memprobe._runtime import runtime

def documented():
    """As the documented check does it: all of /proc/meminfo, by text, and a dict of the result."""
    fields = {}
    with open("/proc/meminfo", "rb") as meminfo:
        for line in meminfo:
            words = line.split()
            fields[words[0]] = int(words[1]) * 1024
    total, available = fields[b"MemTotal:"], fields[b"MemAvailable:"]
    usage = round((total - available) / total * 100, 1) / 100.0
    return {"probe_name": "p", "memory_usage": usage, "memory_available_mb": available / 1048576,
            "timestamp": time.time(), "check_count": 1, "threshold_warning": .75,
            "threshold_critical": .9, "level": "medium", "context": {}}

def bare(a, b):
    return a

def other(a, b):
    return a

def injected(a, b):
    return a

suppressed = memprobe.probe_memory(level="low")(bare)
due = memprobe.probe_memory(level="low")(bare)
memprobe.get_probe_manager().add_custom_probe("__main__.injected", level="low")
for cell in due.__closure__:
    if type(cell.cell_contents).__name__ == "Probe":
        cell.cell_contents._interval = -1.0  # it looks before and after each call

class Fresh:
    """A backend that takes no earlier sample."""
    def __getattr__(self, name):
        return getattr(real, name)
    def sample(self, point):
        return real.fresh()

real = runtime.backend
fresh = Fresh()

def check_sampled(number):
    runtime.backend = fresh
    try:
        return timeit.timeit("check('bench')", globals={"check": memprobe.check_memory}, number=number)
    finally:
        runtime.backend = real

def timed(statement, **names):
    return lambda number: timeit.timeit(statement, globals=names, number=number)

def with_profile(number):
    sys.setprofile(lambda frame, event, arg: None)
    try:
        return timeit.timeit("f(1, 2)", globals={"f": other}, number=number)
    finally:
        sys.setprofile(None)

ways = {
    "documented": (timed("f()", f=documented), 2000),
    "check sampled": (check_sampled, 10000),
    "check reused": (timed("f('bench')", f=memprobe.check_memory), 20000),
    "fast_check": (timed("f(10**6)", f=memprobe.fast_check), 50000),
    "bare": (timed("f(1, 2)", f=bare), 200000),
    "due": (timed("f(1, 2)", f=due), 20000),
    "suppressed": (timed("f(1, 2)", f=suppressed), 100000),
    "injected": (timed("f(1, 2)", f=injected), 100000),
    "other": (timed("f(1, 2)", f=other), 200000),
    "setprofile": (with_profile, 50000),
}
try:
    import psutil
    ways["psutil"] = (timed("f()", f=psutil.virtual_memory), 2000)
except ImportError:
    pass
times = {name: [] for name in ways}
for _ in range(int(sys.argv[1])):
    for name, (way, number) in ways.items():
        times[name].append(way(number) / number * 1e9)
print(json.dumps({name: min(values) for name, values in times.items()}))
'''

# The same functions in a process that knows nothing of points.
UNTOUCHED = '''
import sys, timeit
def other(a, b):
    return a
print(min(timeit.timeit("f(1, 2)", globals={"f": other}, number=200000) / 200000 * 1e9
          for _ in range(int(sys.argv[1]))))
'''

GARBAGE = '''
import gc, sys, memprobe
gc.disable()
size, count = int(sys.argv[1]), int(sys.argv[2])
for _ in range(count):
    cycle = [bytearray(b"x") * size]
    cycle.append(cycle)
del cycle
memprobe.start_agent()
print("ready", flush=True)
sys.stdin.read()
'''


def python(code, *args):
    command = pinned(1, [sys.executable, "-c", code, *args])
    return subprocess.run(command, env=ENVIRON, stdout=subprocess.PIPE, text=True, check=True).stdout


def bench_costs():
    headline(f"Python package, a call (best of {REPEATS})")
    cost = json.loads(python(COSTS, str(REPEATS)))
    untouched = float(python(UNTOUCHED, str(REPEATS)))
    report("as documented: /proc/meminfo by text", f"{cost['documented'] / 1000:.1f} us", "25.4 us then")
    if "psutil" in cost:
        report("psutil.virtual_memory()", f"{cost['psutil'] / 1000:.1f} us")
    for name, what, limit in (("check sampled", "check_memory(), a new sample", 5),
                              ("check reused", "check_memory(), reused", 2)):
        microseconds = cost[name] / 1000
        report(what, f"{microseconds:.2f} us", f"<= {limit} us", microseconds <= limit)
    report("  documented / new sample", f"{cost['documented'] / cost['check sampled']:.0f} x")
    report("fast_check()", f"{cost['fast_check']:.0f} ns")
    report("a bare call", f"{cost['bare']:.0f} ns")
    for name, what, limit in (("due", "decorated, looking before and after: beyond", 2000),
                              ("suppressed", "decorated, within the interval: beyond", 300),
                              ("injected", "custom probe, within the interval: beyond", 300)):
        beyond = cost[name] - cost["bare"]
        report(what, f"{beyond:.0f} ns", f"<= {limit} ns", beyond <= limit)
    report("a function that is no point, before", f"{untouched:.1f} ns")
    ratio = cost["other"] / untouched
    report("  beside points / before", f"{ratio:.2f}", "0.85 to 1.15", 0.85 <= ratio <= 1.15)
    report("  with sys.setprofile / before", f"{cost['setprofile'] / untouched:.1f}")


def rss_of(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * PAGE


def ask(pid):
    """As the monitor asks. (bytes that it says, bytes that it shrank by, milliseconds)"""
    before = rss_of(pid)
    begin = time.monotonic()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer:
        peer.connect(f"/tmp/.memprobe-relief.{pid}")
        peer.send(REQUEST.pack(0x4652504D, 1, 3, 1, 0, 10 * 10**9))
        freed = REPLY.unpack(peer.recv(100))[4]
    took = (time.monotonic() - begin) * 1e3
    return freed, before - rss_of(pid), took


def relief_of(size, count):
    process = subprocess.Popen([sys.executable, "-c", GARBAGE, str(size), str(count)], env=ENVIRON,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdout.readline()
    try:
        return ask(process.pid)
    finally:
        process.communicate()


def bench_relief():
    headline("500 MB of garbage cycles, given back when asked through the agent's socket")
    for what, size, count in (("cycles of 64 KB", 64 << 10, 8000), ("cycles of 1 KB", 1000, 500000)):
        results = [relief_of(size, count) for _ in range(min(REPEATS, 3))]
        freed, really, took = (statistics.median(column) for column in zip(*results))
        off = (freed / really - 1) * 100 if really else 100
        report(f"{what}: asked to done", f"{took:.0f} ms")
        report("  freed, as it says", f"{freed / 1048576:.0f} MiB")
        report("  beside the real change", f"{off:+.1f} %", "within 10 %", abs(off) <= 10)


def bench_python():
    bench_costs()
    bench_relief()
