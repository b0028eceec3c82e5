#!/usr/bin/env bash
# Prints compile_commands.json: the first argument is the compiler with its
# flags, the others are source files.
set -euo pipefail

command=${1//\\/\\\\}
command=${command//\"/\\\"}
shift
sep='['
for src in "$@"; do
	printf '%s\n{"directory": "%s", "file": "%s", "command": "%s -c %s"}' \
		"$sep" "$PWD" "$src" "$command" "$src"
	sep=','
done
printf '\n]\n'
