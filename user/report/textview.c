// SPDX-License-Identifier: GPL-2.0-only
#include "report/textview.h"

#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>

#include "base/level.h"
#include "base/size.h"
#include "report/textview_priv.h"

#define NS_PER_MS 1000000ULL
#define CELL_LEN 64
#define MIN_WIDTH 60
#define HEADER_EVERY 40
#define NAME_MAX_COLUMNS 44 /* of a name inside a sentence */
#define SITES_SHOWN 16	    /* waiting and failed ones; the rest is only counted */
#define TIME_WIDTH ((int)sizeof(MP_VIEW_INDENT) - 2)

/* --- one line an event -------------------------------------------------------- */

/* What a line is made of. */
struct line {
	const struct mp_textview *view;
	const struct mp_event *event;
	const struct mp_event_probe *probe;
};

/* "+12.345s", "+3h25m45s", "+4d03h" */
const char *mp_view_since(const struct mp_textview *view, uint64_t ts_ns, char out[MP_HUMAN_LEN])
{
	uint64_t ms = ts_ns > view->start_ns ? (ts_ns - view->start_ns) / NS_PER_MS : 0;
	uint64_t s = ms / 1000;

	if (s < 10000)
		snprintf(out, MP_HUMAN_LEN, "+%" PRIu64 ".%03us", s, (unsigned int)(ms % 1000));
	else if (s < 360000)
		snprintf(out, MP_HUMAN_LEN, "+%" PRIu64 "h%02um%02us", s / 3600,
			 (unsigned int)(s / 60 % 60), (unsigned int)(s % 60));
	else
		snprintf(out, MP_HUMAN_LEN, "+%" PRIu64 "d%02uh", s / 86400,
			 (unsigned int)(s / 3600 % 24));
	return out;
}

static const char *cell_time(const struct line *line, char out[CELL_LEN])
{
	return mp_view_since(line->view, line->event->ts_ns, out);
}

static const char *cell_pid(const struct line *line, char out[CELL_LEN])
{
	snprintf(out, CELL_LEN, "%u", line->probe->pid);
	return out;
}

static const char *cell_comm(const struct line *line, char out[CELL_LEN])
{
	(void)out;
	return line->probe->comm ? line->probe->comm : "-";
}

static const char *cell_point(const struct line *line, char out[CELL_LEN])
{
	(void)out;
	return line->probe->point ? line->probe->point : "-";
}

static const char *cell_phase(const struct line *line, char out[CELL_LEN])
{
	(void)out;
	return mp_phase_name(line->probe->phase);
}

static const char *cell_latency(const struct line *line, char out[CELL_LEN])
{
	if (line->probe->phase != MP_PHASE_EXIT)
		return "";
	return mp_duration_format(line->probe->duration_ns, out);
}

static const char *cell_rss(const struct line *line, char out[CELL_LEN])
{
	return mp_size_format(line->probe->rss, out);
}

static const char *cell_growth(const struct line *line, char out[CELL_LEN])
{
	if (line->probe->phase != MP_PHASE_EXIT)
		return "";
	return mp_size_format_delta(line->probe->rss_delta, out);
}

static const char *cell_usage(const struct line *line, char out[CELL_LEN])
{
	double pct = line->probe->usage_pct;

	if (!(pct >= 0))
		return "-";
	if (pct >= 999.5)
		return ">999";
	snprintf(out, CELL_LEN, "%.0f", pct);
	return out;
}

static enum mp_color color_point(const struct line *line)
{
	return mp_level_color(line->probe->level);
}

static enum mp_color color_growth(const struct line *line)
{
	return line->probe->phase == MP_PHASE_EXIT ? mp_growth_color(line->probe->rss_delta)
						   : MP_COLOR_NONE;
}

struct column {
	const char *title;
	size_t width; /* 0: what the others leave */
	bool right;
	unsigned int min_view; /* shown from this width of the view on */
	const char *(*cell)(const struct line *line, char out[CELL_LEN]);
	enum mp_color (*color)(const struct line *line);
};

static const struct column columns[] = {
	{"TIME", TIME_WIDTH, true, 0, cell_time, NULL},
	{"PID", 7, true, 72, cell_pid, NULL},
	{"COMM", MP_COMM_LEN - 1, false, 104, cell_comm, NULL},
	{"POINT", 0, false, 0, cell_point, color_point},
	{"PHASE", 5, false, 0, cell_phase, NULL},
	{"LATENCY", 7, true, 0, cell_latency, NULL},
	{"RSS", 8, true, 0, cell_rss, NULL},
	{"GROWTH", 9, true, 0, cell_growth, color_growth},
	{"USE%", 4, true, 66, cell_usage, NULL},
};

