# SPDX-License-Identifier: GPL-2.0-only
"""What an injected wrapper costs its function, and those that are no points, beside sys.setprofile.

    tests/bench/python_injection.py [PYTHON...]

Uprobes come on top where a monitor is on the markers: here the semaphores are played, and the
markers are the bare functions.
"""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/bench"))
from common import REPEATS, headline, report  # noqa: E402

# In the interpreter that is measured. Ways take turns, so that all see the same machine.
COSTS = '''
import base64, json, sys, time, timeit, zlib
inject, marker = sys.argv[1:]
with open(inject) as file:
    code = compile(file.read(), inject, "exec")
with open(marker, "rb") as file:
    packed = base64.b64encode(zlib.compress(file.read())).decode()

def bare(a, b): return a
def point(a, b): return a
def other(a, b): return a
def gen(n):
    for i in range(n): yield i
def point_gen(n):
    for i in range(n): yield i

def cost(function, *arguments, number=50000):
    timer = timeit.Timer("f(*a)" if len(arguments) != 2 else "f(1, 2)",
                         globals={"f": function, "a": arguments})
    return timer.timeit(number) / number * 1e9

def best(*ways):
    rounds = [[way() for way in ways] for _ in range(15)]
    return [min(column) for column in zip(*rounds)]

result = {}
result["before"], = best(lambda: cost(other, 1, 2))
start = time.perf_counter()
namespace = {"__name__": "__memprobe_inject__"}
exec(code, namespace)
installed = namespace["install"]({"version": 1, "token": "t", "marker": packed, "wait_s": 1e9,
    "points": [{"name": n, "level": 1, "python": "__main__." + n} for n in ("point", "point_gen")]})
result["install_ms"] = (time.perf_counter() - start) * 1e3
assert [p["status"] for p in installed["points"]] == ["attached"] * 2, installed
session = [v for k, v in vars(sys).items() if "memprobe" in k][0].session
markers = session.markers

def up(way):
    def run():
        markers.gate.value = markers._exit_gate.value = 1
        try: return way()
        finally: markers.gate.value = markers._exit_gate.value = 0
    return run

session.idle.until_if_used = 1e18
result["bare"], result["idle"], result["up"], result["other"] = best(
    lambda: cost(bare, 1, 2), lambda: cost(point, 1, 2), up(lambda: cost(point, 1, 2)),
    lambda: cost(other, 1, 2))
result["gen"], result["gen_idle"], result["gen_up"] = best(
    lambda: cost(lambda: list(gen(100)), number=3000),
    lambda: cost(lambda: list(point_gen(100)), number=3000),
    up(lambda: cost(lambda: list(point_gen(100)), number=3000)))
start = time.perf_counter()
namespace["remove"]()
result["remove_ms"] = (time.perf_counter() - start) * 1e3
result["removed"], = best(lambda: cost(point, 1, 2))

def profiled():
    sys.setprofile(lambda frame, event, argument: None)
    try: return cost(other, 1, 2)
    finally: sys.setprofile(None)

result["setprofile"], = best(profiled)
result["version"] = "%d.%d.%d" % sys.version_info[:3]
print(json.dumps(result))
'''


def median_of(python):
    """Of several processes, since where things lie in memory differs between them."""
    command = [python, "-S", "-c", COSTS, str(TOP / "user/python/memprobe/_inject.py"),
               str(TOP / "build/memprobe-marker.so")]
    runs = [json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
            for _ in range(REPEATS)]
    return {key: statistics.median(run[key] for run in runs) if key != "version" else value
            for key, value in runs[0].items()}


def bench_python_injection(python=sys.executable):
    cost = median_of(python)
    headline(f"Python {cost['version']}, injected: cost of a call")
    report("bare", f"{cost['bare']:.0f} ns")
    idle, up = cost["idle"] - cost["bare"], cost["up"] - cost["bare"]
    report("  a point, nobody attached: beyond", f"{idle:.0f} ns", "<= 300 ns", idle <= 300)
    report("  a point, semaphores up, no uprobes: beyond", f"{up:.0f} ns", "<= 2000 ns", up <= 2000)
    report("  taken out / bare", f"{cost['removed'] / cost['bare']:.2f}")
    report("a generator of 100 items", f"{cost['gen']:.0f} ns")
    report("  a point, nobody attached: beyond", f"{cost['gen_idle'] - cost['gen']:.0f} ns")
    report("  a point, semaphores up: beyond", f"{cost['gen_up'] - cost['gen']:.0f} ns")
    ratio = cost["other"] / cost["before"]
    report("no point: while injected / before", f"{ratio:.2f}", "0.95 to 1.05", .95 <= ratio <= 1.05)
    report("  with sys.setprofile / before", f"{cost['setprofile'] / cost['before']:.1f}")
    report("install(), all that it loads counted", f"{cost['install_ms']:.1f} ms")
    report("remove()", f"{cost['remove_ms']:.2f} ms")


if __name__ == "__main__":
    os.chdir(TOP)
    for interpreter in sys.argv[1:] or [sys.executable]:
        bench_python_injection(interpreter)
