# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# Models really loaded under real limits: what fits, thrashes or dies does so as was said before.

# models: a small model and a huge one; files are made in $MODELS.
models() {
	CONFIG=$T/config
	MODELS=$T/models
	small_model_config "$CONFIG" "  - {id: huge, source: 70 TB, architecture: llama, layers: 1000, hidden: 32768,
		ff: 131072, heads: 256, kv_heads: 256, vocab: 8192, context_length: 4096}"
	MODEL_OPTIONS=(--config-dir "$CONFIG" --model-id small --model-dir "$MODELS" --save-report
		--output-dir "$T/reports" --context 512)
	export TMPDIR=$T
}

# rehearse_model CODE ARG…: `model ARG…` with its report; exit code as expected.
rehearse_model() {
	local code=$1
	shift
	rm -rf "$T/reports"
	expect_exit "$code" model "${MODEL_OPTIONS[@]}" "$@"
	the_report
}

the_report() {
	REPORT=$(ls "$T"/reports/*_memory_test.json)
	reported 'r["model"]["runs"][0]["limit"] == r["environment"]["memory_limit"]'
}

schema_holds() {
	local code=0
	python3 tests/integration/report.py schema "$REPORT" >"$T/schema" || code=$?
	[ $code = 77 ] || expect_eq 0 $code "$(cat "$T/schema")"
}

# group_of PID: the device's group of a supervisor.
group_of() {
	find /sys/fs/cgroup -name "memprobe-env-$1-*" -type d -exec grep -q . {}/cgroup.procs \; -print 2>/dev/null | head -n 1
}

# loader_of PID: of that supervisor, in $LOADER, once it passes over the weights.
loader_of() {
	local group
	group=$(group_of "$1")
	[ -n "$group" ] || return 1
	LOADER=$(head -n 1 "$group/cgroup.procs")
	[ -n "$LOADER" ] && tr '\0' ' ' <"/proc/$LOADER/cmdline" 2>/dev/null | grep -q 'gguf load'
}

# start_model: `model` that goes on until it is ended; its loader's pid in $LOADER.
start_model() {
	spawn_monitor model "${MODEL_OPTIONS[@]}" --quant F16 --limit 3x --passes 1000000 \
		>"$T/out" 2>"$T/err" &
	MODEL_PID=$!
	track $MODEL_PID
	wait_until 60 loader_of $MODEL_PID
}

# nothing_left PID: of that supervisor: no group, no loader, no file but those that are to stay.
nothing_left() {
	[ -z "$(find /sys/fs/cgroup -name "memprobe-*-$1-*" -type d 2>/dev/null)" ] && gone "$LOADER" &&
		[ -z "$(find "$T" -maxdepth 1 -name '*.gguf')" ]
}

test_what_fits() {
	models
	rehearse_model 0 --quant F16 --limit 1.8x --passes 7
	reported 'r["outcome"] == "ok"' 'r["test_mode"] == "model"' 'r["model_id"] == "small"' \
		'r["monitor"] is None' 'r["model"]["synthesized"]' 'r["model"]["context"] == 512'
	reported 'r["model"]["runs"][0]["outcome"] == r["model"]["runs"][0]["predicted"] == "ok"' \
		'r["model"]["runs"][0]["passes"]["done"] == 7' 'r["model"]["runs"][0]["level"] == "F16"' \
		'r["model"]["runs"][0]["reread_bytes"] == 0'
	reported '(lambda m: abs(m["peak"]["anon"] / m["predicted_peak"]["anon"] - 1) < 0.03)(r["model"]["runs"][0])' \
		'(lambda m: abs((m["peak"]["file"] + m["peak"]["shmem"]) / m["predicted_peak"]["file"] - 1) < 0.03)(r["model"]["runs"][0])' \
		'r["model_load_time"] > 0' 'r["quantization"]["levels"]'
	# Twice, cold and warm: the points that are shipped tell of it.
	reported '[p["hits"] for p in r["points"] if p["point"] == "model_loader.load_model"] == [2]'
	schema_holds
	grep -q '^It fits: ' "$T/out" || fail 'no verdict'
	[ -s "$MODELS/small-F16.gguf" ] || fail 'the file did not stay'
	}

test_what_does_not_fit_is_read_again() {
	need_disk
	models
	rehearse_model 1 --quant F16 --limit 0.7x --passes 5
	reported 'r["outcome"] == "thrash"' 'r["model"]["runs"][0]["predicted"] == "thrash"' \
		'(lambda m: m["reread_bytes"] > 0.1 * 5 * m["tensor_bytes"])(r["model"]["runs"][0])' \
		'r["model"]["runs"][0]["reclaimed_bytes"] > 0' 'r["model"]["runs"][0]["major_faults"] > 0'
	schema_holds
	grep -q '^It thrashes: ' "$T/out" || fail 'no verdict'
}

test_weights_in_memory_of_their_own_are_killed() {
	models
	rehearse_model 7 --quant F16 --limit 0.7x --loader read
	reported 'r["outcome"] == "oom_killed"' 'r["model"]["runs"][0]["predicted"] == "oom_killed"' \
		'r["pressure"]["oom_kills"] == 1' 'r["monitor"] or any(m["kind"] == "oom" for m in r["events"])'
	schema_holds
	grep -q 'the kernel ended the loader' "$T/out" || fail 'no verdict'
}

# compare CODE ARG…: `quantization ARG…`, what was predicted came true for each. Where a limit is just
# enough, nothing is: a disk may read ahead as much as a small model has.
compare() {
	local code=$1
	shift
	rm -rf "$T/reports"
	expect_exit "$code" quantization "${MODEL_OPTIONS[@]}" --passes 5 "$@"
	the_report
	schema_holds
	reported 'r["test_mode"] == "quantization"' \
		'all(m["predicted"] in (m["outcome"], None) for m in r["model"]["runs"])' \
		'any(m["predicted"] for m in r["model"]["runs"])' \
		'all(a["end"] <= b["start"] for a, b in zip(r["model"]["runs"], r["model"]["runs"][1:]))'
	reported '[p["name"] for p in r["phases"]] == [m["level"] for m in r["model"]["runs"]]' \
		'[s["t"] for s in r["samples"]] == sorted(s["t"] for s in r["samples"])'
}

test_levels_are_compared() {
	need_disk
	models
	compare 0 --quant-levels Q4_K_M,Q8_0,F16 --limit 105M
	reported '[m["level"] for m in r["model"]["runs"]] == ["Q4_K_M", "Q8_0", "F16"]' \
		'[m["outcome"] for m in r["model"]["runs"]] == ["ok", "ok", "thrash"]' 'r["outcome"] == "ok"'
	grep -q '^Take Q8_0: ' "$T/out" || fail 'another level is recommended'
	expect_eq 3 "$(grep -c -E '^(Q4_K_M|Q8_0|F16) ' "$T/out")" 'rows'
}

test_levels_in_memory_of_their_own() {
	models
	compare 0 --quant-levels Q4_K_M,F16 --limit 90M --loader read
	reported '[m["outcome"] for m in r["model"]["runs"]] == ["ok", "oom_killed"]' \
		'r["pressure"]["oom_kills"] == 1'
	grep -q '^Take Q4_K_M: ' "$T/out" || fail 'another level is recommended'
	compare 1 --quant-levels Q8_0,F16 --limit 50M --loader read
	grep -q '^None of the levels' "$T/out" || fail 'a level is recommended'
	reported 'r["outcome"] == "oom_killed"'
}

# What is made for a while goes, and what the pattern takes beside the model is what was asked for.
test_pattern_beside_a_model() {
	local seconds=${MP_VM_SERIES:+4}4
	models
	rm -rf "$T/reports"
	expect_exit 0 model --config-dir "$CONFIG" --model-id small --quant Q4_K_M --limit 300M --context 512 \
		--mode burst --target 70 --test-duration "$seconds" --save-report --output-dir "$T/reports"
	the_report
	reported 'r["test_mode"] == "burst"' 'r["outcome"] == "ok"' \
		'abs(r["achieved"]["error_pct"]) <= 1' 'r["duration"] > 3.9' \
		'r["model"]["runs"][0]["predicted"] is None' 'r["model"]["runs"][0]["passes"]["done"] > 0' \
		'max(s["filler"] for s in r["samples"]) > 100 << 20'
	[ -z "$(find "$T" -name '*F32*')" ] || fail 'a file is left'
}

test_stability_with_a_model() {
	models
	CODE=0
	memprobe stability "${MODEL_OPTIONS[@]}" --quant Q4_K_M --use-model --limit 300M --hours 0.01 --step-size 5
	the_report
	reported 'r["test_mode"] == "stability"' 'r["model_id"] == "small"' \
		'r["model"]["runs"][0]["passes"]["done"] > 1' 'r["duration"] > 35' \
		'[m["outcome"] for m in r["model"]["runs"]][0] != "oom_killed"'
	[ $CODE -le 1 ] || fail "exit code $CODE"
	expect_exit 2 stability "${MODEL_OPTIONS[@]}" --hours 0.01
	expect_err '--use-model'
}

test_kill9_leaves_nothing() {
	models
	MODEL_OPTIONS=(--config-dir "$CONFIG" --model-id small --context 512)
	start_model
	[ -n "$(find "$T" -maxdepth 1 -name '*.gguf')" ] || fail 'there is no file to be left'
	kill -KILL $MODEL_PID
	wait_until 10 nothing_left $MODEL_PID
}

test_interrupted_run_leaves_a_report() {
	models
	start_model
	sleep "${MP_VM_SERIES:+1}1"
	kill -INT $MODEL_PID
	CODE=0
	wait $MODEL_PID || CODE=$?
	expect_eq 130 $CODE 'exit code'
	the_report
	reported 'r["outcome"] == "interrupted"' 'r["model"]["runs"][0]["passes"]["done"] > 0' \
		'r["model"]["runs"][0]["load_cold"] > 0'
	schema_holds
	nothing_left $MODEL_PID || fail 'something is left'
}

# Of the levels that were done there is a report, whatever was under way: here a file being made.
test_interrupted_comparison() {
	need_disk
	models
	sed -i '/id: small/,/context_length/s/layers: 3/layers: 30/' "$CONFIG/models.yaml"
	spawn_monitor quantization "${MODEL_OPTIONS[@]}" --quant-levels Q2_K,F32 --limit 400M --passes 2 \
		>"$T/out" 2>"$T/err" &
	MODEL_PID=$!
	track $MODEL_PID
	wait_until 120 has_line 'small at F32' "$T/err"
	kill -INT $MODEL_PID
	CODE=0
	wait $MODEL_PID || CODE=$?
	expect_eq 130 $CODE 'exit code'
	grep -q '^Interrupted after 1 of 2 levels' "$T/out" || fail "$(cat "$T/out")"
	the_report
	reported 'r["outcome"] == "interrupted"' '[m["level"] for m in r["model"]["runs"]][0] == "Q2_K"'
	schema_holds
}

# It was not the kernel: no memory ran out.
test_loader_killed_by_somebody() {
	models
	start_model
	kill -KILL "$LOADER"
	CODE=0
	wait $MODEL_PID || CODE=$?
	expect_eq 1 $CODE 'exit code'
	grep -q 'somebody ended the loader by signal 9' "$T/out" || fail 'it is not told'
	the_report
	reported 'r["outcome"] == "interrupted"' 'r["pressure"]["oom_kills"] == 0'
}

test_supervisor_is_small() {
	models
	start_model
	sleep 1
	[ "$(awk '$1 == "VmRSS:" { print $2 }' /proc/$MODEL_PID/status)" -le 6144 ] ||
		fail "$(grep Rss /proc/$MODEL_PID/status)"
	kill -INT $MODEL_PID
}

test_commands_of_ones_own() {
	models
	cat >"$T/reader" <<-'EOT'
		#!/bin/sh
		cat "$1" >/dev/null
		echo "read $1"
	EOT
	chmod +x "$T/reader"
	rehearse_model 0 --quant F16 --limit 1.6x --exec "'$T/reader' {model}"
	reported 'r["outcome"] == "ok"' 'r["model"]["loader"] == "exec"' 'r["model"]["runs"][0]["passes"]["done"] == 0'
	expect_err "read $MODELS/small-F16.gguf"
	! grep -q '^read /' "$T/out" || fail "its output is in between"
	rehearse_model 1 --quant F16 --limit 1.6x --exec "sh -c 'exit 3' {model}"
	grep -q 'the loader failed with exit code 3' "$T/out" || fail 'it is not told'
	rehearse_model 7 --quant F16 --limit 40M --exec "sh -c 'tail -c 80000000 {model} | python3 -c \"import sys; sys.stdin.buffer.read()\"'"
	expect_exit 5 model "${MODEL_OPTIONS[@]}" --exec 'no-such-program {model}'
	expect_err 'there is no program no-such-program'
	expect_exit 2 model "${MODEL_OPTIONS[@]}" --exec cat
	expect_err '{model}'
	expect_exit 2 model "${MODEL_OPTIONS[@]}" --loader mmap --exec 'cat {model}'
}

# Read twice under half of what it needs: the second time from the disk again.
test_command_that_thrashes() {
	need_disk
	models
	rehearse_model 1 --quant F16 --limit 0.5x --exec "sh -c 'cat {model} {model} >/dev/null'"
	reported 'r["outcome"] == "thrash"' \
		'(lambda m: 0.5 < m["reread_bytes"] / m["file_bytes"] < 1.5)(r["model"]["runs"][0])'
}

test_wrong_model_options() {
	models
	expect_exit 2 model --config-dir "$CONFIG" --model-id smal --limit 1G
	expect_err 'did you mean small?'
	expect_exit 2 model "${MODEL_OPTIONS[@]}" --quant Q4_K_X
	expect_err 'Q4_K_M'
	expect_exit 2 model "${MODEL_OPTIONS[@]}" --quant Q4_K_M,Q8_0
	expect_exit 2 model "${MODEL_OPTIONS[@]}" --model x.gguf
	expect_exit 5 model --model "$T/none.gguf"
	printf 'GGUF\3\0\0\0\377\377\377\377\377\377\377\377' >"$T/bad.gguf"
	expect_exit 3 model --model "$T/bad.gguf"
	expect_err bad.gguf
	expect_exit 2 model "${MODEL_OPTIONS[@]}" --env 4gb --limit 1G
	expect_exit 2 model "${MODEL_OPTIONS[@]}" --limit 0x
	expect_exit 2 quantization "${MODEL_OPTIONS[@]}" --limit 1.6x
	expect_err 'different sizes'
	expect_exit 2 quantization --config-dir "$CONFIG" --limit 1G
	expect_exit 2 model "${MODEL_OPTIONS[@]}" --mode burst --passes 5
	[ ! -d "$MODELS" ] || fail 'a file was made'
	expect_exit 6 model --config-dir "$CONFIG" --model-id huge --quant F32 --limit 1G
	[ -z "$(find "$T" -name '*F32*')" ] || fail 'a file is left'
	sed -i 's/limit_in_bytes: "3.8G"/limit_in_bytes: "15000G"/; s/total_mem: 4096/total_mem: 16000000/' \
		"$CONFIG/low_mem_env.yaml"
	expect_exit 6 quantization "${MODEL_OPTIONS[@]}" --env 4gb
	expect_err 'choose a smaller profile'
	[ -z "$(find "$T" -name '*Q4_K_M*')" ] || fail 'a file was made'
}

# A context whose cache alone is larger than the limit: told, with what would fit, and rehearsed.
test_context_that_is_too_long() {
	models
	rm -rf "$T/reports"
	expect_exit 7 model "${MODEL_OPTIONS[@]}" --quant Q4_K_M --limit 100M --context 131072 --passes 2
	expect_err 'a context of 131072 tokens needs more than 100 MiB: with --context'
}

# Its load and its tokens are told by its own functions.
test_llama_cpp_itself() {
	local llama code=0
	llama=$(tests/llama/install 2>"$T/err") || code=$?
	[ $code != 3 ] || skip "$(tail -n 1 "$T/err")"
	expect_eq 0 $code 'exit code of tests/llama/install'
	models
	rehearse_model 0 --quant Q8_0 --limit 1G --context 256 \
		--exec "'$llama/node' tests/llama/generate.mjs --root '$llama' --tokens 13 {model}"
	reported 'r["outcome"] == "ok"' 'r["model"]["loader"] == "exec"' \
		'r["model"]["runs"][0]["passes"]["done"] == 13' \
		'0 < r["model"]["runs"][0]["load_cold"] < r["duration"]' \
		'r["model"]["runs"][0]["load_cold"] == r["model_load_time"]' \
		'r["model"]["runs"][0]["peak"]["file"] > r["model"]["runs"][0]["file_bytes"]'
}
