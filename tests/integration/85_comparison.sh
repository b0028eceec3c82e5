# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# The arithmetic of the comparison with other responders; tests/bench/responders
# itself takes a virtual machine and half an hour.

test_self_test() {
	[ -x tests/bench/responders ] || skip 'the benchmarks are not here'
	tests/bench/responders --self-test >"$T/out" || fail "the arithmetic is wrong: $(cat "$T/out")"
}
