# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# llama.cpp itself, as node-llama-cpp brings it, loads and uses synthesized models.

readonly PRESET=configs/presets/llama_cpp.yaml
LLAMA=''

# Where CI is to vouch for it, llama.cpp must be there.
need_llama() {
	local code=0
	LLAMA=$(tests/llama/install 2>"$T/install.err") || code=$?
	[ $code -ne 0 ] || return 0
	[ $code -eq 3 ] || fail "tests/llama/install: $(cat "$T/install.err")"
	[ "${CI:-}" != true ] || fail "$(tail -n 1 "$T/install.err")"
	skip "$(tail -n 1 "$T/install.err")"
}

# synth LEVEL [SCALE]: $MODEL, and what is in it in $T/synth.json: its tensors' bytes.
synth() {
	MODEL=$T/$1.gguf
	expect_exit 0 --config-dir configs gguf synth --model-id qwen2.5-0.5b --quant "$1" \
		--scale "${2:-1/16}" -o "$MODEL"
	WEIGHTS=$(sed -n 's/^ *tensors .* \([0-9]*\) bytes$/\1/p' "$T/out")
	[ "${WEIGHTS:-0}" -gt 0 ] || fail "gguf synth does not tell the bytes: $(cat "$T/out")"
}

# What generate.mjs says in the end.
result() {
	grep '^{' "$T/target.out" >"$T/result.json" || fail "node: $(tail -n 3 "$T/target.out" "$T/target.err")"
}

# generate ARG…: without a monitor.
generate() {
	"$LLAMA/node" tests/llama/generate.mjs --root "$LLAMA" "$@" "$MODEL" \
		>"$T/target.out" 2>"$T/target.err"
}

# run_watched [RUN-OPTION…] -- ARG…: generate.mjs under `run` with the preset, all records.
# The library is known before it is loaded, so that nothing of it is missed.
run_watched() {
	local options=()
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	CODE=0
	LD_LIBRARY_PATH=$LLAMA/lib "$MEMPROBE" run --format json --record "$T/out.json" \
		--policy "$(every_call_policy)" --points $PRESET ${options[@]+"${options[@]}"} -- \
		"$LLAMA/node" tests/llama/generate.mjs --root "$LLAMA" "$@" "$MODEL" \
		>"$T/target.out" 2>"$T/err" || CODE=$?
	grep -v '"v":' "$T/target.out" >"$T/node.out" || true
	mv "$T/node.out" "$T/target.out"
}

# start_llama ARG…: generate.mjs in the background, until it has the library.
start_llama() {
	start_target "$LLAMA/node" tests/llama/generate.mjs --root "$LLAMA" "$@" "$MODEL"
}

# --- what the points find --------------------------------------------------------

test_preset_resolves_on_the_library() {
	local library
	need_llama
	for library in "$LLAMA"/lib/libllama.*so "$LLAMA"/lib/libggml-base.so; do
		expect_exit 0 probes check --binary "$library" --points $PRESET --format json
		cat "$T/out" >>"$T/sites"
	done
	python3 - "$T/sites" <<-'EOT' || fail 'the preset does not resolve as it should'
		import json, sys
		text, at, sites = open(sys.argv[1]).read(), 0, []
		while text[at:].strip():
		    rows, end = json.JSONDecoder().raw_decode(text[at:].lstrip())
		    at += len(text[at:]) - len(text[at:].lstrip()) + end
		    sites += [r for r in rows if r["status"] != "waiting"]
		found = sorted(r["point"] for r in sites)
		print(*found)
		assert all(r["status"] == "attached" for r in sites)
		assert not any(".cold" in r["symbol"] or "[clone" in r["symbol"] for r in sites)
		once = ["load_model", "load_model_old", "read_header", "load_tensors", "map_file", "read_file",
		        "alloc_buffer", "alloc", "new_context", "new_context_old", "decode", "encode"]
		for name in once:
		    assert found.count("llama_cpp." + name) == 1, name
		assert found.count("llama_cpp.cache") == 2  # attention's, and recurrent models'
	EOT
}

# Qwen2.5-0.5B has 2 heads of 64 for keys and for values: 2 x 128 elements of 2 bytes a cell and
# layer; a scaled model has one layer, and keeps the heads.
readonly CACHE_BYTES_A_CELL=512

test_mapped_model() {
	need_llama
	synth Q4_K_M
	run_watched -- --context 1024 --tokens 17
	expect_eq 0 "$CODE" 'exit code of run'
	result
	check node=@"$T/result.json" weights="$WEIGHTS" file="$(stat -c %s "$MODEL")" path="$MODEL" \
		cell=$CACHE_BYTES_A_CELL \
		'node.finite and node.tokens == 17 and node.model_bytes == weights' \
		'point("llama_cpp.load_model").hits == point("llama_cpp.load_model").returns == 1' \
		'probes("llama_cpp.load_model", "enter")[0].args.path == path' \
		'int(probes("llama_cpp.load_model", "exit")[0].ret.model, 16) != 0' \
		'point("llama_cpp.map_file").hits == 1 and point("llama_cpp.read_file").hits == 0' \
		'point("llama_cpp.read_header").hits >= 1' \
		'point("llama_cpp.load_model_parts").hits == point("llama_cpp.encode").hits == 0' \
		'point("llama_cpp.load_model_old").hits == point("llama_cpp.new_context_old").hits == 0' \
		'point("llama_cpp.decode").hits == point("llama_cpp.decode").returns == 17' \
		'all(r.ret.status == 0 for r in probes("llama_cpp.decode", "exit"))' \
		'[r.args.size for r in probes("llama_cpp.alloc_buffer", "enter")].count(1024 * cell) == 1' \
		'sum(r.rss_delta for r in probes("llama_cpp.map_file", "exit")) >= 0.95 * file' \
		'point("llama_cpp.load_model").rss_delta.total >= 0.95 * file' \
		'point("llama_cpp.load_model").duration_ns.max <= node.load_ms * 1e6' \
		'point("llama_cpp.load_tensors").duration_ns.max < point("llama_cpp.load_model").duration_ns.max' \
		'all(p.hits == p.returns for p in summary.points)' 'summary.complete'
}

