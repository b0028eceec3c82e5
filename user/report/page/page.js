// SPDX-License-Identifier: GPL-2.0-only
"use strict";
(function () {
  const reports = JSON.parse(document.getElementById("reports").textContent);
  const SEVERITIES = ["normal", "warning", "gc", "critical"];
  const KIB = 1024;
  const PHONE = matchMedia("(max-width: 40rem)");
  const DARK = matchMedia("(prefers-color-scheme: dark)");
  const AXIS = 62; // width of the labels left of a chart
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const known = (n) => n !== null && n !== undefined;

  // --- words -----------------------------------------------------------------

  // Text is only ever set as text: names in a report are not ours.
  function element(tag, className, text) {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (known(text)) node.textContent = text;
    return node;
  }

  const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

  function unitOf(bytes) {
    let i = 0;
    for (let n = Math.abs(bytes); n >= 1024 && i < UNITS.length - 1; n /= 1024) i++;
    return i;
  }

  function size(bytes) {
    if (!known(bytes)) return "–";
    const i = unitOf(bytes), n = Math.abs(bytes) / 1024 ** i;
    const digits = i === 0 ? 0 : n < 10 ? 2 : n < 100 ? 1 : 0;
    return (bytes < 0 ? "−" : "") + n.toFixed(digits) + " " + UNITS[i];
  }

  function growth(bytes) {
    return known(bytes) && bytes > 0 ? "+" + size(bytes) : size(bytes);
  }

  function time(s) {
    if (!known(s)) return "–";
    if (s === 0) return "0 s";
    if (s < 1e-6) return (s * 1e9).toFixed(0) + " ns";
    if (s < 1e-3) return (s * 1e6).toPrecision(3) + " µs";
    if (s < 1) return (s * 1e3).toPrecision(3) + " ms";
    if (s < 120) return s.toFixed(s < 10 ? 2 : 1) + " s";
    const minutes = Math.floor(s / 60);
    return minutes < 60 ? minutes + " min " + Math.floor(s % 60) + " s"
                        : Math.floor(minutes / 60) + " h " + (minutes % 60) + " min";
  }

  const duration = (ns) => (known(ns) ? time(ns / 1e9) : "–");
  const count = (n, one, many) => (known(n) ? n.toLocaleString("en") : "?") + " " + (n === 1 ? one : many);
  const percent = (n, digits) => (known(n) ? n.toFixed(known(digits) ? digits : 1) + " %" : "–");
  const signed = (n) => (known(n) ? (n > 0 ? "+" : n < 0 ? "−" : "") + Math.abs(n).toFixed(2) + " %" : "–");
  // A sentence; a number and its unit stay on one line.
  const tight = (text) => text.replace(/(\d) (?=%|[KMGTPE]?i?B\b|m?s\b)/g, "$1\u00a0");
  const sentence = (text) => tight(text.replace(/^[a-z](?=[a-z]*\b(?![-.]\w))/, (letter) => letter.toUpperCase()));

  // --- figures ---------------------------------------------------------------

  const OUTCOMES = { ok: "good", thrash: "short", oom_killed: "bad", limit_not_reached: "short", interrupted: "short" };

  function head(view, report) {
    const env = report.environment, kind = view.querySelector(".kind");
    kind.append(element("b", OUTCOMES[report.outcome], report.outcome.replace(/_/g, " ")),
      [report.test_mode, env.profile_name, report.model_id, report.command,
        new Date(report.time).toLocaleString()].filter(Boolean).join(" · "));
    view.querySelector(".verdict").textContent = sentence(report.verdict || report.outcome.replace(/_/g, " "));
    view.querySelector(".advice").textContent = report.recommendation ? sentence(report.recommendation.replace(/\.?$/, ".")) : "";
    view.querySelector("footer").textContent = "memprobe-bpf " + (report.version || "?") + ", Linux " +
      (report.kernel || "?") + ", cgroup " + (env.engine || "?") + (report.cgroup ? ", " + report.cgroup : ", the host") +
      (env.notes ? ". " + sentence(env.notes) : "") + (report.monitor ? ". Not watched: " + report.monitor : "") + ".";
  }

  function fact(value, label, className) {
    const card = element("div", "fact");
    card.append(element("b", className || "", value), element("span", "", tight(label)));
    return card;
  }

  // A rehearsal that only watches asks for what there is, but for a sample where one load follows another.
  function asksForMore({ series }) {
    const asked = series.requested || [], others = asked.filter((n, i) => known(n) && n !== series.usage[i]);
    return others.length > asked.length / 20;
  }

  function facts(view, report) {
    const s = report.memory_statistics, p = report.pressure;
    const rows = [
      [percent(report.peak_memory), "peak" + (known(report.limit) ? " of " + size(report.limit) : "")],
      [percent(s.avg_memory_percent), "on average"],
    ];
    if (known(report.achieved.error_pct) && asksForMore(report)) rows.push([signed(report.achieved.error_pct), "off what was asked for at most"]);
    rows.push([time(report.duration), "duration"], [report.trend, "trend"]);
    if (known(report.model_load_time) && !report.model) rows.push([time(report.model_load_time), "model load"]);
    if (p.incidents) rows.push([String(p.incidents), p.incidents === 1 ? "incident of pressure" : "incidents of pressure"]);
    if (known(p.full_ns)) rows.push([duration(p.full_ns), "all stalled on memory"]);
    if (known(p.oom_kills)) rows.push([String(p.oom_kills), p.oom_kills === 1 ? "OOM kill" : "OOM kills"]);
    if (report.quantization.current_optimal) rows.push([report.quantization.current_optimal, "quantization that fits"]);
    for (const row of rows) view.querySelector(".facts").append(fact(...row));
  }

  // --- axes ------------------------------------------------------------------

  // Sizes at powers of two, so that ticks are round: 0.5 GiB, 1 GiB, 1.5 GiB.
  function sizeTicks(low, high, pixels) {
    const step = 2 ** Math.max(0, Math.ceil(Math.log2((high - low) / Math.max(1, pixels / 52))));
    const unit = unitOf(Math.max(high - step / 4, step) * KIB);
    const ticks = [];
    for (let v = Math.ceil(low / step) * step; v <= high; v += step)
      ticks.push({ v: v, label: v === 0 ? "0" : String(+(v * KIB / 1024 ** unit).toFixed(3)) + " " + UNITS[unit] });
    return ticks;
  }

  const STEPS = [60, 120, 300, 600, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400];

  function timeStep(least) {
    if (least > 60) return STEPS.find((s) => s >= least) || Math.ceil(least / 86400) * 86400;
    for (const s of [30, 20, 10]) if (least <= s && least > s / (s === 10 ? 2 : 1.6)) return s;
    const power = 10 ** Math.floor(Math.log10(least));
    return power * [1, 2, 5, 10].find((m) => m * power >= least * 0.9999);
  }

  const two = (n) => String(n).padStart(2, "0");

  function timeLabel(t, step, high) {
    if (high >= 3600) return Math.floor(t / 3600) + ":" + two(Math.floor(t / 60) % 60) + (step < 60 ? ":" + two(t % 60) : " h");
    if (high >= 120) return Math.floor(t / 60) + ":" + two(Math.floor(t % 60)) + (step < 1 ? String((t % 1).toFixed(2)).slice(1) : "");
    if (high < 1) return +(t * 1000).toFixed(4) + " ms";
    return +t.toFixed(6) + " s";
  }

  function timeTicks(low, high, pixels) {
    const step = timeStep((high - low) / Math.max(1, pixels / 80));
    const ticks = [];
    for (let i = Math.ceil(low / step); i * step <= high; i++) ticks.push({ v: i * step, label: timeLabel(i * step, step, high) });
    return ticks;
  }

  // --- the main chart --------------------------------------------------------

  const SERIES = [ // name, column, color, dashed; the last is drawn on top
    ["filler", "filler", "filler", false],
    ["program", "target_rss", "program", false],
    ["asked for", "requested", "asked", true],
    ["in use", "usage", "usage", false],
  ];

  function line(canvas, x1, y1, x2, y2, name, dash, alpha) {
    canvas.save();
    canvas.strokeStyle = color(name);
    canvas.globalAlpha = alpha;
    canvas.setLineDash(dash);
    canvas.beginPath();
    canvas.moveTo(x1, y1);
    canvas.lineTo(x2, y2);
    canvas.stroke();
    canvas.restore();
  }

  // The limit and the thresholds that the graph shows, from above.
  function levelsOf(graph, report) {
    const t = report.thresholds, area = graph.getArea();
    const levels = [[100, "critical", "limit " + size(report.limit)], [t.critical, "critical", "critical " + t.critical + " %"],
      [t.gc, "gc", "gc " + t.gc + " %"], [t.warning, "warning", "warning " + t.warning + " %"]];
    return known(report.limit) ? levels.filter((l) => known(l[0]))
      .map(([pct, name, label]) => ({ name: name, label: label, solid: pct === 100,
        y: Math.round(graph.toDomYCoord(report.limit / KIB * pct / 100)) + 0.5 }))
      .filter((l) => l.y >= area.y && l.y <= area.y + area.h) : [];
  }

  // Over the grid and the lines; a label that would lie on the one above it is left out.
  function labels(canvas, area, levels) {
    let above = -Infinity;
    canvas.save();
    canvas.font = "11px system-ui, sans-serif";
    canvas.textAlign = "right";
    for (const l of levels) {
      const x = area.x + area.w - 4, width = canvas.measureText(l.label).width;
      if (l.y - above < 12) continue;
      above = l.y;
      canvas.globalAlpha = 0.75;
      canvas.fillStyle = color("paper");
      canvas.fillRect(x - width - 3, l.y - 13, width + 6, 12);
      canvas.globalAlpha = 1;
      canvas.fillStyle = color(l.name);
      canvas.fillText(l.label, x, l.y - 3);
    }
    canvas.restore();
  }

  // What the policy made of it, and what the kernel did, through the whole height.
  function moments(canvas, area, graph, marks) {
    for (const mark of marks) {
      const x = Math.round(graph.toDomXCoord(mark.t)) + 0.5;
      if (x < area.x || x > area.x + area.w) continue;
      if (mark.kind === "oom" && mark.severity === 3) {
        line(canvas, x, area.y, x, area.y + area.h, "critical", [], 0.9);
        canvas.fillStyle = color("critical");
        canvas.font = "600 11px system-ui, sans-serif";
        canvas.textAlign = x > area.x + area.w / 2 ? "right" : "left";
        canvas.fillText("OOM", x + (canvas.textAlign === "left" ? 4 : -4), area.y + area.h - 6);
      } else if (mark.kind === "decision" && mark.severity > 0) {
        line(canvas, x, area.y, x, area.y + area.h, SEVERITIES[mark.severity], [2, 3], 0.45);
      }
    }
  }

  function legendOf(report, series) {
    const rest = series.slice().reverse().map((s) => "<span><i " + (s[3] ? 'class="dashed" ' : "") + 'style="border-color:' + color(s[2]) + '"></i>' + s[0] + "</span>").join("");
    return (data) => {
      if (!known(data.x)) return rest;
      return "<b>" + time(data.x) + "</b>" + data.series.filter((s) => known(s.y)).reverse().map((s) => {
        const of = known(report.limit) && s.label === "in use" ? " · " + percent(s.y * KIB / report.limit * 100) : "";
        const own = SERIES.find((x) => x[0] === s.label);
        return '<span><i style="border-color:' + color(own[2]) + '"></i>' + s.label + " <b>" + size(s.y * KIB) + of + "</b></span>";
      }).join("");
    };
  }

  // One finger scrolls the page, two zoom the chart; the mouse does as ever.
  function interaction() {
    const model = Object.assign({}, Dygraph.defaultInteractionModel);
    const touch = model.touchstart;
    model.touchstart = (event, graph, context) => {
      if (event.touches.length > 1) touch(event, graph, context);
    };
    return model;
  }

  function endOf(report) {
    const t = report.series.t;
    let end = Math.max(report.duration, t.length ? t[t.length - 1] : 0);
    for (const m of report.marks) end = Math.max(end, m.t);
    return end || 1;
  }

  function rowsOf(report, series, end) {
    const t = report.series.t;
    const rows = t.map((x, i) => [x].concat(series.map((s) => report.series[s[1]][i])));
    // Without two points there is no axis, and marks have one even where nothing was sampled.
    const none = series.map(() => null);
    if (!t.length || t[0] > 0) rows.unshift([0].concat(none));
    if (!t.length || t[t.length - 1] < end) rows.push([end].concat(none));
    return rows;
  }

  function memoryChart(view, report, onDraw) {
    const series = SERIES.filter((s) => report.series[s[1]] && (s[1] === "usage" || report.series[s[1]].some(Boolean)))
      .filter((s) => s[1] !== "requested" || asksForMore(report));
    if (!series.length) series.push(SERIES[SERIES.length - 1]);
    const end = endOf(report);
    const peak = (report.series.usage || []).reduce((a, b) => Math.max(a, b), 0);
    const top = Math.max((report.limit || 0) / KIB * 1.08, peak * 1.05, 1);
    const box = view.querySelector(".memory");
    const options = () => ({
      labels: ["time"].concat(series.map((s) => s[0])),
      colors: series.map((s) => color(s[2])),
      series: Object.fromEntries(series.map((s) => [s[0], {
        strokeWidth: s[1] === "usage" ? 2 : 1.5, fillGraph: s[1] === "usage", strokePattern: s[3] ? [6, 4] : null }])),
      fillAlpha: 0.1, gridLineColor: color("line"), axisLineColor: color("line"), gridLineWidth: 1,
      labelsDiv: box.querySelector(".legend"), legend: "always", legendFormatter: legendOf(report, series),
      valueRange: [0, top], dateWindow: [0, end], connectSeparatedPoints: false, highlightCircleSize: 3.5,
      interactionModel: interaction(), drawCallback: onDraw,
      plugins: [{ activate: () => ({ didDrawChart: (e) => labels(e.drawingContext, e.dygraph.getArea(), levelsOf(e.dygraph, report)) }) }],
      underlayCallback: (canvas, area, graph) => {
        moments(canvas, area, graph, report.marks);
        for (const l of levelsOf(graph, report))
          line(canvas, area.x, l.y, area.x + area.w, l.y, l.name, l.solid ? [] : [5, 4], l.solid ? 1 : 0.8);
      },
      axes: { x: { ticker: timeTicks, axisLabelWidth: 70 }, y: { ticker: sizeTicks, axisLabelWidth: AXIS } },
    });
    const graph = new Dygraph(box.querySelector(".chart"), rowsOf(report, series, end), options());
    const hint = PHONE.matches ? "Two fingers zoom, a double tap shows all again; tap a mark to read it."
                               : "Drag to zoom, double-click to see all again; point at a mark to read it.";
    const cached = report.model ? " In use is the working set: of mapped weights, which can be dropped, it has a part; the program has all." : "";
    box.querySelector(".hint").textContent = report.n_samples ? hint + cached : "No sample was taken.";
    box.classList.toggle("without", !report.n_samples);
    DARK.addEventListener("change", () => { const o = options(); delete o.dateWindow; graph.updateOptions(o); });
    return graph;
  }

  // --- lanes: what happened, and the calls, below the chart --------------------

  const KINDS = [["oom", "out of memory"], ["decision", "decisions"], ["action", "actions"], ["pressure", "pressure"]];
  const LANE = 31, TRACK = 12, LABEL = 14;

  function markTip(report, m) {
    const freed = m.kind === "action" && m.bytes ? ", freed " + size(m.bytes) : "";
    const took = known(m.duration_ns) ? ", " + duration(m.duration_ns) : "";
    return time(m.t) + "  " + m.name + took + freed + (m.text ? "\n" + about(report, m.text) : "");
  }

  function callTip(name, [t, ns, bytes, tid, severity, text]) {
    return time(t) + "  " + name + "  " + duration(ns) + (severity === 3 && ns ? ", did not return" : "") +
      (known(bytes) ? "\nRSS " + growth(bytes) : "") + (text ? "\n" + text + (tid ? ", thread " + tid : "") : "");
  }

  function lanesOf(report) {
    const lanes = [models.lane(report)].filter(Boolean);
    for (const [kind, label] of KINDS) {
      const items = report.marks.filter((m) => m.kind === kind)
        .map((m) => ({ from: m.t, to: m.t, severity: m.severity, tip: () => markTip(report, m) }));
      if (items.length) lanes.push({ kind: kind, label: label, items: items });
    }
    for (const point of report.calls) {
      const exact = report.points.find((p) => p.point === point.name);
      lanes.push({ kind: "call", label: point.name, note: exact ? exact.hits + " calls" : "at least " + point.n,
        items: point.spans.map((s) => ({ from: s[0], to: s[0] + (s[1] || 0) / 1e9, severity: s[4], tip: () => callTip(point.name, s) })) });
    }
    return lanes;
  }

  const SHAPES = {
    decision(c, x, y) { c.moveTo(x, y - 6); c.lineTo(x + 5.5, y); c.lineTo(x, y + 6); c.lineTo(x - 5.5, y); },
    action(c, x, y) { c.moveTo(x - 5, y + 5); c.lineTo(x, y - 5); c.lineTo(x + 5, y + 5); },
    pressure(c, x, y) { c.rect(x - 1.5, y - TRACK / 2, 3, TRACK); },
    oom(c, x, y) {
      for (const turn of [1, -1]) {
        c.moveTo(x - 5, y - 5 * turn - 1.2); c.lineTo(x - 5, y - 5 * turn + 1.2);
        c.lineTo(x + 5, y + 5 * turn + 1.2); c.lineTo(x + 5, y + 5 * turn - 1.2);
      }
    },
  };

  function drawItem(c, lane, item, x1, x2, y) {
    c.beginPath();
    if (lane.kind === "call") {
      c.fillStyle = color(item.severity ? SEVERITIES[item.severity] : item.color || "usage");
      c.globalAlpha = 0.62;
      c.rect(x1, y - TRACK / 2, Math.max(x2 - x1, 1.5), TRACK);
    } else {
      c.fillStyle = color(lane.kind === "action" ? "action" : lane.kind === "pressure" ? (item.severity ? SEVERITIES[item.severity] : "warning") : SEVERITIES[item.severity]);
      c.globalAlpha = lane.kind === "pressure" ? 0.75 : 0.9;
      SHAPES[lane.kind](c, x1, y);
    }
    c.fill();
  }

  function shorten(c, text, width) {
    if (c.measureText(text).width <= width) return text;
    let n = text.length;
    while (n > 1 && c.measureText(text.slice(0, n) + "…").width > width) n--;
    return text.slice(0, n) + "…";
  }

  function drawLane(c, lane, top, area, graph) {
    const y = top + LABEL + TRACK / 2 + 1;
    c.globalAlpha = 1;
    c.fillStyle = color("soft");
    c.font = "11.5px system-ui, sans-serif";
    c.textAlign = "right";
    if (lane.note) c.fillText(lane.note, area.x + area.w, top + 10);
    c.textAlign = "left";
    c.fillText(shorten(c, lane.label, area.w - (lane.note ? c.measureText(lane.note).width + 12 : 0)), area.x, top + 10);
    c.fillStyle = color("track");
    c.fillRect(area.x, y - TRACK / 2, area.w, TRACK);
    c.save();
    c.beginPath();
    c.rect(area.x - 6, top, area.w + 12, LANE);
    c.clip();
    for (const item of lane.items) {
      item.x1 = graph.toDomXCoord(item.from);
      item.x2 = graph.toDomXCoord(item.to);
      item.shown = item.x2 >= area.x - 6 && item.x1 <= area.x + area.w + 6;
      if (item.shown) drawItem(c, lane, item, Math.max(item.x1, area.x - 6), Math.min(item.x2, area.x + area.w + 6), y);
    }
    c.restore();
  }

  function drawLanes(box, lanes, graph) {
    const canvas = box.querySelector("canvas"), ratio = devicePixelRatio || 1, area = graph.getArea();
    const width = box.clientWidth, height = lanes.length * LANE;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.height = height + "px";
    const c = canvas.getContext("2d");
    c.scale(ratio, ratio);
    lanes.forEach((lane, i) => drawLane(c, lane, i * LANE, area, graph));
  }

  function nearItems(lane, x) {
    const distance = (item) => (x < item.x1 ? item.x1 - x : x > item.x2 ? x - item.x2 : 0);
    return lane.items.filter((item) => item.shown && distance(item) <= 6)
      .sort((a, b) => b.severity - a.severity || distance(a) - distance(b) || (a.to - a.from) - (b.to - b.from));
  }

  function showTips(box, lanes) {
    const tip = box.querySelector(".tip"), most = 4;
    function show(event) {
      const bounds = box.getBoundingClientRect();
      const x = event.clientX - bounds.left, y = event.clientY - bounds.top;
      const lane = lanes[Math.floor(y / LANE)];
      const items = lane ? nearItems(lane, x) : [];
      tip.hidden = !items.length;
      if (!items.length) return;
      tip.textContent = items.slice(0, most).map((item) => item.tip()).join("\n") +
        (items.length > most ? "\n… and " + (items.length - most) + " more here" : "");
      tip.style.left = Math.max(0, Math.min(x + 10, bounds.width - tip.offsetWidth)) + "px";
      tip.style.top = (Math.floor(y / LANE) + 1) * LANE + 2 + "px";
    }
    box.addEventListener("pointermove", show);
    box.addEventListener("pointerdown", show);
    box.addEventListener("pointerleave", () => { tip.hidden = true; });
  }

  // --- stall -----------------------------------------------------------------

  // Totals become shares between one sample and the next.
  function stallRows(series) {
    const rows = [];
    if (!series.some_us) return rows;
    for (let i = 1; i < series.t.length; i++) {
      const us = (series.t[i] - series.t[i - 1]) * 1e6;
      if (!known(series.some_us[i]) || !known(series.some_us[i - 1]) || us <= 0) continue;
      const share = (column) => Math.max(0, Math.min(100, (column[i] - column[i - 1]) / us * 100));
      rows.push([series.t[i], share(series.some_us), series.full_us ? share(series.full_us) : 0]);
    }
    return rows;
  }

  function stallChart(view, report) {
    const rows = stallRows(report.series);
    if (!rows.some((r) => r[1] > 0.05)) return null;
    const box = view.querySelector(".stalled");
    box.hidden = false;
    const names = { some: "warning", all: "critical" };
    const options = () => ({
      labels: ["time", "some", "all"], colors: [color("warning"), color("critical")], fillGraph: true, fillAlpha: 0.25,
      labelsDiv: box.querySelector(".legend"), legend: "always", valueRange: [0, 104], dateWindow: [0, endOf(report)],
      gridLineColor: color("line"), axisLineColor: color("line"), interactionModel: interaction(),
      legendFormatter: (data) => (known(data.x) ? "<b>" + time(data.x) + "</b>" : "") + data.series.map((s) =>
        '<span><i style="border-color:' + color(names[s.label]) + '"></i>' + s.label + (known(s.y) ? " <b>" + percent(s.y) + "</b>" : "") + "</span>").join(""),
      axes: { x: { ticker: timeTicks, axisLabelWidth: 70 },
              y: { ticker: () => [0, 25, 50, 75, 100].map((v) => ({ v: v, label: v + " %" })), axisLabelWidth: AXIS } },
    });
    const graph = new Dygraph(box.querySelector(".chart"), rows, options());
    DARK.addEventListener("change", () => graph.updateOptions(options()));
    return graph;
  }

  // --- tables ----------------------------------------------------------------

  // columns: [heading, classes]; a cell is a text, a node, or [text, class].
  function table(section, columns, rows) {
    if (!rows.length) return;
    section.hidden = false;
    const body = section.querySelector("table"), headings = element("tr");
    for (const [name, classes] of columns) headings.append(element("th", classes || "", name));
    body.append(headings);
    for (const row of rows) {
      const tr = element("tr");
      row.forEach((cell, i) => {
        const [content, extra] = Array.isArray(cell) ? cell : [cell, ""];
        const td = element("td", ((columns[i][1] || "") + " " + extra).trim());
        td.append(content);
        if ((columns[i][1] || "").includes("name")) td.title = td.textContent;
        tr.append(td);
      });
      body.append(tr);
    }
  }

  function andMore(section, shown, all) {
    if (all > shown) section.append(element("p", "hint", shown + " of " + all + " are shown; the JSON report has more."));
  }

  function phases(view, report) {
    const most = 200, section = view.querySelector(".phases");
    if (report.model && !asksForMore(report)) return;
    table(section, [["phase", "text"], ["from"], ["late by"], ["asked for"], ["of the limit"], ["reached"], ["off"]],
      report.phases.slice(0, most).map((p) => {
        const error = p.achieved.error_pct;
        return [p.name, p.start.toFixed(2) + " s", known(p.due) ? (Math.max(0, p.start - p.due) * 1000).toFixed(1) + " ms" : "–", size(p.requested.bytes),
          percent(p.requested.percent, 2), percent(p.achieved.percent, 2), [signed(error), Math.abs(error) > 2 ? "critical" : ""]];
      }));
    andMore(section, most, report.phases.length);
  }

  function points(view, report) {
    const exact = report.points.filter((p) => p.hits);
    if (exact.length) {
      table(view.querySelector(".calls"),
        [["point", "text name"], ["level", "text"], ["calls"], ["median"], ["99 %"], ["longest"], ["RSS, sum"], ["RSS, most"]],
        exact.map((p) => [p.point, p.level, String(p.hits), duration(p.duration_ns.p50), duration(p.duration_ns.p99),
          duration(p.duration_ns.max), growth(p.rss_delta.total), growth(p.rss_delta.max)]));
    } else {
      table(view.querySelector(".calls"), [["point", "text name"], ["calls, at least"], ["longest"], ["RSS, sum"]],
        report.calls.map((c) => [c.name, String(c.n), duration(c.longest_ns), growth(c.grown)]));
    }
  }

  // Most of it is about the group that the whole report is about.
  function about(report, text) {
    const own = (report.cgroup || "the host") + ": ";
    return text && text.startsWith(own) ? text.slice(own.length) : text || "";
  }

  function happenings(view, report) {
    const section = view.querySelector(".marks");
    table(section, [["at"], ["", "text"], ["what", "text name"], ["", "text wide"]], report.marks.map((m) =>
      [time(m.t), m.kind, [m.name, SEVERITIES[m.severity]], about(report, m.text)]));
    andMore(section, report.marks.length, report.n_marks);
  }

  // --- all of it -------------------------------------------------------------

  const models = modelPage({ AXIS: AXIS, DARK: DARK, color: color, known: known, element: element, size: size, time: time, percent: percent, count: count,
    sentence: sentence, fact: fact, table: table, line: line, interaction: interaction, timeTicks: timeTicks, endOf: endOf });

  function show(report, id) {
    const view = document.getElementById("run").content.firstElementChild.cloneNode(true);
    const lanes = lanesOf(report), box = view.querySelector(".lanes");
    const others = []; // charts of the same time
    view.id = id;
    document.querySelector("main").append(view);
    head(view, report);
    facts(view, report);
    phases(view, report);
    points(view, report);
    happenings(view, report);
    memoryChart(view, report, (graph, initial) => {
      drawLanes(box, lanes, graph);
      if (!initial) for (const other of others) other.updateOptions({ dateWindow: graph.xAxisRange() });
    });
    showTips(box, lanes);
    others.push(...[stallChart(view, report), models.show(view, report)].filter(Boolean));
  }

  function link(i, text) {
    const node = element("a", "", text);
    node.href = "#run-" + i;
    return node;
  }

  function compare() {
    if (reports.length < 2) return;
    table(document.getElementById("compare"),
      [["run", "text"], ["environment", "text name"], ["outcome", "text"], ["peak"], ["asked for"], ["reached"], ["off"], ["least free"], ["OOM kills"]],
      reports.map((r, i) => {
        const outcome = [r.outcome.replace(/_/g, " "), r.outcome === "ok" ? "" : "outcome-" + r.outcome];
        return [link(i, r.test_mode + ", " + new Date(r.time).toLocaleString()), r.environment.profile_name || "–", outcome,
          percent(r.peak_memory), percent(r.requested.percent), percent(r.achieved.percent), signed(r.achieved.error_pct),
          known(r.memory_statistics.min_available_gb) ? size(r.memory_statistics.min_available_gb * 1e9) : "–",
          known(r.pressure.oom_kills) ? String(r.pressure.oom_kills) : "–"];
      }));
    models.compare(document.getElementById("compare"), reports, link);
  }

  document.title = reports.length === 1
    ? reports[0].test_mode + ": " + reports[0].outcome.replace(/_/g, " ") + " – memory report"
    : reports.length + " memory reports";
  compare();
  reports.forEach((report, i) => show(report, "run-" + i));
  document.documentElement.dataset.drawn = "yes";
})();
