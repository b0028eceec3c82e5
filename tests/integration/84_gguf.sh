# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# What gguf info says of files, and which it refuses. The files are another writer's than ours.

readonly MAKE=tests/integration/make_gguf.py

# The tensors of a model of two layers, as options of the writer.
tensors() {
	printf -- '--tensor\n%s\n' token_embd.weight:Q8_0:256,96 output_norm.weight:F32:256
	local layer
	for layer in 0 1; do
		printf -- "--tensor\nblk.$layer.%s\n" attn_norm.weight:F32:256 ffn_norm.weight:F32:256 \
			attn_q.weight:Q8_0:256,256 attn_k.weight:Q8_0:256,128 attn_v.weight:Q8_0:256,128 \
			attn_output.weight:Q8_0:256,256 ffn_gate.weight:Q8_0:256,512 \
			ffn_up.weight:Q8_0:256,512 ffn_down.weight:Q8_0:512,256
	done
}

# make_model FILE [OPTION]…: what llama.cpp would know by its keys, and more by options of the writer.
make_model() {
	local tensors
	mapfile -t tensors < <(tensors)
	python3 $MAKE "$1" --kv general.architecture=str:llama --kv 'general.name=str:Tiny \xe6\xa8\xa1' \
		--kv llama.block_count=u32:2 --kv llama.context_length=u32:512 \
		--kv llama.embedding_length=u32:256 --kv llama.feed_forward_length=u32:512 \
		--kv llama.attention.head_count=u32:4 --kv llama.attention.head_count_kv=u32:2 \
		--kv llama.attention.layer_norm_rms_epsilon=f32:1e-5 --kv llama.vocab_size=u32:96 \
		--kv tokenizer.ggml.model=str:llama --kv 'tokenizer.ggml.tokens=list:<unk>,<s>,</s>' \
		"${tensors[@]}" "${@:2}"
}

# holds EXPRESSION…: of the JSON in $T/out, called `it`; `keys` are the first part's by name.
holds() {
	python3 - "$T/out" "$@" <<-'EOT' || fail "in $T/out, see above"
		import json, sys
		it = json.load(open(sys.argv[1], encoding="utf-8"))
		keys = {key["key"]: key for key in it["parts"][0]["keys"]}
		for text in sys.argv[2:]:
		    if not eval(text):
		        sys.exit(f"does not hold: {text} in {it}")
	EOT
}

# told PATTERN…: there is such a line in $T/out.
told() {
	local pattern
	for pattern in "$@"; do
		grep -Eq -- "$pattern" "$T/out" || fail "no line '$pattern' in: $(cat "$T/out")"
	done
}

test_info() {
	make_model "$T/m.gguf"
	expect_exit 0 gguf info "$T/m.gguf"
	expect_narrow <(grep -v "^$T" "$T/out")
	told '^  model       llama, Tiny 模$'
	told '^  shape       2 layers, hidden 256, ff 512, heads 4/2 of 64$'
	told '^  vocabulary  96, tied$'
	told '^  level       Q8_0$'
	told '^  parameters  1\.21M \(1205504\)$'
	told '^tokenizer\.ggml\.tokens +string\[3\] +\["<unk>", "<s>", …\]$'
	! grep -q ffn_down "$T/out" || fail 'tensors are listed without -v'
	expect_exit 0 gguf info -v --model "$T/m.gguf"
	told '^blk\.1\.ffn_down\.weight +Q8_0 +1145344 +139264  512 x 256$'
}

test_info_as_json() {
	make_model "$T/m.gguf" --version 2
	expect_exit 0 gguf info --format json "$T/m.gguf"
	holds 'it["version"] == 2' 'it["architecture"] == "llama"' 'it["name"] == "Tiny 模"' \
		'it["level"] == "Q8_0"' 'it["parameters"] == 1205504' 'it["n_tensors"] == 20' \
		'it["tensor_bytes"] == 1204224 // 32 * 34 + 1280 * 4' \
		'it["shape"]["kv_heads"] == 2 and it["shape"]["tied"]' \
		'[(t["type"], t["tensors"]) for t in it["types"]] == [("Q8_0", 15), ("F32", 5)]' \
		'sum(t["bytes"] for t in it["types"]) == it["tensor_bytes"]' \
		'it["header_bytes"] % 32 == 0' \
		'it["file_bytes"] == it["header_bytes"] + it["tensor_bytes"]' \
		'len(it["parts"]) == 1 and len(it["parts"][0]["tensors"]) == 20' \
		'it["parts"][0]["tensors"][1] == {"name": "output_norm.weight", "type": "F32", "ne": [256],
		  "offset": 26112, "bytes": 1024}' \
		'keys["tokenizer.ggml.tokens"]["first"] == ["<unk>", "<s>", "</s>"]' \
		'keys["llama.block_count"] == {"key": "llama.block_count", "type": "u32", "value": 2}' \
		'abs(keys["llama.attention.layer_norm_rms_epsilon"]["value"] - 1e-5) < 1e-10'
}

