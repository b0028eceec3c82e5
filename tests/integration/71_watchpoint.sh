# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# Python functions by hardware watchpoints, with nothing injected. A bytecode is
# read once a call, and a few times more when the interpreter rewrites it or lets
# another thread run: docs/watchpoints.md says when. So counts may be above by
# that much, and never below.

readonly WATCHED=tests/integration/watched
readonly KILLED_BY_HOST=75
export MEMPROBE_WATCHPOINT_RISK=1

# $PYTHON: an interpreter itself, not a script that chooses one.
need_python() {
	need python3
	PYTHON=$(python3 -c 'import os, sys; print(os.path.realpath(sys.executable))')
	"$PYTHON" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' ||
		skip "no Python from 3.11 to 3.14 here"
}

# Whether this machine has debug registers, and the kernel programs on their events.
need_watchpoints() {
	need_python
	"$MEMPROBE" doctor --format json >"$T/doctor" || true
	python3 -c '
import json, sys
rows = json.load(open(sys.argv[1]))["features"]
sys.exit(not any(r["present"] for r in rows if r["name"] == "watchpoints"))' \
		"$T/doctor" || skip 'this kernel has no watchpoints for BPF programs'
}

write_points() {
	cat >"$T/points.yaml" <<-EOT
		version: 1
		points:
		  - {name: count, level: high, python: shop.stock.count}
		  - {name: loader, level: high, python: shop.stock.Loader.load}
		  - {name: load, level: low, python: shop.stock.load}
		  - {name: arrive, level: low, python: late.arrive}
		  - {name: opened, level: low, python: shop.opened}
		  - {name: drop, level: low, python: shop.stock.drop}
	EOT
	python3 - "$T/points.yaml" "$@" <<-'EOT'
		import re, sys
		path, *wanted = sys.argv[1:]
		lines = open(path).read().splitlines()
		keep = [l for l in lines if "name:" not in l or re.search(r"name: (\w+)", l)[1] in wanted]
		open(path, "w").write("\n".join(keep) + "\n")
	EOT
}

# start_python SCENARIO NUMBER…
start_python() {
	printf '#!/bin/sh\nexec %s %s "$@"\n' "$PYTHON" "$PWD/$WATCHED/main.py" >"$T/python"
	chmod +x "$T/python"
	PYTHONDONTWRITEBYTECODE=1 start_target "$T/python" "$@" || fail "$(cat "$T/target.err")"
}

# watch POINT…: the monitor on the target, with these points.
watch() {
	write_points "$@"
	start_monitor --target "$TARGET_PID" --points "$T/points.yaml" --python-mode watchpoint
}

# How often a site of a symbol has been told with that status.
sites() {
	grep -c "\"symbol\": *\"$1\".*\"status\": *\"$2\"" "$T/out.json" || true
}

has_sites() {
	[ "$(sites "$1" "$2")" -ge "$3" ]
}

# attached SYMBOL [N]: until N sites of it have been; what was told instead is shown.
attached() {
	wait_until 60 has_sites_or_failed "$1" "${2:-1}"
	has_sites "$1" attached "${2:-1}" || fail "$(grep '"status": *"failed"' "$T/out.json")"
}

has_sites_or_failed() {
	has_sites "$1" attached "$2" || has_sites "$1" failed 1
}

# Lets the target do its next step, until it has told N lines.
next_step() {
	release
	wait_until 30 has_lines_or_gone "$1"
	! gone "$TARGET_PID" || not_killed_by_host
}

has_lines_or_gone() {
	[ "$(wc -l <"$T/target.out")" -gt "$1" ] || gone "$TARGET_PID"
}

finish_watched() {
	release
	not_killed_by_host
	expect_eq 0 "$TARGET_CODE" 'exit code of the target'
}

# Some hosts lose the reason of a debug exception now and then, and the guest's
# kernel then sends the target SIGTRAP (docs/watchpoints.md). On no real machine.
not_killed_by_host() {
	end_target
	[ "$TARGET_CODE" -ne $((128 + 5)) ] || ! grep -q ' hypervisor' /proc/cpuinfo || exit $KILLED_BY_HOST
}

# retried FUNCTION: a test, again when the host has killed its target.
retried() {
	local code
	for _ in 1 2 3 4 5; do
		code=0
		(
			trap end_own EXIT
			"$1"
		) &
		wait $! || code=$?
		[ $code -eq $KILLED_BY_HOST ] || exit $code
	done
	fail 'the host has killed the target five times'
}

test_prime_calls() {
	retried prime_calls
}

