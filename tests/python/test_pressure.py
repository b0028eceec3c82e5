# SPDX-License-Identifier: GPL-2.0-only
"""Pressure tests, monitors, guard, manager and environments: what they ask of the engine, what
they do themselves, and what they say when there is no engine for it."""

import contextlib
import io
import logging
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path
from unittest import mock

import memprobe
from memprobe import EngineError, MemoryGuard, MemoryManager, MemoryPressurer, _engine, relief
from memprobe import EnvironmentSimulator, pressure
from memprobe._runtime import runtime
from support import TOP, WithEngine, fake_memory, wait_until

REAL = TOP / "build" / "memprobe-bpf"


class Quiet(WithEngine):
    def setUp(self):
        super().setUp()
        logging.getLogger("memprobe").setLevel(logging.CRITICAL)
        self.addCleanup(logging.getLogger("memprobe").setLevel, logging.NOTSET)


class Patterns(Quiet):
    def test_command_lines(self):
        pressurer = MemoryPressurer(safety_margin_mb=400)
        for call, expected in (
                (lambda: pressurer.staircase_pressure(50, 0.5, 7),
                 "simple --mode staircase --step-size 50 --interval 0.5 --steps 7"),
                (lambda: pressurer.burst_pressure(target_percent=0.7, burst_duration_sec=10),
                 "simple --mode burst --target 70 --duration 10"),
                (lambda: pressurer.sawtooth_pressure(0.25, 0.625, cycles=4, cycle_duration_sec=2.5),
                 "simple --mode sawtooth --min 25 --max 62.5 --cycles 4 --duration 2.5"),
                (pressurer.allocate_full, "simple --mode allocate_full --duration 5")):
            with self.subTest(expected):
                self.log.write_text("")
                self.assertEqual(call(), 123)
                self.assertEqual(self.commands(),
                                 [expected.split() + ["--safety-margin", "400"]])
        self.assertEqual(pressurer.last_report["outcome"], "ok")

    def test_values_that_make_no_sense(self):
        pressurer = MemoryPressurer()
        for call in (lambda: pressurer.burst_pressure(target_percent=70),
                     lambda: pressurer.burst_pressure(target_percent=0),
                     lambda: pressurer.staircase_pressure(step_size_mb=-1),
                     lambda: pressurer.sawtooth_pressure(cycles=float("nan"))):
            with self.assertRaises(ValueError):
                call()
        for arguments in ({"threshold_warning": 0.95}, {"threshold_critical": 1.5},
                          {"monitor_interval": 0}):
            with self.subTest(arguments), self.assertRaises(ValueError):
                MemoryPressurer(**arguments)
        self.assertFalse(self.log.exists())

    def test_release_all_ends_the_one_that_runs(self):
        self.set(ENGINE_WAITS="1")
        pressurer = MemoryPressurer()
        results = []
        thread = threading.Thread(target=lambda: results.append(pressurer.burst_pressure(0.5, 30)))
        thread.start()
        self.assertTrue(wait_until(self.log.exists))
        with self.assertRaisesRegex(RuntimeError, "is running"):
            pressurer.allocate_full()
        time.sleep(0.2)
        pressurer.release_all()
        thread.join(20)
        self.assertEqual(results, [123])
        self.assertEqual(pressurer.last_report["outcome"], "interrupted")
        pressurer.release_all()

    def test_failures_are_told(self):
        for environ, what in (({"ENGINE_FAILS": "6"}, "no memory controller.*lacks what was asked"),
                              ({"ENGINE_FAILS": "4"}, "a privilege is missing"),
                              ({"ENGINE_NO_REPORT": "1"}, "saved no report"),
                              ({"ENGINE_REPORT": "{"}, "is not JSON"),
                              ({"ENGINE_REPORT": "[]"}, "is not an object"),
                              ({"MEMPROBE_BPF": "/nonexistent"}, "no such program")):
            with self.subTest(environ), mock.patch.dict(os.environ, environ):
                with self.assertRaisesRegex(EngineError, what):
                    MemoryPressurer().burst_pressure()

    def test_reports_leave_no_files(self):
        with mock.patch("tempfile.tempdir", self.folder):
            MemoryPressurer().burst_pressure()
            self.assertEqual(os.listdir(self.folder), ["log"])


