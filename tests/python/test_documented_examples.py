# SPDX-License-Identifier: GPL-2.0-only
"""The examples of the documented system, as they stand there but for their import lines."""

import contextlib
import io
import os
import re
import subprocess
import tempfile
import types
import unittest
from pathlib import Path
from unittest import mock

import memprobe
from memprobe._runtime import runtime
from support import HAS_LIBRARY, PACKAGE, TOP, WithEngine, fake_memory, python

# --- the probes ----------------------------------------------------------------------------------

CHECK = '''
from src.probes import check_memory, probe_memory
memory_info = check_memory("my_operation")
print(f"内存使用率: {memory_info['memory_usage']*100:.1f}%")
print(f"可用内存: {memory_info['memory_available_mb']:.1f}MB")

@probe_memory(level="medium")
def process_large_data(data):
    result = do_something_with(data)
    return result
'''

CUSTOM = '''
from src.probes import get_probe_manager, HAS_C_PROBES
manager = get_probe_manager()
manager.add_custom_probe("src.my_module.my_function", level="high")
if HAS_C_PROBES:
    from src.probes import fast_check
    fast_check(threshold_mb=1000)
'''

CRITICAL = '''
from src.probes import probe_memory
@probe_memory(level="critical")
def my_memory_intensive_function():
    pass
'''

AROUND = '''
from src.probes import check_memory
def my_function():
    check_memory("before_operation")
    result = perform_operation()
    check_memory("after_operation")
    return result
'''

FAST = '''
from src.probes import fast_check
def performance_critical_function():
    fast_check(threshold_mb=500)
'''

# --- the memory pressure tool --------------------------------------------------------------------

MANAGER = '''
from src.utils.memory_integration import get_memory_manager
mm = get_memory_manager(env_profile_name="4GB连线")
mm.start_monitoring()
report = mm.run_controlled_pressure_test(
    test_mode="burst",
    model_id="your_model_id",
    target_percent=0.7,
    burst_duration_sec=10
)
mem_report = mm.generate_memory_report()
print(f"内存趋势: {mem_report['trend']}")
print(f"建议量化级别: {mem_report['quantization']['current_optimal']}")
print(f"环境配置: {mem_report['environment']['profile_name']}")
mm.stop_monitoring()
'''

SIMULATOR = '''
from src.utils.env_simulator import EnvironmentSimulator
simulator = EnvironmentSimulator()
simulator.print_profiles()
cmd = simulator.generate_docker_command(
    profile_name="极限2GB模式",
    command="python src/utils/memory_test_cli.py simple --mode=burst"
)
print(cmd)
simulator.create_test_script("4GB连线", "scripts/test_4gb.sh")
simulator.run_docker_container('4GB连线')
'''


def ported(example):
    """With only the import lines changed."""
    return re.sub(r"(?m)^( *from) src\.\S+ (import)", r"\1 memprobe \2", example)


def run(example, **names):
    """What it printed, and what it left."""
    namespace = dict(names)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(ported(example), "<example>", "exec"), namespace)
    return out.getvalue().splitlines(), types.SimpleNamespace(**{
        key: value for key, value in namespace.items() if key.isidentifier()})


class Probes(unittest.TestCase):
    def test_only_import_lines_change(self):
        for example in (CHECK, CUSTOM, CRITICAL, AROUND, FAST, MANAGER, SIMULATOR):
            changed = [(old, new) for old, new in zip(example.split("\n"), ported(example).split("\n"))
                       if old != new]
            self.assertTrue(changed)
            for old, new in changed:
                self.assertRegex(old, r"^ *from src\.")
                self.assertRegex(new, r"^ *from memprobe import ")

    def test_check_and_decorator(self):
        with fake_memory(0.321):
            lines, left = run(CHECK, do_something_with=sorted)
            self.assertEqual(left.process_large_data([3, 1, 2]), [1, 2, 3])
        self.assertEqual(lines, ["内存使用率: 32.1%", "可用内存: 679.0MB"])

    def test_check_on_this_machine(self):
        lines, _ = run(CHECK)
        self.assertRegex(lines[0], r"^内存使用率: \d+\.\d%$")
        self.assertRegex(lines[1], r"^可用内存: \d+\.\dMB$")

    def test_custom_probe(self):
        code = ("import os, sys\n"
                "os.mkdir('src')\n"
                "open('src/__init__.py', 'w').close()\n"
                "open('src/my_module.py', 'w').write('def my_function(): return 7')\n"
                "sys.path.insert(0, '')\n" + ported(CUSTOM) +
                "\nprint(manager.status(), HAS_C_PROBES)\n"
                "import src.my_module\n"
                "print(manager.status(), src.my_module.my_function())\n")
        import tempfile
        with tempfile.TemporaryDirectory() as folder:
            out = python(f"import os; os.chdir({folder!r})\n" + code)
        self.assertEqual(out.splitlines(), [
            "{'src.my_module.my_function': 'waiting: not loaded yet'} %s" % HAS_LIBRARY,
            "{'src.my_module.my_function': 'attached'} 7"])

    def test_critical_function(self):
        with fake_memory(0.5):
            self.assertIsNone(run(CRITICAL)[1].my_memory_intensive_function())
        with fake_memory(0.9), self.assertLogs("memprobe"):
            _, left = run(CRITICAL)
            with self.assertRaises(memprobe.MemoryOverflowError):
                left.my_memory_intensive_function()

    def test_before_and_after(self):
        _, left = run(AROUND, perform_operation=lambda: "performed")
        self.assertEqual(left.my_function(), "performed")
        self.assertLessEqual({"before_operation", "after_operation"}, set(runtime.points["medium"]))

    def test_fast_check(self):
        _, left = run(FAST)
        self.assertIsNone(left.performance_critical_function())
        with fake_memory(rss=501 << 20) as backend, self.assertLogs("memprobe", "WARNING") as logs:
            backend.is_above = lambda threshold: backend.rss > threshold
            left.performance_critical_function()
        self.assertIn("501 MB, above 500 MB", logs.output[0])


