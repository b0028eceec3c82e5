# SPDX-License-Identifier: GPL-2.0-only
"""From what was seen in each run to the table. Pure, but for printing."""

import doctest
import re
import statistics
import sys

from responders import BY_NAME, RESPONDERS

MIB = 1 << 20
NOTES = """
rate       MiB/s that the filler takes; max is as fast as the machine can
acted      runs in which the responder acted before the kernel's OOM killer
detect     from the crossing of the threshold to the first line of the responder's log
           that says so, which some write after the deed; act: to the first signal
           to the filler or the bystander, or to the freeze of the filler. ms, medians
           of the runs in which there was such; negative is before the threshold
overshoot  MiB that the filler took past the threshold until it was ended or stopped, by
           the responder or by the kernel; in swap, too. Median (least .. most). In the
           case host by the kernel's own estimate of what is available
right      the first that was acted on was the filler
collateral others that it killed: the bystander, or anything else in the machine
kernel     processes that the kernel's OOM killer killed
RSS, CPU   of the responder: before the filling; and from then to 1.5 s after the action
           (of one processor)
"""


# --- one run ---------------------------------------------------------------------

def log_lines(events):
    """(ts, line) for each line of the log, with the moment at which it began.

    >>> log_lines([{"event": "log", "ts": 1, "text": "a"}, {"event": "end", "ts": 2},
    ...            {"event": "log", "ts": 3, "text": "b\\nc\\n"}])
    [(1, 'ab'), (3, 'c')]
    """
    lines, rest, began = [], "", None
    for event in events:
        if event["event"] != "log":
            continue
        for part in event["text"].splitlines(keepends=True):
            began = event["ts"] if began is None else began
            rest += part
            if rest.endswith("\n"):
                lines.append((began, rest.rstrip("\n")))
                rest, began = "", None
    return lines + ([(began, rest)] if rest else [])


def crossing_ns(plan, end):
    """When the threshold was crossed; or would have been, had the filler gone on
    at the rate that it had.

    >>> plan = {"threshold_ts": 0, "fill_ts": 1000, "hold": 100, "threshold": 200}
    >>> crossing_ns(plan | {"threshold_ts": 1700}, None)
    1700
    >>> crossing_ns(plan, {"ts": 1500, "touched": 150})
    2000
    >>> crossing_ns(plan, {"ts": 1500, "touched": 100}) is None
    True
    """
    if plan["threshold_ts"]:
        return plan["threshold_ts"]
    done, left = end["touched"] - plan["hold"], plan["threshold"] - end["touched"]
    if not plan["fill_ts"] or done <= 0:
        return None
    return end["ts"] + (end["ts"] - plan["fill_ts"]) * left // done


def first_action(run, ends):
    """(moment, pid) of the first signal or freeze that met one of the two."""
    pids = [end["pid"] for end in ends]
    found = [(signal["ts"], signal["pid"]) for signal in run["signals"]
             if signal["pid"] in pids and signal["by"] != run["referee"]]
    found += [(end["ts"], end["pid"]) for end in ends if end["fate"] in ("frozen", "stopped")]
    return min(found, default=None)


def killed_others(run, filler, bystander):
    """How many the responder killed that are not the filler."""
    kernel = set(run["kernel_kills"])
    of_kernel = len(kernel - {filler["pid"], bystander["pid"]})
    return ((bystander["fate"] in ("killed", "exited") and bystander["pid"] not in kernel) +
            max(0, len(run["gone"]) - of_kernel))


