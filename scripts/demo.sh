#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Shows memprobe-bpf at work: installs what is missing, builds, and watches two
# programs: a small one whose number of calls is known, and redis-server under
# load. Takes about two minutes, most of it for installing and building. Uses a
# socket in a folder of its own, no network, and leaves nothing running.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly MEMPROBE=build/memprobe-bpf
WORK=''
PIDS=()

headline() {
	printf '\n=== %s\n\n' "$*"
}

show() {
	printf '$ %s\n' "$*"
	"$@"
}

cleanup() {
	local pid
	for pid in ${PIDS[@]+"${PIDS[@]}"}; do
		kill "$pid" 2>/dev/null || true
	done
	wait 2>/dev/null || true
	[ -z "$WORK" ] || rm -rf "$WORK"
}

wait_for() {
	local tries=200
	until "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || {
			printf 'demo.sh: error: waited too long for: %s\n' "$*" >&2
			exit 1
		}
		sleep 0.05
	done
}

# The target starts, waits, and is released when the probes had time to attach.
demo_workload() {
	local pid
	headline 'A program with the eight documented injection points'
	TMPDIR=$WORK build/targets/workload --rounds 20 --threads 2 --delay 200 --wait >"$WORK/calls" &
	pid=$!
	PIDS+=("$pid")
	wait_for grep -q '^ready' "$WORK/calls"
	(sleep 1 && kill -USR1 $pid) &
	show $MEMPROBE --config-dir configs attach --target "$pid"
	printf '\nThe program itself counted:\n%s\n' "$(tail -n 1 "$WORK/calls")"
}

demo_redis() {
	local pid load
	headline 'redis-server, from the distribution, under load from redis-benchmark'
	redis-server --port 0 --unixsocket "$WORK/redis.sock" --dir "$WORK" --save '' --appendonly no \
		--maxmemory 256mb --maxmemory-policy allkeys-lru >"$WORK/redis.log" 2>&1 &
	pid=$!
	PIDS+=("$pid")
	wait_for redis-cli -s "$WORK/redis.sock" ping
	redis-cli -s "$WORK/redis.sock" config resetstat >/dev/null
	redis-benchmark -s "$WORK/redis.sock" -q -c 20 -n 10000000 -r 100000 -d 1024 -t set,get,lpush \
		>"$WORK/load.log" 2>&1 &
	load=$!
	PIDS+=("$load")
	show $MEMPROBE attach --target "$pid" --duration 12 \
		--point 'command=medium@/usr/bin/redis-server:processCommand' \
		--point 'new_string=high@/usr/bin/redis-server:createStringObject' \
		--point 'evict=critical@/usr/bin/redis-server:performEvictions' \
		--point 'malloc=low@libjemalloc.so.2:malloc'
	kill "$load" 2>/dev/null || true
	printf '\nredis itself says: %s\n' \
		"$(redis-cli -s "$WORK/redis.sock" info memory | sed -n 's/^used_memory_rss_human://p' | tr -d '\r') resident"
}

main() {
	trap cleanup EXIT
	trap 'exit 130' INT TERM
	[ "$(id -u)" -eq 0 ] || {
		printf 'demo.sh: error: probes need root; run: sudo %s\n' "$0" >&2
		exit 4
	}
	headline 'Install what is missing, and build'
	scripts/install_deps.sh --demo
	make -j"$(nproc)" all build/targets/workload
	WORK=$(mktemp -d)
	headline 'What this machine can do'
	show $MEMPROBE doctor
	demo_workload
	demo_redis
	headline 'Done'
	cat <<-TEXT
		Every call was counted in the kernel; the lines are a sample, at most one in
		each interval of a point's level. Next:
		  sudo $MEMPROBE attach --target comm:YOUR_PROGRAM --point 'name=high@YOUR_FUNCTION'
		  $MEMPROBE attach --help
	TEXT
}

main "$@"
