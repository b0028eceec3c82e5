# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# Rehearsals: what a pattern says is what memory in use is, and nothing of it stays.

# rehearse CODE ARG…: `simple ARG…` in the profile, with its report; exit code as expected.
rehearse() {
	local code=$1
	shift
	expect_exit "$code" simple --config-dir "$CONFIG" --env small --save-report \
		--output-dir "$T/reports" "$@"
	REPORT=$(ls "$T"/reports/*_memory_test.json)
}

# pace SECONDS: on an emulated processor memory fills ten times as slowly.
pace() {
	awk -v s="$1" -v slow="${MP_VM_SERIES:+10}" 'BEGIN { print s * (slow ? slow : 1) }'
}

# no_group_left [PID]: of that supervisor, or of any.
no_group_left() {
	[ -z "$(find /sys/fs/cgroup -name "memprobe-*${1:+-$1-*}" -type d 2>/dev/null)" ]
}

no_filler_left() {
	! pgrep -x mp-filler >/dev/null
}

test_burst_holds_what_is_asked() {
	profile 256
	rehearse 0 --mode burst --target 70 --duration 2
	reported 'r["outcome"] == "ok"' 'abs(r["achieved"]["error_pct"]) <= 0.5' \
		'r["environment"]["memory_limit"] == 256 << 20' 'r["environment"]["profile_name"] == "small"' \
		'r["monitor"] is None' 'len(r["samples"]) >= 15' 'r["pressure"]["oom_kills"] == 0' \
		'69.5 < r["peak_memory"] < 72'
	no_group_left || fail 'a group is left'
	no_filler_left || fail 'the filler is left'
}

test_staircase() {
	profile 512
	rehearse 0 --mode staircase --step-size 40 --interval "$(pace 0.5)" --steps 6
	reported 'len(r["phases"]) == 6' \
		'all(abs(p["achieved"]["error_pct"]) <= 0.5 for p in r["phases"])' \
		'[round(p["due"] / r["phases"][1]["due"], 3) for p in r["phases"]] == [0, 1, 2, 3, 4, 5]' \
		'all(b["requested"]["bytes"] - a["requested"]["bytes"] > 39 << 20 for a, b in zip(r["phases"], r["phases"][1:]))'
}

test_sawtooth() {
	profile 512
	rehearse 0 --mode sawtooth --min 20 --max 60 --cycles 2 --duration "$(pace 2)"
	reported '[p["name"] for p in r["phases"]] == ["ramp up", "ramp down"] * 2' \
		'55 < r["peak_memory"] < 62' \
		'min(s["percent"] for s in r["samples"] if s["t"] > 1) > 18'
}

# The margin is what is left, and nobody dies of it.
test_allocate_full() {
	profile 512
	rehearse 0 --mode allocate_full --safety-margin 32 --duration 2
	reported 'r["outcome"] == "ok"' \
		'abs(r["samples"][-1]["available"] - (32 << 20)) < 0.01 * (512 << 20)' \
		'r["pressure"]["oom_kills"] == 0'
}

# Phases that are over before a sample was due have figures all the same.
test_short_steps() {
	profile 512
	rehearse 0 --mode staircase --step-size 1 --interval "$(pace 0.05)" --steps 4 --no-monitor
	reported 'len(r["phases"]) == 4' 'all(p["achieved"]["percent"] > 0 for p in r["phases"])'
}

# What a neighbour takes, the filler gives.
test_neighbour() {
	local rate=50
	[ -z "${MP_VM_SERIES:-}" ] || rate=5
	profile 512
	rehearse 0 --mode burst --target 80 --duration "$(pace 4)" --safety-margin 16 -- \
		"$TARGETS/filler" --bytes 104857600 --kind anon --rate $rate --hold 600
	reported 'all(abs(p["achieved"]["error_pct"]) <= 0.5 for p in r["phases"])' \
		'r["samples"][-1]["usage"] - r["samples"][-1]["filler"] > 100 << 20'
}

# One that takes a fifth of the limit and gives it back, twice.
test_neighbour_up_and_down() {
	profile 512
	cat >"$T/wave.py" <<-'EOT'
		import sys, time
		held = []
		for up in (True, False) * 2:
		    for _ in range(100):
		        held.append(bytearray(b"x") * (1 << 20)) if up else held.pop()
		        time.sleep(float(sys.argv[1]))
		time.sleep(600)
	EOT
	rehearse 0 --mode burst --target 70 --duration "$(pace 5)" -- python3 "$T/wave.py" "$(pace 0.01)"
	reported 'all(abs(p["achieved"]["error_pct"]) <= 0.5 for p in r["phases"])' \
		'(lambda f: max(f) - min(f) > 80 << 20)([s["filler"] for s in r["samples"] if s["percent"] > 69])' \
		'(lambda off: off[len(off) * 9 // 10] <= 0.5)(sorted(abs(s["percent"] - 70) for s in r["samples"] if s["t"] > r["duration"] / 3))'
}

# in_group_of_all COMMAND…: where the groups of a rehearsal come to be below $OWN_GROUP. On v2 that
# is from a group beside them, since the one above must not have processes of its own.
# To be called in a subshell, which becomes the command.
in_group_of_all() {
	local place=$OWN_GROUP
	if [ -e "$OWN_GROUP/cgroup.controllers" ]; then
		place=$OWN_GROUP/leaf
		mkdir -p "$place"
	fi
	# shellcheck disable=SC2016 # for the other shell
	exec bash -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$place" "$@"
}

# own_group_holds MB
own_group_holds() {
	[ "$(cat "$OWN_GROUP/memory.current" "$OWN_GROUP/memory.usage_in_bytes" 2>/dev/null)" -gt $(($1 << 20)) ]
}

kills_in_own_group() {
	cat "$OWN_GROUP/memory.events" "$OWN_GROUP/memory.oom_control" 2>/dev/null | awk '$1 == "oom_kill" { print $2 }'
}

# A profile that is larger than what others leave in the group around it: it takes no more than that.
test_no_oom_around() {
	local bystander
	make_group $((256 << 20))
	profile 200
	in_group_of_all "$TARGETS/filler" --bytes 104857600 --kind anon --hold 600 >/dev/null &
	bystander=$!
	track $bystander
	wait_until 60 own_group_holds 100
	CODE=0
	(in_group_of_all "$MEMPROBE" simple --config-dir "$CONFIG" --env small --mode allocate_full --safety-margin 4 \
		--duration 2 --save-report --output-dir "$T/reports") >"$T/out" 2>"$T/err" || CODE=$?
	expect_eq 1 $CODE 'exit code'
	expect_eq 0 "$(kills_in_own_group)" 'processes killed around it'
	kill -0 $bystander || fail 'the bystander is gone'
	kill $bystander
	wait $bystander 2>/dev/null || true
	REPORT=$(ls "$T"/reports/*_memory_test.json)
	reported 'r["outcome"] == "limit_not_reached"' 'max(s["filler"] for s in r["samples"]) > 100 << 20'
	[ ! -d "$OWN_GROUP/leaf" ] || rmdir "$OWN_GROUP/leaf"
}

# All of the host but a margin that leaves 64 MB to take.
test_of_host() {
	local margin
	margin=$(awk '$1 == "MemAvailable:" { print int($2 / 1024) - 64 }' /proc/meminfo)
	expect_exit 0 simple --of host --mode allocate_full --safety-margin "$margin" --duration 1 --save-report \
		--output-dir "$T/reports"
	REPORT=$(ls "$T"/reports/*_memory_test.json)
	reported "abs(r['samples'][-1]['available'] - ($margin << 20)) < 0.01 * ($margin << 20)" \
		'max(s["filler"] for s in r["samples"]) < 200 << 20'
	no_group_left || fail 'a group is left'
}

# Pages that went to swap are not made up for by more and more of them.
test_swap() {
	[ -n "${MP_VM_SERIES:-}" ] || skip 'no disk for swap'
	own_memory_cgroup >"$T/parent"
	trap 'end_own; swapoff /dev/nvme0n1' EXIT
	swapon /dev/nvme0n1
	profile 128
	sed -i 's/swap_size: 0/swap_size: 64/' "$CONFIG/low_mem_env.yaml"
	"$MEMPROBE" simple --config-dir "$CONFIG" --env small --mode burst --target 70 --duration 20 --cold --entropy 100 \
		--save-report --output-dir "$T/reports" >"$T/out" 2>"$T/err" &
	track $!
	wait_until 60 filler_holds 80
	echo 40M >"$(echo "$(cat "$T/parent")"/memprobe-env-*)/memory.reclaim" || skip 'this kernel reclaims nothing on demand'
	wait $! || true
	REPORT=$(ls "$T"/reports/*_memory_test.json)
	reported 'max(s["filler"] for s in r["samples"]) <= r["requested"]["bytes"] + (1 << 20)' \
		'r["pressure"]["oom_kills"] == 0'
}

# filler_holds MB: the group that it is in.
filler_holds() {
	[ "$(cat "$(cat "$T/parent")"/memprobe-env-*/memory.current 2>/dev/null || echo 0)" -gt $(($1 << 20)) ]
}

