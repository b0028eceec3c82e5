#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Benchmarks of memprobe-bpf: what a probe costs, how fast it attaches, how
much it takes in, what it costs when nothing happens. Ratios are between runs
that take turns in one session, medians of several, so that they hold on a
noisy machine. Started by run.sh, from the top of the tree.
"""

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import (CALLS, EMPTY_PAIR, LIBRARY, MARKED, MEMPROBE, REPEATS, WATCHED, WORKLOAD,
                    Monitor, Target, cpu_ns, headline, kib_of, pinned, report, rows, workload_args)
from gguf import bench_gguf
from harness import bench_harness
from injection import bench_attach_python
from library import bench_lib
from loading import bench_load
from pressure import bench_latency, bench_sources
from python_injection import bench_python_injection
from python_probes import bench_python
from relief import bench_relief


# --- what a call costs ---------------------------------------------------------


def cost_bare(target, function):
    return target.finish()["ns_per_call"]


def cost_empty(target, function):
    pair = subprocess.Popen(EMPTY_PAIR + [CALLS, "probe_" + function], text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    pair.stdout.readline()
    cost = target.finish()["ns_per_call"]
    pair.communicate()
    return cost


def cost_memprobe(target, function):
    monitor = Monitor(["--target", str(target.pid), "--point",
                       f"p=high@{CALLS}:probe_{function}"])
    cost = target.finish()["ns_per_call"]
    monitor.finish()
    return cost


def cost_bpftrace(target, function):
    site = f"{CALLS}:probe_{function}"
    script = (f"uprobe:{site} {{ @start[tid] = nsecs; }} "
              f"uretprobe:{site} /@start[tid]/ "
              f"{{ @ns = hist(nsecs - @start[tid]); delete(@start[tid]); }}")
    tracer = subprocess.Popen(["bpftrace", "-e", script], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    tracer.stdout.readline()  # "Attaching 2 probes..."
    time.sleep(1)
    cost = target.finish()["ns_per_call"]
    tracer.send_signal(signal.SIGINT)
    tracer.communicate()
    return cost


def median_costs(function, calls, ways):
    """Median ns a call of each way, which take turns."""
    costs = {name: [] for name, _ in ways}
    for _ in range(REPEATS):
        for name, measure in ways:
            target = Target([CALLS, "--calls", str(calls), "--function", function], cpu=1)
            costs[name].append(measure(target, function))
    return {name: statistics.median(values) for name, values in costs.items()}


def bench_cost():
    headline(f"Entry and return of a function, ns a call (median of {REPEATS})")
    ways = [("bare", cost_bare), ("empty BPF pair", cost_empty), ("memprobe-bpf", cost_memprobe)]
    if shutil.which("bpftrace"):
        ways.append(("bpftrace, map and histogram", cost_bpftrace))
    else:
        print("  no bpftrace here: no comparison with it")
    for function, calls in ("push", 500009), ("endbr", 100003):
        cost = median_costs(function, calls, ways)
        for name, ns in cost.items():
            report(f"{function}: {name}", f"{ns:.0f} ns")
        report_ratios(function, cost)


def report_ratios(function, cost):
    own = cost["memprobe-bpf"]
    peer = cost.get("bpftrace, map and histogram")
    if function == "push":
        ratio = own / cost["empty BPF pair"]
        report("push: memprobe-bpf / empty pair", f"{ratio:.2f}", "<= 1.25", ratio <= 1.25)
        if peer:
            report("push: memprobe-bpf / bpftrace", f"{own / peer:.2f}", "<= 0.75",
                   own / peer <= 0.75)
    elif peer:
        report("endbr: bpftrace / memprobe-bpf", f"{peer / own:.1f}", ">= 8", peer / own >= 8)


# --- what a marker costs -----------------------------------------------------------


def semaphore_offset(symbol):
    """Where in libmemprobe's file a semaphore is."""
    sections = subprocess.run(["readelf", "-SW", LIBRARY], check=True, text=True,
                              capture_output=True).stdout
    address, offset = (int(n, 16) for n in
                       sections.split(" .probes ")[1].split("PROGBITS")[1].split()[:2])
    symbols = subprocess.run(["nm", "-D", LIBRARY], check=True, text=True,
                             capture_output=True).stdout
    value = next(line.split()[0] for line in symbols.splitlines()
                 if line.endswith(symbol) or f"{symbol}@" in line)
    return int(value, 16) - address + offset


