# SPDX-License-Identifier: GPL-2.0-only
"""What loading a model takes beside what was predicted, and how fast passes over its weights are while
these fit, and while they do not, beside the memory's speed and the disk's.
"""

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

from common import MEMPROBE, headline, report
from harness import Group

MODEL, LEVEL = "qwen2.5-0.5b", os.environ.get("BENCH_LOAD_LEVEL", "F16")
CONTEXT = "512"


def load(model, *args, limit=None):
    """The results of `gguf load` in a group with that limit (bytes), and its exit code."""
    command = [MEMPROBE, "gguf", "load", str(model), "--context", CONTEXT, "--format", "json"] + list(args)
    with Group() as group:
        if limit:
            group.file("memory.limit_in_bytes", "memory.max").write_text(str(limit))
        done = subprocess.run(["sh", "-c", 'echo $$ >"$0/cgroup.procs"; exec "$@"', str(group.path)] + command,
                              capture_output=True, text=True, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else None, done.returncode


def disk_rate(model):
    """Bytes a second of one reader that waits for its pages, none of which is in memory."""
    with open(model, "rb", buffering=0) as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        begin, size = time.monotonic(), 0
        while chunk := file.read(1 << 20):
            size += len(chunk)
        return size / (time.monotonic() - begin)


def bench_peaks(model):
    for loader in ("mmap", "read"):
        done, _ = load(model, "--loader", loader, "--passes", "2")
        predicted, measured = (done[key]["anon"] + done[key]["file"] for key in ("predicted", "peak"))
        error = (predicted / measured - 1) * 100
        report(f"{loader}: predicted peak, off by", f"{error:+.2f} %", "<= 3 %", abs(error) <= 3)
        report("  predicted, measured", f"{predicted / 1e6:.0f}, {measured / 1e6:.0f} MB")
        report("  loaded cold, warm", f"{done['cold']['duration_ns'] / 1e9:.2f}, "
               f"{done['warm']['duration_ns'] / 1e9:.2f} s")


def bench_speed(model):
    done, _ = load(model, "--passes", "10")
    ratio = done["passes"]["bytes_per_s"] / done["memory_bytes_per_s"]
    report("a pass over what fits, of memory's speed", f"{ratio:.2f}", ">= 0.8", ratio >= 0.8)
    report("  GB/s", f"{done['passes']['bytes_per_s'] / 1e9:.2f} of {done['memory_bytes_per_s'] / 1e9:.2f}")


def bench_limits(model):
    size, disk = model.stat().st_size, disk_rate(model)
    report("disk, GB/s", f"{disk / 1e9:.2f}")
    speed = {}
    for times in (1.6, 1.0, 0.7):
        done, _ = load(model, "--passes", "5", limit=int(size * times))
        passes = done["passes"]
        speed[times] = 1e9 / passes["p50_ns"]
        report(f"passes a second at {times} x the file", f"{speed[times]:.2f}")
        report("  of the weights read again in each", f"{passes['reread_pct']:.0f} %")
        report("  GB/s of weights", f"{passes['bytes_per_s'] / 1e9:.2f}")
    report("1.6 x is faster than 0.7 x by", f"{speed[1.6] / speed[0.7]:.1f}", "> 2", speed[1.6] / speed[0.7] > 2)
    _, code = load(model, "--loader", "read", limit=size)
    report("read at 1.0 x: killed by the kernel", str(code == -9), "True", code == -9)


def bench_load():
    headline(f"Loading {MODEL} at {LEVEL}, of random contents")
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_LOAD_DIR")) as folder:
        model = Path(folder, "model.gguf")
        subprocess.run([MEMPROBE, "gguf", "synth", "--model-id", MODEL, "--quant", LEVEL, "--output", str(model)],
                       stdout=subprocess.DEVNULL, check=True)
        bench_peaks(model)
        bench_speed(model)
        bench_limits(model)
