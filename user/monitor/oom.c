// SPDX-License-Identifier: GPL-2.0-only
#include "monitor/oom.h"

#include <string.h>

/* Fixed room: this is needed just when there is no memory. */
#define MAX_STORIES 16
#define MAX_CALLS 64

struct story {
	bool used;
	bool exited;
	uint64_t exited_ns;
	struct mp_event event;
	char comm[MP_COMM_LEN + 1];
	char by_comm[MP_COMM_LEN + 1];
	char *cgroup;
	struct mp_in_flight calls[MAX_CALLS];
};

struct mp_oom {
	const struct mp_cgroups *cgroups;
	mp_event_fn emit;
	void *data;
	struct story stories[MAX_STORIES];
};

struct mp_oom *mp_oom_new(const struct mp_cgroups *cgroups, mp_event_fn emit, void *data)
{
	struct mp_oom *oom = calloc(1, sizeof(*oom));

	if (!oom)
		return NULL;
	oom->cgroups = cgroups;
	oom->emit = emit;
	oom->data = data;
	return oom;
}

void mp_oom_free(struct mp_oom *oom)
{
	if (!oom)
		return;
	for (size_t i = 0; i < MAX_STORIES; i++)
		free(oom->stories[i].cgroup);
	free(oom);
}

static struct story *find_story(struct mp_oom *oom, uint32_t pid)
{
	for (size_t i = 0; i < MAX_STORIES; i++) {
		if (oom->stories[i].used && oom->stories[i].event.oom.pid == pid)
			return &oom->stories[i];
	}
	return NULL;
}

static void tell(struct mp_oom *oom, struct story *story)
{
	oom->emit(oom->data, &story->event);
	free(story->cgroup);
	story->cgroup = NULL;
	story->used = false;
}

/* A free place; when there is none, the oldest story is told as it stands. */
static struct story *new_story(struct mp_oom *oom)
{
	struct story *oldest = &oom->stories[0];

	for (size_t i = 0; i < MAX_STORIES; i++) {
		if (!oom->stories[i].used)
			return &oom->stories[i];
		if (oom->stories[i].event.ts_ns < oldest->event.ts_ns)
			oldest = &oom->stories[i];
	}
	tell(oom, oldest);
	return oldest;
}

static const char *keep_name(char out[MP_COMM_LEN + 1], const char *name)
{
	if (!name)
		return NULL;
	snprintf(out, MP_COMM_LEN + 1, "%s", name);
	return out;
}

static void begin(struct mp_oom *oom, const struct mp_event *event, uint64_t cgroup_id)
{
	struct story *story;
	struct mp_event_oom *e;

	/* The kernel tells of each thread that it lets use reserves: the first is the kill. */
	if (find_story(oom, event->oom.pid))
		return;
	story = new_story(oom);
	e = &story->event.oom;
	story->used = true;
	story->exited = false;
	story->event = *event;
	e->comm = keep_name(story->comm, event->oom.comm);
	e->by_comm = keep_name(story->by_comm, event->oom.by_comm);
	/* By id: a process that is dying has left its group for the root. */
	if (cgroup_id && mp_cgroup_by_id(oom->cgroups, cgroup_id, &story->cgroup) == 0)
		e->cgroup = story->cgroup;
	e->in_flight = story->calls;
	e->n_in_flight = 0;
	if (!e->is_target)
		tell(oom, story);
}

void mp_oom_add(struct mp_oom *oom, const struct mp_event *event, uint64_t cgroup_id)
{
	struct story *story;

	if (event->oom.n_in_flight == 0) {
		begin(oom, event, cgroup_id);
		return;
	}
	story = find_story(oom, event->oom.pid);
	if (story && story->event.oom.n_in_flight < MAX_CALLS)
		story->calls[story->event.oom.n_in_flight++] = event->oom.in_flight[0];
}

void mp_oom_exit(struct mp_oom *oom, uint32_t pid, uint64_t now_ns)
{
	struct story *story = find_story(oom, pid);

	if (!story || story->exited)
		return;
	story->exited = true;
	story->exited_ns = now_ns;
}

/* A record that was made after the clock was read is new, not very old. */
static uint64_t elapsed_ns(uint64_t since_ns, uint64_t now_ns)
{
	return now_ns > since_ns ? now_ns - since_ns : 0;
}

void mp_oom_flush(struct mp_oom *oom, uint64_t now_ns, uint64_t age_ns)
{
	for (size_t i = 0; i < MAX_STORIES; i++) {
		struct story *story = &oom->stories[i];

		if (!story->used)
			continue;
		if (elapsed_ns(story->event.ts_ns, now_ns) >= age_ns ||
		    (story->exited && elapsed_ns(story->exited_ns, now_ns) >= MP_OOM_SETTLE_NS))
			tell(oom, story);
	}
}
