# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# --target in all its forms, and targets that are not there.

push_point() {
	printf 'push=high@%s:probe_push' "${1:-$TARGETS/calls}"
}

# Every form that takes processes which start later: the first one is there
# already, the second starts under watch and makes its first call at once.
later_target() {
	local spec=$1 program=${2:-$TARGETS/calls} first
	start_target "$program" --calls 1009 --wait
	first=$TARGET_PID
	start_monitor --target "$spec" --point "$(push_point "$program")"
	start_target "$program" --calls 2003
	end_target
	release "$first"
	wait_until 10 gone "$first"
	stop_monitor
	expect_eq 0 "$MONITOR_CODE" 'exit code of the monitor'
	check 'point("push").hits == 1009 + 2003' 'point("push").returns == 1009 + 2003' \
		'stop.reason == "signal"'
}

test_comm() {
	cp "$TARGETS/calls" "$T/mp-odd-comm"
	later_target comm:mp-odd-comm "$T/mp-odd-comm"
}

# The kernel keeps 15 bytes of a name; users give the whole.
test_comm_longer_than_kept() {
	cp "$TARGETS/calls" "$T/mp-a-name-of-over-15-bytes"
	later_target comm:mp-a-name-of-over-15-bytes "$T/mp-a-name-of-over-15-bytes"
}

test_exe() {
	cp "$TARGETS/calls" "$T/calls-copy"
	later_target "exe:$T/calls-copy" "$T/calls-copy"
}

test_exe_by_symbolic_link() {
	cp "$TARGETS/calls" "$T/real"
	ln -s real "$T/link"
	later_target "exe:$T/link" "$T/real"
}

test_cgroup() {
	make_group
	start_monitor --target "cgroup:$OWN_GROUP" --point "$(push_point)"
	start_in_group calls --calls 1009 --wait
	finish_target
	# Outside of the group: not a target.
	start_target calls --calls 2003 --wait
	finish_target
	stop_monitor
	check 'point("push").hits == 1009'
}

# A root of the target's own, as containers have: a new mount namespace in which
# the old root is gone, or only a changed root (chroot).
# $1: how the root is changed, in shell.
start_in_own_root() {
	need_mount_namespace
	mkdir "$T/root"
	cat >"$T/enter.sh" <<-EOT
		set -e
		mount -t tmpfs none "$T/root"
		cd "$T/root"
		mkdir opt usr proc old
		cp "$TARGETS/calls" opt/calls
		mount --rbind /usr usr
		for dir in lib lib64; do
			if [ -L /\$dir ]; then
				ln -s "\$(readlink /\$dir)" \$dir
			elif [ -d /\$dir ]; then
				mkdir \$dir
				mount --rbind /\$dir \$dir
			fi
		done
		$1
	EOT
	unshare -m sh "$T/enter.sh" >"$T/target.out" 2>"$T/target.err" &
	TARGET_PID=$!
	track $TARGET_PID
	wait_until 10 has_line '^ready ' "$T/target.out"
}

# The path is the target's: here it is another file, or none.
test_other_mount_namespace() {
	start_in_own_root 'pivot_root . old; exec ./opt/calls --calls 1009 --wait'
	start_monitor --target "$TARGET_PID" --point 'push=high@/opt/calls:probe_push'
	finish_target
	end_monitor
	check 'point("push").hits == 1009' 'point("push").returns == 1009' \
		'[s.binary for s in of("site")] == ["/opt/calls"]'
}

test_changed_root() {
	start_in_own_root 'exec chroot . /opt/calls --calls 1009 --wait'
	start_monitor --target "$TARGET_PID" --point 'push=high@calls:probe_push'
	finish_target
	end_monitor
	check 'point("push").hits == 1009' 'point("push").returns == 1009'
}

test_pid_that_is_not_there() {
	local pid
	sleep 0 &
	pid=$!
	wait $pid
	expect_exit 5 attach --target "$pid" --point 'a=low@b:c'
	expect_err "$pid"
	expect_err 'memprobe-bpf: error: '
}

test_kernel_thread() {
	local pid
	pid=$(pgrep -x kthreadd) || skip 'no kernel threads can be seen here'
	expect_exit 5 attach --target "$pid" --point 'a=low@b:c'
	expect_err 'kernel thread'
}

test_zombie() {
	# shellcheck disable=SC2016
	bash -c 'sleep 0 & echo $!; exec sleep 30' >"$T/zombie" &
	track $!
	wait_until 5 test -s "$T/zombie"
	wait_until 5 state_is "$(cat "$T/zombie")" Z
	expect_exit 5 attach --target "$(cat "$T/zombie")" --point 'a=low@b:c'
}

test_target_that_is_malformed() {
	expect_exit 2 attach --target 'com:x' --point 'a=low@b:c'
	expect_err 'comm'
	expect_exit 2 attach --target '0' --point 'a=low@b:c'
	expect_exit 2 attach --target '12x' --point 'a=low@b:c'
	expect_exit 2 attach --target 'comm:' --point 'a=low@b:c'
	expect_exit 5 attach --target "exe:$T/none" --point 'a=low@b:c'
	expect_exit 5 attach --target 'cgroup:/mp-none' --point 'a=low@b:c'
	expect_exit 5 attach --target 'container:0123456789abcdef' --point 'a=low@b:c'
}

# Whenever it goes, attach ends by itself, in order: with a summary or with code 5.
test_pid_that_exits_during_attach() {
	local delay
	for delay in 0 0.005 0.01 0.02 0.04 0.08 0.16; do
		start_target calls --calls 11 --wait
		(
			sleep $delay
			kill -KILL "$TARGET_PID"
		) &
		memprobe attach --target "$TARGET_PID" --point "$(push_point)" --format json
		wait
		case $CODE in
		0) check "$T/out" 'stop.reason == "target_exit"' 'summary is not None' ;;
		5) expect_err "$TARGET_PID" ;;
		*) fail "exit code $CODE when the target went after $delay s" ;;
		esac
	done
}

# What runs is the old file; a new one at its path changes nothing for it.
test_binary_replaced_before_attach() {
	cp "$TARGETS/calls" "$T/calls-copy"
	start_target "$T/calls-copy" --calls 1009 --wait
	cp "$TARGETS/workload" "$T/new"
	mv "$T/new" "$T/calls-copy"
	start_monitor --target "$TARGET_PID" --point 'push=high@calls-copy:probe_push'
	finish_target
	end_monitor
	check 'point("push").hits == 1009'
}

test_binary_replaced_during_the_run() {
	cp "$TARGETS/calls" "$T/calls-copy"
	start_target "$T/calls-copy" --calls 1009 --wait
	start_monitor --target "$TARGET_PID" --point "$(push_point "$T/calls-copy")"
	cp "$TARGETS/workload" "$T/new"
	mv "$T/new" "$T/calls-copy"
	finish_target
	end_monitor
	check 'point("push").hits == 1009' 'point("push").returns == 1009' 'summary.complete is True'
}
