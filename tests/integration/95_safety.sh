# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# Nothing may harm the process under watch, whatever becomes of the monitor.

LIMIT=67108864
KILLS=${MP_KILLS:-200}

silent_point() {
	printf 'silent=low@%s/calls:probe_endbr' "$TARGETS"
}

# Holds for much longer than anybody waits here: only an undoing can end them.
holding_policy() {
	cat >"$T/policy.yaml" <<-EOT
		version: 1
		check_interval_ms: 50
		cooldown_ms: 50
		pressure: {level: high}
		actions: {gate_deadline_ms: 60000, freeze_max_ms: 60000, throttle_max_ms: 60000}
		levels:
		  high: {on: {critical: [throttle, freeze]}}
		  critical: {on: {critical: [gate]}}
	EOT
	cat >"$T/points.yaml" <<-EOT
		version: 1
		points:
		  - {name: load, level: critical, symbol: "gated:gated_load", args: [{index: 1, name: size, type: u64}]}
	EOT
}

# The group that can be frozen: on v1 in a hierarchy of its own.
make_freezer() {
	OWN_FREEZER=$OWN_GROUP
	[ ! -e "$OWN_GROUP/cgroup.freeze" ] || return 0
	[ -d /sys/fs/cgroup/freezer ] || skip 'no freezer here'
	OWN_FREEZER=/sys/fs/cgroup/freezer/mp-test-$$
	mkdir "$OWN_FREEZER"
}

remove_freezer() {
	[ "$OWN_FREEZER" = "$OWN_GROUP" ] || rmdir "$OWN_FREEZER"
}

start_in_both() {
	cat >"$T/in_both" <<-EOT
		#!/bin/sh
		echo \$\$ >$OWN_GROUP/cgroup.procs
		echo \$\$ >$OWN_FREEZER/cgroup.procs
		program=$TARGETS/\$1
		shift
		exec "\$program" "\$@"
	EOT
	chmod +x "$T/in_both"
	start_target "$T/in_both" "$@"
}

# control FILE: FILE=what it holds now, where there is such a file.
control() {
	[ ! -e "$1" ] || printf '%s=%s\n' "$1" "$(cat "$1")"
}

test_kill9_of_the_monitor() {
	local controls
	make_group $LIMIT
	make_freezer
	holding_policy
	start_in_both gated --base $((LIMIT * 92 / 100)) --bytes 4096 --calls 100000000 --pause 1000
	mapfile -t controls < <(
		control "$OWN_FREEZER/cgroup.freeze"
		control "$OWN_FREEZER/freezer.state"
		control "$OWN_GROUP/memory.high"
	)
	python3 tests/integration/kill9.py "$MEMPROBE" "$TARGET_PID" "$T/policy.yaml" "$T/points.yaml" \
		"$KILLS" "${controls[@]}" || fail 'see above'
	kill -KILL "$TARGET_PID"
	end_target
	remove_freezer
}

# A monitor that stops answering does not keep a process beyond its deadline.
test_hung_monitor() {
	make_group $LIMIT
	holding_policy
	sed -i 's/gate_deadline_ms: 60000/gate_deadline_ms: 500/; /high:/d' "$T/policy.yaml"
	start_in_group gated --base $((LIMIT * 92 / 100)) --bytes 4096 --calls 1 --wait
	start_monitor --target "$TARGET_PID" --enforce --policy "$T/policy.yaml" --points "$T/points.yaml"
	kill -STOP "$MONITOR_PID"
	release
	end_target
	expect_eq 0 "$TARGET_CODE" 'exit code of the target'
	kill -CONT "$MONITOR_PID"
	end_monitor
}

# kill_policy KEY: kill at critical, and one more key.
kill_policy() {
	printf '%s\n' 'version: 1' 'check_interval_ms: 50' 'cooldown_ms: 0' 'pressure: {level: high}' \
		'levels: {high: {on: {critical: [kill]}}}' "$@" >"$T/policy.yaml"
	printf '%s' "$T/policy.yaml"
}

# not_killed REASON [MONITOR-ARG…]: the target fills up, stays, and is left alone for a reason.
not_killed() {
	local reason=$1
	shift
	start_monitor --target "$TARGET_PID" --enforce --point "$(silent_point)" "$@"
	release
	wait_until 20 has_line '"action":"kill"' "$T/out.json"
	stop_monitor
	state_is "$TARGET_PID" T || fail 'the target was touched'
	check '{a.result for a in of("action") if a.action == "kill"} == {"skipped"}' \
		"any('$reason' in a.detail for a in of('action') if a.action == 'kill')"
	kill -CONT "$TARGET_PID"
	end_target
	expect_eq 0 "$TARGET_CODE" 'exit code of the target'
}

test_protected_name_is_not_killed() {
	make_group $LIMIT
	start_in_group calls --function grow --calls 59 --bytes 1048576 --stop --wait
	not_killed protect --policy "$(kill_policy 'protect: {comm: [calls]}')"
}

