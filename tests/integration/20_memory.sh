# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# Figures of memory, held against what the kernel tells others.

PAGE=$(getconf PAGESIZE)

grow_point() {
	printf 'grow=high@%s/calls:probe_grow' "$TARGETS"
}

rollup_kib() {
	awk -v key="$1:" '$1 == key { print $2 }' "/proc/$TARGET_PID/smaps_rollup"
}

# The target stops itself right after its last call returned.
test_rss_agrees_with_smaps_rollup() {
	local rss anon slack
	start_target calls --function grow --calls 1 --bytes 33554432 --stop --wait
	start_monitor --target "$TARGET_PID" --point "$(grow_point)" --policy "$(every_call_policy)"
	release
	wait_until 10 state_is "$TARGET_PID" T
	rss=$(($(rollup_kib Rss) * 1024))
	anon=$(($(rollup_kib Anonymous) * 1024))
	kill -CONT "$TARGET_PID"
	end_target
	end_monitor
	# One page per CPU and kind. The first call may map pages of libc, 16 at once:
	# what it grows by is compared without files.
	slack=$((PAGE * $(nproc)))
	check rss=$rss anon=$anon slack=$slack \
		'abs(probes("grow", "exit")[0].rss - rss) <= 3 * slack' \
		'abs(probes("grow", "exit")[0].rss_anon - anon) <= slack' \
		'all(r.rss == r.rss_anon + r.rss_file + r.rss_shmem for r in probes())' \
		'abs(probes("grow", "exit")[0].rss_anon - probes("grow", "enter")[0].rss_anon - 33554432) <= 2 * slack' \
		'probes("grow", "exit")[0].rss_delta == probes("grow", "exit")[0].rss - probes("grow", "enter")[0].rss'
}

test_growth_of_every_call() {
	start_target calls --function grow --calls 101 --bytes $((4 * PAGE)) --wait
	start_monitor --target "$TARGET_PID" --point "$(grow_point)" --policy "$(every_call_policy)"
	finish_target
	end_monitor
	check bytes=$((4 * PAGE)) page="$PAGE" \
		'len(probes("grow", "exit")) == 101' \
		'sum(r.rss_delta == bytes for r in probes("grow", "exit")) >= 99' \
		'0 <= point("grow").rss_delta.total - 101 * bytes <= 64 * page' \
		'sum(r.rss_delta for r in probes("grow", "exit")) == point("grow").rss_delta.total' \
		'max(r.rss_delta for r in probes("grow", "exit")) == point("grow").rss_delta.max'
}

test_args_and_return_value() {
	cat >"$T/points.yaml" <<-EOT
		version: 1
		points:
		  - name: grow
		    level: high
		    symbol: "calls:probe_grow"
		    args:
		      - {index: 2, name: bytes, type: u64}
		      - {index: 1, name: memory, type: ptr}
		    return: {name: touched, type: u64}
	EOT
	start_target calls --function grow --calls 11 --bytes 12288 --wait
	start_monitor --target "$TARGET_PID" --points "$T/points.yaml" --policy "$(every_call_policy)"
	finish_target
	end_monitor
	check 'all(r.args["bytes"] == 12288 for r in probes("grow", "enter"))' \
		'len({r.args["memory"] for r in probes("grow", "enter")}) == 11' \
		'[r.ret["touched"] for r in probes("grow", "exit")] == [12288] * 11'
}

# threshold_mb: no records below, all calls counted.
test_threshold() {
	cat >"$T/points.yaml" <<-EOT
		version: 1
		points:
		  - {name: grow, level: high, symbol: "calls:probe_grow", threshold_mb: 32}
	EOT
	start_target calls --function grow --calls 64 --bytes 1048576 --wait
	start_monitor --target "$TARGET_PID" --points "$T/points.yaml" --policy "$(every_call_policy)"
	finish_target
	end_monitor
	check 'point("grow").hits == point("grow").returns == 64' \
		'0 < len(probes("grow", "enter")) < 40' \
		'all(r.rss >= 32 << 20 for r in probes())' \
		'point("grow").suppressed == 128 - point("grow").emitted'
}

# Grows to nine tenths of a limit of 64 MiB: through warning and gc to critical.
# Then it stays a while, as a process that is gone has no symbols any more.
test_limit_severity_and_decisions() {
	make_group 67108864
	start_in_group calls --function grow --calls 61 --bytes 1048576 --stop --wait
	start_monitor --target "$TARGET_PID" --point "grow=critical@$TARGETS/calls:probe_grow" \
		--policy "$(every_call_policy)"
	release
	wait_until 10 state_is "$TARGET_PID" T
	wait_until 10 has_line '"action": *"stack"' "$T/out.json"
	kill -CONT "$TARGET_PID"
	end_target
	end_monitor
	check 'all(r.limit == 64 << 20 for r in probes())' \
		'all(r.cgroup.endswith("'"${OWN_GROUP##*/}"'") for r in probes())' \
		'probes("grow", "exit")[-1].usage > 58 << 20' \
		'probes("grow", "exit")[-1].usage_pct > 90' \
		'all(r.working_set <= r.usage for r in probes())' \
		'[d.severity for d in of("decision") if d.severity != d.previous][:3] == ["warning", "gc", "critical"]' \
		'any(a.action == "stack" and a.result == "done" for a in of("action"))' \
		'any("work+" in frame for a in of("action") for frame in a.get("stack", []))'
}

