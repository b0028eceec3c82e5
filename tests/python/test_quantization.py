# SPDX-License-Identifier: GPL-2.0-only
"""Which level fits: what is asked of the engine, and what is made of its answer; and the real
engine's answers."""

import os
import unittest
from unittest import mock

import memprobe
from memprobe import EngineError, MemoryManager, get_optimal_quantization, get_quantization_advice
from support import TOP, WithEngine, fake_memory

REAL = TOP / "build" / "memprobe-bpf"
JSON = ["--format", "json"]


class Questions(WithEngine):
    def test_command_lines(self):
        for call, expected in (
                (lambda: get_optimal_quantization("m"), "--model-id m"),
                (lambda: get_optimal_quantization(model_file="a.gguf"), "--model a.gguf"),
                (lambda: get_optimal_quantization("m", env_profile_name="2gb", context=512),
                 "--model-id m --env 2gb --context 512"),
                (lambda: get_optimal_quantization("m", limit_mb=1536.5, levels=["Q4_0", "Q6_K"]),
                 "--model-id m --limit 1536.5M --quant-levels Q4_0,Q6_K")):
            with self.subTest(expected):
                self.log.write_text("")
                self.assertEqual(call(), "Q4_K_M")
                self.assertEqual(self.commands(), [["gguf", "advise", *expected.split(), *JSON]])

    def test_none_fits(self):
        self.assertIsNone(get_optimal_quantization("m", limit_mb=100))
        self.assertEqual(get_quantization_advice("m", limit_mb=100)["advice"], "Take it.")

    def test_questions_that_make_no_sense(self):
        for arguments in ({}, {"model_id": "m", "model_file": "f"},
                          {"model_id": "m", "limit_mb": 5, "env_profile_name": "2gb"}):
            with self.subTest(arguments), self.assertRaises(ValueError):
                get_optimal_quantization(**arguments)
        self.assertFalse(self.log.exists())

    def test_answers_that_make_no_sense(self):
        with self.assertRaisesRegex(EngineError, "no model nobody-knows-it"):
            get_optimal_quantization("nobody-knows-it")
        self.set(ENGINE_ADVICE="[1]")
        with self.assertRaisesRegex(EngineError, "not an object"):
            get_optimal_quantization("m")


class Managers(WithEngine):
    def optimal(self, manager):
        with fake_memory(0.5):
            report = manager.generate_memory_report()
        return report["quantization"]["current_optimal"], report.get("engine_error")

    def test_of_the_model_that_was_tested(self):
        manager = MemoryManager()
        self.assertEqual(self.optimal(manager), (None, None))
        manager.run_controlled_pressure_test("burst", model_id="m", target_percent=0.5)
        self.assertEqual(manager.model_id, "m")
        self.assertEqual(self.optimal(manager), ("Q4_K_M", None))
        self.assertEqual(self.commands()[-1], ["status", "--model-id", "m", *JSON])
        self.assertEqual(manager.get_optimal_quantization(), "Q4_K_M")

    def test_on_a_device(self):
        manager = MemoryManager("2gb")
        self.assertEqual(manager.get_optimal_quantization("other", context=99), "Q4_K_M")
        self.assertEqual(self.commands()[-1], ["gguf", "advise", "--model-id", "other", "--env",
                                               "2gb", "--context", "99", *JSON])
        manager.model_id = "mine"
        self.optimal(manager)
        self.assertEqual(self.commands()[-1], ["status", "--env", "2gb", "--model-id", "mine",
                                               *JSON])

    def test_a_model_that_is_not_known_leaves_the_rest(self):
        manager = MemoryManager("2gb")
        manager.model_id = "nobody-knows-it"
        report = manager.generate_memory_report()
        self.assertIsNone(report["quantization"]["current_optimal"])
        self.assertIn("no model nobody-knows-it", report["quantization"]["advice"])
        self.assertEqual(report["environment"]["total_mem_mb"], 2048)
        self.assertNotIn("engine_error", report)

    def test_no_engine(self):
        manager = MemoryManager()
        manager.model_id = "m"
        self.set(MEMPROBE_BPF="/nonexistent")
        level, error = self.optimal(manager)
        self.assertIsNone(level)
        self.assertIn("/nonexistent", error)

    def test_without_a_model(self):
        with self.assertRaisesRegex(ValueError, "one of them"):
            MemoryManager().get_optimal_quantization()


class RealEngine(unittest.TestCase):
    def setUp(self):
        if not REAL.exists():
            self.skipTest("memprobe-bpf is not built")
        patch = mock.patch.dict(os.environ, MEMPROBE_BPF=str(REAL),
                                MEMPROBE_CONFIG_DIR=str(TOP / "configs"))
        patch.start()
        self.addCleanup(patch.stop)

    def test_levels_by_memory(self):
        for limit_mb, level in ((800, None), (8192, "Q6_K"), (32768, "F16")):
            with self.subTest(limit_mb):
                self.assertEqual(get_optimal_quantization("qwen2.5-7b", limit_mb=limit_mb), level)

    def test_a_device(self):
        advice = memprobe.get_quantization_advice("qwen2.5-7b-zh", env_profile_name="极限2GB模式")
        self.assertIsNone(advice["current_optimal"])
        self.assertEqual((advice["model_id"], advice["device"]["profile_name"]),
                         ("qwen2.5-7b", "极限2GB模式"))
        self.assertTrue(advice["smaller"]["model_id"].startswith("qwen2.5-"))
        self.assertIn("use a smaller model", advice["advice"])

    def test_a_report(self):
        manager = MemoryManager("4GB连线")
        manager.model_id = "qwen2.5-1.5b"
        quantization = manager.generate_memory_report()["quantization"]
        self.assertEqual(quantization["current_optimal"],
                         manager.get_optimal_quantization())
        self.assertIsNotNone(quantization["current_optimal"])

    def test_refusals(self):
        for arguments, words in (({"model_id": "qwen9"}, "there is no model qwen9"),
                                 ({"model_id": "qwen2.5-7b", "levels": ["Q99"]}, "Q99"),
                                 ({"model_file": "/nonexistent.gguf"}, "/nonexistent.gguf")):
            with self.subTest(words), self.assertRaisesRegex(EngineError, words):
                get_optimal_quantization(**arguments)


if __name__ == "__main__":
    unittest.main()
