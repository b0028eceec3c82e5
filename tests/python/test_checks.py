# SPDX-License-Identifier: GPL-2.0-only
"""check_memory(), fast_check(), configure(): what they say, refuse, and do under pressure."""

import gc
import json
import logging
import math
import os
import threading
import time
import unittest
import weakref

import memprobe
from memprobe import _levels as levels
from memprobe._backend import UNKNOWN
from memprobe._runtime import MAX_POINTS, OTHERS, Runtime, runtime, shorten
from support import MB, MemoryGroup, fake_memory, python, rss_bytes

KEYS = {"memory_usage": float, "memory_available_mb": float, "current_memory_mb": float,
        "peak_memory_mb": float, "probe_name": str, "level": str, "timestamp": float,
        "threshold_exceeded": bool, "severity": str, "reused": bool}


class Node:
    """One half of a garbage cycle."""


class CheckMemory(unittest.TestCase):
    def test_has_the_documented_keys(self):
        info = memprobe.check_memory("checks.keys")
        self.assertEqual({key: type(value) for key, value in info.items()}, KEYS)
        self.assertEqual((info["probe_name"], info["level"]), ("checks.keys", "medium"))

    def test_agrees_with_proc(self):
        time.sleep(1.01)  # longer than any interval: a new sample
        info = memprobe.check_memory("checks.proc", level="critical")
        self.assertFalse(info["reused"])
        self.assertAlmostEqual(info["current_memory_mb"], rss_bytes() / MB, delta=2)
        self.assertGreaterEqual(info["peak_memory_mb"], info["current_memory_mb"])
        self.assertTrue(0 < info["memory_usage"] < 1)
        self.assertAlmostEqual(info["timestamp"], time.time(), delta=0.1)

    def test_reuses_a_sample_within_the_interval_and_says_so(self):
        first = memprobe.check_memory("checks.reuse", level="low")
        second = memprobe.check_memory("checks.reuse", level="low")
        self.assertTrue(second["reused"])
        self.assertAlmostEqual(first["timestamp"], second["timestamp"], delta=0.01)
        self.assertEqual(first["current_memory_mb"], second["current_memory_mb"])

    def test_is_named_after_its_caller(self):
        name = f"{__name__}.test_is_named_after_its_caller"
        self.assertEqual(memprobe.check_memory()["probe_name"], name)

    def test_threshold(self):
        with fake_memory(rss=100 * MB):
            self.assertTrue(memprobe.check_memory("a", threshold_mb=99)["threshold_exceeded"])
            self.assertFalse(memprobe.check_memory("a", threshold_mb=100)["threshold_exceeded"])
            self.assertFalse(memprobe.check_memory("a")["threshold_exceeded"])

    def test_usage_and_available_are_of_the_limit(self):
        with fake_memory(0.25):
            info = memprobe.check_memory("a")
        self.assertEqual((info["memory_usage"], info["memory_available_mb"]), (0.25, 750))

    def test_severities_begin_at_75_85_and_90_percent(self):
        for ratio, severity in ((0.7499, "normal"), (0.75, "warning"), (0.85, "gc"),
                                (0.9, "critical"), (1.0, "critical")):
            with self.subTest(ratio), fake_memory(ratio):
                with self.assertLogs("memprobe") if ratio >= 0.75 else self.subTest():
                    self.assertEqual(memprobe.check_memory("a")["severity"], severity)

    def test_what_is_not_known_is_not_a_number(self):
        with fake_memory() as backend:
            backend._sample = lambda: (1, MB, MB, UNKNOWN, UNKNOWN, UNKNOWN, 0.0, 0, 0)
            info = memprobe.check_memory("a")
        self.assertTrue(math.isnan(info["memory_usage"]))
        self.assertTrue(math.isnan(info["memory_available_mb"]))
        self.assertEqual(info["current_memory_mb"], 1)

    def test_unknown_level_names_the_levels(self):
        for level in ("urgent", "", "Medium", None, 2, b"low"):
            with self.subTest(level), self.assertRaisesRegex(ValueError, "low, medium, high, crit"):
                memprobe.check_memory("a", level=level)

    def test_names_that_a_point_cannot_have(self):
        for name in ("", "a\0b", "x" * 128, "é" * 64):
            with self.subTest(name), self.assertRaisesRegex(ValueError, "1 to 127 bytes"):
                memprobe.check_memory(name)
        for name in (b"a", 7, ("a",)):
            with self.subTest(name), self.assertRaisesRegex(TypeError, "is a str"):
                memprobe.check_memory(name)
        self.assertEqual(memprobe.check_memory("é" * 63)["probe_name"], "é" * 63)

    def test_a_name_that_is_no_unicode(self):
        name = os.fsdecode(b"caf\xe9")
        self.assertEqual(memprobe.check_memory(name)["probe_name"], name)

    def test_thresholds_that_are_none(self):
        with self.assertRaises(ValueError):
            memprobe.check_memory("checks.negative", threshold_mb=-1)
        with self.assertRaises(TypeError):
            memprobe.check_memory("checks.text", threshold_mb="1")

    def test_more_names_than_there_is_room_for(self):
        code = ("import memprobe, json, logging\n"
                f"names = ['n%d' % i for i in range({MAX_POINTS + 300})]\n"
                "print(json.dumps([memprobe.check_memory(n)['probe_name'] == n for n in names]))\n"
                "print(sum(map(len, memprobe.probes.runtime.points.values())))")
        answers, count = python(code).splitlines()
        self.assertEqual(json.loads(answers), [True] * (MAX_POINTS + 300))
        self.assertEqual(int(count), MAX_POINTS + 1, f"{OTHERS} is for all the others")

    def test_from_many_threads(self):
        wrong = []

        def look(number):
            for _ in range(300):
                info = memprobe.check_memory(f"checks.thread{number}", level="critical")
                if info["probe_name"] != f"checks.thread{number}" or not 0 < info["memory_usage"] < 1:
                    wrong.append(info)

        threads = [threading.Thread(target=look, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])

    def test_a_child_measures_itself(self):
        ballast = bytearray(64 * MB)
        memprobe.check_memory("checks.fork")
        read_end, write_end = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                del ballast
                gc.collect()
                own = rss_bytes() / MB
                os.write(write_end, json.dumps(
                    [own, memprobe.check_memory("checks.fork")["current_memory_mb"],
                     memprobe.fast_check(own + 8), memprobe.fast_check(own - 8)]).encode())
            finally:
                os._exit(0)
        os.close(write_end)
        with open(read_end, encoding="ascii") as answer:
            own, told, above, below = json.loads(answer.read())
        os.waitpid(pid, 0)
        self.assertAlmostEqual(own, told, delta=4)
        self.assertEqual((above, below), (False, True))
        self.assertGreater(len(ballast), 0)


