#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Watches a program's injection points, or tries out the probes of the Python package; builds
# first where that was not done.
#
#   scripts/run_memory_probes.sh TARGET [OPTION...]     attach to a process (see `attach --help`)
#   scripts/run_memory_probes.sh [OPTION...] -- CMD...   run a command under watch
#   scripts/run_memory_probes.sh --self-test [--python-only | --c-only] [--pressure]
#
# --self-test    what check_memory(), decorators and relief do on this machine, and cost
# --python-only  without libmemprobe.so; --c-only: not without it; --pressure: relief of 200 MB,
#                too. Each of the three also means --self-test.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
memprobe=$top/build/memprobe-bpf

usage() {
	sed -n '3,/^[^#]/s/^# \{0,1\}//p' "$0"
	exit "$1"
}

[ $# -gt 0 ] || usage 2 >&2
[ "$1" != --help ] || usage 0
if [ ! -x "$memprobe" ] || [ ! -e "$top/build/libmemprobe.so" ]; then
	"$top/scripts/build_memory_probes.sh" >&2
fi
case $1 in
--self-test) shift ;&
--python-only | --c-only | --pressure)
	export PYTHONPATH=$top/user/python${PYTHONPATH:+:$PYTHONPATH}
	exec python3 -m memprobe "$@"
	;;
esac
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
