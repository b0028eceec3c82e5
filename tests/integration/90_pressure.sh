# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# Memory pressure: noticed by every source there is, judged by working set and stall.

LIMIT=67108864 # of the groups made here

# A point that is never called: only the sources of pressure can tell.
silent_point() {
	printf 'silent=low@%s/calls:probe_endbr' "$TARGETS"
}

# Quick looks and no cooldown.
pressure_policy() {
	{
		printf 'version: 1\ncheck_interval_ms: 100\ncooldown_ms: 0\ndwell_ms: 100\n'
		printf 'levels:\n  high: {on: {warning: [log], gc: [log], critical: [log]}}\n'
	} >"$T/policy.yaml"
	printf '%s' "$T/policy.yaml"
}

group_name() {
	printf '%s' "${OWN_GROUP##*/}"
}

# make_uncached_file BYTES: who reads it first is charged for its pages.
make_uncached_file() {
	need_disk
	head -c "$1" /dev/zero >"$T/file"
	python3 -c 'import os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
os.fsync(fd)
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)' "$T/file"
}

# watch_reader TIMES: the test's file is read in its group, under watch, to the end of both.
watch_reader() {
	cat >"$T/reader" <<-EOT
		#!/bin/sh
		echo \$\$ >$OWN_GROUP/cgroup.procs
		echo "ready \$\$"
		until [ -e $T/go ]; do sleep 0.05; done
		for i in \$(seq $1); do cat $T/file >/dev/null; done
	EOT
	chmod +x "$T/reader"
	start_target "$T/reader"
	start_monitor --target "$TARGET_PID" --follow --point "$(silent_point)" --policy "$(pressure_policy)"
	touch "$T/go"
	end_target
	end_monitor
}

# Every threshold is told within a MiB and a half of where it is crossed, by page
# faults alone: 32 ms lie between two of them, and 100 between two looks by the clock.
test_crossings_without_a_call() {
	make_group $LIMIT
	start_in_group filler --bytes $((LIMIT * 95 / 100)) --kind anon --rate 200 --wait
	start_monitor --target "$TARGET_PID" --point "$(silent_point)" --policy "$(pressure_policy)"
	finish_target
	end_monitor
	check limit=$LIMIT group="$(group_name)" slack=$((3 << 19)) \
		'{"warning", "gc", "critical"} <= {d.severity for d in of("decision")}' \
		'all(p.cgroup.endswith(group) and p.limit == limit for p in pressures("usage"))' \
		'all(p.comm == "filler" and p.is_target for p in pressures("usage") if p.pid)' \
		'all(abs(next(p for p in pressures("usage") if p.pid and p.working_set >= limit * pct // 100).working_set - limit * pct // 100) <= slack for pct in (75, 85, 90))'
}

# Four times the limit in page cache: that is no pressure.
test_page_cache_is_no_pressure() {
	local bytes=$((4 * LIMIT))
	make_uncached_file $bytes
	make_group $LIMIT
	watch_reader 2
	check limit=$LIMIT \
		'all(d.severity == "normal" or max(d.evidence.get("some_pct") or 0, d.evidence.get("full_pct") or 0) >= 5 for d in of("decision"))' \
		'all(d.evidence.usage_pct < 75 for d in of("decision"))'
}

# Held below a threshold, with nothing stalled, nothing climbs.
test_static_hold_does_not_escalate() {
	make_group $LIMIT
	start_in_group calls --function grow --calls 56 --bytes 1048576 --stop --wait
	start_monitor --target "$TARGET_PID" --point "$(silent_point)" --policy "$(pressure_policy)" --duration 4
	release
	wait_until 10 state_is "$TARGET_PID" T
	end_monitor
	kill -CONT "$TARGET_PID"
	end_target
	check '"gc" in [d.severity for d in of("decision")]' \
		'"critical" not in [d.severity for d in of("decision")]'
}

# A group at its limit that has page cache to give reclaims: how long that took is told, and all
# that it gave, also by the last reclaim: what was read and is not in the group any more.
test_reclaim_is_told_with_its_cost() {
	local bytes=$((8 * LIMIT))
	make_uncached_file $bytes
	make_group $LIMIT
	watch_reader 1
	check group="$(group_name)" page="$(getconf PAGESIZE)" bytes=$bytes limit=$LIMIT \
		'len(pressures("reclaim")) > 0' \
		'all(p.cgroup.endswith(group) for p in pressures("reclaim"))' \
		'all(p.stall_ns > 0 and p.reclaims > 0 for p in pressures("reclaim"))' \
		'{p.comm for p in pressures("reclaim") if p.pid} == {"cat"}' \
		'sum(p.reclaimed_pages for p in pressures("reclaim")) * page >= bytes - limit'
}

# What several sources say of one thing is one incident.
test_one_incident() {
	make_group $LIMIT
	start_in_group calls --function grow --calls 61 --bytes 1048576 --wait
	start_monitor --target "$TARGET_PID" --point "$(silent_point)" --policy "$(pressure_policy)"
	finish_target
	end_monitor
	check group="$(group_name)" \
		'{p.incident for p in pressures() if (p.cgroup or "").endswith(group)} == {1}' \
		'[p.get("repeated", False) for p in pressures() if (p.cgroup or "").endswith(group)][0] is False' \
		'all(p.repeated for p in [p for p in pressures() if (p.cgroup or "").endswith(group)][1:])'
}

test_without_pressure_sources() {
	make_group $LIMIT
	start_in_group calls --function grow --calls 61 --bytes 1048576 --wait
	start_monitor --target "$TARGET_PID" --no-pressure --point "grow=high@$TARGETS/calls:probe_grow" \
		--policy "$(pressure_policy)"
	finish_target
	end_monitor
	check 'len(pressures()) == 0' '"critical" in [d.severity for d in of("decision")]'
}

# The same stream leads to the same decisions again.
test_replay_decides_the_same() {
	make_group $LIMIT
	start_in_group calls --function grow --calls 61 --bytes 1048576 --wait
	start_monitor --target "$TARGET_PID" --point "grow=high@$TARGETS/calls:probe_grow" \
		--policy "$(pressure_policy)" --record "$T/record.ndjson"
	finish_target
	end_monitor
	expect_exit 0 attach --replay "$T/record.ndjson" --policy "$T/policy.yaml" --format json
	# How long it took is told of the real one alone.
	sed -n '/"type":"decision"/s/,"latency_ns":[0-9]*//p' "$T/record.ndjson" >"$T/then"
	sed -n '/"type":"decision"/p' "$T/out" >"$T/now"
	[ -s "$T/then" ] || fail 'nothing was decided'
	cmp "$T/then" "$T/now" || fail 'decided otherwise'
}