class Monitor(unittest.TestCase):
    def test_one_call_for_each_rise(self):
        seen = []
        with fake_memory(0.5) as backend:
            pressurer = MemoryPressurer(monitor_interval=0.005)
            pressurer.start_memory_monitor(lambda info: seen.append(("warning", info)),
                                           lambda info: seen.append(("critical", info)))
            self.addCleanup(pressurer.stop_memory_monitor)
            for ratio, count in ((0.8, 1), (0.92, 2), (0.5, 2), (0.95, 3)):
                backend.ratio = ratio
                self.assertTrue(wait_until(lambda: len(seen) >= count))
                time.sleep(0.05)
                self.assertEqual(len(seen), count)
            pressurer.stop_memory_monitor()
            backend.ratio = 0.1
        self.assertEqual([what for what, _ in seen], ["warning", "critical", "critical"])
        info = seen[0][1]
        self.assertAlmostEqual(info["percent_used"], 0.8)
        self.assertAlmostEqual(info["available_gb"], 200 / 1024)
        self.assertAlmostEqual(info["total_gb"], 1000 / 1024)

    def test_a_callback_that_fails_or_stops_it(self):
        seen = []

        def fails(info):
            seen.append(info)
            pressurer.stop_memory_monitor()
            raise RuntimeError("callback")

        with fake_memory(0.95), self.assertLogs("memprobe"):
            pressurer = MemoryPressurer(monitor_interval=0.005)
            pressurer.start_memory_monitor(callback_critical=fails)
            self.assertTrue(wait_until(lambda: seen))
            time.sleep(0.05)
        self.assertEqual(len(seen), 1)

    def test_own_figures(self):
        info = MemoryPressurer().get_system_memory_info()
        self.assertAlmostEqual(info["used_gb"] + info["available_gb"], info["total_gb"], places=6)
        self.assertAlmostEqual(info["percent_used"], info["used_gb"] / info["total_gb"], places=6)


class Guard(Quiet):
    def test_status(self):
        guard = MemoryGuard()
        guard.register_model("qwen")
        with fake_memory(0.25):
            status = guard.get_memory_status()
        self.assertEqual(status, {"memory_usage": 0.25, "available_memory": 750 / 1024,
                                  "total_memory": 1000 / 1024, "loaded_models": ["qwen"]})
        guard.unregister_model("qwen")
        with self.assertRaises(KeyError):
            guard.unregister_model("qwen")
        self.assertEqual(guard.get_memory_status()["loaded_models"], [])
        self.assertIs(memprobe.get_memory_guard(), memprobe.get_memory_guard())

    def test_relieves_from_85_percent_on(self):
        for ratio, severity in ((0.84, None), (0.86, "gc"), (0.93, "critical")):
            with self.subTest(ratio), fake_memory(ratio), \
                    mock.patch.object(relief, "relieve", return_value=5) as relieve:
                self.assertEqual(MemoryGuard().check(), 5 if severity else 0)
                self.assertEqual([call.args for call in relieve.mock_calls],
                                 [(severity,)] if severity else [])

    def test_models_are_released_until_there_is_room(self):
        released = []
        guard = MemoryGuard()
        with fake_memory(0.95) as backend, mock.patch.object(relief, "relieve", return_value=1):
            def release(name, ratio):
                released.append(name)
                backend.ratio = ratio
            guard.register_model("kept")
            guard.register_model("first", lambda: release("first", 0.92))
            guard.register_model("second", lambda: release("second", 0.6))
            guard.register_model("third", lambda: release("third", 0.1))
            self.assertEqual(guard.check(), 3)
            self.assertEqual(guard.check(), 0, "not again at once")
        self.assertEqual(released, ["first", "second"])
        self.assertEqual(guard.get_memory_status()["loaded_models"], ["kept", "third"])

    def test_the_thread_does_it(self):
        ran = []
        memprobe.on_pressure(ran.append)
        self.addCleanup(memprobe.off_pressure, ran.append)
        guard = MemoryGuard(interval=0.01)
        with mock.patch.object(runtime.backend, "fresh", lambda: (0,) * 7 + (3, 0)):
            guard.start_monitoring()
            guard.start_monitoring()
            self.assertTrue(wait_until(lambda: ran))
            guard.stop_monitoring()
            guard.stop_monitoring()
        self.assertEqual(ran[0].severity, "critical")


