#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Installs what is missing and builds build/memprobe-bpf, and build/libmemprobe.so for programs in
# C and for the Python package.
#
#   scripts/build_memory_probes.sh [--clean] [--debug]
#
# --clean  builds everything anew
# --debug  builds the monitor with sanitizers, into build/debug, too
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
	sed -n '3,/^[^#]/s/^# \{0,1\}//p' scripts/build_memory_probes.sh
	exit "$1"
}

clean=no debug=no
for arg in "$@"; do
	case $arg in
	--clean) clean=yes ;;
	--debug) debug=yes ;;
	-h | --help) usage 0 ;;
	*) usage 2 >&2 ;;
	esac
done

scripts/install_deps.sh
[ $clean = no ] || make clean
make -j"$(nproc)" all
[ $debug = no ] || make -j"$(nproc)" DEBUG=1 all
printf 'built %s/build/memprobe-bpf and libmemprobe.so\n' "$PWD"
if command -v python3 >/dev/null; then
	PYTHONPATH=user/python MEMPROBE_LIBRARY=$PWD/build/libmemprobe.so python3 -c \
		'import memprobe; print("Python finds them: HAS_C_PROBES is", memprobe.HAS_C_PROBES)'
fi
