// SPDX-License-Identifier: GPL-2.0-only
"use strict";
(function () {
  const report = JSON.parse(document.getElementById("report").textContent);
  const MIB = 1048576;
  const byId = (id) => document.getElementById(id);
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // Text is only ever set as text: names in a report are not ours.
  function element(tag, className, text) {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  }

  function size(bytes) {
    if (bytes === null || bytes === undefined) return "–";
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let n = Math.abs(bytes), i = 0;
    while (n >= 1024 && i < units.length - 1) { n /= 1024; i++; }
    return (bytes < 0 ? "−" : "") + (i === 0 ? n : n.toPrecision(n < 1000 ? 3 : 4)) + " " + units[i];
  }

  function time(s) {
    if (s === null || s === undefined) return "–";
    if (s < 1) return (s * 1000).toFixed(s < 0.01 ? 2 : 0) + " ms";
    if (s < 120) return s.toFixed(1) + " s";
    const minutes = Math.floor(s / 60);
    return minutes < 60 ? minutes + " min " + Math.round(s % 60) + " s"
                        : Math.floor(minutes / 60) + " h " + (minutes % 60) + " min";
  }

  const percent = (n, digits) => (n === null || n === undefined ? "–" : n.toFixed(digits === undefined ? 1 : digits) + " %");

  function head() {
    const classes = { ok: "ok", oom_killed: "bad", limit_not_reached: "short", interrupted: "short" };
    const env = report.environment;
    document.title = report.test_mode + ": " + report.outcome.replace(/_/g, " ") + " – memory report";
    byId("kind").textContent = [report.test_mode, env.profile_name, report.model_id, report.command,
      new Date(report.time).toLocaleString()].filter(Boolean).join(" · ");
    byId("verdict").textContent = report.verdict || report.outcome;
    byId("verdict").className = classes[report.outcome] || "";
    byId("advice").textContent = report.recommendation || "";
    byId("foot").textContent = "memprobe-bpf " + report.version + ", Linux " + (report.kernel || "?") +
      ", cgroup " + (env.engine || "?") + (report.cgroup ? ", " + report.cgroup : ", the host") +
      (env.notes ? ". " + env.notes : "") + (report.monitor ? ". Not watched: " + report.monitor : "") + ".";
  }

  function facts() {
    const s = report.memory_statistics, p = report.pressure;
    const rows = [
      [percent(report.peak_memory), "peak, of " + size(report.limit)],
      [percent(s.avg_memory_percent), "average"],
      [report.achieved.error_pct === null ? "–" : (report.achieved.error_pct > 0 ? "+" : "") +
        report.achieved.error_pct.toFixed(2) + " %", "off what was asked for"],
      [time(report.duration), "duration"],
      [report.trend, "trend"],
    ];
    if (report.model_load_time !== null) rows.push([time(report.model_load_time), "model load"]);
    if (p.full_ns !== null) rows.push([time(p.full_ns / 1e9), "all stalled on memory"]);
    if (p.oom_kills !== null) rows.push([String(p.oom_kills), "OOM kills"]);
    if (report.quantization.current_optimal) rows.push([report.quantization.current_optimal, "quantization that fits"]);
    for (const [value, label] of rows) {
      const card = element("div", "fact");
      card.append(element("b", "", value), element("span", "", label));
      byId("facts").append(card);
    }
  }

  const calls = report.events.filter((e) => e.kind === "call" && e.duration_ns !== null);
  const marks = report.events.filter((e) => e.kind !== "call");

  function threshold(canvas, area, graph, pct, name, strong) {
    const y = graph.toDomYCoord(report.limit * pct / 100 / MIB);
    if (y < area.y || y > area.y + area.h) return;
    canvas.strokeStyle = color(name);
    canvas.lineWidth = strong ? 1.5 : 1;
    canvas.setLineDash(strong ? [] : [5, 4]);
    canvas.beginPath();
    canvas.moveTo(area.x, y);
    canvas.lineTo(area.x + area.w, y);
    canvas.stroke();
    canvas.setLineDash([]);
    canvas.fillStyle = color(name);
    canvas.font = "11px system-ui, sans-serif";
    canvas.textAlign = "right";
    canvas.fillText(strong ? "limit " + size(report.limit) : pct + " %", area.x + area.w - 4, y - 3);
  }

  function bands(canvas, area, graph) {
    canvas.fillStyle = color("--call");
    for (const call of calls) {
      const left = graph.toDomXCoord(call.t);
      const right = graph.toDomXCoord(call.t + call.duration_ns / 1e9);
      canvas.fillRect(left, area.y, Math.max(right - left, 1), area.h);
    }
  }

  function underlay(canvas, area, graph) {
    bands(canvas, area, graph);
    threshold(canvas, area, graph, report.thresholds.warning, "--warn", false);
    threshold(canvas, area, graph, report.thresholds.gc, "--gc", false);
    threshold(canvas, area, graph, report.thresholds.critical, "--limit", false);
    threshold(canvas, area, graph, 100, "--limit", true);
  }

  const letters = { pressure: "p", decision: "d", action: "a", oom: "✕" };

  // One mark a place: where many things happened at once the worst is shown, and all are told.
  function annotations() {
    const step = Math.max(report.duration / 150, 1e-6);
    const ranks = ["normal", "warning", "gc", "critical"];
    const places = new Map();
    for (const mark of marks) {
      const key = Math.round(mark.t / step);
      const list = places.get(key) || [];
      list.push(mark);
      places.set(key, list);
    }
    const times = report.samples.map((s) => s.t);
    return Array.from(places.values(), (list) => {
      const worst = list.reduce((a, b) => (b.kind === "oom" || ranks.indexOf(b.severity) > ranks.indexOf(a.severity) ? b : a));
      const near = times.reduce((a, b) => (Math.abs(b - worst.t) < Math.abs(a - worst.t) ? b : a), times[0]);
      return {
        series: "in use", x: near, shortText: letters[worst.kind], width: 15, height: 15,
        cssClass: "mark " + worst.severity, tickHeight: 10,
        text: list.slice(0, 12).map((m) => time(m.t) + "  " + m.kind + " " + m.name + "  " + (m.text || "")).join("\n") +
          (list.length > 12 ? "\n… " + (list.length - 12) + " more" : ""),
      };
    });
  }

  function chart() {
    const mib = (n) => (n === null ? null : n / MIB);
    const rows = report.samples.map((s) => [s.t, mib(s.usage), mib(s.requested), mib(s.filler), mib(s.target_rss)]);
    const options = () => ({
      labels: ["time", "in use", "asked for", "filler", "program"],
      colors: [color("--usage"), color("--asked"), color("--soft"), color("--good")],
      series: { "in use": { strokeWidth: 2, fillGraph: true }, "asked for": { strokePattern: [6, 4] },
                filler: { strokeWidth: 1 }, program: { strokeWidth: 1.5 } },
      visibility: [true, true, rows.some((r) => r[3]), rows.some((r) => r[4])],
      fillAlpha: 0.08, gridLineColor: color("--line"), axisLineColor: color("--line"),
      labelsDiv: byId("legend"), legend: "always", valueRange: [0, report.limit * 1.08 / MIB],
      underlayCallback: underlay, connectSeparatedPoints: true, animatedZooms: true,
      axes: {
        x: { axisLabelFormatter: (x) => time(x), valueFormatter: (x) => time(x) },
        y: { axisLabelFormatter: (y) => size(y * MIB), valueFormatter: (y) => size(y * MIB), axisLabelWidth: 70 },
      },
    });
    const graph = new Dygraph(byId("chart"), rows, options());
    graph.ready(() => graph.setAnnotations(annotations()));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => graph.updateOptions(options()));
    return graph;
  }

  // Totals become shares between one sample and the next.
  function stall(main) {
    const rows = [];
    for (let i = 1; i < report.samples.length; i++) {
      const a = report.samples[i - 1], b = report.samples[i], ns = (b.t - a.t) * 1e9;
      if (b.some_ns === null || a.some_ns === null || ns <= 0) continue;
      rows.push([b.t, Math.min(100, (b.some_ns - a.some_ns) / ns * 100), Math.min(100, (b.full_ns - a.full_ns) / ns * 100)]);
    }
    if (!rows.some((r) => r[1] > 0.05)) return;
    byId("stall-section").hidden = false;
    const graph = new Dygraph(byId("stall"), rows, {
      labels: ["time", "some", "all"], colors: [color("--warn"), color("--limit")], fillGraph: true, fillAlpha: 0.2,
      labelsDiv: byId("stall-legend"), legend: "always", valueRange: [0, 100], gridLineColor: color("--line"),
      axisLineColor: color("--line"),
      axes: { x: { axisLabelFormatter: (x) => time(x), valueFormatter: (x) => time(x) },
              y: { axisLabelFormatter: (y) => y + " %", valueFormatter: (y) => percent(y), axisLabelWidth: 70 } },
    });
    main.updateOptions({ drawCallback: (g, initial) => { if (!initial) graph.updateOptions({ dateWindow: g.xAxisRange() }); } });
  }

  // columns: [heading, is text, wide]; a cell is a text, or [text, class].
  function table(id, columns, rows) {
    if (!rows.length) return;
    byId(id + "-section").hidden = false;
    const line = element("tr");
    for (const [name, text] of columns) line.append(element("th", text ? "text" : "", name));
    byId(id).append(line);
    for (const row of rows) {
      const tr = element("tr");
      row.forEach((cell, i) => {
        const [text, extra] = Array.isArray(cell) ? cell : [cell, ""];
        tr.append(element("td", (columns[i][1] ? "text " : "") + (columns[i][2] ? "wide " : "") + extra, text));
      });
      byId(id).append(tr);
    }
  }

  function phases() {
    const most = 200;
    const rows = report.phases.slice(0, most).map((p) => {
      const late = p.due === null ? "–" : ((p.start - p.due) * 1000).toFixed(1) + " ms";
      const error = p.achieved.error_pct;
      return [p.name, time(p.start), late, size(p.requested.bytes), percent(p.requested.percent, 2),
              percent(p.achieved.percent, 2),
              [error === null ? "–" : (error > 0 ? "+" : "") + error.toFixed(2) + " %", error !== null && Math.abs(error) > 2 ? "critical" : ""]];
    });
    table("phases", [["phase", true], ["from"], ["late by"], ["asked for"], ["of the limit"], ["reached"], ["off"]], rows);
  }

  function quantile(sorted, q) {
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))];
  }

  function points() {
    const byName = new Map();
    for (const call of calls) {
      const list = byName.get(call.name) || [];
      list.push(call);
      byName.set(call.name, list);
    }
    table("calls", [["point", true], ["calls shown"], ["median"], ["longest"], ["RSS, sum"], ["RSS, most"]],
      Array.from(byName, ([name, list]) => {
        const ns = list.map((c) => c.duration_ns).sort((a, b) => a - b);
        const bytes = list.map((c) => c.bytes || 0);
        return [name, String(list.length), time(quantile(ns, 0.5) / 1e9), time(ns[ns.length - 1] / 1e9),
                size(bytes.reduce((a, b) => a + b, 0)), size(bytes.reduce((a, b) => Math.max(a, b), -Infinity))];
      }));
  }

  function happenings() {
    const most = 500;
    table("marks", [["at"], ["", true], ["what", true], ["", true, true]], marks.slice(0, most).map((m) =>
      [time(m.t), m.kind, [m.name, m.severity], m.text || ""]));
    if (marks.length > most)
      byId("marks-section").append(element("p", "hint", "… and " + (marks.length - most) + " more, in the JSON report."));
  }

  head();
  facts();
  phases();
  points();
  happenings();
  if (report.samples.length) stall(chart());
  document.documentElement.dataset.drawn = "yes";
})();
