# SPDX-License-Identifier: GPL-2.0-only
"""Reading memory in Python: recorded and made-up systems, and this one."""

import os
import tempfile
import unittest
from pathlib import Path

from memprobe._memory import Memory, below, field, parse_mount
from memprobe._runtime import runtime
from support import MB, needs_library, rss_bytes, runtime_tree

PAGE = os.sysconf("SC_PAGE_SIZE")
HOST_KIB = 8 << 20
V1 = "32 31 0:29 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
V2 = "26 23 0:23 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n"
UNIFIED = "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
NO_LIMIT = str(2**63 - PAGE)


class System:
    """A made-up /proc and cgroup tree in a folder of its own."""

    def __init__(self, test, mountinfo="", cgroup="", available_kib=HOST_KIB // 2):
        folder = tempfile.TemporaryDirectory()
        test.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.put("/proc/self/statm", "1000 250 100 1 0 500 0\n")
        self.put("/proc/self/mountinfo", mountinfo)
        self.put("/proc/self/cgroup", cgroup)
        self.put("/proc/meminfo", f"MemTotal:       {HOST_KIB} kB\nMemFree:  1 kB\n"
                                  f"MemAvailable:   {available_kib} kB\n")
        self.memory = Memory(str(self.root))
        test.addCleanup(self.memory.forget)

    def put(self, path, text):
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def v1(self, group, limit, usage, inactive=0):
        base = "/sys/fs/cgroup/memory" + group
        self.put(base + "/memory.limit_in_bytes", f"{limit}\n")
        self.put(base + "/memory.usage_in_bytes", f"{usage}\n")
        self.put(base + "/memory.stat", f"inactive_file 999999\ntotal_inactive_file {inactive}\n")

    def v2(self, group, limit, usage, inactive=0):
        base = "/sys/fs/cgroup" + group
        self.put(base + "/memory.max", f"{limit}\n")
        self.put(base + "/memory.current", f"{usage}\n")
        self.put(base + "/memory.stat", f"anon 5\nfile 7\ninactive_file {inactive}\n")


class MadeUp(unittest.TestCase):
    def test_the_host_without_groups(self):
        system = System(self)
        ts_ns, rss, peak, limit, usage, available, ratio, severity, flags = system.memory.sample()
        self.assertEqual((rss, limit, usage, available), (250 * PAGE, HOST_KIB << 10,
                                                          HOST_KIB << 9, HOST_KIB << 9))
        self.assertEqual((ratio, severity, flags), (0.5, 0, 0))
        self.assertGreater(ts_ns, 0)
        self.assertGreaterEqual(peak, rss)

    def test_v1(self):
        system = System(self, V1, "9:name=systemd:/x\n4:cpu,memory:/a/b\n0::/\n")
        system.v1("/a/b", NO_LIMIT, 90 * MB, 10 * MB)
        system.v1("/a", 200 * MB, 120 * MB, 20 * MB)
        system.v1("", NO_LIMIT, 500 * MB)
        self.assertEqual(system.memory.domain(), (200 * MB, 100 * MB))

    def test_v2_and_the_smallest_limit_on_the_way_up(self):
        system = System(self, V2, "0::/a/b\n")
        system.v2("/a/b", 300 * MB, 90 * MB, 10 * MB)
        system.v2("/a", 100 * MB, 97 * MB, 2 * MB)
        self.assertEqual(system.memory.domain(), (100 * MB, 95 * MB))
        self.assertEqual(system.memory.sample()[7], 3)

    def test_hybrid_takes_the_tree_with_the_controller(self):
        for mounts in (V1 + UNIFIED, UNIFIED + V1):
            system = System(self, mounts, "4:memory:/m\n0::/u\n")
            system.v1("/m", 64 * MB, 32 * MB)
            self.assertEqual(system.memory.domain(), (64 * MB, 32 * MB))

    def test_a_container_sees_its_group_as_the_root(self):
        mount = V1.replace(" / ", " /docker/abc ")
        system = System(self, mount, "4:memory:/docker/abc/job\n")
        system.v1("/job", 50 * MB, 10 * MB)
        self.assertEqual(system.memory.domain(), (50 * MB, 10 * MB))
        system = System(self, mount, "4:memory:/docker/abc\n")
        system.v1("", 60 * MB, 10 * MB)
        self.assertEqual(system.memory.domain(), (60 * MB, 10 * MB))
        for outside in ("/docker/abcd", "/docker", "/..", "/"):
            with self.subTest(outside):
                system = System(self, mount, f"4:memory:{outside}\n")
                system.v1("", 60 * MB, 10 * MB)
                self.assertEqual(system.memory.domain()[0], HOST_KIB << 10)

    def test_a_limit_above_the_host_is_none(self):
        system = System(self, V2, "0::/a\n")
        system.v2("/a", 1 << 50, 90 * MB)
        self.assertEqual(system.memory.domain()[0], HOST_KIB << 10)
        system.v2("/a", "max", 90 * MB)
        self.assertEqual(system.memory.domain()[0], HOST_KIB << 10)

    def test_a_limit_that_changes(self):
        system = System(self, V2, "0::/a\n")
        system.v2("/a", 100 * MB, 50 * MB)
        self.assertEqual(system.memory.domain()[0], 100 * MB)
        system.v2("/a", 80 * MB, 50 * MB)
        system.memory._limits_at -= 2
        self.assertEqual(system.memory.domain()[0], 80 * MB)

    def test_page_cache_is_read_anew_near_a_threshold(self):
        system = System(self, V2, "0::/a\n")
        system.v2("/a", 100 * MB, 80 * MB, 70 * MB)
        self.assertEqual(system.memory.domain()[1], 10 * MB)
        system.v2("/a", 100 * MB, 95 * MB, 1 * MB)
        self.assertEqual(system.memory.domain()[1], 25 * MB, "the cache as it was, far from it")
        system.v2("/a", 100 * MB, 100 * MB, 1 * MB)
        system.memory._cache = 0
        system.memory._cache_at -= 0.03
        self.assertEqual(system.memory.domain()[1], 99 * MB)

    def test_a_group_that_goes_away(self):
        system = System(self, V2, "0::/a\n")
        system.v2("/a", 100 * MB, 50 * MB)
        system.memory.domain()
        system.memory.forget()
        for name in ("memory.current", "memory.max", "memory.stat"):
            (system.root / "sys/fs/cgroup/a" / name).unlink()
        self.assertEqual(system.memory.domain()[0], HOST_KIB << 10)

    def test_what_is_malformed(self):
        for mountinfo, cgroup in (("garbage\n", "garbage\n"), ("\n\n", "\n"), (" - ", ":::"),
                                  (V1, ""), (V1, "4:memory\n"), (V1, "4:memory:a\n"),
                                  (V2, "0::\n"), ("", "0::/a\n")):
            with self.subTest((mountinfo, cgroup)):
                system = System(self, mountinfo, cgroup)
                self.assertEqual(system.memory.domain()[0], HOST_KIB << 10)

    def test_a_limit_that_is_no_number(self):
        for text in ("", "-1", "0x10", "1e9", "max\n\n", "ten"):
            with self.subTest(text):
                system = System(self, V2, "0::/a\n")
                system.v2("/a", text, 50 * MB)
                self.assertEqual(system.memory.domain()[0], HOST_KIB << 10)

    def test_a_long_memory_stat(self):
        system = System(self, V2, "0::/a\n")
        system.v2("/a", 100 * MB, 50 * MB)
        system.put("/sys/fs/cgroup/a/memory.stat",
                   "".join(f"padding_{n} 1\n" for n in range(2000)) + f"inactive_file {20 * MB}\n")
        self.assertEqual(system.memory.domain()[1], 30 * MB)

    def test_no_proc(self):
        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaises(OSError):
                Memory(folder).sample()
        system = System(self)
        system.put("/proc/meminfo", "MemTotal: 5 kB\n")
        with self.assertRaisesRegex(OSError, "MemAvailable"):
            system.memory.sample()

    def test_nothing_is_left_open(self):
        before = len(os.listdir("/proc/self/fd"))
        system = System(self, V2, "0::/a\n")
        system.v2("/a", 100 * MB, 50 * MB)
        for _ in range(5):
            system.memory.sample()
        system.memory.forget()
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)


