# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# Every call is counted, whatever happens to the records. The numbers of calls
# are primes: no double or half counting gives one by chance.

readonly CALLS=999983

push_point() {
	printf 'push=%s@%s/calls:probe_push' "${1:-high}" "$TARGETS"
}

test_prime_calls_over_eight_threads() {
	start_target calls --calls $CALLS --threads 8 --wait
	start_monitor --target "$TARGET_PID" --point "$(push_point)"
	finish_target
	end_monitor
	expect_eq 0 "$MONITOR_CODE" 'exit code of the monitor'
	check calls=$CALLS target=@"$T/target.out" \
		'target.calls == calls' \
		'point("push").hits == calls' \
		'point("push").returns == calls' \
		'point("push").missed == 0' \
		'summary.complete is True' \
		'summary.received == point("push").emitted == len(probes("push"))' \
		'point("push").duration_ns.p50 <= point("push").duration_ns.p99' \
		'point("push").duration_ns.p99 <= point("push").duration_ns.max'
}

test_ring_of_one_page() {
	start_target calls --calls $CALLS --threads 8 --wait
	start_monitor --target "$TARGET_PID" --point "$(push_point)" --ring-size 4096 \
		--policy "$(every_call_policy)"
	finish_target
	end_monitor
	check calls=$CALLS \
		'point("push").hits == calls' \
		'point("push").returns == calls' \
		'point("push").lost > 0' \
		'point("push").suppressed == 0' \
		'summary.received == point("push").emitted' \
		'lost("ring") == point("push").lost'
}

test_record_of_every_call() {
	start_target calls --calls 1009 --wait
	start_monitor --target "$TARGET_PID" --point "$(push_point)" --policy "$(every_call_policy)"
	finish_target
	end_monitor
	check pid="$TARGET_PID" \
		'len(probes("push", "enter")) == 1009' \
		'len(probes("push", "exit")) == 1009' \
		'all(r.pid == pid and r.tid == pid and r.comm == "calls" for r in probes())' \
		'all(a.ts_ns <= b.ts_ns for a, b in zip(probes(), probes()[1:]))' \
		'all(0 < r.duration_ns < 10**9 for r in probes("push", "exit"))' \
		'point("push").emitted == 2018 and point("push").suppressed == 0' \
		'summary.complete is True'
}

# low: one record in two check intervals at most, 1 s with the default policy.
test_interval_of_level() {
	start_target calls --calls 1511 --rate 1000 --wait
	start_monitor --target "$TARGET_PID" --point "$(push_point low)"
	finish_target
	end_monitor
	check 'point("push").hits == 1511' \
		'1 <= len(probes("push", "enter")) <= 3' \
		'len(probes("push", "enter")) == len(probes("push", "exit"))' \
		'point("push").suppressed == 2 * 1511 - point("push").emitted'
}

test_eight_points_of_a_real_program() {
	local point points=()
	for point in load_model=critical allocate=high load_shard=high read_large_file=medium \
		parse_file=medium allocate_resource=high load_model_with_config=critical \
		allocate_cache=high; do
		points+=(--point "$point@$TARGETS/workload:${point%=*}")
	done
	start_target workload --rounds 7 --threads 3 --size 4 --wait
	start_monitor --target "$TARGET_PID" "${points[@]}"
	finish_target
	end_monitor
	check target=@"$T/target.out" \
		'len(summary.points) == 8 == len(target)' \
		'{p.point: p.hits for p in summary.points} == target' \
		'{p.point: p.returns for p in summary.points} == target' \
		'sum(p.missed for p in summary.points) == 0' \
		'all(s.status == "attached" for s in of("site"))' \
		'start.targets == [str(start.targets[0])]'
}

test_shipped_points_fit_the_program() {
	start_target workload --rounds 2 --size 4 --wait
	start_monitor --target "$TARGET_PID"
	finish_target
	end_monitor
	check target=@"$T/target.out" \
		'{p.point.split(".")[-1]: p.hits for p in summary.points} == target'
}

# Attached to and left in the middle of everything: a call that is under way then
# may be half counted, one in each thread at each end, and no more.
test_attach_and_detach_under_load() {
	start_target calls --calls 1000000007 --threads 2
	start_monitor --target "$TARGET_PID" --point "$(push_point)"
	sleep 1
	stop_monitor
	kill -KILL "$TARGET_PID"
	check 'point("push").hits > 10000' \
		'abs(point("push").hits - point("push").returns) <= 4' \
		'point("push").missed <= 4'
}

# Counting is per monitor: a second one takes nothing from the first.
test_two_monitors_at_once() {
	local first
	start_target calls --calls 10007 --threads 2 --wait
	start_monitor --target "$TARGET_PID" --point "$(push_point)"
	first=$MONITOR_PID
	mv "$T/out.json" "$T/first.json"
	start_monitor --target "$TARGET_PID" --point "$(push_point)"
	finish_target
	end_monitor
	wait_until 10 gone "$first"
	check 'point("push").hits == 10007'
	check "$T/first.json" 'point("push").hits == 10007'
}

test_process_that_is_no_target_is_not_counted() {
	local other
	start_target calls --calls 5003 --wait
	other=$TARGET_PID
	start_target calls --calls 1009 --wait
	start_monitor --target "$TARGET_PID" --point "$(push_point)"
	release "$other"
	wait_until 10 gone "$other"
	finish_target
	end_monitor
	check 'point("push").hits == 1009'
}

test_several_targets() {
	local other
	start_target calls --calls 5003 --wait
	other=$TARGET_PID
	start_target calls --calls 1009 --wait
	start_monitor --target "$TARGET_PID" --target "pid:$other" --point "$(push_point)"
	release "$other"
	finish_target
	end_monitor
	check 'point("push").hits == 6012' 'len(start.targets) == 2' 'stop.reason == "target_exit"'
}
