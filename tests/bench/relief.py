# SPDX-License-Identifier: GPL-2.0-only
"""Benchmark of relief: memory that a program has freed and its allocator keeps, asked for as
the monitor does, by the protocol of docs/relief.md."""

import os
import socket
import statistics
import struct
import subprocess
import time

from common import REPEATS, TOP, headline, kib_of, report

LIBRARY = str(TOP / "build/libmemprobe.so")
HOARD = str(TOP / "build/targets/hoard")
REQUEST = struct.Struct("=IHHQQQ")
REPLY = struct.Struct("=IHHQQQII")
MAGIC = 0x4652504d
DONE = 0
NS = 1000000000


def ask(pid):
    """Milliseconds until the answer, the bytes that it tells, and those by which /proc differs."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer:
        path = f"/tmp/.memprobe-relief.{pid}"
        while not os.path.exists(path):
            time.sleep(0.01)
        peer.connect(path)
        before = kib_of(pid, "status", "VmRSS")
        begin = time.monotonic_ns()
        peer.send(REQUEST.pack(MAGIC, 1, 2, 1, 0, 10 * NS))
        _, _, status, _, freed, _, _, _ = REPLY.unpack(peer.recv(REPLY.size + 1))
        taken = (time.monotonic_ns() - begin) / 1e6
    assert status == DONE, f"status {status}"
    return taken, freed, (before - kib_of(pid, "status", "VmRSS")) * 1024


def relieve_hoard(preload):
    """A process with 500 MiB in blocks of 1000 bytes, all freed but the last."""
    env = dict(os.environ, LD_PRELOAD=":".join([LIBRARY] + preload), MEMPROBE_AGENT="1")
    with subprocess.Popen([HOARD, "--mib", "500"], stdout=subprocess.PIPE, text=True,
                          env=env) as process:
        for line in process.stdout:
            if line.startswith("grown"):
                break
        found = ask(process.pid)
        process.terminate()
    return found


def allocators():
    """Those that are installed, with what is to be preloaded."""
    listed = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    yield "glibc", []
    for name in ("libjemalloc.so.2", "libtcmalloc_minimal.so.4"):
        paths = [line.split("=> ")[1] for line in listed.splitlines() if line.split()[0] == name]
        if paths:
            yield name.split(".")[0][3:], [paths[0]]


def report_relief(name, found):
    taken, freed, change = (statistics.median(column) for column in zip(*found))
    ratio = freed / change
    report(f"{name}: asked to done", f"{taken:.1f} ms")
    report("  freed by its own measure", f"{freed / 1e6:.1f} MB")
    report("  change of its resident set, by /proc", f"{change / 1e6:.1f} MB")
    report("  one in the other", f"{ratio:.4f}", "0.9 to 1.1", 0.9 <= ratio <= 1.1)


def bench_relief():
    headline("500 MiB freed and kept by the allocator (median of "
             f"{REPEATS}): given back on request")
    for name, preload in allocators():
        report_relief(name, [relieve_hoard(preload) for _ in range(REPEATS)])