def judge(run):
    """What the table says of one run. Of an action before the filling began, when
    there was nothing to act on yet, only whom it met.

    >>> plan = {"event": "plan", "threshold_ts": 2 * 10**9, "fill_ts": 10**9, "hold": 0,
    ...         "threshold": 5 * MIB}
    >>> filler = {"event": "end", "who": "filler", "pid": 7, "fate": "killed",
    ...           "ts": 3 * 10**9, "touched": 7 * MIB}
    >>> bystander = {"event": "end", "who": "bystander", "pid": 8, "fate": "alive", "ts": 0}
    >>> log = {"event": "log", "ts": 2 * 10**9 + 10**6, "text": "low memory!\\n"}
    >>> run = {"events": [plan, filler, bystander, log], "responder": "earlyoom", "referee": 6,
    ...        "signals": [{"ts": 2 * 10**9 + 3 * 10**6, "sig": 15, "pid": 7, "by": 9}],
    ...        "kernel_kills": [], "gone": [], "rss": MIB, "cpu_pct": 1.0}
    >>> v = judge(run)
    >>> v["acted"], v["right"], v["detect_ms"], v["act_ms"], v["overshoot_mib"], v["rate_mib"]
    (True, True, 1.0, 3.0, 2.0, 5.0)
    >>> v = judge(run | {"kernel_kills": [7]})
    >>> v["acted"], v["right"], v["detect_ms"], v["act_ms"], v["overshoot_mib"], v["kernel"]
    (False, False, 1.0, None, 2.0, 1)
    >>> early = [plan | {"fill_ts": 0, "threshold_ts": 0}, filler | {"fate": "alive", "ts": 0},
    ...          bystander | {"fate": "killed", "ts": 10**9, "touched": 0}]
    >>> v = judge(run | {"events": early, "signals": [{"ts": 9 * 10**8, "pid": 8, "by": 9}]})
    >>> v["acted"], v["right"], v["collateral"], v["act_ms"], v["overshoot_mib"]
    (True, False, 1, None, None)
    """
    plan = next(event for event in run["events"] if event["event"] == "plan")
    ends = [event for event in run["events"] if event["event"] == "end"]
    filler, bystander = ends
    first = min((end for end in ends if end["ts"]), key=lambda end: end["ts"], default=None)
    action = first_action(run, ends)
    acted = action is not None and action[1] not in run["kernel_kills"]
    verdict = {"acted": acted, "right": acted and action[1] == filler["pid"],
               "detect_ms": None, "act_ms": None, "overshoot_mib": None, "rate_mib": None,
               "collateral": killed_others(run, filler, bystander),
               "kernel": len(run["kernel_kills"]), "rss_mib": run["rss"] / MIB,
               "cpu_pct": run["cpu_pct"]}
    crossed = crossing_ns(plan, first) if first and plan["fill_ts"] else None
    if crossed is None:
        return verdict
    detect = re.compile(BY_NAME[run["responder"]].detect)
    seen = next((ts for ts, line in log_lines(run["events"])
                 if ts >= plan["fill_ts"] and detect.search(line)), None)
    verdict["overshoot_mib"] = (first["touched"] - plan["threshold"]) / MIB
    verdict["detect_ms"] = (seen - crossed) / 1e6 if seen else None
    verdict["act_ms"] = (action[0] - crossed) / 1e6 if acted else None
    if crossed > plan["fill_ts"]:
        verdict["rate_mib"] = (plan["threshold"] - plan["hold"]) / MIB / (
            crossed - plan["fill_ts"]) * 1e9
    return verdict


def flaw(run):
    """Why a run does not count, or None."""
    if "error" in run:
        return run["error"].strip()
    ready = BY_NAME[run["responder"]].ready
    fill_ts = next(e["fill_ts"] for e in run["events"] if e["event"] == "plan")
    lines = log_lines(run["events"])
    if ready and not any(re.search(ready, line) and (ts < fill_ts or not fill_ts)
                         for ts, line in lines):
        return "was not ready when the filling began; it said: " + "; ".join(
            line for _, line in lines[-5:])
    return None


# --- many runs --------------------------------------------------------------------

def median(values, digits=0):
    """
    >>> median([3, None, 1, 8]), median([0.25], 1), median([None])
    ('3', '0.2', '-')
    """
    values = [value for value in values if value is not None]
    return f"{statistics.median(values):.{digits}f}" if values else "-"


def spread(values):
    """
    >>> spread([1, 2, 6.04]), spread([2.5]), spread([None])
    ('2.0 (1.0 .. 6.0)', '2.5', '-')
    """
    values = [value for value in values if value is not None]
    if len(values) < 2:
        return median(values, 1)
    return f"{median(values, 1)} ({min(values):.1f} .. {max(values):.1f})"


def row(verdicts):
    """The cells of a responder in a case at a rate.

    >>> v = {"acted": True, "detect_ms": 5.0, "act_ms": 7.0, "overshoot_mib": 1.5, "right": True,
    ...      "collateral": 1, "kernel": 0, "rss_mib": 2.0, "cpu_pct": 0.5}
    >>> oom = v | {"acted": False, "detect_ms": None, "act_ms": None, "overshoot_mib": 30.5,
    ...            "right": False, "collateral": 0, "kernel": 2}
    >>> row([v, oom])
    ['1/2', '5', '7', '16.0 (1.5 .. 30.5)', '1/1', '1', '2', '2.0', '0.5']
    """
    def all_of(key):
        return [verdict[key] for verdict in verdicts]

    acted = sum(all_of("acted"))
    return [f"{acted}/{len(verdicts)}", median(all_of("detect_ms")), median(all_of("act_ms")),
            spread(all_of("overshoot_mib")), f"{sum(all_of('right'))}/{acted}" if acted else "-",
            str(sum(all_of("collateral"))), str(sum(all_of("kernel"))),
            median(all_of("rss_mib"), 1), median(all_of("cpu_pct"), 1)]


HEAD = ["responder", "acted", "detect", "act", "overshoot", "right", "collateral", "kernel",
        "RSS MiB", "CPU %"]


def aligned(rows):
    """Lines of columns: the first to the left, the others to the right.

    >>> aligned([["a", "bb"], ["ccc", "d"]])
    ['a    bb', 'ccc   d']
    """
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  ".join([cells[0].ljust(widths[0])] + [
        cell.rjust(width) for cell, width in zip(cells[1:], widths[1:])]).rstrip()
        for cells in rows]


