#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Installs what is missing, builds, and runs every test: static checks (counted
# as one), unit tests, the Python package's, fuzzers for FUZZ_SECONDS (5) each,
# integration tests, and on the oldest and the newest kernel those that depend most
# on it. Needs root for the integration tests. Closes with a line
# "N passed, N failed, N skipped".
set -euo pipefail
cd "$(dirname "$0")/.."

MP_RESULTS=$(mktemp)
export MP_RESULTS
export FUZZ_SECONDS=${FUZZ_SECONDS:-5}
trap 'rm -f "$MP_RESULTS"' EXIT

readonly KERNELS=(6.1 newest)
readonly VM_TESTS=('vm/*' 'scenarios/*' 'memory/*' 'pressure/*' 'actions/*' 'follow/*' 'safety/*'
	'counts/test_prime*' 'counts/test_eight*' 'harness/test_swap' 'harness/test_no_oom_around'
	'harness/test_oom_is_an_outcome' 'harness/test_kill9*' 'env/test_limit_is*' 'env/test_swap*'
	'env/test_kill9_leaves*' 'load/test_a_limit*' 'load/test_*must_fit' 'rehearse_models/test_what_*')

headline() {
	printf '\n== %s\n' "$*"
}

# Runs one part. A part that fails without a count of its own (it did not even
# build) counts as one failure, so that it cannot be overlooked.
part() {
	local name=$1
	shift
	headline "$name"
	if ! "$@" && ! grep -q "^$name [0-9]* [1-9]" "$MP_RESULTS"; then
		printf '%s 0 1 0\n' "$name" >>"$MP_RESULTS"
	fi
}

# Without QEMU or a kernel this is skipped; where CI is to vouch for it, it fails.
vm() {
	local why
	if why=$(scripts/install_deps.sh --vm 2>&1 && tests/vm/run -f "${KERNELS[@]}" 2>&1); then
		MP_KILLS=${MP_KILLS:-25} tests/vm/run -j 2 "${VM_TESTS[@]/#/-t}" "${KERNELS[@]}"
		return
	fi
	printf '%s\n' "${why##*$'\n'}"
	[ "${CI:-}" != true ] || return 1
	printf 'skip   vm: no machine with another kernel can be had here\n'
	printf 'vm 0 0 1\n' >>"$MP_RESULTS"
}

main() {
	local jobs
	jobs=$(nproc)
	headline 'dependencies'
	scripts/install_deps.sh --test
	headline 'build'
	if make -j"$jobs" all targets; then
		part lint make lint
		part unit make -j"$jobs" unit
		part python make python
		part fuzz make -j"$jobs" fuzz
		part integration make integration
		part vm vm
	else
		printf 'build 0 1 0\n' >>"$MP_RESULTS"
	fi
	printf '\n'
	awk '{ p += $2; f += $3; s += $4 }
		END { printf "%d passed, %d failed, %d skipped\n", p, f, s; exit f > 0 || p == 0 }' "$MP_RESULTS"
}

main "$@"