prime_calls() {
	need_watchpoints
	start_python calls 100003
	watch count
	attached count
	finish_watched
	end_monitor
	expect_eq 0 "$MONITOR_CODE" 'exit code of the monitor'
	check calls=100003 \
		'calls <= point("count").hits <= calls + 4' \
		'point("count").returns == 0 and point("count").missed == 0' \
		'point("count").duration_ns.p50 is None' \
		'summary.complete is True' \
		'{s.kind for s in of("site")} == {"watchpoint"}' \
		'of("site")[0].risk.startswith("entries alone are seen: no returns, durations or growth")' \
		'all(p.phase == "enter" and "args" not in p for p in probes("count"))' \
		'stop.reason == "target_exit"'
}

# Two classes of one module, one of them named; a function of the same name inside of another is none.
test_methods_of_two_classes() {
	retried methods_of_two_classes
}

methods_of_two_classes() {
	need_watchpoints
	start_python methods 1009 2003
	watch loader load
	attached Loader.load
	attached Cache.load
	finish_watched
	end_monitor
	check \
		'1009 <= point("loader").hits <= 1013' \
		'2003 <= point("load").hits <= 2007' \
		'[s.reason for s in of("site") if s.status == "failed"] == ["the function is point \"loader\" already"]'
}

test_module_imported_later() {
	retried module_imported_later
}

module_imported_later() {
	need_watchpoints
	start_python late 1511
	watch arrive
	check 'of("site")[0].status == "waiting"' \
		'"not loaded in process" in of("site")[0].reason'
	next_step 1
	attached arrive
	finish_watched
	end_monitor
	check '1511 <= point("arrive").hits <= 1515'
}

test_five_functions_are_one_too_many() {
	retried five_functions_are_one_too_many
}

five_functions_are_one_too_many() {
	need_watchpoints
	start_python five 1009
	watch count loader load opened drop
	wait_until 20 has_sites '.*' failed 2
	finish_watched
	end_monitor
	check \
		'len([s for s in of("site") if s.status == "attached"]) == 4' \
		'all(1009 <= point(s.point).hits <= 1013 for s in of("site") if s.status == "attached")' \
		'sum("watchpoints are in use in process" in s.reason and "count (count)" in s.reason and "--python-mode inject" in s.reason for s in of("site") if s.status == "failed") == 1'
}

# The old function is freed and its memory is used by others: none of that counts.
test_function_redefined() {
	retried function_redefined
}

function_redefined() {
	need_watchpoints
	start_python reload 1009 1511
	watch count
	attached count
	next_step 1
	attached count 2
	finish_watched
	end_monitor
	check \
		'"gone from process" in [s.reason for s in of("site") if s.status == "waiting"][0]' \
		'1009 + 1511 <= point("count").hits <= 1009 + 1511 + 8'
}

# Where threads take turns some interpreters read it again. A thread that is watched twice
# would add a sixth, or a third, to the count.
test_threads_started_before_and_after() {
	retried threads_started_before_and_after
}

threads_started_before_and_after() {
	need_watchpoints
	start_python threads 10007
	watch count
	attached count
	finish_watched
	end_monitor
	check calls=$((6 * 10007)) 'calls <= point("count").hits <= calls * 1.1'
}

test_threads_that_start_all_the_time() {
	retried threads_that_start_all_the_time
}

attached_or_told() {
	has_sites "$1" attached 1 || has_line 'threads start faster than they can be watched' "$T/out.json"
}

# Between two of them there may be no moment in which all that there are can be watched: then that is told.
threads_that_start_all_the_time() {
	local in_time=no
	need_watchpoints
	start_python churn 3001
	watch count
	wait_until 60 attached_or_told count
	! has_sites count attached 1 || in_time=yes
	finish_watched
	end_monitor
	[ $in_time = yes ] || return 0
	check calls=$((3 * 3001)) 'calls <= point("count").hits <= calls * 1.1'
}

test_children_are_followed_from_their_fork() {
	retried children_are_followed_from_their_fork
}

children_are_followed_from_their_fork() {
	need_watchpoints
	write_points count
	start_python fork 1009 503
	start_monitor --target "$TARGET_PID" --points "$T/points.yaml" --python-mode watchpoint --follow
	attached count
	finish_watched
	end_monitor
	# Each of the four children rewrites its own copy of the bytecode.
	check calls=$((2 * (1009 + 503))) 'calls <= point("count").hits <= calls + 16'
}

test_children_are_left_alone() {
	retried children_are_left_alone
}

