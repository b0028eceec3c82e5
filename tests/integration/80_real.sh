# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# Programs nobody here wrote.

# redis-server on a socket in $T, with nothing kept on disk.
start_redis() {
	need redis-server
	need redis-benchmark
	redis-server --port 0 --unixsocket "$T/redis.sock" --dir "$T" --save '' --appendonly no \
		>"$T/redis.log" 2>&1 &
	TARGET_PID=$!
	track $TARGET_PID
	wait_until 10 test -S "$T/redis.sock"
	wait_until 10 redis-cli -s "$T/redis.sock" ping >/dev/null 2>&1
}

redis_load() {
	redis-benchmark -s "$T/redis.sock" -q -c 10 "$@" >"$T/bench.log" 2>&1
}

# One client's commands are counted by redis itself, too.
test_redis_under_load() {
	start_redis
	start_monitor --target "$TARGET_PID" \
		--point 'command=medium@/usr/bin/redis-server:processCommand' \
		--point 'call=high@/usr/bin/redis-server:call' \
		--point 'malloc=low@libjemalloc.so.2:malloc' \
		--point 'object=medium@/usr/bin/redis-server:createStringObject'
	redis-cli -s "$T/redis.sock" config resetstat >/dev/null
	redis_load -n 20000 -t set,get,lpush -d 512
	redis-cli -s "$T/redis.sock" info stats | tr -d '\r' |
		sed -n 's/^total_commands_processed:\(.*\)/{"commands": \1}/p' >"$T/stats.json"
	redis-cli -s "$T/redis.sock" shutdown nosave >/dev/null 2>&1 || true
	end_monitor
	expect_eq 0 "$MONITOR_CODE" 'exit code of the monitor'
	# config resetstat before, and info and shutdown after what it says of itself.
	check redis=@"$T/stats.json" \
		'redis.commands >= 60000' \
		'redis.commands <= point("command").hits <= redis.commands + 4' \
		'point("object").hits > 0 and point("malloc").hits > point("object").hits / 10' \
		'all(p.returns <= p.hits for p in summary.points)' \
		'all(s.status == "attached" for s in of("site"))' \
		'summary.complete is True' \
		'all(r.comm.startswith("redis") or r.comm.startswith("bio_") or r.comm.startswith("io_") or r.comm.startswith("jemalloc") for r in probes())'
}

# Not harmed: what was written under watch is there.
test_redis_works_under_watch() {
	start_redis
	start_monitor --target "$TARGET_PID" --point 'set=critical@/usr/bin/redis-server:setCommand'
	redis_load -n 10007 -t set -r 1000 -d 100
	expect_eq 10007 "$(redis-cli -s "$T/redis.sock" info commandstats | sed -n 's/^cmdstat_set:calls=\([0-9]*\),.*/\1/p')" 'SET calls by redis'
	stop_monitor
	check 'point("set").hits == point("set").returns == 10007'
	redis-cli -s "$T/redis.sock" ping | grep -q PONG || fail 'redis does not answer after the detach'
}

# python3 loads libsqlite3 by dlopen when it imports sqlite3, long after attach.
test_python_with_sqlite_by_dlopen() {
	need python3
	cat >"$T/program.py" <<-'EOT'
		import os, sys
		print("ready", os.getpid(), flush=True)
		sys.stdin.readline()
		import sqlite3
		print("loaded", flush=True)
		sys.stdin.readline()
		db = sqlite3.connect(":memory:")
		db.execute("create table t (n integer)")
		for n in range(1009):
		    db.execute("insert into t values (?)", (n,))
		assert db.execute("select sum(n) from t").fetchone() == (508536,)
	EOT
	mkfifo "$T/commands"
	python3 "$T/program.py" <"$T/commands" >"$T/target.out" 2>"$T/target.err" &
	TARGET_PID=$!
	track $TARGET_PID
	exec 9>"$T/commands"
	wait_until 10 has_line '^ready ' "$T/target.out"
	start_monitor --target "$TARGET_PID" --point 'sqlite=medium@libsqlite3.so*:sqlite3_step'
	echo go >&9
	wait_until 10 has_line '^loaded' "$T/target.out"
	wait_until 10 has_line '"status": *"attached"' "$T/out.json"
	echo go >&9
	exec 9>&-
	end_target
	expect_eq 0 "$TARGET_CODE" "exit code of python: $(cat "$T/target.err")"
	end_monitor
	check 'point("sqlite").hits >= 1009 + 2' 'point("sqlite").hits == point("sqlite").returns' \
		'any("libsqlite3" in s.binary and s.status == "attached" for s in of("site"))'
}

test_libc_of_a_shell() {
	expect_exit 0 run --format json --record "$T/record.json" \
		--point 'write=low@libc.so.6:write' -- sh -c '/bin/echo one; /bin/echo two'
	check "$T/record.json" 'point("write").hits >= 2'
}
