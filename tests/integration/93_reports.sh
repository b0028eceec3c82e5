# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# Reports: of every kind of run, in every format, whole or not at all; and what they look like.

# The colors of the usage line, light and dark: page.css.
LIGHT=#2563b0
DARK=#6aa5f0

# report_check CHECK ARG…: see report.py. What lacks a module is a skip.
report_check() {
	local code=0
	python3 tests/integration/report.py "$@" >"$T/why" || code=$?
	[ $code -ne 77 ] || skip "$(cat "$T/why")"
	[ $code -eq 0 ] || fail "$1: $(cat "$T/why")"
}

# rehearse CODE ARG…: in the profile, with its report.
rehearse() {
	local code=$1
	shift
	expect_exit "$code" simple --config-dir "$CONFIG" --env small --save-report --output-dir "$T/reports" "$@"
}

# record ARG…: a program of 101 calls that grow in a group of 128 MiB is watched and recorded.
record() {
	make_group 134217728
	start_in_group calls --function grow --calls 101 --bytes 1048576 --rate 100 --wait
	start_monitor --target "$TARGET_PID" --point "grow=high@$TARGETS/calls:probe_grow" \
		--policy "$(every_call_policy)" --record "$T/run.ndjson" "$@"
	finish_target
	end_monitor
	expect_eq 0 "$MONITOR_CODE" 'exit code of the monitor'
}

# A recording with names that are meant to break what shows them.
hostile_recording() {
	python3 - >"$T/hostile.ndjson" <<-'EOT'
		import json
		bad = '=1+1</script><script>alert(1)</script><!--\u2028\u2029"\'&<b>\n,\x1b[31m'
		def put(kind, ts, **fields):
		    print(json.dumps({"v": 1, "type": kind, "ts_ns": ts, "time": "2026-11-21T23:35:22Z", **fields}))
		put("start", 10**9, version=bad, kernel=bad, cgroup_mode=bad, targets=[bad], features=[])
		for i in range(40):
		    put("probe", 10**9 + i * 10**8, point=bad if i % 2 else "other", level="high", phase="exit", pid=5, tid=5,
		        comm=bad, limit_cgroup=bad, rss=1 << 20, working_set=(10 + i) << 23, limit=1 << 30,
		        duration_ns=5 * 10**7, rss_delta=4096)
		put("decision", 3 * 10**9, severity="critical", previous="gc", level="high", point=bad, pid=5, limit_cgroup=bad,
		    reason=bad, evidence={})
		put("oom", 4 * 10**9, pid=5, comm=bad, cgroup=bad, is_target=True, rss=1, by_pid=5, by_comm=bad, events={},
		    in_flight=[{"point": bad, "tid": 5, "duration_ns": 10**9, "rss_delta": 1}], history=[])
		put("stop", 5 * 10**9, reason="signal", exit_code=0)
	EOT
}

# browse HTML PNG WIDTHxHEIGHT [FLAG…]: opens the page; nothing may be complained of.
browse() {
	local html=$1 png=$2 size=$3
	shift 3
	timeout 60 chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --hide-scrollbars \
		--user-data-dir="$T/profile" --window-size="${size/x/,}" --virtual-time-budget=5000 \
		--enable-logging=stderr "$@" --screenshot="$png" "file://$html" >"$T/browser" 2>&1 ||
		fail "chromium: $(tail -n 5 "$T/browser")"
	! grep 'CONSOLE' "$T/browser" || fail 'the page complains, see above'
	[ -s "$png" ] || fail 'there is no picture'
}

# drawn HTML: its script ran to the end.
drawn() {
	timeout 60 chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage \
		--user-data-dir="$T/profile" --virtual-time-budget=5000 --dump-dom "file://$1" >"$T/dom" 2>"$T/browser" ||
		fail "chromium: $(tail -n 5 "$T/browser")"
	grep -q '<html[^>]* data-drawn="yes"' "$T/dom" || fail "$(basename "$1") was not drawn"
	grep -q '<canvas' "$T/dom" || fail 'there is no canvas'
}

