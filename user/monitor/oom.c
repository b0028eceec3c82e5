// SPDX-License-Identifier: GPL-2.0-only
#include "monitor/oom.h"

#include <string.h>

#include "base/size.h"

/* Fixed room: this is needed just when there is no memory. */
#define MAX_STORIES 16
#define MAX_CALLS 64
#define MAX_NOTES 32
#define MAX_TOLD 32
#define SAME_KILL_NS                                                                               \
	5000000000ULL /* a pid that is chosen again sooner is still the same process               \
		       */
#define MAX_HISTORY 8
#define DOMAIN_LEN 512 /* names of pods and containers one in the other come near it */
#define TEXT_LEN 192   /* a decision's reason fits */

/* A decision or an action, without what it was about. */
struct entry {
	uint64_t ts_ns;
	bool is_action;
	enum mp_severity severity;
	enum mp_action_result result;
	char text[TEXT_LEN];
};

struct note {
	struct entry entry;
	uint32_t pid;		 /* 0: the domain as a whole */
	bool is_host;		 /* the domain is */
	char domain[DOMAIN_LEN]; /* "": the host, or a path without room for it */
};

struct story {
	bool used;
	bool exited;
	uint64_t exited_ns;
	struct mp_event event;
	char comm[MP_COMM_LEN + 1];
	char by_comm[MP_COMM_LEN + 1];
	char *cgroup;
	struct mp_in_flight calls[MAX_CALLS];
	struct entry history[MAX_HISTORY]; /* by time */
	size_t n_history;
};

/* A victim whose story is out. */
struct told {
	uint32_t pid;
	uint64_t ts_ns; /* when it was chosen */
};

struct mp_oom {
	const struct mp_cgroups *cgroups;
	mp_event_fn emit;
	void *data;
	mp_oom_events_fn read_events;
	struct story stories[MAX_STORIES];
	struct note notes[MAX_NOTES]; /* a ring */
	size_t n_notes;		      /* so far */
	struct told told[MAX_TOLD];   /* a ring */
	size_t n_told;
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

void mp_oom_read_events_by(struct mp_oom *oom, mp_oom_events_fn read_events)
{
	oom->read_events = read_events;
}

static struct story *find_story(struct mp_oom *oom, uint32_t pid)
{
	for (size_t i = 0; i < MAX_STORIES; i++) {
		if (oom->stories[i].used && oom->stories[i].event.oom.pid == pid)
			return &oom->stories[i];
	}
	return NULL;
}

/* --- what came before --------------------------------------------------------- */

static void note_domain(struct note *note, const char *domain)
{
	size_t len = domain ? strlen(domain) : 0;

	note->is_host = !domain;
	note->domain[0] = '\0';
	if (domain && len < sizeof(note->domain))
		memcpy(note->domain, domain, len + 1);
}

static void note_decision(struct note *note, const struct mp_event_decision *e)
{
	note->entry.severity = e->severity;
	note->pid = e->pid;
	note_domain(note, e->limit_cgroup);
	snprintf(note->entry.text, sizeof(note->entry.text), "%s", e->reason ? e->reason : "");
}

/* "reclaim: EAGAIN after 3 steps", "reclaim: freed 12.0 MiB", "freeze" */
static void note_action(struct note *note, const struct mp_event_action *e)
{
	char freed[MP_HUMAN_LEN + sizeof("freed ")] = "";
	const char *detail = e->detail ? e->detail : freed;
	char size[MP_HUMAN_LEN];

	note->entry.is_action = true;
	note->entry.result = e->result;
	note->pid = e->pid;
	note_domain(note, e->cgroup);
	if (e->freed_bytes != MP_UNKNOWN)
		snprintf(freed, sizeof(freed), "freed %s", mp_size_format(e->freed_bytes, size));
	snprintf(note->entry.text, sizeof(note->entry.text), "%s%s%s", e->action,
		 *detail ? ": " : "", detail);
}

static bool is_below(const char *group, const char *path)
{
	size_t len = strcmp(group, "/") == 0 ? 0 : strlen(group);

	return strncmp(group, path, len) == 0 && (path[len] == '/' || !path[len]);
}

static bool concerns(const struct note *note, const struct mp_event *victim)
{
	const struct mp_event_oom *e = &victim->oom;

	if (note->entry.ts_ns > victim->ts_ns)
		return false;
	if (note->pid == e->pid)
		return true;
	if (note->is_host)
		return !note->pid;
	return note->domain[0] && e->cgroup && is_below(note->domain, e->cgroup);
}

/* Decisions come in the order of their records' rings, which is nearly that of time. */
static void remember(struct story *story, const struct entry *entry)
{
	struct entry *history = story->history;
	size_t at;

	if (story->n_history == MAX_HISTORY) {
		if (entry->ts_ns < history[0].ts_ns)
			return;
		memmove(history, history + 1, (MAX_HISTORY - 1) * sizeof(*history));
		story->n_history--;
	}
	for (at = story->n_history; at > 0 && history[at - 1].ts_ns > entry->ts_ns; at--)
		history[at] = history[at - 1];
	history[at] = *entry;
	story->n_history++;
}

static void remember_notes(const struct mp_oom *oom, struct story *story)
{
	size_t first = oom->n_notes > MAX_NOTES ? oom->n_notes - MAX_NOTES : 0;

	story->n_history = 0;
	for (size_t i = first; i < oom->n_notes; i++) {
		const struct note *note = &oom->notes[i % MAX_NOTES];

		if (concerns(note, &story->event))
			remember(story, &note->entry);
	}
}

/* The decision's entry says as much. */
static bool is_log(const struct mp_event_action *e)
{
	return strcmp(e->action, "log") == 0;
}

/* Also for the stories begun: a record from before the kill may be handled after it. */
void mp_oom_note(struct mp_oom *oom, const struct mp_event *event)
{
	struct note *note = &oom->notes[oom->n_notes % MAX_NOTES];

	if (event->type != MP_EVENT_DECISION && event->type != MP_EVENT_ACTION)
		return;
	if (event->type == MP_EVENT_ACTION && is_log(&event->action))
		return;
	note->entry = (struct entry){.ts_ns = event->ts_ns};
	if (event->type == MP_EVENT_DECISION)
		note_decision(note, &event->decision);
	else
		note_action(note, &event->action);
	oom->n_notes++;
	for (size_t i = 0; i < MAX_STORIES; i++) {
		struct story *story = &oom->stories[i];

		if (story->used && concerns(note, &story->event))
			remember(story, &note->entry);
	}
}

/* --- the story ------------------------------------------------------------------ */

static const struct mp_cgroup_events no_events = {
	.low = MP_UNKNOWN,
	.high = MP_UNKNOWN,
	.max = MP_UNKNOWN,
	.oom = MP_UNKNOWN,
	.oom_kill = MP_UNKNOWN,
};

static struct mp_cgroup_events events_of(const struct mp_oom *oom, const char *cgroup)
{
	struct mp_cgroup_events events;

