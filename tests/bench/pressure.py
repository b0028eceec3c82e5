# SPDX-License-Identifier: GPL-2.0-only
"""Benchmarks of pressure: what its sources cost when there is none, how long it
takes from the kernel's event to a decision, and what a gate adds to a call."""

import contextlib
import json
import os
import signal
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from common import (CALLS, MEMPROBE, WORKLOAD, Monitor, Target, cpu_ns, headline, kib_of, pinned,
                    report, workload_args)

GATED = str(Path.cwd() / "build/targets/gated")
LIMIT = 64 << 20
EVERY_10_MS = "check_interval_ms: 10\ncooldown_ms: 0\n"


def own_group():
    """The memory controller's folder of this process's own cgroup, v1 or v2."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            return Path(f"/sys/fs/cgroup/memory{path}")
    return Path(f"/sys/fs/cgroup{path}")


@contextlib.contextmanager
def limited_group():
    """A memory cgroup of LIMIT bytes; gives the file that a process is put in by."""
    group = own_group() / f"mp-bench-{os.getpid()}"
    group.mkdir()
    try:
        name = "memory.max" if (group / "memory.max").exists() else "memory.limit_in_bytes"
        (group / name).write_text(str(LIMIT))
        yield group / "cgroup.procs"
    finally:
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            try:
                group.rmdir()
                break
            except OSError:
                time.sleep(0.02)


def in_group(procs, command):
    return ["sh", "-c", f'echo $$ >{procs}; exec "$@"', "sh"] + command


# --- when there is no pressure -----------------------------------------------------


def idle_cost(extra, seconds):
    """CPU in percent and RSS in MiB of a monitor to which nothing happens."""
    target = Target([WORKLOAD, "--size", "1"])
    monitor = Monitor(["--target", str(target.pid)] + workload_args() + extra)
    pid = monitor.process.pid
    time.sleep(1)
    before = cpu_ns(pid)
    time.sleep(seconds)
    percent = (cpu_ns(pid) - before) / (seconds * 1e9) * 100
    rss = kib_of(pid, "status", "VmRSS") / 1024
    monitor.stop()
    target.kill()
    return percent, rss


def faults_cost(extra, calls):
    """ns a page fault of a program that does nothing else, under watch."""
    target = Target([CALLS, "--function", "grow", "--calls", str(calls), "--bytes", "4096"], cpu=1)
    monitor = None
    if extra is not None:
        monitor = Monitor(["--target", str(target.pid), "--point", f"p=low@{CALLS}:probe_endbr"] +
                          extra, cpu=0)
    cost = target.finish()["ns_per_call"]
    if monitor:
        monitor.finish()
    return cost


def bench_sources():
    seconds = int(os.environ.get("BENCH_IDLE_SECONDS", "20"))
    headline(f"The sources of pressure, and there is none for {seconds} s")
    without_cpu, without_rss = idle_cost(["--no-pressure"], seconds)
    with_cpu, with_rss = idle_cost([], seconds)
    more_cpu = max(0, with_cpu - without_cpu)
    more_rss = (with_rss - without_rss) * 1.048576
    report("CPU of the sources", f"{more_cpu:.3f} %", "< 0.1 %", more_cpu < 0.1)
    report("RSS of the sources", f"{more_rss:.2f} MB", "<= 1 MB", more_rss <= 1)
    ways = [("bare", None), ("without the sources", ["--no-pressure"]), ("with them", [])]
    costs = {name: [] for name, _ in ways}
    for _ in range(5):
        for name, extra in ways:
            costs[name].append(faults_cost(extra, 100003))
    for name, _ in ways:
        report(f"a page fault of a target: {name}", f"{statistics.median(costs[name]):.0f} ns")


# --- how quick ----------------------------------------------------------------------


def busy_program():
    """Something for the second core to do."""
    return subprocess.Popen(pinned(0, ["sh", "-c", "while :; do :; done"]))


def latencies(procs, folder, calls):
    """Nanoseconds from the records' time to their decisions', every call above critical.
    An interval of 10 ms: records of shorter ones are read in batches."""
    policy = Path(folder) / "policy.yaml"
    policy.write_text(f"version: 1\n{EVERY_10_MS}levels:\n"
                      "  high: {interval_factor: 1, on: {critical: [log]}}\n"
                      "  critical: {interval_factor: 1}\n")
    base = LIMIT * 92 // 100
    target = subprocess.Popen(
        pinned(1, in_group(procs, [GATED, "--base", str(base), "--bytes", "4096", "--calls",
                                   str(calls), "--pause", "11000", "--wait"])),
        stdout=subprocess.PIPE, text=True)
    pid = int(target.stdout.readline().split()[1])
    stream = Path(folder) / "stream.json"
    with stream.open("w") as out:
        monitor = subprocess.Popen([MEMPROBE, "attach", "--format", "json", "--target", str(pid),
                                    "--point", f"load=high@{GATED}:gated_load", "--policy",
                                    str(policy)], stdout=out)
        while '"start"' not in stream.read_text():
            time.sleep(0.01)
        busy = busy_program()
        os.kill(pid, signal.SIGUSR1)
        target.stdout.read()
        target.wait()
        monitor.wait()
        busy.kill()
        busy.wait()
    records = [json.loads(line) for line in stream.read_text().splitlines()]
    return sorted(r["latency_ns"] for r in records
                  if r["type"] == "decision" and r["severity"] == "critical")


def program_times(name):
    """run_time_ns and run_cnt of the loaded programs of a name, summed."""
    shown = subprocess.run(["bpftool", "-j", "prog", "show"], capture_output=True, text=True,
                           check=True)
    found = [p for p in json.loads(shown.stdout) if p.get("name") == name]
    return (sum(p.get("run_time_ns", 0) for p in found), sum(p.get("run_cnt", 0) for p in found))


def entry_cost(procs, folder, gated, calls):
    """Mean ns of the entry program; `gated`: every call is stopped, and let go after the
    shortest deadline there is. In both cases the processor has idled for 10 ms before."""
    policy = Path(folder) / "gate.yaml"
    policy.write_text(f"version: 1\n{EVERY_10_MS}"
                      "actions: {gate_deadline_ms: 10}\nlevels:\n"
                      f"  high: {{interval_factor: 1}}\n  critical: {{interval_factor: 1, on: {{critical: [{'gate' if gated else 'log'}]}}}}\n")
    base = LIMIT * 92 // 100
    target = subprocess.Popen(
        in_group(procs, [GATED, "--base", str(base), "--bytes", "4096", "--calls", str(calls),
                         "--pause", "11000", "--wait"]), stdout=subprocess.PIPE, text=True)
    pid = int(target.stdout.readline().split()[1])
    monitor = Monitor(["--target", str(pid), "--enforce", "--point",
                       f"load=critical@{GATED}:gated_load", "--policy", str(policy)])
    os.kill(pid, signal.SIGUSR1)
    times = program_times("mp_enter")
    while target.poll() is None:
        times = max(times, program_times("mp_enter"))
        time.sleep(0.05)
    target.stdout.close()
    monitor.finish()
    return times[0] / max(times[1], 1)


@contextlib.contextmanager
def bpf_stats():
    switch = Path("/proc/sys/kernel/bpf_stats_enabled")
    before = switch.read_text()
    switch.write_text("1")
    try:
        yield
    finally:
        switch.write_text(before)


def bench_latency():
    headline("From the kernel's event to a decision, with the other core busy")
    with limited_group() as procs, tempfile.TemporaryDirectory() as folder:
        found = latencies(procs, folder, 503)
        p50 = statistics.median(found) / 1000
        p99 = found[len(found) * 99 // 100] / 1000
        report(f"p50 of {len(found)} decisions", f"{p50:.0f} us", "<= 100 us", p50 <= 100)
        report("p99", f"{p99:.0f} us", "<= 1000 us", p99 <= 1000)
        headline("What stopping a process adds to the entry of a function")
        with bpf_stats():
            plain = entry_cost(procs, folder, False, 101)
            gated = entry_cost(procs, folder, True, 101)
        report("entry program, record put out", f"{plain:.0f} ns")
        report("the same, and the process stopped", f"{gated:.0f} ns")
        report("added by the gate", f"{(gated - plain) / 1000:.2f} us", "<= 10 us",
               gated - plain <= 10000)