def marker_bare(target):
    return target.finish()["ns_per_call"]


def marker_empty(target):
    sites = [f"memprobe_marker_{name}@{semaphore_offset(f'memprobe_{name}_semaphore')}"
             for name in ("enter", "exit")]
    pair = subprocess.Popen(EMPTY_PAIR + [LIBRARY] + sites, text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    pair.stdout.readline()
    result = target.finish()
    pair.communicate()
    if result["watched"] != result["calls"]:
        print("  the empty program did not raise the semaphore: the ratio means nothing")
    return result["ns_per_call"]


def marker_memprobe(target):
    with tempfile.TemporaryDirectory() as folder:
        points = Path(folder) / "none.yaml"
        points.write_text("version: 1\npoints: []\n")
        monitor = Monitor(["--target", str(target.pid), "--points", str(points)])
        cost = target.finish()["ns_per_call"]
        monitor.finish()
    return cost


def bench_marker():
    headline(f"A point of libmemprobe, enter and exit, ns a call (median of {REPEATS})")
    ways = {"nothing attached": (marker_bare, 20000003),
            "empty BPF program on both": (marker_empty, 500009),
            "memprobe-bpf": (marker_memprobe, 500009)}
    costs = {name: [] for name in ways}
    for _ in range(REPEATS):
        for name, (measure, calls) in ways.items():
            target = Target([MARKED, "--calls", str(calls), "--point", "p"], cpu=1)
            costs[name].append(measure(target))
    cost = {name: statistics.median(values) for name, values in costs.items()}
    for name, ns in cost.items():
        report(name, f"{ns:.1f} ns" if ns < 100 else f"{ns:.0f} ns")
    ratio = cost["memprobe-bpf"] / cost["empty BPF program on both"]
    report("memprobe-bpf / empty program", f"{ratio:.2f}", "<= 1.3", ratio <= 1.3)


# --- attach and detach ---------------------------------------------------------


def write_many(folder, count):
    """A program with that many functions, and their points. Gives both paths."""
    source = Path(folder) / "many.c"
    binary = Path(folder) / "many"
    points = Path(folder) / "many.yaml"
    with source.open("w") as out:
        out.write("#include <stdio.h>\n#include <unistd.h>\n")
        for i in range(count):
            out.write(f"int many_{i}(int n) {{ return n * {i + 3}; }}\n")
        out.write('int main(void) { printf("ready %d\\n", (int)getpid()); fflush(stdout);'
                  " pause(); return 0; }\n")
    subprocess.run(["gcc", "-O1", str(source), "-o", str(binary)], check=True)
    with points.open("w") as out:
        out.write("version: 1\npoints:\n")
        for i in range(count):
            out.write(f"  - {{name: many_{i}, level: low, symbol: many_{i}}}\n")
    return str(binary), str(points)


def measure_attach(command, args):
    ready, detach = [], []
    for _ in range(REPEATS):
        target = Target(command)
        monitor = Monitor(["--target", str(target.pid)] + args)
        summary = monitor.stop()
        target.kill()
        ready.append(monitor.ready_ms)
        detach.append(monitor.detach_ms)
    return statistics.median(ready), statistics.median(detach), len(summary["points"])


def report_attach(command, args, expected, limit_ms):
    ready, detach, points = measure_attach(command, args)
    if points != expected:
        print(f"  {points} points instead of {expected}: the figures below mean nothing")
    report(f"{expected} points: ready after", f"{ready:.0f} ms", f"<= {limit_ms} ms",
           ready <= limit_ms)
    report(f"{expected} points: detached after", f"{detach:.0f} ms", "<= 300 ms", detach <= 300)


def bench_attach():
    headline(f"From exec to ready, from SIGINT to the end (median of {REPEATS})")
    report_attach([WORKLOAD, "--size", "1"], workload_args(), 8, 100)
    with tempfile.TemporaryDirectory() as folder:
        binary, points = write_many(folder, 1000)
        report_attach([binary], ["--points", points], 1000, 500)


# --- how much it takes in --------------------------------------------------------


def read_until_start(fd):
    """Byte by byte, so that nothing after the start record is taken from its reader."""
    line = b""
    while b'"start"' not in line or not line.endswith(b"\n"):
        byte = os.read(fd, 1)
        if not byte:
            sys.exit("bench: the monitor ended before it had started")
        line = byte if line.endswith(b"\n") else line + byte


def flood(calls, extra, cpus=(None, None)):
    """A record of every call, with the output going through a pipe into a
    program that reads all of it. Gives the summary, what was lost by source
    and the seconds it took."""
    with tempfile.TemporaryDirectory() as folder:
        policy = Path(folder) / "policy.yaml"
        policy.write_text("version: 1\ncheck_interval_ms: 0\n")
        target = Target([CALLS, "--calls", str(calls)] + extra, cpu=cpus[1])
        command = [MEMPROBE, "attach", "--format", "json", "--target", str(target.pid),
                   "--point", f"p=high@{CALLS}:probe_push", "--policy", str(policy)]
        monitor = subprocess.Popen(command if cpus[0] is None else pinned(cpus[0], command),
                                   stdout=subprocess.PIPE, bufsize=0)
        read_until_start(monitor.stdout.fileno())
        tail_command = ["tail", "-n", "8"]
        tail = subprocess.Popen(tail_command if cpus[1] is None else pinned(cpus[1], tail_command),
                                stdin=monitor.stdout, stdout=subprocess.PIPE)
        monitor.stdout.close()
        begin = time.monotonic()
        target.finish()
        seconds = time.monotonic() - begin
        output, _ = tail.communicate()
        monitor.wait()
    last = [json.loads(line) for line in output.splitlines()]
    summary = next(record for record in last if record["type"] == "summary")
    lost = {record["source"]: record["count"] for record in last if record["type"] == "lost"}
    return summary, lost, seconds


def bench_throughput():
    headline("Records of every call, as JSON into a pipe")
    # 100,000 calls a second, two records each.
    summary, lost, seconds = flood(1000000, ["--threads", "2", "--rate", "50000"])
    point = summary["points"][0]
    rate = 2 * point["hits"] / seconds
    report(f"events a second, for {seconds:.0f} s", f"{rate:.0f}", ">= 199000", rate >= 199000)
    report("  lost on the way to user space", f"{point['lost']}", "0", point["lost"] == 0)
    unseen = lost.get("output", 0)
    report("  lost on the way out, as JSON", f"{unseen}", "0", summary["complete"])
    # As many as one CPU can make; the monitor has another one to itself.
    summary, lost, seconds = flood(1000000, [], cpus=(0, 1))
    drained = summary["received"] / seconds
    seen = drained - lost.get("output", 0) / seconds
    report("highest rate drained by one core, events/s", f"{drained:.0f}")
    report("  of which went out as JSON", f"{seen:.0f}")


# --- when nothing happens ------------------------------------------------------


def bench_idle():
    seconds = int(os.environ.get("BENCH_IDLE_SECONDS", "20"))
    headline(f"A monitor with 8 points, and nothing happens for {seconds} s")
    target = Target([WORKLOAD, "--size", "1"])
    monitor = Monitor(["--target", str(target.pid)] + workload_args())
    pid = monitor.process.pid
    time.sleep(1)
    before = cpu_ns(pid)
    time.sleep(seconds)
    percent = (cpu_ns(pid) - before) / (seconds * 1e9) * 100
    rss = kib_of(pid, "status", "VmRSS") / 1024
    pss = kib_of(pid, "smaps_rollup", "Pss") / 1024
    anon = kib_of(pid, "status", "RssAnon") / 1024
    monitor.stop()
    target.kill()
    report("RSS", f"{rss:.1f} MiB", "<= 10 MB", rss * 1.048576 <= 10)
    report("  of it anonymous", f"{anon:.1f} MiB")
    report("PSS", f"{pss:.1f} MiB")
    report("CPU", f"{percent:.3f} %", "< 0.1 %", percent < 0.1)


# --- Python functions by hardware watchpoints -----------------------------------------


def watched_python(calls, watch):
    """ns a call of a function that is a point and of one that is none, watched or not."""
    with tempfile.TemporaryDirectory() as folder:
        points = Path(folder) / "points.yaml"
        points.write_text("version: 1\npoints:\n"
                          "  - {name: count, level: high, python: shop.stock.count}\n")
        target = Target([os.path.realpath(sys.executable), WATCHED, "calls", str(calls)], cpu=1)
        if not watch:
            return target.finish()
        os.environ["MEMPROBE_WATCHPOINT_RISK"] = "1"
        monitor = Monitor(["--target", str(target.pid), "--points", str(points),
                           "--python-mode", "watchpoint", "--quiet"], cpu=0)
        while b'"status":"attached"' not in monitor.process.stdout.readline():
            pass  # the functions are looked for behind the start record
        result = target.finish()
        summary = monitor.finish()
    result["hits"] = summary["points"][0]["hits"]
    return result


def bench_watchpoint():
    calls = 50021
    headline(f"A Python function under a hardware watchpoint, ns a call (median of {REPEATS})")
    bare, watched = [], []
    for _ in range(REPEATS):
        bare.append(watched_python(calls, False))
        watched.append(watched_python(calls, True))
    median = {name: statistics.median(run[key] for run in runs)
              for name, runs, key in (("bare", bare, "ns"), ("point", watched, "ns"),
                                      ("other, bare", bare, "other_ns"),
                                      ("other", watched, "other_ns"))}
    report("bare", f"{median['bare']:.0f} ns")
    report("as a point", f"{median['point']:.0f} ns")
    ratio = median["other"] / median["other, bare"]
    report("a function that is none: watched / bare", f"{ratio:.2f}", "<= 1.10", ratio <= 1.10)
    extra = max(run["hits"] - calls for run in watched)
    report(f"hits beyond {calls} calls", f"{extra}", "<= 4", 0 <= extra <= 4)


BENCHES = {"cost": bench_cost, "marker": bench_marker, "watchpoint": bench_watchpoint,
           "attach": bench_attach, "attach_python": bench_attach_python,
           "throughput": bench_throughput, "idle": bench_idle, "sources": bench_sources,
           "latency": bench_latency, "lib": bench_lib, "python": bench_python,
           "injection": bench_python_injection, "relief": bench_relief,
            "harness": bench_harness, "gguf": bench_gguf, "load": bench_load}


def main():
    names = sys.argv[1:] or list(BENCHES)
    for name in names:
        if name not in BENCHES:
            sys.exit(f"bench: no benchmark {name}; there are: {' '.join(BENCHES)}")
    print(f"memprobe-bpf benchmarks: Linux {os.uname().release}, {os.cpu_count()} CPUs")
    for name in names:
        BENCHES[name]()
    missed = sum(verdict == "MISS" for _, _, _, verdict in rows)
    passed = sum(verdict == "pass" for _, _, _, verdict in rows)
    print(f"\nbench: {passed} figures reach their target, {missed} do not")


if __name__ == "__main__":
    main()