static size_t rest_width(const struct mp_textview *view)
{
	size_t taken = 0;

	for (size_t i = 0; i < MP_ARRAY_SIZE(columns); i++) {
		if (view->width >= columns[i].min_view)
			taken += columns[i].width + (i > 0);
	}
	return view->width > taken ? view->width - taken : 0;
}

/* The header when `line` is NULL. */
static void put_columns(const struct mp_textview *view, struct mp_text *out,
			const struct line *line)
{
	for (size_t i = 0; i < MP_ARRAY_SIZE(columns); i++) {
		const struct column *c = &columns[i];
		struct mp_cell cell = {.width = c->width ? c->width : rest_width(view),
				       .right = c->right};
		char text[CELL_LEN];

		if (view->width < c->min_view)
			continue;
		if (!line)
			cell.color = mp_view_color(view, MP_COLOR_BOLD);
		else if (c->color)
			cell.color = mp_view_color(view, c->color(line));
		if (i > 0)
			mp_text_putc(out, ' ');
		mp_cell_put(out, line ? c->cell(line, text) : c->title, cell);
	}
	mp_text_putc(out, '\n');
}

static void put_header_if_due(struct mp_textview *view, struct mp_text *out)
{
	if (view->header_done && !(view->color && view->lines >= HEADER_EVERY))
		return;
	put_columns(view, out, NULL);
	view->header_done = true;
	view->lines = 0;
}

/* --- sentences ------------------------------------------------------------------ */

void mp_view_sentence(const struct mp_textview *view, struct mp_text *out, const char *lead,
		      const struct mp_text *sentence, enum mp_color color)
{
	if (sentence->failed) {
		out->failed = true;
		return;
	}
	mp_paragraph_put(out, sentence->data ? sentence->data : "",
			 (struct mp_paragraph){
				 .width = view->width,
				 .lead = lead,
				 .color = mp_view_color(view, color),
			 });
}

void mp_view_timed(const struct mp_textview *view, struct mp_text *out,
		   const struct mp_event *event, const struct mp_text *sentence,
		   enum mp_color color)
{
	char time[CELL_LEN];
	char lead[CELL_LEN];

	mp_view_since(view, event->ts_ns, time);
	snprintf(lead, sizeof(lead), "%*.*s ", TIME_WIDTH, TIME_WIDTH, time);
	mp_view_sentence(view, out, lead, sentence, color);
}

void mp_view_name(struct mp_text *t, const char *name)
{
	mp_cell_name(t, name, NAME_MAX_COLUMNS);
}

void mp_view_words(struct mp_text *t, const char *words)
{
	mp_cell_name(t, words, SIZE_MAX);
}

void mp_view_subject(struct mp_text *t, const char *point, uint32_t pid, const char *cgroup)
{
	if (point)
		mp_view_name(t, point);
	else if (!pid)
		mp_view_name(t, cgroup ? cgroup : "host");
	if (pid)
		mp_text_printf(t, "[%u]", pid);
	if (cgroup && (point || pid)) {
		mp_text_puts(t, " in ");
		mp_view_name(t, cgroup);
	}
}

static void put_frame(const struct mp_textview *view, struct mp_text *out, size_t i,
		      const char *frame)
{
	char number[CELL_LEN];
	int width = snprintf(number, sizeof(number), MP_VIEW_INDENT "  #%-2zu ", i);

	mp_text_puts(out, number);
	mp_cell_name(out, frame, view->width - (size_t)width);
	mp_text_putc(out, '\n');
}

void mp_view_frames(const struct mp_textview *view, struct mp_text *out, const char *const *frames,
		    size_t n)
{
	for (size_t i = 0; i < n; i++)
		put_frame(view, out, i, frames[i]);
}

static void put_addresses(const struct mp_textview *view, struct mp_text *out,
			  const uint64_t *addresses, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char number[CELL_LEN];

		snprintf(number, sizeof(number), "0x%" PRIx64, addresses[i]);
		put_frame(view, out, i, number);
	}
}

/* --- events ----------------------------------------------------------------------- */

static void add_list(struct mp_text *t, const char *const *items, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		mp_text_puts(t, i ? ", " : "");
		mp_view_name(t, items[i]);
	}
}

static void view_start(struct mp_textview *view, struct mp_text *out, const struct mp_event *event)
{
	const struct mp_event_start *e = &event->start;
	MP_TEXT struct mp_text t = {0};

	mp_text_puts(&t, "memprobe-bpf ");
	mp_view_name(&t, e->version);
	mp_text_puts(&t, " on ");
	mp_view_name(&t, e->kernel);
	mp_text_puts(&t, " \u00b7 cgroup ");
	mp_view_name(&t, e->cgroup_mode);
	if (e->n_targets) {
		mp_text_puts(&t, " \u00b7 ");
		add_list(&t, e->targets, e->n_targets);
	}
	if (view->verbose && e->n_features) {
		mp_text_puts(&t, " \u00b7 ");
		add_list(&t, e->features, e->n_features);
	}
	mp_view_sentence(view, out, "", &t, MP_COLOR_NONE);
}

