# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# Known ways to run out of memory on cgroup v2, replayed. Who was killed is told
# three times: by memory.events, by the kernel log and by our records. All must agree.
# run puts this file beside the integration tests in the virtual machine.
#
# shellcheck disable=SC2119,SC2120 # used with and without arguments

readonly SWAP_DISK=/dev/nvme0n1
readonly MIB=1048576

# --- groups and what fills them ------------------------------------------------

# set_files FILE=VALUE…: files of the test's group, or of one below it.
set_files() {
	local setting
	for setting in "$@"; do
		printf '%s' "${setting#*=}" >"$OWN_GROUP/${setting%%=*}"
	done
}

# make_leaves NAME…: groups below the test's own.
make_leaves() {
	local leaf
	set_files cgroup.subtree_control=+memory
	for leaf in "$@"; do
		mkdir "$OWN_GROUP/$leaf"
	done
}

# start_filler LEAF ARG…: a filler that waits, in a group below the test's own (. is
# that one), with a folder of its own for its output, in $FILLER_DIR. What it maps is a
# file in memory: of one on a disk the kernel would write back and drop what is too much.
start_filler() {
	local leaf=$1
	shift
	FILLER_DIR=$(mktemp -d "$T/filler.XXXXXX")
	TARGET_TMPDIR=/dev/shm T=$FILLER_DIR OWN_GROUP=$OWN_GROUP/$leaf start_in_group filler --wait "$@"
}

# fill LEAF ARG…: the same, released, until it has filled and holds what it has.
fill() {
	start_filler "$@" --hold 3600
	release
	wait_until 60 has_line '^filled ' "$FILLER_DIR/target.out"
}

# Swap is for the tests that are about it: without, the others run out of memory at once.
use_swap() {
	[ -b $SWAP_DISK ] || skip 'no disk for swap'
	trap 'end_own; swapoff $SWAP_DISK' EXIT
	swapon $SWAP_DISK
}

# event NAME [LEAF]: a count of memory.events, of all groups below, too.
event() {
	awk -v name="$1" '$1 == name { print $2 }' "$OWN_GROUP/${2:-.}/memory.events"
}

event_is_above() {
	[ "$(event "$1")" -gt "$2" ]
}

# --- who was killed ------------------------------------------------------------

# watch_group [ARG…]: what the kernel logs from here on is this test's.
watch_group() {
	start_monitor --target "cgroup:${OWN_GROUP#/sys/fs/cgroup}" \
		--point "fill=low@$TARGETS/filler:probe_fill" "$@"
	printf 'scenario %s\n' "$T" >/dev/kmsg
}

# The victims in the kernel log since then, in order.
logged_victims() {
	dmesg | sed -n "\\,scenario $T\$,,\$s/.*Killed process \\([0-9]*\\) .*/\\1/p"
}

# expect_killed PID [CODE…]: by SIGKILL, or with one of these exit codes.
expect_killed() {
	local pid=$1 code=0
	shift
	wait "$pid" || code=$?
	case " ${*:-137} " in
	*" $code "*) ;;
	*) fail "exit code of process $pid: $code" ;;
	esac
}

expect_alive() {
	! gone "$1" || fail "process $1 is gone"
}

has_ooms() {
	[ "$(grep -c '"type": *"oom"' "$T/out.json")" -ge "$1" ]
}

# expect_victims PID…: by the kernel, in this order. Ends the monitor. In the kernel
# log a thread stands for its process when the main thread has ended; and where a
# group dies as one, the process that it began with is logged and counted twice.
# From 7.0 on the kernel may leave out a tracing program (docs/ARCHITECTURE.md), and one that has just
# come into the group may be killed before /proc has been looked through for it.
expect_victims() {
	local logged
	wait_until 20 has_ooms $#
	stop_monitor
	logged=$(logged_victims)
	expect_eq "$(wc -w <<<"$logged")" "$(event oom_kill)" 'oom_kill in memory.events'
	check victims="pids $*" logged="pids $(awk '!seen[$1]++' <<<"$logged" | xargs)" \
		'[r.pid for r in killed()] == [int(pid) for pid in victims.split()[1:]]' \
		'len(logged.split()[1:]) == len(killed())' \
		'all(int(pid) in [r.pid, *(c.tid for c in r.in_flight)] for pid, r in zip(logged.split()[1:], killed()))' \
		'sum(not r.is_target for r in of("oom")) <= (kernel >= [7, 0])' 'lost("process_ring") == 0' \
		'all(r.comm is not None or kernel < [6, 9] for r in of("oom"))'
}

# --- the kernel kills ----------------------------------------------------------

