# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# Memory that a program has freed and its allocator keeps, given back by libmemprobe's agent.

LIBRARY=$PWD/build/libmemprobe.so
# What is kept; the group's limit, of which that is about half; what is mapped then, to get
# above 60 % of it. A machine that has not got that much does with less.
KEEP=$((500 << 20))
[ "$(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo)" -gt $((3 << 19)) ] || KEEP=$((200 << 20))
LIMIT=$((KEEP * 256 / 125))
GROW=$((KEEP * 23 / 100 >> 20 << 20))

# relief_policy ACTION: at 60 % of the limit.
relief_policy() {
	cat >"$T/policy.yaml" <<-EOT
		version: 1
		check_interval_ms: 100
		cooldown_ms: 200
		dwell_ms: 100
		thresholds: {warning: 60, gc: 97, critical: 98}
		levels:
		  high: {on: {warning: [log, $1]}}
	EOT
	printf '%s' "$T/policy.yaml"
}

# Enters the test's group and becomes what it is given.
make_entrance() {
	cat >"$T/enter" <<-EOT
		#!/bin/sh
		echo \$\$ >$OWN_GROUP/cgroup.procs
		exec "\$@"
	EOT
	chmod +x "$T/enter"
}

# watch_hoard ACTION: a program that keeps what it has freed, in a group with a limit, from its
# first instruction on. The record is in $T/record.json.
watch_hoard() {
	make_group $LIMIT
	make_entrance
	CODE=0
	"$MEMPROBE" run --agent --point "silent=low@$TARGETS/calls:probe_endbr" --record "$T/record.json" \
		--format json --policy "$(relief_policy "$1")" -- "$T/enter" \
		"$TARGETS/hoard" --mib $((KEEP >> 20)) --grow $((GROW >> 20)) --hold 1 >"$T/out" 2>"$T/err" || CODE=$?
	expect_eq 0 "$CODE" 'exit code'
}

# What the program printed as WHAT, in bytes.
said() {
	sed -n "s/^$1 //p" "$T/out"
}

# What the program would have without having been asked, less what it has: in bytes. It may be
# asked before it says what it has grown to.
change() {
	printf '%s' $(($(said kept) + GROW - $(said left)))
}

# What it kept goes back; what it has mapped since does not. The monitor's figure and that
# of /proc agree within a tenth.
expect_relief() {
	check "$T/record.json" change="$(change)" keep=$KEEP \
		'change > keep * 9 // 10' \
		'abs(sum(a.freed_bytes for a in of("action") if a.action == "relieve" and a.result == "done") - change) < change // 10' \
		'any(a.detail.startswith("1 gave back") for a in of("action") if a.action == "relieve" and a.result == "done")' \
		'[d.severity for d in of("decision")][-1] == "normal"'
}

test_freed_memory_goes_back() {
	watch_hoard relieve
	expect_relief
	[ ! -e "/tmp/.memprobe-relief.$(said ready)" ] || fail 'the socket was left behind'
}

# preloaded NAME…: where the first of these libraries is.
preloaded() {
	local found
	for found in "$@"; do
		found=$(ldconfig -p 2>/dev/null | sed -n "s/.*$found .*=> //p" | head -n 1)
		[ -z "$found" ] || break
	done
	[ -n "$found" ] || skip "no $1"
	printf '%s' "$found"
}

# Another allocator, that was preloaded already.
test_freed_memory_of_jemalloc() {
	local library
	library=$(preloaded libjemalloc.so.2) || exit $?
	LD_PRELOAD=$library watch_hoard relieve
	expect_relief
}

test_freed_memory_of_tcmalloc() {
	local library
	library=$(preloaded libtcmalloc_minimal.so.4) || exit $?
	LD_PRELOAD=$library watch_hoard relieve
	expect_relief
}

# Its threads collect for themselves alone: whatever comes of it, the answer is true.
test_freed_memory_of_mimalloc() {
	local library
	library=$(preloaded libmimalloc.so.2 libmimalloc.so.2.0 libmimalloc.so.3) || exit $?
	LD_PRELOAD=$library watch_hoard relieve
	check "$T/record.json" change="$(change)" \
		'abs(sum(a.freed_bytes for a in of("action") if a.action == "relieve" and a.result == "done") - max(change, 0)) <= max(change, 0) // 10 + (8 << 20)' \
		'[a for a in of("action") if a.action == "relieve"][0].detail.startswith(("1 gave back", "1 with nothing to give back"))'
}

