#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Every static check of the sources, or those named: format tidy cppcheck shell types
# includes lengths words. Prints all problems; exit code 1 if there is one. A
# check by a tool of another version than the sources are kept with is skipped.
# Needs compile_commands.json and the generated skeleton: run it by `make lint`.
# With MP_RESULTS the checks, as one, and the skips are appended to that file.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly MAX_FUNCTION_LINES=80
# Those of Debian 12. Each version formats differently and warns about other things.
declare -Ar KEPT_WITH=([format]='clang-format 14' [tidy]='clang-tidy 14' [cppcheck]='cppcheck 2.10'
	[shell]='shellcheck 0.9' [types]='mypy 1.0')

# Fails, and says why, when a check's tool is not of the version that it is kept with.
has_version() {
	local tool version found
	[ -n "${KEPT_WITH[$1]:-}" ] || return 0
	read -r tool version <<<"${KEPT_WITH[$1]}"
	found=$("$tool" --version 2>/dev/null | grep -oE '[0-9]+(\.[0-9]+)+' | head -n 1) || found=none
	case $found in
	"$version" | "$version".*) return 0 ;;
	esac
	printf 'kept with %s %s, here is %s' "$tool" "$version" "$found"
	return 1
}

# Tracked files and new ones, so that a check sees a file before its first commit.
files() {
	git ls-files --cached --others --exclude-standard -- "$@" 2>/dev/null | sort -u |
		while IFS= read -r file; do
			[ ! -f "$file" ] || printf '%s\n' "$file"
		done
}

check_format() {
	local file bad=0
	while IFS= read -r file; do
		clang-format --dry-run -Werror "$file" 2>/dev/null && continue
		printf '%s: not formatted: clang-format -i %s\n' "$file" "$file"
		bad=1
	done < <(files '*.c' '*.h')
	return $bad
}

# The flags are gcc's; of clang's own warnings only the checks of .clang-tidy count.
check_tidy() {
	python3 -c 'import json; [print(c["file"]) for c in json.load(open("compile_commands.json"))]' |
		xargs -P "$(nproc)" -n 2 clang-tidy --quiet -p . 2>/dev/null |
		{ grep -E ': (error|warning): ' || true; } | sed "s|^$PWD/||"
}

check_cppcheck() {
	local suppressions=(
		# cppcheck sees no system headers and need not: the compilers have.
		--suppress=missingIncludeSystem
		--suppress=missingInclude
		# Interfaces are used by other files, or by tests.
		--suppress=unusedFunction
		# Callbacks have the signature that their table asks for.
		--suppress=constParameterCallback
		--suppress=constParameter
		# A declaration at the top of a function is kernel style.
		--suppress=variableScope
		# It does not know __attribute__((cleanup)), by which everything here is
		# freed: LeakSanitizer in the unit tests does.
		--suppress=memleak
		--suppress=unreadVariable
		# Records of the kernel have all their fields, also those that are not read.
		--suppress=unusedStructMember
		# A chain of tests for the same thing in two forms reads better than a clever one.
		--suppress=knownConditionTrueFalse
	)
	mkdir -p build/cppcheck
	files 'user/*.c' 'tests/targets/*.c' 'tests/bench/*.c' |
		grep -v '\.bpf\.c$' |
		cppcheck --quiet --enable=warning,style,performance,portability --std=c11 \
			--inline-suppr --error-exitcode=1 --cppcheck-build-dir=build/cppcheck \
			--template='{file}:{line}: {severity}: {message} [{id}]' \
			-j "$(nproc)" -D'json_object_foreach(object, key, value)=while ((key = name_of(object)) && (value = value_of(object)))' \
			-D'LIBBPF_OPTS(type, name, ...)=struct type name = {0}' -D_GNU_SOURCE -D__x86_64__ -Iuser -Ibpf \
			"${suppressions[@]}" --file-list=- 2>&1
}

check_shell() {
	files | while IFS= read -r file; do
		case $(head -c 32 "$file" | tr -d '\0' | head -n 1) in
		'#!'*sh*) printf '%s\n' "$file" ;;
		esac
	done | xargs -r shellcheck -x
}

# The package, by the oldest Python that it is for; what uses it runs under the newest.
check_types() {
	mypy --strict --python-version 3.8 --cache-dir build/mypy --no-error-summary user/python/memprobe
}

check_includes() {
	scripts/include_map.py
}

check_lengths() {
	files '*.c' '*.h' | xargs -r ctags -f - --fields=+ne --kinds-C=f --sort=no |
		awk -F '\t' -v max="$MAX_FUNCTION_LINES" '
			{
				for (i = 4; i <= NF; i++) {
					if ($i ~ /^line:/) first = substr($i, 6)
					if ($i ~ /^end:/) last = substr($i, 5)
				}
				if (last - first + 1 > max) {
					printf "%s:%d: %s() has %d lines, at most %d\n",
						$2, first, $1, last - first + 1, max
					bad = 1
				}
			}
			END { exit bad }'
}

check_words() {
	# The words are put together here, so that this file does not find itself.
	! files | grep -v '^LICENSE$' | xargs -r grep -nIE "TO""DO|FIX""ME|(^|[^X])X""XX([^X]|\$)"
}

main() {
	local checks=("$@") failed=0 skipped=0 check output
	[ $# -gt 0 ] || checks=(format includes lengths words shell types cppcheck tidy)
	for check in "${checks[@]}"; do
		if ! output=$(has_version "$check"); then
			printf '  %-8s skip: %s\n' "$check" "$output"
			skipped=$((skipped + 1))
		elif output=$("check_$check" 2>&1); then
			printf '  %-8s ok\n' "$check"
		else
			printf '  %-8s FAILED\n%s\n' "$check" "$output"
			failed=1
		fi
	done
	[ -z "${MP_RESULTS:-}" ] ||
		printf 'lint %d %d %d\n' $((1 - failed)) $failed $skipped >>"$MP_RESULTS"
	return $failed
}

main "$@"
