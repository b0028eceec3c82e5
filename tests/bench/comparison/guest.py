#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Inside the machine: runs what plan.json says, one responder at a time, and
writes a line of JSON on the second serial port for each run, or for what is
going on. Started by responders.service.
"""

import json
import os
import re
import subprocess
import time
import traceback
from pathlib import Path

from responders import BY_NAME, SLICE, Domain

HERE = Path(__file__).parent
CGROUPS = Path("/sys/fs/cgroup")
LOG = Path("/run/bench-log")
UNITS = Path("/run/systemd/system")
MIB = 1 << 20
SETTLE_SECONDS = 2.0
CALM_SECONDS = 60


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class Channel:
    """The second serial port: one object a line."""

    def __init__(self):
        self.file = open("/dev/ttyS1", "w", encoding="ascii", buffering=1)

    def send(self, **record):
        self.file.write(json.dumps(record) + "\n")
        self.file.flush()


class KernelLog:
    """What the kernel says from now on about processes that it kills for memory."""

    def __init__(self):
        self.fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self.fd, 0, os.SEEK_END)

    def oom_kills(self):
        """The pids of those killed since the last call."""
        pids = []
        while True:
            try:
                line = os.read(self.fd, 8192).decode(errors="replace")
            except BlockingIOError:
                return pids
            except BrokenPipeError:  # the oldest were overwritten
                continue
            pids += [int(pid) for pid in re.findall(r"Killed process (\d+) ", line)]


def user_processes():
    """pid: name of all processes that are no kernel threads."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if (path / "cmdline").read_bytes():
                found[int(path.name)] = (path / "comm").read_text().strip()
        except OSError:
            continue  # it ended
    return found


class Tracer:
    """Who sends which process a signal that ends or stops it, by the kernel's own trace."""

    FOLDER = Path("/sys/kernel/tracing/instances/bench")
    LINE = re.compile(r"-(\d+) +\[.* (\d+)\.(\d+): signal_generate: sig=(\d+) .* pid=(\d+) ")

    def __init__(self):
        self.FOLDER.mkdir(exist_ok=True)
        event = self.FOLDER / "events/signal/signal_generate"
        (self.FOLDER / "trace_clock").write_text("mono")
        (event / "filter").write_text("sig == 9 || sig == 15 || sig == 19")
        (event / "enable").write_text("1")

    def clear(self):
        (self.FOLDER / "trace").write_text("")

    def signals(self):
        """Since they were cleared; `ts` is CLOCK_MONOTONIC in ns."""
        found = self.LINE.findall((self.FOLDER / "trace").read_text())
        return [{"ts": int(sec) * 10**9 + int(fraction) * 10**(9 - len(fraction)), "sig": int(sig),
                 "pid": int(pid), "by": int(by)} for by, sec, fraction, sig, pid in found]


# --- the responder -------------------------------------------------------------

def edit(path, values):
    """Gives keys of a file of "key = value" lines other values; all must be there."""
    text = Path(path).read_text()
    for key, value in values.items():
        text, n = re.subn(rf"(?m)^{key}\b.*", f"{key} = {value}", text)
        if n != 1:
            raise RuntimeError(f"{path} has {n} lines for {key}")
    Path(path).write_text(text)


def drop_in(service):
    lines = ["[Unit]", "StartLimitIntervalSec=0", "[Service]"]
    for key, value in service.items():
        lines += [f"{key}="] * (key == "ExecStart") + [f"{key}={value}"]
    return "\n".join(lines + [f"StandardOutput=file:{LOG}", f"StandardError=file:{LOG}", ""])


def is_active(unit):
    command = ["systemctl", "-q", "is-active", unit]
    return subprocess.run(command, check=False).returncode == 0


def write(path, text):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


def install_units(responders):
    """Once for all runs, as systemd takes seconds to read its units again here."""
    for responder in responders:
        setup = responder.setup(Domain("host", None, 90))
        if setup.unit:
            write(UNITS / responder.unit, setup.unit)
        write(UNITS / f"{responder.unit}.d/90-bench.conf", drop_in(setup.service))
    run("systemctl", "daemon-reload")