test_model_that_is_read() {
	need_llama
	synth Q4_K_M
	run_watched -- --no-mmap --context 512 --tokens 13
	expect_eq 0 "$CODE" 'exit code of run'
	result
	# Weights may be there twice: as they are, and in the layout that this CPU wants.
	check node=@"$T/result.json" weights="$WEIGHTS" cell=$CACHE_BYTES_A_CELL \
		'node.finite and node.tokens == 13' \
		'point("llama_cpp.load_model").hits == 1 and point("llama_cpp.map_file").hits == 0' \
		'weights <= sum(r.args.size for r in probes("llama_cpp.read_file", "enter")) <= 2 * weights' \
		'sum(r.args.size for r in probes("llama_cpp.alloc_buffer", "enter")) >= weights + 512 * cell' \
		'[r.args.size for r in probes("llama_cpp.alloc_buffer", "enter")].count(512 * cell) == 1' \
		'point("llama_cpp.load_model").rss_delta.total >= 0.95 * weights' \
		'node.loaded.anon - node.before.anon >= 0.95 * weights' \
		'point("llama_cpp.read_file").rss_delta.total <= point("llama_cpp.load_tensors").rss_delta.total' \
		'point("llama_cpp.decode").hits == 13' 'summary.complete'
}

# What each level's file holds is what llama.cpp thinks that it does.
test_synthesized_levels_generate() {
	local level
	need_llama
	for level in Q2_K Q4_K_M Q6_K Q8_0 F16; do
		synth $level
		generate --check-tensors --tokens 5 || fail "$level: $(tail -n 3 "$T/target.err")"
		result
		grep -q '"finite":true' "$T/result.json" || fail "$level: logits are not finite"
		rm "$MODEL"
	done
}

# --- late, gone, failing -----------------------------------------------------------

test_attach_while_it_generates() {
	need_llama
	synth Q4_K_M
	start_llama --tokens 400
	wait_until 30 has_line '^generating' "$T/target.out"
	start_monitor --target "$TARGET_PID" --points $PRESET
	end_target
	expect_eq 0 "$TARGET_CODE" 'exit code of node'
	end_monitor
	result
	check node=@"$T/result.json" 'node.tokens == 400 and node.finite' \
		'0 < point("llama_cpp.decode").hits < 400' \
		'point("llama_cpp.load_model").hits == point("llama_cpp.new_context").hits == 0' \
		'point("llama_cpp.decode").duration_ns.p50 > 0' 'summary.complete'
}

# Probes go with whom they belong to; generation does not notice.
test_monitor_is_killed_while_it_generates() {
	need_llama
	synth Q4_K_M
	start_llama --tokens 700
	wait_until 30 has_line '^generating' "$T/target.out"
	start_monitor --target "$TARGET_PID" --points $PRESET
	wait_until 20 has_line '"point":"llama_cpp.decode"' "$T/out.json"
	kill -KILL "$MONITOR_PID"
	gone "$TARGET_PID" && fail 'node has ended before the monitor was killed'
	end_target
	expect_eq 0 "$TARGET_CODE" 'exit code of node'
	result
	grep -q '"tokens":700,"finite":true' "$T/result.json" || fail "node: $(cat "$T/result.json")"
}

# Exceptions go through functions with return probes; the program lives to say why.
test_load_that_fails() {
	need_llama
	synth F16
	# Not numbers, in the middle of the weights.
	python3 -c 'import sys; f = open(sys.argv[1], "r+b"); f.seek(20 << 20); f.write(b"\xff" * (1 << 20))' "$MODEL"
	run_watched -- --check-tensors
	expect_eq 1 "$CODE" 'exit code of run, which is that of node'
	expect_err 'Error: '
	check 'point("llama_cpp.load_tensors").hits == 1' 'point("llama_cpp.load_model").returns == 1' \
		'int(probes("llama_cpp.load_model", "exit")[0].ret.model, 16) == 0' \
		'point("llama_cpp.decode").hits == 0'
}

test_file_that_is_cut() {
	need_llama
	synth Q4_K_M
	truncate -s $(($(stat -c %s "$MODEL") / 2)) "$MODEL"
	run_watched -- --no-mmap
	expect_eq 1 "$CODE" 'exit code of run, which is that of node'
	expect_err 'Error: '
	check 'point("llama_cpp.read_header").hits >= 1' 'point("llama_cpp.load_tensors").hits == 0' \
		'all(int(r.ret.model, 16) == 0 for r in probes("llama_cpp.load_model", "exit"))'
}

# 236 MiB of weights into 200 MiB, of which Node.js itself takes some 90.
test_out_of_memory_in_a_load() {
	need_llama
	make_group
	synth F16 1/4
	profile 200
	CODE=0
	run_watched --config-dir "$CONFIG" --env small -- --no-mmap
	expect_eq 7 "$CODE" 'exit code of run'
	check weights="$WEIGHTS" 'weights > 200 << 20' 'len(ooms(True)) >= 1' \
		'any(i.point == "llama_cpp.load_model" and i.duration_ns > 0 and i.rss_delta > 50 << 20 for i in ooms(True)[0].in_flight)' \
		'any(i.point == "llama_cpp.load_tensors" for i in ooms(True)[0].in_flight)' \
		'point("llama_cpp.load_model").returns == 0' 'point("llama_cpp.decode").hits == 0'
}
