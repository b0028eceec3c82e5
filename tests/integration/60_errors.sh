# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# What cannot work is said in one line, with the code that is documented.

one_line_error() {
	expect_eq 1 "$(wc -l <"$T/err")" 'lines on stderr'
	grep -q '^memprobe-bpf: error: ' "$T/err" || fail 'the message does not begin as it should'
}

test_not_root() {
	need setpriv
	CODE=0
	# The tree may be in a folder that only root can enter.
	cp -r "$MEMPROBE" configs "$T"
	chmod -R a+rX "$T"
	MEMPROBE_CONFIG_DIR=$T/configs setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all --bounding-set=-all \
		"$T/memprobe-bpf" attach --target $$ --point 'a=low@x:y' >"$T/out" 2>"$T/err" || CODE=$?
	expect_eq 4 "$CODE" 'exit code'
	grep -qE 'CAP_(BPF|SYS_ADMIN|PERFMON)' "$T/err" || fail 'the capability is not named'
	one_line_error
}

test_no_btf() {
	need_mount_namespace
	[ -e /sys/kernel/btf/vmlinux ] || skip 'no BTF to hide'
	CODE=0
	# shellcheck disable=SC2016
	unshare -m sh -c 'mount -t tmpfs none /sys/kernel/btf && shift && exec "$@"' sh - \
		"$MEMPROBE" attach --target $$ --point "a=low@$TARGETS/calls:probe_push" \
		>"$T/out" 2>"$T/err" || CODE=$?
	expect_eq 6 "$CODE" 'exit code'
	expect_err 'BTF'
	one_line_error
}

test_ring_too_large() {
	start_target calls --calls 11 --wait
	expect_exit 6 attach --target "$TARGET_PID" --point "a=low@$TARGETS/calls:probe_push" \
		--ring-size 1T
	one_line_error
	finish_target
}

test_ring_size_that_is_malformed() {
	expect_exit 2 attach --target $$ --point 'a=low@x:y' --ring-size 12q
	expect_exit 2 attach --target $$ --point 'a=low@x:y' --ring-size 0
}

# $1: what must be said; standard input: the file.
bad_points() {
	cat >"$T/points.yaml"
	expect_exit 3 probes list --binary "$TARGETS/calls" --points "$T/points.yaml"
	expect_err "points.yaml:$1"
	one_line_error
}

test_points_with_errors() {
	bad_points '3:5: ' <<-EOT
		version: 1
		points:
		  - nmae: a
		    level: low
	EOT
	expect_err 'name'
	bad_points '4:12: ' <<-EOT
		version: 1
		points:
		  - name: a
		    level: hihg
		    symbol: x
	EOT
	expect_err 'high'
	bad_points '5:' <<-EOT
		version: 1
		points:
		  - name: a
		    level: low
		   symbol: x
	EOT
	expect_exit 3 probes list --binary "$TARGETS/calls" --points "$T/none.yaml"
	expect_err 'none.yaml'
}

test_policy_with_errors() {
	start_target calls --calls 11 --wait
	printf 'version: 1\nlevels:\n  low: {on: {critical: [defrost]}}\n' >"$T/policy.yaml"
	expect_exit 3 attach --target "$TARGET_PID" --point "a=low@$TARGETS/calls:probe_push" \
		--policy "$T/policy.yaml"
	expect_err 'policy.yaml:3:'
	expect_err 'defrost'
	printf 'version: 1\nthresholds: {warning: 90, gc: 85}\n' >"$T/policy.yaml"
	expect_exit 3 attach --target "$TARGET_PID" --point "a=low@$TARGETS/calls:probe_push" \
		--policy "$T/policy.yaml"
	expect_err 'policy.yaml:2:'
	finish_target
}

# As root a hook must be root's alone.
test_hook_that_others_can_write() {
	[ "$(id -u)" -eq 0 ] || skip 'only root is that careful'
	printf '#!/bin/sh\n' >"$T/hook"
	chmod 777 "$T/hook"
	printf 'version: 1\nlevels:\n  low: {on: {critical: ["hook:%s"]}}\n' "$T/hook" >"$T/policy.yaml"
	start_target calls --calls 11 --wait
	memprobe attach --target "$TARGET_PID" --point "a=low@$TARGETS/calls:probe_push" --policy "$T/policy.yaml"
	[ "$CODE" -eq 3 ] || [ "$CODE" -eq 4 ] || fail "exit code $CODE for a hook that others can write"
	expect_err "$T/hook"
	finish_target
}

test_usage() {
	expect_exit 2 attach
	expect_err '--target'
	expect_exit 2 attach --target $$ --no-such-option
	expect_err '--no-such-option'
	expect_exit 2 atach
	expect_err 'attach'
	expect_exit 2
	expect_exit 2 attach --target $$ --point 'a=urgent@x:y'
	expect_err 'urgent'
	expect_exit 2 run
	expect_exit 2 attach --target $$ --duration -1
	expect_exit 2 attach --target $$ --format xml
}

test_help_and_version() {
	local command
	expect_exit 0 --version
	grep -qE '^memprobe-bpf [0-9]+\.[0-9]+\.[0-9]+' "$T/out" || fail "version: $(cat "$T/out")"
	expect_exit 0 --help
	for command in attach run probes doctor; do
		grep -q "^ *$command " "$T/out" || fail "--help does not list $command"
	done
	for command in attach run probes doctor; do
		expect_exit 0 $command --help
		[ -s "$T/out" ] || fail "$command --help is empty"
		expect_narrow "$T/out"
	done
}

test_doctor() {
	expect_exit 0 doctor
	[ -s "$T/out" ] || fail 'doctor says nothing'
	expect_exit 0 doctor --format json
	python3 -m json.tool "$T/out" >/dev/null || fail 'not JSON'
}

# A point without a place is an error, unless it may be absent.
test_point_that_is_nowhere() {
	start_target calls --calls 11 --wait
	expect_exit 1 probes check --target "$TARGET_PID" --point 'a=low@calls:no_such_function'
	cat >"$T/points.yaml" <<-EOT
		version: 1
		points:
		  - {name: a, level: low, symbol: "calls:no_such_function", optional: true}
	EOT
	expect_exit 0 probes check --target "$TARGET_PID" --points "$T/points.yaml"
	finish_target
}
