# SPDX-License-Identifier: GPL-2.0-only
"""What rehearsals reach: how fast memory fills beside the plainest way to do so, how exactly it is
held beside stress-ng, and what the supervisor costs.
"""

import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from common import MEMPROBE, TOP, cpu_ns, headline, kib_of, report

FILL_RATE = str(TOP / "build/bench/fill_rate")
MIB = int(os.environ.get("BENCH_FILL_MB", "1024"))
ROUNDS = 5
WARM_UPS = 20  # at most
STEADY = 0.1   # two rates that differ by less are the same


def profile(folder, mib):
    """A configuration with the profile "bench" of that limit, without swap."""
    for file in (TOP / "configs").glob("*.yaml"):
        shutil.copy(file, folder)
    Path(folder, "low_mem_env.yaml").write_text(
        f"simulation_profiles:\n  - name: bench\n    total_mem: {mib}\n    swap_size: 0\n"
        f"    cgroups: {{memory.limit_in_bytes: \"{mib}M\"}}\n", encoding="utf-8")
    return ["--config-dir", str(folder), "--env", "bench"]


def rehearse(mib, *args):
    """The JSON report of a run in a profile of that limit."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([MEMPROBE, "simple"] + profile(folder, mib) +
                       ["--save-report", "--report-format", "json", "--output-dir", folder] + list(args),
                       stdout=subprocess.DEVNULL, check=False)
        return json.loads(next(Path(folder).glob("*_memory_test.json")).read_text(encoding="utf-8"))


# --- how fast ------------------------------------------------------------------


def rate_of(way):
    """Bytes a second of one way to fill MIB: "zeros", "random": ours; "populate", "memcpy": plain."""
    done = subprocess.run([FILL_RATE, way, str(MIB)], capture_output=True, text=True, check=True)
    return float(done.stdout)


class Group:
    """A memory cgroup of its own, with or without a limit."""

    def __init__(self, mib=None):
        self.v1 = Path("/sys/fs/cgroup/memory").is_dir()
        lines = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
        own = next(path for _, controllers, path in lines
                   if ("memory" in controllers.split(",") if self.v1 else controllers == ""))
        self.path = Path(f"/sys/fs/cgroup{'/memory' if self.v1 else ''}{own}/memprobe-bench-{os.getpid()}")
        self.limit = mib

    def __enter__(self):
        self.path.mkdir()
        if self.limit:
            self.file("memory.limit_in_bytes", "memory.max").write_text(str(self.limit << 20))
        return self

    def __exit__(self, *_):
        for _ in range(500):
            try:
                self.path.rmdir()
                return
            except OSError:
                time.sleep(0.01)

    def file(self, v1, v2):
        return self.path / (v1 if self.v1 else v2)

    def usage(self):
        return int(self.file("memory.usage_in_bytes", "memory.current").read_text())

    def kills(self):
        match = re.search(r"oom_kill (\d+)", self.file("memory.oom_control", "memory.events").read_text())
        return int(match[1]) if match else 0

    def start(self, command):
        return subprocess.Popen(["sh", "-c", 'echo $$ >"$0/cgroup.procs"; exec "$@"', str(self.path)] + command,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def stress_rate(*args):
    """Bytes a second at which stress-ng's group grows, from a tenth to nine tenths of what it takes."""
    times = {}
    with Group() as group:
        stress = group.start(["stress-ng", "--vm", "1", "--vm-bytes", f"{MIB}M", "--vm-keep",
                              "--timeout", "60"] + list(args))
        while 90 not in times and stress.poll() is None:
            percent = group.usage() * 100 / (MIB << 20)
            for mark in (10, 90):
                if percent >= mark:
                    times.setdefault(mark, time.monotonic())
            time.sleep(0.0005)
        stress.terminate()
        stress.wait()
    return (MIB << 20) * 0.8 / max(times[90] - times[10], 1e-4) if 90 in times else 0


def warm_up():
    """A virtual machine's memory may have to be found by its host first: fills until that is over."""
    last = 0
    for _ in range(WARM_UPS):
        rate = rate_of("populate")
        if abs(rate - last) < STEADY * last:
            return
        last = rate
    print("  memory is filled at a different rate each time here: take the following with care")