static unsigned int *count_of(struct mp_textview *view, enum mp_site_status status)
{
	if (status == MP_SITE_ATTACHED)
		return &view->sites_attached;
	return status == MP_SITE_WAITING ? &view->sites_waiting : &view->sites_failed;
}

/*
 * Without -v: what failed, and what is waited for when nothing is attached; a
 * file of points for many programs always has some that a program lacks.
 */
static bool site_matters(const struct mp_textview *view, enum mp_site_status status)
{
	if (view->verbose)
		return true;
	if (status == MP_SITE_ATTACHED || (status == MP_SITE_WAITING && view->sites_attached))
		return false;
	return view->sites_waiting + view->sites_failed <= SITES_SHOWN;
}

static void add_place(struct mp_text *t, const struct mp_event_site *e)
{
	if (!e->binary && !e->symbol)
		return;
	mp_text_printf(t, ": %s ", mp_site_kind_name(e->kind));
	if (e->binary) {
		mp_view_name(t, e->binary);
		mp_text_putc(t, ':');
	}
	mp_view_name(t, e->symbol);
}

/* A point that was passed by a marker which is told of, and counted, by itself. */
static bool is_by_marker(const struct mp_event_site *e)
{
	static const char prefix[] = "memprobe:";

	return e->status == MP_SITE_ATTACHED && e->symbol && e->point &&
	       strncmp(e->symbol, prefix, sizeof(prefix) - 1) == 0 &&
	       strcmp(e->point, MP_MARKED_POINTS) != 0;
}

static void view_site(struct mp_textview *view, struct mp_text *out, const struct mp_event *event)
{
	const struct mp_event_site *e = &event->site;
	enum mp_color color = MP_COLOR_DIM;
	MP_TEXT struct mp_text t = {0};

	if (!is_by_marker(e))
		++*count_of(view, e->status);
	else if (!view->verbose)
		return;
	if (!site_matters(view, e->status))
		return;
	mp_text_printf(&t, "%s ", mp_site_status_name(e->status));
	mp_view_name(&t, e->point);
	add_place(&t, e);
	if (e->status == MP_SITE_ATTACHED) {
		if (e->offset != MP_UNKNOWN) {
			mp_text_printf(&t, " at 0x%" PRIx64 ", ", e->offset);
			mp_view_name(&t, e->insn);
		}
		if (e->risk) {
			mp_text_puts(&t, ", risk: ");
			mp_view_words(&t, e->risk);
		}
	} else if (e->reason) {
		mp_text_puts(&t, " (");
		mp_view_words(&t, e->reason);
		mp_text_putc(&t, ')');
	}
	if (e->status == MP_SITE_FAILED)
		color = MP_COLOR_YELLOW;
	mp_view_sentence(view, out, "  ", &t, color);
}

void mp_textview_tell_sites(struct mp_textview *view, struct mp_text *out)
{
	unsigned int seen = view->sites_attached + view->sites_waiting + view->sites_failed;
	MP_TEXT struct mp_text t = {0};

	if (view->quiet || seen == view->sites_told)
		return;
	view->sites_told = seen;
	mp_text_printf(&t, "%u %s attached", view->sites_attached,
		       view->sites_attached == 1 ? "site" : "sites");
	if (view->sites_waiting)
		mp_text_printf(&t, ", %u waiting", view->sites_waiting);
	if (view->sites_failed)
		mp_text_printf(&t, ", %u failed", view->sites_failed);
	mp_view_sentence(view, out, "", &t, MP_COLOR_NONE);
}

static void add_value(struct mp_text *t, const struct mp_event_arg *arg)
{
	mp_view_name(t, arg->name);
	mp_text_putc(t, '=');
	if (arg->type == MP_ARG_U64)
		mp_text_printf(t, "%" PRIu64, arg->value);
	else if (arg->type == MP_ARG_S64)
		mp_text_printf(t, "%" PRId64, (int64_t)arg->value);
	else if (arg->type == MP_ARG_PTR)
		mp_text_printf(t, "0x%" PRIx64, arg->value);
	else if (!arg->str)
		mp_text_puts(t, "?");
	else {
		mp_text_putc(t, '"');
		mp_view_words(t, arg->str);
		mp_text_putc(t, '"');
	}
	mp_text_putc(t, ' ');
}

