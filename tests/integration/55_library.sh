# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# libmemprobe in programs: its markers as others find them, and how it gets in and out.

LIB=$PWD/build/libmemprobe.so
TRACER_PID=
MARKER=$PWD/build/memprobe-marker.so

# trace_markers FILE: counts them in the target by name, until it ends, with a program that knows
# nothing of us.
trace_markers() {
	local script='' marker
	for marker in enter exit check; do
		script+="usdt:$1:memprobe:$marker { @${marker}[str(arg1)] = count(); } "
	done
	bpftrace -p "$TARGET_PID" -e "$script" >"$T/traced" 2>"$T/err" &
	TRACER_PID=$!
	track $TRACER_PID
	wait_until 20 has_line Attaching "$T/traced"
	wait_until 20 semaphores_are "$1" 1
}

# end_trace LINE…: what it counted, and nothing else.
end_trace() {
	wait_until 20 gone "$TRACER_PID"
	printf '%s\n' "$@" | sort >"$T/expected"
	grep '^@' "$T/traced" | sort | diff "$T/expected" - >"$T/diff" || fail "traced: $(cat "$T/diff")"
}

# Whether all three in the memory of the target have a value; $1 is the file that they are in.
semaphores_are() {
	python3 - "$TARGET_PID" "$@" <<-'PYTHON'
		import os, re, subprocess, sys

		pid, path, value = sys.argv[1], os.path.realpath(sys.argv[2]), int(sys.argv[3])
		notes = subprocess.run(["readelf", "-nW", path], capture_output=True, text=True).stdout
		places = [int(a, 16) for a in re.findall(r"Semaphore: (0x[0-9a-f]+)", notes)]
		first = next(line.split() for line in open(f"/proc/{pid}/maps") if line.rstrip().endswith(path))
		pie = subprocess.run(["readelf", "-hW", path], capture_output=True, text=True).stdout
		base = int(first[0].split("-")[0], 16) if "DYN" in pie else 0
		with open(f"/proc/{pid}/mem", "rb") as memory:
		    for place in places:
		        memory.seek(base + place)
		        if int.from_bytes(memory.read(2), "little") != value:
		            sys.exit(1)
		sys.exit(len(places) != 3)
	PYTHON
}

field_of_target() {
	python3 -c 'import json, sys; print(json.loads(open(sys.argv[1]).read().splitlines()[-1])[sys.argv[2]])' \
		"$T/target.out" "$1"
}

test_markers_are_hit_by_every_call() {
	need bpftrace
	start_target marked --calls 10007 --threads 3 --open 4 --point cache.fill --wait
	trace_markers "$LIB"
	finish_target
	end_trace '@enter[cache.fill]: 10007' '@exit[cache.fill]: 10007'
	expect_eq 10007 "$(field_of_target watched)" 'calls that were told of'
}

test_checks_are_told() {
	need bpftrace
	start_target marked --calls 1009 --check --point cache.check --wait
	trace_markers "$LIB"
	finish_target
	end_trace '@check[cache.check]: 1009'
}

# Once who watched is gone, by whatever, nothing is told any more.
test_nobody_watches() {
	need bpftrace
	start_target marked --calls 1009 --wait
	semaphores_are "$LIB" 0 || fail 'a semaphore is up'
	trace_markers "$LIB"
	kill -KILL "$TRACER_PID"
	wait_until 20 semaphores_are "$LIB" 0
	finish_target
	expect_eq 0 "$(field_of_target watched)" 'calls that were told of'
}

# Whatever way a C++ scope is left, by an exception too, its exit is seen.
test_scopes_of_cxx() {
	need bpftrace
	start_target scoped --calls 1009 --wait
	trace_markers "$LIB"
	finish_target
	end_trace '@enter[scoped.outer]: 1009' '@enter[scoped.left]: 1009' '@enter[scoped.thrown]: 1009' \
		'@exit[scoped.outer]: 1009' '@exit[scoped.left]: 1009' '@exit[scoped.thrown]: 1009'
	expect_eq 504 "$(field_of_target caught)" 'exceptions'
}