class Manager(Quiet):
    def test_current_and_trend(self):
        with fake_memory(0.5) as backend:
            manager = MemoryManager(interval=0.002)
            info = manager.get_current_memory_info()
            self.assertEqual({key: info[key] for key in info if key != "timestamp"},
                             {"memory_percent": 50.0, "available_gb": 500 / 1024,
                              "total_gb": 1000 / 1024, "loaded_models": 0,
                              "under_pressure": False, "pressure_type": None})
            self.assertEqual(manager.trend(), "unknown")
            manager.start_monitoring()
            self.addCleanup(manager.stop_monitoring)
            self.assertTrue(wait_until(lambda: len(manager._history) >= 20))
            self.assertEqual(manager.trend(), "stable")
            backend.ratio = 0.7
            self.assertTrue(wait_until(lambda: manager.trend() == "increasing"))
            backend.ratio = 0.2
            self.assertTrue(wait_until(lambda: manager.trend() == "decreasing"))
            manager.stop_monitoring()
            backend.ratio = 0.95
            info = manager.get_current_memory_info()
            self.assertEqual((info["under_pressure"], info["pressure_type"]), (True, "critical"))
            backend.ratio = 0.8
            self.assertEqual(manager.get_current_memory_info()["pressure_type"], "warning")

    def test_a_profile(self):
        manager = MemoryManager()
        self.assertFalse(manager.load_environment_profile("64GB"))
        self.assertTrue(manager.load_environment_profile("4GB连线"))
        self.assertEqual(manager.env_profile["total_mem_mb"], 4096)
        self.log.write_text("")
        report = manager.run_controlled_pressure_test("staircase", step_size_mb=10)
        self.assertEqual(report["environment"]["profile_name"], "4GB连线")
        self.assertEqual(self.commands(), [["simple", "--mode", "staircase", "--step-size", "10",
                                            "--env", "4GB连线"]])
        self.assertEqual(manager.generate_memory_report()["environment"],
                         {"profile_name": "4GB连线", "total_mem_mb": 4096, "swap_size_mb": 0,
                          "memory_limit": "3.8G"})

    def test_a_model(self):
        manager = MemoryManager()
        report = manager.run_controlled_pressure_test(
            test_mode="burst", model_id="m", test_duration=9, target_percent=0.7,
            burst_duration_sec=10)
        self.assertEqual((report["model_id"], report["model_load_time"]), ("m", 2.5))
        self.assertEqual(self.commands(), [["model", "--model-id", "m", "--mode", "burst", "--target",
                                            "70", "--duration", "10", "--test-duration", "9"]])
        self.assertEqual(manager.generate_memory_report()["model_performance"],
                         {"m": {"load_time_sec": 2.5, "rating": "good"}})

    def test_an_engine_that_knows_no_models(self):
        """The same test without it, which is told."""
        old = Path(self.folder, "old")
        old.write_text("#!/bin/sh\n[ $1 != model ] || { echo 'error: unknown command model' >&2; "
                       f"exit 2; }}\nexec '{TOP}/tests/python/engine' \"$@\"\n")
        old.chmod(0o755)
        self.set(MEMPROBE_BPF=str(old))
        with self.assertLogs(logging.getLogger("memprobe"), "WARNING") as logs:
            report = MemoryManager().run_controlled_pressure_test("burst", model_id="m",
                                                                  target_percent=0.7)
        self.assertIn("without the model m", logs.output[0])
        self.assertEqual((report["model_id"], report["test_mode"]), (None, "burst"))

    def test_refusals(self):
        manager = MemoryManager()
        with self.assertRaisesRegex(ValueError, "staircase, burst, sawtooth, allocate_full"):
            manager.run_controlled_pressure_test("wave")
        with self.assertRaisesRegex(TypeError, "mode burst has no step_size_mb"):
            manager.run_controlled_pressure_test("burst", step_size_mb=3)

    def test_a_report_without_the_engine(self):
        self.set(MEMPROBE_BPF="/nonexistent")
        with fake_memory(0.87):
            report = MemoryManager().generate_memory_report()
        self.assertEqual((report["quantization"]["current_optimal"], report["trend"],
                          report["environment"]["profile_name"]), (None, "unknown", None))
        self.assertIn("memory is short", report["recommendation"])
        self.assertIn("/nonexistent", report["engine_error"])

    def test_there_is_one(self):
        with mock.patch.object(pressure, "_manager", None):
            manager = memprobe.get_memory_manager()
            self.assertIs(memprobe.get_memory_manager("4gb"), manager)
            self.assertEqual(manager.env_profile["id"], "4gb")


