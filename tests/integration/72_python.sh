# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# Python functions, by what is put into live interpreters. Counts are exact from the moment on
# that a site is told of as attached, and afterwards nothing is left in the program.

readonly APP=$PWD/tests/targets/python/app.py

# $PYTHON: an interpreter itself, not a script that chooses one.
need_python() {
	need python3
	PYTHON=$(python3 -c 'import os, sys; print(os.path.realpath(sys.executable))')
	"$PYTHON" -c 'import sys; sys.exit(not (3, 8) <= sys.version_info[:2] <= (3, 14))' ||
		skip 'no Python from 3.8 to 3.14 here'
}

write_points() {
	cat >"$T/points.yaml" <<-EOT
		version: 1
		points:
		  - {name: top, level: low, python: __main__.top}
		  - {name: held, level: high, python: shelf.held}
		  - {name: put, level: critical, python: shelf.put}
		  - {name: size, level: high, python: shelf.Box.size}
		  - {name: make, level: high, python: shelf.Box.make}
		  - {name: grow, level: medium, python: shelf.grow}
		  - {name: fetch, level: medium, python: shelf.fetch}
		  - {name: arrive, level: high, python: late.arrive}
		  - {name: nowhere, level: low, python: shelf.nowhere}
	EOT
}

# start_app SCENARIO [NUMBER]; $PREFIX: words before the interpreter.
start_app() {
	printf '#!/bin/sh\nexec %s %s %s "$@"\n' "${PREFIX:-}" "$PYTHON" "$APP" >"$T/app"
	chmod +x "$T/app"
	PYTHONDONTWRITEBYTECODE=1 start_target "$T/app" "$@"
}

# watch ARG…: the monitor on the target, every call shown.
watch() {
	write_points
	start_monitor --target "$TARGET_PID" --points "$T/points.yaml" --no-pressure \
		--policy "$(every_call_policy)" "$@"
}

attached() {
	wait_until 20 has_line "\"point\":\"$1\".*\"kind\":\"python\".*\"status\":\"attached\"" "$T/out.json"
}

said() {
	wait_until 20 has_line "^$1" "$T/target.out"
}

# What is left of any session in /tmp. Arguments: more of find(1).
# shellcheck disable=SC2120
folders() {
	find /tmp -maxdepth 1 -regextype posix-extended -user "$(id -u)" \
		-regex '/tmp/(\.memprobe-[0-9a-f]{12}|memprobe-run\..*)' "$@"
}

readonly CALLS='[point(n).hits for n in ("top", "held", "put", "size", "make", "grow", "fetch", "arrive")]'
readonly RETURNS='[point(n).returns for n in ("top", "held", "put", "size", "make", "grow", "fetch", "arrive")]'
readonly PRIMES='[7, 11, 13, 17, 19, 23, 29, 31]'

# The monitor is on the scenario `calls`: every function is counted, and then it is as it was.
expect_exact_calls() {
	attached top
	attached make
	release
	said called
	stop_monitor
	expect_eq 0 "$MONITOR_CODE" 'exit code of the monitor'
	check "$CALLS == $PRIMES" "$RETURNS == $PRIMES" 'summary.complete is True' \
		'[s.status for s in of("site") if s.point == "nowhere"][-1] == "failed"' \
		'{s.symbol for s in of("site") if s.point == "put" and s.status == "attached"} == {"shelf.Box.put"}'
	release
	said 'codes same'
	said 'finders same'
}

test_counts_of_a_live_python() {
	local before
	need_python
	before=$(folders)
	start_app calls
	watch
	expect_exact_calls
	expect_eq "$before" "$(folders)" 'folders in /tmp'
	finish_target
}

# It finds by itself that nobody watches any more, at the next call.
test_kill9_of_the_monitor() {
	need_python
	start_app calls
	watch
	attached make
	release
	said called
	kill -KILL "$MONITOR_PID"
	wait_until 5 gone "$MONITOR_PID"
	release
	said 'codes same'
	said 'finders same'
	finish_target
	folders -newer "$T/app" -exec rm -r {} +
}

# Two monitors, one after the other is there: each has its own count.
test_again_after_another() {
	need_python
	start_app calls
	watch
	attached top
	stop_monitor
	watch
	expect_exact_calls
	finish_target
}