test_limit_without_swap() {
	make_group
	set_files memory.max=30M memory.swap.max=0
	start_filler . --bytes $((100 * MIB))
	watch_group
	release
	expect_killed "$TARGET_PID"
	expect_victims "$TARGET_PID"
	check group="/${OWN_GROUP##*/}" mib=$MIB \
		'[c.point for c in of("oom")[0].in_flight] == ["fill"]' \
		'all(r.cgroup == group and 24 * mib < r.rss_anon < 30 * mib for r in of("oom") if r.comm)'
}

# The whole machine runs out: no group has a limit, and the host is the domain.
test_host_runs_out() {
	make_group
	start_filler . --bytes $((2048 * MIB)) --oom-score-adj 1000
	watch_group
	release
	expect_killed "$TARGET_PID"
	expect_victims "$TARGET_PID"
	check 'ooms(True)[0].in_flight[0].point == "fill"' \
		'any(p.cgroup is None and p.pid == ooms(True)[0].pid for p in pressures("usage"))' \
		'"critical" in [d.severity for d in of("decision") if d.limit_cgroup is None]' \
		'any(e.kind == "decision" for e in ooms(True)[0].history)'
}

# 50 MiB have room in memory and swap of 30 MiB each; 100 MiB have not.
test_limit_with_swap() {
	make_group
	use_swap
	set_files memory.max=30M memory.swap.max=30M
	watch_group
	fill . --bytes $((50 * MIB))
	[ "$(cat "$OWN_GROUP/memory.swap.current")" -gt $((18 * MIB)) ] || fail 'no swap was used'
	kill -KILL "$TARGET_PID"
	expect_killed "$TARGET_PID"
	expect_eq 0 "$(event oom_kill)" 'oom_kill after 50 MiB'
	start_filler . --bytes $((100 * MIB))
	release
	expect_killed "$TARGET_PID"
	expect_victims "$TARGET_PID"
	check mib=$MIB 'all(r.swap > 18 * mib for r in of("oom") if r.comm)' \
		'sum(p.reclaimed_pages for p in pressures("reclaim")) * 4096 > 18 * mib' \
		'all(p.stall_ns > 0 and p.reclaims > 0 and (p.pid is None or p.comm == "filler") for p in pressures("reclaim"))'
}

# One mlock() of more than there is: since 5.18 (c9afe31ec443) it is throttled on the
# way, not only when it is back from the kernel, and so does not get to the limit.
test_high_holds_back_one_large_request() {
	make_group
	set_files memory.high=30M memory.max=140M memory.swap.max=0
	start_filler . --bytes $((200 * MIB)) --kind locked --step $((200 * MIB))
	watch_group
	release
	wait_until 30 event_is_above high 0
	sleep 5
	expect_alive "$TARGET_PID"
	expect_eq 0 "$(event max)" 'max in memory.events'
	[ "$(cat "$OWN_GROUP/memory.current")" -lt $((140 * MIB)) ] || fail 'not held back'
	! has_line filled "$FILLER_DIR/target.out" || fail 'all of it was locked'
	kill -KILL "$TARGET_PID"
	expect_killed "$TARGET_PID"
	expect_victims
}

test_group_that_dies_as_one() {
	local members=() logged sibling
	make_group
	make_leaves leaf outside
	set_files leaf/memory.max=50M leaf/memory.swap.max=0 leaf/memory.oom.group=1
	watch_group
	fill outside --bytes $((60 * MIB))
	sibling=$TARGET_PID
	fill leaf --bytes $((2 * MIB))
	members+=("$TARGET_PID")
	fill leaf --bytes $((2 * MIB))
	members+=("$TARGET_PID")
	start_filler leaf --bytes $((60 * MIB))
	members+=("$TARGET_PID")
	release
	for TARGET_PID in "${members[@]}"; do
		expect_killed "$TARGET_PID"
	done
	expect_alive "$sibling"
	expect_eq 1 "$(event oom_group_kill leaf)" 'oom_group_kill'
	mapfile -t members < <(printf '%s\n' "${members[@]}" | sort -n)
	mapfile -t logged < <(logged_victims | awk '!seen[$1]++')
	expect_eq "${members[*]}" "$(printf '%s\n' "${logged[@]}" | sort -n | xargs)" 'victims'
	# Their order is the kernel's.
	expect_victims "${logged[@]}"
}

filled_or_gone() {
	has_line '^filled ' "$FILLER_DIR/target.out" || gone "$1"
}

