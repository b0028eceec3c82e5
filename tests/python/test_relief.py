# SPDX-License-Identifier: GPL-2.0-only
"""The relief agent, asked through its socket as a monitor asks, and cleanups."""

import base64
import gc
import os
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time
import unittest

import memprobe
from memprobe import relief
from memprobe._agent import BUSY, DONE, MAGIC, NOTHING, PATH, REPLY, REQUEST, VERSION, listen_at
from support import MB, PACKAGE, python, rss_bytes, wait_until

GARBAGE = '''
import gc
gc.disable()
class Node: pass
def garbage(mib):
    for _ in range(mib):
        one, other = Node(), Node()
        one.other, other.other = other, one
        one.ballast = bytearray(b"x") * 1048576
'''


class Process:
    """A program with an agent that does what it is told on its standard input, a line at a time."""

    def __init__(self, code="", env=None):
        code = ("import sys, memprobe, memprobe.relief\n" + code +
                "\nmemprobe.start_agent()\nprint('ready', flush=True)\n"
                "for line in sys.stdin: exec(line); print('did', flush=True)\n")
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, env=dict(os.environ, PYTHONPATH=str(PACKAGE),
                                                        **(env or {})))
        self.pid = self.process.pid
        if self.read() != "ready":
            raise AssertionError(self.end()[1])

    def read(self):
        return self.process.stdout.readline().strip()

    def do(self, line):
        """Its output, but for the last line that says that it is done."""
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        out = []
        while True:
            said = self.process.stdout.readline()
            if said in ("did\n", ""):
                return out
            out.append(said.strip())

    def rss(self):
        with open(f"/proc/{self.pid}/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def end(self):
        """By the end of its input; (exit code, errors)."""
        _, err = self.process.communicate(timeout=30)
        return self.process.returncode, err


def connect(pid):
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    peer.settimeout(20)
    peer.connect(PATH % pid)
    return peer


def ask(pid, wanted=0, seconds=10.0, severity=3, number=7):
    """(status, id, freed bytes, duration ns, callbacks), or None when it closed."""
    with connect(pid) as peer:
        peer.send(REQUEST.pack(MAGIC, VERSION, severity, number, wanted, int(seconds * 1e9)))
        data = peer.recv(100)
    if not data:
        return None
    magic, version, status, number, freed, duration, callbacks, pad = REPLY.unpack(data)
    assert (magic, version, pad) == (MAGIC, VERSION, 0)
    return status, number, freed, duration, callbacks


class Agent(unittest.TestCase):
    def start(self, code="", env=None):
        process = Process(code, env)
        self.addCleanup(process.process.wait)
        self.addCleanup(process.process.kill)
        for pipe in (process.process.stdin, process.process.stdout, process.process.stderr):
            self.addCleanup(pipe.close)
        return process

    def test_garbage_cycles_are_freed_and_told(self):
        process = self.start(GARBAGE)
        process.do("garbage(100)")
        before = process.rss()
        self.assertGreater(before, 100 * MB)
        status, number, freed, duration, callbacks = ask(process.pid, number=2**64 - 3)
        really = before - process.rss()
        self.assertEqual((status, number, callbacks), (DONE, 2**64 - 3, 1))
        self.assertGreater(really, 95 * MB)
        self.assertAlmostEqual(freed, really, delta=really // 10)
        self.assertGreater(duration, 0)

    def test_cleanups_run_last_first_and_gc_after_them(self):
        process = self.start(GARBAGE + '''
import threading
order, keep = [], []
class Last(Node):
    def __del__(self): order.append("gc")
@memprobe.on_pressure
def first(pressure): order.append("first")
@memprobe.on_pressure
def second(pressure):
    order.append(("second", pressure.severity, pressure.wanted_bytes, threading.current_thread() is threading.main_thread()))
    keep.clear()
last = Last(); last.itself = last; keep.append(last); del last
''')
        self.assertEqual(ask(process.pid, wanted=5, severity=2)[4], 3)
        self.assertEqual(process.do("print(order)"),
                         ["[('second', 'gc', 5, False), 'first', 'gc']"])

    def test_one_that_fails_keeps_none_from_running(self):
        process = self.start('''
ran = []
@memprobe.on_pressure
def good(pressure): ran.append(1)
@memprobe.on_pressure
def bad(pressure): raise RuntimeError("bad cleanup")
@memprobe.on_pressure
def liar(pressure): return "much"
''')
        status = ask(process.pid)[0]
        self.assertIn(status, (DONE, NOTHING))
        self.assertEqual(process.do("print(ran)"), ["[1]"])
        code, err = process.end()
        self.assertEqual(code, 0)
        self.assertEqual(err.count("RuntimeError: bad cleanup\n"), 1)

    def test_one_that_was_taken_out_does_not_run(self):
        process = self.start("ran = []\n"
                             "def one(pressure): ran.append(1)\n"
                             "memprobe.on_pressure(one)\nmemprobe.on_pressure(one)\n")
        self.assertEqual(ask(process.pid)[4], 2)
        process.do("memprobe.off_pressure(one)")
        self.assertEqual(ask(process.pid)[4], 1)
        self.assertEqual(process.do("print(ran)"), ["[1]"])

    def test_one_that_hangs_hangs_nobody(self):
        process = self.start("import time\n"
                             "@memprobe.on_pressure\n"
                             "def hangs(pressure): time.sleep(3)\n")
        begin = time.monotonic()
        self.assertIsNotNone(ask(process.pid, seconds=0.3))
        self.assertLess(time.monotonic() - begin, 2)
        begin = time.monotonic()
        self.assertEqual(ask(process.pid, seconds=0.3)[0], BUSY)
        self.assertLess(time.monotonic() - begin, 2)
        self.assertTrue(wait_until(lambda: ask(process.pid, seconds=5)[0] != BUSY))

    def test_hostile_peers(self):
        process = self.start()
        good = REQUEST.pack(MAGIC, VERSION, 3, 7, 0, 10**9)
        for data in (b"x", good[:-1], good + b"x", good * 2, b"\0" * 32,
                     struct.pack("=IHHQQQ", MAGIC, 2, 3, 7, 0, 10**9),
                     struct.pack("=IHHQQQ", MAGIC, 1, 4, 7, 0, 10**9),
                     struct.pack("=IHHQQQ", MAGIC, 1, 65535, 7, 0, 10**9),
                     struct.pack("=IHHQQQ", MAGIC + 1, 1, 3, 7, 0, 10**9)):
            with self.subTest(data), connect(process.pid) as peer:
                peer.send(data)
                try:
                    self.assertEqual(peer.recv(100), b"")
                except ConnectionResetError:
                    pass  # closed with something unread: no answer, too
        with connect(process.pid) as gone:
            gone.send(good)
        silent = connect(process.pid)
        self.addCleanup(silent.close)
        for severity in range(4):
            self.assertIsNotNone(ask(process.pid, severity=severity), "one that says nothing passes")
        self.assertEqual(process.end()[0], 0)

    def test_deadlines_of_all_sizes(self):
        process = self.start()
        for seconds in (0, 1e-9, 18446744073.0):
            with self.subTest(seconds):
                self.assertIsNotNone(ask(process.pid, seconds=seconds))

    def test_the_socket_is_the_users_own_and_goes_with_the_process(self):
        process = self.start()
        info = os.lstat(PATH % process.pid)
        self.assertTrue(stat.S_ISSOCK(info.st_mode))
        self.assertEqual((stat.S_IMODE(info.st_mode), info.st_uid), (0o600, os.geteuid()))
        with connect(process.pid) as peer:
            raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            self.assertEqual(struct.unpack("3i", raw)[:2], (process.pid, os.geteuid()))
        self.assertEqual(process.do("memprobe.start_agent(); print(memprobe.relief.is_agent_running())"),
                         ["True"])
        process.do("memprobe.stop_agent(); memprobe.stop_agent()")
        self.assertFalse(os.path.exists(PATH % process.pid))
        process.do("memprobe.start_agent()")
        self.assertIsNotNone(ask(process.pid))
        self.assertEqual(process.end(), (0, ""))
        self.assertFalse(os.path.exists(PATH % process.pid))

    @unittest.skipUnless(os.geteuid() == 0, "only root can be another user")
    def test_another_user_is_not_served(self):
        process = self.start("import os\nos.chmod\n")
        os.chmod(PATH % process.pid, 0o666)
        code = ("import os, socket, sys\n"
                "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
                "s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.settimeout(10)\n"
                "s.connect(sys.argv[1])\n"
                "try:\n    s.send(bytes.fromhex(sys.argv[2])); print(s.recv(100))\n"
                "except (BrokenPipeError, ConnectionResetError): print(b'')\n")
        request = REQUEST.pack(MAGIC, VERSION, 3, 7, 0, 10**9).hex()
        self.assertEqual(python(code, PATH % process.pid, request).strip(), "b''")
        self.assertIsNotNone(ask(process.pid))

    def test_a_forked_child_has_its_own(self):
        process = self.start("import os, time\nran = []\nmemprobe.on_pressure(lambda p: ran.append(1))\n")
        out = process.do("pid = os.fork(); (print(pid, flush=True) if pid else "
                         "(time.sleep(4), os._exit(len(ran))))")
        child = int(out[0])
        self.addCleanup(lambda: os.path.exists(PATH % child) and os.unlink(PATH % child))
        self.assertTrue(wait_until(lambda: os.path.exists(PATH % child)))
        self.assertIsNotNone(ask(process.pid), "the parent's is as before")
        self.assertTrue(wait_until(lambda: self.can_connect(child)))
        self.assertEqual(ask(child)[4], 2)
        self.assertEqual(process.do("print(os.WEXITSTATUS(os.waitpid(pid, 0)[1]), len(ran))"),
                         ["1 1"])

    @staticmethod
    def can_connect(pid):
        try:
            connect(pid).close()
        except OSError:
            return False
        return True

    def test_processes_of_multiprocessing_leave_nothing(self):
        process = self.start("import multiprocessing, os, time\n"
                             "context = multiprocessing.get_context('fork')\n"
                             "end = context.Event()\n"
                             "p = context.Process(target=end.wait)\n")
        child = int(process.do("p.start(); print(p.pid)")[0])
        self.assertTrue(wait_until(lambda: os.path.exists(PATH % child)))
        process.do("end.set(); p.join()")
        self.assertFalse(os.path.exists(PATH % child))

    def test_one_that_only_executes_something_leaves_nothing(self):
        process = self.start("import os\n")
        out = process.do("pid = os.fork() or os.execvp('true', ['true']); os.waitpid(pid, 0); print(pid)")
        time.sleep(2 * relief.AFTER_FORK)
        self.assertFalse(os.path.exists(PATH % int(out[0])))

    def test_memory_pressure_watch(self):
        with tempfile.TemporaryDirectory() as folder:
            fifo = os.path.join(folder, "watch")
            os.mkfifo(fifo)
            process = self.start("ran = []\n@memprobe.on_pressure\n"
                                 "def one(pressure): ran.append(pressure.severity)\n",
                                 {"MEMORY_PRESSURE_WATCH": fifo,
                                  "MEMORY_PRESSURE_WRITE": base64.b64encode(b"").decode()})
            with open(fifo, "wb", buffering=0) as write:
                write.write(b"!")
                self.assertTrue(wait_until(lambda: process.do("print(len(ran))") == ["1"]))
            self.assertIsNotNone(ask(process.pid), "both at once")

    def test_memory_pressure_watch_that_is_none(self):
        for watch, write in (("/dev/null", ""), ("/nonexistent/watch", ""), ("/tmp", "%%"),
                             ("", "")):
            with self.subTest(watch):
                process = self.start(env={"MEMORY_PRESSURE_WATCH": watch,
                                          "MEMORY_PRESSURE_WRITE": write})
                self.assertIsNotNone(ask(process.pid))

    def test_a_signal_ends_the_process_as_ever(self):
        process = self.start()
        process.process.send_signal(signal.SIGTERM)
        self.assertEqual(process.process.wait(10), -signal.SIGTERM)
        self.addCleanup(os.unlink, PATH % process.pid)

    def test_the_process_can_end_while_it_is_asked(self):
        process = self.start("import time\nmemprobe.on_pressure(lambda p: time.sleep(1))\n")
        with connect(process.pid) as peer:
            peer.send(REQUEST.pack(MAGIC, VERSION, 3, 7, 0, 5 * 10**9))
            time.sleep(0.2)
            self.assertEqual(process.end()[0], 0)


class Here(unittest.TestCase):
    """What needs no socket."""

    def test_relieve_gives_what_was_freed(self):
        gc.disable()
        self.addCleanup(gc.enable)
        memprobe.relieve()
        for _ in range(32):
            one = [bytearray(b"x") * MB]
            one.append(one)
        del one
        before = rss_bytes()
        freed = memprobe.relieve("gc", wanted_bytes=1)
        self.assertAlmostEqual(freed, before - rss_bytes(), delta=4 * MB)
        self.assertGreater(freed, 28 * MB)

    def test_callbacks_get_what_is_wanted(self):
        got = []
        memprobe.on_pressure(got.append)
        self.addCleanup(memprobe.off_pressure, got.append)
        memprobe.relieve("warning", wanted_bytes=12345, timeout=3)
        self.assertEqual(got[0][:2], ("warning", 12345))
        self.assertAlmostEqual(got[0].deadline, time.monotonic() + 3, delta=1)

    def test_refusals(self):
        with self.assertRaisesRegex(ValueError, "normal, warning, gc, critical"):
            memprobe.relieve("much")
        with self.assertRaises(TypeError):
            memprobe.on_pressure(7)
        with self.assertRaisesRegex(ValueError, "not registered"):
            memprobe.off_pressure(print)

    def test_there_is_room_for_63(self):
        functions = [lambda pressure, n=n: n for n in range(64)]
        for function in functions[:63]:
            memprobe.on_pressure(function)
            self.addCleanup(memprobe.off_pressure, function)
        with self.assertRaises(OSError):
            memprobe.on_pressure(functions[63])

    def test_a_cleanup_may_take_itself_out(self):
        def once(_):
            memprobe.off_pressure(once)

        memprobe.on_pressure(once)
        memprobe.relieve()
        with self.assertRaises(ValueError):
            memprobe.off_pressure(once)


class Listening(unittest.TestCase):
    """Of the agent in Python: what may lie at its path."""

    def test_what_an_earlier_process_left(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "socket")
            listen_at(path).close()
            self.assertTrue(os.path.exists(path))
            listen_at(path).close()

    def test_what_is_no_socket_stays(self):
        with tempfile.TemporaryDirectory() as folder:
            path, target = os.path.join(folder, "socket"), os.path.join(folder, "target")
            with open(target, "w", encoding="ascii") as file:
                file.write("mine")
            os.symlink(target, path)
            with self.assertRaises(OSError):
                listen_at(path)
            with open(target, encoding="ascii") as file:
                self.assertEqual(file.read(), "mine")
