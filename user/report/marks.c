// SPDX-License-Identifier: GPL-2.0-only
/* From an event to what the picture of a run shows of it. */
#include <errno.h>
#include <string.h>

#include "base/level.h"
#include "base/names.h"
#include "base/size.h"
#include "report/memory_report.h"

static const char *const kind_names[] = {
	[MP_MARK_CALL] = "call",	 [MP_MARK_PRESSURE] = "pressure",
	[MP_MARK_DECISION] = "decision", [MP_MARK_ACTION] = "action",
	[MP_MARK_OOM] = "oom",
};
_Static_assert(MP_ARRAY_SIZE(kind_names) == MP_MARK_KIND_COUNT, "a name for each kind");

const char *mp_mark_kind_name(enum mp_mark_kind kind)
{
	return mp_name_of(kind_names, MP_MARK_KIND_COUNT, (size_t)kind);
}

int mp_mark_kind_parse(const char *name)
{
	return mp_name_find(kind_names, MP_MARK_KIND_COUNT, name);
}

static void mark_probe(const struct mp_event_probe *e, struct mp_report_mark *m, const char **name,
		       char text[MP_MARK_TEXT])
{
	m->kind = MP_MARK_CALL;
	m->pid = e->pid;
	m->tid = e->tid;
	m->duration_ns = e->duration_ns;
	m->bytes = e->rss_delta;
	if (e->duration_ns != MP_UNKNOWN && e->duration_ns <= m->t_ns)
		m->t_ns -= e->duration_ns;
	*name = e->point;
	snprintf(text, MP_MARK_TEXT, "%s[%u]", e->comm ? e->comm : "?", e->pid);
}

static void mark_pressure(const struct mp_event_pressure *e, struct mp_report_mark *m,
			  const char **name, char text[MP_MARK_TEXT])
{
	m->kind = MP_MARK_PRESSURE;
	m->pid = e->pid;
	*name = mp_pressure_source_name(e->source);
	snprintf(text, MP_MARK_TEXT, "%s: %.1f %% used%s", e->cgroup ? e->cgroup : "the host",
		 e->usage_pct, e->repeated ? "" : ", a new incident");
}

/* The kernel tells of every kill of the host; one that is not watched may explain a pause. */
static void mark_oom(const struct mp_event_oom *e, struct mp_report_mark *m, const char **name,
		     char text[MP_MARK_TEXT])
{
	char rss[MP_HUMAN_LEN];

	m->kind = MP_MARK_OOM;
	m->pid = e->pid;
	m->severity = e->is_target ? MP_SEVERITY_CRITICAL : MP_SEVERITY_WARNING;
	*name = e->comm ? e->comm : "?";
	mp_size_format(e->rss, rss);
	if (!e->is_target)
		snprintf(text, MP_MARK_TEXT, "OOM-killed with %s in %s, which is not watched", rss,
			 e->cgroup ?: "another group");
	else if (e->n_in_flight)
		snprintf(text, MP_MARK_TEXT, "OOM-killed with %s while inside %s", rss,
			 e->in_flight[e->n_in_flight - 1].point);
	else
		snprintf(text, MP_MARK_TEXT, "OOM-killed with %s", rss);
}

static bool mark_action(const struct mp_event_action *e, struct mp_report_mark *m,
			const char **name, char text[MP_MARK_TEXT])
{
	/* To be logged is to be here. */
	if (!e->action || strcmp(e->action, "log") == 0)
		return false;
	m->kind = MP_MARK_ACTION;
	m->pid = e->pid;
	m->duration_ns = e->duration_ns;
	if (e->freed_bytes <= INT64_MAX)
		m->bytes = (int64_t)e->freed_bytes;
	*name = e->action;
	snprintf(text, MP_MARK_TEXT, "%s%s%s", mp_action_result_name(e->result),
		 e->detail ? ": " : "", e->detail ?: "");
	return true;
}

/* Returns whether the event is one that is shown. */
static bool fill(const struct mp_event *event, struct mp_report_mark *m, const char **name,
		 char text[MP_MARK_TEXT])
{
	switch (event->type) {
	case MP_EVENT_PROBE:
		if (event->probe.phase == MP_PHASE_ENTER)
			return false;
		mark_probe(&event->probe, m, name, text);
		return true;
	case MP_EVENT_PRESSURE:
		mark_pressure(&event->pressure, m, name, text);
		return true;
	case MP_EVENT_DECISION:
		m->kind = MP_MARK_DECISION;
		m->severity = event->decision.severity;
		m->pid = event->decision.pid;
		*name = mp_severity_name(event->decision.severity);
		snprintf(text, MP_MARK_TEXT, "%s", event->decision.reason ?: "");
		return true;
	case MP_EVENT_ACTION:
		return mark_action(&event->action, m, name, text);
	case MP_EVENT_OOM:
		mark_oom(&event->oom, m, name, text);
		return true;
	default:
		return false;
	}
}

int mp_report_mark_fill(const struct mp_event *event, uint64_t begin_ns, struct mp_report_mark *ret,
			const char **ret_name, char ret_text[MP_MARK_TEXT])
{
	struct mp_report_mark mark = {.duration_ns = MP_UNKNOWN, .bytes = MP_UNKNOWN_DELTA};
	const char *name = NULL;

	if (event->ts_ns < begin_ns)
		return 0;
	mark.t_ns = event->ts_ns - begin_ns;
	if (!fill(event, &mark, &name, ret_text))
		return 0;
	*ret_name = name ? name : "?";
	*ret = mark;
	return 1;
}

int mp_report_mark_of(const struct mp_event *event, uint64_t begin_ns, struct mp_report_mark *ret)
{
	struct mp_report_mark mark;
	char text[MP_MARK_TEXT];
	const char *name;

	if (!mp_report_mark_fill(event, begin_ns, &mark, &name, text))
		return 0;
	mark.name = strdup(name);
	mark.text = strdup(text);
	if (!mark.name || !mark.text) {
		mp_report_mark_free(&mark);
		return -ENOMEM;
	}
	*ret = mark;
	return 1;
}

void mp_report_mark_free(struct mp_report_mark *mark)
{
	free(mark->name);
	free(mark->text);
}

int mp_report_points_of(const struct mp_event_summary *summary, struct mp_report_point **ret,
			size_t *ret_n)
{
	size_t bytes = summary->n_points * sizeof(struct mp_report_point);
	struct mp_report_point *points;
	char *names;

	for (size_t i = 0; i < summary->n_points; i++)
		bytes += strlen(summary->points[i].point ?: "?") + 1;
	points = malloc(bytes + 1);
	if (!points)
		return -ENOMEM;
	names = (char *)(points + summary->n_points);
	for (size_t i = 0; i < summary->n_points; i++) {
		const struct mp_summary_point *p = &summary->points[i];

		points[i] = (struct mp_report_point){
			.name = names,
			.level = p->level,
			.hits = p->hits,
			.returns = p->returns,
			.duration_p50_ns = p->duration_p50_ns,
			.duration_p99_ns = p->duration_p99_ns,
			.duration_max_ns = p->duration_max_ns,
			.rss_total = p->rss_total,
			.rss_max = p->rss_max,
		};
		names = stpcpy(names, p->point ?: "?") + 1;
	}
	*ret = points;
	*ret_n = summary->n_points;
	return 0;
}