class PressureTool(WithEngine):
    def test_manager(self):
        with fake_memory(0.5):
            lines, left = run(MANAGER)
        self.assertRegex(lines[0], "^内存趋势: (unknown|stable)$")
        self.assertEqual(lines[1:], ["建议量化级别: Q4_K_M", "环境配置: 4GB连线"])
        self.assertEqual(left.report["test_mode"], "burst")
        self.assertIn(["model", "--model-id", "your_model_id", "--mode", "burst", "--target", "70",
                       "--duration", "10", "--test-duration", "60", "--env", "4GB连线"],
                      self.commands())

    def test_simulator(self):
        here = os.getcwd()
        self.addCleanup(os.chdir, here)
        os.chdir(self.folder)
        os.mkdir("scripts")
        docker = Path(self.folder, "docker")
        docker.write_text(f"#!/bin/sh\necho \"$@\" >{self.folder}/ran\n")
        docker.chmod(0o755)
        self.set(PATH=f"{self.folder}:{os.environ['PATH']}")
        lines, _ = run(SIMULATOR)
        self.assertEqual(lines, ["1. 4GB连线 - 4096MB RAM, Swap: 0MB",
                                 "2. 极限2GB模式 - 2048MB RAM, Swap: 512MB",
                                 "docker run --rm --memory=2048m memprobe-bpf python "
                                 "src/utils/memory_test_cli.py simple --mode=burst"])
        self.assertIn("--memory=4096m", Path("scripts/test_4gb.sh").read_text(encoding="utf-8"))
        self.assertEqual(Path("ran").read_text(encoding="utf-8"), "run --rm --memory=4096m memprobe-bpf\n")


class RealEngine(unittest.TestCase):
    """The same examples, with memprobe-bpf itself."""

    def setUp(self):
        real = TOP / "build" / "memprobe-bpf"
        if os.geteuid() or not real.exists():
            self.skipTest("memprobe-bpf is not built, or this is not root")
        patch = mock.patch.dict(os.environ, MEMPROBE_BPF=str(real),
                                MEMPROBE_CONFIG_DIR=str(TOP / "configs"))
        patch.start()
        self.addCleanup(patch.stop)
        help_text = subprocess.run([str(real), "--help"], stdout=subprocess.PIPE, text=True,
                                   check=True).stdout
        if not {"simple", "status", "env"} <= set(re.findall(r"(?m)^  ([a-z]+)\b", help_text)):
            self.skipTest("this memprobe-bpf has not all the commands")
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(folder.name)
        Path("bin").mkdir()
        Path("scripts").mkdir()

    def test_manager(self):
        lines, left = run(MANAGER)
        self.assertRegex(lines[0], "^内存趋势: (unknown|stable|increasing|decreasing)$")
        self.assertRegex(lines[1], "^建议量化级别: ")
        self.assertEqual(lines[2], "环境配置: 4GB连线")
        self.assertEqual(left.report["environment"]["profile_name"], "4GB连线")
        self.assertNotIn("engine_error", left.mem_report)

    def test_simulator(self):
        docker = Path("bin/docker")
        docker.write_text("#!/bin/sh\necho \"$@\" >ran\n", encoding="utf-8")
        docker.chmod(0o755)
        with mock.patch.dict(os.environ, PATH=f"{os.getcwd()}/bin:{os.environ['PATH']}"):
            lines, _ = run(SIMULATOR)
        self.assertEqual(lines[:2], ["1. 4GB连线 - 4096MB RAM, Swap: 1024MB",
                                     "2. 极限2GB模式 - 2048MB RAM, Swap: 0MB"])
        self.assertRegex(lines[-1], "^docker run .*python src/utils/memory_test_cli.py simple "
                                    "--mode=burst$")
        self.assertIn("docker run ", Path("scripts/test_4gb.sh").read_text(encoding="utf-8"))
        self.assertIn("--memory=", Path("ran").read_text(encoding="utf-8"))


class Names(unittest.TestCase):
    def test_everything_that_is_documented_is_there(self):
        for name in ("check_memory", "mem_probe", "probe_memory", "get_probe_manager", "fast_check",
                     "HAS_C_PROBES", "initialize_probes", "MemoryPressurer", "MemoryGuard",
                     "MemoryManager", "get_memory_manager", "get_memory_guard",
                     "EnvironmentSimulator", "MemoryOverflowError"):
            with self.subTest(name):
                self.assertIn(name, memprobe.__all__)
        for name in memprobe.__all__:
            self.assertTrue(hasattr(memprobe, name), name)
        self.assertTrue((PACKAGE / "memprobe" / "py.typed").exists())


if __name__ == "__main__":
    unittest.main()