class FastCheck(unittest.TestCase):
    def test_both_ways(self):
        here = rss_bytes() / MB
        self.assertFalse(memprobe.fast_check(here + 100))
        with self.assertLogs("memprobe", "WARNING") as logs:
            self.assertTrue(memprobe.fast_check(threshold_mb=here - 1))
        self.assertIn("above", logs.output[0])

    def test_does_not_fill_the_log(self):
        with self.assertLogs("memprobe", "WARNING") as logs:
            for _ in range(50):
                self.assertTrue(memprobe.fast_check(threshold_mb=2.25))
        self.assertEqual(len(logs.output), 1)

    def test_refuses_what_is_no_number(self):
        for threshold in (-1, float("nan")):
            with self.subTest(threshold), self.assertRaises(ValueError):
                memprobe.fast_check(threshold)
        with self.assertRaises(TypeError):
            memprobe.fast_check("1")

    def test_no_memory_is_that_large(self):
        for threshold in (10**12, 10**30, float("inf")):
            with self.subTest(threshold):
                self.assertFalse(memprobe.fast_check(threshold))


class UnderPressure(unittest.TestCase):
    @staticmethod
    def garbage():
        one, other = Node(), Node()
        one.other, other.other = other, one
        return weakref.ref(one)

    def setUp(self):
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        logging.getLogger("memprobe").setLevel(logging.ERROR)
        self.addCleanup(logging.getLogger("memprobe").setLevel, logging.NOTSET)

    def test_garbage_is_collected_from_85_percent_on(self):
        for ratio, is_alive in ((0.84, True), (0.85, False), (0.95, False)):
            with self.subTest(ratio), fake_memory(ratio):
                ref = self.garbage()
                memprobe.check_memory("a")
                self.assertEqual(ref() is not None, is_alive)
                gc.collect()

    def test_at_most_once_in_the_cooldown_of_a_level(self):
        with fake_memory(0.87):
            memprobe.check_memory("a")
            ref = self.garbage()
            memprobe.check_memory("a")
            memprobe.check_memory("b")
            self.assertIsNotNone(ref())
            memprobe.check_memory("a", level="high")
            self.assertIsNone(ref(), "another level has a cooldown of its own")
            ref = self.garbage()
            runtime._reacted_at[levels.MEDIUM] -= levels.COOLDOWN
            memprobe.check_memory("a")
            self.assertIsNone(ref())

    def test_tells_what_there_is_afterwards(self):
        with fake_memory(0.95) as backend:
            def release(_, info):
                backend.ratio = 0.3
            gc.callbacks.append(release)
            try:
                info = memprobe.check_memory("a")
            finally:
                gc.callbacks.remove(release)
        self.assertEqual((info["memory_usage"], info["severity"]), (0.3, "normal"))

    def test_can_be_turned_off(self):
        memprobe.configure(collect=False)
        self.addCleanup(memprobe.configure, collect=True)
        with fake_memory(0.95):
            ref = self.garbage()
            memprobe.check_memory("a")
            self.assertIsNotNone(ref())

    def test_a_finalizer_that_checks_memory(self):
        class Checks:
            def __del__(self):
                runtime._reacted_at[:] = [-1e9] * 4
                memprobe.check_memory("a")

        one = Checks()
        one.itself = one
        del one
        with fake_memory(0.95):
            self.assertEqual(memprobe.check_memory("a")["severity"], "critical")

    def test_in_a_group_that_is_nearly_full(self):
        group = MemoryGroup(100 * MB)
        self.addCleanup(group.remove)
        code, out, err = group.run(
            "import memprobe, json, logging\n"
            "seen = [memprobe.check_memory('a', 'critical')]\n"
            "fill = []\n"
            "while seen[-1]['memory_usage'] < .92 and len(fill) < 100:\n"
            "    fill.append(bytearray(b'x') * (3 << 20))\n"
            "    seen.append(memprobe.check_memory('a', 'critical'))\n"
            "    if seen[-1]['reused']:\n"
            "        import time; time.sleep(.13); seen.append(memprobe.check_memory('a', 'critical'))\n"
            "print(json.dumps(seen))")
        self.assertEqual(code, 0, err)
        seen = json.loads(out)
        limits = {round(s["memory_available_mb"] / (1 - s["memory_usage"])) for s in seen}
        self.assertEqual(limits, {100}, "the group's limit, not the host's")
        self.assertEqual(seen[-1]["severity"], "critical")
        self.assertEqual(seen[0]["severity"], "normal")
        self.assertIn("% of 100 MB are in use (warning)", err)


class Settings(unittest.TestCase):
    def test_environment(self):
        code = "import memprobe; print(memprobe.probes.runtime.settings.raise_on_critical)"
        for value, expected in (("0", "False"), ("no", "False"), ("1", "True"), ("", "True")):
            with self.subTest(value):
                self.assertEqual(python(code, env={"MEMPROBE_RAISE": value}).strip(), expected)

    def test_what_is_none_stays(self):
        settings = Runtime().settings
        self.assertTrue(settings.raise_on_critical and settings.collect)
        before = vars(runtime.settings).copy()
        memprobe.configure()
        self.assertEqual(vars(runtime.settings), before)


class Shorten(unittest.TestCase):
    def test_keeps_the_end(self):
        self.assertEqual(shorten("a" * 127), "a" * 127)
        self.assertEqual(shorten("x" + "a" * 127), "a" * 127)
        self.assertEqual(shorten("é" * 64), "é" * 63, "no half of a character")