# A program that runs out of memory beside it: the kernel ends it, the rehearsal says so.
test_oom_is_an_outcome() {
	profile 128
	rehearse 7 --mode burst --target 50 --duration 20 --no-monitor -- \
		"$TARGETS/calls" --function grow --calls 200 --bytes 1048576
	reported 'r["outcome"] == "oom_killed"' '"memory ran out" in r["verdict"]'
	no_group_left || fail 'a group is left'
}

test_interrupted() {
	profile 128
	local signal supervisor
	for signal in INT TERM HUP; do
		rm -rf "$T/reports"
		env --default-signal=INT "$MEMPROBE" simple --config-dir "$CONFIG" --env small --mode burst --duration 60 \
			--target 50 --save-report --output-dir "$T/reports" >"$T/out" 2>"$T/err" &
		supervisor=$!
		track $supervisor
		wait_until 20 pgrep -P $supervisor -x mp-filler
		sleep 2 # the monitor starts
		kill -$signal $supervisor
		CODE=0
		wait $supervisor || CODE=$?
		expect_eq 130 $CODE "exit code after SIG$signal"
		# shellcheck disable=SC2034 # read by reported
		REPORT=$(ls "$T"/reports/*_memory_test.json)
		reported 'r["outcome"] == "interrupted"' 'len(r["samples"]) >= 1'
		no_group_left $supervisor || fail 'a group is left'
	done
}

# Killed at random instants, it leaves no process and no group.
test_kill9_of_the_supervisor() {
	local i pid
	profile 128
	for i in $(seq "${MP_HARNESS_KILLS:-12}"); do
		"$MEMPROBE" simple --config-dir "$CONFIG" --env small --mode burst --duration 60 --target 60 \
			-- sleep 600 >/dev/null 2>"$T/err" &
		pid=$!
		track $pid
		sleep "0.$((RANDOM % 900 + 10))"
		kill -KILL $pid
		wait $pid 2>/dev/null || true
		# A group goes only when the filler is no more.
		wait_until 10 no_group_left $pid
	done
	wait_until 10 no_monitor_left
	[ "$i" -gt 0 ] || fail 'nothing was killed'
}

no_monitor_left() {
	! pgrep -f "$MEMPROBE attach --target cgroup:.*memprobe-" >/dev/null
}

test_options_that_do_not_fit() {
	profile 128
	expect_exit 2 simple --env small
	expect_err '--mode is needed'
	expect_exit 2 simple --mode bursty
	expect_err 'did you mean burst?'
	expect_exit 2 simple --config-dir "$CONFIG" --mode burst --env smal
	expect_err 'there is no profile smal (did you mean small?)'
	expect_exit 2 simple --config-dir "$CONFIG" --mode burst --env small --target 95
	expect_err '--target 95: with the safety margin'
	expect_exit 2 simple --config-dir "$CONFIG" --mode sawtooth --env small --min 60 --max 50
	expect_err '--min 60 is not below --max 50'
	expect_exit 2 simple --config-dir "$CONFIG" --mode allocate_full --env small --safety-margin 200
	expect_err '--safety-margin'
	expect_exit 2 simple --mode burst --target 101
	expect_err '--target 101: a percentage, 0 to 100'
	expect_exit 2 simple --mode burst --target 0
	expect_err '--target 0: a percentage above 0'
	expect_exit 2 simple --mode staircase --step-size 0
	expect_err '--step-size 0'
	printf 'simulation_profiles:\n  - nam: x\n' >"$CONFIG/low_mem_env.yaml"
	expect_exit 3 simple --config-dir "$CONFIG" --mode burst --env small
	expect_err 'low_mem_env.yaml:2:5'
}

test_report_that_cannot_be_saved() {
	profile 128
	expect_exit 1 simple --config-dir "$CONFIG" --env small --mode burst --target 50 --duration 0.2 --no-monitor \
		--save-report --output-dir /proc/nowhere
	expect_err 'cannot save the report: /proc/nowhere'
	mkdir "$T/full"
	mount -t tmpfs -o size=64k none "$T/full" 2>/dev/null || skip 'nothing can be mounted here'
	CODE=0
	"$MEMPROBE" simple --config-dir "$CONFIG" --env small --mode burst --target 50 --duration 0.5 --no-monitor \
		--save-report --output-dir "$T/full" >"$T/out" 2>"$T/err" || CODE=$?
	ls -A "$T/full" >"$T/saved"
	umount "$T/full"
	expect_eq 1 $CODE 'exit code'
	expect_err 'No space left on device: make room'
	! grep -q '\.html\.' "$T/saved" || fail "a part of a report is left: $(cat "$T/saved")"
	grep -q 'memory_test.json$' "$T/saved" || fail 'the JSON report, which fits, is not there'
}