class Service:
    """A responder's unit, from its start to its end."""

    def __init__(self, responder, setup):
        self.unit = responder.unit
        for path, text in setup.files.items():
            write(path, text)
        for path, values in setup.edits.items():
            edit(path, values)

    def start(self):
        run("systemctl", "start", self.unit)

    @property
    def cgroup(self):
        path = run("systemctl", "show", "-P", "ControlGroup", self.unit).strip()
        return CGROUPS / path.lstrip("/")

    def is_active(self):
        return is_active(self.unit)

    def pids(self):
        return [int(pid) for pid in (self.cgroup / "cgroup.procs").read_text().split()]

    def rss(self):
        texts = [Path(f"/proc/{pid}/status").read_text() for pid in self.pids()]
        return 1024 * sum(int(re.search(r"VmRSS:\s+(\d+)", text)[1]) for text in texts)

    def cpu_ns(self):
        """Also of a service that has ended."""
        return int(run("systemctl", "show", "-P", "CPUUsageNSec", self.unit))

    def stop(self):
        subprocess.run(["systemctl", "stop", self.unit], check=False, capture_output=True)


# --- the filler and its referee -------------------------------------------------

def scope(name, pid):
    """Moves a process into a scope of its own in the slice."""
    run("busctl", "call", "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
        "org.freedesktop.systemd1.Manager", "StartTransientUnit", "ssa(sv)a(sa(sv))",
        f"{name}.scope", "fail", "2", "PIDs", "au", "1", str(pid), "Slice", "s", SLICE, "0")


class Slice:
    """What filler and bystander are in. It is read from its file at each start,
    as nothing refers to it between the runs."""

    FILE = UNITS / SLICE

    def __init__(self, domain, properties):
        limit = [f"MemoryMax={domain.limit}"] if domain.limit else []
        write(self.FILE, "\n".join(["[Slice]", "MemoryAccounting=yes", *limit, *properties, ""]))

    def start(self, referee):
        run("systemctl", "start", SLICE)
        for name, pid in zip(("filler", "bystander"), referee.pids):
            scope(name, pid)

    def stop(self):
        subprocess.run(["systemctl", "stop", SLICE], check=False, capture_output=True)
        # A scope whose process was killed for memory stays, as failed.
        subprocess.run(["systemctl", "reset-failed"], check=False, capture_output=True)
        self.FILE.unlink()


