# SPDX-License-Identifier: GPL-2.0-only
"""The responders that are compared: how each is set up for a case, and what in
its log says that it is ready, and that it has seen the situation.

Every one is told to act at 90 % used, or, where it has no such rule, as early
as its rules allow. The packages' own units start the peers, with these
changes; so their priorities, limits and privileges are those that users get.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

HERE = Path(__file__).parent
SLICE = "fill.slice"


@dataclass
class Domain:
    """Where memory runs out: `limit` is a cgroup's, or None for the host."""
    name: str
    limit: int | None
    threshold_pct: int

    @property
    def free_pct(self):
        return 100 - self.threshold_pct


@dataclass
class Setup:
    """What is written and set for one run, and how that is stated in a line."""
    stated: str
    service: dict = field(default_factory=dict)  # of the unit; the same for all domains
    files: dict = field(default_factory=dict)
    edits: dict = field(default_factory=dict)  # path of a file of "key = value": new values
    slice: list = field(default_factory=list)  # properties of the slice with filler and bystander
    unit: str = ""  # all of it, where no package has one; the same for all domains


@dataclass
class Responder:
    name: str
    unit: str
    cases: tuple
    setup: Callable[[Domain], Setup]
    ready: str  # regular expressions, searched for in lines of its log
    detect: str
    not_seen: str = ""  # why the cases that it lacks are none for it
    is_memprobe: bool = False
    is_default: bool = True


def earlyoom(domain):
    command = f"earlyoom -r 0 -m {domain.free_pct} -s 100,100"
    return Setup(command, service={"ExecStart": f"/usr/bin/{command}"})


def nohang(domain):
    values = {"soft_threshold_min_mem": f"{domain.free_pct} %",
              "soft_threshold_min_swap": "100 %",
              "hard_threshold_min_mem": f"{domain.free_pct / 2:g} %",
              "hard_threshold_min_swap": "100 %"}
    stated = "nohang.conf with " + ", ".join(f"{key} = {value}" for key, value in values.items())
    return Setup(stated, edits={"/etc/nohang/nohang.conf": values},
                 service={"Environment": "PYTHONUNBUFFERED=1"})


def systemd_oomd(domain):
    pressure_pct = 5
    conf = {"SwapUsedLimit": f"{domain.threshold_pct}%",
            "DefaultMemoryPressureDurationSec": "1s"}
    properties = ["ManagedOOMMemoryPressure=kill", "ManagedOOMSwap=kill",
                  f"ManagedOOMMemoryPressureLimit={pressure_pct}%"]
    lines = [f"{key}={value}" for key, value in conf.items()]
    return Setup(f"oomd.conf: {' '.join(lines)}; {SLICE}: {' '.join(properties)}",
                 files={"/etc/systemd/oomd.conf.d/90-bench.conf": "\n".join(["[OOM]", *lines, ""])},
                 service={"Environment": "SYSTEMD_LOG_TARGET=console"}, slice=properties)


def oomd(domain):
    watched = SLICE if domain.limit else "/"
    threshold = f"{domain.limit * domain.threshold_pct // 100 >> 20}M" if domain.limit \
        else f"{domain.threshold_pct}%"
    candidates = f"{SLICE}/*"  # in system.slice it is itself, and does not spare itself
    detectors = [
        ["usage", {"name": "memory_above", "args": {
            "cgroup": watched, "threshold": threshold, "duration": "0"}}],
        ["pressure", {"name": "pressure_above", "args": {
            "cgroup": watched, "resource": "memory", "threshold": "5", "duration": "1"}}],
    ]
    action = {"name": "kill_by_memory_size_or_growth", "args": {"cgroup": candidates}}
    config = {"rulesets": [{"name": "bench", "detectors": detectors, "actions": [action]}]}
    return Setup(f"oomd --interval 1, memory_above {watched} {threshold} for 0 s or pressure_above "
                 f"{watched} 5 for 1 s: kill_by_memory_size_or_growth {candidates}",
                 files={"/etc/oomd/bench.json": json.dumps(config, indent=1)},
                 service={"ExecStart": "/usr/bin/oomd --interval 1 --config /etc/oomd/bench.json"})


MEMPROBE_SERVICE = """[Service]
Type=exec
Environment=LD_LIBRARY_PATH=/opt/responders/lib MEMPROBE_CONFIG_DIR=/opt/responders/configs
ExecStart=/opt/responders/{command}
KillSignal=SIGINT
OOMScoreAdjust=-900
"""


def memprobe(policy, *options):
    def setup(domain):
        command = " ".join(["memprobe-bpf attach", f"--target cgroup:/{SLICE}", "--enforce",
                            f"--policy /opt/responders/{policy}", "--format json", *options])
        rule = [line.strip() for line in (HERE / policy).read_text().splitlines()
                if "critical:" in line]
        return Setup(f"{command.replace('/opt/responders/', '')}; {'; '.join(rule)}",
                     unit=MEMPROBE_SERVICE.format(command=command))
    return setup


MEMPROBE_LOG = {"ready": r'"type":"start"', "detect": r'"type":"decision".*"severity":"critical"',
                "is_memprobe": True}

RESPONDERS = [
    Responder("earlyoom", "earlyoom.service", ("host",), earlyoom,
              ready=r"mem total:", detect=r"low memory!",
              not_seen="reads /proc/meminfo only: no cgroup's limit"),
    Responder("nohang", "nohang.service", ("host",), nohang,
              ready=r"Monitoring has started", detect=r"requires corrective actions",
              not_seen="reads /proc/meminfo only: no cgroup's limit"),
    Responder("systemd-oomd", "systemd-oomd.service", ("host", "group"), systemd_oomd,
              ready="", detect=r"Memory pressure for|Killed .* due to|Considered .* for killing"),
    Responder("oomd", "oomd.service", ("host", "group"), oomd,
              ready=r"Running oomd", detect=r"has fired for"),
    Responder("memprobe-kill", "memprobe-kill.service", ("host", "group"),
              memprobe("policy-kill.yaml"), **MEMPROBE_LOG),
    Responder("memprobe-freeze", "memprobe-freeze.service", ("host", "group"),
              memprobe("policy-freeze.yaml"), is_default=False, **MEMPROBE_LOG),
    Responder("memprobe-gate", "memprobe-gate.service", ("host", "group"),
              memprobe("policy-gate.yaml", "--point fill=critical@fill_step"), **MEMPROBE_LOG),
]
BY_NAME = {responder.name: responder for responder in RESPONDERS}
