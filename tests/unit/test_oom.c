// SPDX-License-Identifier: GPL-2.0-only
/* What becomes of the parts of an OOM kill, in the order they come and in others. */
#include "monitor/oom.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "tree.h"

#define MAX_TOLD 64
#define MAX_STORIES 16
#define MAX_CALLS 64
#define MAX_NOTES 32
#define MAX_HISTORY 8

/* A story as it came out: what it points to is valid during the call only. */
struct told {
	struct mp_event event;
	char comm[64];
	char by_comm[64];
	char cgroup[256];
	struct mp_in_flight calls[MAX_CALLS];
	struct mp_history_entry history[MAX_HISTORY];
	char texts[MAX_HISTORY][256];
};

struct fixture {
	struct tree tree;
	struct mp_cgroups cgroups;
	struct mp_oom *oom;
	struct told told[MAX_TOLD];
	size_t n_told;
};

static void keep(char *out, size_t size, const char *s)
{
	snprintf(out, size, "%s", s ? s : "(null)");
}

static int on_story(void *data, const struct mp_event *event)
{
	struct fixture *f = data;
	struct told *told = &f->told[f->n_told];

	assert_true(f->n_told < MAX_TOLD);
	assert_int_equal(event->type, MP_EVENT_OOM);
	assert_true(event->oom.n_in_flight <= MAX_CALLS);
	told->event = *event;
	keep(told->comm, sizeof(told->comm), event->oom.comm);
	keep(told->by_comm, sizeof(told->by_comm), event->oom.by_comm);
	keep(told->cgroup, sizeof(told->cgroup), event->oom.cgroup);
	for (size_t i = 0; i < event->oom.n_in_flight; i++)
		told->calls[i] = event->oom.in_flight[i];
	assert_true(event->oom.n_history <= MAX_HISTORY);
	for (size_t i = 0; i < event->oom.n_history; i++) {
		told->history[i] = event->oom.history[i];
		keep(told->texts[i], sizeof(told->texts[i]), event->oom.history[i].text);
	}
	f->n_told++;
	return 0;
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	tree_make(&f->tree);
	tree_write(&f->tree, "/proc/self/mountinfo",
		   "1 2 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
	tree_write(&f->tree, "/sys/fs/cgroup/cgroup.controllers", "memory\n");
	tree_write(&f->tree, "/sys/fs/cgroup/app/memory.current", "0\n");
	tree_write(&f->tree, "/sys/fs/cgroup/app/job/memory.current", "0\n");
	mp_cgroups_detect(&(struct mp_fsroot){f->tree.root}, &f->cgroups);
	assert_int_equal(f->cgroups.mode, MP_CGROUP_V2);
	f->oom = mp_oom_new(&f->cgroups, on_story, f);
	assert_non_null(f->oom);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	mp_oom_free(f->oom);
	tree_remove(&f->tree);
	free(f);
	return 0;
}

static struct mp_event victim(uint32_t pid, uint64_t ts_ns, bool is_target)
{
	return (struct mp_event){
		.type = MP_EVENT_OOM,
		.ts_ns = ts_ns,
		.oom = {.pid = pid,
			.comm = "eater",
			.is_target = is_target,
			.oom_score_adj = 300,
			.rss = 2104,
			.rss_anon = 2000,
			.rss_file = 100,
			.rss_shmem = 4,
			.swap = 30,
			.by_pid = 9,
			.by_comm = "asker"},
	};
}

static void add_victim(struct fixture *f, uint32_t pid, uint64_t ts_ns)
{
	struct mp_event event = victim(pid, ts_ns, true);

	mp_oom_add(f->oom, &event, 0);
}

/* As decoded, in memory that is used again for the next record. */
static void add_call(struct fixture *f, uint32_t pid, uint32_t tid, const char *point)
{
	struct mp_in_flight call = {
		.point = point, .tid = tid, .duration_ns = tid * 10, .rss_delta = -(int64_t)tid};
	struct mp_event event = {.type = MP_EVENT_OOM,
				 .ts_ns = 1,
				 .oom = {.pid = pid,
					 .is_target = true,
					 .rss = MP_UNKNOWN,
					 .in_flight = &call,
					 .n_in_flight = 1}};

	mp_oom_add(f->oom, &event, 0);
	memset(&call, 0xa5, sizeof(call));
}

/* Its exit, and the time until nothing more can come. */
static void end_process(struct fixture *f, uint32_t pid)
{
	mp_oom_exit(f->oom, pid, 1);
	mp_oom_flush(f->oom, 1 + MP_OOM_SETTLE_NS, UINT64_MAX);
}

static void check_call(const struct told *told, size_t i, uint32_t tid, const char *point)
{
	assert_true(i < told->event.oom.n_in_flight);
	assert_string_equal(told->calls[i].point, point);
	assert_int_equal(told->calls[i].tid, tid);
	assert_int_equal(told->calls[i].duration_ns, tid * 10);
	assert_int_equal(told->calls[i].rss_delta, -(int64_t)tid);
}

static void a_target_is_told_at_its_exit(void **state)
{
	struct fixture *f = *state;
	const struct told *told = &f->told[0];
	const struct mp_event_oom *e = &told->event.oom;

	add_victim(f, 10, 77);
	add_call(f, 10, 12, "outer");
	add_call(f, 10, 12, "inner");
	add_call(f, 10, 10, "main");
	end_process(f, 11);
	assert_int_equal(f->n_told, 0);
	end_process(f, 10);
	assert_int_equal(f->n_told, 1);
	assert_int_equal(told->event.ts_ns, 77);
	assert_int_equal(e->pid, 10);
	assert_string_equal(told->comm, "eater");
	assert_string_equal(told->cgroup, "(null)");
	assert_true(e->is_target);
	assert_int_equal(e->oom_score_adj, 300);
	assert_int_equal(e->rss, 2104);
	assert_int_equal(e->rss_anon, 2000);
	assert_int_equal(e->rss_file, 100);
	assert_int_equal(e->rss_shmem, 4);
	assert_int_equal(e->swap, 30);
	assert_int_equal(e->by_pid, 9);
	assert_string_equal(told->by_comm, "asker");
	assert_int_equal(e->n_in_flight, 3);
	check_call(told, 0, 12, "outer");
	check_call(told, 1, 12, "inner");
	check_call(told, 2, 10, "main");
	end_process(f, 10);
	mp_oom_flush(f->oom, UINT64_MAX, 0);
	assert_int_equal(f->n_told, 1);
}

static void calls_may_come_shortly_after_the_exit(void **state)
{
	struct fixture *f = *state;

	add_victim(f, 10, 77);
	mp_oom_exit(f->oom, 10, 1000);
	mp_oom_flush(f->oom, 1000 + MP_OOM_SETTLE_NS - 1, UINT64_MAX);
	assert_int_equal(f->n_told, 0);
	add_call(f, 10, 12, "late");
	mp_oom_exit(f->oom, 10, 2000);
	mp_oom_flush(f->oom, 1000 + MP_OOM_SETTLE_NS, UINT64_MAX);
	assert_int_equal(f->n_told, 1);
	assert_int_equal(f->told[0].event.oom.n_in_flight, 1);
	check_call(&f->told[0], 0, 12, "late");
}

static void one_that_is_no_target_is_told_at_once(void **state)
{
	struct fixture *f = *state;
	struct mp_event event = victim(10, 77, false);

	mp_oom_add(f->oom, &event, 0);
	assert_int_equal(f->n_told, 1);
	assert_int_equal(f->told[0].event.oom.pid, 10);
	assert_false(f->told[0].event.oom.is_target);
	assert_string_equal(f->told[0].comm, "eater");
	add_call(f, 10, 10, "late");
	end_process(f, 10);
	mp_oom_flush(f->oom, UINT64_MAX, 0);
	assert_int_equal(f->n_told, 1);
	assert_int_equal(f->told[0].event.oom.n_in_flight, 0);
}

/* The record's names are gone when the story is told. */
static void names_are_kept(void **state)
{
	struct fixture *f = *state;
	char comm[] = "0123456789abcdef";
	char by_comm[] = "\033[31m\n\xff";
	struct mp_event event = victim(10, 77, true);

	event.oom.comm = comm;
	event.oom.by_comm = by_comm;
	mp_oom_add(f->oom, &event, 0);
	memset(comm, 'x', sizeof(comm) - 1);
	memset(by_comm, 'x', sizeof(by_comm) - 1);
	event = victim(11, 78, true);
	event.oom.comm = NULL;
	event.oom.by_comm = NULL;
	mp_oom_add(f->oom, &event, 0);
	end_process(f, 10);
	end_process(f, 11);
	assert_int_equal(f->n_told, 2);
	assert_string_equal(f->told[0].comm, "0123456789abcdef");
	assert_string_equal(f->told[0].by_comm, "\033[31m\n\xff");
	assert_null(f->told[1].event.oom.comm);
	assert_null(f->told[1].event.oom.by_comm);
}

static void calls_go_to_their_own_story(void **state)
{
	struct fixture *f = *state;

	add_victim(f, 10, 1);
	add_victim(f, 20, 2);
	add_call(f, 20, 21, "b1");
	add_call(f, 10, 11, "a1");
	add_call(f, 30, 31, "nobody's");
	add_call(f, 0, 0, "nobody's");
	add_call(f, 20, 22, "b2");
	end_process(f, 20);
	end_process(f, 10);
	assert_int_equal(f->n_told, 2);
	assert_int_equal(f->told[0].event.oom.n_in_flight, 2);
	check_call(&f->told[0], 0, 21, "b1");
	check_call(&f->told[0], 1, 22, "b2");
	assert_int_equal(f->told[1].event.oom.n_in_flight, 1);
	check_call(&f->told[1], 0, 11, "a1");
}

/* Each of its threads that asks for memory while it is killed is marked, too. */
static void a_victim_is_told_once(void **state)
{
	struct fixture *f = *state;
	struct mp_event again = victim(10, 99, true);

	add_victim(f, 10, 77);
	add_call(f, 10, 11, "first");
	again.oom.rss = 1;
	mp_oom_add(f->oom, &again, 0);
	add_call(f, 10, 12, "second");
	end_process(f, 10);
	mp_oom_flush(f->oom, UINT64_MAX, 0);
	assert_int_equal(f->n_told, 1);
	assert_int_equal(f->told[0].event.ts_ns, 77);
	assert_int_equal(f->told[0].event.oom.rss, 2104);
	assert_int_equal(f->told[0].event.oom.n_in_flight, 2);
	check_call(&f->told[0], 1, 12, "second");
	/* Met again before its memory was free: no target any more, and no other kill. */
	again.ts_ns = 4000000000;
	again.oom.is_target = false;
	mp_oom_add(f->oom, &again, 0);
	assert_int_equal(f->n_told, 1);
	/* The same number may come again. */
	add_victim(f, 10, 6000000000);
	end_process(f, 10);
	assert_int_equal(f->n_told, 2);
	assert_int_equal(f->told[1].event.ts_ns, 6000000000);
	assert_int_equal(f->told[1].event.oom.n_in_flight, 0);
}

static void the_oldest_makes_room(void **state)
{
	struct fixture *f = *state;

	for (uint32_t i = 0; i < MAX_STORIES; i++)
		add_victim(f, 100 + i, i == 5 ? 10 : 1000 + i);
	add_call(f, 105, 1, "so far");
	assert_int_equal(f->n_told, 0);
	add_victim(f, 200, 2000);
	assert_int_equal(f->n_told, 1);
	assert_int_equal(f->told[0].event.oom.pid, 105);
	assert_int_equal(f->told[0].event.oom.n_in_flight, 1);
	check_call(&f->told[0], 0, 1, "so far");
	add_call(f, 105, 1, "too late");
	add_victim(f, 201, 2001);
	assert_int_equal(f->n_told, 2);
	assert_int_equal(f->told[1].event.oom.pid, 100);
	end_process(f, 200);
	assert_int_equal(f->n_told, 3);
	assert_int_equal(f->told[2].event.oom.pid, 200);
	assert_int_equal(f->told[2].event.oom.n_in_flight, 0);
	mp_oom_flush(f->oom, 3000, 0);
	assert_int_equal(f->n_told, MAX_STORIES + 2);
}

static void more_calls_than_there_is_room_for(void **state)
{
	struct fixture *f = *state;

	add_victim(f, 10, 1);
	for (uint32_t i = 0; i < MAX_CALLS + 10; i++)
		add_call(f, 10, 100 + i, "deep");
	add_victim(f, 11, 2);
	add_call(f, 11, 7, "next");
	end_process(f, 10);
	end_process(f, 11);
	assert_int_equal(f->n_told, 2);
	assert_int_equal(f->told[0].event.oom.n_in_flight, MAX_CALLS);
	for (uint32_t i = 0; i < MAX_CALLS; i++)
		check_call(&f->told[0], i, 100 + i, "deep");
	assert_int_equal(f->told[1].event.oom.n_in_flight, 1);
	check_call(&f->told[1], 0, 7, "next");
}

static void add_call_of(struct fixture *f, uint32_t tid, const char *point, uint64_t duration_ns)
{
	struct mp_in_flight call = {.point = point, .tid = tid, .duration_ns = duration_ns};
	struct mp_event event = {.type = MP_EVENT_OOM,
				 .oom = {.pid = 10, .in_flight = &call, .n_in_flight = 1}};

	mp_oom_add(f->oom, &event, 0);
}

/* Calls of functions come first, then those of markers: each thread's are put in one order. */
static void outermost_call_first(void **state)
{
	static const struct {
		uint32_t tid;
		const char *point;
	} expected[] = {{1, "a"}, {1, "c"}, {1, "b"}, {1, "d"}, {2, "e"}, {2, "f"}};
	struct fixture *f = *state;

	add_victim(f, 10, 1);
	add_call_of(f, 1, "a", 400);
	add_call_of(f, 1, "b", 200);
	add_call_of(f, 1, "c", 300);
	add_call_of(f, 1, "d", 200);
	add_call_of(f, 2, "f", 8000);
	add_call_of(f, 2, "e", 9000);
	end_process(f, 10);
	assert_int_equal(f->told[0].event.oom.n_in_flight, MP_ARRAY_SIZE(expected));
	for (size_t i = 0; i < MP_ARRAY_SIZE(expected); i++) {
		assert_int_equal(f->told[0].calls[i].tid, expected[i].tid);
		assert_string_equal(f->told[0].calls[i].point, expected[i].point);
	}
}

static void flush_by_age(void **state)
{
	struct fixture *f = *state;

	add_victim(f, 10, 1000);
	add_victim(f, 11, 1500);
	add_call(f, 10, 10, "stuck");
	mp_oom_flush(f->oom, 1999, 1000);
	assert_int_equal(f->n_told, 0);
	mp_oom_flush(f->oom, 2000, 1000);
	assert_int_equal(f->n_told, 1);
	assert_int_equal(f->told[0].event.oom.pid, 10);
	assert_int_equal(f->told[0].event.oom.n_in_flight, 1);
	mp_oom_flush(f->oom, 2499, 1000);
	assert_int_equal(f->n_told, 1);
	mp_oom_flush(f->oom, 2500, 1000);
	assert_int_equal(f->n_told, 2);
	assert_int_equal(f->told[1].event.oom.pid, 11);
}

/* The clock was read before the record was made. */
static void flush_of_what_is_later_than_now(void **state)
{
	struct fixture *f = *state;

	add_victim(f, 10, 1001);
	add_victim(f, 11, UINT64_MAX);
	mp_oom_flush(f->oom, 1000, 1);
	mp_oom_flush(f->oom, 0, 2000);
	assert_int_equal(f->n_told, 0);
	mp_oom_flush(f->oom, 1002, 1);
	assert_int_equal(f->n_told, 1);
	assert_int_equal(f->told[0].event.oom.pid, 10);
	/* At the end all are told, however new. */
	mp_oom_flush(f->oom, 1002, 0);
	assert_int_equal(f->n_told, 2);
	assert_int_equal(f->told[1].event.oom.pid, 11);
	mp_oom_flush(f->oom, 1002, 0);
	assert_int_equal(f->n_told, 2);
}

static void check_group(struct fixture *f, uint64_t id, const char *expected)
{
	size_t n = f->n_told;
	uint32_t pid = 10 + (uint32_t)n;
	struct mp_event event = victim(pid, 77, true);

	mp_oom_add(f->oom, &event, id);
	end_process(f, pid);
	event.oom.pid++;
	event.oom.is_target = false;
	mp_oom_add(f->oom, &event, id);
	assert_int_equal(f->n_told, n + 2);
	assert_string_equal(f->told[n].cgroup, expected);
	assert_string_equal(f->told[n + 1].cgroup, expected);
}

static void cgroup_by_id(void **state)
{
	struct fixture *f = *state;
	struct mp_event event = victim(11, 78, true);
	uint64_t app, job;

	assert_int_equal(mp_cgroup_id(&f->cgroups, "/app", &app), 0);
	assert_int_equal(mp_cgroup_id(&f->cgroups, "/app/job", &job), 0);
	check_group(f, job, "/app/job");
	check_group(f, app, "/app");
	check_group(f, 0, "(null)");
	check_group(f, UINT64_MAX, "(null)");
	/* Left behind: freed with the rest. */
	mp_oom_add(f->oom, &event, job);
}

/* --- what came before ----------------------------------------------------------- */

static void note_decision(struct fixture *f, uint64_t ts_ns, uint32_t pid, const char *domain,
			  const char *reason)
{
	struct mp_event event = {.type = MP_EVENT_DECISION, .ts_ns = ts_ns};
	MP_FREE char *domain_copy = domain ? strdup(domain) : NULL;
	MP_FREE char *reason_copy = reason ? strdup(reason) : NULL;

	event.decision = (struct mp_event_decision){.severity = MP_SEVERITY_CRITICAL,
						    .pid = pid,
						    .cgroup = "/elsewhere",
						    .limit_cgroup = domain_copy,
						    .reason = reason_copy};
	mp_oom_note(f->oom, &event);
}

static void note_action(struct fixture *f, uint64_t ts_ns, const char *name, const char *detail,
			uint64_t freed_bytes)
{
	struct mp_event event = {.type = MP_EVENT_ACTION, .ts_ns = ts_ns};

	event.action = (struct mp_event_action){.action = name,
						.result = MP_RESULT_FAILED,
						.pid = 10,
						.cgroup = "/app",
						.freed_bytes = freed_bytes,
						.detail = detail};
	mp_oom_note(f->oom, &event);
}

/* A victim in a group by its path, which need not be on the machine. */
static const struct told *tell_victim(struct fixture *f, uint32_t pid, uint64_t ts_ns,
				      const char *cgroup)
{
	/* Late enough that it is not taken for the one before. */
	struct mp_event event = victim(pid, ts_ns + f->n_told * 10000000000, false);

	event.oom.cgroup = cgroup;
	mp_oom_add(f->oom, &event, 0);
	return &f->told[f->n_told - 1];
}

static void check_history(const struct told *told, const char *const *texts, size_t n)
{
	for (size_t i = 0; i < n && i < told->event.oom.n_history; i++)
		assert_string_equal(told->texts[i], texts[i]);
	assert_int_equal(told->event.oom.n_history, n);
}

#define CHECK_HISTORY(told, ...)                                                                   \
	check_history(told, (const char *const[]){__VA_ARGS__},                                    \
		      sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void history_tells_what_was_done(void **state)
{
	struct fixture *f = *state;
	const struct told *told;

	note_decision(f, 100, 10, "/app", "above critical 90 %");
	note_action(f, 200, "reclaim", "memory.reclaim: EAGAIN", 5 << 20);
	note_action(f, 300, "relieve", NULL, 12 << 20);
	note_action(f, 400, "freeze", NULL, MP_UNKNOWN);
	note_decision(f, 500, 10, "/app", NULL);
	told = tell_victim(f, 10, 1000, "/app");
	CHECK_HISTORY(told, "above critical 90 %", "reclaim: memory.reclaim: EAGAIN",
		      "relieve: freed 12.0 MiB", "freeze", "");
	assert_int_equal(told->history[0].ts_ns, 100);
	assert_false(told->history[0].is_action);
	assert_int_equal(told->history[0].severity, MP_SEVERITY_CRITICAL);
	assert_int_equal(told->history[1].ts_ns, 200);
	assert_true(told->history[1].is_action);
	assert_int_equal(told->history[1].result, MP_RESULT_FAILED);
	assert_false(told->history[4].is_action);
}

static void other_events_are_no_history(void **state)
{
	struct fixture *f = *state;
	struct mp_event probe = {.type = MP_EVENT_PROBE, .ts_ns = 1, .probe = {.pid = 10}};

	note_action(f, 1, "log", NULL, MP_UNKNOWN);
	mp_oom_note(f->oom, &probe);
	assert_int_equal(tell_victim(f, 10, 1000, "/app")->event.oom.n_history, 0);
	note_action(f, 1, "logger", NULL, MP_UNKNOWN);
	CHECK_HISTORY(tell_victim(f, 10, 1000, "/app"), "logger");
}

static void history_is_about_the_victim(void **state)
{
	struct fixture *f = *state;

	note_decision(f, 1, 10, "/other", "itself, in another group");
	note_decision(f, 2, 0, "/app", "its group");
	note_decision(f, 3, 0, "/app/job", "below");
	note_decision(f, 4, 0, "/ap", "a name with the same start");
	note_decision(f, 5, 11, "/app", "another one in its group");
	note_decision(f, 6, 0, NULL, "the host");
	note_decision(f, 7, 11, NULL, "another one of the host");
	note_decision(f, 8, 0, "/", "the root");
	CHECK_HISTORY(tell_victim(f, 10, 1000, "/app"), "itself, in another group", "its group",
		      "another one in its group", "the host", "the root");
	CHECK_HISTORY(tell_victim(f, 12, 1000, "/app/job"), "its group", "below",
		      "another one in its group", "the host", "the root");
	CHECK_HISTORY(tell_victim(f, 12, 1000, "/application"), "the host", "the root");
	/* Its group is not known. */
	CHECK_HISTORY(tell_victim(f, 11, 1000, NULL), "another one in its group", "the host",
		      "another one of the host");
	CHECK_HISTORY(tell_victim(f, 12, 1000, NULL), "the host");
}

static void only_the_last_notes_are_kept(void **state)
{
	struct fixture *f = *state;
	char text[32];

	note_decision(f, 1, 10, "/app", "pushed out");
	for (unsigned int i = 0; i < MAX_NOTES; i++) {
		snprintf(text, sizeof(text), "note %u", i);
		note_decision(f, 2 + i, i < 12 ? 10 : 77, "/elsewhere", text);
	}
	CHECK_HISTORY(tell_victim(f, 10, 1000, "/app"), "note 4", "note 5", "note 6", "note 7",
		      "note 8", "note 9", "note 10", "note 11");
	for (unsigned int i = 0; i < MAX_NOTES - 3; i++)
		note_decision(f, 100, 77, "/elsewhere", "noise");
	assert_int_equal(tell_victim(f, 10, 1000, "/app")->event.oom.n_history, 0);
}

/* A record from before the kill can be read after that of the kill; what is later is no cause. */
static void late_notes_find_their_place(void **state)
{
	struct fixture *f = *state;
	char text[32];

	note_decision(f, 50, 10, "/app", "second");
	note_decision(f, 101, 10, "/app", "later than the kill");
	add_victim(f, 10, 100);
	note_decision(f, 40, 10, "/app", "first");
	note_decision(f, 102, 10, "/app", "after it");
	note_decision(f, 100, 10, "/app", "at that moment");
	note_decision(f, 60, 77, "/elsewhere", "of another");
	end_process(f, 10);
	CHECK_HISTORY(&f->told[0], "first", "second", "at that moment");
	add_victim(f, 20, 200);
	for (unsigned int i = 0; i < 9; i++) {
		snprintf(text, sizeof(text), "%u", i);
		note_decision(f, 180 - i, 20, "/app", text);
	}
	note_decision(f, 190, 20, "/app", "newest");
	end_process(f, 20);
	CHECK_HISTORY(&f->told[1], "6", "5", "4", "3", "2", "1", "0", "newest");
	/* The next story in the same place starts empty. */
	add_victim(f, 30, 300);
	end_process(f, 30);
	assert_int_equal(f->told[2].event.oom.n_history, 0);
}

static void long_and_hostile_notes(void **state)
{
	struct fixture *f = *state;
	const struct told *told;
	char name[5000];

	memset(name, 'x', sizeof(name));
	name[0] = '/';
	name[sizeof(name) - 1] = '\0';
	note_decision(f, 1, 0, name, "of a path without room for it");
	note_decision(f, 2, 10, name, name);
	note_action(f, 3, name, name, 0);
	note_decision(f, 4, 10, "", "\033[31m\n\xff");
	told = tell_victim(f, 10, 1000, name);
	assert_int_equal(told->event.oom.n_history, 3);
	assert_int_equal(strlen(told->texts[0]), 191);
	assert_memory_equal(told->texts[0], name, 191);
	assert_memory_equal(told->texts[1], name, 191);
	assert_string_equal(told->texts[2], "\033[31m\n\xff");
	name[100] = '\0';
	assert_int_equal(tell_victim(f, 77, 1000, name)->event.oom.n_history, 0);
}

/* --- the group's events ----------------------------------------------------------- */

static int read_events(const struct mp_cgroups *cgroups, const char *path,
		       struct mp_cgroup_events *ret)
{
	(void)cgroups;
	if (strcmp(path, "/gone") == 0)
		return -ENOENT;
	*ret = (struct mp_cgroup_events){MP_UNKNOWN, strlen(path), 340, 1, 2};
	return 0;
}

static void check_events(const struct told *told, uint64_t high, uint64_t max)
{
	const struct mp_cgroup_events *e = &told->event.oom.events;

	assert_true(e->low == MP_UNKNOWN);
	assert_true(e->high == high);
	assert_true(e->max == max);
	assert_true(e->oom == (max == 340 ? 1 : MP_UNKNOWN));
	assert_true(e->oom_kill == (max == 340 ? 2 : MP_UNKNOWN));
}

static void events_of_the_group(void **state)
{
	struct fixture *f = *state;
	uint64_t job;

	check_events(tell_victim(f, 10, 1000, "/app"), MP_UNKNOWN, MP_UNKNOWN);
	mp_oom_read_events_by(f->oom, read_events);
	check_events(tell_victim(f, 10, 1000, "/app"), 4, 340);
	check_events(tell_victim(f, 10, 1000, "/gone"), MP_UNKNOWN, MP_UNKNOWN);
	check_events(tell_victim(f, 10, 1000, NULL), MP_UNKNOWN, MP_UNKNOWN);
	assert_int_equal(mp_cgroup_id(&f->cgroups, "/app/job", &job), 0);
	check_group(f, job, "/app/job");
	check_events(&f->told[f->n_told - 2], 8, 340);
	check_events(&f->told[f->n_told - 1], 8, 340);
}

static void no_memory_controller(void **state)
{
	struct fixture *f = *state;

	f->cgroups.mode = MP_CGROUP_NONE;
	check_group(f, 1, "(null)");
	mp_oom_free(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_target_is_told_at_its_exit),
		TEST(calls_may_come_shortly_after_the_exit),
		TEST(one_that_is_no_target_is_told_at_once),
		TEST(names_are_kept),
		TEST(calls_go_to_their_own_story),
		TEST(a_victim_is_told_once),
		TEST(the_oldest_makes_room),
		TEST(more_calls_than_there_is_room_for),
		TEST(outermost_call_first),
		TEST(flush_by_age),
		TEST(flush_of_what_is_later_than_now),
		TEST(cgroup_by_id),
		TEST(history_tells_what_was_done),
		TEST(other_events_are_no_history),
		TEST(history_is_about_the_victim),
		TEST(only_the_last_notes_are_kept),
		TEST(late_notes_find_their_place),
		TEST(long_and_hostile_notes),
		TEST(events_of_the_group),
		TEST(no_memory_controller),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
