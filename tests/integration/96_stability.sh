# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# Hours of pressure, in seconds: what is on disk whenever it ends, and who is told to leak.

# What runs, to be run by the shell itself or in the background.
set_command() {
	COMMAND=("$MEMPROBE" stability --config-dir "$CONFIG" --env small --step-size 4 --steps 5
		--min 30 --max 50 --target 50 --output-dir "$T/reports")
}

# stability CODE ARG…: in the profile, with its report; exit code as expected.
stability() {
	local code=$1
	shift
	set_command
	CODE=0
	"${COMMAND[@]}" "$@" >"$T/out" 2>"$T/err" &
	PID=$!
	track $PID
	wait $PID || CODE=$?
	expect_eq "$code" $CODE "exit code ($(tail -n 1 "$T/out" "$T/err"))"
	REPORT=$(ls "$T"/reports/*_memory_test.json)
}

# Of the run whose supervisor was $PID: others may run beside it.
no_group_left() {
	[ -z "$(find /sys/fs/cgroup -name "memprobe-*-$PID-*" -type d 2>/dev/null)" ]
}

has_report() {
	ls "$T"/reports/*_memory_test.json >/dev/null 2>&1
}

parts_told() {
	[ "$(grep -c ', ETA' "$T/err")" -ge "$1" ]
}

test_a_short_run_is_a_whole_round() {
	profile 128
	stability 0 --hours 0.004
	reported 'r["outcome"] == "ok"' 'r["test_mode"] == "stability"' '14 < r["duration"] < 16' \
		'[p["name"] for p in r["phases"]] == ["step"] * 5 + ["rest", "hold", "rest"] + ["ramp up", "ramp down"] * 3 + ["rest"]' \
		'r["stability"]["rounds"] == r["stability"]["rounds_done"] == 1' \
		'45 < r["peak_memory"] < 55' '100 < len(r["samples"]) < 200' \
		'r["leak"]["monitor"]["bytes_per_second"] is not None' \
		'r["leak"]["filler"]["high"] <= 1 << 20' 'r["leak"]["target"]["low"] is None' \
		'"no leak is seen" in r["verdict"]' \
		'all(b["t"] >= a["t"] for a, b in zip(r["samples"], r["samples"][1:]))'
	[ -s "${REPORT%.json}.html" ] || fail 'no page'
	[ -s "${REPORT%.json}.csv" ] || fail 'no line of CSV'
	expect_eq 6 "$(grep -c ', ETA' "$T/err")" 'lines of progress'
	no_group_left || fail 'a group is left'
}

test_quiet() {
	profile 32
	stability 0 -q --hours 0.002 --no-monitor --report-format json
	[ ! -s "$T/err" ] || fail "it is not quiet: $(cat "$T/err")"
	[ ! -e "${REPORT%.json}.html" ] || fail 'a format that was not asked for'
}

test_a_leak_is_told() {
	profile 256
	stability 1 --hours 0.003 --no-monitor -- \
		"$TARGETS/filler" --bytes 104857600 --kind anon --rate 4 --hold 60
	reported 'r["leak"]["target"]["low"] > 3 << 20' 'r["leak"]["target"]["high"] < 5 << 20' \
		'"filler leaks" in r["verdict"]'
}

test_a_steady_program_is_not() {
	profile 256
	stability 0 --hours 0.003 --no-monitor -- \
		"$TARGETS/filler" --bytes 16777216 --kind anon --hold 60
	reported '"no leak is seen" in r["verdict"]' 'r["samples"][-1]["target_rss"] >= 16 << 20'
}

# Interrupted, gone on with, and at its end: one report, whose time does not count the break.
test_resume() {
	profile 128
	set_command
	env --default-signal=INT "${COMMAND[@]}" --no-monitor --hours 0.004 >"$T/out" 2>"$T/err" &
	PID=$!
	track $PID
	wait_until 20 parts_told 3
	kill -INT $PID
	CODE=0
	wait $PID || CODE=$?
	expect_eq 130 $CODE 'exit code'
	REPORT=$(ls "$T"/reports/*_memory_test.json)
	reported 'r["outcome"] == "interrupted"' '3 < r["duration"] < 14' 'len(r["samples"]) > 20'
	no_group_left || fail 'a group is left'
	cp "$REPORT" "$T/first.json"
	stability 0 --no-monitor --resume "$REPORT"
	reported 'r["outcome"] == "ok"' '14 < r["duration"] < 16' 'r["stability"]["rounds_done"] == 1' \
		'[p["name"] for p in r["phases"]] == ["step"] * 5 + ["rest", "hold", "rest"] + ["ramp up", "ramp down"] * 3 + ["rest"]' \
		'(f := json.load(open("'"$T"'/first.json")))["samples"] == r["samples"][:len(f["samples"])]' \
		'f["time"] == r["time"] if (f := json.load(open("'"$T"'/first.json"))) else 0'
	expect_exit 2 stability --no-monitor --resume "$REPORT"
	expect_err 'that run went to its end'
}

test_kill9() {
	profile 128
	set_command
	"${COMMAND[@]}" --hours 0.01 >"$T/out" 2>"$T/err" &
	PID=$!
	track $PID
	wait_until 30 parts_told 2
	wait_until 10 has_report
	sleep 0.5
	kill -KILL $PID
	wait $PID 2>/dev/null || true
	REPORT=$(ls "$T"/reports/*_memory_test.json)
	reported 'r["outcome"] == "interrupted"' 'r["duration"] > 1' '"Not at its end" in r["verdict"]' \
		'[p["name"] for p in r["phases"]][:5] == ["step"] * 5'
	expect_exit 0 report --format csv --output "$T/killed.csv" "$REPORT"
	wait_until 10 no_group_left
	stability 0 --no-monitor --hours 0.006 --resume "$REPORT"
	reported 'r["outcome"] == "ok"' '21 < r["duration"] < 22.5'
}

test_a_full_disk_is_told_once() {
	profile 128
	mkdir "$T/reports"
	mount -t tmpfs -o size=16k none "$T/reports" 2>/dev/null || skip 'nothing can be mounted here'
	set_command
	CODE=0
	"${COMMAND[@]}" --no-monitor --hours 0.003 >"$T/out" 2>"$T/err" || CODE=$?
	ls -A "$T/reports" >"$T/saved"
	python3 -m json.tool "$T"/reports/*.json >/dev/null || CODE='the report is cut'
	umount "$T/reports"
	expect_eq 1 "$CODE" 'exit code'
	expect_eq 1 "$(grep -c 'warning: cannot save' "$T/err")" 'warnings'
	expect_err 'No space left on device: make room'
}

test_the_program_ends_before() {
	profile 128
	stability 1 --no-monitor --hours 0.01 -- sleep 5
	reported '"the program ended before its time" in r["verdict"]' 'r["outcome"] == "interrupted"'
}

test_options_that_do_not_fit() {
	profile 128
	expect_exit 2 stability
	expect_err '--hours is needed'
	expect_exit 2 stability --hours 0
	expect_err '--hours 0: a number above zero'
	expect_exit 2 stability --hours 0.00000001
	expect_err '--hours: too short'
	expect_exit 2 stability --hours 8000 --rest 1
	expect_err 'more than a report can hold'
	expect_exit 2 stability --resume "$T/none"
	expect_err 'the .json file of a report is needed'
	expect_exit 2 stability --hours 1 --use-model
	expect_err '--model-id ID or --model FILE is needed'
}

test_status() {
	expect_exit 0 status
	grep -q 'in use' "$T/out" || fail 'status as text'
	profile 128
	expect_exit 0 status --config-dir "$CONFIG" --env small --target $$ --format json
	cp "$T/out" "$T/status.json"
	REPORT=$T/status.json
	reported 'set(r) == {"current", "trend", "recommendation", "quantization", "environment"}' \
		'r["environment"] == {"profile_name": "small", "total_mem_mb": 128, "swap_size_mb": 0, "memory_limit": 128 << 20}' \
		'r["quantization"]["current_optimal"] is None' '0 < r["current"]["memory_percent"] <= 100' \
		'r["trend"] in ("increasing", "decreasing", "stable")' \
		'r["current"]["targets"][0]["pid"] == '$$ 'r["current"]["targets"][0]["rss"] > 1 << 20' \
		'abs(r["current"]["available"] + r["current"]["working_set"] - r["current"]["limit"]) < 1'
	expect_exit 5 status --target 999999999
	expect_exit 5 status --target comm:nobody-has-it
	expect_exit 2 status --env nowhere
}
