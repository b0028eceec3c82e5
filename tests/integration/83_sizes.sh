# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# Sizes of models: by their descriptions and by a file's own tensors, the same bytes.

# holds EXPRESSION…: of the JSON in $T/out, called `it`; `at` is its rows by level.
holds() {
	python3 - "$T/out" "$@" <<-'EOT' || fail "in $T/out, see above"
		import json, sys
		it = json.load(open(sys.argv[1]))
		at = {row["level"]: row for row in it["levels"]}
		for text in sys.argv[2:]:
		    if not eval(text):
		        sys.exit(f"does not hold: {text} in {it}")
	EOT
}

test_bytes_of_published_files() {
	expect_exit 0 gguf sizes --model-id qwen2.5-7b --format json
	holds 'set(it) == {"model_id", "levels"}' 'it["model_id"] == "qwen2.5-7b"' \
		'at["Q2_K"]["tensor_bytes"] == 3009986560' \
		'at["Q3_K_M"]["tensor_bytes"] == 3802437632' \
		'at["Q4_K_M"]["tensor_bytes"] == 4677120000' \
		'at["Q5_K_M"]["tensor_bytes"] == 5438877696' \
		'at["Q6_K"]["tensor_bytes"] == 6248245248' \
		'at["Q8_0"]["tensor_bytes"] == 8092571648' \
		'at["F16"]["tensor_bytes"] == 15231899648' \
		'all(row["n_tensors"] == 339 for row in it["levels"])' \
		'at["Q4_K_M"]["repack_bytes"] >> 20 == 2976' 'at["Q6_K"]["repack_bytes"] == 0' \
		'at["Q4_K_M"]["perplexity_rise"] == 0.1754' 'at["BF16"]["perplexity_rise"] is None'
	cp "$T/out" "$T/first"
	expect_exit 0 gguf sizes --model-id QWEN2.5-7B-zh --format json
	cmp "$T/first" "$T/out" || fail "an alias in capitals is another model"
}

test_levels_that_were_asked_for() {
	expect_exit 0 gguf sizes --model-id qwen2.5-0.5b --quant-levels q6_k,Q2_K,Q6_K --format json
	holds '[row["level"] for row in it["levels"]] == ["Q6_K", "Q2_K"]' \
		'at["Q2_K"]["no_larger_and_better"] == "Q3_K_S"' \
		'at["Q6_K"]["no_larger_and_better"] is None'
}

test_text_says_the_same() {
	expect_exit 0 gguf sizes --model-id qwen2.5-0.5b
	expect_narrow "$T/out"
	grep -Eq '^Q2_K +332659200 +317 MiB +5\.387 +134 MiB +\+3\.5199  Q3_K_S$' "$T/out" ||
		fail "no such row of Q2_K: $(cat "$T/out")"
	grep -Eq '^F16 +988208640 +942 MiB +16\.002 +none +\+0\.0000$' "$T/out" ||
		fail "no such row of F16: $(cat "$T/out")"
}

# A file of a level has the bytes of that level, and would have those of the others at the others.
test_sizes_of_a_file() {
	expect_exit 0 gguf synth --model-id qwen2.5-0.5b --quant Q4_K_M --sparse -o "$T/m.gguf"
	expect_exit 0 gguf sizes --model-id qwen2.5-0.5b --format json
	cp "$T/out" "$T/described"
	expect_exit 0 gguf sizes "$T/m.gguf" --format json
	holds 'it["model_id"] is None' \
		'[row["level"] for row in it["levels"] if row["as_it_is"]] == ["Q4_K_M"]'
	python3 - "$T/described" "$T/out" <<-'EOT' || fail "the file's sizes are others"
		import json, sys
		described, own = (json.load(open(name))["levels"] for name in sys.argv[1:])
		for row in described + own:
		    row.pop("as_it_is")
		sys.exit(described != own)
	EOT
	expect_exit 0 gguf sizes --model "$T/m.gguf" --quant-levels Q4_K_M
	has_line '(as it is)$' "$T/out" || fail "the file's level is not marked"
}

test_models_of_ones_own() {
	mkdir "$T/config"
	cat >"$T/config/models.yaml" <<-'EOT'
		version: 1
		models:
		  - {id: tiny, source: here, architecture: llama, layers: 2, hidden: 256, ff: 512,
		     heads: 4, kv_heads: 2, vocab: 512, context_length: 256}
	EOT
	expect_exit 0 gguf sizes --model-id tiny --config-dir "$T/config" --format json
	# Attention has rows of 256 for 256 + 128 + 128 + 256 columns; five norms.
	holds 'at["F32"]["tensor_bytes"] == 4 * (2 * 256 * (768 + 3 * 512) + 2 * 512 * 256 + 5 * 256)'
	sed -i 's/layers: 2/layers: two/' "$T/config/models.yaml"
	expect_exit 3 gguf sizes --model-id tiny --config-dir "$T/config"
	expect_err "$T/config/models.yaml:3:59: layers \"two\" is not a whole number"
}

test_bad_input() {
	expect_exit 2 gguf sizes
	expect_err '--model-id ID of models.yaml, or a GGUF file'
	expect_exit 2 gguf sizes --model-id qwen2.5-8b
	expect_err 'there is no model qwen2.5-8b (did you mean qwen2.5-3b?); there are qwen2.5-0.5b, '
	expect_exit 2 gguf sizes --model-id qwen2.5-7b --quant-levels Q4_K_M,Q4_K_N
	expect_err 'there is no quantization level Q4_K_N (did you mean Q4_K_S?); there are Q2_K, '
	expect_exit 2 gguf sizes --model-id qwen2.5-7b "$T/m.gguf"
	expect_err 'a --model-id or a file, not both'
	expect_exit 5 gguf sizes "$T/none.gguf"
	expect_err 'none.gguf'
	expect_exit 3 gguf sizes configs/models.yaml
	expect_err 'configs/models.yaml: not a GGUF file'
}

# What is cut off, and what is said of no model that can be.
test_files_that_lie() {
	expect_exit 0 gguf synth --model-id smollm2-135m --quant Q8_0 --sparse -o "$T/m.gguf"
	head -c 4096 "$T/m.gguf" >"$T/cut.gguf"
	expect_exit 3 gguf sizes "$T/cut.gguf"
	python3 - "$T/m.gguf" <<-'EOT'
		import struct, sys
		with open(sys.argv[1], "r+b") as file:
		    header = file.read(1 << 20)
		    at = header.index(b"llama.block_count") + len(b"llama.block_count") + 4
		    file.seek(at)
		    file.write(struct.pack("<I", 2**32 - 1))
	EOT
	expect_exit 3 gguf sizes "$T/m.gguf"
	expect_err 'm.gguf: keys of llama: no such model can be: layers are from 1 to 4096'
}
