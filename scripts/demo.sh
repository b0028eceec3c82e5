#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Shows memprobe-bpf at work: installs what is missing, builds, watches two
# programs (a small one whose number of calls is known, and redis-server under
# load), and rehearses on a device with 2 GB. Takes about two and a half minutes, most of it for installing and building. Uses a
# socket in a folder of its own, no network, and leaves nothing running.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly MEMPROBE=build/memprobe-bpf
WORK=''
PIDS=()
REPORT=''

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

# A rehearsal on a device with 2 GB; where the machine has not twice that to spare, on one
# that is as much smaller.
demo_device() {
	local device=极限2GB模式 configs=configs
	local spare=$(($(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 1024 / 2))
	headline "A rehearsal on a small device: $device"
	if [ $spare -lt 2048 ]; then
		device="2GB-scaled-to-${spare}MB"
		configs=$WORK/configs
		mkdir "$configs"
		cp configs/*.yaml "$configs"
		cat >"$configs/low_mem_env.yaml" <<-EOT
			simulation_profiles:
			  - name: $device
			    total_mem: $spare
			    swap_size: 0
			    cgroups: {memory.limit_in_bytes: "$((spare * 98 / 100))M"}
		EOT
		printf 'This machine cannot spare 4 GB: the device is scaled down to %s MB.\n\n' $spare
	fi
	show $MEMPROBE --config-dir "$configs" simple --mode sawtooth --min 20 --max 80 --cycles 2 \
		--duration 8 --env "$device" --save-report --output-dir logs/memory_tests ||
		printf '\nWhat was asked for was not reached here; the report says where.\n'
	REPORT=$(find logs/memory_tests -name '*_sawtooth_memory_test.html' -newer "$WORK/calls" | sort | tail -n 1)
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
	demo_device
	headline 'Done'
	cat <<-TEXT
		Every call was counted in the kernel; the lines are a sample, at most one in
		each interval of a point's level. The report of the small device, with pictures, to be
		opened in a browser: ${REPORT:-none could be made here}
		Next:
		  sudo $MEMPROBE attach --target comm:YOUR_PROGRAM --point 'name=high@YOUR_FUNCTION'
		  $MEMPROBE attach --help
	TEXT
}

main "$@"