def bench_rates():
    ways = ["zeros", "random", "populate", "memcpy"]
    rates = {way: [] for way in ways}
    warm_up()
    for _ in range(ROUNDS):
        for way in ways:
            rates[way].append(rate_of(way))
    best = {way: statistics.median(values) for way, values in rates.items()}
    for ours, plain, target, what in (("zeros", "populate", 0.9, "zeros, of MADV_POPULATE_WRITE"),
                                      ("random", "memcpy", 0.8, "random, of memcpy into populated")):
        ratio = best[ours] / best[plain]
        report(f"fill with {what}", f"{ratio:.2f}", f">= {target}", ratio >= target)
        report("  GB/s", f"{best[ours] / 1e9:.2f} of {best[plain] / 1e9:.2f}")
    if not shutil.which("stress-ng"):
        print("  no stress-ng here: no comparison with it")
        return
    methods = {method: stress_rate("--vm-method", method)
               for method in ("write64", "zero-one", "ror", "rand-set", "read64")}
    method = max(methods, key=methods.get)
    if not methods[method]:
        print("  stress-ng did not get there")
        return
    ratio = best["zeros"] / methods[method]
    report(f"fill, of stress-ng --vm-method {method}", f"{ratio:.1f}", ">= 3", ratio >= 3)
    report("  GB/s", f"{best['zeros'] / 1e9:.2f} of {methods[method] / 1e9:.2f}")
    report("  the physical limit, of it", f"{best['populate'] / methods[method]:.1f}")


# --- how exactly ---------------------------------------------------------------


def held_by_stress_ng(mib, seconds):
    """Percent of the limit that a group holds in which stress-ng has to take 70 %, and who was killed."""
    samples = []
    with Group(mib) as group:
        stress = group.start(["stress-ng", "--vm", "1", "--vm-bytes", "70%", "--vm-keep", "--timeout", str(seconds)])
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.1)
            samples.append(group.usage() * 100 / (mib << 20))
        stress.wait()
        return statistics.median(samples[len(samples) // 2:]), group.kills()


def bench_accuracy():
    for mib in (64, 512, 2048, 8192):
        if mib << 10 > kib_of("", "meminfo", "MemAvailable") * 0.8:
            print(f"  no room for a profile of {mib} MB here")
            continue
        held = rehearse(mib, "--mode", "burst", "--target", "70", "--duration", "3")
        error = held["achieved"]["error_pct"]
        report(f"70 % of {mib} MB held, off by", f"{error:+.3f} %", "<= 0.5 %", abs(error) <= 0.5)
    steps = rehearse(512, "--mode", "staircase", "--step-size", "20", "--interval", "0.3", "--steps", "12")
    late = max(phase["start"] - phase["due"] for phase in steps["phases"] if phase["due"] is not None)
    report("the latest step of a staircase", f"{late * 1000:.2f} ms", "<= 10 ms", late <= 0.010)
    if shutil.which("stress-ng"):
        percent, kills = held_by_stress_ng(512, 5)
        report("stress-ng --vm-bytes 70% in 512 MB holds", f"{percent:.1f} %")
        report("  OOM kills by it", f"{kills}")


# --- what it costs -------------------------------------------------------------


def bench_supervisor():
    seconds = 5
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.Popen([MEMPROBE, "simple"] + profile(folder, 256) +
                               ["--mode", "burst", "--target", "70", "--duration", "60"],
                               stdout=subprocess.DEVNULL)
        time.sleep(3)
        before = cpu_ns(run.pid)
        time.sleep(seconds)
        percent = (cpu_ns(run.pid) - before) / (seconds * 1e9) * 100
        rss = kib_of(run.pid, "status", "VmRSS") / 1024
        run.send_signal(signal.SIGINT)
        run.wait()
    report("supervisor that holds: RSS", f"{rss:.1f} MiB", "<= 6 MB", rss * 1.048576 <= 6)
    report("  CPU", f"{percent:.2f} %", "< 1 %", percent < 1)


def bench_harness():
    headline(f"Rehearsals: {MIB} MB filled (median of {ROUNDS}), and what is held")
    bench_rates()
    bench_accuracy()
    bench_supervisor()
