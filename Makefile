# SPDX-License-Identifier: GPL-2.0-only
# Targets: all test unit integration fuzz vm bench lint format install clean. V=1 shows
# commands; DEBUG=1 builds everything with ASan and UBSan (into build/debug).

VERSION := 0.1.0

CC := gcc
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
SRCS := $(sort $(filter-out $(MAIN) $(wildcard user/base/arch_*.c),$(wildcard user/*/*.c))) \
	user/base/arch_$(ARCH).c
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
TARGET_BINS := $(TARGET_SRCS:tests/targets/%.c=build/targets/%)
TARGET_LIBS := $(patsubst tests/targets/lib/%.c,build/targets/lib%.so,$(wildcard tests/targets/lib/*.c))
BENCH_SRCS := $(filter-out %.bpf.c,$(wildcard tests/bench/*.c))
BENCH_BINS := $(BENCH_SRCS:tests/bench/%.c=build/bench/%)

.PHONY: all test unit integration fuzz vm bench lint format install clean fuzzers targets benches FORCE
.SECONDARY:
.DELETE_ON_ERROR:

all: $(BUILD)/memprobe-bpf compile_commands.json

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

# Files that hold the share folder's path are made anew when PREFIX is another.
$(BUILD)/obj/user/config/search.o $(BUILD)/obj/user/cli/cli.o: build/gen/prefix

build/gen/prefix: FORCE | build/gen
	@printf '%s\n' '$(PREFIX)' | cmp -s - $@ || printf '%s\n' '$(PREFIX)' >$@

$(BUILD)/memprobe-bpf: $(BUILD)/obj/$(MAIN:.c=.o) $(OBJS)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(MODE_FLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

# --- tests: unit tests and all they use are built with sanitizers ------------

$(SAN)/obj/%.o: %.c $(SKEL)
	$(call say,CC-SAN,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(SAN_FLAGS) -MMD -MP -c $< -o $@

$(SAN)/libmp.a: $(SAN_OBJS)
	$(Q)rm -f $@ && ar rcs $@ $^

$(SAN)/unit/%: $(SAN)/obj/tests/unit/%.o $(SAN)/libmp.a
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(SAN_FLAGS) $(UNIT_LDFLAGS) $^ $(LDLIBS) -lcmocka -o $@

# What the kernel answers is the test's script.
$(SAN)/unit/test_reclaim: UNIT_LDFLAGS := -Wl,--wrap=mp_cgroup_reclaim

unit: $(UNIT_BINS)
	$(Q)tests/run_unit.sh $(UNIT_BINS)

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
	$(Q)$(CC) $(TARGET_CFLAGS) -pthread $< -ldl -o $@

build/targets/lib%.so: tests/targets/lib/%.c
	$(call say,TARGET,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(TARGET_CFLAGS) -fPIC -shared $< -o $@

targets: $(TARGET_BINS) $(TARGET_LIBS)

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

build/bench/%: tests/bench/%.c
	$(call say,BENCH,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -O2 $< $(LIBBPF_STATIC) -lelf -lz -o $@

build/bench/%.bpf.o: tests/bench/%.bpf.c
	$(call say,BPF,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -c $< -o $@

benches: $(BENCH_BINS) build/bench/empty.bpf.o

bench: all targets benches
	$(Q)tests/bench/run.sh

test: unit fuzz integration

format:
	$(Q)clang-format -i $$(git ls-files '*.c' '*.h')

lint: $(SKEL) compile_commands.json
	$(Q)scripts/lint.sh

# The quotes in the flags must reach the file, so that tools see -DNAME='"text"'.
COMPILED := $(SRCS) $(MAIN) $(UNIT_SRCS) $(FUZZ_SRCS) $(TARGET_SRCS) $(BENCH_SRCS)

compile_commands.json: Makefile $(COMPILED)
	$(Q)scripts/compile_commands.sh '$(subst ','\'',$(CC) $(CPPFLAGS) $(CFLAGS))' $(COMPILED) >$@.tmp && mv $@.tmp $@

install: all
	install -D -m 755 $(BUILD)/memprobe-bpf $(DESTDIR)$(PREFIX)/bin/memprobe-bpf
	install -d $(DESTDIR)$(PREFIX)/share/memprobe-bpf
	cp -r configs/. $(DESTDIR)$(PREFIX)/share/memprobe-bpf/

clean:
	rm -rf build compile_commands.json

build/bpf build/gen:
	@mkdir -p $@

-include $(shell find build -name '*.d' 2>/dev/null)