# 100 MiB in 80: the score decides about the first, the size about the second, and the
# one of 40 MiB may not be chosen. The kernel takes a victim for done with shortly before
# all of its memory is free: when it looks again just then, cg5 has to go, too.
test_who_dies_first() {
	local two five victims
	make_group
	make_leaves cg1 cg2 cg4 cg5
	set_files memory.max=80M memory.swap.max=0
	watch_group
	fill cg1 --bytes $((10 * MIB)) --oom-score-adj 1000
	victims=("$TARGET_PID")
	fill cg2 --bytes $((40 * MIB)) --oom-score-adj -1000
	two=$TARGET_PID
	start_filler cg4 --bytes $((30 * MIB)) --hold 3600
	release
	expect_killed "${victims[0]}"
	victims+=("$TARGET_PID")
	start_filler cg5 --bytes $((20 * MIB)) --hold 3600
	five=$TARGET_PID
	release
	expect_killed "${victims[1]}"
	wait_until 20 filled_or_gone "$five"
	! gone "$five" || victims+=("$five")
	expect_alive "$two"
	expect_victims "${victims[@]}"
	check 'all(r.oom_score_adj == adj for r, adj in zip(killed(), [1000, 0, 0]) if r.comm)' \
		'all(r.cgroup.endswith(leaf) for r, leaf in zip(killed(), ["/cg1", "/cg4", "/cg5"]) if r.comm)'
}

# --- bombs ---------------------------------------------------------------------

# The ways to fill memory that have been too much for one killer or another. The
# kernel cuts a name after 15 bytes, in the middle of a character, too.
readonly BOMBS=('--kind malloc' '--kind anon' '--kind file' '--kind shmem' '--thread' '--zombie-main'
	'--comm größe-日本' '--comm x日本語日本')
readonly BOMB_NAMES='filler filler filler filler filler filler größe-日本 x日本語日\xe6\x9c'

test_bombs() {
	local bomb victims=()
	make_group
	set_files memory.max=30M memory.swap.max=0
	watch_group
	for bomb in "${BOMBS[@]}"; do
		# shellcheck disable=SC2086 # an option and its value
		start_filler . --bytes $((100 * MIB)) $bomb
		release
		expect_killed "$TARGET_PID"
		victims+=("$TARGET_PID")
	done
	expect_victims "${victims[@]}"
	check names="$BOMB_NAMES" \
		'all(r.comm == name for r, name in zip(killed(), names.split()) if r.comm)'
}

# --- we kill -------------------------------------------------------------------

# Where it gets critical, whoever notices it: a call of a point of this level, or
# pressure with no call at all.
kill_policy() {
	cat >"$T/policy.yaml" <<-EOT
		version: 1
		check_interval_ms: 0
		pressure: {some_pct: 10, full_pct: 5, window_ms: 2000, level: high}
		levels:
		  high: {on: {critical: [log, kill]}}
	EOT
	printf '%s' "$T/policy.yaml"
}

# watch_and_kill PROGRAM
watch_and_kill() {
	watch_group --point "grow=high@$TARGETS/$1:probe_fill" --enforce --policy "$(kill_policy)"
}

has_kills() {
	[ "$(grep -c '"action": *"kill", *"result": *"done"' "$T/out.json")" -ge "$1" ]
}

# expect_kills PID…: by us, in this order, each once, and none by the kernel. Ends the monitor.
expect_kills() {
	wait_until 20 has_kills $#
	stop_monitor
	expect_eq 0 "$(event oom_kill)" 'oom_kill in memory.events'
	expect_eq '' "$(logged_victims)" 'victims in the kernel log'
	check pids="pids $*" \
		'[a.pid for a in of("action") if a.action == "kill" and a.result == "done"] == [int(pid) for pid in pids.split()[1:]]' \
		'all(a.freed_bytes > 0 for a in of("action") if a.action == "kill" and a.result == "done")' \
		'of("oom") == []' 'lost("process_ring") == 0'
}

# Neither is there anything to see: 62 of 100 MiB, in use, and nobody waits. 20 s are
# ten windows of pressure.
test_hold_is_left_alone() {
	make_group
	set_files memory.max=100M memory.swap.max=0
	fill . --bytes $((62 * MIB)) --hot
	watch_and_kill filler
	sleep 20
	expect_alive "$TARGET_PID"
	expect_kills
	check 'of("decision") == []' 'of("action") == []'
}

# 26 ms from critical to the end, eleven times.
test_ladder() {
	local children
	make_group
	set_files memory.max=256M memory.swap.max=0
	start_in_group ladder --wait
	watch_and_kill ladder
	finish_target
	mapfile -t children < <(awk '$1 == "child" { print $2 }' "$T/target.out")
	expect_eq 11 ${#children[@]} 'children'
	expect_kills "${children[@]}"
}

# Beside each there is one that is small, and older, and is none of it.
test_bombs_are_killed_by_us() {
	local bomb bystander victims=()
	make_group
	set_files memory.max=100M memory.swap.max=0
	fill . --bytes $((2 * MIB))
	bystander=$TARGET_PID
	watch_and_kill filler
	for bomb in "${BOMBS[@]}"; do
		# shellcheck disable=SC2086 # an option and its value
		start_filler . --bytes $((200 * MIB)) --rate 200 $bomb
		release
		expect_killed "$TARGET_PID" 143 137
		victims+=("$TARGET_PID")
	done
	expect_alive "$bystander"
	expect_kills "${victims[@]}"
}