# By systemd's protocol, in which nobody answers: /proc tells.
test_memory_pressure_watch() {
	watch_hoard notify
	check "$T/record.json" change="$(change)" keep=$KEEP \
		'change > keep * 9 // 10' \
		'"told 1 process" in [a.detail for a in of("action") if a.action == "notify" and a.result == "done"]' \
		'[d.severity for d in of("decision")][-1] == "normal"'
}

# A service manager that has nothing to do with memprobe-bpf.
test_memory_pressure_watch_of_others() {
	mkfifo "$T/watch"
	exec 5<>"$T/watch"
	LD_PRELOAD=$LIBRARY MEMPROBE_AGENT=1 MEMORY_PRESSURE_WATCH=$T/watch \
		MEMORY_PRESSURE_WRITE=bm93Cg== "$TARGETS/hoard" --mib 64 --hold 60 >"$T/out" &
	TARGET_PID=$!
	track $TARGET_PID
	expect_eq now "$(head -n 1 <&5)" 'what was written at the beginning'
	wait_until 10 has_line '^grown' "$T/out"
	echo now >&5
	wait_until 10 rss_is_below $((16 << 20)) "$TARGET_PID"
	kill -TERM "$TARGET_PID"
	end_target
}

rss_is_below() {
	[ $(($(cut -d ' ' -f 2 "/proc/$2/statm") * $(getconf PAGESIZE))) -lt "$1" ]
}

# --- what the command finds, and leaves ----------------------------------------------

# run_agent COMMAND…: its output is in $T/out.
run_agent() {
	expect_exit 0 run --agent -q --point "silent=low@$TARGETS/calls:probe_endbr" -- "$@"
}

test_environment() {
	# shellcheck disable=SC2016 # for the command to expand
	local show='echo "preload $LD_PRELOAD agent $MEMPROBE_AGENT"'
	local library
	library=$(realpath "$LIBRARY")
	run_agent sh -c "$show"
	has_line "^preload $library agent 1\$" "$T/out" || fail "$(cat "$T/out")"
	LD_PRELOAD=$library:libc.so.6 MEMPROBE_AGENT=fork run_agent sh -c "$show"
	has_line "^preload $library:$library:libc.so.6 agent fork\$" "$T/out" || fail "$(cat "$T/out")"
}

# A shell ends without what other programs do at their end; the monitor tidies up.
test_nothing_is_left() {
	# shellcheck disable=SC2016
	run_agent sh -c 'echo "shell $$"; until [ -S /tmp/.memprobe-relief.$$ ]; do sleep 0.02; done; true'
	[ ! -e "/tmp/.memprobe-relief.$(said shell)" ] || fail 'the socket was left behind'
}

# A process that is over at once does not even begin; one that executes another starts anew.
test_after_exec() {
	# shellcheck disable=SC2016
	run_agent sh -c 'exec sh -c "echo shell \$\$; until [ -S /tmp/.memprobe-relief.\$\$ ]; do sleep 0.02; done"'
	[ ! -e "/tmp/.memprobe-relief.$(said shell)" ] || fail 'the socket was left behind'
}

fork_in_python() {
	cat >"$T/fork.py" <<-'EOT'
		import os, sys, time
		path = "/tmp/.memprobe-relief.%d"
		def wait_for(pid, seconds):
		    end = time.monotonic() + seconds
		    while not os.path.exists(path % pid) and time.monotonic() < end:
		        time.sleep(0.02)
		    return os.path.exists(path % pid)
		assert wait_for(os.getpid(), 10)
		if os.fork() == 0:
		    found = wait_for(os.getpid(), float(sys.argv[1]))
		    print("child", "has one" if found else "has none", flush=True)
		    sys.exit(0)
		os.wait()
		assert os.path.exists(path % os.getpid())
	EOT
}