# What a check says of a group with a limit, against the kernel's own figures: before, filled to
# 80 %, and once the process has been moved out.
test_check_in_a_group() {
	make_group 200M
	python3 - "$LIB" "$OWN_GROUP" "$(own_memory_cgroup)" <<-'PYTHON' || fail 'see above'
		import ctypes, mmap, os, sys, time

		MIB = 1 << 20
		lib, group, outside = ctypes.CDLL(sys.argv[1]), sys.argv[2], sys.argv[3]

		class Info(ctypes.Structure):
		    _fields_ = [(n, ctypes.c_uint64) for n in "ts rss peak limit usage available".split()]
		    _fields_ += [("ratio", ctypes.c_double), ("severity", ctypes.c_uint32), ("flags", ctypes.c_uint32)]

		def check():
		    info = Info()
		    time.sleep(1.1)
		    assert lib.memprobe_check(b"group", ctypes.byref(info)) == 0 and info.flags == 0
		    print({n: getattr(info, n) for n, _ in Info._fields_})
		    return info

		def move(to):
		    with open(to + "/cgroup.procs", "w") as file:
		        file.write(str(os.getpid()))

		def kernel_usage():
		    for name in "memory.current", "memory.usage_in_bytes":
		        if os.path.exists(f"{group}/{name}"):
		            return int(open(f"{group}/{name}").read())

		before = check()
		move(group)
		info = check()
		assert info.limit == 200 * MIB and info.severity == 0 and info.usage < 50 * MIB
		memory = mmap.mmap(-1, 150 * MIB, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
		for _ in range(150):
		    memory.write(b"x" * MIB)
		info = check()
		assert abs(info.usage - kernel_usage()) < 4 * MIB, (info.usage, kernel_usage())
		assert info.available == info.limit - info.usage
		assert info.severity == 1 and 0.75 <= info.ratio < 0.85
		assert info.rss > 150 * MIB and info.peak >= info.rss
		memory.close()
		info = check()
		assert info.usage < 50 * MIB and info.rss < 100 * MIB and info.peak > 150 * MIB
		move(outside)
		assert check().limit == before.limit
	PYTHON
}

# Loaded, used and unloaded many times: no file and no mapping stays.
test_loaded_and_unloaded() {
	python3 - "$LIB" <<-'PYTHON' || fail 'see above'
		import _ctypes, ctypes, os, sys

		def state():
		    maps = open("/proc/self/maps").read()
		    return len(os.listdir("/proc/self/fd")), maps.count("memprobe")

		before = state()
		for _ in range(20):
		    lib = ctypes.CDLL(sys.argv[1], use_errno=True)
		    assert ctypes.c_ushort.in_dll(lib, "memprobe_enter_semaphore").value == 0
		    assert lib.memprobe_check(b"python.check", None) == 0
		    assert lib.memprobe_fast_check(ctypes.c_uint64(0)) == 1
		    assert lib.memprobe_check(b"", None) == -1
		    assert state() != before
		    _ctypes.dlclose(lib._handle)
		    assert state() == before, (state(), before)
	PYTHON
}

# The markers alone, from memory: as they get into an interpreter without the library.
test_marker_library_from_memory() {
	python3 - "$MARKER" <<-'PYTHON' || fail 'see above'
		import ctypes, os, sys

		text = open(sys.argv[1], "rb").read()
		assert len(text) < 4096, len(text)
		fd = os.memfd_create("memprobe-marker", os.MFD_CLOEXEC)
		os.write(fd, text)
		lib = ctypes.CDLL(f"/proc/self/fd/{fd}")
		os.close(fd)
		u64 = ctypes.c_uint64
		for name in "enter", "exit", "check":
		    assert ctypes.c_ushort.in_dll(lib, f"memprobe_{name}_semaphore").value == 0
		    lib[f"memprobe_marker_{name}"](u64(1), b"name", u64(2), u64(3), u64(4))
	PYTHON
}

test_marker_library_needs_nothing() {
	need objdump
	if objdump -p "$MARKER" | grep NEEDED; then
		fail 'memprobe-marker.so needs another library'
	fi
}

# Only what the version map names can be reached, and no function begins with a landing pad.
test_exported_names() {
	need nm
	nm -D --defined-only --without-symbol-versions "$LIB" | awk '$2 != "A" { print $3 }' >"$T/names"
	if grep -v '^memprobe_' "$T/names"; then
		fail 'exported, and not of the interface'
	fi
	while IFS= read -r name; do
		grep -qx "$name" "$T/names" || fail "$name is not exported"
	done <<-'NAMES'
		memprobe_check
		memprobe_check_point
		memprobe_check_semaphore
		memprobe_enter
		memprobe_enter_semaphore
		memprobe_exit
		memprobe_exit_semaphore
		memprobe_fast_check
		memprobe_marker_check
		memprobe_marker_enter
		memprobe_marker_exit
		memprobe_point
		memprobe_version
	NAMES
}

# As `make install` leaves it, found by pkg-config, shared and static, by C and C++.
test_installed() {
	local flags=() compiler
	need gcc
	need g++
	need make
	need pkg-config
	make -s install DESTDIR="$T/root" PREFIX=/opt/memprobe >"$T/install.out" 2>&1 ||
		fail "make install: $(tail -n 5 "$T/install.out")"
	export PKG_CONFIG_PATH=$T/root/opt/memprobe/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$T/root
	expect_eq 0.1.0 "$(pkg-config --modversion memprobe)" 'version of the package'
	cat >"$T/program.c" <<-'C'
		#include <memprobe.h>
		#include <stdio.h>

		int main(void)
		{
			struct memprobe_info info;
			MEMPROBE_SCOPE("installed", MEMPROBE_LOW);

			if (memprobe_check("installed.check", &info) || memprobe_fast_check(0) != 1)
				return 1;
			puts(memprobe_version());
			return info.rss > info.peak_rss;
		}
	C
	for compiler in 'gcc -x c -std=c99' 'gcc -x c -std=gnu17' 'g++ -x c++ -std=c++11' 'g++ -x c++ -std=c++20'; do
		read -ra flags <<<"$compiler -Wall -Wextra -Werror $(pkg-config --cflags memprobe)"
		"${flags[@]}" "$T/program.c" -o "$T/shared" -L"$T/root/opt/memprobe/lib" -lmemprobe ||
			fail "$compiler"
		expect_eq 0.1.0 "$(LD_LIBRARY_PATH=$T/root/opt/memprobe/lib "$T/shared")" "$compiler, shared"
		"${flags[@]}" "$T/program.c" -o "$T/static" -x none "$T/root/opt/memprobe/lib/libmemprobe.a" -pthread ||
			fail "$compiler, static"
		expect_eq 0.1.0 "$("$T/static")" "$compiler, static"
	done
}

# Linked into a program that has no shared library at all, the markers are found there.
test_statically_linked() {
	need bpftrace
	need gcc
	cat >"$T/program.c" <<-'C'
		#include <memprobe.h>
		#include <stdio.h>
		#include <unistd.h>

		int main(void)
		{
			struct memprobe_point *point = memprobe_point("static", MEMPROBE_HIGH);

			printf("ready %d\n", (int)getpid());
			fflush(stdout);
			getchar();
			for (int i = 0; i < 1009; i++)
				memprobe_exit(point, memprobe_enter(point, 0));
			return 0;
		}
	C
	gcc -static -O2 -Ibuild "$T/program.c" -o "$T/program" build/libmemprobe.a || fail 'gcc -static'
	mkfifo "$T/go"
	"$T/program" <"$T/go" >"$T/target.out" &
	TARGET_PID=$!
	track $TARGET_PID
	exec 9>"$T/go"
	wait_until 10 has_line '^ready ' "$T/target.out"
	trace_markers "$T/program"
	echo >&9
	exec 9>&-
	end_target
	end_trace '@enter[static]: 1009' '@exit[static]: 1009'
}
