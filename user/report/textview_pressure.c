// SPDX-License-Identifier: GPL-2.0-only
/* Pressure, what was decided and done about it, and the story of an OOM kill. */
#include <inttypes.h>
#include <string.h>

#include "base/level.h"
#include "base/size.h"
#include "report/textview_priv.h"

#define HISTORY_SHOWN 3 /* without -v */

/* A sentence made of parts, of which any may be missing. */
struct parts {
	struct mp_text *text;
	const char *separator;
};

/* Where the next part goes. */
static struct mp_text *next_part(struct parts *parts)
{
	mp_text_puts(parts->text, parts->separator);
	parts->separator = ", ";
	return parts->text;
}

static const char *domain_name(const char *cgroup)
{
	return cgroup ? cgroup : "host";
}

static void add_stall(struct parts *parts, double some_pct, double full_pct)
{
	if (!(some_pct >= 0.5))
		return;
	mp_text_printf(next_part(parts), "stall %.0f %%", some_pct);
	if (full_pct >= 0.5)
		mp_text_printf(parts->text, " (full %.0f %%)", full_pct);
}

/* "31 reclaims of 3072 pages, 40.2 ms stalled" */
static void add_reclaim(struct parts *parts, const struct mp_event_pressure *e)
{
	char human[MP_HUMAN_LEN];

	if (e->reclaims != MP_UNKNOWN && e->reclaims) {
		mp_text_printf(next_part(parts), "%" PRIu64 " %s", e->reclaims,
			       e->reclaims == 1 ? "reclaim" : "reclaims");
		if (e->reclaimed_pages != MP_UNKNOWN)
			mp_text_printf(parts->text, " of %s pages",
				       mp_count_format(e->reclaimed_pages, human));
	}
	if (e->stall_ns != MP_UNKNOWN && e->stall_ns)
		mp_text_printf(next_part(parts), "%s stalled",
			       mp_duration_format(e->stall_ns, human));
}

static void add_count(struct parts *parts, const char *name, uint64_t n)
{
	if (n != MP_UNKNOWN && n)
		mp_text_printf(next_part(parts), "%s %" PRIu64, name, n);
}

static void add_events(struct parts *parts, const struct mp_cgroup_events *e)
{
	add_count(parts, "low", e->low);
	add_count(parts, "high", e->high);
	add_count(parts, "max", e->max);
	add_count(parts, "oom", e->oom);
	add_count(parts, "oom_kill", e->oom_kill);
}

static void add_fill(struct parts *parts, const struct mp_event_pressure *e)
{
	char size[MP_HUMAN_LEN];

	if (e->usage_pct >= 0 && e->limit != MP_UNKNOWN)
		mp_text_printf(next_part(parts), "%.1f %% of %s", e->usage_pct,
			       mp_size_format(e->limit, size));
	else if (e->working_set != MP_UNKNOWN)
		mp_text_puts(next_part(parts), mp_size_format(e->working_set, size));
}

/* Records of one incident follow each other fast: the first says that there is one. */
void mp_view_pressure(struct mp_textview *view, struct mp_text *out, const struct mp_event *event)
{
	const struct mp_event_pressure *e = &event->pressure;
	struct mp_cgroup_events events = {e->low, e->high, e->max, e->oom, e->oom_kill};
	MP_TEXT struct mp_text t = {0};
	struct parts parts = {&t, "  "};

	if (e->repeated && !view->verbose)
		return;
	mp_text_printf(&t, "PRESSURE %s  ", mp_pressure_source_name(e->source));
	mp_view_name(&t, domain_name(e->cgroup));
	add_fill(&parts, e);
	add_stall(&parts, e->some_pct, e->full_pct);
	add_reclaim(&parts, e);
	add_events(&parts, &events);
	if (e->v1_level) {
		mp_text_puts(next_part(&parts), "level ");
		mp_view_name(&t, e->v1_level);
	}
	if (e->pid) {
		mp_text_puts(next_part(&parts), "by ");
		mp_view_subject(&t, e->comm, e->pid, NULL);
	}
	mp_view_timed(view, out, event, &t, e->repeated ? MP_COLOR_DIM : MP_COLOR_YELLOW);
}

