# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# Loading models: what it takes is what was said, and under a limit what no longer fits is read again.

# small_model: a file of about 100 MB of a model with few tokens, $MODEL; its bytes are $BYTES.
small_model() {
	CONFIG=$T/config
	MODEL=$T/small.gguf
	small_model_config "$CONFIG"
	expect_exit 0 gguf synth --config-dir "$CONFIG" --model-id small --quant "${1:-F16}" \
		--output "$MODEL"
	BYTES=$(stat -c %s "$MODEL")
}

# in_group ARG…: `gguf load ARG…` in that group from its first instruction on, below another
# command if $BELOW names one. $CODE, $T/out, $T/err.
in_group() {
	cat >"$T/in_group" <<-EOT
		#!/bin/sh
		echo \$\$ >$OWN_GROUP/cgroup.procs
		exec "$MEMPROBE" gguf load "\$@"
	EOT
	chmod +x "$T/in_group"
	CODE=0
	${BELOW:-} "$T/in_group" "$@" >"$T/out" 2>"$T/err" || CODE=$?
}

# passing PID: it has loaded for the last time; the buffer of 20 MB comes at the end.
passing() {
	[ "$(awk '/^RssAnon/ { print $2 }' "/proc/$1/status")" -gt 20000 ]
}

# loaded EXPRESSION…: about the results `r` in $T/out.
loaded() {
	REPORT=$T/out reported "$@"
}

test_both_loaders_take_what_is_predicted() {
	local loader
	small_model Q4_0
	for loader in mmap read; do
		expect_exit 0 gguf load "$MODEL" --loader $loader --passes 3 --format json
		loaded 'abs(r["peak"]["anon"] + r["peak"]["file"] - r["predicted"]["anon"] - r["predicted"]["file"]) < 0.03 * (r["predicted"]["anon"] + r["predicted"]["file"])' \
			'r["passes"]["n"] == 3' 'r["weights"] > 0' 'r["kv"] == 3 * 4096 * 2 * 256 * 2' \
			'r["compute"] == 512 * 4 * (8192 + 2 * 1024)' 'r["warm"]["duration_ns"] > 0' \
			"r[\"loader\"] == \"$loader\"" "(r[\"repack\"] > 0) == (\"$loader\" == \"mmap\")"
	done
	loaded "r['peak']['anon'] > r['weights']"
	expect_exit 0 gguf load "$MODEL" --passes 1 --no-repack --cold-only --format json
	loaded 'r["repack"] == 0' '"warm" not in r' 'r["passes"]["n"] == 1' \
		'r["peak"]["anon"] < 1.03 * r["predicted"]["anon"]'
}

test_a_cold_load_reads_the_disk() {
	need_disk
	small_model
	cat "$MODEL" >"$T/copy"
	expect_exit 0 gguf load "$MODEL" --passes 1 --format json
	loaded 'r["cold"]["cached_before"] == 0' "r['cold']['read_bytes'] >= 0.98 * $BYTES" \
		'r["warm"]["read_bytes"] == 0' 'r["passes"]["read_bytes"] == 0'
}

# collapses PERCENT EXPRESSION…: under a limit of so much of the file.
collapses() {
	make_group $((BYTES * $1 / 100))
	shift
	in_group "$MODEL" --context 256 --passes 3 --format json
	expect_eq 0 "$CODE" 'exit code under a limit'
	loaded "$@"
	remove_group
	OWN_GROUP=''
}

# Some 23 MB are the loader's own: of the file no kernel can keep more than four fifths at 100 %,
# and than half at 70 %. How much less it keeps of what is read in turns is its own affair.
test_a_limit_makes_weights_be_read_again() {
	need_disk
	small_model
	collapses 160 'r["passes"]["reread_pct"] < 1' 'r["warm"]["read_bytes"] == 0'
	collapses 100 'r["passes"]["reread_pct"] > 20' 'r["passes"]["major_faults"] > 0'
	collapses 70 'r["passes"]["reread_pct"] > 50' 'r["warm"]["read_bytes"] > 0.5 * r["weights"]'
}

