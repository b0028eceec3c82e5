# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# Actions: each does what it says, measures what that gave, and lets go in the end.

LIMIT=67108864

# act_policy ACTION… : all of them at critical, of points and of pressure; no waiting.
act_policy() {
	local list
	list=$(printf ', %s' "$@")
	cat >"$T/policy.yaml" <<-EOT
		version: 1
		check_interval_ms: 100
		cooldown_ms: 200
		dwell_ms: 100
		pressure: {level: high}
		actions: {gate_deadline_ms: ${GATE_MS:-1000}, freeze_max_ms: 1000, kill_grace_ms: 300}
		levels:
		  high: {on: {critical: [${HIGH-log$list}]}}
		  critical: {on: {critical: [log$list]}}
	EOT
	printf '%s' "$T/policy.yaml"
}

gated_point() {
	cat >"$T/points.yaml" <<-EOT
		version: 1
		points:
		  - {name: load, level: critical, symbol: "gated:gated_load", args: [{index: 1, name: size, type: u64}]}
	EOT
	printf '%s' "$T/points.yaml"
}

stamp_of() {
	sed -n "s/^$1 //p" "$T/target.out" | head -n 1
}

# Stopped before the function's first statement, let go at the deadline.
test_gate_holds_until_its_deadline() {
	make_group $LIMIT
	start_in_group gated --base $((LIMIT * 92 / 100)) --bytes 4096 --wait
	start_monitor --target "$TARGET_PID" --points "$(gated_point)" --policy "$(HIGH='' act_policy gate)" --enforce
	release
	wait_until 10 state_is "$TARGET_PID" T
	[ -z "$(stamp_of entered)" ] || fail 'the function ran before it was stopped'
	end_target
	end_monitor
	expect_eq 0 "$TARGET_CODE" 'exit code of the target'
	check entered="$(stamp_of entered)" \
		'probes("load", "enter")[0].gate == "held" and probes("load", "enter")[0].gate_deadline_ns == 10**9' \
		'[a.result for a in of("action") if a.action == "gate"] == ["done", "done"]' \
		'10**9 <= [a for a in of("action") if a.action == "gate"][1].duration_ns < 3 * 10**9' \
		'"deadline" in [a for a in of("action") if a.action == "gate"][1].detail' \
		'entered - probes("load", "enter")[0].ts_ns >= 10**9' \
		'point("load").hits == point("load").returns == 1'
}

# A neighbour leaves: there is room, and the call goes on before its deadline.
test_gate_opens_when_there_is_room() {
	make_group $LIMIT
	start_in_group gated --base $((LIMIT / 2)) --bytes 4096 --neighbour $((LIMIT * 42 / 100)) --leave 500 --wait
	HIGH='' GATE_MS=20000 act_policy gate >"$T/name"
	start_monitor --target "$TARGET_PID" --points "$(gated_point)" --policy "$T/policy.yaml" --enforce
	release
	end_target
	end_monitor
	expect_eq 0 "$TARGET_CODE" 'exit code of the target'
	# It is let go from 87 % on, which may be in the middle of the neighbour's end.
	check 'probes("load", "enter")[0].gate == "held"' \
		'"room" in [a for a in of("action") if a.action == "gate"][-1].detail' \
		'[a for a in of("action") if a.action == "gate"][-1].duration_ns < 10 * 10**9' \
		"[a for a in of('action') if a.action == 'gate'][-1].freed_bytes > $((LIMIT * 4 / 100))"
}

# Half full; the call asks for as much again: stopped for what it would do.
test_gate_by_the_size_asked_for() {
	make_group $LIMIT
	start_in_group gated --base $((LIMIT / 2)) --bytes $((LIMIT * 45 / 100)) --wait
	start_monitor --target "$TARGET_PID" --points "$(gated_point)" --policy "$(HIGH='' act_policy gate)" --enforce
	release
	end_target
	end_monitor
	check 'probes("load", "enter")[0].gate == "held" and probes("load", "enter")[0].usage_pct < 75' \
		'"would bring" in [d for d in of("decision")][0].reason'
}