# Exact, and the hook sees what it was called for.
test_hook() {
	make_group 67108864
	make_root_dir
	printf '#!/bin/sh\nenv | grep ^MEMPROBE_ | sort >%s/hook.env\n' "$T" >"$OWN_DIR/hook"
	chmod 755 "$OWN_DIR/hook"
	cat >"$T/policy.yaml" <<-EOT
		version: 1
		check_interval_ms: 0
		levels:
		  critical: {on: {critical: ["hook:$OWN_DIR/hook"]}}
	EOT
	start_in_group calls --function grow --calls 61 --bytes 1048576 --wait
	start_monitor --target "$TARGET_PID" --point "grow=critical@$TARGETS/calls:probe_grow" \
		--policy "$T/policy.yaml"
	finish_target
	end_monitor
	check 'any(a.action.startswith("hook") and a.result == "done" for a in of("action"))'
	grep -q "=$TARGET_PID\$" "$T/hook.env" || fail "the hook was not told the pid: $(cat "$T/hook.env")"
}

# run_to_oom ARG…: `run ARG…` of a program that grows beyond 64 MiB. The command's
# group is the monitor's, as with `systemd-run -p MemoryMax=64M`, so a part of
# these is the monitor's; it is left alone, and the program is not.
run_to_oom() {
	make_group 67108864
	# shellcheck disable=SC2016 # the scripts expand these
	printf '#!/bin/sh\necho $$ >%s/cgroup.procs\necho -1000 >/proc/self/oom_score_adj\nexec "$@"\n' \
		"$OWN_GROUP" >"$T/enter"
	printf '#!/bin/sh\necho 300 >/proc/self/oom_score_adj\nexec %s/calls "$@"\n' "$TARGETS" >"$T/grow"
	chmod +x "$T/enter" "$T/grow"
	CODE=0
	"$T/enter" "$MEMPROBE" run "$@" -- "$T/grow" --function grow --calls 101 --bytes 1048576 \
		>"$T/out" 2>"$T/err" || CODE=$?
	expect_eq 7 "$CODE" 'exit code'
}

# Kernels before 6.9 tell who was chosen, but not what it held.
test_oom_story() {
	run_to_oom --format json --record "$T/record.json" \
		--point "outer=high@$TARGETS/calls:work" \
		--point "grow=critical@$TARGETS/calls:probe_grow" --policy "$(every_call_policy)"
	check "$T/record.json" 'len(ooms(True)) == 1' \
		'[c.point for c in ooms(True)[0].in_flight] == ["outer", "grow"]' \
		'all(c.tid == ooms(True)[0].pid for c in ooms(True)[0].in_flight)' \
		'ooms(True)[0].in_flight[0].duration_ns > ooms(True)[0].in_flight[1].duration_ns > 0' \
		'ooms(True)[0].pid == probes("grow", "enter")[-1].pid' \
		'ooms(True)[0].by_pid is not None and ooms(True)[0].by_comm is not None' \
		'probes("grow", "enter")[-1].ts_ns < ooms(True)[0].ts_ns < stop.ts_ns' \
		'point("outer").returns == 0 and point("grow").returns == point("grow").hits - 1' \
		'stop.exit_code == 7' \
		'ooms(True)[0].rss is not None or kernel < [6, 9]'
	check "$T/record.json" group="/${OWN_GROUP##*/}" \
		'all(r.comm == "calls" and r.oom_score_adj == 300 for r in ooms(True) if r.rss is not None)' \
		'all(r.cgroup.endswith(group) for r in ooms(True) if r.rss is not None)' \
		'all(r.rss == r.rss_anon + r.rss_file + r.rss_shmem for r in ooms(True) if r.rss is not None)' \
		'all(48 << 20 < r.rss < 64 << 20 for r in ooms(True) if r.rss is not None)' \
		'all(r.rss - r.in_flight[0].rss_delta == probes("outer", "enter")[0].rss for r in ooms(True) if r.rss is not None)' \
		'all(r.rss - r.in_flight[1].rss_delta == probes("grow", "enter")[-1].rss for r in ooms(True) if r.rss is not None)' \
		'all(abs(r.in_flight[0].rss_delta - r.rss) < r.rss / 20 for r in ooms(True) if r.rss is not None)' \
		'all(c.rss_delta is None for r in ooms(True) if r.rss is None for c in r.in_flight)'
}

# What is killed beside the targets is told, too; of what it did nothing is known.
test_oom_of_another() {
	local watched
	start_target calls --function push --wait
	start_monitor --target "$TARGET_PID" --point "push=low@$TARGETS/calls:probe_push" \
		--point "grow=low@$TARGETS/calls:probe_grow" --policy "$(every_call_policy)"
	watched=$TARGET_PID
	make_group 67108864
	start_in_group calls --function grow --calls 101 --bytes 1048576 --wait
	release
	end_target
	expect_eq 137 "$TARGET_CODE" 'exit code of the one that is killed'
	wait_until 10 has_line "\"type\": *\"oom\".*\"pid\": *$TARGET_PID," "$T/out.json"
	release "$watched"
	end_monitor
	check victim="$TARGET_PID" group="/${OWN_GROUP##*/}" \
		'[r.pid for r in of("oom")].count(victim) == 1 and ooms(True) == []' \
		'all(r.in_flight == [] for r in of("oom"))' \
		'point("grow").hits == 0 and point("push").hits == 1009' \
		'all(r.rss is not None for r in of("oom")) or kernel < [6, 9]' \
		'all(r.comm == "calls" and r.cgroup.endswith(group) for r in of("oom") if r.rss is not None and r.pid == victim)' \
		'all(56 << 20 < r.rss < 68 << 20 for r in of("oom") if r.rss is not None and r.pid == victim)'
}