class Environments(Quiet):
    def test_profiles(self):
        simulator = EnvironmentSimulator()
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            simulator.print_profiles()
        self.assertEqual(out.getvalue().splitlines(), ["1. 4GB连线 - 4096MB RAM, Swap: 0MB",
                                                       "2. 极限2GB模式 - 2048MB RAM, Swap: 512MB"])
        self.assertEqual(simulator.get_profile("2gb"), simulator.get_profile("极限2GB模式"))
        self.assertIsNone(simulator.get_profile("none"))

    def test_docker_commands(self):
        simulator = EnvironmentSimulator()
        self.assertEqual(simulator.generate_docker_command("2gb", image="debian:12",
                                                           command="sh -c 'a b'"),
                         "docker run --rm --memory=2048m debian:12 sh -c a b")
        self.assertEqual(self.commands()[-1], ["env", "docker", "2gb", "--image", "debian:12", "--",
                                               "sh", "-c", "a b"])
        with self.assertRaisesRegex(ValueError, "4GB连线, 极限2GB模式"):
            simulator.generate_docker_command("none")
        with self.assertRaises(ValueError):
            simulator.run("none", "true")

    def test_scripts(self):
        script = Path(self.folder, "test.sh")
        self.assertTrue(EnvironmentSimulator().create_test_script("4GB连线", str(script), "true"))
        self.assertEqual(script.read_text(encoding="utf-8").splitlines()[-1],
                         "exec docker run --rm --memory=4096m memprobe-bpf true")
        self.assertTrue(os.access(script, os.X_OK))
        self.assertEqual(sorted(os.listdir(self.folder)), ["log", "test.sh"])
        with self.assertRaises(OSError):
            EnvironmentSimulator().create_test_script("4gb", self.folder + "/none/test.sh")

    def test_running(self):
        simulator = EnvironmentSimulator()
        self.assertEqual(simulator.run("4gb", "sh -c 'exit 7'", engine="podman"), 7)
        self.assertEqual(self.commands()[-1], ["env", "run", "4gb", "--engine", "podman", "--", "sh",
                                               "-c", "exit 7"])
        docker = Path(self.folder, "docker")
        docker.write_text("#!/bin/sh\nexit 9\n")
        docker.chmod(0o755)
        self.set(PATH=f"{self.folder}:{os.environ['PATH']}")
        self.assertEqual(simulator.run_docker_container("4GB连线"), 9)


