#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Memory pressure by a pattern in a device with little memory, with a report.
#
#   scripts/run_memory_env_test.sh [--environment NAME] [--mode MODE] [--duration TIME] [--target PCT]
#                                  [OPTION...] [-- CMD...]
#
#   --environment NAME   the device: a profile's name or id (4gb); test_low_memory_env.sh --list has all
#   --mode MODE          staircase, burst, sawtooth or allocate_full (burst)
#   --duration TIME      how long it is held, in seconds (5)
#   --target PCT         how full, in percent of the device's limit (70)
#
# CMD runs beside it, in the same device. Root is needed. The report is saved in logs/memory_tests.
# Other options are those of memprobe-bpf simple, which does the work.
set -euo pipefail

usage() {
	sed -n '3,/^[^#]/s/^# \{0,1\}//p' "$0"
}

environment=4gb mode=burst options=()
while [ $# -gt 0 ]; do
	case $1 in
	-h | --help)
		usage
		exit 0
		;;
	--environment=*) environment=${1#*=} ;;
	--mode=*) mode=${1#*=} ;;
	--environment | --mode)
		[ $# -gt 1 ] || {
			printf '%s: error: %s needs a value\n' "${0##*/}" "$1" >&2
			exit 2
		}
		[ "$1" = --mode ] && mode=$2 || environment=$2
		shift
		;;
	--) break ;;
	*) options+=("$1") ;;
	esac
	shift
done
# shellcheck source=scripts/find_memprobe.sh
. "$(dirname "$0")/find_memprobe.sh"
exec "$memprobe" simple --env "$environment" --mode "$mode" --save-report ${options[@]+"${options[@]}"} "$@"