void mp_view_gate(const struct mp_textview *view, struct mp_text *out,
		  const struct mp_event_probe *e)
{
	MP_TEXT struct mp_text t = {0};
	char human[MP_HUMAN_LEN];

	if (e->gate == MP_GATE_NONE)
		return;
	mp_text_puts(&t, "gate: the call ");
	if (e->size != MP_UNKNOWN)
		mp_text_printf(&t, "for %s ", mp_size_format(e->size, human));
	mp_text_puts(&t, e->gate == MP_GATE_HELD ? "is held before it begins"
						 : "would be held with --enforce");
	if (e->gate_deadline_ns != MP_UNKNOWN)
		mp_text_printf(&t, ", for %s at most",
			       mp_duration_format(e->gate_deadline_ns, human));
	mp_view_sentence(view, out, MP_VIEW_INDENT, &t,
			 e->gate == MP_GATE_HELD ? MP_COLOR_ALARM : MP_COLOR_YELLOW);
}

static void add_evidence(struct parts *parts, const struct mp_event_decision *e)
{
	char size[MP_HUMAN_LEN];

	if (e->working_set != MP_UNKNOWN) {
		mp_text_puts(next_part(parts), mp_size_format(e->working_set, size));
		if (e->limit != MP_UNKNOWN)
			mp_text_printf(parts->text, " of %s", mp_size_format(e->limit, size));
		if (e->usage_pct >= 0)
			mp_text_printf(parts->text, " (%.0f %%)", e->usage_pct);
	}
	add_stall(parts, e->some_pct, e->full_pct);
}

void mp_view_decision(struct mp_textview *view, struct mp_text *out, const struct mp_event *event)
{
	const struct mp_event_decision *e = &event->decision;
	MP_TEXT struct mp_text t = {0};
	struct parts parts = {&t, "  "};

	mp_text_printf(&t, "%s%s  ", e->severity == MP_SEVERITY_NORMAL ? "" : "! ",
		       mp_severity_name(e->severity));
	if (e->point || e->pid)
		mp_view_subject(&t, e->point, e->pid, view->verbose ? e->cgroup : NULL);
	else
		mp_view_name(&t, domain_name(e->limit_cgroup));
	add_evidence(&parts, e);
	if (e->reason) {
		mp_text_puts(&t, ": ");
		mp_view_words(&t, e->reason);
	}
	mp_view_timed(view, out, event, &t, mp_severity_color(e->severity));
}

/* "freed 120 MiB in 1.20 s, usage 466 MiB → 346 MiB, stall 23 → 4 %" */
static void add_outcome(struct mp_text *t, const struct mp_event_action *e)
{
	struct parts parts = {t, "  "};
	char human[MP_HUMAN_LEN];

	if (e->freed_bytes != MP_UNKNOWN)
		mp_text_printf(next_part(&parts), "freed %s",
			       mp_size_format(e->freed_bytes, human));
	if (e->duration_ns != MP_UNKNOWN) {
		parts.separator = e->freed_bytes == MP_UNKNOWN ? "  " : " ";
		mp_text_printf(next_part(&parts), "in %s",
			       mp_duration_format(e->duration_ns, human));
	}
	if (e->usage_before != MP_UNKNOWN && e->usage_after != MP_UNKNOWN) {
		mp_text_printf(next_part(&parts), "usage %s",
			       mp_size_format(e->usage_before, human));
		mp_text_printf(t, " \u2192 %s", mp_size_format(e->usage_after, human));
	}
	if (e->some_before_pct >= 0 && e->some_after_pct >= 0)
		mp_text_printf(next_part(&parts), "stall %.0f \u2192 %.0f %%", e->some_before_pct,
			       e->some_after_pct);
	if (e->detail) {
		mp_text_puts(t, ": ");
		mp_view_words(t, e->detail);
	}
}

bool mp_is_plain_log(const struct mp_event_action *e)
{
	return e->result == MP_RESULT_DONE && e->action && strcmp(e->action, "log") == 0;
}

void mp_view_action(struct mp_textview *view, struct mp_text *out, const struct mp_event *event)
{
	static const enum mp_color colors[MP_RESULT_COUNT] = {
		[MP_RESULT_WOULD] = MP_COLOR_YELLOW,
		[MP_RESULT_FAILED] = MP_COLOR_RED,
		[MP_RESULT_SKIPPED] = MP_COLOR_DIM,
	};
	const struct mp_event_action *e = &event->action;
	MP_TEXT struct mp_text t = {0};

	if (mp_is_plain_log(e) && !view->verbose)
		return;
	mp_text_puts(&t, "> ");
	mp_view_name(&t, e->action);
	mp_text_printf(&t, " %s  ", mp_action_result_name(e->result));
	mp_view_subject(&t, e->point, e->pid, view->verbose || !e->pid ? e->cgroup : NULL);
	add_outcome(&t, e);
	mp_view_timed(view, out, event, &t, colors[e->result]);
	mp_view_frames(view, out, e->stack, e->n_stack);
}

