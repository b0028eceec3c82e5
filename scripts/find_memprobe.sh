# shellcheck shell=bash disable=SC2034 # whoever sources this uses it
# SPDX-License-Identifier: GPL-2.0-only
# Sourced by scripts that call memprobe-bpf. Sets memprobe: $MEMPROBE_BPF, the one that is built
# here, or the one that is installed. The one built here reads the configs beside it.
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if [ -n "${MEMPROBE_BPF:-}" ]; then
	memprobe=$MEMPROBE_BPF
elif [ -x "$top/build/memprobe-bpf" ]; then
	memprobe=$top/build/memprobe-bpf
	export MEMPROBE_CONFIG_DIR=${MEMPROBE_CONFIG_DIR:-$top/configs}
elif ! memprobe=$(type -P memprobe-bpf); then
	printf '%s: error: there is no memprobe-bpf: run %s/scripts/build_memory_probes.sh, or install it\n' \
		"${0##*/}" "$top" >&2
	exit 6
fi
