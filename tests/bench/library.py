# SPDX-License-Identifier: GPL-2.0-only
"""What libmemprobe costs in a program, beside reading the same from /proc by text."""

import subprocess

from common import TOP, headline, pinned, report


def figures(program):
    """What the program prints: a name and nanoseconds a line."""
    out = subprocess.run(pinned(1, [str(TOP / "build/bench" / program)]), check=True,
                         capture_output=True, text=True).stdout
    return {name: float(ns) for name, ns in (line.split() for line in out.splitlines())}


def against(what, ns, most):
    report(what, f"{ns:.2f} ns" if ns < 100 else f"{ns:.0f} ns", f"<= {most} ns", ns <= most)


def bench_lib():
    headline("libmemprobe, ns a call (median of 201 runs; nothing attached)")
    ns = figures("checks") | figures("samples")
    against("point: enter", ns["enter"], 2)
    report("point: enter and exit", f"{ns['enter_exit']:.2f} ns")
    against("fast check", ns["fast_check"], 5)
    against("check by name, last sample", ns["check_reused"], 50)
    report("check of a point, last sample", f"{ns['check_point_reused']:.2f} ns")
    against("check that samples", ns["check_sampled"], 3000)
    report("  and reads all that is kept (once a second)", f"{ns['check_refreshed']:.0f} ns")
    report("by text: VmRSS (documented fast check)", f"{ns['text_fast_check']:.0f} ns")
    report("by text: VmRSS, MemAvailable (full check)", f"{ns['text_check']:.0f} ns")
    report("fast check: by text / ours", f"{ns['text_fast_check'] / ns['fast_check']:.0f}")
    report("full check: by text / ours that samples",
           f"{ns['text_check'] / ns['check_sampled']:.1f}")
    report("after 135 ms of rest: check that samples", f"{ns['check_rested']:.0f} ns")
    report("after 135 ms of rest: by text", f"{ns['text_check_rested']:.0f} ns")
