# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# Where a point's probes go, and ways to leave a function.

first_insn() {
	objdump -d --no-show-raw-insn --disassemble="$2" "$1" | awk '/^ +[0-9a-f]+:/ { print $2; exit }'
}

symbol_offset() {
	nm "$1" | awk -v name="$2" '$3 == name { print $1 }'
}

# The build must give what the tests and benchmarks are about.
test_targets_are_what_they_claim() {
	[ "$(uname -m)" = x86_64 ] || skip 'about x86-64 instructions'
	expect_eq push "$(first_insn "$TARGETS/calls" probe_push)" 'first instruction of probe_push'
	expect_eq endbr64 "$(first_insn "$TARGETS/calls" probe_endbr)" 'first instruction of probe_endbr'
}

test_endbr_is_probed_behind() {
	local offset
	[ "$(uname -m)" = x86_64 ] || skip 'about x86-64 instructions'
	offset=$((16#$(symbol_offset "$TARGETS/calls" probe_endbr)))
	start_target calls --function endbr --calls 10007 --threads 3 --wait
	start_monitor --target "$TARGET_PID" --point "endbr=high@$TARGETS/calls:probe_endbr"
	finish_target
	end_monitor
	check offset=$offset \
		'[s.offset for s in of("site")] == [offset + 4]' \
		'point("endbr").hits == point("endbr").returns == 10007' \
		'point("endbr").missed == 0'
}

test_library_loaded_after_attach() {
	mkfifo "$T/commands"
	"$TARGETS/dlopen" <"$T/commands" >"$T/target.out" 2>"$T/target.err" &
	TARGET_PID=$!
	track $TARGET_PID
	exec 9>"$T/commands"
	wait_until 10 has_line '^ready ' "$T/target.out"
	start_monitor --target "$TARGET_PID" --point 'lib=high@libmptest.so:mp_lib_work'
	wait_until 10 has_line '"status": *"waiting"' "$T/out.json"
	echo "open $TARGETS/libmptest.so" >&9
	wait_until 10 has_line '"status": *"attached"' "$T/out.json"
	echo 'call 1009' >&9
	echo 'close' >&9
	echo "open $TARGETS/libmptest.so" >&9
	echo 'call 2003' >&9
	echo 'quit' >&9
	exec 9>&-
	end_target
	end_monitor
	check 'point("lib").hits == point("lib").returns == 1009 + 2003'
}

# Known by its path, so it is probed before anybody maps it: no call is missed.
test_library_known_by_path() {
	mkfifo "$T/commands"
	"$TARGETS/dlopen" <"$T/commands" >"$T/target.out" 2>"$T/target.err" &
	TARGET_PID=$!
	track $TARGET_PID
	exec 9>"$T/commands"
	wait_until 10 has_line '^ready ' "$T/target.out"
	start_monitor --target "$TARGET_PID" --point "lib=high@$TARGETS/libmptest.so:mp_lib_work"
	printf 'open %s\ncall 1009\nquit\n' "$TARGETS/libmptest.so" >&9
	exec 9>&-
	end_target
	end_monitor
	check 'point("lib").hits == point("lib").returns == 1009'
}

test_usdt_with_arguments() {
	cat >"$T/points.yaml" <<-EOT
		version: 1
		points:
		  - name: step
		    level: high
		    usdt: "usdt:mptest:step"
		    args:
		      - {index: 1, name: n, type: u64}
		      - {index: 2, name: constant, type: s64}
		      - {index: 3, name: memory, type: s64}
		      - {index: 4, name: text, type: str}
		  - name: small
		    level: high
		    usdt: "usdt:mptest:small"
		    args: [{index: 1, name: sign, type: s64}, {index: 2, name: port, type: u64}]
	EOT
	start_target usdt --calls 1009 --wait
	start_monitor --target "$TARGET_PID" --points "$T/points.yaml" --policy "$(every_call_policy)"
	finish_target
	end_monitor
	check 'point("step").hits == point("small").hits == 1009' \
		'point("step").returns == 0' \
		'all(r.phase == "check" for r in probes())' \
		'[r.args.n for r in probes("step")] == list(range(1009))' \
		'all(r.args.constant == -7 for r in probes("step"))' \
		'[r.args.memory for r in probes("step")] == [-n for n in range(1009)]' \
		'all(r.args.text == "m\u00e4h \"quoted\"" for r in probes("step"))' \
		'[r.args.sign for r in probes("small")] == [-(n % 100) for n in range(1009)]' \
		'[r.args.port for r in probes("small")] == list(range(1009))' \
		'all(s.kind == "usdt" for s in of("site"))'
}

test_two_points_on_one_function() {
	start_target calls --calls 10007 --threads 2 --function push --wait
	start_monitor --target "$TARGET_PID" --point "one=high@$TARGETS/calls:probe_push" \
		--point "two=low@$TARGETS/calls:probe_*" --policy "$(every_call_policy)"
	finish_target
	end_monitor
	check 'point("one").hits == point("one").returns == 10007' \
		'point("two").hits == point("two").returns == 10007' \
		'sum(p.missed for p in summary.points) == 0' \
		'all(r.duration_ns is not None for r in probes(None, "exit"))'
}

test_longjmp_recursion_and_tail_calls() {
	local name points=()
	for name in probe_jump probe_jump_inner probe_recurse probe_tail probe_tail_end; do
		points+=(--point "$name=high@$TARGETS/longjmp:$name")
	done
	start_target longjmp --calls 1009 --depth 20 --wait
	start_monitor --target "$TARGET_PID" "${points[@]}" --policy "$(every_call_policy)"
	finish_target
	end_monitor
	check target=@"$T/target.out" \
		'{p.point: {"hits": p.hits, "returns": p.returns} for p in summary.points} == target' \
		'sum(p.missed for p in summary.points) == 0' \
		'all(r.duration_ns is not None for r in probes(None, "exit"))' \
		'[r.duration_ns for r in probes("probe_recurse", "exit")] == sorted(r.duration_ns for r in probes("probe_recurse", "exit"))'
}

# A changed return address would stop the exception, and the program with it.
test_exceptions_pass_through() {
	local name points=()
	for name in inner outer catcher choose tail counter::counter; do
		points+=(--point "$name=high@$TARGETS/thrower:thrower::$name")
	done
	start_target thrower --calls 1009 --wait
	start_monitor --target "$TARGET_PID" "${points[@]}" --policy "$(every_call_policy)"
	finish_target
	end_monitor
	check target=@"$T/target.out" \
		'{p.point: {"hits": p.hits, "returns": p.returns} for p in summary.points} == target' \
		'sum(p.missed for p in summary.points) == 0' \
		'all(r.duration_ns is not None for r in probes(None, "exit"))' \
		'probes("counter::counter", "exit")[0].duration_ns >= max(r.duration_ns for r in probes("choose", "exit"))' \
		'all(s.status == "attached" for s in of("site"))'
}

# Functions between two points, which the exception passes too.
test_exceptions_pass_what_is_no_point() {
	start_target thrower --calls 1009 --wait
	start_monitor --target "$TARGET_PID" --point "t=high@$TARGETS/thrower:thrower::tail" \
		--point "c=high@$TARGETS/thrower:thrower::catcher"
	finish_target
	end_monitor
	check 'point("t").hits == point("t").returns == 1009' 'point("c").hits == point("c").returns' \
		'point("c").missed == point("t").missed == 0'
}

# Deeper than the kernel keeps return probes (64): entries stay exact, what is missed is said.
test_recursion_deeper_than_the_kernel_keeps() {
	start_target longjmp --calls 1 --depth 100 --wait
	start_monitor --target "$TARGET_PID" --point "r=high@$TARGETS/longjmp:probe_recurse" \
		--point "after=high@$TARGETS/longjmp:probe_tail"
	finish_target
	end_monitor
	check 'point("r").hits == 101' '32 <= point("r").returns <= 64' 'point("r").missed > 0' \
		'point("after").hits == point("after").returns == 1' 'point("after").missed == 0'
}

# Exported functions are still known by .dynsym; others are not.
test_stripped_library() {
	cp "$TARGETS/libmptest.so" "$T/libmptest.so"
	strip "$T/libmptest.so"
	expect_exit 0 probes check --binary "$T/libmptest.so" --point 'lib=high@libmptest.so:mp_lib_work'
}

test_stripped_program() {
	cp "$TARGETS/calls" "$T/calls"
	strip "$T/calls"
	start_target "$T/calls" --calls 11 --wait
	expect_exit 1 probes check --target "$TARGET_PID" --point 'push=high@calls:probe_push'
	grep -qi 'strip\|debug' "$T/out" "$T/err" || fail "does not say that symbols are missing: $(cat "$T/out")"
	finish_target
}

# Symbols in a file of their own, where distributions put them and where objcopy says.
test_debuglink() {
	mkdir "$T/.debug"
	cp "$TARGETS/calls" "$T/calls"
	objcopy --only-keep-debug "$T/calls" "$T/.debug/calls.debug"
	strip "$T/calls"
	(cd "$T/.debug" && objcopy --add-gnu-debuglink=calls.debug ../calls)
	start_target "$T/calls" --calls 1009 --wait
	start_monitor --target "$TARGET_PID" --point 'push=high@calls:probe_push'
	finish_target
	end_monitor
	check 'point("push").hits == point("push").returns == 1009'
}

# A glob takes them all, and each call counts for the point.
test_glob() {
	start_target calls --calls 1009 --wait
	start_monitor --target "$TARGET_PID" --point 'all=high@calls:probe_[pe]*'
	finish_target
	end_monitor
	check 'len(of("site")) == 3' \
		'sorted(s.symbol for s in of("site")) == ["probe_empty", "probe_endbr", "probe_push"]' \
		'point("all").hits == point("all").returns == 1009'
}

ten_thousand_functions() {
	need gcc
	python3 -c 'for i in range(10000): print(f"int many_{i}(int n) {{ return n + {i}; }}")' >"$T/many.c"
	gcc -O1 -shared -fPIC "$T/many.c" -o "$T/libmany.so"
}

test_ten_thousand_symbols_are_refused() {
	ten_thousand_functions
	start_target calls --calls 11 --wait
	expect_exit 3 attach --target "$TARGET_PID" --point "many=low@$T/libmany.so:many_*"
	expect_err '10000'
	expect_err 'max_sites'
	finish_target
}

test_max_sites_allows_them() {
	ten_thousand_functions
	cat >"$T/points.yaml" <<-EOT
		version: 1
		points:
		  - {name: many, level: low, symbol: "libmany.so:many_*", max_sites: 10000}
	EOT
	expect_exit 0 probes list --format json --binary "$T/libmany.so" --points "$T/points.yaml"
	python3 -c 'import json, sys; sys.exit(len(json.load(open(sys.argv[1]))) != 10000)' "$T/out" ||
		fail 'not 10,000 sites'
}

test_probes_list_and_check() {
	expect_exit 0 probes list --format json --binary "$TARGETS/calls" --point 'push=high@calls:probe_push'
	python3 - "$T/out" <<-'EOT' || fail "$(cat "$T/out")"
		import json, sys
		sites = json.load(open(sys.argv[1]))
		assert len(sites) == 1, sites
		site = sites[0]
		assert site["point"] == "push" and site["symbol"] == "probe_push", site
		assert site["level"] == "high" and site["kind"] == "uprobe", site
		assert site["offset"] > 0 and site["insn"] and site["cost"], site
	EOT
	expect_exit 0 probes list --binary "$TARGETS/calls" --point 'push=high@calls:probe_push'
	grep -q 'probe_push' "$T/out" || fail 'the text does not name the symbol'
	expect_exit 0 probes check --binary "$TARGETS/calls" --point 'push=high@calls:probe_push'
	expect_exit 1 probes check --binary "$TARGETS/calls" --point 'none=high@calls:probe_none'
}

# What is hostile in a name is escaped; check.py refuses control characters.
test_hostile_names() {
	local dir
	dir=$T/$(printf 'new\nline \033[31m \377')
	mkdir "$dir"
	cp "$TARGETS/oddname" "$dir/oddname"
	start_target "$dir/oddname" --calls 1009 --wait
	start_monitor --target "$TARGET_PID" --point 'push=high@oddname:probe_push' \
		--point 'odd=high@oddname:odd*symbol' --policy "$(every_call_policy)"
	finish_target
	end_monitor
	check 'point("push").hits == point("odd").hits == 1009' \
		'all("\\n" in r.comm and "\\e[31m" in r.comm for r in probes())' \
		'any("\\e[31m" in s.symbol for s in of("site"))' \
		'all("\\n" in s.binary for s in of("site"))'
}

# The same on the text view: no control character but the newline.
test_hostile_names_as_text() {
	start_target oddname --calls 11 --wait
	"$MEMPROBE" attach --color never --target "$TARGET_PID" \
		--point 'odd=high@oddname:odd*symbol' >"$T/out" 2>"$T/err" &
	MONITOR_PID=$!
	track $MONITOR_PID
	wait_until 10 test -s "$T/out"
	sleep 0.5
	finish_target
	end_monitor
	LC_ALL=C grep -q "$(printf '[\001-\011\013-\037\177]')" "$T/out" "$T/err" &&
		fail "control characters in: $(cat -v "$T/out")"
	grep -q 'odd' "$T/out" || fail 'nothing about the point'
}
