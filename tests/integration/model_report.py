#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Reports as runs of models leave them, for tests of what is made of them.

  model_report.py limit RATIO      a model of 992 MB under that part of its size, as measured
  model_report.py levels           a model at six levels under 2 GB
  model_report.py limits           that model under three limits, in one report
  model_report.py killed           a model that did not come to a pass

The report goes to standard output. Speeds are those of docs/models.md: at 1.6 times its size a model passes 16 times a
second, at 1.0 times 1.26, at 0.7 times 0.61.
"""

import json
import random
import sys

MIB = 1 << 20
MB = 10**6
LEVELS = [  # name, weights, repack, perplexity
    ("Q2_K", 675 * MB, 330 * MIB, 3.5199), ("Q3_K_M", 823 * MB, 250 * MIB, 0.6569),
    ("Q4_K_M", 985 * MB, 610 * MIB, 0.1754), ("Q5_K_M", 1124 * MB, 0, 0.0569),
    ("Q6_K", 1272 * MB, 0, 0.0217), ("F16", 3087 * MB, 0, None)]
random.seed(7)


class Clock:
    """What is put together as time goes: samples and passes."""

    def __init__(self, limit):
        self.t, self.limit, self.samples, self.stall = 0.0, limit, [], 0

    def sample(self, usage, rss, stalled=0.0, step=0.1):
        self.stall += int(stalled * step * 1e9)
        usage = int(min(usage, self.limit))
        self.samples.append({
            "t": round(self.t, 9), "usage": usage, "percent": 0, "available": self.limit - usage,
            "filler": None, "requested": None, "swap": 0, "some_ns": self.stall,
            "full_ns": int(self.stall * 0.9), "target_rss": int(rss), "filler_rss": None,
            "monitor_rss": 6 * MIB, "watcher_rss": 9 * MIB})
        self.t += step


def load(clock, seconds, anon, weights, room):
    steps = max(2, int(seconds / 0.1))
    for i in range(steps):
        rss = anon * min(1, 2 * i / steps) + min(weights * i / steps, room)
        clock.sample(rss + 4 * MIB, rss, 0.5 if weights * i / steps > room else 0, seconds / steps)


def run_of(clock, level, weights, anon, quality, length, outcome, predicted, disk, used=8 * MIB, speed=None):
    """A cold load, a warm one and passes of `length` seconds, where others hold `used`."""
    room = max(0, clock.limit - anon - used)
    start, cold = clock.t, weights / disk
    fits = weights <= room
    load(clock, cold, anon, weights, room)
    passes, warm = [], None
    if outcome != "oom_killed":
        warm = 0.02 if fits else 0.92 * cold
        load(clock, warm, anon, weights, room)
        took = 1 / speed if speed else weights / 16e9 if fits else 0.9 * weights / disk
        end = clock.t + length
        at = clock.t
        while at < end:
            own = took * random.uniform(0.97, 1.06) * (4 if len(passes) == 9 else 1)
            passes.append({"t": round(at, 9), "duration": round(own, 9)})
            at += own
        rss = anon + min(weights, room)
        while clock.t < at:
            clock.sample(rss + 4 * MIB, rss * random.uniform(0.985, 1), 0 if fits else 0.85)
    durations = sorted(p["duration"] for p in passes)
    reread = 0 if fits else int(0.9 * weights * len(passes))
    return {
        "level": level, "limit": clock.limit, "file_bytes": weights + 5_954_240,
        "tensor_bytes": weights, "outcome": outcome, "predicted": predicted,
        "predicted_peak": {"anon": anon, "file": weights}, "start": round(start, 9),
        "end": round(clock.t, 9), "cached_before": 0, "load_cold": round(cold, 9),
        "load_warm": warm and round(warm, 9),
        "passes": {"done": len(passes), "p50": durations[len(passes) // 2] if passes else None,
                   "max": durations[-1] if passes else None,
                   "read_bytes": reread // len(passes) if passes else None, "series": passes},
        "peak": {"rss": int(anon * 1.01) + min(weights, room), "anon": int(anon * 1.01),
                 "file": min(weights, room), "shmem": 0, "group": clock.limit if not fits else anon + weights},
        "major_faults": 211 if fits else 211 + reread // 131072, "read_bytes": weights + reread,
        "reread_bytes": reread, "reclaimed_bytes": reread, "some_ns": 0 if fits else int(length * 9e8),
        "full_ns": 0 if fits else int(length * 8e8), "perplexity": quality}


def row_of(level, weights, repack, quality, usable, disk, runs):
    kv, compute, runtime, metadata = 112 * MIB, 303 * MIB, 24 * MIB, 31 * MIB
    must = kv + compute + repack + runtime + metadata
    fit = "ok" if must + weights <= usable else "thrash" if must <= usable else "oom_killed"
    run = next((r for r in runs if r["level"] == level), None)
    return {
        "level": level, "tensor_bytes": weights, "kv": kv, "compute": compute, "repack": repack,
        "runtime": runtime, "metadata": metadata, "must": must, "comfortable": must + weights,
        "fit": fit, "perplexity": quality,
        "most_per_second": round(disk / (0.9 * weights), 4) if fit == "thrash" else None,
        "outcome": run and run["outcome"], "load_time": run and run["load_cold"],
        "pass_time": run and run["passes"]["p50"], "peak_rss": run and run["peak"]["rss"],
        "major_faults": run and run["major_faults"]}


def mark(kind, t, severity, name, text):
    return {"kind": kind, "t": t, "duration_ns": None, "severity": severity, "pid": 4711, "tid": 4711,
            "bytes": None, "name": name, "text": text}


def report(mode, model_id, clock, runs, disk, **other):
    worst = other.pop("outcome", runs[0]["outcome"])
    slope = {"bytes_per_second": None, "low": None, "high": None}
    reached = {"percent": None, "bytes": None}
    whole = {
        "schema_version": 1, "version": "0.1.0", "time": "2026-11-22T09:23:22.327993Z", "test_mode": mode,
        "model_id": model_id, "command": None, "duration": round(clock.t, 9), "outcome": worst,
        "verdict": None, "recommendation": None, "trend": "unknown", "kernel": "6.1.0-40-amd64",
        "cgroup": "/memprobe-1", "limit": clock.limit, "start_memory": None, "end_memory": None,
        "peak_memory": None, "model_load_time": runs[0]["load_cold"],
        "memory_statistics": dict.fromkeys(
            ["avg_memory_percent", "min_memory_percent", "max_memory_percent", "avg_available_gb",
             "min_available_gb", "volatility"]),
        "requested": reached, "achieved": dict(reached, error_pct=None),
        "quantization": {"current_optimal": None, "advice": None, "usable": None, "levels": []},
        "environment": {"profile_name": None, "total_mem_mb": clock.limit / MIB, "swap_size_mb": 0,
                        "memory_limit": clock.limit, "engine": "v2", "notes": None},
        "thresholds": {"warning": 75, "gc": 85, "critical": 90},
        "pressure": {"some_ns": clock.stall, "full_ns": int(clock.stall * 0.9), "oom_kills": 0,
                     "high_events": None, "max_events": 0, "incidents": 0},
        "leak": {"target": slope, "filler": slope, "monitor": slope}, "phases": [], "points": [],
        "events_left_out": 0, "monitor": None,
        "model": {"file": f"/var/models/{model_id}.gguf", "synthesized": True, "loader": "mmap",
                  "context": 4096, "disk_bytes_per_second": disk, "runs": runs},
        "samples": clock.samples, "events": []}
    for key, value in other.items():
        whole[key] = dict(whole[key], **value) if isinstance(value, dict) else value
    return whole


def limited(ratio):
    """Of the facts: anonymous memory beside a mapped file of 992 MB, a disk of 1.13 GB/s."""
    weights, anon, disk = 992 * MB, 330 * MIB, 1130 * MB
    clock = Clock(int(weights * ratio))
    fits = anon + weights + 8 * MIB <= clock.limit
    outcome = "ok" if fits else "thrash"
    run = run_of(clock, "F16", weights, anon, 0, 12, outcome, outcome, disk,
                 speed={1.6: 16, 1.0: 1.26, 0.7: 0.61}.get(ratio))
    size, rate = f"{clock.limit // MIB} MiB", 1 / run["passes"]["p50"]
    events = [mark("decision", 1.2, "critical", "critical", "working set 97.1 % of the limit")] if not fits else []
    return report(
        "model", "qwen2.5-0.5b", clock, [run], disk, events=events,
        environment={"profile_name": f"limit {size}"}, pressure={"incidents": len(events)},
        verdict=f"qwen2.5-0.5b F16 {'stays in memory' if fits else 'thrashes'} under {size}: {rate:.2f} passes a second",
        recommendation=None if fits else "Take Q4_K_M: all of it stays in memory there")


def limits():
    """The three of them, one behind the other."""
    clock, disk, runs = Clock(1587 * MB), 1130 * MB, []
    for limit, speed in ((1587 * MB, 16), (992 * MB, 1.26), (694 * MB, 0.61)):
        clock.limit = limit
        outcome = "ok" if speed > 10 else "thrash"
        runs.append(run_of(clock, "F16", 992 * MB, 330 * MIB, 0, 6, outcome, outcome, disk, speed=speed))
    clock.limit = 1587 * MB
    return report("model", "qwen2.5-0.5b", clock, runs, disk, outcome="thrash",
                  verdict="qwen2.5-0.5b F16 thrashes under 946 MiB and less")


def levels():
    clock, disk, runs = Clock(2048 * MIB), 450 * MB, []
    usable = clock.limit - clock.limit // 10
    rows = [row_of(*level, usable, disk, []) for level in LEVELS]
    for (name, weights, _, quality), row in zip(LEVELS, rows):
        anon = row["must"] if name != "F16" else 2040 * MIB
        outcome = row["fit"] if name != "F16" else "oom_killed"
        runs.append(run_of(clock, name, weights, anon, quality, 5, outcome, row["fit"], disk, clock.limit // 10))
        clock.sample(6 * MIB, 0)
    rows = [row_of(*level, usable, disk, runs) for level in LEVELS]
    best = [row["level"] for row in rows if row["fit"] == "ok"][-1]
    oom = mark("oom", clock.t - 0.2, "critical", "memprobe-bpf", "memprobe-bpf[4711] was OOM-killed inside load_model")
    return report(
        "quantization", "qwen2.5-1.5b", clock, runs, disk, outcome="ok", events=[oom],
        quantization={"current_optimal": best, "advice": f"Take {best}", "usable": usable, "levels": rows},
        environment={"profile_name": "极限2GB模式"}, pressure={"oom_kills": 1, "incidents": 3},
        verdict=f"{best} is the best level that stays in memory, of six",
        recommendation=f"Take {best}: its {rows[4]['comfortable'] // MIB} MiB stay below {usable // MIB} MiB")


def killed():
    clock, disk = Clock(1024 * MIB), 450 * MB
    run = run_of(clock, "Q4_K_M", 4677 * MB, 1020 * MIB, 0.1754, 5, "oom_killed", "oom_killed", disk)
    run["load_cold"] = run["end"] = None
    return report("model", "qwen2.5-7b", clock, [run], disk, model_load_time=None, pressure={"oom_kills": 1},
                  verdict="qwen2.5-7b Q4_K_M was OOM-killed while it was loaded")


def main():
    kinds = {"limit": lambda: limited(float(sys.argv[2])), "limits": limits, "levels": levels, "killed": killed}
    json.dump(kinds[sys.argv[1]](), sys.stdout, ensure_ascii=False)


if __name__ == "__main__":
    main()
