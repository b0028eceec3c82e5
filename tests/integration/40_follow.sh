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

test_children_are_not_followed_unasked() {
	start_target follow --children 5 --calls 1009 --wait
	start_monitor --target "$TARGET_PID" \
		--point "push=high@$TARGETS/follow:probe_push"
	finish_target
	end_monitor
	check target=@"$T/target.out" \
		'point("push").hits == target.parent_calls == 1009' \
		'not [r for r in of("process") if r.op == "fork"]'
}
