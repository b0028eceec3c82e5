# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# Files of models that are made: their layout, what they take, and what is left when they are not.

# told EXPRESSION…: about the JSON document `d` on standard output.
told() {
	local expression
	for expression in "$@"; do
		python3 - "$T/out" "$expression" <<-'EOT' || fail "does not hold: $expression: $(cat "$T/out")"
			import json, sys
			d = json.load(open(sys.argv[1], encoding="utf-8"))
			sys.exit(not eval(sys.argv[2]))
		EOT
	done
}

value() {
	python3 -c 'import json, sys; print(eval(sys.argv[2], {"d": json.load(open(sys.argv[1]))}))' \
		"$T/out" "$1"
}

test_synth_files_have_the_sizes_that_are_told() {
	local level bytes header
	for level in Q2_K Q3_K_M Q4_K_M Q5_K_M Q6_K Q8_0 F16; do
		expect_exit 0 gguf sizes --model-id smollm2-135m --quant-levels $level --format json
		bytes=$(value 'd["levels"][0]["tensor_bytes"]')
		expect_exit 0 gguf synth --model-id smollm2-135m --quant $level -o "$T/m.gguf" --format json
		told "d['tensor_bytes'] == $bytes" "d['level'] == '$level'" \
			"d['file_bytes'] == $(stat -c %s "$T/m.gguf")" "d['n_tensors'] == 272"
		expect_exit 0 gguf info "$T/m.gguf"
		grep -qE "^ +level +$level\$" "$T/out" || fail "gguf info does not say $level"
		header=$(($(stat -c %s "$T/m.gguf") - bytes))
		[[ $header -gt 0 && $header -lt 2000000 ]] || fail "a header of $header bytes"
	done
}

# The same bytes for the same seed, on any machine and in any version: files are kept by that.
test_synth_is_what_its_seed_makes() {
	local name
	for name in a b; do
		expect_exit 0 gguf synth --model-id smollm2-135m --scale 1/8 --quant Q4_K_M -o "$T/$name"
	done
	expect_exit 0 gguf synth --model-id smollm2-135m --scale 1/8 --quant Q4_K_M --seed 1 -o "$T/c"
	cmp "$T/a" "$T/b" || fail 'the same seed, other bytes'
	! cmp -s "$T/a" "$T/c" || fail 'another seed, the same bytes'
}

test_synth_sparse_takes_no_disk() {
	expect_exit 0 gguf synth --model-id qwen2.5-7b --quant Q4_K_M --sparse -o "$T/m.gguf" \
		--format json
	told 'd["tensor_bytes"] == 4677120000' 'd["file_bytes"] > 4677120000' \
		'd["disk_bytes"] < 8 << 20' 'd["sparse"] is True'
	[ $(($(stat -c %b "$T/m.gguf") * 512)) -lt $((8 << 20)) ] || fail 'it takes disk'
	expect_exit 0 gguf info "$T/m.gguf"
	grep -q '152064 tokens' "$T/out" || fail 'the vocabulary is not of its size'
}

# A sixteenth of the weights, of the same widths and, but for the layers that are gone, types.
test_synth_scale() {
	local whole
	expect_exit 0 gguf sizes --model-id llama-3.2-1b --quant-levels Q8_0 --format json
	whole=$(value 'd["levels"][0]["tensor_bytes"]')
	expect_exit 0 gguf synth --model-id llama-3.2-1b --quant Q8_0 --scale 1/16 -o "$T/m.gguf" \
		--format json
	told "abs(d['tensor_bytes'] * 16 / $whole - 1) < 0.02" 'd["layers"] == 1' \
		'd["vocab"] < 128256' 'd["scale"] == 0.0625'
	expect_exit 0 gguf info "$T/m.gguf"
	grep -q 'hidden 2048' "$T/out" || fail 'its width is another'
	expect_exit 2 gguf synth --model-id llama-3.2-1b --quant Q8_0 --scale 1/1000 -o "$T/n.gguf"
	expect_err 'a layer of llama-3.2-1b is larger'
}

