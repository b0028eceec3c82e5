# SPDX-License-Identifier: GPL-2.0-only
"""Levels of points and severities of memory, as in policy.yaml's defaults and memprobe.h."""

from typing import Dict, Tuple

LEVELS: Tuple[str, ...] = ("low", "medium", "high", "critical")
SEVERITIES: Tuple[str, ...] = ("normal", "warning", "gc", "critical")

LOW, MEDIUM, HIGH, CRITICAL = range(4)
NORMAL, WARNING, GC, PRESSURE_CRITICAL = range(4)

#: Usage of the effective limit (0 to 1) from which on a severity holds.
THRESHOLDS: Tuple[float, ...] = (0.0, 0.75, 0.85, 0.90)

#: Seconds between two samples of a point, by level: 0.5 s times 2, 1, 1/2 and 1/4.
INTERVALS: Tuple[float, ...] = (1.0, 0.5, 0.25, 0.125)

#: Seconds in which points of one level log, and collect garbage, at most once.
COOLDOWN = 1.0

NUMBERS: Dict[str, int] = {name: number for number, name in enumerate(LEVELS)}


def level_number(level: str) -> int:
    """0 to 3 of a level's name. ValueError, which names the levels, for anything else."""
    number = NUMBERS.get(level) if isinstance(level, str) else None
    if number is None:
        raise ValueError(f"unknown level {level!r}: it is one of {', '.join(LEVELS)}")
    return number


def severity_of(ratio: float) -> int:
    """The severity of a usage: a number of SEVERITIES. That of NaN (not known) is normal."""
    return sum(ratio >= threshold for threshold in THRESHOLDS[1:])
