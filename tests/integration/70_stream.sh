# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# The stream to its end: slow readers, recordings, signals, exit codes.

push_point() {
	printf 'push=high@%s/calls:probe_push' "$TARGETS"
}

# Nobody reads for a while: records are lost, and said to be; counts are not.
# Of those lost a few may be other records than of calls.
test_slow_reader() {
	local calls=200003
	mkfifo "$T/pipe"
	start_target calls --calls $calls --threads 2 --wait
	# Opened for reading and writing, so that the open does not wait for the other side.
	exec 9<>"$T/pipe"
	"$MEMPROBE" attach --format json --target "$TARGET_PID" --point "$(push_point)" \
		--policy "$(every_call_policy)" >"$T/pipe" 2>"$T/err" 9>&- &
	MONITOR_PID=$!
	track $MONITOR_PID
	read -r line <&9
	while [[ $line != *'"start"'* ]]; do read -r line <&9; done
	finish_target
	cat <&9 >"$T/out.json" &
	track $!
	end_monitor
	exec 9>&-
	wait_until 10 has_line '"type": *"stop"' "$T/out.json"
	check calls=$calls \
		'point("push").hits == point("push").returns == calls' \
		'lost("output") > 0' \
		'summary.received == point("push").emitted' \
		'summary.received <= len(probes()) + lost("output") <= summary.received + 10' \
		'summary.complete is False'
}

# A stuck reader costs the target nothing: compared with a reader that reads, in
# number of calls and not in time, as the target's calls are paced.
test_stuck_reader_does_not_hold_up_the_target() {
	mkfifo "$T/pipe"
	start_target calls --calls 20011 --rate 20000 --wait
	exec 9<>"$T/pipe"
	"$MEMPROBE" attach --format json --target "$TARGET_PID" --point "$(push_point)" \
		--policy "$(every_call_policy)" >"$T/pipe" 2>"$T/err" &
	MONITOR_PID=$!
	track $MONITOR_PID
	read -r line <&9
	while [[ $line != *'"start"'* ]]; do read -r line <&9; done
	finish_target
	# It must give up on the reader at the end by itself, too.
	end_monitor 30
	exec 9>&-
}

# No SIGPIPE without a word: the monitor ends, and the target does not notice.
test_reader_that_goes_away() {
	mkfifo "$T/pipe"
	sed 1q <"$T/pipe" >"$T/first" &
	start_target calls --calls 20011 --rate 20000 --wait
	"$MEMPROBE" attach --format json --target "$TARGET_PID" --point "$(push_point)" \
		--policy "$(every_call_policy)" >"$T/pipe" 2>"$T/err" &
	MONITOR_PID=$!
	track $MONITOR_PID
	wait_until 10 has_line '"start"' "$T/first"
	finish_target
	end_monitor
	[ "$MONITOR_CODE" -lt 128 ] || fail "the monitor was ended by signal $((MONITOR_CODE - 128))"
}

test_text_view() {
	start_target workload --rounds 3 --size 4 --wait
	"$MEMPROBE" attach --color never --target "$TARGET_PID" >"$T/out" 2>"$T/err" &
	MONITOR_PID=$!
	track $MONITOR_PID
	wait_until 10 test -s "$T/out"
	sleep 0.5
	finish_target
	end_monitor
	expect_narrow "$T/out"
	grep -q 'cache_manager.allocate_cache  *15 ' "$T/out" || fail "no row for a point: $(cat "$T/out")"
}

# The same decisions from a recording as live, without doing anything.
test_replay_decides_the_same() {
	make_group 67108864
	start_in_group calls --function grow --calls 61 --bytes 1048576 --wait
	start_monitor --target "$TARGET_PID" --point "grow=critical@$TARGETS/calls:probe_grow" \
		--policy "$(every_call_policy)" --record "$T/record.json"
	finish_target
	end_monitor
	memprobe attach --replay "$T/record.json" --policy "$T/policy.yaml" --format json
	expect_eq 0 "$CODE" 'exit code of the replay'
	check "$T/record.json" 'summary is not None' 'len(of("decision")) >= 3'
	python3 - "$T/out.json" "$T/out" <<-'EOT' || fail 'the replay decides otherwise'
		import json, sys

		def decisions(path):
		    records = [json.loads(line) for line in open(path)]
		    return [(r["ts_ns"], r["severity"], r["previous"], r["level"], r["pid"], r["reason"])
		            for r in records if r["type"] == "decision"]

		live, replayed = (decisions(path) for path in sys.argv[1:])
		print("live:", live, "replayed:", replayed, sep="\n")
		sys.exit(live != replayed or not live)
	EOT
	check "$T/out" 'all(a.result == "would" for a in of("action") if a.action != "log")'
}