# Neither a terminal nor a reader of JSON gets what a stranger wrote.
test_hostile_texts() {
	python3 $MAKE "$T/m.gguf" --kv 'general.architecture=str:\x1b[2J\xff\x00x' \
		--kv 'a\x0ab=list:\x1b]0;x\x07,y' --tensor 'a\x1b[31mb:F32:8' --kv 'flag=bool:1'
	expect_exit 0 gguf info -v "$T/m.gguf"
	! LC_ALL=C grep -q $'[\x01-\x08\x0b-\x1f\x7f]' "$T/out" || fail 'control characters in the text'
	told '^  model       \\e\[2J\\xff\\xc0\\x80x, -$'
	told '^  shape       not known: '
	expect_exit 0 gguf info --format json "$T/m.gguf"
	holds 'it["architecture"] == "\\e[2J\\xff\\xc0\\x80x"' 'it["shape"] is None' \
		'keys["a\\nb"]["first"] == ["\\e]0;x\\x07", "y"]' 'keys["flag"]["value"] is True' \
		'it["parts"][0]["tensors"][0]["name"] == "a\\e[31mb"'
}

# refused FILE SENTENCE
refused() {
	expect_exit 3 gguf info "$1"
	expect_err "error: $1: $2"
	[ ! -s "$T/out" ] || fail "something is told of $1: $(cat "$T/out")"
}

test_what_is_refused() {
	make_model "$T/cut.gguf" --cut 1
	refused "$T/cut.gguf" 'tensor 20 "blk.1.ffn_down.weight": the file ends in its data: it has '
	make_model "$T/twice.gguf" --tensor output_norm.weight:F32:64
	refused "$T/twice.gguf" 'tensor 21 "output_norm.weight": tensor 2 has the same name'
	make_model "$T/bool.gguf" --kv flag=bool:2
	refused "$T/bool.gguf" 'key 13 "flag": its value: a bool of 2: 0 and 1 are possible'
	make_model "$T/dims.gguf" --tensor t:F32:0
	refused "$T/dims.gguf" 'tensor 21 "t": its dimension 1 is 0'
	make_model "$T/old.gguf" --version 1
	refused "$T/old.gguf" 'version 1 is not known: 2 and 3 are read'
	make_model "$T/header.gguf"
	truncate -s 800 "$T/header.gguf"
	refused "$T/header.gguf" 'tensor 1 "token_embd.weight": its 256 x 96 Q8_0 are more than the file'"'"'s 800 bytes'
	head -c 64 /dev/zero >"$T/zero.gguf"
	refused "$T/zero.gguf" 'not a GGUF file: it begins with 00 00 00 00'
}

test_what_is_not_there() {
	expect_exit 5 gguf info "$T/none.gguf"
	expect_err "$T/none.gguf: cannot open: No such file or directory"
	expect_exit 5 gguf info "$T"
	expect_err "$T: not a regular file"
	expect_exit 2 gguf info
	expect_err 'gguf info: a file is needed'
	expect_exit 2 gguf info "$T/none.gguf" "$T/other.gguf"
}

# make_part NO COUNT TENSORS NAME…
make_part() {
	local file
	file=$(printf '%s/s-%05d-of-%05d.gguf' "$T" $(($1 + 1)) "$2")
	local args=(--kv "split.no=u16:$1" --kv "split.count=u16:$2" --kv "split.tensors.count=i32:$3")
	python3 $MAKE "$file" "${args[@]}" "${@:4}"
}

test_split_files() {
	make_part 0 3 4 --kv general.architecture=str:llama --kv general.name=str:split --tensor a:F32:8
	make_part 1 3 4 --tensor b:F32:8 --tensor c:F16:32
	make_part 2 3 4 --tensor d:F32:8,3
	local no
	for no in 1 2 3; do
		expect_exit 0 gguf info --format json "$T/s-0000$no-of-00003.gguf"
		holds 'it["name"] == "split"' 'it["n_tensors"] == 4' 'it["parameters"] == 72' \
			'it["tensor_bytes"] == 224' '[len(p["tensors"]) for p in it["parts"]] == [1, 2, 1]' \
			'it["path"].endswith("-00001-of-00003.gguf")' \
			'it["file_bytes"] == sum(p["file_bytes"] for p in it["parts"])'
	done
	expect_exit 0 gguf info -v "$T/s-00002-of-00003.gguf"
	told ': GGUF version 3, 3 parts$'
	told '^PART 2: .*-00002-of-00003\.gguf, 2 tensors, 96 bytes$'
	make_part 1 3 4 --tensor b:F32:8 --tensor a:F16:32
	expect_exit 3 gguf info "$T/s-00003-of-00003.gguf"
	expect_err "s-00002-of-00003.gguf: its tensor \"a\" is in part 1 as well"
	rm "$T/s-00002-of-00003.gguf"
	expect_exit 3 gguf info "$T/s-00003-of-00003.gguf"
	expect_err "$T/s-00002-of-00003.gguf: cannot open: No such file or directory"
	cp "$T/s-00001-of-00003.gguf" "$T/alone.gguf"
	expect_exit 3 gguf info "$T/alone.gguf"
	expect_err 'alone.gguf: part 1 of 3, so its name must end in -00001-of-00003.gguf'
}

# Our own writer's files are read, too, and are what was asked for.
test_synthesized_file() {
	expect_exit 0 --config-dir configs gguf synth --model-id qwen2.5-7b --quant Q4_K_M --sparse \
		-o "$T/7b.gguf"
	expect_exit 0 gguf info --format json "$T/7b.gguf"
	holds 'it["level"] == "Q4_K_M"' 'it["tensor_bytes"] == 4677120000' 'it["n_tensors"] == 339' \
		'it["parameters"] == 7615616512' 'it["tokens"] == 152064' \
		'keys["tokenizer.ggml.tokens"]["count"] == 152064' \
		'len(keys["tokenizer.ggml.tokens"]["first"]) == 1024'
}
