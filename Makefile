# SPDX-License-Identifier: GPL-2.0-only
# Targets: all lib test unit python integration fuzz vm bench lint format install clean. V=1 shows
# commands; DEBUG=1 builds the monitor with ASan and UBSan (into build/debug).

VERSION := 0.1.0

CC := gcc
CXX := g++
CLANG ?= clang
LLVM_STRIP ?= llvm-strip
# Ubuntu's /usr/sbin/bpftool works for its own kernels only; the real one is elsewhere.
BPFTOOL ?= $(shell for tool in /usr/sbin/bpftool bpftool /usr/lib/linux-tools*/*/bpftool; do \
	$$tool version >/dev/null 2>&1 && echo $$tool && break; done)
PKG_CONFIG ?= pkg-config
# The charting library that goes into HTML reports.
DYGRAPHS ?= /usr/share/javascript/dygraphs
PREFIX ?= /usr/local
DESTDIR ?=

ARCH := $(shell uname -m | sed 's/aarch64/arm64/')
BPF_ARCH := $(if $(filter x86_64,$(ARCH)),x86,$(ARCH))
TRIPLET := $(shell $(CC) -print-multiarch)

ifeq ($(DEBUG),1)
BUILD := build/debug
MODE_FLAGS := -O1 -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=all
else
BUILD := build
MODE_FLAGS := -O2
endif
SAN := build/san

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-8s %s\n' '$(1)' '$(patsubst $(CURDIR)/%,%,$(2))')

WARN := -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith -Wundef -Werror
CPPFLAGS += -D_GNU_SOURCE -DMP_VERSION='"$(VERSION)"' -DMP_SHARE_DIR='"$(PREFIX)/share/memprobe-bpf"' \
	-DMP_DYGRAPHS='"$(DYGRAPHS)"' -Iuser -Ibpf -Ibuild/gen
CFLAGS += -std=gnu17 -g $(WARN) -fno-common -fstack-protector-strong -pthread
SAN_FLAGS := -O1 -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=all

# libbpf and libiberty are linked statically: one binary for every kernel from 5.15.
LIBBPF_STATIC := -l:libbpf.a
LDLIBS += $(LIBBPF_STATIC) -l:libiberty.a -lelf -lz -lyaml -lcapstone -ljansson -lm -pthread

MAIN := user/cli/main.c
LIB_SRCS := $(sort $(wildcard user/lib/*.c))
SRCS := $(sort $(filter-out $(MAIN) $(LIB_SRCS) $(wildcard user/base/arch_*.c) \
	$(wildcard user/inject/call_*.c),$(wildcard user/*/*.c))) \
	user/base/arch_$(ARCH).c user/inject/call_$(ARCH).c