class Referee:
    def __init__(self, plan, domain, rate):
        folder = CGROUPS / SLICE
        LOG.unlink(missing_ok=True)
        os.mkfifo(LOG, 0o666)
        LOG.chmod(0o666)
        self.process = subprocess.Popen(
            [HERE / "filler", "--domain", folder if domain.limit else "host", "--rate", str(rate),
             "--log", LOG, "--freezer", folder / "filler.scope",
             "--bystander", str(plan["bystander_mib"]), "--hold", str(plan["hold_pct"]),
             "--threshold", str(domain.threshold_pct)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pids = [int(pid) for pid in self.process.stdout.readline().split()[1:]]

    def tell(self, word):
        """Everything that it saw, when it is over: "go" fills, "end" does nothing more."""
        out, _ = self.process.communicate(f"{word}\n", timeout=180)
        if self.process.returncode:
            raise RuntimeError(f"the referee ended with {self.process.returncode}")
        return [json.loads(line) for line in out.splitlines()]

    def end(self):
        self.process.kill()
        self.process.wait()


# --- one run -------------------------------------------------------------------

def prepare_swap(device):
    """Swap without anything in it, as no run should meet what another left there."""
    if device:
        subprocess.run(["swapoff", device], check=False, capture_output=True)
        run("swapon", device)


def wait_for_calm():
    """Until averages of stall have forgotten the run before, which rules of pressure
    would take for the new one's."""
    end = time.monotonic() + CALM_SECONDS
    while time.monotonic() < end:
        some = re.search(r"some avg10=([\d.]+)", Path("/proc/pressure/memory").read_text())
        if float(some[1]) < 1:
            return
        time.sleep(1)
    raise RuntimeError(f"memory pressure did not fall below 1 % in {CALM_SECONDS} s")


def others_sleep(responder):
    active = [other.unit for other in BY_NAME.values() if is_active(other.unit)]
    if active:
        raise RuntimeError(f"before {responder.name}, {', '.join(active)} is active")


def settle(service, referee):
    time.sleep(SETTLE_SECONDS)
    if not service.is_active():
        said = "".join(event.get("text", "") for event in referee.tell("end"))
        raise RuntimeError(f"{service.unit} did not keep running; it said: {said}")


def observe(service, referee, kernel_log, tracer):
    ours = [*referee.pids, referee.process.pid, *service.pids()]
    before = user_processes()
    kernel_log.oom_kills()
    tracer.clear()
    rss, cpu, start = service.rss(), service.cpu_ns(), time.monotonic()
    events = referee.tell("go")
    seconds = time.monotonic() - start
    cpu = service.cpu_ns() - cpu
    after = user_processes()
    return {"events": events, "rss": rss, "cpu_pct": cpu / seconds / 1e7,
            "kernel_kills": kernel_log.oom_kills(), "signals": tracer.signals(),
            "referee": referee.process.pid,
            "gone": [name for pid, name in before.items() if pid not in after and pid not in ours]}


def one_run(plan, entry, kernel_log, tracer):
    responder = BY_NAME[entry["responder"]]
    domain = Domain(entry["case"], plan["limit_mib"] * MIB if entry["case"] == "group" else None,
                    plan["threshold_pct"])
    setup = responder.setup(domain)
    prepare_swap(plan["swap"])
    others_sleep(responder)
    wait_for_calm()
    place = Slice(domain, setup.slice)
    service = Service(responder, setup)
    # The referee is first, as it reads the log, which whoever writes to it waits for.
    referee = Referee(plan, domain, entry["rate"])
    try:
        place.start(referee)
        service.start()
        settle(service, referee)
        return {"stated": setup.stated, **observe(service, referee, kernel_log, tracer)}
    finally:
        referee.end()
        service.stop()
        place.stop()


def find_swap():
    found = subprocess.run(["blkid", "-t", "TYPE=swap", "-o", "device"], check=False,
                           capture_output=True, text=True).stdout.split()
    return found[0] if found else None


def describe(plan):
    memory = {key: int(value) for key, value in
              re.findall(r"(?m)^(\w+):\s+(\d+)", Path("/proc/meminfo").read_text())}
    return {"kernel": os.uname().release, "swap": plan["swap"],
            "total_mib": memory["MemTotal"] // 1024,
            "available_mib": memory["MemAvailable"] // 1024}


def all_runs(channel):
    plan = json.loads((HERE / "plan.json").read_text())
    plan["swap"] = find_swap()
    install_units(BY_NAME[name] for name in plan["responders"])
    kernel_log, tracer = KernelLog(), Tracer()
    channel.send(kind="machine", **describe(plan))
    for entry in plan["runs"]:
        start = time.monotonic()
        try:
            result = one_run(plan, entry, kernel_log, tracer)
        except Exception as error:  # one run that failed is told, and the others are made
            detail = getattr(error, "stderr", None) or ""
            result = {"error": f"{error} {detail}", "trace": traceback.format_exc()}
        channel.send(kind="run", **entry, **result, took=time.monotonic() - start)
    channel.send(kind="end")


def main():
    channel = Channel()
    try:
        all_runs(channel)
    except Exception:
        channel.send(kind="failed", trace=traceback.format_exc())
    time.sleep(1)  # for the serial line
    run("systemctl", "poweroff", "-ff")


main()
