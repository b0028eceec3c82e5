#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Watches a program's injection points; builds first where that was not done.
#
#   scripts/run_memory_probes.sh TARGET [OPTION...]     attach to a process (see `attach --help`)
#   scripts/run_memory_probes.sh [OPTION...] -- CMD...   run a command under watch
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
memprobe=$top/build/memprobe-bpf

usage() {
	sed -n '3,/^[^#]/s/^# \{0,1\}//p' "$0" >&2
	exit 2
}

[ $# -gt 0 ] || usage
[ -x "$memprobe" ] || "$top/scripts/build_memory_probes.sh" >&2
# The shipped points and policy, unless the caller has others.
export MEMPROBE_CONFIG_DIR=${MEMPROBE_CONFIG_DIR:-$top/configs}
for arg in "$@"; do
	[ "$arg" != -- ] || exec "$memprobe" run "$@"
done
case $1 in
-*) exec "$memprobe" attach "$@" ;;
esac
target=$1
shift
exec "$memprobe" attach --target "$target" "$@"