test_synth_bad_input() {
	expect_exit 2 gguf synth --model-id qwen2.5-7c --quant Q4_K_M -o "$T/m.gguf"
	expect_err 'qwen2.5-7b'
	expect_exit 2 gguf synth --model-id qwen2.5-7b --quant Q4_K_X -o "$T/m.gguf"
	expect_err 'Q4_K_M'
	expect_exit 2 gguf synth --quant Q4_K_M -o "$T/m.gguf"
	expect_err '--model-id is needed'
	expect_exit 2 gguf synth --model-id qwen2.5-7b -o "$T/m.gguf"
	expect_err '--quant with one level is needed'
	expect_exit 2 gguf synth --model-id qwen2.5-7b --quant Q4_0,Q8_0 -o "$T/m.gguf"
	expect_err '--quant with one level is needed'
	expect_exit 2 gguf synth --model-id qwen2.5-7b --quant Q4_0
	expect_err '--output is needed'
	expect_exit 2 gguf synth m.gguf --model-id qwen2.5-7b --quant Q4_0
	expect_err "the file's name goes to --output"
	expect_exit 2 gguf synth --model-id qwen2.5-7b --quant Q4_0 -o "$T/none/m.gguf"
	expect_err 'make its folder first'
	expect_exit 2 gguf synth --model-id qwen2.5-7b --quant Q4_0 -o "$T"
	expect_err 'something else than a file'
	expect_exit 2 gguf synth --model-id qwen2.5-7b --quant Q4_0 -o /dev/null
	expect_exit 2 gguf synth --model-id qwen2.5-7b --quant Q4_0 --scale 2/1 -o "$T/m.gguf"
	expect_err '--scale 2/1'
	[ ! -e "$T/m.gguf" ] || fail 'something was written'
}

# Run in a mount namespace of its own. $1: a folder.
on_a_small_disk() {
	mount -t tmpfs -o size=16m none "$1"
	expect_exit 6 gguf synth --model-id smollm2-135m --quant Q4_K_M -o "$1/m.gguf"
	expect_err 'its disk has 16.0 MiB'
	expect_err 'are missing'
	expect_eq '' "$(ls -A "$1")" 'what is left'
}

test_synth_tells_of_a_disk_too_small() {
	need_mount_namespace
	mkdir "$T/small"
	export -f on_a_small_disk
	export T
	# shellcheck disable=SC2016 # the inner shell expands it
	unshare -m bash -c '. tests/integration/lib.sh && on_a_small_disk "$1"' sh "$T/small"
}

# start_large: a file in the making in $T/made, of which some is written.
start_large() {
	mkdir "$T/made"
	[ "$(df --output=avail -B1 "$T" | tail -1)" -gt $((4 << 30)) ] || skip 'no room for 3 GB'
	env --default-signal=INT "$MEMPROBE" gguf synth --model-id qwen2.5-1.5b --quant F16 \
		-o "$T/made/m.gguf" >"$T/out" 2>"$T/err" &
	track $!
	wait_until 20 has_written $! $((64 << 20))
}

has_written() {
	[ "$(sed -n 's/^wchar: //p' "/proc/$1/io")" -gt "$2" ]
}

test_synth_interrupted_leaves_nothing() {
	local code=0
	start_large
	kill -INT "${OWN_PIDS[0]}"
	wait "${OWN_PIDS[0]}" || code=$?
	expect_eq 130 "$code" 'exit code'
	expect_err 'interrupted, nothing of it is left'
	expect_eq '' "$(ls -A "$T/made")" 'what is left'
}

test_synth_killed_leaves_nothing() {
	start_large
	kill -KILL "${OWN_PIDS[0]}"
	wait "${OWN_PIDS[0]}" || true
	expect_eq '' "$(ls -A "$T/made")" 'what is left'
}
