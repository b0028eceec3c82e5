# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# Which level fits: by a model's dimensions, by a file, here and on a device.

# advised EXPRESSION…: of the JSON in $T/out, called `it`; `at` is its levels by name.
advised() {
	python3 - "$T/out" "$@" <<-'EOT' || fail "in $T/out, see above"
		import json, sys
		it = json.load(open(sys.argv[1], encoding="utf-8"))
		it = it.get("quantization", it)
		at = {row["level"]: row for row in it["levels"]}
		MB = 1 << 20
		for text in sys.argv[2:]:
		    if not eval(text):
		        sys.exit(f"does not hold: {text} in {it}")
	EOT
}

test_a_device() {
	expect_exit 1 gguf advise --model-id qwen2.5-7b --env 极限2GB模式 --format json
	advised 'it["current_optimal"] is None' 'it["model_id"] == "qwen2.5-7b"' \
		'it["device"]["profile_name"] == "极限2GB模式"' 'it["device"]["used"] == 0' \
		'it["device"]["margin"] == it["device"]["limit"] // 10' \
		'it["usable"] == it["device"]["limit"] - it["device"]["margin"]' \
		'it["advice"].startswith("None fits: use a smaller model, for example qwen2.5-")' \
		'all(row["fit"] in ("thrash", "oom_killed") for row in it["levels"])' \
		'at["Q4_K_M"]["fit"] == "oom_killed" and at["Q6_K"]["fit"] == "thrash"' \
		'at["Q4_K_M"]["must"] > at["Q6_K"]["must"]'
	# What it names instead does fit there.
	expect_exit 0 gguf advise --env 2gb-extreme --model-id \
		"$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["smaller"]["model_id"])' "$T/out")"
}

test_sums() {
	expect_exit 0 gguf advise --model-id qwen2.5-7b --limit 8G --format json
	advised 'it["current_optimal"] == "Q6_K"' 'at["Q6_K"]["kv"] == 4096 * 57344' \
		'at["Q6_K"]["compute"] == 311 * MB' 'at["Q6_K"]["repack"] == 0' \
		'at["Q4_K_M"]["repack"] >> 20 == 2976' 'at["Q4_K_M"]["tensor_bytes"] == 4677120000' \
		'all(row["must"] == sum(row[k] for k in ("kv", "compute", "repack", "runtime", "metadata")) for row in it["levels"])' \
		'all(row["comfortable"] == row["must"] + row["tensor_bytes"] - row["repack"] for row in it["levels"])' \
		'all((row["fit"] == "ok") == (row["comfortable"] <= it["usable"]) for row in it["levels"])' \
		'it["smaller"] is None' 'it["as_it_is"] is None'
	expect_exit 0 gguf advise --model-id qwen2.5-7b --limit 8G --kv-type q8_0 --context 8192 \
		--no-repack --margin 0 --quant-levels q4_k_m --format json
	advised 'list(at) == ["Q4_K_M"]' 'at["Q4_K_M"]["repack"] == 0' 'it["usable"] == 8 << 30' \
		'at["Q4_K_M"]["kv"] == 8192 * 57344 * 34 // 64'
	expect_exit 1 gguf advise --model-id qwen2.5-7b --limit 3G --no-mmap --format json
	advised 'all(row["fit"] == "oom_killed" for row in it["levels"])' \
		'at["Q2_K"]["must"] == at["Q2_K"]["comfortable"]'
}

test_the_disk() {
	expect_exit 1 gguf advise --model-id qwen2.5-7b --limit 2G --format json
	advised 'it["disk"]["bytes_per_second"] or it["disk"]["unknown_because"]' \
		'it["disk"]["read_bytes"] <= 256 * MB' 'at["F16"]["fit"] == "thrash"' \
		'not it["disk"]["bytes_per_second"] or abs(at["F16"]["most_per_second"] * 0.9 * at["F16"]["tensor_bytes"] / it["disk"]["bytes_per_second"] - 1) < 1e-3'
}

test_here() {
	expect_exit 0 gguf advise --model-id smollm2-135m --format json
	advised 'it["device"]["used"] > 0' 'it["device"]["profile_name"] is None' \
		'it["usable"] == it["device"]["limit"] - it["device"]["used"] - it["device"]["margin"]'
}

test_text_and_arithmetic() {
	expect_exit 1 gguf advise --model-id qwen2.5-7b --env 2gb-extreme
	expect_narrow <(grep -v -e '^None fits' "$T/out")
	expect_exit 0 gguf advise --model-id qwen2.5-7b --limit 8G --quant-levels Q4_K_M --explain
	local line
	for line in 'weights           4677120000' 'kv                 234881024' \
		'compute            326107136' 'repack            3121348608' \
		'comfortable       5309628416' 'limit             8589934592' \
		'margin             524288000' 'usable            8065646592' \
		'fit                       ok' 'quality               0.1754'; do
		grep -qF -- "$line" "$T/out" || fail "not explained: $line"
	done
	tail -n 1 "$T/out" | grep -q '^Take Q4_K_M: it needs 4.94 GiB of the 7.51 GiB' ||
		fail "another sentence: $(tail -n 1 "$T/out")"
}