test_what_is_read_into_memory_must_fit() {
	small_model
	make_group "$BYTES"
	in_group "$MODEL" --context 256 --loader read
	expect_eq 137 "$CODE" 'exit code of what the kernel has killed'
}

# Of a loader that the kernel kills while it loads, and of one that it kills as it passes.
test_results_outlive_a_kill() {
	small_model
	make_group "$BYTES"
	BELOW=build/tools/page_keeper in_group "$MODEL" --context 256 --loader read
	loaded 'r["signal"] == 9' 'r["state"] == 1' "0 < r['weights'] <= $BYTES" \
		'r["cold_begin_ns"] > 0' 'r["cold_ns"] == 0' 'r["n_passes"] == r["kept"] == 0'
}

loader_below() {
	LOADER=$(pgrep -P "$1")
}

test_passes_outlive_a_kill() {
	small_model
	build/tools/page_keeper "$MEMPROBE" gguf load "$MODEL" --context 256 --duration 100 \
		--cold-only >"$T/out" 2>"$T/err" &
	track $!
	wait_until 60 loader_below $!
	wait_until 60 passing "$LOADER"
	sleep 2
	kill -KILL "$LOADER"
	wait $!
	loaded 'r["signal"] == 9' 'r["state"] == 3' 'r["n_passes"] == r["kept"] > 0' \
		'r["n_passes"] * r["weights"] <= r["passed"] < (r["n_passes"] + 1) * r["weights"] + 1'
}

# The supervisor is the same program: what it does is no load.
test_functions_of_the_loader_are_points() {
	small_model Q4_0
	hits mmap 1 3
	hits read 30 3
}

# hits LOADER READS ALLOCATIONS: of each of the two loads.
hits() {
	expect_exit 0 run --record "$T/stream.json" -- "$MEMPROBE" gguf load "$MODEL" --loader "$1" \
		--passes 1 --context 256
	check "$T/stream.json" 'point("model_loader.load_model").hits == 2' \
		'point("model_loader.load_model").returns == 2' \
		'point("shard_policy_manager.load_shard").hits == 2' \
		"point('file_handler.read_large_file').hits == 2 * $2" \
		"point('compressed_allocator.allocate').hits == 2 * $3" \
		'point("cache_manager.allocate_cache").hits == 2' \
		'point("model_loader.load_model").rss_delta.total > 2 * (50 << 20)'
}

test_a_file_that_is_cut_meanwhile() {
	small_model
	"$MEMPROBE" gguf load "$MODEL" --duration 100 --context 256 --cold-only >"$T/out" 2>"$T/err" &
	track $!
	wait_until 60 passing $!
	truncate -s 50M "$MODEL"
	CODE=0
	wait $! || CODE=$?
	expect_eq 3 "$CODE" 'exit code'
	expect_err "$MODEL: truncated to 52428800 bytes while it was in use: it had $BYTES"
}

test_interrupted_it_tells_what_it_has() {
	small_model
	env --default-signal=INT "$MEMPROBE" gguf load "$MODEL" --duration 100 --context 256 \
		--cold-only --format json >"$T/out" 2>"$T/err" &
	track $!
	wait_until 60 passing $!
	sleep 2
	kill -INT $!
	CODE=0
	wait $! || CODE=$?
	expect_eq 0 "$CODE" 'exit code'
	loaded 'r["passes"]["n"] > 0' 'r["passes"]["max_ns"] >= r["passes"]["p50_ns"] > 0'
}

test_errors() {
	expect_exit 2 gguf load
	expect_err 'which file'
	expect_exit 5 gguf load "$T/none.gguf"
	printf 'GGUF\3\0\0\0' >"$T/short.gguf"
	expect_exit 3 gguf load "$T/short.gguf"
	small_model
	expect_exit 2 gguf load "$MODEL" --loader exec
	MEMPROBE_LOAD_PAGE=1 expect_exit 2 gguf load "$MODEL"
	expect_err 'MEMPROBE_LOAD_PAGE=1'
	CODE=0
	(ulimit -v 300000 && "$MEMPROBE" gguf load "$MODEL" --context 100000) >"$T/out" 2>"$T/err" || CODE=$?
	expect_eq 7 "$CODE" 'exit code without memory'
	expect_err 'no memory for'
}