# A target that does not answer waits, and is not told of as attached.
test_blocked_in_native_code() {
	need_python
	start_app blocked 4
	watch
	wait_until 10 has_line '"status":"waiting","reason":"process [0-9]*: its main thread' "$T/out.json"
	attached top
	has_line '^slept whole' "$T/target.out" || fail 'it was attached to while it was blocked, or woken'
	finish_target
	end_monitor
	check 'point("top").hits == 37'
}

test_run() {
	local before
	need_python
	before=$(folders)
	write_points
	"$MEMPROBE" -q run --record "$T/out.json" --points "$T/points.yaml" --no-pressure \
		-- "$PYTHON" "$APP" straight 1009 >"$T/out" 2>"$T/err"
	check 'point("top").hits == 1009 and point("held").returns == 1009' \
		'[s.status for s in of("site") if s.point == "held" and s.kind == "python"][-1] == "attached"'
	expect_eq "$before" "$(folders)" 'folders in /tmp'
}

# With -I the environment is passed over: then it is injected as soon as it is up.
test_run_isolated() {
	need_python
	write_points
	cat >"$T/isolated.py" <<-EOT
		import sys, time
		sys.path.insert(0, "$(dirname "$APP")")
		import shelf
		for _ in range(100): time.sleep(0.01)
		for i in range(41): shelf.held(i)
	EOT
	"$MEMPROBE" run --format json --points "$T/points.yaml" --no-pressure \
		-- "$PYTHON" -I "$T/isolated.py" >"$T/out.json" 2>"$T/err"
	check 'point("held").hits == 41'
}

# What is forked has the points already; what is executed gets them.
test_children() {
	need_python
	start_app forks 43
	watch --follow
	attached held
	release
	end_target
	expect_eq 0 "$TARGET_CODE" 'exit code of the target'
	end_monitor
	check 'point("held").hits == 5 * 43 and point("held").returns == 5 * 43'
}

test_other_user() {
	need_python
	need setpriv
	[ "$(id -u)" -eq 0 ] || skip 'only root can start a program as another user'
	"$PYTHON" -c 'import os, sys; os.setuid(65534); sys.exit(not os.access(sys.executable, os.X_OK))' ||
		PYTHON=/usr/bin/python3
	[ -x "$PYTHON" ] || skip 'no Python that others may run'
	chmod 755 "$T"
	cp -r "$(dirname "$APP")" "$T/others"
	printf '#!/bin/sh\nexec setpriv --reuid 65534 --regid 65534 --clear-groups %s %s calls\n' "$PYTHON" \
		"$T/others/app.py" >"$T/app"
	chmod +x "$T/app"
	PYTHONDONTWRITEBYTECODE=1 start_target "$T/app"
	watch
	expect_exact_calls
	finish_target
}

# Its /tmp is another than ours, and what is in it is as before.
test_private_tmp() {
	need_python
	need_mount_namespace
	PREFIX="unshare -m sh $PWD/tests/targets/python/private_tmp.sh" start_app calls
	watch
	expect_exact_calls
	expect_eq '' "$(ls -A "/proc/$TARGET_PID/root/tmp")" 'its /tmp'
	finish_target
}

# in_root VERSION: the app in a root of its own, with that Python alone.
in_root() {
	local root code=0
	[ "$(id -u)" -eq 0 ] || skip 'a root of its own needs root'
	need unshare
	root=$(tests/python/root "$1" 2>"$T/root.err") || code=$?
	[ $code -eq 0 ] || skip "no Python $1 can be had: $(tail -n 1 "$T/root.err")"
	mkdir -p "$T/up"
	cp -r "$(dirname "$APP")" "$T/app.d"
	printf '#!/bin/sh\nexec unshare -m sh %s %s %s python%s "$@"\n' \
		"$PWD/tests/targets/python/in_root.sh" "$root" "$T/app.d" "$1" >"$T/app"
	chmod +x "$T/app"
}

counts_in_root() {
	in_root "$1"
	start_target "$T/app" calls
	watch
	expect_exact_calls
	finish_target
}

test_python_3_9() {
	counts_in_root 3.9
}

