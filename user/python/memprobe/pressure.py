# SPDX-License-Identifier: GPL-2.0-only
"""Memory pressure: made by the engine (memprobe-bpf), watched and answered in this process."""

import collections
import gc
import threading
import time
from typing import Any, Callable, Deque, Dict, List, Optional, Tuple

from . import _levels as levels
from . import relief
from ._backend import log
from ._engine import EngineError, MissingCommand, MissingModel, Report, query
from ._runtime import runtime
from .quantization import get_optimal_quantization

__all__ = ["MemoryGuard", "MemoryManager", "MemoryPressurer", "get_memory_guard",
           "get_memory_manager"]

MB = 1 << 20
GB = float(1 << 30)
MemoryCallback = Callable[[Dict[str, float]], Any]

#: Of each mode the settings, the engine's options for them, and what these are multiplied by.
MODES: Dict[str, Dict[str, Tuple[str, int]]] = {
    "staircase": {"step_size_mb": ("--step-size", 1), "step_interval_sec": ("--interval", 1),
                  "max_steps": ("--steps", 1)},
    "burst": {"target_percent": ("--target", 100), "burst_duration_sec": ("--duration", 1)},
    "sawtooth": {"min_percent": ("--min", 100), "max_percent": ("--max", 100),
                 "cycles": ("--cycles", 1), "cycle_duration_sec": ("--duration", 1)},
    "allocate_full": {"duration_sec": ("--duration", 1)},
}


def mode_arguments(mode: str, settings: Dict[str, float]) -> List[str]:
    """The engine's options for a mode. ValueError: unknown mode, or a value that is out of range;
    TypeError: a setting that the mode has not."""
    if mode not in MODES:
        raise ValueError(f"unknown mode {mode!r}: it is one of {', '.join(MODES)}")
    arguments = ["--mode", mode]
    for name, value in settings.items():
        if name not in MODES[mode]:
            raise TypeError(f"mode {mode} has no {name}: it has {', '.join(MODES[mode])}")
        option, factor = MODES[mode][name]
        if not 0 < value <= (1 if factor == 100 else float("inf")):
            raise ValueError(f"{name} is {'a share, up to 1' if factor == 100 else 'above 0'}, "
                             f"not {value!r}")
        arguments += [option, f"{value * factor:g}"]
    return arguments


def memory_info() -> Dict[str, float]:
    """Of the effective limit (of the memory cgroup, or the host): total_gb, used_gb, available_gb,
    percent_used (0 to 1), free_mb."""
    _, _, _, limit, usage, available, ratio, _, _ = runtime.backend.fresh()
    return {"total_gb": limit / GB, "used_gb": usage / GB, "available_gb": available / GB,
            "percent_used": ratio, "free_mb": available / MB}


class _Ticker:
    """A thread that does something every so often, and waits for the next time without it."""

    def __init__(self, name: str, interval: float, work: Callable[[], Any]) -> None:
        self._interval = interval
        self._work = work
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                self._work()
            except Exception:  # a callback's; the next look may be the one that matters
                log.exception("%s", self._thread.name)
            if self._stop.wait(self._interval):
                return