/* --- the story of an OOM kill ----------------------------------------------------- */

/* "inside load_model for 3.20 s, RSS +2.10 GiB since its entry" */
static void add_in_flight(struct mp_text *t, const struct mp_event_oom *e,
			  const struct mp_in_flight *call)
{
	char text[MP_HUMAN_LEN];

	mp_text_puts(t, "inside ");
	mp_view_name(t, call->point);
	if (call->duration_ns != MP_UNKNOWN)
		mp_text_printf(t, " for %s", mp_duration_format(call->duration_ns, text));
	if (call->rss_delta != MP_UNKNOWN_DELTA)
		mp_text_printf(t, ", RSS %s since its entry",
			       mp_size_format_delta(call->rss_delta, text));
	if (call->tid != e->pid)
		mp_text_printf(t, " (thread %u)", call->tid);
}

static void view_other_calls(const struct mp_textview *view, struct mp_text *out,
			     const struct mp_event_oom *e)
{
	for (size_t i = 1; i < e->n_in_flight; i++) {
		MP_TEXT struct mp_text t = {0};

		mp_text_puts(&t, "and ");
		add_in_flight(&t, e, &e->in_flight[i]);
		mp_view_sentence(view, out, MP_VIEW_INDENT, &t, MP_COLOR_RED);
	}
}

static void add_held(struct mp_text *t, const struct mp_event_oom *e)
{
	char size[MP_HUMAN_LEN];

	mp_text_printf(t, "it held %s", mp_size_format(e->rss, size));
	if (e->rss_anon != MP_UNKNOWN)
		mp_text_printf(t, " (%s anon)", mp_size_format(e->rss_anon, size));
	if (e->swap != MP_UNKNOWN && e->swap)
		mp_text_printf(t, " and %s in swap", mp_size_format(e->swap, size));
}

static void view_circumstances(const struct mp_textview *view, struct mp_text *out,
			       const struct mp_event_oom *e)
{
	MP_TEXT struct mp_text t = {0};
	struct parts events = {.text = &t};

	if (e->rss != MP_UNKNOWN)
		add_held(&t, e);
	if (e->by_pid && e->by_pid != e->pid) {
		mp_text_puts(&t, t.len ? "; the memory was for " : "the memory was for ");
		mp_view_subject(&t, e->by_comm, e->by_pid, NULL);
	}
	events.separator = t.len ? "; cgroup events: " : "cgroup events: ";
	add_events(&events, &e->events);
	if (t.len)
		mp_view_sentence(view, out, MP_VIEW_INDENT, &t, MP_COLOR_NONE);
}

static void add_history(const struct mp_textview *view, struct mp_text *t,
			const struct mp_history_entry *e)
{
	char time[MP_HUMAN_LEN];

	if (e->ts_ns != MP_UNKNOWN)
		mp_text_printf(t, "%s ", mp_view_since(view, e->ts_ns, time));
	mp_text_puts(t, e->is_action ? mp_action_result_name(e->result)
				     : mp_severity_name(e->severity));
	if (!e->text)
		return;
	mp_text_puts(t, " \"");
	mp_view_words(t, e->text);
	mp_text_putc(t, '"');
}

static void view_history(const struct mp_textview *view, struct mp_text *out,
			 const struct mp_event_oom *e)
{
	size_t first =
		!view->verbose && e->n_history > HISTORY_SHOWN ? e->n_history - HISTORY_SHOWN : 0;
	MP_TEXT struct mp_text t = {0};

	if (!e->n_history)
		return;
	for (size_t i = first; i < e->n_history; i++) {
		mp_text_puts(&t, i == first ? "before: " : "; ");
		add_history(view, &t, &e->history[i]);
	}
	mp_view_sentence(view, out, MP_VIEW_INDENT, &t, MP_COLOR_NONE);
}

void mp_view_oom(struct mp_textview *view, struct mp_text *out, const struct mp_event *event)
{
	const struct mp_event_oom *e = &event->oom;
	MP_TEXT struct mp_text t = {0};

	mp_text_puts(&t, "OOM KILL  ");
	mp_view_subject(&t, e->comm, e->pid, e->cgroup);
	if (e->n_in_flight) {
		mp_text_puts(&t, ": killed while ");
		add_in_flight(&t, e, &e->in_flight[0]);
	}
	mp_view_timed(view, out, event, &t, MP_COLOR_ALARM);
	view_other_calls(view, out, e);
	view_circumstances(view, out, e);
	view_history(view, out, e);
}