test_rehearsals_keep_the_schema() {
	profile 128
	rehearse 0 --mode staircase --step-size 10 --steps 3 --interval 0.2
	rehearse 0 --mode burst --target 50 --duration 0.5
	rehearse 0 --mode sawtooth --min 20 --max 40 --cycles 1 --duration 1
	rehearse 0 --mode allocate_full --safety-margin 32 --duration 0.5
	rehearse 7 --mode burst --target 50 --duration 20 --no-monitor -- \
		"$TARGETS/calls" --function grow --calls 200 --bytes 1048576
	report_check schema "$T"/reports/*.json
}

# All of one format together: a line each.
test_csv_of_many() {
	profile 128
	rehearse 0 --mode burst --target 30 --duration 0.2 --no-monitor
	rehearse 0 --mode burst --target 40 --duration 0.2 --no-monitor
	expect_exit 0 report "$T"/reports/*.json --format csv --output "$T/all.csv"
	report_check csv "$T/all.csv" 2 'all(r["test_mode"] == "burst" for r in rows)' \
		'sorted(round(float(r["achieved_percent"])) for r in rows) == [30, 40]'
	for file in "$T"/reports/*.csv; do
		report_check csv "$file" 1 'rows[0]["outcome"] == "ok"' 'rows[0]["limit_bytes"] == "134217728"'
	done
}

test_interrupted_rehearsal_keeps_the_schema() {
	local pid
	profile 128
	spawn_monitor simple --config-dir "$CONFIG" --env small --mode burst --duration 60 --target 50 --save-report \
		--output-dir "$T/reports" >"$T/out" 2>"$T/err" &
	pid=$!
	track $pid
	wait_until 20 pgrep -x mp-filler
	sleep 1
	kill -INT $pid
	CODE=0
	wait $pid || CODE=$?
	expect_eq 130 $CODE 'exit code'
	REPORT=$(ls "$T"/reports/*.json)
	reported 'r["outcome"] == "interrupted"'
	report_check schema "$T"/reports/*.json
}

# What attach saves and what report makes of its recording are of the same run.
test_attach_saves_a_report() {
	record --save-report --output-dir "$T/reports"
	REPORT=$(ls "$T"/reports/*_attach_memory_test.json)
	expect_err "saved as $T/reports/"
	reported 'r["test_mode"] == "attach"' 'r["outcome"] == "ok"' 'r["limit"] == 134217728' \
		'[(p["point"], p["hits"], p["returns"]) for p in r["points"]] == [("grow", 101, 101)]' \
		'sum(e["kind"] == "call" for e in r["events"]) == 101' \
		'sum(e["bytes"] for e in r["events"] if e["kind"] == "call") >= 100 << 20' \
		'79 < r["peak_memory"] < 85' 'r["thresholds"] == {"warning": 75, "gc": 85, "critical": 90}' \
		'r["cgroup"].endswith("mp-test-" + r["cgroup"].split("-")[-1])' 'r["verdict"].startswith("Memory got scarce")'
	expect_exit 0 report "$T/run.ndjson" --format json
	expect_eq "saved as $T/run.json" "$(cat "$T/out")"
	python3 - "$REPORT" "$T/run.json" <<-'EOT' || fail 'the recording tells of another run'
		import json, sys
		saved, made = (json.load(open(name, encoding="utf-8")) for name in sys.argv[1:])
		same = ("points", "events", "limit", "cgroup", "peak_memory", "outcome", "verdict", "thresholds", "time")
		other = [key for key in same if saved[key] != made[key]]
		print(*((key, saved[key], made[key]) for key in other), sep="\n")
		sys.exit(len(other))
	EOT
	report_check schema "$REPORT"
	report_check schema "$T/run.json"
}

# Stopped by a signal, and OOM-killed: reports, too.
test_attach_of_a_victim() {
	make_group 67108864
	start_in_group calls --function grow --calls 101 --bytes 1048576 --rate 200 --wait
	start_monitor --target "$TARGET_PID" --point "grow=high@$TARGETS/calls:probe_grow" \
		--policy "$(every_call_policy)" --save-report --report-format json --output-dir "$T/reports"
	release
	end_target
	end_monitor
	REPORT=$(ls "$T"/reports/*)
	reported 'r["outcome"] == "oom_killed"' 'r["pressure"]["oom_kills"] == 1' \
		'"was OOM-killed inside grow" in r["verdict"]' \
		'any(e["kind"] == "call" and e["severity"] == "critical" for e in r["events"])'
	report_check schema "$REPORT"
}

test_run_saves_a_report() {
	expect_exit 0 run -q --point "push=high@$TARGETS/calls:probe_push" --policy "$(every_call_policy)" \
		--save-report --report-format csv --output-dir "$T/reports" -- "$TARGETS/calls" --calls 7
	expect_eq 1 "$(find "$T/reports" -type f | wc -l)" 'files'
	report_check csv "$T"/reports/*_attach_memory_test.csv 1 'rows[0]["outcome"] == "ok"'
}

# What kill -9 leaves of a recording ends in the middle of a line.
test_recording_that_was_cut() {
	record
	head -c -100 "$T/run.ndjson" >"$T/cut.ndjson"
	expect_exit 0 report "$T/cut.ndjson" -o "$T/cut.json"
	REPORT=$T/cut.json
	reported 'r["outcome"] == "interrupted"' 'r["verdict"].endswith("the recording has no end")' \
		'sum(e["kind"] == "call" for e in r["events"]) == 101'
	report_check schema "$T/cut.json"
}

test_recording_in_parts() {
	record
	head -n 60 "$T/run.ndjson" >"$T/first.ndjson"
	tail -n +61 "$T/run.ndjson" >"$T/second.ndjson"
	expect_exit 0 report "$T/run.ndjson" -q -o "$T/whole.json"
	expect_exit 0 report "$T/second.ndjson" "$T/first.ndjson" -q -o "$T/both.json"
	cmp "$T/whole.json" "$T/both.json" || fail 'the parts are not the whole'
}

test_trace() {
	record
	expect_exit 0 report "$T/run.ndjson" --format trace
	report_check trace "$T/run.trace.json" \
		'sum(e["ph"] == "X" and e["name"] == "grow" and e["cat"] == "call" for e in events) == 101' \
		'any(e["ph"] == "C" and e["name"] == "memory in use" for e in events)' \
		'any(e["ph"] == "i" and e["cat"] == "decision" for e in events)' \
		'any(e["ph"] == "M" and e["args"]["name"] == "calls" for e in events)'
	profile 128
	rehearse 0 --mode sawtooth --min 20 --max 40 --cycles 2 --duration 1
	expect_exit 0 report "$T"/reports/*.json --format trace -o "$T/saw.trace.json"
	report_check trace "$T/saw.trace.json" \
		'[e["name"] for e in events if e["ph"] == "X" and e.get("cat") == "phase"] == ["ramp up", "ramp down"] * 2' \
		'any(e["ph"] == "C" and e["name"] == "asked for" for e in events)'
}

test_hostile_names() {
	hostile_recording
	for format in json csv trace html; do
		expect_exit 0 report "$T/hostile.ndjson" --format $format
	done
	report_check csv "$T/hostile.csv" 1 'rows[0]["verdict"].startswith("Memory ran out: =1+1</script>")' \
		'rows[0]["outcome"] == "oom_killed"'
	report_check trace "$T/hostile.trace.json" 'sum(e["ph"] == "X" for e in events) == 41'
	expect_eq 3 "$(grep -c '</script>' "$T/hostile.html")" 'ends of scripts'
	! grep -q 'alert(1)</script' "$T/hostile.html" || fail 'a name is markup'
	report_check schema "$T/hostile.json"
}

# Light, dark, as wide as a phone; a run, several, hostile names, nothing at all.
test_page_in_a_browser() {
	need chromium
	record
	expect_exit 0 report "$T/run.ndjson"
	drawn "$T/run.html"
	browse "$T/run.html" "$T/light.png" 1100x1000
	report_check pixels "$T/light.png" "$LIGHT" 150
	browse "$T/run.html" "$T/dark.png" 1100x1000 --blink-settings=preferredColorScheme=0
	report_check pixels "$T/dark.png" "$DARK" 150
	browse "$T/run.html" "$T/phone.png" 390x1200
	report_check pixels "$T/phone.png" "$LIGHT" 100
	[ "$(stat -c %s "$T/run.html")" -lt 400000 ] || fail 'the page is large'
	! grep -oE '(src|href)=.?https?:' "$T/run.html" || fail 'the page refers to the network'
	grep -q "default-src 'none'" "$T/run.html" || fail 'the page may ask the network'
}

# What a pointer over each lane makes the page say, by a script put behind its own.
test_marks_tell_when_pointed_at() {
	need chromium
	hostile_recording
	expect_exit 0 report "$T/hostile.ndjson"
	python3 - "$T/hostile.html" <<-'EOT'
		import sys
		with open(sys.argv[1], encoding="utf-8") as file:
		    page = file.read()
		script = """<script>
		const box = document.querySelector(".lanes"), at = box.getBoundingClientRect(), said = document.createElement("pre");
		for (let y = 15; y < at.height; y += 31) for (let x = 60; x < at.width; x++) {
		  box.dispatchEvent(new PointerEvent("pointermove", { clientX: at.left + x, clientY: at.top + y }));
		  const tip = document.querySelector(".tip");
		  if (!tip.hidden && x % 100 === 0) said.textContent += "said: " + tip.textContent + "\\n";
		}
		document.body.append(said);
		</script>"""
		at = page.rindex("</body>")
		with open(sys.argv[1], "w", encoding="utf-8") as file:
		    file.write(page[:at] + script + page[at:])
	EOT
	drawn "$T/hostile.html"
	grep -q 'said: .*other  50.0 ms' "$T/dom" || fail 'a call does not tell of itself'
}

test_other_pages_in_a_browser() {
	need chromium
	profile 128
	rehearse 0 --mode sawtooth --min 20 --max 60 --cycles 1 --duration 1
	hostile_recording
	head -n 1 "$T/hostile.ndjson" >"$T/nothing.ndjson"
	for file in "$T/hostile.ndjson" "$T/nothing.ndjson"; do
		expect_exit 0 report "$file"
		drawn "${file%.ndjson}.html"
		browse "${file%.ndjson}.html" "$T/page.png" 390x1200
	done
	drawn "$(ls "$T"/reports/*.html)"
	browse "$(ls "$T"/reports/*.html)" "$T/page.png" 1100x1000
	report_check pixels "$T/page.png" "$LIGHT" 150
	expect_exit 0 report "$T"/reports/*.json "$T/hostile.ndjson" -o "$T/both.html"
	drawn "$T/both.html"
	browse "$T/both.html" "$T/page.png" 1100x1800
	expect_eq 2 "$(grep -o 'id="run-' "$T/dom" | wc -l)" 'sections'
}

# An hour of events is a page and a report of bounded size.
test_long_recording() {
	python3 - >"$T/long.ndjson" <<-'EOT'
		import json
		for i in range(30000):
		    print(json.dumps({"v": 1, "type": "probe", "ts_ns": 10**9 + i * 120 * 10**6, "time": None, "point": "p%d" % (i % 9),
		        "level": "high", "phase": "exit", "pid": 5, "tid": 5, "comm": "app", "limit_cgroup": "/app", "rss": 1 << 20,
		        "working_set": (i * 7919 % 1000) << 20, "limit": 1 << 30, "duration_ns": 10**6 + i, "rss_delta": i}))
	EOT
	expect_exit 0 report "$T/long.ndjson"
	[ "$(stat -c %s "$T/long.html")" -lt 400000 ] || fail "the page has $(stat -c %s "$T/long.html") bytes"
	expect_exit 0 report "$T/long.ndjson" --format json
	REPORT=$T/long.json
	reported 'r["peak_memory"] == 97.5586' 'r["samples"][0]["t"] == 0' 'r["samples"][-1]["t"] == r["duration"]' \
		'r["events_left_out"] + len(r["events"]) == 30000' 'len(r["samples"]) < 5000'
}

# models NAME…: reports of models as $T/NAME.json: see model_report.py.
models() {
	local name
	for name; do
		# shellcheck disable=SC2086 # "limit 1.6" is two arguments
		python3 tests/integration/model_report.py ${name//_/ } >"$T/$name.json"
	done
}

# What a run of a model leaves is read, and written as it was.
test_reports_of_models() {
	models limit_0.7 levels killed
	for name in limit_0.7 levels killed; do
		expect_exit 0 report "$T/$name.json" --format json -o "$T/$name.again.json"
		python3 - "$T/$name.json" "$T/$name.again.json" <<-'EOT' || fail "$name is not what it was"
			import json, sys
			written, again = (json.load(open(name, encoding="utf-8")) for name in sys.argv[1:])
			other = [key for key in ("model", "quantization", "model_id", "model_load_time") if written[key] != again[key]]
			print(*other)
			sys.exit(len(other))
		EOT
	done
	REPORT=$T/levels.again.json
	reported '[l["outcome"] for l in r["quantization"]["levels"]] == ["ok", "ok", "thrash", "ok", "ok", "oom_killed"]' \
		'all(l["pass_time"] == m["passes"]["p50"] for l, m in zip(r["quantization"]["levels"], r["model"]["runs"]))'
	expect_exit 0 report "$T/levels.json" "$T/limit_0.7.json" "$T/killed.json" --format csv -o "$T/all.csv"
	report_check csv "$T/all.csv" 8 \
		'sorted(r["level"] for r in rows) == ["F16", "F16", "Q2_K", "Q3_K_M", "Q4_K_M", "Q4_K_M", "Q5_K_M", "Q6_K"]' \
		'[r["outcome"] for r in rows if r["test_mode"] == "quantization"] == ["ok", "ok", "thrash", "ok", "ok", "oom_killed"]' \
		'all(r["loader"] == "mmap" and int(r["tensor_bytes"]) < int(r["file_bytes"]) for r in rows)' \
		'all((r["pass_p50"] == "") == (r["outcome"] == "oom_killed") for r in rows)'
	expect_exit 0 report "$T/levels.json" --format trace -o "$T/levels.trace.json"
	report_check trace "$T/levels.trace.json" \
		'sum(e.get("cat") == "model" and e["name"] == "load, cold" for e in events) == 6' \
		'sum(e.get("cat") == "model" and e["name"] == "pass" for e in events) > 100' \
		'any(e["ph"] == "M" and e["args"]["name"] == "model" for e in events)'
	report_check schema "$T"/*.again.json "$T/limit_0.7.json" "$T/levels.json" "$T/killed.json"
}

# The page of a model that thrashed, of one that was killed, and of six levels.
test_pages_of_models() {
	need chromium
	models limit_0.7 levels killed
	for name in limit_0.7 levels killed; do
		expect_exit 0 report "$T/$name.json" -o "$T/$name.html"
		drawn "$T/$name.html"
		cp "$T/dom" "$T/$name.dom"
	done
	grep -q '<b class="outcome-thrash">thrash</b><span>outcome, as predicted' "$T/limit_0.7.dom" || fail 'no outcome'
	grep -q '<b>90.0 %</b><span>of the weights read again' "$T/limit_0.7.dom" || fail 'no share that is read again'
	expect_eq 8 "$(grep -o '<canvas' "$T/limit_0.7.dom" | wc -l)" 'canvases: two of each chart, one of lanes, the one of the template'
	expect_eq 6 "$(grep -o '<canvas' "$T/killed.dom" | wc -l)" 'canvases without a pass'
	expect_eq 6 "$(grep -o 'class="need"' "$T/levels.dom" | wc -l)" 'bars of levels'
	grep -q '<tr class="best"><td class="text"><span>Q6_K<em class="badge">best' "$T/levels.dom" || fail 'no best level'
	grep -q '<h2>Speed by level: qwen2.5-1.5b' "$T/levels.dom" || fail 'no speed by level'
	browse "$T/levels.html" "$T/light.png" 1100x2000
	report_check pixels "$T/light.png" "$LIGHT" 500
	browse "$T/levels.html" "$T/dark.png" 1100x2000 --blink-settings=preferredColorScheme=0
	report_check pixels "$T/dark.png" "$DARK" 500
	browse "$T/levels.html" "$T/phone.png" 390x3000
}

# The same model under three limits: what its speed comes to is drawn.
test_models_side_by_side() {
	need chromium
	models limit_1.6 limit_1.0 limit_0.7 levels
	expect_exit 0 report "$T"/limit*.json -o "$T/limits.html"
	drawn "$T/limits.html"
	grep -q '<h2>Speed by limit: qwen2.5-0.5b, F16, mmap' "$T/dom" || fail 'no speed by limit'
	! grep -q '<h2>Speed by level' "$T/dom" || fail 'one level is compared'
	grep -q 'A pass takes 26 times as long' "$T/dom" || fail 'no collapse'
	expect_eq "15.8 1.26 0.61" "$(grep -oE '<b>[0-9.]+ a second' "$T/dom" | grep -oE '[0-9.]+' | paste -sd' ')" 'speeds'
	browse "$T/limits.html" "$T/page.png" 1100x1400
	expect_exit 0 report "$T"/limit*.json "$T/levels.json" -o "$T/all.html"
	drawn "$T/all.html"
	browse "$T/all.html" "$T/page.png" 390x2000
}

# The three of them in one report.
test_a_model_under_several_limits() {
	need chromium
	models limits
	expect_exit 0 report "$T/limits.json" -o "$T/limits.html"
	drawn "$T/limits.html"
	grep -q '<h2>Loads</h2>' "$T/dom" || fail 'no loads'
	grep -q '<b>3 of 3</b><span>came as predicted' "$T/dom" || fail 'no predictions'
	expect_eq 3 "$(grep -o '<div class="speed">' "$T/dom" | wc -l)" 'bars of speed'
	grep -q 'The axis is logarithmic.</p>' "$T/dom" || fail 'a collapse fits no even axis'
	browse "$T/limits.html" "$T/page.png" 1100x1400
}

# A model of a file that is meant to break what shows it.
test_hostile_model() {
	models levels
	python3 - "$T/levels.json" <<-'EOT'
		import json, sys
		bad = '=1+1</script><script>alert(1)</script><!--\u2028"\'&<b>\n'
		with open(sys.argv[1], encoding="utf-8") as file:
		    report = json.load(file)
		report["model_id"] = None
		report["model"].update(file=bad, loader=bad, context=None, disk_bytes_per_second=0)
		for run, level in zip(report["model"]["runs"], report["quantization"]["levels"]):
		    run.update(level=bad, limit=None, tensor_bytes=0, file_bytes=0, end=None, predicted=None)
		    run["passes"]["series"] = [{"t": 0, "duration": 0}, {"t": 0, "duration": 9e8}]
		    level.update(level=bad, must=None, comfortable=None)
		with open(sys.argv[1], "w", encoding="utf-8") as file:
		    json.dump(report, file)
	EOT
	for format in json csv trace html; do
		expect_exit 0 report "$T/levels.json" --format $format -o "$T/hostile.$format"
	done
	report_check csv "$T/hostile.csv" 6
	report_check trace "$T/hostile.trace"
	report_check schema "$T/hostile.json"
	need chromium
	drawn "$T/hostile.html"
	browse "$T/hostile.html" "$T/page.png" 390x1200
	! grep -q '<b>alert' "$T/dom" || fail 'a name is markup'
}

test_files_that_cannot_be_read() {
	expect_exit 2 report
	expect_err 'a file is needed'
	expect_exit 2 report "$T/none"
	expect_err "cannot open $T/none"
	expect_exit 3 report "$T"
	expect_err 'Is a directory'
	: >"$T/empty"
	expect_exit 3 report "$T/empty"
	expect_err "$T/empty: is empty"
	printf '{"schema_version":1,"test_mode":"burst","duration":1,"outcome":"ok","samples":[{"t":0,"usage":"1"}]}' >"$T/bad.json"
	expect_exit 3 report "$T/bad.json"
	expect_err "$T/bad.json: field \"samples[0].usage\" is not an unsigned integer"
	printf '{"schema_version":\n1' >"$T/bad.json"
	expect_exit 3 report "$T/bad.json"
	expect_err "$T/bad.json: line 3"
	expect_exit 2 report "$T/bad.json" --format pdf
	expect_err 'it is html, csv, json or trace'
	[ ! -e "$T/bad.html" ] || fail 'something was made of it'
	expect_exit 3 report /dev/zero -o "$T/zero.html"
	expect_err 'too large'
}

test_what_is_read_stays() {
	hostile_recording
	expect_exit 0 report "$T/hostile.ndjson" -o "$T/a.json"
	cp "$T/a.json" "$T/copy.json"
	expect_exit 2 report "$T/a.json" --format json
	expect_err 'is what is read'
	expect_exit 2 report "$T/a.json" "$T/copy.json" --format trace -o "$T/x"
	expect_err 'holds one run'
	cmp "$T/a.json" "$T/copy.json" || fail 'the report has changed'
	expect_exit 0 report "$T/a.json" --format json -o -
	cmp "$T/out" "$T/a.json" || fail 'read and written it is not the same'
}

test_output_that_cannot_be_written() {
	hostile_recording
	expect_exit 1 report "$T/hostile.ndjson" -o "$T/none/x.html"
	expect_err "cannot save the report: $T/none/x.html"
	"$MEMPROBE" report "$T/hostile.ndjson" -o - >/dev/full 2>"$T/err" && fail 'a full disk is no success'
	expect_err 'No space left on device'
	need setpriv
	mkdir "$T/closed"
	chmod 755 "$T"
	CODE=0
	setpriv --reuid 65534 --regid 65534 --clear-groups "$MEMPROBE" report "$T/hostile.ndjson" -o "$T/closed/x.html" \
		>"$T/out" 2>"$T/err" || CODE=$?
	expect_eq 4 $CODE 'exit code'
	expect_exit 4 attach --target $$ --save-report --output-dir /sys/none
	expect_err 'cannot save the report: /sys/none'
}

test_two_runs_in_one_second() {
	profile 128
	for _ in 1 2 3 4; do
		rehearse 0 --mode burst --target 20 --duration 0.1 --no-monitor &
		track $!
	done
	wait
	expect_eq 12 "$(find "$T/reports" -type f | wc -l)" 'files'
	report_check schema "$T"/reports/*.json
}