class MemoryPressurer:
    """Fills memory in patterns, and calls back when usage crosses thresholds.

    The memory is filled by the engine, in processes of its own: this process does not grow.
    `safety_margin_mb` is what stays free (None: 500, and never more than a tenth of a limit under
    5 GB), `monitor_interval` in seconds; thresholds are 0 to 1 of the effective limit. ValueError: they are not 0 < warning <= critical <= 1.
    """

    def __init__(self, safety_margin_mb: Optional[int] = None, monitor_interval: float = 0.5,
                 threshold_critical: float = 0.9, threshold_warning: float = 0.75) -> None:
        if not 0 < threshold_warning <= threshold_critical <= 1:
            raise ValueError("thresholds are 0 < warning <= critical <= 1, not "
                             f"{threshold_warning!r} and {threshold_critical!r}")
        if not monitor_interval > 0:
            raise ValueError(f"monitor_interval is above 0, not {monitor_interval!r}")
        self.safety_margin_mb = safety_margin_mb
        self.monitor_interval = monitor_interval
        self.threshold_critical = threshold_critical
        self.threshold_warning = threshold_warning
        self.env_profile: Optional[str] = None
        self.last_report: Optional[Dict[str, Any]] = None  #: of the last pattern, whole
        self._running: Optional[Report] = None
        self._lock = threading.Lock()
        self._ticker: Optional[_Ticker] = None
        self._callbacks: Dict[int, MemoryCallback] = {}
        self._severity = levels.NORMAL

    def staircase_pressure(self, step_size_mb: int = 100, step_interval_sec: float = 1.0,
                           max_steps: int = 20) -> int:
        """Steps of so many MB, so many seconds apart. Gives the most MB that were held, as the
        others do; EngineError where it cannot be done."""
        return self._fill("staircase", step_size_mb=step_size_mb,
                          step_interval_sec=step_interval_sec, max_steps=max_steps)

    def burst_pressure(self, target_percent: float = 0.8, burst_duration_sec: float = 5.0) -> int:
        """At once to a share (0 to 1) of the limit, held for so many seconds."""
        return self._fill("burst", target_percent=target_percent,
                          burst_duration_sec=burst_duration_sec)

    def sawtooth_pressure(self, min_percent: float = 0.3, max_percent: float = 0.7,
                          cycles: int = 3, cycle_duration_sec: float = 10.0) -> int:
        """Up and down between two shares (0 to 1) of the limit."""
        return self._fill("sawtooth", min_percent=min_percent, max_percent=max_percent,
                          cycles=cycles, cycle_duration_sec=cycle_duration_sec)

    def allocate_full(self, duration_sec: float = 5.0) -> int:
        """All but the safety margin."""
        return self._fill("allocate_full", duration_sec=duration_sec)

    def release_all(self) -> None:
        """Ends the pattern that another thread has begun: its memory is free again, and its call
        returns what there was until then."""
        running = self._running
        if running:
            running.interrupt()
        gc.collect()

    def get_system_memory_info(self) -> Dict[str, float]:
        """total_gb, used_gb, available_gb, free_mb, and percent_used, which is 0 to 1."""
        return memory_info()

    def start_memory_monitor(self, callback_warning: Optional[MemoryCallback] = None,
                             callback_critical: Optional[MemoryCallback] = None) -> None:
        """Looks at memory every monitor_interval, in a thread, and calls back with
        get_system_memory_info() when usage rises above a threshold: once, until it was below
        again. Called again, it has the new callbacks called instead."""
        self.stop_memory_monitor()
        self._callbacks = {number: callback for number, callback in (
            (levels.WARNING, callback_warning), (levels.PRESSURE_CRITICAL, callback_critical))
            if callback}
        self._severity = levels.NORMAL
        self._ticker = _Ticker("memprobe-monitor", self.monitor_interval, self._look)

    def stop_memory_monitor(self) -> None:
        """No callback is called any more when this returns, unless it is called by one."""
        ticker, self._ticker = self._ticker, None
        if ticker:
            ticker.stop()

    def run_report(self, *arguments: str) -> Dict[str, Any]:
        """One run of the engine that can be ended by release_all(); its report. RuntimeError: one
        is running. EngineError."""
        if not self._lock.acquire(blocking=False):
            raise RuntimeError("a pressure pattern is running: release_all() ends it")
        try:
            profile = ["--env", self.env_profile] if self.env_profile else []
            margin = ([] if self.safety_margin_mb is None else
                      ["--safety-margin", f"{self.safety_margin_mb:g}"])
            self._running = Report(*arguments, *profile, *margin)
            self.last_report = self._running.result()
            return self.last_report
        finally:
            self._running = None
            self._lock.release()

    def _fill(self, mode: str, **settings: float) -> int:
        report = self.run_report("simple", *mode_arguments(mode, settings))
        held = [sample.get("filler") or 0 for sample in report.get("samples") or ()]
        achieved = (report.get("achieved") or {}).get("bytes") or 0  # with all that was there
        return int(max(held, default=achieved) // MB)

    def _look(self) -> None:
        info = memory_info()
        ratio = info["percent_used"]
        severity = (levels.PRESSURE_CRITICAL if ratio >= self.threshold_critical else
                    levels.WARNING if ratio >= self.threshold_warning else levels.NORMAL)
        previous, self._severity = self._severity, severity
        if severity > previous and severity in self._callbacks:
            self._callbacks[severity](info)


class MemoryGuard:
    """Gives memory back by itself when it becomes scarce, and knows which models are loaded.

    From 85 % of the effective limit on, all cleanups run (see memprobe.relief); from 90 % on
    models that were registered with a way to release them are released, the first registered
    first, until there is room. `interval` in seconds.
    """

    def __init__(self, interval: float = 0.5) -> None:
        if not interval > 0:
            raise ValueError(f"interval is above 0, not {interval!r}")
        self._interval = interval
        self._models: Dict[str, Optional[Callable[[], Any]]] = {}
        self._ticker: Optional[_Ticker] = None
        self._relieved_at = 0.0

    def get_memory_status(self) -> Dict[str, Any]:
        """memory_usage (0 to 1 of the effective limit), available_memory and total_memory (GB),
        loaded_models (names)."""
        info = memory_info()
        return {"memory_usage": info["percent_used"], "available_memory": info["available_gb"],
                "total_memory": info["total_gb"], "loaded_models": list(self._models)}

    def register_model(self, model_id: str, release: Optional[Callable[[], Any]] = None) -> None:
        """A model is loaded; `release` lets go of it."""
        self._models[model_id] = release

    def unregister_model(self, model_id: str) -> None:
        """It is not any more. KeyError: it was not registered."""
        del self._models[model_id]

    def start_monitoring(self) -> None:
        """Looks at memory every interval, in a thread. Nothing when it does already."""
        if not self._ticker:
            self._ticker = _Ticker("memprobe-guard", self._interval, self.check)

    def stop_monitoring(self) -> None:
        """Ends that. Nothing when it does not."""
        ticker, self._ticker = self._ticker, None
        if ticker:
            ticker.stop()

    def check(self) -> int:
        """Looks once, and gives back what is due. Gives the bytes by which the process shrank."""
        sample = runtime.backend.fresh()
        now = time.monotonic()
        if sample[7] < levels.GC or now - self._relieved_at < levels.COOLDOWN:
            return 0
        self._relieved_at = now
        freed = relief.relieve(levels.SEVERITIES[min(sample[7], levels.PRESSURE_CRITICAL)])
        return freed + self._release_models()

    def _release_models(self) -> int:
        freed = 0
        for model_id, release in list(self._models.items()):
            if runtime.backend.fresh()[7] < levels.PRESSURE_CRITICAL:
                break
            if release:
                log.warning("memory is critical: model %s is released", model_id)
                del self._models[model_id]
                release()
                freed += relief.relieve("critical")
        return freed


class MemoryManager:
    """Guard, pressure tests and reports in one. EngineError: a profile was named, and there is no
    engine that knows profiles."""

    HISTORY = 100  #: samples that the trend is taken from
    TREND = 0.02  #: of the limit: a smaller difference is "stable"

    def __init__(self, env_profile_name: Optional[str] = None, interval: float = 1.0) -> None:
        self.memory_guard = get_memory_guard()
        self.memory_pressurer = MemoryPressurer()
        self.env_profile: Optional[Dict[str, Any]] = None
        self.model_id: Optional[str] = None  #: of models.yaml, that reports advise on
        self.model_load_times: Dict[str, float] = {}
        self._interval = interval
        self._history: Deque[float] = collections.deque(maxlen=self.HISTORY)
        self._ticker: Optional[_Ticker] = None
        if env_profile_name:
            self.load_environment_profile(env_profile_name)

    def load_environment_profile(self, profile_name: str) -> bool:
        """Tests and reports are for that device from now on. False: there is no such profile.
        EngineError."""
        from .environment import EnvironmentSimulator
        profile = EnvironmentSimulator().get_profile(profile_name)
        if profile is None:
            log.error("no environment profile %s", profile_name)
            return False
        self.env_profile = profile
        self.memory_pressurer.env_profile = profile_name
        return True

    def start_monitoring(self) -> None:
        """Keeps a history of usage, notes pressure, and starts the guard. Nothing when it does
        already."""
        if self._ticker:
            return
        self.memory_guard.start_monitoring()
        self._ticker = _Ticker("memprobe-manager", self._interval, self._note)

    def stop_monitoring(self) -> None:
        """Ends that; the history stays."""
        ticker, self._ticker = self._ticker, None
        if ticker:
            ticker.stop()
        self.memory_guard.stop_monitoring()

    def get_current_memory_info(self) -> Dict[str, Any]:
        """timestamp (seconds since the epoch), memory_percent (0 to 100), available_gb, total_gb,
        loaded_models (how many), under_pressure, pressure_type (None, "warning", "critical")."""
        status = self.memory_guard.get_memory_status()
        severity = levels.severity_of(status["memory_usage"])
        kind = "critical" if severity == levels.PRESSURE_CRITICAL else "warning"
        return {"timestamp": time.time(), "memory_percent": status["memory_usage"] * 100,
                "available_gb": status["available_memory"], "total_gb": status["total_memory"],
                "loaded_models": len(status["loaded_models"]),
                "under_pressure": severity != levels.NORMAL,
                "pressure_type": kind if severity != levels.NORMAL else None}

    def run_controlled_pressure_test(self, test_mode: str, model_id: Optional[str] = None,
                                     test_duration: float = 60,
                                     env_profile_name: Optional[str] = None,
                                     **settings: float) -> Dict[str, Any]:
        """One pressure test, with a model really loaded beside it if `model_id` is given: one of
        models.yaml, made where there is no file of it, at Q4_K_M. Its test takes test_duration
        seconds, but for what `settings` say: the arguments of the pressurer's method for that
        mode. Gives the report (test_mode, outcome, peak_memory, memory_statistics, environment,
        of a model model_load_time, model, quantization ...). With an id that is like none of
        models.yaml, or an engine that knows no models, it is the same test without one, which is
        logged, and model_id of the report is None. ValueError, TypeError: not such a mode or
        setting. EngineError: an id that was mistyped, too."""
        mode = mode_arguments(test_mode, settings)
        if env_profile_name and not self.env_profile:
            self.load_environment_profile(env_profile_name)
        if model_id is None:
            return self.memory_pressurer.run_report("simple", *mode)
        try:
            report = self.memory_pressurer.run_report("model", "--model-id", model_id, *mode,
                                                      "--test-duration", f"{test_duration:g}")
        except (MissingCommand, MissingModel) as error:
            log.warning("%s: the test is without the model %s", error, model_id)
            return self.memory_pressurer.run_report("simple", *mode)
        self.model_id = model_id
        load_time = report.get("model_load_time")
        if isinstance(load_time, (int, float)):
            self.model_load_times[model_id] = float(load_time)
        return report

    def generate_memory_report(self) -> Dict[str, Any]:
        """current (see get_current_memory_info()), trend, model_performance, recommendation,
        quantization {current_optimal, ...}, environment {profile_name, total_mem_mb, swap_size_mb,
        memory_limit}. The level is of `model_id`, which is the model that was tested last unless it
        was set to another; for the device of the profile, or beside what is in use here. What the
        engine is needed for and cannot be had is None, and `engine_error` says why."""
        current = self.get_current_memory_info()
        status, error = self._engine_status()
        report: Dict[str, Any] = {
            "current": current, "trend": self.trend(),
            "model_performance": {model: {"load_time_sec": seconds, "rating": rate(seconds)}
                                  for model, seconds in self.model_load_times.items()},
            "recommendation": recommend(current["memory_percent"]),
            "quantization": status.get("quantization") or {"current_optimal": None},
            "environment": status.get("environment") or dict.fromkeys(
                ("profile_name", "total_mem_mb", "swap_size_mb", "memory_limit")),
        }
        if error:
            report["engine_error"] = error
        return report

    def get_optimal_quantization(self, model_id: Optional[str] = None,
                                 context: Optional[int] = None) -> Optional[str]:
        """The level of best quality of a model of models.yaml (of `model_id` when none is given)
        that fits the device of the profile, or beside what is in use here; None: none does.
        ValueError: no model. EngineError."""
        return get_optimal_quantization(model_id or self.model_id, context=context,
                                        env_profile_name=self.memory_pressurer.env_profile)

    def trend(self) -> str:
        """Of usage, from the older to the newer half of the history: increasing, decreasing,
        stable; unknown with less than four samples."""
        history = list(self._history)
        if len(history) < 4:
            return "unknown"
        half = len(history) // 2
        difference = sum(history[-half:]) / half - sum(history[:half]) / half
        if abs(difference) < self.TREND:
            return "stable"
        return "increasing" if difference > 0 else "decreasing"

    def _note(self) -> None:
        self._history.append(memory_info()["percent_used"])

    def _engine_status(self) -> Tuple[Dict[str, Any], Optional[str]]:
        profile = self.memory_pressurer.env_profile
        arguments = ["--env", profile] if profile else []
        if not self.model_id:
            return ask_status(arguments)
        status, error = ask_status([*arguments, "--model-id", self.model_id])
        if not error:
            return status, None
        # A model that the engine does not know leaves the rest to be told.
        status, worse = ask_status(arguments)
        return {**status, "quantization": {"current_optimal": None, "advice": error}}, worse


def ask_status(arguments: List[str]) -> Tuple[Dict[str, Any], Optional[str]]:
    """What the engine's `status` says, or why there is nothing."""
    try:
        status = query("status", *arguments)
    except EngineError as error:
        return {}, str(error)
    return (status, None) if isinstance(status, dict) else ({}, "status is not an object")


def rate(load_time_sec: float) -> str:
    """In a word, how fast a model was loaded."""
    return "good" if load_time_sec < 3 else "moderate" if load_time_sec < 10 else "slow"


def recommend(memory_percent: float) -> str:
    """In a sentence, what to do at that usage (0 to 100)."""
    return ("memory suffices",
            "memory becomes scarce: load nothing large now",
            "memory is short: free caches, or choose a smaller quantization level",
            "memory is critical: release models now, or choose the smallest quantization level",
            )[levels.severity_of(memory_percent / 100)]


_lock = threading.Lock()
_guard: Optional[MemoryGuard] = None
_manager: Optional[MemoryManager] = None


def get_memory_guard() -> MemoryGuard:
    """The one guard of this process."""
    global _guard
    with _lock:
        if _guard is None:
            _guard = MemoryGuard()
        return _guard


def get_memory_manager(env_profile_name: Optional[str] = None) -> MemoryManager:
    """The one manager of this process; a profile that is named is loaded. EngineError."""
    global _manager
    if _manager is None:
        manager = MemoryManager()
        with _lock:
            _manager = _manager or manager
    if env_profile_name:
        _manager.load_environment_profile(env_profile_name)
    return _manager