def ratio(by_responder):
    """How much further the best peer lets the filler go than the best of ours.

    >>> ratio({"oomd": [{"overshoot_mib": 10}], "memprobe-kill": [{"overshoot_mib": 0.5}]})
    'least overshoot of a peer 10.0 MiB (oomd), of ours 0.5 MiB (memprobe-kill): ratio 20'
    >>> ratio({"oomd": [{"overshoot_mib": 10}], "memprobe-gate": [{"overshoot_mib": -1}]})
    'least overshoot of a peer 10.0 MiB (oomd), of ours -1.0 MiB (memprobe-gate): no ratio'
    >>> ratio({"oomd": [{"overshoot_mib": 10}]}) is None
    True
    """
    best = {}
    for name, verdicts in by_responder.items():
        values = [v["overshoot_mib"] for v in verdicts if v["overshoot_mib"] is not None]
        if values:
            side = "ours" if BY_NAME[name].is_memprobe else "peer"
            best[side] = min(best.get(side, (float("inf"), "")), (statistics.median(values), name))
    if len(best) < 2:
        return None
    (peer, peer_name), (ours, ours_name) = best["peer"], best["ours"]
    how = f"ratio {peer / ours:.0f}" if ours > 0 else "no ratio"
    return (f"least overshoot of a peer {peer:.1f} MiB ({peer_name}), "
            f"of ours {ours:.1f} MiB ({ours_name}): {how}")


# --- print -------------------------------------------------------------------------

def told(run):
    """One line about a run that has just ended."""
    what = f"{run['case']:5} {run['rate']:>3}  {run['responder']:15}"
    problem = flaw(run)
    if problem:
        return f"{what} failed: {problem.splitlines()[0]}"
    verdict = judge(run)
    who = "acted" if verdict["acted"] else "OOM kill" if verdict["kernel"] else "nobody acted"
    overshoot = verdict["overshoot_mib"]
    return f"{what} {who}" + (f", overshoot {overshoot:.1f} MiB" if overshoot is not None else "")


def group(runs):
    """case, rate → responder → verdicts, in the order of the issue, not of the runs."""
    groups = {}
    order = [responder.name for responder in RESPONDERS]
    for run in sorted(runs, key=lambda run: (
            run["case"] != "host", float(run["rate"].replace("max", "inf")),
            order.index(run["responder"]))):
        key = (run["case"], run["rate"])
        groups.setdefault(key, {}).setdefault(run["responder"], []).append(judge(run))
    return groups


def show_groups(groups, wanted):
    for (case, rate), by_responder in groups.items():
        rates = median([v["rate_mib"] for verdicts in by_responder.values() for v in verdicts])
        speed = f"as fast as it goes, {rates} MiB/s" if rate == "max" else \
            f"{rate} MiB/s (in fact {rates})"
        print(f"\n{case}, {speed}")
        rows = [HEAD] + [[name] + row(verdicts) for name, verdicts in by_responder.items()]
        rows += [[r.name, "N/A"] + [""] * (len(HEAD) - 2) for r in RESPONDERS
                 if r.name in wanted and case not in r.cases]
        for line in aligned(rows):
            print(f"  {line}")
        comparison = ratio(by_responder)
        if comparison:
            print(f"  {comparison}")


def show_configs(runs, wanted):
    print("\nConfigurations")
    stated = {(run["responder"], run["case"]): run["stated"] for run in runs}
    for responder in RESPONDERS:
        texts = {}
        for case in responder.cases:
            if (responder.name, case) in stated:
                texts.setdefault(stated[responder.name, case], []).append(case)
        for text, cases in texts.items():
            print(f"  {responder.name} ({', '.join(cases)}): {text}")
        if responder.not_seen and responder.name in wanted:
            print(f"  {responder.name} (N/A in the case group): {responder.not_seen}")


def show(records):
    plan = next(record for record in records if record["kind"] == "plan")
    machine = next(record for record in records if record["kind"] == "machine")
    runs = [record for record in records if record["kind"] == "run"]
    good = [run for run in runs if not flaw(run)]
    print(f"Linux {machine['kernel']}, {machine['total_mib']} MiB "
          f"({machine['available_mib']} available), "
          f"swap {plan['swap_mib']} MiB; seed {plan['seed']}")
    print(f"host: the filler takes the machine's memory. group: that of a cgroup of "
          f"{plan['limit_mib']} MiB.\nBystander: {plan['bystander_mib']} MiB. Both up to "
          f"{plan['hold_pct']} %, a pause, then at the rate past the threshold of "
          f"{plan['threshold_pct']} %.")
    show_groups(group(good), plan["responders"])
    print(NOTES, end="")
    show_configs(good, plan["responders"])
    for run in runs:
        if flaw(run):
            print(f"failed, not counted: {told(run)}")
    print(f"\nresponders: {len(good)} runs, {len(runs) - len(good)} failed")


def self_test():
    failed, tried = doctest.testmod(sys.modules[__name__])
    print(f"self-test: {tried - failed} passed, {failed} failed")
    return 1 if failed else 0
