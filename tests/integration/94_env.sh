# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# Devices: what a command may have inside is what the profile says, it is told what does not hold,
# and the group goes with the last process.
#
# shellcheck disable=SC2016,SC1003 # what is in single quotes is for shells inside, or for nobody

readonly MB=1048576

# device MB SWAP [KEY: VALUE]…: writes profiles with "small" of that limit; $CONFIG is the folder to name.
device() {
	CONFIG=$T/config
	mkdir -p "$CONFIG"
	cp configs/*.yaml "$CONFIG"
	cat >"$CONFIG/low_mem_env.yaml" <<-EOT
		simulation_profiles:
		  - name: small
		    total_mem: $1
		    swap_size: $2
		    cgroups: {memory.limit_in_bytes: "${1}M"}
	EOT
	[ $# -lt 3 ] || printf '    %s\n' "${@:3}" >>"$CONFIG/low_mem_env.yaml"
}

# Below the group of this shell: others may be testing, too.
groups_left() {
	find "$(own_memory_cgroup)" -name 'memprobe-env-*' -type d 2>/dev/null
}

no_group_left() {
	[ -z "$(groups_left)" ]
}

expect_no_group() {
	no_group_left || fail "a group is left: $(groups_left)"
}

is_v2() {
	[ -e /sys/fs/cgroup/cgroup.controllers ]
}

# A script that tells of the group that it is in: `inside FILE…` prints each, "-" where there is none.
write_inside() {
	cat >"$T/inside" <<-'EOT'
		#!/bin/bash
		tree=/sys/fs/cgroup/memory
		group=$(sed -n 's/^[0-9]*:[^:]*\bmemory\b[^:]*://p' /proc/self/cgroup)
		[ -d "$tree$group" ] && [ -n "$group" ] || {
			tree=/sys/fs/cgroup
			group=$(sed -n 's/^0:://p' /proc/self/cgroup)
		}
		for file in "$@"; do
			[ "$file" != group ] || { echo "$group"; continue; }
			cat "$tree$group/$file" 2>/dev/null || echo -
		done
	EOT
	chmod +x "$T/inside"
}

# in_device CODE ARG…: `env run small ARG…`, exit code as expected; output in $T/out.
in_device() {
	local code=$1
	shift
	expect_exit "$code" env run small --config-dir "$CONFIG" "$@"
}

filler_takes() {
	printf '%s\n' "$TARGETS/filler" --bytes "$1" --kind anon --rate 0 --hold 0
}

# --- what is listed ---------------------------------------------------------------------

test_list_and_show() {
	expect_exit 0 env list
	expect_narrow "$T/out"
	expect_eq 5 "$(wc -l <"$T/out")" lines
	has_line '^极限2GB模式 2gb-extreme  2.00 GiB      none  1.96 GiB   all$' "$T/out" || fail "$(cat "$T/out")"
	expect_exit 0 env list --format json
	python3 - "$T/out" <<-'EOT'
		import json, sys
		rows = json.load(open(sys.argv[1], encoding="utf-8"))
		assert [(r["name"], r["id"], r["total_mem_mb"], r["swap_size_mb"]) for r in rows] == [
		    ("4GB连线", "4gb", 4096, 1024), ("极限2GB模式", "2gb-extreme", 2048, 0),
		    ("手机模拟", "phone", 3072, 512), ("老旧设备", "old-device", 2560, 512)], rows
		assert [round(r["memory_limit"] / 2 ** 30, 6) for r in rows] == [3.8, 1.96, 2.8, 2.2], rows
		assert all(r["cpus"] is None and r["description"] and r["origin"] for r in rows), rows
	EOT
	expect_exit 0 env show 手机模拟 --format json
	python3 - "$T/out" <<-'EOT'
		import json, sys
		r = json.load(open(sys.argv[1], encoding="utf-8"))
		total = int(open("/proc/meminfo").readline().split()[1]) * 1024
		assert r["id"] == "phone" and r["memory_limit"] == 3006477107, r
		assert r["here"]["available_limit"] <= total, r
		assert r["here"]["fits"] == (r["memory_limit"] <= r["here"]["available_limit"]), r
		assert r["docker"].startswith("docker run --rm -i --memory=3006477107 --memory-swap=3543348019"), r
	EOT
	expect_exit 0 env show phone
	expect_eq '' "$(cat "$T/err")" messages
	has_line '^  swap        512 MiB$' "$T/out" || fail "$(cat "$T/out")"
}

# --- containers -------------------------------------------------------------------------

# A docker that notes its arguments, each with a NUL behind it, and exits with $1.
fake_docker() {
	mkdir -p "$T/bin"
	cat >"$T/bin/docker" <<-EOT
		#!/bin/sh
		printf '%s\\0' "\$@" >"$T/given"
		exit $1
	EOT
	chmod +x "$T/bin/docker"
	cp "$T/bin/docker" "$T/bin/podman"
}

test_docker_command_lines() {
	local swappiness=' --memory-swappiness=0'
	! is_v2 || swappiness=''
	expect_exit 0 env docker 极限2GB模式
	expect_eq "docker run --rm -i --memory=2104533975 --memory-swap=2104533975$swappiness debian:stable-slim" "$(cat "$T/out")"
	expect_exit 0 env docker 4gb --image redis:7 -- redis-server --save ''
	expect_eq "docker run --rm -i --memory=4080218931 --memory-swap=5153960755 redis:7 redis-server --save ''" "$(cat "$T/out")"
	expect_exit 0 env docker old-device --engine podman
	expect_eq "podman run --rm -i --memory=2362232013 --memory-swap=2899102925 debian:stable-slim" "$(cat "$T/out")"
	expect_exit 0 env docker
	expect_eq 4 "$(grep -c '^docker run ' "$T/out")" 'of all'
	expect_exit 2 env docker 4gb --image --privileged
	expect_err '--image --privileged: the name of an image'
	expect_exit 2 env docker 4gb --engine cgroup
}

# A shell hands docker exactly what was asked for; so does env run.
test_hostile_arguments_arrive() {
	local hostile=("it's" '$(touch '"$T"'/pwned)' '`id`' 'a  b' '' '*' $'line\nbreak' '--rm' '"' '\' ';' $'\e[31m' '连线')
	device 64 0
	fake_docker 3
	expect_exit 0 env docker small --config-dir "$CONFIG" --image 'x y' -- sh "${hostile[@]}"
	CODE=0
	PATH=$T/bin:$PATH sh "$T/out" || CODE=$?
	expect_eq 3 $CODE 'exit code of docker'
	mv "$T/given" "$T/by_shell"
	CODE=0
	PATH=$T/bin:$PATH memprobe env run small --config-dir "$CONFIG" --engine docker --image 'x y' -- sh "${hostile[@]}"
	expect_eq 3 $CODE 'exit code of docker by env run'
	cmp "$T/given" "$T/by_shell" || fail 'what env docker prints is not what env run does'
	[ ! -e "$T/pwned" ] || fail 'an argument was run'
	python3 - "$T/given" "${hostile[@]}" <<-'EOT'
		import sys
		given = open(sys.argv[1], "rb").read().split(b"\0")[:-1]
		wanted = [a.encode("utf-8", "surrogateescape") for a in ["x y", "sh", *sys.argv[2:]]]
		assert given[-len(wanted):] == wanted, given
		assert given[:2] == [b"run", b"--rm"] and b"--memory=67108864" in given, given
	EOT
}

test_docker_that_is_not_there() {
	device 64 0
	mkdir "$T/none"
	CODE=0
	PATH=$T/none memprobe env run small --config-dir "$CONFIG" --engine docker -- true
	expect_eq 6 $CODE 'exit code'
	expect_err 'docker cannot be run: it is not in $PATH: install it, or take --engine cgroup'
	expect_exit 2 env run small --config-dir "$CONFIG" --engine dokcer -- true
	expect_err 'did you mean docker?'
}

# --- limits -----------------------------------------------------------------------------

test_limit_is_read_back_from_inside() {
	local file=memory.limit_in_bytes
	! is_v2 || file=memory.max
	device 64 0
	write_inside
	in_device 0 -- "$T/inside" $file group
	expect_eq $((64 * MB)) "$(head -n 1 "$T/out")" 'limit inside'
	has_line '/memprobe-env-[0-9]*-0$' "$T/out" || fail "not in a group of its own: $(cat "$T/out")"
	expect_no_group
	# The first process is inside from its first instruction: what it execs is, too.
	in_device 0 -- sh -c "exec sh -c 'exec $T/inside $file'"
	expect_eq $((64 * MB)) "$(cat "$T/out")" 'limit after two execs'
}

# Without swap on the host that is told, where the profile has some; where the kernel accounts
# swap, the limit is set all the same.
test_swap_limits() {
	local file=memory.memsw.limit_in_bytes swap_on_host expected
	swap_on_host=$(awk '$1 == "SwapTotal:" { print $2 }' /proc/meminfo)
	device 64 32
	write_inside
	! is_v2 || file=memory.swap.max
	in_device 0 -- "$T/inside" $file
	expected=$((96 * MB))
	! is_v2 || expected=$((32 * MB))
	if [ "$(cat "$T/out")" = - ]; then
		expect_err 'swap'
	else
		expect_eq $expected "$(cat "$T/out")" "$file"
	fi
	[ "$swap_on_host" -gt 0 ] || expect_err 'the host has no swap, so the group has none'
	device 64 0
	in_device 0 -- "$T/inside" $file
	expected=$((64 * MB))
	! is_v2 || expected=0
	[ "$(cat "$T/out")" = - ] || expect_eq $expected "$(cat "$T/out")" "$file without swap"
}

# 80 MiB fit into 64 MiB and 64 MiB of swap, and not into 64 MiB alone.
test_swap_is_used_as_the_profile_says() {
	local command
	is_v2 || skip 'on cgroup v1: the swap disk is the virtual machine'"'"'s'
	[ -b /dev/nvme0n1 ] || skip 'no disk for swap'
	mapfile -t command < <(filler_takes $((80 * MB)))
	swapon /dev/nvme0n1
	device 64 64
	in_device 0 -- "${command[@]}"
	device 64 0
	in_device 7 -- "${command[@]}"
	device 64 4
	in_device 7 -- "${command[@]}"
	swapoff /dev/nvme0n1
}

test_processors() {
	local quota
	is_v2 || [ -d /sys/fs/cgroup/cpu ] || skip 'no cpu controller'
	device 64 0 'cpus: 0.5'
	write_inside
	if is_v2; then
		in_device 0 -- "$T/inside" cpu.max
		quota='50000 100000'
	else
			in_device 0 -- sh -c 'cat "/sys/fs/cgroup/cpu$(sed -n "s/^[0-9]*:[^:]*\\bcpu\\b[^:]*://p" /proc/self/cgroup)/cpu.cfs_quota_us"'
		quota=50000
	fi
	if has_line 'processors are not limited' "$T/err"; then
		return
	fi
	expect_eq "$quota" "$(cat "$T/out")" 'quota'
	expect_no_group
}

test_usage_stays_under() {
	local file=memory.max_usage_in_bytes
	device 64 0
	write_inside
	! is_v2 || file=memory.peak
	in_device 0 -- sh -c "$TARGETS/filler --bytes $((48 * MB)) --kind anon --rate 0 --hold 0 >/dev/null && $T/inside $file"
	[ "$(cat "$T/out")" != - ] || return 0 # memory.peak came with 5.19
	python3 -c "import sys; sys.exit(not 48 << 20 <= $(cat "$T/out") <= 64 << 20)" ||
		fail "at most $(cat "$T/out") in use, of $((64 * MB)), with $((48 * MB)) filled"
}

test_out_of_memory_is_exit_code_7() {
	local command
	device 64 0
	mapfile -t command < <(filler_takes $((200 * MB)))
	in_device 7 -- "${command[@]}"
	expect_err 'memory ran out in the device: OOM kills: 1'
	expect_no_group
	# Told by a shell of its child.
	in_device 7 -- sh -c '"$@"; exit $?' sh "${command[@]}"
	# Who gets over it has its own code.
	in_device 3 -- sh -c '"$@" 2>/dev/null; exit 3' sh "${command[@]}"
	# Killed, but not for memory.
	in_device 137 -- sh -c 'kill -KILL $$'
}

test_exit_codes() {
	device 64 0
	in_device 0 -- true
	in_device 5 -- sh -c 'exit 5'
	in_device 143 -- sh -c 'kill -TERM $$'
	in_device 5 -- /no/such/program
	expect_err 'command not found'
	in_device 2 --
	expect_err 'a command is needed'
	expect_no_group
}

test_signals_are_passed_on() {
	local pid
	device 64 0
	"$MEMPROBE" env run small --config-dir "$CONFIG" -- \
		sh -c 'trap "exit 9" TERM; echo ready; while :; do sleep 0.05; done' >"$T/out" 2>"$T/err" &
	pid=$!
	track $pid
	wait_until 10 has_line ready "$T/out"
	kill -TERM $pid
	CODE=0
	wait $pid || CODE=$?
	expect_eq 9 $CODE 'exit code'
	expect_no_group
}

# --- what outlives it --------------------------------------------------------------------

test_daemons_stay_and_the_group_goes_with_them() {
	local pid
	device 64 0
	in_device 4 -- sh -c 'sleep 60 >/dev/null 2>&1 & echo $!; exit 4'
	expect_err 'still run in the device'
	pid=$(cat "$T/out")
	grep -q 'memprobe-env-' "/proc/$pid/cgroup" || fail 'what was left running is not in the device'
	sleep 2
	! no_group_left || fail 'the group is gone, and its process is not'
	kill -KILL "$pid"
	wait_until 10 no_group_left
	wait_until 10 no_guardian_left
}

no_guardian_left() {
	local pid
	for pid in $(pgrep -x memprobe-guard); do
		! cmp -s /proc/self/cgroup "/proc/$pid/cgroup" || return 1
	done
}

# kill_maker ARG…: kills `memprobe-bpf ARG… -- COMMAND`; its command goes on, in its limits.
kill_maker() {
	local pid command
	rm -f "$T/pid"
	"$MEMPROBE" "$@" -- sh -c 'echo $$ >"$0.new" && mv "$0.new" "$0" && exec sleep 60' "$T/pid" >/dev/null 2>"$T/err" &
	pid=$!
	track $pid
	wait_until 20 test -e "$T/pid"
	command=$(cat "$T/pid")
	kill -KILL $pid
	wait $pid 2>/dev/null || true
	sleep 2
	grep -q 'memprobe-env-' "/proc/$command/cgroup" || fail 'the command has left its device'
	kill -KILL "$command"
	wait_until 10 no_group_left
	wait_until 10 no_guardian_left
}

test_kill9_leaves_the_command_in_its_device() {
	device 64 0
	kill_maker env run small --config-dir "$CONFIG"
	kill_maker run --env small --config-dir "$CONFIG"
}

# At random instants nothing of it stays.
test_kill9_at_any_instant() {
	local i pid
	device 64 0
	for i in $(seq "${MP_ENV_KILLS:-40}"); do
		"$MEMPROBE" env run small --config-dir "$CONFIG" -- sleep 0.05 >/dev/null 2>"$T/err" &
		pid=$!
		track $pid
		sleep "0.0$((RANDOM % 90 + 10))"
		kill -KILL $pid 2>/dev/null || true
		wait $pid 2>/dev/null || true
	done
	wait_until 10 no_guardian_left
	expect_no_group
	expect_eq "${MP_ENV_KILLS:-40}" "$i" rounds
}

# --- with the monitor ---------------------------------------------------------------------

test_run_in_a_device() {
	device 64 0
	CODE=0
	"$MEMPROBE" run --config-dir "$CONFIG" --env small --record "$T/out.json" --point grow=critical@probe_grow -- \
		"$TARGETS/calls" --function grow --calls 200 --bytes $MB >/dev/null 2>"$T/err" || CODE=$?
	expect_eq 7 $CODE 'exit code'
	check 'stop.exit_code == 7' "limit=$((64 * MB))" 'all(p.limit == limit for p in probes("grow"))' \
		'all("memprobe-env-" in p.cgroup for p in probes("grow"))' 'len(ooms(True)) == 1' \
		'max(p.usage for p in probes("grow")) <= limit' '55 < point("grow").hits < 66'
	expect_no_group
	wait_until 5 no_guardian_left
}

test_run_has_the_exit_code_of_its_command() {
	device 64 0
	expect_exit 3 run -q --config-dir "$CONFIG" --env small -- sh -c 'exit 3'
	expect_exit 5 run -q --config-dir "$CONFIG" --env small -- /no/such/program
	expect_exit 2 run --config-dir "$CONFIG" --env smal -- true
	expect_err 'there is no profile smal (did you mean small?); there are small'
	expect_no_group
}

# When the watch ends first, the command goes on in the device.
test_run_whose_watch_ends_first() {
	device 64 0
	expect_exit 0 run --config-dir "$CONFIG" --env small --duration 0.3 -- sleep 4
	expect_err 'still run in the device'
	! no_group_left || fail 'the group is gone before its process'
	wait_until 15 no_group_left
	wait_until 5 no_guardian_left
}

# A program beside the filler is in the device, too.
test_simple_in_a_device() {
	device 256 0
	write_inside
	expect_exit 0 simple --config-dir "$CONFIG" --env small --mode burst --target 50 --duration 1 --no-monitor -- \
		sh -c "$T/inside group >$T/group; exec sleep 5"
	has_line 'memprobe-env-' "$T/group" || fail "the program is in $(cat "$T/group")"
	expect_no_group
}

# --- lxcfs --------------------------------------------------------------------------------

# The one that runs, or one of the test's own in $T/lxcfs.
start_lxcfs() {
	! grep -q 'fuse.lxcfs' /proc/mounts || return 0
	need lxcfs
	mkdir "$T/lxcfs"
	lxcfs --pidfile="$T/lxcfs.pid" "$T/lxcfs" >"$T/lxcfs.log" 2>&1 &
	LXCFS=$!
	track "$LXCFS"
	wait_until 10 lxcfs_ready_or_gone
	[ -r "$T/lxcfs/proc/meminfo" ] || skip "lxcfs does not run here: $(tail -n 1 "$T/lxcfs.log")"
}

lxcfs_ready_or_gone() {
	[ -r "$T/lxcfs/proc/meminfo" ] || gone "$LXCFS"
}

stop_lxcfs() {
	[ -n "${LXCFS:-}" ] || return 0
	kill -TERM "$LXCFS"
	wait "$LXCFS" || true
}

test_meminfo_shows_the_device() {
	local total swap
	start_lxcfs
	total=$(awk '$1 == "MemTotal:" { print $2 }' /proc/meminfo)
	device 64 0
	in_device 0 -- cat /proc/meminfo
	expect_eq '' "$(cat "$T/err")" messages
	expect_eq 65536 "$(awk '$1 == "MemTotal:" { print $2 }' "$T/out")" 'MemTotal inside'
	swap=$(awk '$1 == "SwapTotal:" { print $2 }' "$T/out")
	expect_eq 0 "$swap" 'SwapTotal inside'
	expect_exit 0 run -q --config-dir "$CONFIG" --env small --no-pressure -- sh -c "awk '/MemTotal:/ { print \$2 }' /proc/meminfo >$T/inside_run"
	expect_eq 65536 "$(cat "$T/inside_run")" 'MemTotal in run --env'
	in_device 0 --no-lxcfs -- cat /proc/meminfo
	expect_eq "$total" "$(awk '$1 == "MemTotal:" { print $2 }' "$T/out")" 'MemTotal with --no-lxcfs'
	expect_eq "$total" "$(awk '$1 == "MemTotal:" { print $2 }' /proc/meminfo)" 'MemTotal outside'
	stop_lxcfs
}

test_without_lxcfs_it_is_told_once() {
	! grep -q 'fuse.lxcfs' /proc/mounts || skip 'lxcfs runs here'
	device 64 0
	in_device 0 -- true
	expect_eq 1 "$(grep -c 'proc/meminfo inside is the host' "$T/err")" notes
	in_device 0 --no-lxcfs -- true
	expect_eq '' "$(cat "$T/err")" 'notes with --no-lxcfs'
	in_device 0 -q -- true
	expect_eq '' "$(cat "$T/err")" 'notes with -q'
}

# --- bad input ------------------------------------------------------------------------------

test_bad_input() {
	device 64 0
	expect_exit 2 env
	expect_exit 2 env lst
	expect_err 'did you mean list?'
	expect_exit 2 env run
	expect_err 'the name of a profile is needed'
	expect_exit 2 env show 2gb-extrem
	expect_err 'there is no profile 2gb-extrem (did you mean 2gb-extreme?); there are 4GB连线 (4gb), 极限2GB模式 (2gb-extreme), 手机模拟 (phone), 老旧设备 (old-device)'
	expect_exit 2 env list more
	expect_err 'unexpected argument more'
	expect_exit 2 env show 4gb more
	expect_exit 2 env list --format yaml
	printf 'simulation_profiles:\n  - name: a\n    total_mem: lots\n' >"$CONFIG/low_mem_env.yaml"
	expect_exit 3 env list --config-dir "$CONFIG"
	expect_err 'low_mem_env.yaml:3:16'
	expect_exit 3 env run a --config-dir "$CONFIG" -- true
	rm "$CONFIG/low_mem_env.yaml"
	expect_exit 3 env list --config-dir "$CONFIG"
	expect_err 'there is no low_mem_env.yaml'
}

# A limit above what there is would never be reached: refused, or told.
test_more_than_the_host_has() {
	device 16000000 0
	in_device 6 -- true
	expect_err 'small allows 15.3 TiB, more than the'
	expect_err '--force'
	expect_no_group
	in_device 0 --force -- true
	expect_err 'less than small allows'
	expect_exit 6 run --config-dir "$CONFIG" --env small -- true
	expect_exit 6 simple --config-dir "$CONFIG" --env small --mode burst
	fake_docker 0
	CODE=0
	PATH=$T/bin:$PATH memprobe env run small --config-dir "$CONFIG" --engine docker -- true
	expect_eq 6 $CODE 'exit code with docker'
	expect_no_group
}

# Nor may a group above allow less.
test_more_than_a_group_above_allows() {
	! is_v2 || skip 'on cgroup v2 the group is made above that of the caller'
	device 64 0
	make_group $((32 * MB))
	CODE=0
	sh -c "echo \$\$ >$OWN_GROUP/cgroup.procs; exec $MEMPROBE env run small --config-dir $CONFIG -- true" \
		>"$T/out" 2>"$T/err" || CODE=$?
	expect_eq 6 $CODE 'exit code'
	expect_err 'more than the 32.0 MiB that there are here'
}

test_without_access_nothing_runs() {
	need setpriv
	device 64 0
	chmod 755 "$T" "$CONFIG"
	CODE=0
	setpriv --reuid 65534 --regid 65534 --clear-groups "$MEMPROBE" env run small --config-dir "$CONFIG" -- \
		touch "$T/ran" >"$T/out" 2>"$T/err" || CODE=$?
	expect_eq 4 $CODE 'exit code'
	expect_err 'run as root, or have the group delegated'
	[ ! -e "$T/ran" ] || fail 'the command has run without a limit'
}

# --- scripts ----------------------------------------------------------------------------------

make_scripts() {
	expect_exit 0 env create-scripts --config-dir "$CONFIG" --output-dir "$T/scripts"
	SCRIPT=$T/scripts/run_in_small.sh
	expect_eq "$SCRIPT" "$(cat "$T/out")"
}

# script CODE ARG…: runs it with its code as expected.
script() {
	local expected=$1
	shift
	CODE=0
	env -i PATH="$PATH" "$SCRIPT" "$@" >"$T/out" 2>"$T/err" || CODE=$?
	expect_eq "$expected" "$CODE" "exit code of: run_in_small.sh $*"
}

test_scripts_run_a_command_in_the_device() {
	local command file=memory.limit_in_bytes
	! is_v2 || file=memory.max
	device 64 0 'cpus: 0.5'
	write_inside
	make_scripts
	script 0 "$T/inside" $file group
	expect_eq $((64 * MB)) "$(head -n 1 "$T/out")" 'limit inside'
	expect_no_group
	script 3 sh -c 'exit 3'
	script 2
	script 0 --help
	has_line 'Usage: ' "$T/out" || fail 'no help'
	script 5 no-such-command
	mapfile -t command < <(filler_takes $((200 * MB)))
	script 7 "${command[@]}"
	script 0 -- printf '%s|' "it's" '$HOME' ''
	expect_eq "it's|\$HOME||" "$(cat "$T/out")" arguments
	expect_no_group
	device 16000000 0
	make_scripts
	script 6 true
	script 0 --force true
	expect_no_group
}

test_scripts_of_the_shipped_profiles() {
	expect_exit 0 env create-scripts --output-dir "$T/scripts"
	expect_eq 4 "$(wc -l <"$T/out")" scripts
	while read -r path; do
		[ -x "$path" ] || fail "$path cannot be executed"
		sh -n "$path" || fail "$path has an error"
	done <"$T/out"
	# Anew over its own.
	expect_exit 0 env create-scripts --output-dir "$T/scripts"
	printf 'mine\n' >"$T/scripts/run_in_phone.sh"
	rm "$T/scripts/run_in_4gb.sh"
	expect_exit 2 env create-scripts --output-dir "$T/scripts"
	expect_err 'run_in_phone.sh is there and was not made by this command'
	[ ! -e "$T/scripts/run_in_4gb.sh" ] || fail 'some were written all the same'
	expect_eq mine "$(cat "$T/scripts/run_in_phone.sh")" 'the file of somebody else'
}

test_scripts_are_clean() {
	need shellcheck
	device 64 0 "description: \"it's \$(id) \`id\` \\\\\"" 'cpus: 1.5'
	make_scripts
	shellcheck "$SCRIPT" || fail 'see above'
}

# --- the documented scripts ---------------------------------------------------------------------

test_low_memory_env_script() {
	export MEMPROBE_BPF=$MEMPROBE
	scripts/test_low_memory_env.sh --list >"$T/out" || fail '--list'
	"$MEMPROBE" env list | cmp - "$T/out" || fail '--list is not env list'
	scripts/test_low_memory_env.sh --show-docker 极限2GB模式 >"$T/out" || fail '--show-docker NAME'
	"$MEMPROBE" env docker 2gb-extreme | cmp - "$T/out" || fail '--show-docker NAME is not env docker NAME'
	scripts/test_low_memory_env.sh --show-docker >"$T/out" || fail '--show-docker'
	expect_eq 4 "$(grep -c '^docker run ' "$T/out")" 'command lines'
	scripts/test_low_memory_env.sh --create-scripts "$T/made" >"$T/out" || fail '--create-scripts'
	expect_eq 4 "$(find "$T/made" -name 'run_in_*.sh' | wc -l)" scripts
	device 64 0
	export MEMPROBE_CONFIG_DIR=$CONFIG
	CODE=0
	scripts/test_low_memory_env.sh --run small -- sh -c 'exit 11' >"$T/out" 2>"$T/err" || CODE=$?
	expect_eq 11 $CODE 'exit code of --run'
	scripts/test_low_memory_env.sh --help >"$T/out" || fail '--help'
	has_line '--create-scripts' "$T/out" || fail "$(cat "$T/out")"
	CODE=0
	scripts/test_low_memory_env.sh --lst 2>"$T/err" || CODE=$?
	expect_eq 2 $CODE 'exit code of a wrong option'
	expect_err 'unknown option --lst'
}

test_memory_env_test_script() {
	local top=$PWD
	export MEMPROBE_BPF=$MEMPROBE
	device 256 0
	export MEMPROBE_CONFIG_DIR=$CONFIG
	(cd "$T" && "$top/scripts/run_memory_env_test.sh" --environment small --mode burst --duration 1 --target 50 --no-monitor) \
		>"$T/out" 2>"$T/err" || fail "exit code $?: $(cat "$T/out")"
	python3 - "$T"/logs/memory_tests/*_burst_memory_test.json <<-'EOT'
		import json, sys
		r = json.load(open(sys.argv[1], encoding="utf-8"))
		assert r["outcome"] == "ok" and r["environment"]["profile_name"] == "small", r
		assert r["environment"]["memory_limit"] == 256 << 20 and 49 < r["peak_memory"] < 53, r
	EOT
	CODE=0
	scripts/run_memory_env_test.sh --environment 2>"$T/err" || CODE=$?
	expect_eq 2 $CODE 'exit code without a value'
	scripts/run_memory_env_test.sh --help >"$T/out" || fail '--help'
	has_line '--environment NAME' "$T/out" || fail "$(cat "$T/out")"
	expect_no_group
}
