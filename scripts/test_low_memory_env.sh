#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Devices with little memory, to test on.
#
#   scripts/test_low_memory_env.sh --list                   the profiles there are
#   scripts/test_low_memory_env.sh --create-scripts [DIR]   a script for each, which runs a command in it
#   scripts/test_low_memory_env.sh --show-docker [NAME]     docker's command line, of one or of all
#   scripts/test_low_memory_env.sh --run NAME [-- CMD...]   run a command in one; without a command, fill
#                                                           70 % of it and tell what was reached
#
# NAME is a profile's name or id. Root is needed for --run. memprobe-bpf env does the work.
set -euo pipefail

usage() {
	sed -n '3,/^[^#]/s/^# \{0,1\}//p' "$0"
}

fail_usage() {
	printf '%s: error: %s\n\n' "${0##*/}" "$1" >&2
	usage >&2
	exit 2
}

[ $# -gt 0 ] || fail_usage 'say what to do'
option=$1
shift
case $option in
-h | --help)
	usage
	exit 0
	;;
esac
# shellcheck source=scripts/find_memprobe.sh
. "$(dirname "$0")/find_memprobe.sh"

case $option in
--list)
	[ $# -eq 0 ] || fail_usage "unexpected argument $1"
	exec "$memprobe" env list
	;;
--create-scripts)
	[ $# -le 1 ] || fail_usage "unexpected argument $2"
	exec "$memprobe" env create-scripts ${1:+--output-dir "$1"}
	;;
--show-docker)
	[ $# -le 1 ] || fail_usage "unexpected argument $2"
	exec "$memprobe" env docker ${1:+"$1"}
	;;
--run)
	[ $# -gt 0 ] || fail_usage '--run needs the name of a profile: see --list'
	name=$1
	shift
	[ "${1-}" != -- ] || shift
	[ $# -eq 0 ] || exec "$memprobe" env run "$name" -- "$@"
	exec "$memprobe" simple --mode burst --target 70 --duration 5 --env "$name"
	;;
*) fail_usage "unknown option $option" ;;
esac
