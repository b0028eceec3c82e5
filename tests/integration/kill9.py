#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Kills the monitor by SIGKILL at random instants, and looks what it leaves.

kill9.py MEMPROBE PID POLICY POINTS TIMES [CONTROL=VALUE]...

Each time a monitor is started with --enforce on process PID, which is so near
its limit that it is stopped, frozen and throttled at once; after a random time
it is killed. Then, within seconds, PID must run, every CONTROL file must hold
VALUE again, and in the end no process that a monitor started may be left, nor a BPF program. Prints what is
not so, and at the end how often the monitor was found holding something.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

PATIENCE = 8  # seconds: half of a gate's deadline, so that no deadline can explain it
HELD_FOR = 0.4  # seconds of holding in which it may be killed


def state_of(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
        return stat.read().rsplit(") ", 1)[1][0]


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read().strip()


def children_of(pid):
    try:
        return [int(p) for p in read(f"/proc/{pid}/task/{pid}/children").split()]
    except OSError:
        return []


def is_there(pid):
    try:
        return state_of(pid) not in "ZX"
    except OSError:
        return False


def leftovers(pid, controls):
    """What is not as it was, as a list of sentences."""
    found = []
    if state_of(pid) in "Tt":
        found.append(f"process {pid} is stopped")
    found += [f"{path} holds {read(path)}, not {value}"
              for path, value in controls if read(path) != value]
    return found


def wait_until_none(look):
    """What `look` still finds when it has had its time."""
    deadline = time.monotonic() + PATIENCE
    while look() and time.monotonic() < deadline:
        time.sleep(0.005)
    return look()


def run_once(command, pid, controls, delay, started):
    """Returns whether the monitor held something when it was killed, and what it left.
    Adds the processes that it had started."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          start_new_session=True) as monitor:
        time.sleep(delay)
        if monitor.poll() is not None:
            return False, [f"the monitor ended by itself: {monitor.stderr.read()!r}"]
        started += children_of(monitor.pid)
        held = bool(leftovers(pid, controls))
        monitor.send_signal(signal.SIGKILL)
        monitor.wait()
    return held, wait_until_none(lambda: leftovers(pid, controls))


def own_programs():
    """BPF programs of any monitor; they go with the last link or file that holds them."""
    if not shutil.which("bpftool"):
        return []
    shown = subprocess.run(["bpftool", "-j", "prog", "show"], capture_output=True, check=True)
    return [p["name"] for p in json.loads(shown.stdout) if p.get("name", "").startswith("mp_")]


def time_to_hold(command, pid, controls):
    """Seconds until a monitor holds something on this machine."""
    begin = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as monitor:
        while not leftovers(pid, controls) and time.monotonic() < begin + 20:
            time.sleep(0.005)
        seconds = time.monotonic() - begin
        monitor.send_signal(signal.SIGINT)
    return seconds


def main():
    memprobe, pid, policy, points, times = sys.argv[1:6]
    controls = [tuple(arg.rsplit("=", 1)) for arg in sys.argv[6:]]
    command = [memprobe, "attach", "--target", pid, "--enforce", "--policy", policy,
               "--points", points, "--format", "json"]
    seed = int(os.environ.get("KILL9_SEED", time.time_ns() & 0xffffffff))
    chance = random.Random(seed)
    ready = time_to_hold(command, int(pid), controls)
    n_held = 0
    started = []
    for i in range(int(times)):
        # While it sets itself up, and while it holds something.
        delay = chance.uniform(*chance.choice([(0, ready), (ready, ready + HELD_FOR)]))
        held, left = run_once(command, int(pid), controls, delay, started)
        n_held += held
        if left:
            print(f"seed {seed}, time {i}, after {delay * 1000:.1f} ms: " + "; ".join(left))
            return 1
        if i % 20 == 19:  # shown when the test is ended for taking too long
            print(f"{i + 1} kills", flush=True)
    left = wait_until_none(lambda: [p for p in started if is_there(p)])
    if left:
        print(f"seed {seed}: processes {left} of the monitors are still there")
        return 1
    left = wait_until_none(own_programs)
    if left:
        print(f"seed {seed}: BPF programs {left} are still loaded")
        return 1
    print(f"{times} kills (seed {seed}), in {n_held} of them something was held")
    # A test that never met a monitor at work would show nothing.
    return 0 if n_held * 5 >= int(times) else 1


if __name__ == "__main__":
    sys.exit(main())
