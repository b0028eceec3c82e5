# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# Points that programs tell of by the markers of libmemprobe: counted as exactly
# as any other, whoever declared them, and left as if nobody had ever looked.

readonly CALLS=999983
readonly MARKER_LIB=$PWD/build/memprobe-marker.so
LIMIT=67108864

# named_point NAME LEVEL [KEY: VALUE]: a file with a point that its name alone finds.
named_point() {
	printf 'version: 1\npoints:\n  - {name: "%s", level: %s, marker: true%s}\n' \
		"$1" "$2" "${3:+, $3}" >"$T/points.yaml"
	printf '%s' "$T/points.yaml"
}

no_points() {
	printf 'version: 1\npoints: []\n' >"$T/points.yaml"
	printf '%s' "$T/points.yaml"
}

# start_passer [GROUP]: a passer that takes its lines from descriptor 9.
start_passer() {
	rm -f "$T/lines"
	mkfifo "$T/lines"
	: >"$T/target.out"
	if [ $# -gt 0 ]; then
		# shellcheck disable=SC2016 # the inner shell expands these
		sh -c 'echo $$ >"$1/cgroup.procs"; exec "$2"' in_group "$1" "$TARGETS/passer" \
			<"$T/lines" >"$T/target.out" 2>"$T/target.err" &
	else
		"$TARGETS/passer" <"$T/lines" >"$T/target.out" 2>"$T/target.err" &
	fi
	TARGET_PID=$!
	track $TARGET_PID
	exec 9>"$T/lines"
	wait_until 10 has_line '^ready ' "$T/target.out"
}

answers() {
	[ "$(wc -l <"$T/target.out")" -ge "$1" ]
}

# pass LINE…: each is carried out before the next is written.
pass() {
	local line n
	for line in "$@"; do
		n=$(wc -l <"$T/target.out")
		printf '%s\n' "$line" >&9
		wait_until 20 answers $((n + 1))
	done
}

# The line is carried out, or not to its end.
pass_unanswered() {
	printf '%s\n' "$1" >&9
}

expect_semaphores() {
	pass semaphores
	expect_eq "$1" "$(tail -n 1 "$T/target.out")" 'semaphores'
}

end_passer() {
	pass_unanswered quit
	exec 9>&-
	end_target
	expect_eq 0 "$TARGET_CODE" 'exit code of the target'
}

test_prime_counts_over_eight_threads() {
	start_target marked --calls $CALLS --threads 8 --point fill --points 2 --level high --wait
	start_monitor --target "$TARGET_PID" --points "$(named_point fill.0 critical)"
	finish_target
	end_monitor
	check calls=$CALLS target=@"$T/target.out" \
		'target.watched == calls' \
		'point("fill.0").hits == point("fill.0").returns == 499992' \
		'point("fill.1").hits == point("fill.1").returns == calls - 499992' \
		'point("fill.0").missed == point("fill.1").missed == 0' \
		'point("fill.0").level == "critical" and point("fill.1").level == "high"' \
		'all(r.level == point(r.point).level for r in probes())' \
		'all(r.duration_ns is not None for r in probes(None, "exit"))' \
		'summary.complete is True' \
		'summary.received == len(probes()) == sum(p.emitted for p in summary.points)' \
		'sorted(s.point for s in of("site") if s.status == "attached") == ["fill.0", "fill.1", "memprobe:*"]' \
		'{(s.kind, s.symbol) for s in of("site") if s.point == "fill.1"} == {("usdt", "memprobe:enter")}'
}

test_ring_of_one_page() {
	start_target marked --calls 100003 --threads 8 --point fill --points 2 --wait
	start_monitor --target "$TARGET_PID" --points "$(no_points)" --ring-size 4096 \
		--policy "$(every_call_policy)"
	finish_target
	end_monitor
	check calls=100003 \
		'point("fill.0").hits + point("fill.1").hits == calls' \
		'point("fill.0").returns + point("fill.1").returns == calls' \
		'lost("ring") == point("fill.0").lost + point("fill.1").lost > 0' \
		'summary.received == sum(p.emitted for p in summary.points)'
}

# As coroutines leave and come back: the oldest call of a thread ends first. What
# is remembered are 16; of more, exits are still counted, and said to be missed.
test_interleaved_calls() {
	start_target marked --calls 10007 --threads 3 --point one --open 16 --wait
	start_monitor --target "$TARGET_PID" --points "$(no_points)"
	finish_target
	end_monitor
	check 'point("one").hits == point("one").returns == 10007' 'point("one").missed == 0'
	start_target marked --calls 1009 --point many --open 40 --wait
	start_monitor --target "$TARGET_PID" --points "$(no_points)"
	finish_target
	end_monitor
	check 'point("many").hits == point("many").returns == 1009' \
		'0 < point("many").missed < 1009' 'summary.complete is True'
}

test_nested_calls_and_their_keys() {
	start_passer
	pass "open $MARKER_LIB"
	start_monitor --target "$TARGET_PID" --points "$(no_points)" --policy "$(every_call_policy)"
	pass 'enter a 2 1 4096' 'enter b 2 2 0' 'exit a 2 1' 'enter a 2 3 0' 'enter a 2 4 0' \
		'exit a 2 3' 'exit b 2 2' 'exit a 2 4' 'exit a 2 4' 'exit b 2 1' 'check c 1'
	end_passer
	end_monitor
	check '[(r.point, r.phase) for r in probes()] == [("a", "enter"), ("b", "enter"), ("a", "exit"), ("a", "enter"), ("a", "enter"), ("a", "exit"), ("b", "exit"), ("a", "exit"), ("a", "exit"), ("b", "exit"), ("c", "check")]' \
		'[r.duration_ns is not None for r in probes(None, "exit")] == [True, True, True, True, False, False]' \
		'probes("a", "enter")[0].size == 4096 and "size" not in probes("b", "enter")[0]' \
		'point("a").missed == point("b").missed == 1' \
		'point("a").duration_ns.max >= probes("a", "exit")[0].duration_ns' \
		'point("c").hits == 1 and point("c").returns == 0 and point("c").level == "medium"' \
		'[s.symbol for s in of("site") if s.point == "c"] == ["memprobe:check"]'
}

marker_is_in() {
	[ "$(grep -c '"point":"memprobe:\*"' "$T/out.json")" -ge "$1" ]
}

test_library_loaded_after_attach() {
	start_passer
	start_monitor --target "$TARGET_PID" --points "$(named_point late high)"
	check '[(s.point, s.status) for s in of("site")] == [("late", "waiting")]' \
		'"no libmemprobe" in of("site")[0].reason'
	pass "open $MARKER_LIB"
	wait_until 10 marker_is_in 1
	pass 'calls late 0 1009' 'calls other 3 11'
	end_passer
	end_monitor
	check 'point("late").hits == point("late").returns == 1009' \
		'point("other").hits == point("other").returns == 11' \
		'[(s.point, s.level, s.status) for s in of("site")][1:] == [("memprobe:*", "low", "attached"), ("late", "high", "attached"), ("other", "critical", "attached")]'
}

# As an injected script brings them in: mapped from what has no file.
test_markers_in_memory() {
	start_passer
	start_monitor --target "$TARGET_PID" --points "$(no_points)"
	pass "memfd $MARKER_LIB"
	wait_until 10 marker_is_in 1
	pass 'calls python.call 258 1009'
	expect_semaphores '1 1 1'
	stop_monitor
	expect_semaphores '0 0 0'
	end_passer
	check 'point("python.call").hits == point("python.call").returns == 1009' \
		'[s.binary for s in of("site")] == ["/memfd:memprobe-marker"] * 2' \
		'[s.kind for s in of("site")] == ["usdt", "python"]' \
		'point("python.call").level == "high"'
}

test_program_with_the_markers_in_it() {
	need gcc
	sed 's|"../../user/|"'"$PWD"'/user/|' tests/targets/marked.c >"$T/linked.c"
	gcc -O2 -D_GNU_SOURCE -Itests/targets "$T/linked.c" "$PWD/build/libmemprobe.a" -pthread -o "$T/linked"
	start_target "$T/linked" --calls 1009 --point in.program --wait
	start_monitor --target "$TARGET_PID" --points "$(no_points)"
	finish_target
	end_monitor
	check 'point("in.program").hits == point("in.program").returns == 1009' \
		'all(s.binary.endswith("/linked") for s in of("site"))'
}

# A library of any name that was linked with them.
test_library_with_the_markers_in_it() {
	need gcc
	gcc -shared -o "$T/libown.so" -Wl,--whole-archive "$PWD/build/libmemprobe.a" -Wl,--no-whole-archive -pthread
	start_passer
	start_monitor --target "$TARGET_PID" --points "$(no_points)"
	pass "open $T/libown.so"
	wait_until 10 marker_is_in 1
	pass 'calls own 2 1009'
	stop_monitor
	expect_semaphores '0 0 0'
	end_passer
	check 'point("own").hits == point("own").returns == 1009' \
		'{s.binary.split("/")[-1] for s in of("site")} == {"libown.so"}'
}

test_two_processes_share_a_point() {
	local other
	start_target marked --calls 5003 --point shared --level low --wait
	other=$TARGET_PID
	start_target marked --calls 1009 --point shared --level low --wait
	start_monitor --target "$TARGET_PID" --target "$other" --points "$(no_points)"
	release "$other"
	finish_target
	end_monitor
	check 'point("shared").hits == point("shared").returns == 6012' 'len(summary.points) == 1' \
		'len([s for s in of("site") if s.point == "shared"]) == 1'
}

test_process_that_is_no_target_declares_nothing() {
	local other
	start_target marked --calls 5003 --point foreign --wait
	other=$TARGET_PID
	start_target marked --calls 1009 --point own --wait
	start_monitor --follow --target "$TARGET_PID" --points "$(no_points)"
	release "$other"
	wait_until 10 gone "$other"
	finish_target
	end_monitor
	check '[(p.point, p.hits) for p in summary.points] == [("own", 1009)]' \
		'summary.complete is True'
}

# A call that goes on in a child was entered by the parent: its exit there is none of the child's.
test_calls_across_fork() {
	start_passer
	pass "open $MARKER_LIB"
	start_monitor --follow --target "$TARGET_PID" --points "$(no_points)" --policy "$(every_call_policy)"
	pass 'enter a 1 1 0' fork 'exit a 1 1' 'calls a 1 101' 'calls child 1 11' join 'exit a 1 1'
	end_passer
	end_monitor
	check parent="$TARGET_PID" \
		'point("a").hits == 102 and point("a").returns == 103 and point("a").missed == 1' \
		'point("child").hits == point("child").returns == 11' \
		'all(r.pid != parent for r in probes("child"))' \
		'[r.duration_ns is not None for r in probes("a", "exit") if r.pid == parent] == [True]' \
		'summary.complete is True'
}

# When the monitor is gone, by whatever, programs are not even asked any more.
test_detach_leaves_nothing() {
	start_passer
	pass "open $MARKER_LIB"
	expect_semaphores '0 0 0'
	start_monitor --target "$TARGET_PID" --points "$(no_points)"
	expect_semaphores '1 1 1'
	pass 'calls a 1 11'
	stop_monitor
	check 'point("a").hits == 11'
	expect_semaphores '0 0 0'
	pass 'calls a 1 1009'
	start_monitor --target "$TARGET_PID" --points "$(no_points)"
	pass 'calls a 1 13'
	stop_monitor
	check 'point("a").hits == 13'
	end_passer
}

semaphores_are() {
	pass semaphores
	[ "$(tail -n 1 "$T/target.out")" = "$1" ]
}

test_kill9_leaves_nothing() {
	start_passer
	pass "open $MARKER_LIB"
	start_monitor --target "$TARGET_PID" --points "$(no_points)"
	expect_semaphores '1 1 1'
	kill -KILL "$MONITOR_PID"
	wait_until 5 semaphores_are '0 0 0'
	pass 'calls a 1 1009'
	end_passer
}

test_two_monitors_at_once() {
	local first
	start_passer
	pass "open $MARKER_LIB"
	start_monitor --target "$TARGET_PID" --points "$(no_points)"
	first=$MONITOR_PID
	mv "$T/out.json" "$T/first.json"
	start_monitor --target "$TARGET_PID" --points "$(no_points)"
	pass 'calls a 1 101'
	kill -INT "$first"
	wait_until 10 gone "$first"
	pass 'calls a 1 1009'
	stop_monitor
	expect_semaphores '0 0 0'
	end_passer
	check "$T/first.json" 'point("a").hits == 101'
	check 'point("a").hits == 1110'
}

# More points than there is room for: the first 256 are exact, the others are said to be lost.
test_three_hundred_points() {
	start_target marked --calls 300000 --threads 4 --points 300 --point p --wait
	start_monitor --target "$TARGET_PID" --points "$(named_point p.299 low)"
	finish_target
	end_monitor
	check 'len(summary.points) == 257' \
		'all(p.hits == p.returns == 1000 for p in summary.points)' \
		'lost("hits") == 2 * 43 * 1000' 'summary.complete is False' \
		'lost("malformed") == 0 and lost("process_ring") == 0'
	expect_err 'more than 256 points'
}

# Nothing that a program passes for a name, an id or a key does harm.
test_hostile_markers() {
	start_passer
	pass "open $MARKER_LIB"
	start_monitor --target "$TARGET_PID" --point "push=high@$TARGETS/calls:probe_push" \
		--policy "$(every_call_policy)"
	pass hostile
	end_passer
	end_monitor
	check 'point("push").hits == 0' \
		'point("new\\nline \\e[31m \\xff").returns == 1' \
		'{p.point for p in summary.points if p.point.startswith("id:")} == {"id:0000000000001111", "id:0000000000002222", "id:0000000000003333", "id:226329a83f0858ff"}' \
		'point("id:0000000000001111").level == "critical"' \
		'point("id:0000000000003333").hits == 2 and point("id:0000000000003333").missed == 2' \
		'lost("hits") == 1'
}

test_configured_threshold_holds() {
	start_target marked --calls 1009 --point big --level critical --wait
	start_monitor --target "$TARGET_PID" --policy "$(every_call_policy)" \
		--points "$(named_point big low 'threshold_mb: 16000')"
	finish_target
	end_monitor
	check 'point("big").hits == 1009 and point("big").level == "low"' \
		'point("big").suppressed == 2018 and probes() == []'
}

gate_policy() {
	printf '%s\n' 'version: 1' 'check_interval_ms: 100' 'cooldown_ms: 200' \
		'actions: {gate_deadline_ms: 1000}' \
		'levels: {critical: {on: {critical: [log, gate]}}}' >"$T/policy.yaml"
	printf '%s' "$T/policy.yaml"
}

# Half full; the call says that it asks for as much again.
test_gate_by_the_size_asked_for() {
	make_group $LIMIT
	start_passer "$OWN_GROUP"
	pass "open $MARKER_LIB" "fill $((LIMIT / 2))"
	start_monitor --target "$TARGET_PID" --points "$(no_points)" --policy "$(gate_policy)" --enforce
	pass 'enter small 3 1 4096' 'enter high 2 2 33554432'
	pass_unanswered 'enter big 3 3 33554432'
	wait_until 10 state_is "$TARGET_PID" T
	pass 'exit big 3 3'
	end_passer
	end_monitor
	check '[(r.point, r.get("gate")) for r in probes(None, "enter")] == [("small", None), ("high", None), ("big", "held")]' \
		'probes("big")[0].size == 33554432' \
		'[a.result for a in of("action") if a.action == "gate"] == ["done", "done"]' \
		'point("big").hits == point("big").returns == 1'
}

in_flight_of() {
	LIMIT=$1
	make_group "$LIMIT"
	start_passer "$OWN_GROUP"
	pass "open $MARKER_LIB"
	start_monitor --target "$TARGET_PID" --points "$(named_point outer high)" --policy "$(every_call_policy)"
}

test_oom_inside_marked_calls() {
	in_flight_of $LIMIT
	pass 'enter outer 2 1 0' 'enter gone 2 2 0' 'enter inner 2 3 0' 'exit gone 2 2'
	pass_unanswered "fill $((LIMIT * 2))"
	end_monitor
	check pid="$TARGET_PID" \
		'[r.pid for r in ooms(True)] == [pid]' \
		'[c.point for c in ooms(True)[0].in_flight] == ["outer", "inner"]' \
		'ooms(True)[0].in_flight[0].duration_ns > ooms(True)[0].in_flight[1].duration_ns > 0' \
		'all(c.rss_delta is None or c.rss_delta > 32 << 20 for c in ooms(True)[0].in_flight)' \
		'point("outer").returns == point("inner").returns == 0'
}

# The program that takes a call's place is not inside of it.
test_exec_ends_calls() {
	in_flight_of $LIMIT
	pass 'enter outer 2 1 0' "exec $TARGETS/passer"
	pass_unanswered "fill $((LIMIT * 2))"
	end_monitor
	check '[r.in_flight for r in ooms(True)] == [[]]' 'point("outer").hits == 1'
}

# What a program declared is in the recording by its name: a replay needs nothing else.
test_replay_decides_the_same() {
	make_group $LIMIT
	start_in_group marked --calls 61 --bytes 1048576 --point fill --level critical --wait
	start_monitor --target "$TARGET_PID" --points "$(no_points)" --policy "$(every_call_policy)" \
		--record "$T/record.json"
	finish_target
	end_monitor
	check "$T/record.json" 'len(of("decision")) >= 3' \
		'"fill" in [d.point for d in of("decision")]' 'point("fill").hits == 61'
	expect_exit 0 attach --replay "$T/record.json" --policy "$T/policy.yaml" --format json
	python3 - "$T/record.json" "$T/out" <<-'EOT' || fail 'the replay decides otherwise'
		import json, sys

		def decisions(path):
		    records = [json.loads(line) for line in open(path)]
		    return [(r["ts_ns"], r["severity"], r["previous"], r["level"], r["point"], r["reason"])
		            for r in records if r["type"] == "decision"]

		live, replayed = (decisions(path) for path in sys.argv[1:])
		print("live:", live, "replayed:", replayed, sep="\n")
		sys.exit(live != replayed or not live)
	EOT
}

test_probes_list_knows_markers() {
	named_point cache.fill high >"$T/name"
	expect_exit 0 probes check --binary "$MARKER_LIB" --points "$T/points.yaml"
	expect_exit 0 probes list --binary "$MARKER_LIB" --points "$T/points.yaml" --format json
	python3 - "$T/out" <<-'EOT' || fail "$(cat "$T/out")"
		import json, sys
		sites = json.load(open(sys.argv[1]))
		assert [(s["point"], s["status"], s["symbol"]) for s in sites] == [
		    ("memprobe:*", "attached", "memprobe:enter"), ("cache.fill", "attached", "memprobe:enter")], sites
	EOT
	start_passer
	pass "open $MARKER_LIB"
	expect_exit 0 probes list --target "$TARGET_PID" --points "$T/points.yaml"
	grep -q 'cache.fill.*memprobe:enter' "$T/out" || fail "$(cat "$T/out")"
	expect_semaphores '0 0 0'
	end_passer
	expect_exit 1 probes check --binary "$TARGETS/calls" --points "$T/points.yaml"
	expect_err 'cache.fill'
}

# Once for each point, in the view for people, too; no control characters.
test_text_view() {
	start_passer
	pass "open $MARKER_LIB"
	spawn_monitor attach --color never --target "$TARGET_PID" --points "$(no_points)" >"$T/out" 2>"$T/err" &
	MONITOR_PID=$!
	track $MONITOR_PID
	wait_until 10 test -s "$T/out"
	wait_until 10 semaphores_are '1 1 1'
	pass 'calls cache.fill 2 11' hostile
	end_passer
	end_monitor
	LC_ALL=C grep -q "$(printf '[\001-\011\013-\037\177]')" "$T/out" "$T/err" &&
		fail "control characters in: $(cat -v "$T/out")"
	grep -q 'cache.fill' "$T/out" || fail "nothing of the point in: $(cat "$T/out")"
	expect_eq 1 "$(grep -c 'site attached' "$T/out")" 'lines that count sites'
}
