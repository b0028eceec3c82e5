# SPDX-License-Identifier: GPL-2.0-only
"""A Python program under watch: app.py SCENARIO [NUMBER]. At each SIGUSR1 it goes on."""
import ctypes
import os
import select
import signal
import struct
import subprocess
import sys
import threading
import time

import shelf
from shelf import held

steps = 0


def on_signal(_signum, _frame):
    global steps
    steps += 1


def wait_for_step():
    global steps
    while not steps:
        time.sleep(0.005)
    steps -= 1


def top(number):
    return number


FUNCTIONS = [top, held, shelf.grow, shelf.fetch, shelf.Box.put,
             shelf.Box.size, shelf.Box.__dict__["make"].__func__]


def codes():
    return [(id(f.__code__), hash(f.__code__), f.__code__.co_code) for f in FUNCTIONS]


def call_all():
    """Each function a prime number of times; those of Box as of the class, too."""
    box = shelf.Box()
    for i in range(7):
        top(i)
    for i in range(11):
        held(i)
    for i in range(13):
        box.put(i)
    for i in range(17):
        shelf.Box.size(i)
    for i in range(19):
        shelf.Box.make(i)
    for i in range(23):
        assert list(shelf.grow(3)) == [0, 1, 2]
    for i in range(29):
        assert shelf.run(shelf.fetch(i)) == i
    import late
    for i in range(31):
        late.arrive(i)


def calls(_number):
    """What is there at the end is what was there at the start, and the objects are the same."""
    before = codes()
    finders = list(sys.meta_path)
    wait_for_step()
    call_all()
    print("called", flush=True)
    wait_for_step()
    held(0)
    top(0)
    print("codes", "same" if codes() == before else "changed", flush=True)
    print("finders", "same" if sys.meta_path == finders else "changed", flush=True)
    wait_for_step()


def blocked(number):
    """In native code for so many seconds, to the end, and then in Python code."""
    begin = time.monotonic()
    left = ctypes.CDLL(None).sleep(number)
    took = time.monotonic() - begin
    print("slept", "whole" if left == 0 and took >= number else "short", flush=True)
    wait_for_step()
    for i in range(37):
        top(i)


def forks(number):
    """Children that are forked, and one that is executed, call as often each."""
    wait_for_step()
    for _ in range(3):
        pid = os.fork()
        if pid == 0:
            for i in range(number):
                held(i)
            os._exit(0)
        os.waitpid(pid, 0)
    for i in range(number):
        held(i)
    subprocess.run([sys.executable, __file__, "started", str(number)], check=True)


def started(number):
    print("started", os.getpid(), flush=True)
    for _ in range(100):
        time.sleep(0.01)
    for i in range(number):
        held(i)


def straight(number):
    """Calls without waiting for anything."""
    for i in range(number):
        top(i)
        held(i)


def arithmetic(_number):
    """Results that are known, over and over, and a file that is read meanwhile."""
    want = rounds = None
    while not steps:
        x, s = 1.0, 0
        for i in range(20000):
            x = x * 1.0000001 + (i % 7) ** 0.5
            s = (s * 31 + i) % 1000003
        want = want or (x, s)
        if (x, s) != want:
            print("wrong", flush=True)
            sys.exit(1)
        rounds = (rounds or 0) + 1
    print("right", rounds, flush=True)


def registers(_number):
    """Keeps values in registers, in native code, until the next step: which another thread
    sees, for the handler cannot run meanwhile. It waits in a call that is better not interrupted,
    so that it is this thread that is chosen to be."""
    hold = ctypes.CDLL(os.environ["REGISTERS"]).hold
    stop = ctypes.c_int(0)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)

    poll = select.epoll()
    poll.register(reader, select.EPOLLIN)

    def end():
        poll.poll()
        stop.value = 1

    threading.Thread(target=end, daemon=True).start()
    print("held", "well" if hold(ctypes.byref(stop)) == 0 else "badly", flush=True)


def filtered(number):
    """With a filter of system calls that kills who maps memory to be executed, not from a file."""
    load, equal, has, give = 0x20, 0x15, 0x45, 0x06
    program = b"".join(struct.pack("HBBI", *step) for step in (
        (load, 0, 0, 0), (equal, 0, 5, 9),  # x86-64: mmap
        (load, 0, 0, 32), (has, 0, 3, 4), (load, 0, 0, 48), (equal, 0, 1, 0xFFFFFFFF),
        (give, 0, 0, 0x80000000), (give, 0, 0, 0x7FFF0000)))
    steps_of = ctypes.create_string_buffer(program)
    which = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(program) // 8,
                                                    ctypes.addressof(steps_of)))
    libc = ctypes.CDLL(None)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, which, 0, 0):
        sys.exit("no filter can be had")
    wait_for_step()
    for i in range(number):
        held(i)


def main():
    signal.signal(signal.SIGUSR1, on_signal)
    if sys.argv[1] != "started":
        print("ready", os.getpid(), flush=True)
    globals()[sys.argv[1]](int(sys.argv[2]) if len(sys.argv) > 2 else 0)


main()
