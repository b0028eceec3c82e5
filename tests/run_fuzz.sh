#!/usr/bin/env bash
# Runs each fuzzer given for FUZZ_SECONDS (5) from its corpus in tests/fuzz/corpus/NAME.
set -uo pipefail

failed=0
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
	else
		tail -40 "$log"
		printf '%-28s FAILED, input kept in %s\n' "$name" "$work"
		failed=1
	fi
done
exit $failed
