# SPDX-License-Identifier: GPL-2.0-only
"""Attaching to a live Python: how long until its first event, and what it notices of it."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import MEMPROBE, REPEATS, TOP, headline, pinned, report

TOOL = str(TOP / "build/tools/inject")

# Calls a function all the time, and tells the longest time between two calls.
LOOP = """
import sys, time
def tick(): pass
print("ready", flush=True)
end = time.monotonic() + float(sys.argv[1])
now = time.perf_counter_ns
last = now()
longest = 0
while time.monotonic() < end:
    tick()
    at = now()
    if at - last > longest: longest = at - last
    last = at
print(longest, flush=True)
"""


def start_loop(seconds):
    loop = subprocess.Popen(pinned(1, [os.path.realpath(sys.executable), "-c", LOOP, str(seconds)]),
                            stdout=subprocess.PIPE, text=True)
    loop.stdout.readline()
    return loop


def longest_gap(loop):
    gap = int(loop.stdout.readline())
    loop.wait()
    loop.stdout.close()
    return gap / 1e6


def first_event_ms(pid, points):
    """From the start of the monitor's process to its first probe record."""
    command = pinned(0, [MEMPROBE, "attach", "--target", str(pid), "--points", points,
                         "--no-pressure", "--format", "json"])
    begin = time.monotonic_ns()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as monitor:
        for line in monitor.stdout:
            if json.loads(line)["type"] == "probe":
                break
        took = (time.monotonic_ns() - begin) / 1e6
        monitor.terminate()
        monitor.stdout.read()
    return took


def stops_ms(times):
    """How long the thread is stopped by one call from outside."""
    loop = start_loop(1 + times * 0.1)
    stops = []
    with tempfile.NamedTemporaryFile("w", suffix=".py") as script:
        for _ in range(times):
            shown = subprocess.run([TOOL, "run", str(loop.pid), script.name], check=True,
                                   capture_output=True, text=True)
            stops.append(int(shown.stdout) / 1000)
    loop.kill()
    loop.wait()
    loop.stdout.close()
    return stops


def bench_attach_python():
    headline(f"Attaching to a live Python {sys.version.split()[0]} (each of {REPEATS} runs)")
    events, gaps = [], []
    with tempfile.TemporaryDirectory() as folder:
        points = Path(folder) / "points.yaml"
        points.write_text("version: 1\npoints:\n"
                          "  - {name: tick, level: high, python: __main__.tick}\n")
        for number in range(REPEATS):
            loop = start_loop(2)
            events.append(first_event_ms(loop.pid, str(points)))
            gaps.append(longest_gap(loop))
            report(f"run {number + 1}: first event", f"{events[-1]:.0f} ms", "< 200 ms",
                   events[-1] < 200)
    stops = stops_ms(4 * REPEATS)
    report(f"the thread is stopped (median of {len(stops)})", f"{statistics.median(stops):.2f} ms",
           "< 5 ms", statistics.median(stops) < 5)
    report("the same, longest", f"{max(stops):.2f} ms", "< 5 ms", max(stops) < 5)
    report("longest time between two calls (median)", f"{statistics.median(gaps):.1f} ms")
    report("the same, with nobody attached", f"{longest_gap(start_loop(2)):.1f} ms")
