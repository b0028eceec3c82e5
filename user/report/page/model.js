// SPDX-License-Identifier: GPL-2.0-only
"use strict";
// What a page shows of models that were loaded. `page` has its words, tables and axes.
function modelPage(page) {
  const { AXIS, DARK, color, known, element, size, time, percent, count, sentence, fact, table, line, interaction, timeTicks, endOf } = page;
  const MOST_SPAN = 20; // from the shortest pass to the longest, beyond which the axis is logarithmic
  const REREAD = 0.9; // of the weights, for a pass that thrashes: docs/models.md
  const OUTCOME_COLORS = { ok: "normal", thrash: "gc", oom_killed: "critical", limit_not_reached: "soft", interrupted: "soft" };

  const words = (outcome) => (outcome ? outcome.replace(/_/g, " ") : "–");
  const runsOf = (report) => (report.model ? report.model.runs : []);
  const countLevels = (runs) => new Set(runs.map((run) => run.level)).size;
  const endOfRun = (report, run) => (known(run.end) ? run.end : report.duration);
  const perSecond = (s) => (known(s) && s > 0 ? 1 / s : null);
  const rate = (n) => (!known(n) ? "–" : n >= 100 ? n.toFixed(0) : n >= 10 ? n.toFixed(1) : n >= 0.1 ? n.toFixed(2) : n.toPrecision(2));
  const rise = (n) => (!known(n) ? "–" : n === 0 ? "0" : "+" + n.toFixed(n < 0.01 ? 4 : n < 0.1 ? 3 : 2));
  // What came of it; what was expected where it is not the same, or was not tried.
  function outcomeCell(outcome, expected, word) {
    const cell = element("span", "outcome-" + (outcome || expected), words(outcome || expected));
    if (!outcome) cell.append(element("em", "soft", " expected"));
    else if (expected && outcome !== expected) cell.append(element("small", "", word + ": " + words(expected)));
    return cell;
  }

  const number = (n) => (known(n) ? n.toLocaleString("en") : "–");
  const limitOfDevice = (report) => report.environment.memory_limit || report.limit || 0;
  const timesFile = (run) => (known(run.limit) && run.file_bytes ? run.limit / run.file_bytes : null);
  const rereadShare = (run) => (run.tensor_bytes && known(run.passes.read_bytes)
    ? run.passes.read_bytes / run.tensor_bytes * 100 : null);
  const modelName = (report) => report.model_id || report.model.file.slice(report.model.file.lastIndexOf("/") + 1);

  // --- when it did what: the run, its loads, its passes -------------------------

  // The cold load begins the run, the warm one ends where the first pass begins.
  function partsOf(report, run) {
    const series = run.passes.series, end = endOfRun(report, run), first = series.length ? series[0].t : end;
    const parts = [], name = (run.level ? run.level + ": " : "");
    if (!known(run.load_cold)) return [{ from: run.start, to: end, color: "asked", text: name + "load, which did not end" }];
    parts.push({ from: run.start, to: run.start + run.load_cold, color: "asked", text: name + "load, cold, " + time(run.load_cold) });
    if (known(run.load_warm)) parts.push({ from: Math.max(run.start + run.load_cold, first - run.load_warm), to: first, color: "program",
      text: name + "load, warm, " + time(run.load_warm) });
    if (series.length) parts.push({ from: first, to: end, color: OUTCOME_COLORS[run.outcome],
      text: name + count(run.passes.done, "pass", "passes") + ", " + time(run.passes.p50) + " each" });
    return parts;
  }

  function lane(report) {
    const parts = runsOf(report).flatMap((run) => partsOf(report, run));
    if (!parts.length) return null;
    const items = parts.map((p) => ({ from: p.from, to: Math.max(p.to, p.from), severity: 0, color: p.color, tip: () => time(p.from) + "  " + p.text }));
    return { kind: "call", label: "model: loads and passes", items: items };
  }

  // --- the chart of passes ------------------------------------------------------

  function rowsOf(runs, outcomes, end) {
    const row = (t, outcome, value) => [t].concat(outcomes.map((o) => (o === outcome && value > 0 ? value : null)));
    const rows = [row(0), row(end)];
    for (const run of runs) {
      rows.push(row(run.start)); // a gap between one run's line and the next one's
      for (const p of run.passes.series) rows.push(row(p.t + p.duration / 2, run.outcome, p.duration));
    }
    return rows.sort((a, b) => a[0] - b[0]);
  }

  // "0.5 s", where time() has "500 ms" and "1.00 s".
  const tickLabel = (s) => (s >= 0.1 ? +s.toPrecision(4) + " s" : s >= 1e-4 ? +(s * 1e3).toPrecision(4) + " ms" : +(s * 1e6).toPrecision(4) + " µs");

  function logTicks(low, high, pixels) {
    const decades = Math.log10(high / low), room = Math.max(2, pixels / 24);
    const steps = decades * 3 <= room + 1 ? [1, 2, 5] : [1], skip = Math.max(1, Math.ceil(decades / room)), ticks = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += steps.length > 1 ? 1 : skip)
      for (const step of steps) ticks.push({ v: step * 10 ** power, label: tickLabel(step * 10 ** power) });
    return ticks.filter((t) => t.v >= low && t.v <= high);
  }

  function evenTicks(low, high, pixels) {
    const least = (high - low) / Math.max(1, pixels / 34), power = 10 ** Math.floor(Math.log10(least));
    const step = power * [1, 2, 5, 10].find((m) => m * power >= least), ticks = [];
    for (let i = Math.ceil(low / step); i * step <= high; i++) ticks.push({ v: i * step, label: i === 0 ? "0" : tickLabel(i * step) });
    return ticks;
  }

  // The least that a pass takes that has to read the weights again.
  function bound(report, run) {
    const disk = report.model.disk_bytes_per_second;
    return run.outcome === "thrash" && disk && run.tensor_bytes ? REREAD * run.tensor_bytes / disk : null;
  }

  // Where it loads is shaded, and each of several runs has its name.
  function regions(canvas, area, graph, report) {
    const runs = runsOf(report), areOneLevel = countLevels(runs) === 1;
    canvas.save();
    canvas.beginPath();
    canvas.rect(area.x, area.y, area.w, area.h);
    canvas.clip();
    canvas.font = "11px system-ui, sans-serif";
    canvas.textAlign = "left";
    for (const run of runs) {
      const end = endOfRun(report, run), x = Math.round(graph.toDomXCoord(run.start)) + 0.5, to = graph.toDomXCoord(end);
      const loaded = graph.toDomXCoord(run.passes.series.length ? run.passes.series[0].t : end), least = bound(report, run);
      canvas.fillStyle = color("track");
      canvas.fillRect(x, area.y, Math.max(loaded - x, 1), area.h);
      if (least) line(canvas, loaded, graph.toDomYCoord(least), to, graph.toDomYCoord(least), "soft", [6, 4], 1);
      if (runs.length < 2) continue;
      line(canvas, x, area.y, x, area.y + area.h, "line", [], 1);
      canvas.fillStyle = color(OUTCOME_COLORS[run.outcome]);
      const label = areOneLevel ? size(run.limit) : run.level || "own mix";
      if (canvas.measureText(label).width + 6 < to - x) canvas.fillText(label, x + 4, area.y + 12);
    }
    canvas.restore();
  }

  function legendOf(outcomes) {
    return (data) => (known(data.x) ? "<b>" + time(data.x) + "</b>" : "") + data.series.filter((s) => !known(data.x) || known(s.y)).map((s) => {
      const value = known(s.y) ? " <b>" + time(s.y) + " · " + rate(1 / s.y) + " a second</b>" : "";
      return '<span><i style="border-color:' + color(OUTCOME_COLORS[outcomes[s.label]]) + '"></i>' + s.label + value + "</span>";
    }).join("");
  }

  function passChart(box, report) {
    const runs = runsOf(report), all = runs.flatMap((run) => run.passes.series.map((p) => p.duration)).filter((d) => d > 0);
    if (!all.length) return null;
    const outcomes = [...new Set(runs.filter((run) => run.passes.series.length).map((run) => run.outcome))];
    const bounds = runs.map((run) => bound(report, run)).filter(known);
    const low = all.concat(bounds).reduce((a, b) => Math.min(a, b)), high = all.concat(bounds).reduce((a, b) => Math.max(a, b));
    const isLog = high / low > MOST_SPAN, labels = outcomes.map(words), hasNames = runs.length > 1;
    box.hidden = false;
    if (bounds.length) box.querySelector(".hint").append(" Dashed: what reading nine tenths of the weights from this disk takes.");
    if (isLog) box.querySelector(".hint").append(" The axis is logarithmic.");
    const options = () => ({
      labels: ["time"].concat(labels), colors: outcomes.map((o) => color(OUTCOME_COLORS[o])), strokeWidth: 1.5,
      drawPoints: all.length <= 200, pointSize: 2, drawGapEdgePoints: true, highlightCircleSize: 4, logscale: isLog, connectSeparatedPoints: false,
      labelsDiv: box.querySelector(".legend"), legend: "always", legendFormatter: legendOf(Object.fromEntries(outcomes.map((o) => [words(o), o]))),
      valueRange: isLog ? [low / 1.5, high * (hasNames ? 2.5 : 1.5)] : [0, high * (hasNames ? 1.3 : 1.15)], dateWindow: [0, endOf(report)],
      gridLineColor: color("line"), axisLineColor: color("line"), interactionModel: interaction(),
      underlayCallback: (canvas, area, graph) => regions(canvas, area, graph, report),
      axes: { x: { ticker: timeTicks, axisLabelWidth: 70 }, y: { ticker: isLog ? logTicks : evenTicks, axisLabelWidth: AXIS } },
    });
    const graph = new Dygraph(box.querySelector(".chart"), rowsOf(runs, outcomes, endOf(report)), options());
    DARK.addEventListener("change", () => { const o = options(); delete o.dateWindow; graph.updateOptions(o); });
    return graph;
  }

  // --- key figures -------------------------------------------------------------

  function predicted(run) {
    if (!run.predicted) return "outcome";
    return run.predicted === run.outcome ? "outcome, as predicted" : "outcome; predicted was " + words(run.predicted);
  }

  // Without a limit in the way, what it took against what it should take.
  function peakOff(run) {
    const p = run.predicted_peak;
    if (run.outcome !== "ok" || !known(p.anon) || !known(p.file) || !known(run.peak.rss) || !(p.anon + p.file)) return "";
    const off = (run.peak.rss / (p.anon + p.file) - 1) * 100;
    return Math.abs(off) < 0.05 ? "; as predicted" : "; " + (off < 0 ? "−" : "+") + Math.abs(off).toFixed(1) + " % off what was predicted";
  }

  function oneRun(run) {
    const times = timesFile(run), share = rereadShare(run), rows = [
      [words(run.outcome), predicted(run), "outcome-" + run.outcome],
      [run.level || "own mix", "level, " + size(run.tensor_bytes) + " of weights"],
      [size(run.limit), "limit" + (times ? ", " + times.toFixed(2) + " × the file" : "")],
      [time(run.load_cold), "load, cold" + (run.cached_before ? "; " + size(run.cached_before) + " were cached" : "")],
      [time(run.load_warm), "load, warm"],
      [time(run.passes.p50), "pass, median of " + count(run.passes.done, "pass", "passes") + "; longest " + time(run.passes.max)],
      [rate(perSecond(run.passes.p50)), "passes a second"],
      [size(run.peak.rss), "peak: " + size(run.peak.anon) + " anonymous, " + size(run.peak.file) + " of files" + peakOff(run)],
    ];
    if (share > 0) rows.push([percent(share), "of the weights read again for each pass"]);
    rows.push([number(run.major_faults), "major faults"]);
    return rows;
  }

  function severalRuns(report, runs) {
    const sure = runs.filter((run) => run.predicted), right = sure.filter((run) => run.predicted === run.outcome).length;
    const rows = [[String(runs.length), "loads"]];
    for (const outcome of Object.keys(OUTCOME_COLORS)) {
      const n = runs.filter((run) => run.outcome === outcome).length;
      if (n) rows.push([String(n), words(outcome), "outcome-" + outcome]);
    }
    if (sure.length) rows.push([right + " of " + sure.length, "came as predicted"]);
    return rows;
  }

  function figures(section, report) {
    const model = report.model, runs = model.runs, disk = model.disk_bytes_per_second;
    const rows = runs.length === 1 ? oneRun(runs[0]) : severalRuns(report, runs);
    for (const row of rows.filter(([value]) => value !== "–")) section.querySelector(".facts").append(fact(...row));
    section.querySelector(".hint").textContent = [model.file, model.synthesized ? "synthesized: the layout of the model, with contents made up" : "",
      model.loader ? "loader " + model.loader : "", model.context ? "context of " + model.context.toLocaleString("en") + " tokens" : "",
      disk ? "disk " + size(disk) + " a second" : ""].filter(Boolean).join(" · ");
  }

  // --- levels: what the arithmetic says, and what came of it ---------------------

  // What must be in memory, and the weights that can be dropped (those that are repacked cannot), as
  // parts of a bar, with the limit as a line through all of them.
  function memoryBar(row, scale, limit, usable) {
    const bar = element("div", "need"), part = (className, bytes) => {
      const node = element("i", className);
      node.style.width = Math.max(0, bytes / scale * 100) + "%";
      bar.append(node);
    };
    part("must", row.must || 0);
    part("weights", Math.max(0, (row.comfortable || 0) - (row.must || 0)));
    for (const [className, at] of [["limit", limit], ["usable", usable]]) {
      if (!at) continue;
      const node = element("u", className);
      node.style.left = at / scale * 100 + "%";
      bar.append(node);
    }
    bar.title = size(row.must) + " must be in memory, " + size(row.comfortable) + " with all weights";
    return bar;
  }

  function levelCell(row, best) {
    const cell = element("span", "", row.level);
    if (row.level === best) cell.append(element("em", "badge", "best"));
    return cell;
  }

  const NEEDS = [["perplexity"], ["must have"], ["weights"], ["comfortable"], ["of the limit", "text"]];
  const MEASURED = [["level", "text"], ["outcome", "text"], ...NEEDS, ["load"], ["pass"], ["peak"], ["major faults"]];
  const EXPECTED = [["level", "text"], ["expected", "text"], ...NEEDS, ["at most a second"]];

  function needsOf(report, row, scale) {
    const bar = memoryBar(row, scale, limitOfDevice(report), report.quantization.usable);
    return [rise(row.perplexity), size(row.must), size(row.tensor_bytes), size(row.comfortable), bar];
  }

  function measuredRow(report, row, scale) {
    return [levelCell(row, report.quantization.current_optimal), outcomeCell(row.outcome, row.fit, "by arithmetic"), ...needsOf(report, row, scale),
      time(row.load_time), time(row.pass_time), size(row.peak_rss), number(row.major_faults)];
  }

  function expectedRow(report, row, scale) {
    const fit = element("span", "outcome-" + row.fit, words(row.fit));
    if (row.outcome) fit.append(element("small", "", row.outcome === row.fit ? "and so it came" : "came out: " + words(row.outcome)));
    return [levelCell(row, report.quantization.current_optimal), fit, ...needsOf(report, row, scale), rate(row.most_per_second)];
  }

  function levels(section, report) {
    const rows = report.quantization.levels, box = section.querySelector(".levels"), limit = limitOfDevice(report);
    const areMeasured = rows.filter((row) => row.outcome).length > 1;
    const scale = rows.reduce((most, row) => Math.max(most, row.comfortable || 0), limit) * 1.04 || 1;
    table(box, areMeasured ? MEASURED : EXPECTED, rows.map((row) => (areMeasured ? measuredRow : expectedRow)(report, row, scale)));
    for (const tr of box.querySelectorAll("tr")) {
      tr.classList.toggle("best", !!tr.querySelector(".badge"));
      tr.classList.toggle("untried", !!tr.querySelector("em.soft"));
    }
    box.querySelector(".key .limit-text").textContent = "limit " + size(limit || null);
    box.querySelector(".key span.usable").hidden = !report.quantization.usable;
    box.querySelector(".key .usable-text").textContent = size(report.quantization.usable) + " of it usable";
    const advice = report.quantization.advice, isSaid = advice === report.recommendation;
    box.querySelector(".advised").textContent = advice && !isSaid ? sentence(advice.replace(/\.?$/, ".")) : "";
  }

  // --- several runs beside each other --------------------------------------------

  function runRows(entries) {
    return entries.map(({ report, run, link }) => {
      const times = timesFile(run), share = rereadShare(run);
      const cells = [run.level || "own mix", report.model.loader || "–", size(run.limit), times ? times.toFixed(2) : "–",
        outcomeCell(run.outcome, run.predicted, "expected"), time(run.load_cold), time(run.load_warm), time(run.passes.p50),
        rate(perSecond(run.passes.p50)), size(run.peak.rss), share > 0 ? percent(share) : "–", number(run.major_faults)];
      return link ? [link(), ...cells] : cells;
    });
  }

  const RUNS = [["level", "text"], ["loader", "text"], ["limit"], ["× file"], ["outcome", "text"], ["load"], ["warm"], ["pass"], ["a second"],
    ["peak"], ["read again"], ["faults"]];

  function runTable(section, entries, isLinked) {
    table(section, isLinked ? [["model", "text name"], ...RUNS] : RUNS, runRows(entries));
  }

  // Groups of two and more that differ in what `own` says, and in nothing that `others` says.
  function groupsOf(entries, own, others) {
    const groups = new Map();
    for (const entry of entries) {
      const key = JSON.stringify(others.map((f) => f(entry)));
      groups.set(key, (groups.get(key) || []).concat(entry));
    }
    return [...groups.values()].filter((group) => new Set(group.map(own)).size > 1);
  }

  const modelOf = (e) => modelName(e.report), loaderOf = (e) => e.report.model.loader;
  const levelOf = (e) => e.run.level || "own mix", limitOf = (e) => e.run.limit, modeOf = (e) => e.report.test_mode;

  function speedBar(entry, label, fastest) {
    const speed = perSecond(entry.run.passes.p50), row = element("div", "speed"), track = element("div", "track"), bar = element("i");
    bar.style.width = speed ? Math.max(0.4, speed / fastest * 100) + "%" : "0";
    bar.style.background = "var(--" + OUTCOME_COLORS[entry.run.outcome] + ")";
    track.append(bar);
    row.append(element("span", "what", label), track, element("b", "", speed ? rate(speed) + " a second" : words(entry.run.outcome)),
      element("span", "outcome-" + entry.run.outcome, speed ? words(entry.run.outcome) : ""));
    return row;
  }

  function collapse(group, speeds, name) {
    const best = group[speeds.indexOf(Math.max(...speeds))], worst = group[speeds.indexOf(Math.min(...speeds.filter(Boolean)))];
    const ratio = perSecond(best.run.passes.p50) / perSecond(worst.run.passes.p50);
    if (ratio < 1.5) return "";
    return " A pass takes " + ratio.toFixed(ratio < 10 ? 1 : 0) + " times as long " + name(worst) + " as " + name(best) + ".";
  }

  function drawing(box, title, group, label, name) {
    const speeds = group.map((e) => perSecond(e.run.passes.p50) || 0), fastest = Math.max(...speeds);
    if (!fastest) return;
    box.hidden = false;
    box.append(element("h2", "", title));
    box.append(element("p", "hint", "Passes over all weights, as decoding a token is one." + collapse(group, speeds, name)));
    for (const entry of group) box.append(speedBar(entry, label(entry), fastest));
  }

  function drawings(box, entries) {
    const limitName = (e) => (timesFile(e.run) ? timesFile(e.run).toFixed(2) + " × · " : "") + size(e.run.limit);
    for (const group of groupsOf(entries, limitOf, [modelOf, levelOf, loaderOf, modeOf]))
      drawing(box, "Speed by limit: " + [modelOf(group[0]), levelOf(group[0]), loaderOf(group[0])].filter(Boolean).join(", "),
        group.slice().sort((a, b) => b.run.limit - a.run.limit), limitName, (e) => "under " + size(e.run.limit));
    for (const group of groupsOf(entries, levelOf, [modelOf, limitOf, loaderOf, modeOf]))
      drawing(box, "Speed by level: " + [modelOf(group[0]), "limit " + size(group[0].run.limit), loaderOf(group[0])].filter(Boolean).join(", "),
        group.slice().sort((a, b) => (a.run.tensor_bytes || 0) - (b.run.tensor_bytes || 0)),
        (e) => levelOf(e) + " · " + size(e.run.tensor_bytes), (e) => "at " + levelOf(e));
  }

  // --- all of it ----------------------------------------------------------------

  const OUTCOME_WORDS = [
    ["ok", "all of it stays in memory."],
    ["thrash", "it lives, but its weights do not all stay in memory: what is dropped is read from the disk again for each pass, " +
      "so that a pass is as slow as the disk."],
    ["oom_killed", "even without its weights it does not fit, or they cannot be dropped: the kernel kills it."],
  ];

  function explain(section) {
    const list = section.querySelector(".outcomes");
    for (const [outcome, text] of OUTCOME_WORDS) {
      const item = element("p");
      item.append(element("b", "outcome-" + outcome, words(outcome)), " " + text);
      list.append(item);
    }
  }

  // Returns the chart of passes, whose time goes with the chart of memory; or null.
  function show(view, report) {
    const section = view.querySelector(".model"), runs = runsOf(report), hasLevels = report.quantization.levels.length > 0;
    const entries = runs.map((run) => ({ report: report, run: run, link: null }));
    if (!report.model && !hasLevels) return null;
    section.hidden = false;
    section.querySelector("h2").textContent = report.model ? "Model" + (report.model_id ? ": " + report.model_id : "") : "Quantization";
    explain(section);
    if (hasLevels) levels(section, report);
    // Of one load its course is what matters; of several, what the levels come to.
    if (runs.length === 1) view.querySelector(".stalled").after(section.querySelector(".levels"));
    if (!report.model) return null;
    figures(section, report);
    if (runs.length > 1 && (!hasLevels || countLevels(runs) < runs.length)) runTable(section.querySelector(".runs"), entries, false);
    drawings(section.querySelector(".speeds"), entries);
    return passChart(view.querySelector(".passes"), report);
  }

  // Of several reports: `link` makes a link to one.
  function compare(section, reports, link) {
    const entriesOf = (report, i) => runsOf(report).map((run) => ({ report: report, run: run, link: () => link(i, modelName(report)) }));
    const entries = reports.flatMap(entriesOf);
    if (!entries.length) return;
    runTable(section.querySelector(".runs"), entries, true);
    drawings(section.querySelector(".speeds"), entries);
  }

  return { lane: lane, show: show, compare: compare };
}