OBJS := $(SRCS:%.c=$(BUILD)/obj/%.o)
SAN_OBJS := $(SRCS:%.c=$(SAN)/obj/%.o)
BPF_SRCS := $(wildcard bpf/*.bpf.c)
BPF_OBJS := $(BPF_SRCS:bpf/%.bpf.c=build/bpf/%.bpf.o)
SKEL := build/gen/memprobe.skel.h
UNIT_SRCS := $(wildcard tests/unit/test_*.c)
UNIT_BINS := $(UNIT_SRCS:tests/unit/%.c=$(SAN)/unit/%)
FUZZ_SRCS := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_BINS := $(FUZZ_SRCS:tests/fuzz/%.c=build/fuzz/%)
TARGET_SRCS := $(wildcard tests/targets/*.c)
TARGET_BINS := $(TARGET_SRCS:tests/targets/%.c=build/targets/%) \
	$(patsubst tests/targets/%.cc,build/targets/%,$(wildcard tests/targets/*.cc))
TARGET_LIBS := $(patsubst tests/targets/lib/%.c,build/targets/lib%.so,$(wildcard tests/targets/lib/*.c))
TOOL_SRCS := $(wildcard tests/tools/*.c)
TOOL_BINS := $(TOOL_SRCS:tests/tools/%.c=build/tools/%)
BENCH_SRCS := $(filter-out %.bpf.c,$(wildcard tests/bench/*.c))
BENCH_BINS := $(BENCH_SRCS:tests/bench/%.c=build/bench/%)

.PHONY: all lib test unit python integration fuzz vm bench lint format install clean fuzzers targets benches FORCE
.SECONDARY:
.DELETE_ON_ERROR:

all: $(BUILD)/memprobe-bpf lib compile_commands.json

# --- BPF side: one object a file, linked, then a skeleton -------------------

BPF_CFLAGS := -target bpf -D__TARGET_ARCH_$(BPF_ARCH) -g -O2 -mcpu=v3 -Wall -Wextra -Werror \
	-Wno-unused-parameter -Ibpf -isystem /usr/include/$(TRIPLET)

build/bpf/%.bpf.o: bpf/%.bpf.c $(wildcard bpf/*.h) | build/bpf
	$(call say,BPF,$@)
	$(Q)$(CLANG) $(BPF_CFLAGS) -c $< -o $@
	$(Q)$(LLVM_STRIP) -g $@

build/bpf/memprobe.linked.o: $(BPF_OBJS)
	$(call say,BPFLINK,$@)
	$(Q)$(BPFTOOL) gen object $@ $^

$(SKEL): build/bpf/memprobe.linked.o | build/gen
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name memprobe >$@

# --- user side --------------------------------------------------------------

$(BUILD)/obj/%.o: %.c $(SKEL)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(MODE_FLAGS) -MMD -MP -c $< -o $@

# What create-scripts writes.
$(BUILD)/obj/user/env/script.o $(SAN)/obj/user/env/script.o: user/env/run_in_profile.sh

# What is put into the report's page.
$(BUILD)/obj/user/report/report_html.o $(SAN)/obj/user/report/report_html.o: $(wildcard user/report/page/*) \
	$(DYGRAPHS)/dygraph.min.js

# What gets into interpreters is carried by the monitor itself.
BLOBS := user/python/memprobe/_inject.py user/python/sitecustomize/sitecustomize.py build/memprobe-marker.so
CPPFLAGS += -DMP_INJECT_SOURCE='"$(word 1,$(BLOBS))"' -DMP_INJECT_SITECUSTOMIZE='"$(word 2,$(BLOBS))"' \
	-DMP_INJECT_MARKER='"$(word 3,$(BLOBS))"'
$(BUILD)/obj/user/inject/script.o $(SAN)/obj/user/inject/script.o $(FUZZ_BINS): $(BLOBS)

# Files that hold the share folder's path are made anew when PREFIX is another.
$(BUILD)/obj/user/config/search.o $(BUILD)/obj/user/cli/cli.o: build/gen/prefix

build/gen/prefix: FORCE | build/gen
	@printf '%s\n' '$(PREFIX)' | cmp -s - $@ || printf '%s\n' '$(PREFIX)' >$@

$(BUILD)/memprobe-bpf: $(BUILD)/obj/$(MAIN:.c=.o) $(OBJS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(MODE_FLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

# --- libmemprobe: gets into other people's processes, so nothing of the above is in it,
# and no sanitizer either --------------------------------------------------------

LIB_OBJS := $(LIB_SRCS:user/lib/%.c=build/lib/%.o)
SONAME := libmemprobe.so.$(firstword $(subst ., ,$(VERSION)))
LIB_LINKS := build/$(SONAME) build/libmemprobe.so
LIB_CFLAGS := $(CFLAGS) -O2 -fPIC -fvisibility=hidden
# The first byte of a marker is its nop, so what is built here claims no landing pads.
LIB_CFLAGS += $(if $(filter x86_64,$(ARCH)),-fcf-protection=return)

lib: $(LIB_LINKS) build/libmemprobe.a build/memprobe-marker.so build/memprobe.h

build/lib/%.o: user/lib/%.c
	$(call say,CC-LIB,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(LIB_CFLAGS) -MMD -MP -c $< -o $@

build/libmemprobe.so.$(VERSION): $(LIB_OBJS) user/lib/libmemprobe.map
	$(call say,LINK,$@)
	$(Q)$(CC) $(LIB_CFLAGS) -shared -Wl,--build-id -Wl,-soname,$(SONAME) \
		-Wl,--version-script=user/lib/libmemprobe.map -Wl,-z,defs $(LIB_OBJS) -o $@

$(LIB_LINKS): build/libmemprobe.so.$(VERSION)
	$(Q)ln -sf $(<F) $@

build/libmemprobe.a: $(LIB_OBJS)
	$(Q)rm -f $@ && ar rcs $@ $^

# The markers alone, for interpreters: no libc, no start-up code, one page or two.
build/memprobe-marker.so: build/lib/marker.o
	$(call say,LINK,$@)
	$(Q)$(CC) -shared -nostdlib -s -Wl,-soname,$(@F) -Wl,--build-id -Wl,-z,noseparate-code \
		-Wl,-z,norelro $< -o $@

build/memprobe.h: user/lib/memprobe.h
	$(Q)cp $< $@

# --- tests: unit tests and all they use are built with sanitizers ------------

$(SAN)/obj/%.o: %.c $(SKEL)
	$(call say,CC-SAN,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(SAN_FLAGS) -MMD -MP -c $< -o $@

$(SAN)/libmp.a: $(SAN_OBJS)
	$(Q)rm -f $@ && ar rcs $@ $^

$(SAN)/libmemprobe.a: $(LIB_SRCS:%.c=$(SAN)/obj/%.o)
	$(Q)rm -f $@ && ar rcs $@ $^

$(SAN)/unit/%: $(SAN)/obj/tests/unit/%.o $(SAN)/libmp.a $(SAN)/libmemprobe.a
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(SAN_FLAGS) $(UNIT_LDFLAGS) $^ $(LDLIBS) -lcmocka -o $@

comma := ,
# What the kernel answers is the test's script.
$(SAN)/unit/test_reclaim: UNIT_LDFLAGS := -Wl,--wrap=mp_cgroup_reclaim
$(SAN)/unit/test_reconcile: UNIT_LDFLAGS := $(addprefix -Wl$(comma)--wrap=,mp_bpf_missed_processes \
	mp_bpf_lost_processes mp_bpf_is_target mp_bpf_add_target mp_bpf_remove_target \
	mp_bpf_for_each_target mp_monitor_take_process mp_monitor_mark_dirty)

# A file system that has no nameless files.
$(SAN)/unit/test_synth: UNIT_LDFLAGS := -Wl,--wrap=open

# So are markers that are called, whose names are hidden.
$(SAN)/unit/test_memprobe_point $(SAN)/unit/test_memprobe_check: UNIT_LDFLAGS := \
	-Wl,--wrap=mp_lib_marker_enter,--wrap=mp_lib_marker_exit,--wrap=mp_lib_marker_check

# Threads in the library, once more under the sanitizer that sees their races.
TSAN := build/tsan
TSAN_BINS := $(TSAN)/unit/test_memprobe_threads $(TSAN)/unit/test_memprobe_race
TSAN_FLAGS := -O1 -fsanitize=thread -fno-omit-frame-pointer

$(TSAN)/obj/%.o: %.c
	$(call say,CC-TSAN,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(TSAN_FLAGS) -MMD -MP -c $< -o $@

$(TSAN)/unit/%: $(TSAN)/obj/tests/unit/%.o $(LIB_SRCS:%.c=$(TSAN)/obj/%.o)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(TSAN_FLAGS) $^ -lcmocka -o $@

unit: $(UNIT_BINS) $(TSAN_BINS)
	$(Q)tests/run_unit.sh $(UNIT_BINS) $(TSAN_BINS)

# The package of user/python, with the library and without it.
python: all
	$(Q)tests/python/run.py

FUZZ_FLAGS := -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all

build/fuzz/%: tests/fuzz/%.c $(SRCS) $(SKEL)
	$(call say,FUZZ,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(CPPFLAGS) -std=gnu17 $(FUZZ_FLAGS) -pthread $< $(SRCS) $(LDLIBS) -o $@

fuzzers: $(FUZZ_BINS)

fuzz: $(FUZZ_BINS)
	$(Q)tests/run_fuzz.sh $(FUZZ_BINS)

# Programs under watch are built as users build theirs: optimized, with unwind
# tables, functions kept apart.
TARGET_CFLAGS := -std=gnu17 -g -O2 -Wall -Wextra -Werror -D_GNU_SOURCE

build/targets/%: tests/targets/%.c $(wildcard tests/targets/*.h)
	$(call say,TARGET,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(TARGET_CFLAGS) -pthread $< $(TARGET_LDLIBS) -ldl -o $@

build/targets/%: tests/targets/%.cc $(wildcard tests/targets/*.h)
	$(call say,TARGET,$@)
	@mkdir -p $(@D)
	$(Q)$(CXX) $(patsubst -std=%,-std=c++17,$(TARGET_CFLAGS)) -pthread $< $(TARGET_LDLIBS) -o $@

# Those that use the library find it beside their folder.
build/targets/marked build/targets/scoped: TARGET_LDLIBS := -Lbuild -lmemprobe -Wl,-rpath,'$$ORIGIN/..'
build/targets/marked build/targets/scoped: build/libmemprobe.so build/libmemprobe.so.0 \
	build/memprobe.h

build/targets/lib%.so: tests/targets/lib/%.c
	$(call say,TARGET,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(TARGET_CFLAGS) -fPIC -shared $< -o $@

# Parts of the monitor by themselves, for tests that kill them.
build/tools/%: $(BUILD)/obj/tests/tools/%.o $(OBJS)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(MODE_FLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

targets: $(TARGET_BINS) $(TARGET_LIBS) $(TOOL_BINS)

integration: all targets
	$(Q)tests/integration/run.sh

# KERNELS="6.1 newest" runs those only.
vm: all targets
	$(Q)tests/vm/run $(KERNELS)

# How fast the harness fills is its own code's doing.
build/bench/fill_rate: tests/bench/fill_rate.c build/obj/user/harness/arena.o \
		build/obj/user/harness/content.o build/obj/user/base/clock.o
	$(call say,BENCH,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -O2 $^ -o $@

# So is how fast a header is read.
build/bench/gguf_parse: tests/bench/gguf_parse.c $(patsubst %.c,build/obj/%.o, \
		$(wildcard user/model/gguf*.c) user/model/ggml_type.c user/base/array.c \
		user/base/clock.c user/base/error.c user/base/text.c)
	$(call say,BENCH,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -O2 $^ -ldl -o $@

build/bench/%: tests/bench/%.c
	$(call say,BENCH,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -O2 $< $(BENCH_LDLIBS) $(LIBBPF_STATIC) -lelf -lz -o $@

# One as programs use the library, one that reaches into it.
build/bench/checks: BENCH_LDLIBS := -Lbuild -lmemprobe -Wl,-rpath,'$$ORIGIN/..'
build/bench/checks: build/libmemprobe.so build/libmemprobe.so.0
build/bench/samples: BENCH_LDLIBS := build/libmemprobe.a
build/bench/samples: build/libmemprobe.a

build/bench/%.bpf.o: tests/bench/%.bpf.c
	$(call say,BPF,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -c $< -o $@

benches: $(BENCH_BINS) build/bench/empty.bpf.o

bench: all targets benches
	$(Q)tests/bench/run.sh

test: unit python fuzz integration

format:
	$(Q)clang-format -i $$(git ls-files '*.c' '*.h')

lint: $(SKEL) compile_commands.json
	$(Q)scripts/lint.sh

# The quotes in the flags must reach the file, so that tools see -DNAME='"text"'.
COMPILED := $(SRCS) $(LIB_SRCS) $(MAIN) $(UNIT_SRCS) $(FUZZ_SRCS) $(TARGET_SRCS) $(TOOL_SRCS) \
	$(BENCH_SRCS)

compile_commands.json: Makefile $(COMPILED)
	$(Q)scripts/compile_commands.sh '$(subst ','\'',$(CC) $(CPPFLAGS) $(CFLAGS))' $(COMPILED) >$@.tmp && mv $@.tmp $@

install: all
	install -D -m 755 $(BUILD)/memprobe-bpf $(DESTDIR)$(PREFIX)/bin/memprobe-bpf
	install -d $(DESTDIR)$(PREFIX)/lib/pkgconfig
	install -m 755 build/libmemprobe.so.$(VERSION) build/memprobe-marker.so \
		$(DESTDIR)$(PREFIX)/lib
	ln -sf libmemprobe.so.$(VERSION) $(DESTDIR)$(PREFIX)/lib/$(SONAME)
	ln -sf libmemprobe.so.$(VERSION) $(DESTDIR)$(PREFIX)/lib/libmemprobe.so
	install -m 644 build/libmemprobe.a $(DESTDIR)$(PREFIX)/lib
	install -D -m 644 user/lib/memprobe.h $(DESTDIR)$(PREFIX)/include/memprobe.h
	sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|' user/lib/memprobe.pc.in \
		>$(DESTDIR)$(PREFIX)/lib/pkgconfig/memprobe.pc
	install -d $(DESTDIR)$(PREFIX)/share/memprobe-bpf
	cp -r configs/. $(DESTDIR)$(PREFIX)/share/memprobe-bpf/
	install -d $(DESTDIR)$(PREFIX)/share/memprobe-bpf/python/memprobe
	install -m 644 user/python/memprobe/*.py user/python/memprobe/*.pyi \
		user/python/memprobe/py.typed $(DESTDIR)$(PREFIX)/share/memprobe-bpf/python/memprobe

clean:
	rm -rf build compile_commands.json

build/bpf build/gen:
	@mkdir -p $@

-include $(shell find build -name '*.d' 2>/dev/null)
