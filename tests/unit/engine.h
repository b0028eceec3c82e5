/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What actions are tested on: processes are the system's; the domain, a cgroup of
 * version 2, is a folder of the test's (struct tree).
 */
#ifndef MP_TEST_ENGINE_H
#define MP_TEST_ENGINE_H

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "action/report.h"
#include "action/safety.h"
#include "action/work.h"
#include "cgroup/control.h"
#include "target/target.h"
#include "tree.h"

/* --- a domain of version 2 with processes of the test's in it ---------------------- */

#define MIB (1ULL << 20)
#define MAX_FAKE_TARGETS 8

struct engine {
	struct tree tree;
	struct mp_cgroups cg;
	struct mp_policy policy;
	struct mp_actions actions;
	struct mp_job job;
	pid_t targets[MAX_FAKE_TARGETS];
	size_t n_targets;
	pid_t gate_opened;
};

static inline bool engine_is_target(void *data, pid_t pid)
{
	struct engine *engine = data;

	for (size_t i = 0; i < engine->n_targets; i++) {
		if (engine->targets[i] == pid)
			return true;
	}
	return false;
}

static inline int engine_for_each(void *data, int (*fn)(void *fn_data, pid_t pid), void *fn_data)
{
	struct engine *engine = data;
	int ret = 0;

	for (size_t i = 0; i < engine->n_targets && !ret; i++)
		ret = fn(fn_data, engine->targets[i]);
	return ret;
}

static inline int engine_open_gate(void *data, pid_t pid, uint64_t until)
{
	struct engine *engine = data;

	(void)until;
	engine->gate_opened = pid;
	return 0;
}

/* Usage in MiB of a group with a limit of 100 MiB, all of it working set. */
static inline void engine_set_usage(const struct engine *engine, unsigned int mib)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu\n", (unsigned long long)(mib * MIB));
	tree_write(&engine->tree, "/sys/fs/cgroup/app/memory.current", text);
}

/* The process as the system has it, but in the group /app. */
static inline void engine_add(struct engine *engine, pid_t pid)
{
	static const char *const files[] = {"stat", "status",  "task",	    "smaps",	    "root",
					    "comm", "cmdline", "oom_score", "oom_score_adj"};
	char path[64];
	char real[64];

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(real, sizeof(real), "/proc/%d/%s", (int)pid, files[i]);
		tree_link(&engine->tree, real, real);
	}
	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	tree_write(&engine->tree, path, "0::/app\n");
	TREE_CHECK(engine->n_targets < MAX_FAKE_TARGETS);
	engine->targets[engine->n_targets++] = pid;
}

static inline void engine_init(struct engine *engine, unsigned int usage_mib)
{
	*engine = (struct engine){0};
	tree_make(&engine->tree);
	tree_link(&engine->tree, "/proc/meminfo", "/proc/meminfo");
	tree_write(&engine->tree, "/sys/fs/cgroup/app/memory.max", "104857600\n");
	tree_write(&engine->tree, "/sys/fs/cgroup/app/memory.stat", "inactive_file 0\n");
	engine_set_usage(engine, usage_mib);
	engine->cg = (struct mp_cgroups){
		.fs = {engine->tree.root},
		.mode = MP_CGROUP_V2,
		.memory_mount = "/sys/fs/cgroup",
		.memory_root = "/",
	};
	TREE_CHECK(mp_policy_default(&engine->policy) == 0);
	engine->policy.kill_grace_ns = 300000000;
	engine->actions.o.policy = &engine->policy;
	engine->actions.o.cgroups = &engine->cg;
	engine->actions.o.host = (struct mp_action_host){
		.data = engine,
		.is_target = engine_is_target,
		.for_each_target = engine_for_each,
		.open_gate = engine_open_gate,
	};
	engine->job = (struct mp_job){
		.result = MP_RESULT_FAILED,
		.severity = MP_SEVERITY_CRITICAL,
		.domain = "/app",
		.has_domain = true,
	};
}

static inline void engine_free(struct engine *engine)
{
	mp_policy_free(&engine->policy);
	tree_remove(&engine->tree);
}

#endif
