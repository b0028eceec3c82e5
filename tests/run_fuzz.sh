#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs each fuzzer given for FUZZ_SECONDS (5) from its corpus in
# tests/fuzz/corpus/NAME. Each counts as one test; with MP_RESULTS the counts
# are appended to that file too. An input that breaks a fuzzer is kept.
set -uo pipefail

passed=0 failed=0
for bin in "$@"; do
	name=$(basename "$bin")
	corpus=tests/fuzz/corpus/$name
	work=$(mktemp -d)
	log=$work/log
	mkdir -p "$work/new" "$corpus"
	if "$bin" -max_total_time="${FUZZ_SECONDS:-5}" -artifact_prefix="$work/" -close_fd_mask=1 \
		"$work/new" "$corpus" >"$log" 2>&1; then
		printf '%-28s %s\n' "$name" "$(grep -E '^Done' "$log" | tail -1)"
		rm -rf "$work"
		passed=$((passed + 1))
	else
		tail -40 "$log"
		printf '%-28s FAILED, input kept in %s\n' "$name" "$work"
		failed=$((failed + 1))
	fi
done
printf 'fuzz: %d passed, %d failed, 0 skipped\n' "$passed" "$failed"
[ -z "${MP_RESULTS:-}" ] || printf 'fuzz %d %d 0\n' "$passed" "$failed" >>"$MP_RESULTS"
[ "$failed" -eq 0 ]