static void view_values(struct mp_textview *view, struct mp_text *out,
			const struct mp_event_probe *e)
{
	MP_TEXT struct mp_text t = {0};

	if (!e->n_args && !e->ret)
		return;
	for (size_t i = 0; i < e->n_args; i++)
		add_value(&t, &e->args[i]);
	if (e->ret) {
		mp_text_puts(&t, "-> ");
		add_value(&t, e->ret);
	}
	mp_view_sentence(view, out, MP_VIEW_INDENT, &t, MP_COLOR_DIM);
}

static void view_probe(struct mp_textview *view, struct mp_text *out, const struct mp_event *event)
{
	const struct mp_event_probe *e = &event->probe;
	struct line line = {.view = view, .event = event, .probe = e};

	put_header_if_due(view, out);
	put_columns(view, out, &line);
	view->lines++;
	mp_view_gate(view, out, e);
	if (!view->verbose)
		return;
	view_values(view, out, e);
	if (e->stack_text)
		mp_view_frames(view, out, e->stack_text, e->n_stack);
	else
		put_addresses(view, out, e->stack, e->n_stack);
}

static void add_exit(struct mp_text *t, int status)
{
	if (status == MP_EXIT_STATUS_UNKNOWN)
		mp_text_puts(t, ", nobody saw how");
	else if (WIFSIGNALED(status))
		mp_text_printf(t, ", killed by signal %d", WTERMSIG(status));
	else
		mp_text_printf(t, ", exit code %d", WEXITSTATUS(status));
}

static void view_process(struct mp_textview *view, struct mp_text *out,
			 const struct mp_event *event)
{
	const struct mp_event_process *e = &event->process;
	MP_TEXT struct mp_text t = {0};

	if (!view->verbose)
		return;
	mp_text_printf(&t, "%s ", mp_process_op_name(e->op));
	mp_view_subject(&t, e->comm, e->pid, NULL);
	if (e->op == MP_PROCESS_FORK)
		mp_text_printf(&t, " by %u", e->parent);
	else if (e->op == MP_PROCESS_EXIT)
		add_exit(&t, e->exit_code);
	mp_view_timed(view, out, event, &t, MP_COLOR_DIM);
}

static void view_lost(struct mp_textview *view, struct mp_text *out, const struct mp_event *event)
{
	MP_TEXT struct mp_text t = {0};

	if (event->lost.count == MP_UNKNOWN)
		mp_text_puts(&t, "! records");
	else
		mp_text_printf(&t, "! %" PRIu64 " %s", event->lost.count,
			       event->lost.count == 1 ? "record" : "records");
	mp_text_puts(&t, " lost: ");
	mp_view_name(&t, event->lost.source);
	mp_text_puts(&t, " (the summary still counts every call)");
	mp_view_timed(view, out, event, &t, MP_COLOR_YELLOW);
}

static void view_summary(struct mp_textview *view, struct mp_text *out,
			 const struct mp_event *event)
{
	mp_textview_summary(view, out, &event->summary);
}

static void view_stop(struct mp_textview *view, struct mp_text *out, const struct mp_event *event)
{
	MP_TEXT struct mp_text t = {0};

	mp_text_puts(&t, "stopped: ");
	mp_view_name(&t, event->stop.reason);
	mp_view_timed(view, out, event, &t, MP_COLOR_DIM);
}

static void (*const viewers[])(struct mp_textview *, struct mp_text *, const struct mp_event *) = {
	[MP_EVENT_START] = view_start,
	[MP_EVENT_SITE] = view_site,
	[MP_EVENT_PROBE] = view_probe,
	[MP_EVENT_PROCESS] = view_process,
	[MP_EVENT_PRESSURE] = mp_view_pressure,
	[MP_EVENT_OOM] = mp_view_oom,
	[MP_EVENT_DECISION] = mp_view_decision,
	[MP_EVENT_ACTION] = mp_view_action,
	[MP_EVENT_LOST] = view_lost,
	[MP_EVENT_SUMMARY] = view_summary,
	[MP_EVENT_STOP] = view_stop,
};
_Static_assert(MP_ARRAY_SIZE(viewers) == MP_EVENT_TYPE_COUNT, "a view of every event");

void mp_textview_write(struct mp_textview *view, struct mp_text *out, const struct mp_event *event)
{
	if (view->width < MIN_WIDTH)
		view->width = MIN_WIDTH;
	if (!view->started) {
		view->start_ns = event->ts_ns;
		view->started = true;
	}
	mp_tally_count(&view->tally, event);
	if (view->quiet && event->type != MP_EVENT_SUMMARY)
		return;
	if (event->type != MP_EVENT_SITE)
		mp_textview_tell_sites(view, out);
	viewers[event->type](view, out, event);
}
