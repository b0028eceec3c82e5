# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# Children: theirs are counted when they are followed, through fork and exec.

# Both programs have the function; exec changes from one to the other.
follow_points() {
	printf '%s\n' --point "push=high@$TARGETS/follow:probe_push" \
		--point "exec=high@$TARGETS/calls:probe_push"
}

test_children_and_their_children() {
	start_target follow --children 5 --depth 3 --calls 1009 --wait
	start_monitor --follow --target "$TARGET_PID" --point "push=high@$TARGETS/follow:probe_push"
	finish_target
	end_monitor
	check target=@"$T/target.out" \
		'target.calls == 16 * 1009' \
		'point("push").hits == point("push").returns == target.calls' \
		'summary.complete is True' \
		'len([r for r in of("process") if r.op == "fork"]) == 15' \
		'len([r for r in of("process") if r.op == "exit"]) == 16'
}

test_children_that_exec() {
	local points
	mapfile -t points < <(follow_points)
	start_target follow --children 6 --depth 2 --calls 1009 --exec "$TARGETS/calls" --wait
	start_monitor --follow --target "$TARGET_PID" "${points[@]}"
	finish_target
	end_monitor
	check target=@"$T/target.out" \
		'target.exec_calls == 6 * 1009' \
		'point("exec").hits == point("exec").returns == target.exec_calls' \
		'point("push").hits == target.calls - target.exec_calls' \
		'len([r for r in of("process") if r.op == "exec"]) == 6'
}

test_no_follow() {
	start_target follow --children 5 --calls 1009 --wait
	start_monitor --no-follow --target "$TARGET_PID" \
		--point "push=high@$TARGETS/follow:probe_push"
	finish_target
	end_monitor
	check target=@"$T/target.out" \
		'point("push").hits == target.parent_calls == 1009' \
		'not [r for r in of("process") if r.op == "fork"]'
}

# The parent ends first; its children are still under watch.
test_orphans() {
	# shellcheck disable=SC2016
	printf '#!/bin/sh\n%s/calls --calls 5003 --rate 10000 >/dev/null &\nsleep 0.1\n' "$TARGETS" >"$T/parent"
	chmod +x "$T/parent"
	printf '#!/bin/sh\necho ready $$\nread -r go\nexec "%s"\n' "$T/parent" >"$T/waiting"
	chmod +x "$T/waiting"
	mkfifo "$T/go"
	"$T/waiting" <"$T/go" >"$T/target.out" 2>&1 &
	TARGET_PID=$!
	track $TARGET_PID
	exec 9>"$T/go"
	wait_until 10 has_line '^ready ' "$T/target.out"
	start_monitor --follow --target "$TARGET_PID" --point "push=high@$TARGETS/calls:probe_push"
	echo go >&9
	exec 9>&-
	end_target
	wait_until 15 has_line '"op": *"exit".*' "$T/out.json"
	end_monitor
	check 'point("push").hits == 5003'
}