class RealEngine(unittest.TestCase):
    """What the engine of this version has no command for is said in a sentence."""

    def setUp(self):
        if not REAL.exists():
            self.skipTest("memprobe-bpf is not built")
        patch = mock.patch.dict(os.environ, MEMPROBE_BPF=str(REAL))
        patch.start()
        self.addCleanup(patch.stop)
        done = subprocess.run([str(REAL), "--help"], stdout=subprocess.PIPE, text=True, check=False)
        self.commands = set(re.findall(r"(?m)^  ([a-z]+)\b", done.stdout))

    def test_is_found(self):
        with mock.patch.dict(os.environ):
            del os.environ["MEMPROBE_BPF"]
            self.assertEqual(_engine.find(), str(REAL))

    def test_doctor_speaks_json(self):
        try:
            self.assertIsInstance(_engine.query("doctor"), (dict, list))
        except EngineError as error:  # a machine that cannot attach is told by the exit code
            self.assertIn(error.exit_code, (4, 6))

    def needs(self, *commands):
        if os.geteuid():
            self.skipTest("groups are made by root")
        for command in commands:
            if command not in self.commands:
                self.skipTest(f"the engine has no command {command}")

    def test_patterns(self):
        self.needs("simple")
        pressurer = MemoryPressurer()
        held = pressurer.staircase_pressure(step_size_mb=8, step_interval_sec=0.2, max_steps=3)
        self.assertEqual(held, 24)
        self.assertEqual((pressurer.last_report["test_mode"], pressurer.last_report["outcome"]),
                         ("staircase", "ok"))

    SMALL = """version: 1
models:
  - {id: small, source: this test, architecture: llama, layers: 2, hidden: 512, ff: 1536,
     heads: 8, kv_heads: 2, vocab: 4096, context_length: 4096}
"""

    def test_a_model(self):
        """It is loaded, in a device, beside the pattern."""
        self.needs("simple", "model", "env")
        with tempfile.TemporaryDirectory() as folder:
            configs = shutil.copytree(TOP / "configs", Path(folder, "configs"))
            Path(configs, "models.yaml").write_text(self.SMALL, encoding="utf-8")
            with mock.patch.dict(os.environ, MEMPROBE_CONFIG_DIR=str(configs), TMPDIR=folder):
                manager = MemoryManager("极限2GB模式")
                report = manager.run_controlled_pressure_test(
                    "staircase", model_id="small", step_size_mb=8, step_interval_sec=0.5,
                    max_steps=3)
                with self.assertRaisesRegex(EngineError, "did you mean small?"):
                    manager.run_controlled_pressure_test("burst", model_id="smal")
                with self.assertLogs("memprobe", "WARNING") as logged:
                    plain = manager.run_controlled_pressure_test(
                        "staircase", model_id="your_model_id", step_size_mb=8,
                        step_interval_sec=0.1, max_steps=2)
            self.assertIn("without the model your_model_id", logged.output[0])
            self.assertIsNone(plain["model_id"])
            self.assertEqual([p.name for p in Path(folder).iterdir()], ["configs"])
        self.assertEqual((report["model_id"], report["test_mode"], report["outcome"]),
                         ("small", "staircase", "ok"))
        self.assertEqual(report["environment"]["profile_name"], "极限2GB模式")
        self.assertGreater(report["model"]["runs"][0]["passes"]["done"], 1)
        load_time = manager.generate_memory_report()["model_performance"]["small"]["load_time_sec"]
        self.assertEqual(load_time, report["model_load_time"])
        self.assertGreater(load_time, 0)

    def test_release_all(self):
        """It ends early, and what was held is given back and told."""
        self.needs("simple")
        pressurer = MemoryPressurer()
        timer = threading.Timer(2, pressurer.release_all)
        timer.start()
        self.addCleanup(timer.cancel)
        pressurer.staircase_pressure(step_size_mb=8, step_interval_sec=0.5, max_steps=100)
        self.assertEqual(pressurer.last_report["outcome"], "interrupted")

    def test_status(self):
        self.needs("status")
        report = MemoryManager().generate_memory_report()
        self.assertNotIn("engine_error", report)
        self.assertIsNone(report["quantization"]["current_optimal"])
        self.assertEqual(set(report["environment"]),
                         {"profile_name", "total_mem_mb", "swap_size_mb", "memory_limit"})

    def test_commands_that_it_has_not(self):
        calls = {"simple": lambda: MemoryPressurer().burst_pressure(0.01, 0.1),
                 "env": EnvironmentSimulator().list_profiles}
        for command in set(calls) - self.commands:
            with self.subTest(command):
                with self.assertRaisesRegex(EngineError, f"has no command '{command}'") as caught:
                    calls[command]()
                self.assertEqual(caught.exception.exit_code, 2)


if __name__ == "__main__":
    unittest.main()