test_a_file() {
	expect_exit 0 gguf synth --model-id qwen2.5-0.5b --quant Q4_0 --sparse -o "$T/m.gguf"
	expect_exit 0 gguf advise "$T/m.gguf" --limit 1G --format json
	advised 'it["as_it_is"]["level"] == "Q4_0"' 'it["as_it_is"]["fit"] == "ok"' \
		'it["as_it_is"]["tensor_bytes"] == at["Q4_0"]["tensor_bytes"] == 346206720' \
		'it["model_id"] is None' 'it["disk"]["unknown_because"]' \
		'it["advice"].startswith("The file fits: ")'
	cp "$T/out" "$T/file.json"
	expect_exit 0 gguf advise --model-id qwen2.5-0.5b --limit 1G --format json
	python3 - "$T/file.json" "$T/out" <<-'EOT' || fail 'a file is not what its model is'
		import json, sys
		file, model = (json.load(open(path))["levels"] for path in sys.argv[1:])
		for row in file + model:
		    for key in ("must", "comfortable", "metadata", "most_context", "most_per_second"):
		        del row[key] # by the tokenizer, which a file has, and the disk
		sys.exit(file != model)
	EOT
	truncate -s 100 "$T/m.gguf"
	expect_exit 3 gguf advise "$T/m.gguf" --limit 1G
}

# Mixes of a model that is no transformer as ours are known to its file alone.
test_a_mixture_of_experts() {
	local key value keys=()
	while read -r key value; do
		keys+=(--kv "$key=$value")
	done <<-EOT
		general.architecture str:llama
		llama.block_count u32:1
		llama.embedding_length u32:64
		llama.feed_forward_length u32:128
		llama.attention.head_count u32:4
		llama.attention.head_count_kv u32:2
		llama.context_length u32:2048
		llama.expert_count u32:8
		tokenizer.ggml.tokens list:a,b,c
	EOT
	python3 tests/integration/make_gguf.py "$T/m.gguf" "${keys[@]}" \
		--tensor token_embd.weight:F32:64,3 --tensor blk.0.attn_q.weight:F16:64,64
	expect_exit 0 gguf advise "$T/m.gguf" --limit 1G --format json
	advised 'it["current_optimal"] is None' 'it["levels"] == []' 'it["as_it_is"]["fit"] == "ok"' \
		'it["as_it_is"]["metadata"] == 3 * 150' 'it["context"] == 2048 == it["trained_context"]'
	[ ! -s "$T/err" ] || fail 'a warning without a reason'
	expect_exit 1 gguf advise "$T/m.gguf" --limit 10M
	tail -n 1 "$T/out" | grep -q '^The file does not fit' || fail 'it fits'
	expect_exit 6 gguf advise "$T/m.gguf" --quant-levels Q4_0
	expect_err 'a mixture of eight experts'
}

test_contexts() {
	expect_exit 1 gguf advise --model-id qwen2.5-7b --limit 4G --context 60000 --format json
	expect_err 'more than the 32768 tokens that the model was trained for'
	advised '"With a context of at most" in it["advice"]' \
		'max(row["most_context"] for row in it["levels"]) == at["Q2_K"]["most_context"] > 0'
	expect_exit 0 gguf advise --model-id qwen2.5-7b --limit 4G --quant-levels Q2_K \
		--context "$(python3 -c 'import json, sys; print([row["most_context"] for row in json.load(open(sys.argv[1]))["levels"] if row["level"] == "Q2_K"][0])' "$T/out")"
	expect_exit 1 gguf advise --model-id qwen2.5-7b --limit 1G --context 32768
	expect_err 'the cache of 32768 tokens alone takes 1.75 GiB, more than may be taken'
	expect_exit 1 gguf advise -q --model-id qwen2.5-7b --limit 1G --context 32768
	[ ! -s "$T/err" ] || fail 'it is not quiet'
}

test_bad_input() {
	expect_exit 2 gguf advise --model-id qwen2-7b --limit 4G
	expect_err 'did you mean qwen2.5-7b?'
	expect_exit 2 gguf advise --model-id qwen2.5-7b --quant-levels Q4_K_M,Q4_K_X
	expect_err 'there is no quantization level Q4_K_X'
	expect_exit 2 gguf advise
	expect_err 'of which model?'
	expect_exit 2 gguf advise --model-id qwen2.5-7b --model "$T/none"
	expect_exit 5 gguf advise --model "$T/none"
	expect_exit 2 gguf advise --model-id qwen2.5-7b --limit 4G --env 4gb
	expect_err 'a --limit or the one of --env, not both'
	expect_exit 2 gguf advise --model-id qwen2.5-7b --env nowhere
	expect_exit 2 gguf advise --model-id qwen2.5-7b --context 0
	expect_exit 2 gguf advise --model-id qwen2.5-7b --kv-type q4
	expect_exit 2 gguf advise --model-id qwen2.5-7b --limit 0
	# None that was asked for fits, but another one would.
	expect_exit 1 gguf advise --model-id qwen2.5-7b --limit 6G --quant-levels F16
	tail -n 1 "$T/out" | grep -q 'Of the other levels Q4_K_M fits.' || fail 'it names no other'
}

test_status() {
	expect_exit 0 status --model-id qwen2.5-1.5b --env 极限2GB模式 --format json
	advised 'it["current_optimal"] == "Q6_K"' 'at["Q6_K"]["fit"] == "ok"' \
		'it["model_id"] == "qwen2.5-1.5b"'
	expect_exit 0 status --format json
	advised 'it["current_optimal"] is None' '"--model-id" in it["advice"]' 'it["levels"] == []'
	expect_exit 0 status --model-id qwen2.5-1.5b --env 极限2GB模式
	grep -q '^level       Take Q6_K' "$T/out" || fail 'no level in the text'
	expect_exit 2 status --context 512
	expect_err '--context is of a model'
	expect_exit 2 status --model-id qwen9
	expect_exit 2 status --model-id qwen2.5-7b --model "$T/none"
}
