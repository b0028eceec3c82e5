#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Kills what reaches into a live Python by SIGKILL: at each step, and at random instants.

kill_tracer.py INJECT PID TIMES

INJECT has process PID run a script that does nothing. With strace it is killed as it enters each
of its calls of ptrace(2) and pwrite(2) in turn, so that no step is left out; then it is killed
TIMES times at a random instant, and then at each step again. Each time process PID must be there, traced by nobody, not
stopped, and run: its CPU time grows. Prints what is not so.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

PATIENCE = 5


def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def cpu_time(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        words = file.read().rsplit(") ", 1)[1].split()
    return int(words[11]) + int(words[12])


def problem(pid):
    """What is wrong with the process, or None."""
    try:
        status = status_of(pid)
    except OSError:
        return "is gone"
    if status["State"][0] in "Tt":
        return f"is in state {status['State']}"
    if status["TracerPid"] != "0":
        return f"is traced by {status['TracerPid']}"
    if int(status["SigBlk"], 16):
        return f"has signals blocked: {status['SigBlk']}"
    return None


def runs(pid):
    begin = cpu_time(pid)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if cpu_time(pid) > begin:
            return True
        time.sleep(0.002)
    return False


def check(pid, when):
    deadline = time.monotonic() + PATIENCE
    found = problem(pid)
    while found and time.monotonic() < deadline:
        time.sleep(0.002)
        found = problem(pid)
    if not found and not runs(pid):
        found = "does not run"
    if found:
        sys.exit(f"process {pid} {found}, {when}")


def run_quietly(command):
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)


def kill_at_each_step(command, pid):
    """Returns how many steps there were."""
    steps = 0
    for call in ("ptrace", "pwrite64"):
        number = 0
        while True:
            number += 1
            inject = f"inject={call}:signal=SIGKILL:when={number}"
            ended = run_quietly(["strace", "-f", "-q", "-o", "/dev/null", "-e", inject] + command)
            check(pid, f"killed at {call} number {number}")
            if ended.returncode != -signal.SIGKILL:
                break
            steps += 1
            if number > 200:
                sys.exit(f"it never got through: {ended.stderr!r}")
    return steps


def time_of(command):
    begin = time.monotonic()
    ended = run_quietly(command)
    if ended.returncode:
        sys.exit(f"it fails when it is let be: {ended.stderr!r}")
    return time.monotonic() - begin


def kill_at_random(command, pid, times, chance):
    """Returns how often it was killed before it was through."""
    whole = min(time_of(command) for _ in range(5))
    killed = 0
    for number in range(times):
        # Nothing is stopped in the first part, in which files are read.
        delay = chance.uniform(whole * 0.3, whole * 1.1)
        with subprocess.Popen(command, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as tracer:
            time.sleep(delay)
            tracer.send_signal(signal.SIGKILL)
            killed += tracer.wait() == -signal.SIGKILL
        check(pid, f"killed at random, time {number} after {delay * 1000:.2f} ms")
    return killed


def main():
    tool, pid, times = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    seed = int(os.environ.get("KILL_SEED", time.time_ns() & 0xffffffff))
    with tempfile.NamedTemporaryFile("w", suffix=".py") as script:
        # The pages of calls that are made in vain would add up.
        script.write("import ctypes\n"
                     "unmap = ctypes.CDLL(None).munmap\n"
                     "unmap.argtypes = ctypes.c_void_p, ctypes.c_size_t\n"
                     "import sys\n"
                     "pages = sys.__dict__.setdefault('pages', [])\n"
                     "pages.extend([memprobe_page] if 'memprobe_page' in globals() else [])\n"
                     "while len(pages) > 1: unmap(*pages.pop(0))\n")
        script.flush()
        os.chmod(script.name, 0o644)
        command = [tool, "run", str(pid), script.name]
        steps = kill_at_each_step(command, pid) if shutil.which("strace") else 0
        killed = kill_at_random(command, pid, times, random.Random(seed))
        # By now the queue of an interpreter that runs no Python code is full.
        steps += kill_at_each_step(command, pid) if shutil.which("strace") else 0
    print(f"killed at {steps} steps, and {killed} of {times} times at random (seed {seed})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
