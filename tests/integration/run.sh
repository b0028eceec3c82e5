#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs the integration tests: all, or those whose "topic/name" matches a
# pattern given (run.sh 'follow*' '*/test_rss*'). Prints "ok", "not ok" or
# "skip" for each, and counts them. A skip that expected_skips does not list is
# a failure. With MP_RESULTS the counts are appended to that file too.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly HERE=tests/integration
readonly LIMIT=${MP_TEST_SECONDS:-120}
passed=0 failed=0 skipped=0

# One test in a shell of its own, so that nothing of it stays. $1: file, $2: function, $3: folder.
run_one() {
	# shellcheck disable=SC2016 # the inner shell expands these
	timeout --kill-after=5 "$LIMIT" bash -c '
		set -euo pipefail
		T=$3
		. tests/integration/lib.sh
		. "$1"
		trap end_own EXIT
		trap "exit 143" TERM INT
		"$2"
	' test "$1" "$2" "$3" </dev/null >"$3/log" 2>&1
}

expected_skip() {
	grep -qE "^$1([[:space:]]|\$)" $HERE/expected_skips
}

# $1: name, $2: exit code, $3: folder.
verdict() {
	local why
	case $2 in
	0)
		printf 'ok     %s\n' "$1"
		passed=$((passed + 1))
		;;
	77)
		why=$(cat "$3/skip")
		if expected_skip "$1"; then
			printf 'skip   %s: %s\n' "$1" "$why"
			skipped=$((skipped + 1))
		else
			printf 'not ok %s: skipped, which is not expected: %s\n' "$1" "$why"
			failed=$((failed + 1))
		fi
		;;
	*)
		[ "$2" -ne 124 ] || printf 'took longer than %s s\n' "$LIMIT" >>"$3/log"
		printf 'not ok %s:\n' "$1"
		tail -n 30 "$3/log" | sed 's/^/         /'
		failed=$((failed + 1))
		;;
	esac
}

wanted() {
	local name=$1 pattern
	shift
	[ $# -gt 0 ] || return 0
	for pattern in "$@"; do
		# shellcheck disable=SC2053 # a pattern, on purpose
		[[ $name == $pattern || ${name#*/} == $pattern ]] && return 0
	done
	return 1
}

tests_of() {
	sed -n 's/^\(test_[a-z0-9_]*\)().*/\1/p' "$1"
}

main() {
	local file topic name code dir
	for file in "$HERE"/[0-9][0-9]_*.sh; do
		topic=$(basename "$file" .sh)
		for name in $(tests_of "$file"); do
			wanted "${topic#*_}/$name" "$@" || continue
			dir=$(mktemp -d /tmp/mp-test.XXXXXX)
			code=0
			run_one "$file" "$name" "$dir" || code=$?
			verdict "${topic#*_}/$name" $code "$dir"
			rm -rf "$dir"
		done
	done
	printf 'integration: %d passed, %d failed, %d skipped\n' $passed $failed $skipped
	[ -z "${MP_RESULTS:-}" ] ||
		printf 'integration %d %d %d\n' $passed $failed $skipped >>"$MP_RESULTS"
	[ $failed -eq 0 ]
}

main "$@"
