# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# What can be held against the kernel that runs, and what only cgroup v2 has.
# run puts this file beside the integration tests in the virtual machine.

# kernel_is_at_least 6.2
kernel_is_at_least() {
	[ "$(printf '%s\n%s\n' "$1" "$(uname -r)" | sort -V | head -n 1)" = "$1" ]
}

# doctor_has FEATURE KERNEL: it is there from that kernel on, and not before.
doctor_has() {
	local expected=False
	! kernel_is_at_least "$2" || expected=True
	expect_eq "$expected" "$(python3 -c '
import json, sys
rows = json.load(open(sys.argv[1]))["features"]
print(next(row["present"] for row in rows if row["name"] == sys.argv[2]))' "$T/out" "$1")" \
		"$1 on $(uname -r)"
}

test_machine_is_what_the_tests_are_about() {
	grep -qw memory /sys/fs/cgroup/cgroup.controllers || fail 'no memory controller on cgroup v2'
	[ -r /proc/pressure/memory ] || fail 'no PSI'
	expect_eq 2 "$(nproc)" 'processors'
}

# What was found by trying, against what the kernels' histories say.
test_doctor_knows_this_kernel() {
	expect_exit 0 doctor --format json
	doctor_has btf 5.4
	doctor_has ringbuf 5.8
	doctor_has uprobe_perf 5.15
	doctor_has uprobe_multi 6.6
	doctor_has uprobe_multi_pid 6.10
	doctor_has preempt_disable 6.10
	doctor_has process_tracking 5.5
	doctor_has memory_cgroup 5.4
	grep -q '"cgroup_mode": *"v2"' "$T/out" || fail "not v2: $(cat "$T/out")"
}

# Says so, in order: no program of ours can be loaded there.
test_kernel_that_is_too_old() {
	kernel_is_at_least 5.15 && skip 'this kernel is not too old'
	expect_exit 6 doctor
	expect_exit 6 doctor --format json
	grep -q '"can_attach": *false' "$T/out" || fail "doctor: $(cat "$T/out")"
	grep -q '5\.15' "$T/out" || fail "doctor does not say which kernel is needed: $(cat "$T/out")"
	expect_exit 6 attach --target $$ --point 'write=low@libc.so.6:write'
	expect_err '5.15'
	expect_eq 1 "$(wc -l <"$T/err")" 'lines on stderr'
}

# The command's group is the monitor's, as with `systemd-run -p MemoryMax=64M`. Only
# the command may be chosen: before its memory is free the kernel may look again. Once it
# is free the monitor may still see the group as it is then: normal.
test_run_that_is_oom_killed() {
	make_group 67108864
	# shellcheck disable=SC2016
	printf '#!/bin/sh\necho $$ >%s/cgroup.procs\necho -1000 >/proc/self/oom_score_adj\nexec "$@"\n' \
		"$OWN_GROUP" >"$T/enter"
	# shellcheck disable=SC2016
	printf '#!/bin/sh\necho 1000 >/proc/self/oom_score_adj\nexec "$@"\n' >"$T/offer"
	chmod +x "$T/enter" "$T/offer"
	CODE=0
	"$T/enter" "$MEMPROBE" run --format json --record "$T/record.json" \
		--point "grow=critical@$TARGETS/calls:probe_grow" --policy "$(every_call_policy)" -- \
		"$T/offer" "$TARGETS/calls" --function grow --calls 101 --bytes 1048576 >"$T/out" 2>"$T/err" || CODE=$?
	expect_eq 7 "$CODE" 'exit code'
	check "$T/record.json" \
		'all(r.limit == 64 << 20 for r in probes())' \
		'all(r.cgroup.endswith("'"${OWN_GROUP##*/}"'") for r in probes())' \
		'[d.severity for d in of("decision") if d.severity != d.previous][:3] == ["warning", "gc", "critical"]' \
		'0 < point("grow").returns < point("grow").hits <= 64' \
		'stop.exit_code == 7'
	grep -q '^oom_kill 1$' "$OWN_GROUP/memory.events" || fail "memory.events: $(cat "$OWN_GROUP/memory.events")"
}

# The limit of a group above is the one that counts.
test_limit_of_a_group_above() {
	local above
	make_group 67108864
	above=$OWN_GROUP
	echo +memory >"$above/cgroup.subtree_control"
	mkdir "$above/below"
	OWN_GROUP=$above/below
	start_in_group calls --function grow --calls 11 --bytes 1048576 --wait
	start_monitor --target "$TARGET_PID" --point "grow=high@$TARGETS/calls:probe_grow" \
		--policy "$(every_call_policy)"
	finish_target
	end_monitor
	check 'all(r.limit == 64 << 20 for r in probes())' \
		'all(r.cgroup.endswith("/below") for r in probes())' \
		'probes("grow", "exit")[-1].usage >= 11 << 20'
	rmdir "$OWN_GROUP"
	OWN_GROUP=$above
}
