#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs the benchmarks: all, or those named (cost marker watchpoint attach attach_python
# throughput idle sources latency lib python injection relief harness gguf load).
# Prints each figure beside its target; never fails for a figure that is missed.
# The comparison with other responders to memory pressure is tests/bench/responders.
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ "$(id -u)" -ne 0 ]; then
	printf 'bench: needs root\n' >&2
	exit 4
fi
exec python3 tests/bench/bench.py "$@"
