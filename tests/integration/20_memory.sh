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
		'[d.severity for d in of("decision") if d.severity != d.previous] == ["warning", "gc", "critical"]' \
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