	if (!oom->read_events || !cgroup || oom->read_events(oom->cgroups, cgroup, &events) < 0)
		return no_events;
	return events;
}

static void tell(struct mp_oom *oom, struct story *story)
{
	struct mp_history_entry history[MAX_HISTORY];
	struct mp_event_oom *e = &story->event.oom;

	for (size_t i = 0; i < story->n_history; i++) {
		const struct entry *entry = &story->history[i];

		history[i] = (struct mp_history_entry){
			.ts_ns = entry->ts_ns,
			.is_action = entry->is_action,
			.severity = entry->severity,
			.result = entry->result,
			.text = entry->text,
		};
	}
	e->history = history;
	e->n_history = story->n_history;
	e->events = events_of(oom, e->cgroup);
	oom->emit(oom->data, &story->event);
	oom->told[oom->n_told++ % MAX_TOLD] = (struct told){e->pid, story->event.ts_ns};
	e->history = NULL;
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

/* A record that was made after the clock was read is new, not very old. */
static uint64_t elapsed_ns(uint64_t since_ns, uint64_t now_ns)
{
	return now_ns > since_ns ? now_ns - since_ns : 0;
}

/*
 * The kernel tells of each thread that it lets use reserves, and again of a victim
 * that it meets before its memory is free: the first is the kill.
 */
static bool is_known(struct mp_oom *oom, const struct mp_event *event)
{
	uint32_t pid = event->oom.pid;

	for (size_t i = 0; i < MAX_TOLD && i < oom->n_told; i++) {
		if (oom->told[i].pid == pid &&
		    elapsed_ns(oom->told[i].ts_ns, event->ts_ns) < SAME_KILL_NS)
			return true;
	}
	return find_story(oom, pid);
}

/* By id: a process that is dying has left its group for the root. */
static char *find_group(const struct mp_oom *oom, const char *known, uint64_t id)
{
	char *path = NULL;

	if (known)
		return strdup(known);
	if (id)
		mp_cgroup_by_id(oom->cgroups, id, &path);
	return path;
}

static void begin(struct mp_oom *oom, const struct mp_event *event, uint64_t cgroup_id)
{
	struct story *story;
	struct mp_event_oom *e;

	if (is_known(oom, event))
		return;
	story = new_story(oom);
	e = &story->event.oom;
	story->used = true;
	story->exited = false;
	story->event = *event;
	e->comm = keep_name(story->comm, event->oom.comm);
	e->by_comm = keep_name(story->by_comm, event->oom.by_comm);
	story->cgroup = find_group(oom, event->oom.cgroup, cgroup_id);
	e->cgroup = story->cgroup;
	e->in_flight = story->calls;
	e->n_in_flight = 0;
	remember_notes(oom, story);
	if (!e->is_target)
		tell(oom, story);
}

/* Those of a thread come one after the other, but by what they were seen by: put in order here. */
static void add_call(struct story *story, const struct mp_in_flight *call)
{
	size_t at = story->event.oom.n_in_flight;
	struct mp_in_flight *calls = story->calls;

	if (at == MAX_CALLS)
		return;
	for (; at > 0 && calls[at - 1].tid == call->tid; at--) {
		if (calls[at - 1].duration_ns >= call->duration_ns)
			break;
		calls[at] = calls[at - 1];
	}
	calls[at] = *call;
	story->event.oom.n_in_flight++;
}

void mp_oom_add(struct mp_oom *oom, const struct mp_event *event, uint64_t cgroup_id)
{
	struct story *story;

	if (event->oom.n_in_flight == 0) {
		begin(oom, event, cgroup_id);
		return;
	}
	story = find_story(oom, event->oom.pid);
	if (story)
		add_call(story, &event->oom.in_flight[0]);
}

void mp_oom_exit(struct mp_oom *oom, uint32_t pid, uint64_t now_ns)
{
	struct story *story = find_story(oom, pid);

	if (!story || story->exited)
		return;
	story->exited = true;
	story->exited_ns = now_ns;
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
