# SPDX-License-Identifier: GPL-2.0-only
"""Which library is used, and what comes of those that cannot be."""

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from memprobe import _native
from memprobe._runtime import runtime
from support import PACKAGE, TOP, needs_library, python

LIBRARY = TOP / "build" / "libmemprobe.so"
SHOW = "import memprobe; print(memprobe.HAS_C_PROBES, memprobe.probes.runtime.backend.origin)"


class Search(unittest.TestCase):
    def test_order(self):
        self.assertEqual(list(_native.candidates(Path("/top/user/python/memprobe"))),
                         ["/top/build/libmemprobe.so", "/lib/libmemprobe.so.0",
                          "/lib64/libmemprobe.so.0", "libmemprobe.so.0"])
        installed = list(_native.candidates(Path("/usr/share/memprobe-bpf/python/memprobe")))
        self.assertIn("/usr/lib/libmemprobe.so.0", installed)
        self.assertEqual(installed[-1], "libmemprobe.so.0")
        self.assertEqual(list(_native.candidates(Path("/a/b/c")))[-1], "libmemprobe.so.0")

    def test_set_to_nothing_is_without(self):
        self.assertEqual(python(SHOW, env={"MEMPROBE_LIBRARY": ""}).strip(), "False")

    def test_one_that_was_named_must_work(self):
        with tempfile.NamedTemporaryFile(suffix=".so") as empty:
            for path in ("/nonexistent/lib.so", empty.name, "libc.so.6"):
                with self.subTest(path):
                    done = python(SHOW, env={"MEMPROBE_LIBRARY": path}, check=False)
                    self.assertEqual(done.returncode, 1)
                    self.assertIn(f"ImportError: MEMPROBE_LIBRARY={path}: ", done.stderr)
                    self.assertIn("set it to nothing", done.stderr)

    def test_one_that_is_there_and_cannot_be_used_is_told(self):
        with tempfile.TemporaryDirectory() as folder:
            package = Path(folder, "user", "python", "memprobe")
            shutil.copytree(PACKAGE / "memprobe", package)
            Path(folder, "build").mkdir()
            Path(folder, "build", "libmemprobe.so").write_text("not a library")
            env = {key: value for key, value in os.environ.items() if key != "MEMPROBE_LIBRARY"}
            env["PYTHONPATH"] = str(package.parent)
            done = subprocess.run([os.sys.executable, "-c", SHOW], env=env, text=True,
                                  capture_output=True, check=True)
        self.assertTrue(done.stdout.startswith("False") or "libmemprobe.so.0" in done.stdout)
        self.assertIn("cannot be used", done.stderr)


@needs_library
class Library(unittest.TestCase):
    def test_is_found_in_the_build_tree(self):
        env = {key: value for key, value in os.environ.items() if key != "MEMPROBE_LIBRARY"}
        env["PYTHONPATH"] = str(PACKAGE)
        out = subprocess.run([os.sys.executable, "-c", SHOW], env=env, text=True,
                             capture_output=True, check=True).stdout
        self.assertEqual(out.split(), ["True", str(LIBRARY)])

    def test_the_info_is_as_large_as_the_library_thinks(self):
        source = ('#include "user/lib/memprobe.h"\n#include <stdio.h>\n'
                  'int main(void) { printf("%zu %zu %zu", sizeof(struct memprobe_info), '
                  "__builtin_offsetof(struct memprobe_info, usage_ratio), "
                  "sizeof(struct memprobe_pressure)); }\n")
        if not shutil.which("gcc"):
            self.skipTest("no gcc here")
        with tempfile.TemporaryDirectory() as folder:
            binary = os.path.join(folder, "sizes")
            subprocess.run(["gcc", "-x", "c", "-", "-I", str(TOP), "-o", binary],
                           input=source.encode(), check=True)
            out = subprocess.run([binary], stdout=subprocess.PIPE, check=True).stdout.decode()
        import ctypes
        self.assertEqual(out.split(), [str(_native.INFO.size), "48",
                                       str(ctypes.sizeof(_native.CPressure))])

    def test_a_point_is_the_same_whatever_level_asks_later(self):
        first = runtime.backend.point("native.same", 1)
        self.assertEqual(first.value, runtime.backend.point("native.same", 3).value)

    def test_errors_carry_errno(self):
        with self.assertRaises(OSError) as caught:
            runtime.backend.point("x" * 200, 1)
        self.assertEqual(caught.exception.errno, 22)
        with self.assertRaises(OSError):
            runtime.backend.sample(_native.ctypes.c_void_p(None))

    def test_enter_and_leave_with_nobody_watching(self):
        point = runtime.backend.point("native.calls", 1)
        call = runtime.backend.enter(point)
        self.assertEqual(call.value, 0)
        runtime.backend.leave(point, call)
        self.assertEqual(runtime.backend.watched[0], 0)


if __name__ == "__main__":
    unittest.main()