class Pieces(unittest.TestCase):
    def test_mount_lines(self):
        mount = parse_mount(r"1 2 0:3 /a\040b /mnt/x\134y\011z rw shared:9 master:1 - cgroup c rw,memory")
        self.assertEqual((mount.point, mount.root), ("/mnt/x\\y\tz", "/a b"))
        for line in ("", "1 2 3", "1 2 0:3 / /mnt rw - cgroup", "- - -", " - "):
            self.assertIsNone(parse_mount(line))

    def test_below(self):
        for path, root, expected in (("/a/b", "/", "/a/b"), ("/a/b", "/a", "/b"), ("/a", "/a", "/"),
                                     ("/ab", "/a", None), ("/", "/a", None), ("a", "/", None)):
            self.assertEqual(below(path, root), expected)

    def test_field(self):
        self.assertEqual(field(b"aa 1\na 2\n", b"a"), 2)
        self.assertEqual(field(b"A:   12 kB\n", b"A"), 12)
        for text in (b"", b"a", b"a x", b"ba 1", b"a -1"):
            self.assertIsNone(field(text, b"a"))


class Here(unittest.TestCase):
    def test_resident_set(self):
        memory = Memory()
        self.addCleanup(memory.forget)
        self.assertAlmostEqual(memory.rss(), rss_bytes(), delta=MB)

    @needs_library
    def test_the_library_sees_the_same(self):
        memory = Memory()
        self.addCleanup(memory.forget)
        here, there = memory.sample(), runtime.backend.fresh()
        self.assertEqual(here[3], there[3], "limit")
        self.assertAlmostEqual(here[1], there[1], delta=2 * MB)
        self.assertAlmostEqual(here[6], there[6], delta=0.01)

    def test_own_group_is_found(self):
        tree = runtime_tree()
        if not tree:
            self.skipTest("no memory controller")
        self.assertTrue(os.path.isdir(tree[0]))


if __name__ == "__main__":
    unittest.main()