# Without --enforce nothing is stopped; what would be is told.
test_would() {
	make_group $LIMIT
	start_in_group gated --base $((LIMIT * 92 / 100)) --bytes 4096 --calls 3 --wait
	start_monitor --target "$TARGET_PID" --points "$(gated_point)" --policy "$(HIGH='' act_policy gate freeze throttle kill)"
	finish_target
	end_monitor
	check 'probes("load", "enter")[0].gate == "would"' \
		'{a.action: a.result for a in of("action") if a.action != "log"} == {"gate": "would", "freeze": "would", "throttle": "would", "kill": "would"}' \
		"any('--enforce' in a.detail for a in of('action') if a.action == 'kill')"
}

test_kill_is_quick_and_measured() {
	make_group $LIMIT
	start_in_group filler --bytes $((LIMIT * 95 / 100)) --kind anon --rate 100 --hold 60 --wait
	start_monitor --target "$TARGET_PID" --point "silent=low@$TARGETS/calls:probe_endbr" \
		--policy "$(act_policy kill)" --enforce
	release
	end_target
	end_monitor
	expect_eq 143 "$TARGET_CODE" 'exit code of the target (SIGTERM)'
	check limit=$LIMIT pid="$TARGET_PID" \
		'[(a.result, a.pid, a.detail[:6]) for a in of("action") if a.action == "kill"] == [("done", pid, "filler")]' \
		'[a.freed_bytes for a in of("action") if a.action == "kill"][-1] > limit * 80 // 100' \
		'ooms(True) == []'
}

# A program that will not go at SIGTERM is killed all the same.
test_kill_after_its_grace() {
	make_group $LIMIT
	cat >"$T/stubborn" <<-EOT
		#!/bin/sh
		trap '' TERM
		echo \$\$ >$OWN_GROUP/cgroup.procs
		exec $TARGETS/filler --bytes $((LIMIT * 92 / 100)) --kind anon --hold 30 --wait
	EOT
	chmod +x "$T/stubborn"
	start_target "$T/stubborn"
	start_monitor --target "$TARGET_PID" --point "silent=low@$TARGETS/calls:probe_endbr" \
		--policy "$(act_policy kill)" --enforce
	release
	end_target
	end_monitor
	expect_eq 137 "$TARGET_CODE" 'exit code of the target (SIGKILL)'
	check '"SIGKILL" in [a.detail for a in of("action") if a.action == "kill"][-1]'
}

# On v1 the freezer is a hierarchy of its own.
freezer_group() {
	local root
	for root in /sys/fs/cgroup/freezer /sys/fs/cgroup; do
		[ -d "$root" ] || continue
		if [ "$root" = /sys/fs/cgroup ] && [ -e "$OWN_GROUP/cgroup.freeze" ]; then
			printf '%s' "$OWN_GROUP"
			return 0
		elif [ "$root" != /sys/fs/cgroup ]; then
			mkdir "$root/mp-freeze-$$" && OWN_FREEZER=$root/mp-freeze-$$
			printf '%s' "$OWN_FREEZER"
			return 0
		fi
	done
	skip 'no freezer here'
}

test_freeze_and_thaw() {
	local freezer
	make_group $LIMIT
	freezer=$(freezer_group)
	cat >"$T/in_both" <<-EOT
		#!/bin/sh
		echo \$\$ >$OWN_GROUP/cgroup.procs
		echo \$\$ >$freezer/cgroup.procs
		exec $TARGETS/filler --bytes $((LIMIT * 92 / 100)) --kind anon --hold 60 --wait
	EOT
	chmod +x "$T/in_both"
	start_target "$T/in_both"
	start_monitor --target "$TARGET_PID" --point "silent=low@$TARGETS/calls:probe_endbr" \
		--policy "$(act_policy freeze)" --enforce
	release
	wait_until 30 has_line 'thawed after' "$T/out.json"
	wait_until 10 state_is "$TARGET_PID" S
	kill -KILL "$TARGET_PID"
	end_target
	end_monitor
	[ "$freezer" = "$OWN_GROUP" ] || rmdir "$freezer"
	check '[(a.result, a.detail) for a in of("action") if a.action == "freeze"][0] == ("done", "froze its group, 1 process; at most 1.00 s")' \
		'max(a.duration_ns or 0 for a in of("action") if a.action == "freeze" and a.result == "done") >= 9 * 10**8'
}