# A child of fork() has an agent only where that was asked for.
test_forked_children() {
	fork_in_python
	run_agent python3 "$T/fork.py" 0.3
	expect_eq 'child has none' "$(head -n 1 "$T/out")" 'by default'
	MEMPROBE_AGENT=fork run_agent python3 "$T/fork.py" 10
	expect_eq 'child has one' "$(head -n 1 "$T/out")" 'with MEMPROBE_AGENT=fork'
}

# Where it cannot be the program must not notice; who asks is told.
test_no_place_for_the_socket() {
	need_mount_namespace
	make_root_dir
	cp "$LIBRARY" "$TARGETS/hoard" "$OWN_DIR/"
	cat >"$T/inside" <<-EOT
		mount -t tmpfs -o ro none /tmp
		cd /
		exec env LD_PRELOAD=$OWN_DIR/libmemprobe.so MEMPROBE_AGENT=1 "\$@" $OWN_DIR/hoard --mib 1 --hold 1
	EOT
	unshare -m sh "$T/inside" >"$T/out" 2>"$T/err"
	has_line '^left' "$T/out" || fail "$(cat "$T/out")"
	expect_eq '' "$(cat "$T/err")" 'what is told'
	unshare -m sh "$T/inside" MEMPROBE_DEBUG=1 >"$T/out" 2>"$T/err"
	expect_eq 'libmemprobe: the agent cannot start: Read-only file system' "$(cat "$T/err")" 'what is told who asks'
}

# A library with threads in it cannot be unloaded; without them it can.
test_unloaded_library() {
	"$TARGETS/unload" "$LIBRARY" >"$T/out" || fail "$(cat "$T/out")"
}

# --- where it cannot be had ------------------------------------------------------------

test_no_library() {
	mkdir "$T/bin"
	cp "$MEMPROBE" "$T/bin/"
	MEMPROBE=$T/bin/memprobe-bpf expect_exit 6 run --agent -- true
	expect_err "error: --agent: there is no libmemprobe.so in $T/bin or in lib beside it: build it"
	mkdir "$T/lib"
	cp "$LIBRARY" "$T/lib/libmemprobe.so"
	MEMPROBE=$T/bin/memprobe-bpf run_agent sh -c "echo \$LD_PRELOAD"
	expect_eq "$T/lib/libmemprobe.so" "$(head -n 1 "$T/out")" 'an installed one'
	mv "$T/lib/libmemprobe.so" "$T/bin/"
	MEMPROBE=$T/bin/memprobe-bpf run_agent sh -c "echo \$LD_PRELOAD"
	expect_eq "$T/bin/libmemprobe.so" "$(head -n 1 "$T/out")" 'one beside it'
	mkdir "$T/a b"
	cp "$MEMPROBE" "$LIBRARY" "$T/a b/"
	MEMPROBE="$T/a b/memprobe-bpf" expect_exit 6 run --agent -- true
	expect_err "LD_PRELOAD cannot name $T/a b/libmemprobe.so"
}

test_static_command() {
	local busybox
	busybox=$(command -v busybox) || busybox=''
	if [ -z "$busybox" ] || [ "$(busybox_loader "$busybox")" != none ]; then
		need gcc
		printf 'int main(void) { return 0; }\n' | gcc -static -x c - -o "$T/static"
		busybox=$T/static
	fi
	run_agent "$busybox"
	expect_err "warning: $busybox is linked statically and loads no library"
}

busybox_loader() {
	python3 -c 'import sys; print("found" if b"/ld-" in open(sys.argv[1], "rb").read(4096) else "none")' "$1"
}

# Another C library's loader would refuse to start the program.
test_foreign_command() {
	sed 's|ld-linux-x86-64\.so|ld-linux-x32-64.so|; s|ld-linux-aarch64\.so|ld-linux-aarch32.so|' \
		"$TARGETS/calls" >"$T/foreign"
	chmod +x "$T/foreign"
	memprobe run --agent -q --point "silent=low@$TARGETS/calls:probe_endbr" -- "$T/foreign"
	expect_eq 5 "$CODE" 'exit code'
	expect_err "warning: $T/foreign is for another processor or C library than"
}