test_protected_group_is_not_killed() {
	make_group $LIMIT
	start_in_group calls --function grow --calls 59 --bytes 1048576 --stop --wait
	not_killed protect --policy "$(kill_policy "protect: {cgroup: [\"$(memory_path "$OWN_GROUP")\"]}")"
}

# Path of a group below the memory controller's mount.
memory_path() {
	local path=${1#/sys/fs/cgroup}
	printf '%s' "${path#/memory}"
}

test_oom_score_adj_minus_1000_is_not_killed() {
	(echo -1000 >/proc/self/oom_score_adj) 2>/dev/null || skip 'oom_score_adj cannot be lowered here'
	make_group $LIMIT
	cat >"$T/exempt" <<-EOT
		#!/bin/sh
		echo \$\$ >$OWN_GROUP/cgroup.procs
		echo -1000 >/proc/self/oom_score_adj
		exec $TARGETS/calls --function grow --calls 59 --bytes 1048576 --stop --wait
	EOT
	chmod +x "$T/exempt"
	start_target "$T/exempt"
	not_killed -1000 --policy "$(kill_policy)"
}

capabilities_of() {
	sed -n "s/^CapEff:\t//p" "/proc/$1/status"
}

# What a root monitor keeps: nothing that has to do with the network, modules or users.
test_privileges_are_dropped() {
	local kept locked
	start_target calls --function push --wait
	start_monitor --target "$TARGET_PID" --point "push=low@$TARGETS/calls:probe_push"
	kept=$((16#$(capabilities_of "$MONITOR_PID")))
	locked=$(awk '$1 == "VmLck:" { print $2 }' "/proc/$MONITOR_PID/status")
	finish_target
	end_monitor
	# CAP_CHOWN 0, SETUID 7, NET_ADMIN 12, NET_RAW 13, SYS_MODULE 16, SYS_BOOT 22
	expect_eq 0 $((kept & (1 << 0 | 1 << 7 | 1 << 12 | 1 << 13 | 1 << 16 | 1 << 22))) 'capabilities kept'
	[ $((kept & 1 << 39)) -ne 0 ] || fail 'CAP_BPF was dropped'
	[ "$locked" -gt 0 ] || fail 'none of its memory is locked'
}

# The one that undoes what others did keeps what that takes. CAP_KILL 5, DAC_OVERRIDE 1, SYS_PTRACE 19, BPF 39
test_guardian_drops_privileges() {
	local guardian kept
	make_group $LIMIT
	holding_policy
	start_in_group gated --base $((LIMIT * 50 / 100)) --bytes 4096 --calls 1 --wait
	start_monitor --target "$TARGET_PID" --enforce --policy "$T/policy.yaml" --points "$T/points.yaml"
	guardian=$(pgrep -P "$MONITOR_PID" -x memprobe-guard) || fail 'there is no guardian'
	kept=$((16#$(capabilities_of "$guardian")))
	finish_target
	end_monitor
	expect_eq 0 $((kept & ~(1 << 5 | 1 << 1 | 1 << 19 | 1 << 39))) 'what the guardian need not keep'
	[ $((kept & 1 << 5)) -ne 0 ] || fail 'CAP_KILL was dropped'
	gone "$guardian" || fail 'the guardian is still there'
}

# CAP_BPF and CAP_PERFMON are enough to watch the own user's processes.
test_observer_with_two_capabilities() {
	local as_user caps=-all,+bpf,+perfmon
	need setpriv
	expect_exit 0 doctor --format json
	grep -q '"name": *"uprobe_multi","present": *true' "$T/out" || skip 'no uprobe_multi: CAP_SYS_ADMIN is needed'
	as_user=(setpriv --reuid 65534 --regid 65534 --clear-groups "--inh-caps=$caps"
		"--ambient-caps=$caps" "--bounding-set=$caps")
	cp "$TARGETS/calls" "$T/calls"
	cp -r "$MEMPROBE_CONFIG_DIR" "$T/configs"
	cp "$MEMPROBE" "$T/memprobe-bpf"
	chmod 1777 "$T"
	start_target "$(command -v setpriv)" --reuid 65534 --regid 65534 --clear-groups "$T/calls" --function push --calls 101 --wait
	MEMPROBE_CONFIG_DIR=$T/configs "${as_user[@]}" "$T/memprobe-bpf" attach --format json --target "$TARGET_PID" \
		--point "push=high@$T/calls:probe_push" >"$T/out.json" 2>"$T/err" &
	MONITOR_PID=$!
	track $MONITOR_PID
	wait_until 20 monitor_ready_or_gone
	has_line '"type": *"start"' "$T/out.json" || fail 'the observer did not start'
	finish_target
	end_monitor
	expect_eq 0 "$MONITOR_CODE" 'exit code'
	check 'point("push").hits == 101 and summary.complete'
	expect_err 'without cap_sys_ptrace'
}