# memory.high is v2's: set to what is used, given back in the end as it was.
test_throttle_and_restore() {
	make_group $LIMIT
	[ -e "$OWN_GROUP/memory.high" ] || skip 'no memory.high: cgroup v1'
	start_in_group calls --function grow --calls 59 --bytes 1048576 --stop --wait
	start_monitor --target "$TARGET_PID" --point "silent=low@$TARGETS/calls:probe_endbr" \
		--policy "$(act_policy throttle)" --enforce
	release
	wait_until 20 has_line '"action":"throttle"' "$T/out.json"
	[ "$(cat "$OWN_GROUP/memory.high")" != max ] || fail 'memory.high was not set'
	stop_monitor
	expect_eq max "$(cat "$OWN_GROUP/memory.high")" 'memory.high afterwards'
	kill -CONT "$TARGET_PID"
	end_target
}

# The process gives back what its agent says, and what usage shows.
test_relieve() {
	make_group $LIMIT
	start_in_group relief_agent --mib 59
	start_monitor --target "$TARGET_PID" --point "silent=low@$TARGETS/calls:probe_endbr" \
		--policy "$(act_policy relieve)"
	wait_until 20 has_line '"action":"relieve","result":"done"' "$T/out.json"
	wait_until 20 has_line 'down from critical' "$T/out.json"
	kill -TERM "$TARGET_PID"
	end_target
	end_monitor
	check limit=$LIMIT \
		'[a.freed_bytes for a in of("action") if a.action == "relieve" and a.result == "done"][0] > 1 << 20' \
		'[a for a in of("action") if a.action == "relieve" and a.result == "done"][0].usage_after < limit * 90 // 100'
}

# A program that knows systemd's protocol, started by `run`, is told; nothing is left in /run.
test_notify() {
	make_group $LIMIT
	cat >"$T/listener.py" <<-'EOT'
		import mmap, os, select, socket
		watch = socket.socket(socket.AF_UNIX)
		watch.connect(os.environ["MEMORY_PRESSURE_WATCH"])
		assert "MEMORY_PRESSURE_WRITE" not in os.environ
		blocks = []
		while not select.select([watch], [], [], 0.02)[0]:
		    blocks.append(mmap.mmap(-1, 1 << 20))
		    blocks[-1].write(bytes(1 << 20))
		print("told", os.environ["MEMORY_PRESSURE_WATCH"])
	EOT
	cat >"$T/enter" <<-EOT
		#!/bin/sh
		echo \$\$ >$OWN_GROUP/cgroup.procs
		exec "\$@"
	EOT
	chmod +x "$T/enter"
	CODE=0
	MEMORY_PRESSURE_WRITE=x "$MEMPROBE" run --point "silent=low@$TARGETS/calls:probe_endbr" \
		--policy "$(act_policy notify)" --record "$T/record.json" --format json -- \
		"$T/enter" python3 "$T/listener.py" >"$T/out" 2>"$T/err" || CODE=$?
	expect_eq 0 "$CODE" 'exit code'
	check "$T/record.json" '"told 1 process" in [a.detail for a in of("action") if a.action == "notify" and a.result == "done"][0]'
	[ ! -e "$(dirname "$(sed -n 's/^told //p' "$T/out")")" ] || fail 'the socket was left behind'
}