test_python_3_13() {
	counts_in_root 3.13
}

test_python_3_14() {
	counts_in_root 3.14
}

test_remote_debugging_switched_off() {
	in_root 3.14
	sed -i 's/exec unshare/export PYTHON_DISABLE_REMOTE_DEBUG=1\nexec unshare/' "$T/app"
	start_target "$T/app" calls
	watch
	wait_until 10 has_line '"status":"failed","reason":"process [0-9]*: remote debugging is switched off' \
		"$T/out.json"
	stop_monitor
	kill -KILL "$TARGET_PID"
}

test_already_traced() {
	local tracer
	need_python
	need strace
	start_app calls
	strace -q -o /dev/null -e trace=none -p "$TARGET_PID" 2>"$T/strace.err" &
	tracer=$!
	track "$tracer"
	wait_until 5 has_line "TracerPid:	$tracer" "/proc/$TARGET_PID/status"
	watch
	wait_until 10 has_line '"status":"failed","reason":"process [0-9]*: process [0-9]* is tracing it' \
		"$T/out.json"
	stop_monitor
	kill -KILL "$tracer"
	release
	said called
	release
	said 'codes same'
	finish_target
}

# What is called from outside is not what the filter is for, and is not what it kills.
test_filter_of_system_calls() {
	need_python
	[ "$(uname -m)" = x86_64 ] || skip 'the filter is written for x86-64'
	start_app filtered 47
	watch
	attached held
	finish_target
	end_monitor
	check 'point("held").hits == 47'
}

# An interpreter of which nothing can be found is left alone.
test_stripped_interpreter() {
	need gcc
	cat >"$T/python.c" <<-'EOT'
		#include <stdio.h>
		#include <unistd.h>
		__attribute__((section(".PyRuntime"), used)) char runtime[4096] = {1};
		int main(void) { printf("ready %d\n", getpid()); fflush(stdout); pause(); return 0; }
	EOT
	gcc -static -s -o "$T/python3" "$T/python.c"
	start_target "$T/python3"
	watch
	wait_until 10 has_line '"status":"failed","reason":"process [0-9]*: the interpreter is linked statically' \
		"$T/out.json"
	stop_monitor
	expect_eq 0 "$MONITOR_CODE" 'exit code of the monitor'
	kill -KILL "$TARGET_PID"
}

test_denied() {
	need_python
	need setpriv
	setpriv --bounding-set -sys_ptrace true 2>/dev/null || skip 'no capability can be dropped here'
	start_app calls
	write_points
	CODE=0
	timeout 20 setpriv --bounding-set -sys_ptrace --inh-caps -sys_ptrace "$MEMPROBE" attach \
		--target "$TARGET_PID" --points "$T/points.yaml" >"$T/out" 2>"$T/err" || CODE=$?
	expect_eq 4 "$CODE" 'exit code'
	expect_err CAP_SYS_PTRACE
	release
	said called
	release
	said 'codes same'
	finish_target
}

test_mode_off() {
	need_python
	start_app calls
	watch --python-mode off
	release
	said called
	release
	said 'codes same'
	stop_monitor
	check 'point("top").hits == 0' 'all(s.status == "waiting" for s in of("site"))'
	finish_target
}

# The tracer is killed at each of its steps, and a hundred times at any instant.
test_kills_of_the_tracer() {
	need_python
	start_app arithmetic
	python3 tests/integration/kill_tracer.py build/tools/inject "$TARGET_PID" "${MP_KILLS:-100}" ||
		fail 'see above'
	release
	said right
	end_target
	expect_eq 0 "$TARGET_CODE" 'exit code of the target'
}

# The same while the main thread keeps values in all of its registers, and below its stack.
test_registers_survive_kills() {
	need_python
	[ "$(uname -m)" = x86_64 ] || skip 'only written for x86-64'
	REGISTERS=$TARGETS/libregisters.so start_app registers
	python3 tests/integration/kill_tracer.py build/tools/inject "$TARGET_PID" "${MP_KILLS:-100}" ||
		fail 'see above'
	release
	said 'held well'
	end_target
	expect_eq 0 "$TARGET_CODE" 'exit code of the target'
}
