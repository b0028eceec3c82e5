# SPDX-License-Identifier: GPL-2.0-only
"""What the benchmarks share: programs under watch, the monitor, and the table of results."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

TOP = Path.cwd()
MEMPROBE = str(TOP / "build/memprobe-bpf")
CALLS = str(TOP / "build/targets/calls")
WATCHED = str(TOP / "tests/integration/watched/main.py")
WORKLOAD = str(TOP / "build/targets/workload")
MARKED = str(TOP / "build/targets/marked")
LIBRARY = str((TOP / "build/libmemprobe.so").resolve())
EMPTY_PAIR = [str(TOP / "build/bench/empty_pair"), str(TOP / "build/bench/empty.bpf.o")]
REPEATS = int(os.environ.get("BENCH_REPEATS", "5"))
WORKLOAD_POINTS = ["load_model=critical", "allocate=high", "load_shard=high",
                   "read_large_file=medium", "parse_file=medium", "allocate_resource=high",
                   "load_model_with_config=critical", "allocate_cache=high"]
rows = []


def report(what, figure, target="", ok=None):
    """One line of the result; `ok` is None for a figure without a target."""
    verdict = {True: "pass", False: "MISS", None: ""}[ok]
    rows.append((what, figure, target, verdict))
    print(f"  {what:<46} {figure:>16}  {target:<14} {verdict}", flush=True)


def headline(text):
    print(f"\n{text}", flush=True)


def pinned(cpu, command):
    """The command on one CPU, where there is more than one to choose from."""
    if os.cpu_count() > 1 and shutil.which("taskset"):
        return ["taskset", "-c", str(cpu)] + command
    return command


class Target:
    """A program of build/targets that waits to be released."""

    def __init__(self, command, cpu=None):
        if WATCHED not in command:  # which always waits
            command = command + ["--wait"]
        self.process = subprocess.Popen(command if cpu is None else pinned(cpu, command),
                                        stdout=subprocess.PIPE, text=True)
        self.pid = int(self.process.stdout.readline().split()[1])

    def finish(self):
        """Lets it run; its report."""
        os.kill(self.pid, signal.SIGUSR1)
        result = json.loads(self.process.stdout.readline())
        self.process.wait()
        self.process.stdout.close()
        return result

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Monitor:
    """`attach --format json`; ready when its start record is there."""

    def __init__(self, args, cpu=None):
        command = [MEMPROBE, "attach", "--format", "json"] + args
        begin = time.monotonic_ns()
        self.process = subprocess.Popen(command if cpu is None else pinned(cpu, command),
                                        stdout=subprocess.PIPE)
        for line in self.process.stdout:
            if json.loads(line)["type"] == "start":
                break
        else:
            sys.exit("bench: the monitor ended before it had started")
        self.ready_ms = (time.monotonic_ns() - begin) / 1e6

    def stop(self):
        """Ends it by SIGINT and gives its summary record. Sets detach_ms."""
        begin = time.monotonic_ns()
        self.process.send_signal(signal.SIGINT)
        summary = self.finish()
        self.detach_ms = (time.monotonic_ns() - begin) / 1e6
        return summary

    def finish(self):
        """Its summary record; it ends when its target does."""
        summary = None
        for line in self.process.stdout:
            if b'"summary"' in line:
                summary = json.loads(line)
        self.process.wait()
        self.process.stdout.close()
        return summary


def kib_of(pid, file, key):
    for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1])
    return 0


def cpu_ns(pid):
    """CPU time of all threads so far."""
    return sum(int(task.read_text().split()[0])
               for task in Path(f"/proc/{pid}/task").glob("*/schedstat"))


def workload_args():
    args = []
    for point in WORKLOAD_POINTS:
        args += ["--point", f"{point}@{WORKLOAD}:{point.split('=')[0]}"]
    return args
