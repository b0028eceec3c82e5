#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""A program whose functions are watched: main.py SCENARIO NUMBER...

Says "ready PID", and goes on at every SIGUSR1 to the next `yield` of the scenario.
"""

import importlib
import json
import os
import signal
import sys
import threading
import time

from shop import opened, stock


def told(**values):
    print(json.dumps(values), flush=True)


def repeat(function, times):
    begin = time.perf_counter_ns()
    for i in range(times):
        function(i)
    return (time.perf_counter_ns() - begin) / max(times, 1)


def calls(n):
    """One point, and more calls of what is none."""
    yield
    told(ns=repeat(stock.count, n), other_ns=repeat(stock.other, 40 * n))


def methods(a, b):
    yield
    repeat(stock.Loader().load, a)
    repeat(stock.Cache.load, b)
    repeat(stock.made(), a)
    told(calls=a + b)


def five(n):
    yield
    for function in (opened, stock.Loader().load, stock.Cache.load, stock.Cache.drop, stock.count):
        repeat(function, n)
    told(calls=n)


def late(n):
    yield
    import late as module
    told(imported=True)
    yield
    repeat(module.arrive, n)
    told(calls=n)


def reload(n, m):
    yield
    repeat(stock.count, n)
    importlib.reload(stock)
    # What was at the old place now belongs to others, which use it.
    keep = [bytearray(os.urandom(200)) for _ in range(10000)]
    told(reloaded=len(keep))
    yield
    repeat(stock.count, m)
    told(calls=n + m)


def threads(n):
    """Half of the threads are there before the first step, half start behind it."""
    go = threading.Event()

    def work():
        go.wait()
        repeat(stock.count, n)

    early = [threading.Thread(target=work) for _ in range(3)]
    for thread in early:
        thread.start()
    yield
    go.set()
    later = [threading.Thread(target=work) for _ in range(3)]
    for thread in later:
        thread.start()
    for thread in early + later:
        thread.join()
    told(calls=6 * n)


def churn(n):
    """Threads come and go all the time until the first step; those that are left then call."""
    quiet = threading.Event()

    def pass_on(left):
        if quiet.is_set():
            repeat(stock.count, n)
        else:
            time.sleep(0.0005 * left)
            last[left] = threading.Thread(target=pass_on, args=(left,))
            last[left].start()

    last = {}
    for i in range(1, 4):
        last[i] = threading.Thread(target=pass_on, args=(i,))
        last[i].start()
    yield
    quiet.set()
    while any(thread.is_alive() for thread in threading.enumerate()
              if thread is not threading.main_thread()):
        time.sleep(0.01)
    told(calls=3 * n)


def in_child(function):
    if os.fork() == 0:
        function()
        os._exit(0)


def wait_for_child():
    """A child's end by a signal is this process's, too."""
    status = os.waitstatus_to_exitcode(os.wait()[1])
    if status:
        os._exit(128 - status if status < 0 else status)


def fork(n, m):
    """Two children call what their parent is watched for, and so does a child of each."""
    yield

    def child():
        repeat(stock.count, n)
        in_child(lambda: repeat(stock.count, m))
        wait_for_child()

    for _ in range(2):
        in_child(child)
    for _ in range(2):
        wait_for_child()
    told(calls=2 * (n + m))


def forever(_):
    yield
    told(calls=0)
    while True:
        stock.count(1)
        time.sleep(0.001)


SCENARIOS = {f.__name__: f for f in (calls, methods, five, late, reload, threads, churn, fork, forever)}


def main():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    scenario = SCENARIOS[sys.argv[1]](*(int(n) for n in sys.argv[2:]))
    next(scenario)
    print("ready", os.getpid(), flush=True)
    signal.sigwait({signal.SIGUSR1})
    for _ in scenario:
        signal.sigwait({signal.SIGUSR1})


if __name__ == "__main__":
    main()
