#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs the unit test programs given and closes with one count of their tests.
# With MP_RESULTS the counts are appended to that file too.
set -uo pipefail

passed=0 failed=0 skipped=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# TSan of today does not know how far apart kernels of today may map things.
run() {
	case $1 in
	*/tsan/*) ! setarch -R true 2>/dev/null || set -- setarch -R "$@" ;;
	esac
	"$@"
}

for bin in "$@"; do
	run "$bin" >"$log" 2>&1
	code=$?
	p=$(grep -c '^\[       OK \]' "$log")
	# Each is named where it failed and, again, at the end.
	f=$(grep -E '^\[  FAILED  \] [a-z_0-9]+$' "$log" | sort -u | wc -l)
	s=$(grep -c '^\[  SKIPPED \] [a-z_0-9]*$' "$log")
	if [ "$code" -ne 0 ] || [ "$p" -eq 0 ]; then
		cat "$log"
		[ "$f" -gt 0 ] || f=1
	fi
	printf '%-28s %3d passed\n' "$(basename "$bin")" "$p"
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
done
printf 'unit: %d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ -z "${MP_RESULTS:-}" ] || printf 'unit %d %d %d\n' "$passed" "$failed" "$skipped" >>"$MP_RESULTS"
[ "$failed" -eq 0 ]