# A recording is whole even when nobody reads the output.
test_record_beside_text() {
	start_target calls --calls 1009 --wait
	"$MEMPROBE" attach --record "$T/record.json" --target "$TARGET_PID" --point "$(push_point)" \
		--policy "$(every_call_policy)" >/dev/null 2>"$T/err" &
	MONITOR_PID=$!
	track $MONITOR_PID
	wait_until 10 has_line '"type": *"start"' "$T/record.json"
	finish_target
	end_monitor
	check "$T/record.json" 'len(probes("push")) == 2018' 'summary.complete is True'
}

test_replay_of_a_cut_recording() {
	start_target calls --calls 101 --wait
	start_monitor --target "$TARGET_PID" --point "$(push_point)" --policy "$(every_call_policy)" \
		--record "$T/record.json"
	finish_target
	end_monitor
	head -c 5000 "$T/record.json" >"$T/cut.json"
	memprobe attach --replay "$T/cut.json" --format json
	[ "$CODE" -le 3 ] || fail "exit code $CODE for a recording that is cut"
}

test_run_gives_the_exit_code() {
	expect_exit 7 run --format json --point "$(push_point)" -- sh -c 'exit 7'
	expect_exit 0 run --format json --point "$(push_point)" -- true
	expect_exit $((128 + 15)) run --format json --point "$(push_point)" -- sh -c 'kill -TERM $$'
}

test_run_sees_the_first_call() {
	expect_exit 0 run --format json --record "$T/record.json" --point "$(push_point)" -- \
		"$TARGETS/calls" --calls 100003 --threads 3
	check "$T/record.json" 'point("push").hits == point("push").returns == 100003' \
		'summary.complete is True'
}

test_run_of_what_is_not_there() {
	memprobe run --point "$(push_point)" -- "$T/none"
	[ "$CODE" -eq 5 ] || [ "$CODE" -eq 127 ] || fail "exit code $CODE for a program that is not there"
	expect_err "$T/none"
}

test_duration() {
	start_target calls --calls 11 --wait
	start_monitor --target "$TARGET_PID" --point "$(push_point)" --duration 1
	end_monitor
	expect_eq 0 "$MONITOR_CODE" 'exit code'
	check 'stop.reason == "duration"' '10**9 <= summary.duration_ns < 3 * 10**9'
	finish_target
}

test_signals_end_with_a_summary() {
	local signal
	for signal in INT TERM; do
		start_target calls --calls 1000003 --rate 10000 --wait
		start_monitor --target "$TARGET_PID" --point "$(push_point)"
		release
		wait_until 10 has_line '"type": *"probe"' "$T/out.json"
		kill "-$signal" "$MONITOR_PID"
		end_monitor
		expect_eq 0 "$MONITOR_CODE" "exit code after SIG$signal"
		check 'stop.reason == "signal"' '0 < point("push").hits < 1000003' 'summary.complete is True'
		state_is "$TARGET_PID" Z && fail 'the target ended with the monitor'
		kill -KILL "$TARGET_PID"
	done
}

test_end_of_the_target() {
	start_target calls --calls 1009 --wait
	start_monitor --target "$TARGET_PID" --point "$(push_point)"
	kill -KILL "$TARGET_PID"
	end_monitor
	expect_eq 0 "$MONITOR_CODE" 'exit code'
	check 'stop.reason == "target_exit"' 'stop.exit_code == 0' 'point("push").hits == 0'
}

# The kernel takes the probes away with the monitor; the target goes on.
test_monitor_is_killed() {
	start_target calls --calls 20011 --rate 20000 --wait
	start_monitor --target "$TARGET_PID" --point "$(push_point)"
	release
	wait_until 10 has_line '"type": *"probe"' "$T/out.json"
	kill -KILL "$MONITOR_PID"
	end_target
	expect_eq 0 "$TARGET_CODE" 'exit code of the target'
	start_target calls --calls 1009 --wait
	start_monitor --target "$TARGET_PID" --point "$(push_point)"
	finish_target
	end_monitor
	check 'point("push").hits == 1009'
}

test_quiet_shows_the_summary_alone() {
	start_target calls --calls 1009 --wait
	"$MEMPROBE" attach -q --color never --target "$TARGET_PID" --point "$(push_point)" \
		--duration 1 >"$T/out" 2>"$T/err"
	grep -q 'push' "$T/out" || fail 'no summary'
	finish_target
}