children_are_left_alone() {
	need_watchpoints
	start_python fork 1009 503
	watch count
	attached count
	finish_watched
	end_monitor
	check 'point("count").hits == 0'
}

test_run_from_the_first_import() {
	retried run_from_the_first_import
}

run_from_the_first_import() {
	need_watchpoints
	write_points count
	printf '#!/bin/sh\nexec %s %s "$@"\n' "$PYTHON" "$PWD/$WATCHED/main.py" >"$T/python"
	chmod +x "$T/python"
	: >"$T/out.json"
	spawn_monitor run --format json --points "$T/points.yaml" --python-mode watchpoint \
		-- "$T/python" calls 1009 >"$T/out.json" 2>"$T/err" &
	MONITOR_PID=$!
	track $MONITOR_PID
	attached count
	release "$(sed -n 's/^ready //p' "$T/out.json")"
	end_monitor
	grep -v '^ready \|^{"ns"' "$T/out.json" >"$T/run.json"
	check "$T/run.json" '1009 <= point("count").hits <= 1013'
}

# Nothing of the monitor is left in a target that goes on.
test_killed_monitor_leaves_nothing() {
	retried killed_monitor_leaves_nothing
}

killed_monitor_leaves_nothing() {
	need_watchpoints
	start_python forever 0
	watch count
	attached count
	release
	wait_until 10 has_line '"type": *"probe"' "$T/out.json"
	kill -KILL "$MONITOR_PID"
	wait_until 5 gone "$MONITOR_PID"
	watch count
	attached count
	stop_monitor
	check 'point("count").hits > 0' 'sum(s.status == "failed" for s in of("site")) == 0'
	kill -0 "$TARGET_PID" || fail 'the target has ended'
}

# Four are free again each time, and none is left of the monitors before.
test_again_and_again() {
	retried again_and_again
}

again_and_again() {
	local round
	need_watchpoints
	start_python five 1009
	for round in 1 2 3; do
		watch count loader opened drop
		attached count
		attached Cache.drop
		stop_monitor
		check round=$round 'sum(s.status == "attached" for s in of("site")) == 4'
	done
}

test_unsupported_version_is_refused() {
	local old
	need_watchpoints
	for old in python3.8 python3.9 python3.10 "${PYENV_ROOT:-/none}"/versions/3.{8,9,10}.*/bin/python3 none; do
		"$old" -c '' 2>/dev/null && break
	done
	[ "$old" != none ] || skip 'no Python older than 3.11 here'
	PYTHON=$("$old" -c 'import os, sys; print(os.path.realpath(sys.executable))')
	start_python calls 101
	watch count
	finish_watched
	end_monitor
	check \
		'[s.status for s in of("site")] == ["failed"]' \
		'"3.11 to 3.14" in of("site")[0].reason and "--python-mode inject" in of("site")[0].reason' \
		'point("count").hits == 0'
}

test_probes_list_shows_cost() {
	need_watchpoints
	start_python five 1009
	write_points count arrive
	expect_exit 0 probes list --target "$TARGET_PID" --points "$T/points.yaml" \
		--python-mode watchpoint
	grep -q '^count  *watchpoint count' "$T/out" || fail "$(cat "$T/out")"
	grep -q 'stock.py, about 10 us a hit' "$T/out" || fail "$(cat "$T/out")"
	grep -q '^arrive  *waiting  *not loaded in process' "$T/out" || fail "$(cat "$T/out")"
	expect_exit 1 probes check --target "$TARGET_PID" --points "$T/points.yaml" \
		--python-mode watchpoint
	expect_err 'point "arrive" resolves nowhere'
	expect_exit 2 probes list --target "$TARGET_PID" --python-mode watch
	expect_err 'auto, inject, watchpoint or off'
}

# In a virtual machine it takes a word of the user's.
test_refused_in_a_guest() {
	need_watchpoints
	grep -qw hypervisor /proc/cpuinfo || skip 'this is no virtual machine'
	printf 'version: 1\npoints: [{name: f, level: low, python: m.f}]\n' >"$T/points.yaml"
	CODE=0
	env -u MEMPROBE_WATCHPOINT_RISK "$MEMPROBE" attach --target $$ --points "$T/points.yaml" \
		--python-mode watchpoint --duration 1 >"$T/out" 2>"$T/err" || CODE=$?
	expect_eq 6 $CODE 'exit code'
	expect_err MEMPROBE_WATCHPOINT_RISK=1
	expect_err '--python-mode inject has no such risk'
}
