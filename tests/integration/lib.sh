# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# What integration tests share. A test is a function test_NAME in a file
# NN_topic.sh; run.sh runs each in a shell of its own, with `set -euo pipefail`,
# from the top of the tree, with a folder $T that is removed afterwards.
# What a test starts with start_target, start_monitor or track is ended with it.
#
# shellcheck disable=SC2034,SC2119,SC2120 # used, and given arguments, by the tests

MEMPROBE=${MEMPROBE:-$PWD/build/memprobe-bpf}
TARGETS=${TARGETS:-$PWD/build/targets}
export MEMPROBE_CONFIG_DIR=$PWD/configs
readonly EXIT_SKIP=77
OWN_PIDS=()
OWN_GROUP=''
OWN_DIR=''
MONITOR_PID=''
MONITOR_CODE=''
TARGET_PID=''
TARGET_CODE=''

# --- verdicts ------------------------------------------------------------------

# What went wrong, with what the monitor had to say. Ends the test.
fail() {
	printf '%s\n' "$*"
	if [ -s "$T/err" ]; then
		printf -- '--- stderr of the monitor\n'
		tail -n 15 "$T/err"
	fi
	exit 1
}

skip() {
	printf '%s\n' "$*" >"$T/skip"
	exit $EXIT_SKIP
}

# check [STREAM] EXPRESSION…: see check.py. The stream of start_monitor by default.
check() {
	local stream=$T/out.json
	if [ -f "$1" ]; then
		stream=$1
		shift
	fi
	python3 tests/integration/check.py "$stream" "$@" || fail "in $(basename "$stream"), see above"
}

expect_eq() {
	[ "$1" = "$2" ] || fail "${3:-values differ}: expected '$1', got '$2'"
}

# The last command's messages (in $T/err) hold a text.
expect_err() {
	grep -qF -- "$1" "$T/err" || fail "stderr does not say '$1'"
}

# No line of a file is wider than 80 columns, in characters.
expect_narrow() {
	local wide
	wide=$(python3 -c 'import sys; print(*(l for l in open(sys.argv[1], encoding="utf-8").read().split("\n") if len(l) > 80), sep="\n")' "$1")
	[ -z "$wide" ] || fail "wider than 80 columns: $wide"
}

# --- waiting -------------------------------------------------------------------

# wait_until SECONDS COMMAND…: polls. Fails the test when time is up.
wait_until() {
	local seconds=$1 deadline
	shift
	deadline=$((SECONDS + seconds))
	until "$@"; do
		[ $SECONDS -lt $deadline ] || fail "waited $seconds s for: $*"
		sleep 0.02
	done
}

has_line() {
	grep -q -- "$1" "$2" 2>/dev/null
}

gone() {
	! kill -0 "$1" 2>/dev/null
}

state_is() {
	[ "$(sed 's/.*) \(.\).*/\1/' "/proc/$1/stat" 2>/dev/null)" = "$2" ]
}

# --- processes -----------------------------------------------------------------

track() {
	OWN_PIDS+=("$1")
}

# Ends what the test started and that still runs: children of this shell, by
# their ids. Then the group that it made can go, too.
end_own() {
	local pid
	for pid in ${OWN_PIDS[@]+"${OWN_PIDS[@]}"}; do
		kill -KILL "$pid" 2>/dev/null || true
	done
	wait 2>/dev/null || true
	[ -z "$OWN_DIR" ] || rm -rf "$OWN_DIR"
	[ -z "$OWN_GROUP" ] || wait_until 5 remove_group
}

# With the groups below it, and what still runs in there.
remove_group() {
	[ ! -e "$OWN_GROUP/cgroup.kill" ] || echo 1 >"$OWN_GROUP/cgroup.kill"
	find "$OWN_GROUP" -depth -type d -exec rmdir {} + 2>/dev/null || [ ! -d "$OWN_GROUP" ]
}

# start_target NAME ARG…: a program of build/targets (or a path), until it says
# "ready PID". Its output is $T/target.out, its files are in $TARGET_TMPDIR, or in $T.
start_target() {
	local program=$1
	shift
	case $program in
	*/*) ;;
	*) program=$TARGETS/$program ;;
	esac
	: >"$T/target.out"
	TMPDIR=${TARGET_TMPDIR:-$T} "$program" "$@" >"$T/target.out" 2>"$T/target.err" &
	TARGET_PID=$!
	track $TARGET_PID
	wait_until 10 has_line '^ready ' "$T/target.out"
}

# Lets a target that was started with --wait begin.
release() {
	kill -USR1 "${1:-$TARGET_PID}"
}

end_target() {
	TARGET_CODE=0
	wait "$TARGET_PID" || TARGET_CODE=$?
}

# The target is released, and ends well.
finish_target() {
	release
	end_target
	expect_eq 0 "$TARGET_CODE" 'exit code of the target'
}

# A shell has SIGINT ignored in what it starts in the background; users have not.
spawn_monitor() {
	exec env --default-signal=INT "$MEMPROBE" "$@"
}

# start_monitor ARG…: `attach --format json ARG…`, until it has attached. Output
# in $T/out.json, messages in $T/err.
start_monitor() {
	: >"$T/out.json"
	spawn_monitor attach --format json "$@" >"$T/out.json" 2>"$T/err" &
	MONITOR_PID=$!
	track "$MONITOR_PID"
	wait_until 20 monitor_ready_or_gone
	has_line '"type": *"start"' "$T/out.json" || fail "the monitor ended before it had started"
}

monitor_ready_or_gone() {
	has_line '"type": *"start"' "$T/out.json" || gone "$MONITOR_PID"
}

# Waits for the monitor's own end.
end_monitor() {
	wait_until "${1:-20}" gone "$MONITOR_PID"
	MONITOR_CODE=0
	wait "$MONITOR_PID" || MONITOR_CODE=$?
}

stop_monitor() {
	kill -INT "$MONITOR_PID"
	end_monitor
}

# memprobe ARG…: runs to its end; exit code in $CODE, output in $T/out, messages in $T/err.
memprobe() {
	CODE=0
	"$MEMPROBE" "$@" >"$T/out" 2>"$T/err" || CODE=$?
}

# expect_exit CODE ARG…: the same, and the code is as expected.
expect_exit() {
	local expected=$1
	shift
	memprobe "$@"
	[ "$expected" = "$CODE" ] ||
		fail "exit code of: memprobe-bpf $*: expected '$expected', got '$CODE'; it printed: $(tail -n 3 "$T/out")"
}

# --- rehearsals ----------------------------------------------------------------

# profile MB: writes a profile "small" of that limit, without swap; $CONFIG is the folder to name.
profile() {
	CONFIG=$T/config
	mkdir -p "$CONFIG"
	cp configs/*.yaml "$CONFIG"
	cat >"$CONFIG/low_mem_env.yaml" <<-EOT
		simulation_profiles:
		  - name: small
		    total_mem: $1
		    swap_size: 0
		    cgroups: {memory.limit_in_bytes: "${1}M"}
	EOT
}

# reported EXPRESSION…: about the report `r` in the file $REPORT.
reported() {
	local expression
	for expression in "$@"; do
		python3 - "$REPORT" "$expression" <<-'EOT' || fail "of the report does not hold: $expression"
			import json, sys
			r = json.load(open(sys.argv[1], encoding="utf-8"))
			sys.exit(not eval(sys.argv[2]))
		EOT
	done
}

# --- what a test may need ------------------------------------------------------

need() {
	command -v "$1" >/dev/null || skip "no $1"
}

# Files of the test are on a disk: their pages can be dropped, and a limit makes them go.
need_disk() {
	case $(stat -f -c %T "$T") in
	tmpfs | ramfs | rootfs) skip 'files are in memory here' ;;
	esac
}

# In a root that is no mount point, a plain chroot, the kernel lets mounts not be
# kept apart, and a root not be exchanged.
need_mount_namespace() {
	need unshare
	unshare -m true 2>/dev/null || skip 'no mount namespace of its own can be had here'
}

# Policy that asks for a record of every call.
every_call_policy() {
	printf 'version: 1\ncheck_interval_ms: 0\n' >"$T/policy.yaml"
	printf '%s' "$T/policy.yaml"
}

# The memory controller's folder of this shell's own cgroup, v1 or v2.
own_memory_cgroup() {
	local v1 v2
	v1=$(sed -n 's/^[0-9]*:[^:]*\bmemory\b[^:]*:\(.*\)/\1/p' /proc/self/cgroup)
	v2=$(sed -n 's/^0::\(.*\)/\1/p' /proc/self/cgroup)
	if [ -n "$v1" ] && [ -d "/sys/fs/cgroup/memory$v1" ]; then
		printf '/sys/fs/cgroup/memory%s' "$v1"
	elif [ -n "$v2" ] && [ -d "/sys/fs/cgroup$v2" ]; then
		printf '/sys/fs/cgroup%s' "$v2"
	else
		return 1
	fi
}

# small_model_config DIR [MORE]: a configuration with the model "small", whose files are about 100 MB
# (F16), 50 (Q8_0) and 30 (Q4_K_M), and MORE models.
small_model_config() {
	mkdir -p "$1"
	cp -r configs/*.yaml configs/presets "$1"
	cat >"$1/models.yaml" <<-EOT
		version: 1
		models:
		  - id: small
		    source: this test
		    architecture: llama
		    layers: 3
		    hidden: 1024
		    ff: 3072
		    heads: 16
		    kv_heads: 4
		    vocab: 8192
		    context_length: 4096
		${2:-}
	EOT
}

# make_group [BYTES]: a memory cgroup of the test's own in $OWN_GROUP, with a limit if asked.
make_group() {
	local parent file
	parent=$(own_memory_cgroup) || skip 'no memory cgroup here'
	mkdir "$parent/mp-test-$$" 2>/dev/null || skip 'no memory cgroup can be made here'
	OWN_GROUP=$parent/mp-test-$$
	[ $# -gt 0 ] || return 0
	for file in memory.limit_in_bytes memory.max; do
		if [ -e "$OWN_GROUP/$file" ]; then
			printf '%s' "$1" >"$OWN_GROUP/$file"
			return 0
		fi
	done
	skip 'no memory limit can be set here'
}

# A folder that only root can change, all the way up: where hooks of root may be.
make_root_dir() {
	OWN_DIR=$(mktemp -d /run/mp-test.XXXXXX)
}

# start_in_group NAME ARG…: as start_target, in that group from its first instruction on.
start_in_group() {
	cat >"$T/in_group" <<-EOT
		#!/bin/sh
		echo \$\$ >$OWN_GROUP/cgroup.procs
		program=$TARGETS/\$1
		shift
		exec "\$program" "\$@"
	EOT
	chmod +x "$T/in_group"
	start_target "$T/in_group" "$@"
}
