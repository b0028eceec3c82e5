// SPDX-License-Identifier: GPL-2.0-only
#include "report/gather.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "base/size.h"
#include "base/text.h"
#include "report/thin.h"

#define MAX_DOMAINS 32
#define MAX_SAMPLES 4096 /* of a domain */
#define MAX_POINTS 128
#define MAX_CALLS 2048 /* of a point */
#define MAX_MARKS 4096 /* that are no calls */
#define MAX_PROCESSES 512
#define PROCESS_TEXT 48

/* What the shipped policy says, where a recording does not tell. */
static const double default_pct[MP_SEVERITY_COUNT] = {0, 75, 85, 90};

/* Times are those of the events until the end. */
struct domain {
	char *path; /* NULL: the host */
	uint64_t limit;
	uint64_t incidents, high, max;
	double peak_pct;
	struct mp_memory_sample *samples;
	size_t n, cap;
	bool is_thinned;
};

struct marks {
	struct mp_report_mark *items;
	size_t n, cap;
};

struct point {
	char *name;
	struct marks calls;
};

struct process {
	uint32_t pid;
	uint64_t rss;
	char text[PROCESS_TEXT];
};

struct mp_gather {
	struct domain domains[MAX_DOMAINS];
	size_t n_domains;
	struct point points[MAX_POINTS];
	size_t n_points;
	struct process processes[MAX_PROCESSES];
	size_t n_processes;
	struct marks marks; /* these own their texts; calls borrow theirs */
	struct marks all;   /* of the report: borrowed */
	uint64_t left_out;

	bool began;
	uint64_t begin_ns, end_ns;
	uint64_t begin_realtime_ns;
	char *version, *kernel, *mode;
	struct mp_text targets;
	double threshold_pct[MP_SEVERITY_COUNT];
	bool stopped;
	uint64_t lost;
	enum mp_severity worst;
	uint64_t n_done, n_would, freed;
	uint64_t oom_kills;
	char *victim; /* of the first OOM kill of a target, and what it was inside of */

	struct mp_memory_report report;
	char verdict[512], recommendation[512], notes[128];
};

struct mp_gather *mp_gather_new(void)
{
	struct mp_gather *g = calloc(1, sizeof(*g));

	if (g)
		memcpy(g->threshold_pct, default_pct, sizeof(default_pct));
	return g;
}

void mp_gather_free(struct mp_gather *g)
{
	if (!g)
		return;
	for (size_t i = 0; i < g->n_domains; i++) {
		free(g->domains[i].path);
		free(g->domains[i].samples);
	}
	for (size_t i = 0; i < g->n_points; i++) {
		free(g->points[i].name);
		free(g->points[i].calls.items);
	}
	for (size_t i = 0; i < g->marks.n; i++)
		mp_report_mark_free(&g->marks.items[i]);
	free(g->marks.items);
	free(g->all.items);
	free(g->report.points);
	free(g->version);
	free(g->kernel);
	free(g->mode);
	free(g->victim);
	mp_text_free(&g->targets);
	free(g);
}

/* --- samples ----------------------------------------------------------------------- */

static bool is_same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* NULL: there are too many, or no memory. */
static struct domain *find_domain(struct mp_gather *g, const char *path)
{
	struct domain *d = g->domains;

	for (; d < g->domains + g->n_domains; d++) {
		if (is_same(d->path, path))
			return d;
	}
	if (g->n_domains == MAX_DOMAINS)
		return NULL;
	*d = (struct domain){.path = path ? strdup(path) : NULL};
	if (path && !d->path)
		return NULL;
	g->n_domains++;
	return d;
}

/* Of the largest process that is watched: processes share pages, so that a sum says little. */
static uint64_t largest_rss(const struct mp_gather *g)
{
	uint64_t largest = 0;

	for (size_t i = 0; i < g->n_processes; i++)
		largest = g->processes[i].rss > largest ? g->processes[i].rss : largest;
	return largest ? largest : MP_UNKNOWN;
}

static void thin_samples(struct domain *d)
{
	qsort(d->samples, d->n, sizeof(*d->samples), mp_samples_compare);
	d->n = mp_samples_thin(d->samples, d->n, MAX_SAMPLES / 2);
	d->is_thinned = true;
}

int mp_gather_sample(struct mp_gather *g, const char *path, uint64_t ts_ns, uint64_t working_set,
		     uint64_t limit)
{
	struct domain *d;

	if (working_set == MP_UNKNOWN || limit == MP_UNKNOWN || limit == 0)
		return 0;
	d = find_domain(g, path);
	if (!d)
		return 0;
	if (d->n == MAX_SAMPLES)
		thin_samples(d);
	if (MP_RESERVE_ONE(d->samples, d->n, d->cap))
		return -ENOMEM;
	d->limit = limit;
	if (mp_percent(working_set, limit) > d->peak_pct)
		d->peak_pct = mp_percent(working_set, limit);
	d->samples[d->n++] = (struct mp_memory_sample){
		.t_ns = ts_ns,
		.usage = working_set,
		.available = limit > working_set ? limit - working_set : 0,
		.filler = MP_UNKNOWN,
		.requested = MP_UNKNOWN,
		.swap = MP_UNKNOWN,
		.some_ns = MP_UNKNOWN,
		.full_ns = MP_UNKNOWN,
		.target_rss = largest_rss(g),
		.filler_rss = MP_UNKNOWN,
		.monitor_rss = MP_UNKNOWN,
		.watcher_rss = MP_UNKNOWN,
	};
	return 0;
}

/* --- calls and other marks ----------------------------------------------------------- */

static struct process *find_process(struct mp_gather *g, uint32_t pid)
{
	for (size_t i = 0; i < g->n_processes; i++) {
		if (g->processes[i].pid == pid)
			return &g->processes[i];
	}
	return NULL;
}

static struct process *note_process(struct mp_gather *g, const struct mp_event_probe *e)
{
	struct process *p = find_process(g, e->pid);

	if (!p && g->n_processes < MAX_PROCESSES) {
		p = &g->processes[g->n_processes++];
		p->pid = e->pid;
		snprintf(p->text, sizeof(p->text), "%s[%u]", e->comm ?: "?", e->pid);
	}
	if (p && e->rss != MP_UNKNOWN)
		p->rss = e->rss;
	return p;
}

static struct point *find_point(struct mp_gather *g, const char *name)
{
	struct point *p = g->points;

	for (; p < g->points + g->n_points; p++) {
		if (strcmp(p->name, name) == 0)
			return p;
	}
	if (g->n_points == MAX_POINTS)
		return NULL;
	*p = (struct point){.name = strdup(name)};
	if (!p->name)
		return NULL;
	g->n_points++;
	return p;
}

/* To half as many. The texts of those that go are freed with them when they are owned. */
static int thin_marks(struct mp_gather *g, struct marks *m, bool owned)
{
	MP_FREE const struct mp_report_mark **sorted =
		calloc(m->n, sizeof(const struct mp_report_mark *));
	struct mp_report_mark *kept = calloc(m->cap, sizeof(*kept));
	size_t n;

	if (!sorted || !kept) {
		free(kept);
		return -ENOMEM;
	}
	for (size_t i = 0; i < m->n; i++)
		sorted[i] = &m->items[i];
	qsort(sorted, m->n, sizeof(const struct mp_report_mark *), mp_marks_compare);
	n = mp_marks_thin(sorted, m->n, m->n / 2);
	for (size_t i = 0; i < n; i++)
		kept[i] = *sorted[i];
	for (size_t i = n; owned && i < m->n; i++)
		mp_report_mark_free((struct mp_report_mark *)sorted[i]);
	g->left_out += m->n - n;
	free(m->items);
	m->items = kept;
	m->n = n;
	return 0;
}

static int add_call(struct mp_gather *g, const char *point, const struct mp_report_mark *call)
{
	struct point *p = find_point(g, point);

	if (!p) {
		g->left_out++;
		return 0;
	}
	if (p->calls.n == MAX_CALLS && thin_marks(g, &p->calls, false))
		return -ENOMEM;
	if (MP_RESERVE_ONE(p->calls.items, p->calls.n, p->calls.cap))
		return -ENOMEM;
	p->calls.items[p->calls.n] = *call;
	p->calls.items[p->calls.n++].name = p->name;
	return 0;
}

static int add_mark(struct mp_gather *g, const struct mp_event *event)
{
	struct marks *m = &g->marks;
	int is_one;

	if (m->n == MAX_MARKS && thin_marks(g, m, true))
		return -ENOMEM;
	if (MP_RESERVE_ONE(m->items, m->n, m->cap))
		return -ENOMEM;
	is_one = mp_report_mark_of(event, 0, &m->items[m->n]);
	m->n += is_one > 0;
	return is_one < 0 ? is_one : 0;
}

/* --- what the kinds of events tell ---------------------------------------------------- */

static int take_probe(struct mp_gather *g, const struct mp_event *event)
{
	const struct mp_event_probe *e = &event->probe;
	struct process *process = note_process(g, e);
	struct mp_report_mark call;
	char text[MP_MARK_TEXT];
	const char *point;
	int error = mp_gather_sample(g, e->limit_cgroup, event->ts_ns, e->working_set, e->limit);

	if (error || !mp_report_mark_fill(event, 0, &call, &point, text))
		return error;
	call.text = process ? process->text : NULL;
	return add_call(g, point, &call);
}

static void add_known(uint64_t *sum, uint64_t value)
{
	*sum += value == MP_UNKNOWN ? 0 : value;
}

static int take_pressure(struct mp_gather *g, const struct mp_event *event)
{
	const struct mp_event_pressure *e = &event->pressure;
	struct domain *d = find_domain(g, e->cgroup);
	int error = mp_gather_sample(g, e->cgroup, event->ts_ns, e->working_set, e->limit);

	if (d) {
		d->incidents = e->incident > d->incidents ? e->incident : d->incidents;
		add_known(&d->high, e->high);
		add_known(&d->max, e->max);
	}
	return error ?: add_mark(g, event);
}

static int take_decision(struct mp_gather *g, const struct mp_event *event)
{
	if (event->decision.severity > g->worst)
		g->worst = event->decision.severity;
	return add_mark(g, event);
}

static int take_action(struct mp_gather *g, const struct mp_event *event)
{
	const struct mp_event_action *e = &event->action;

	if (e->action && strcmp(e->action, "log") != 0) {
		g->n_done += e->result == MP_RESULT_DONE;
		g->n_would += e->result == MP_RESULT_WOULD;
		add_known(&g->freed, e->freed_bytes);
	}
	return add_mark(g, event);
}

/* A call that did not return is a span, too: from when it was entered to the kill. */
static int add_in_flight(struct mp_gather *g, const struct mp_event *event,
			 const struct mp_in_flight *in_flight)
{
	uint64_t before = in_flight->duration_ns < event->ts_ns ? in_flight->duration_ns : 0;
	const struct process *process = find_process(g, event->oom.pid);
	const struct mp_report_mark call = {
		.kind = MP_MARK_CALL,
		.severity = MP_SEVERITY_CRITICAL,
		.t_ns = event->ts_ns - before,
		.duration_ns = before,
		.pid = event->oom.pid,
		.tid = in_flight->tid,
		.bytes = in_flight->rss_delta,
		.text = process ? (char *)process->text : NULL,
	};

	return add_call(g, in_flight->point ?: "?", &call);
}

static int take_oom(struct mp_gather *g, const struct mp_event *event)
{
	const struct mp_event_oom *e = &event->oom;
	struct process *process = find_process(g, e->pid);
	int error = 0;

	g->oom_kills++;
	for (size_t i = 0; i < e->n_in_flight && !error; i++)
		error = add_in_flight(g, event, &e->in_flight[i]);
	if (e->is_target && !g->victim &&
	    asprintf(&g->victim, "%s[%u] was OOM-killed%s%s", e->comm ?: "a process", e->pid,
		     e->n_in_flight ? " inside " : "",
		     e->n_in_flight ? e->in_flight[e->n_in_flight - 1].point ?: "?" : "") < 0) {
		g->victim = NULL;
		return -ENOMEM;
	}
	if (process)
		process->rss = 0;
	return error ?: add_mark(g, event);
}

static int take_process(struct mp_gather *g, const struct mp_event *event)
{
	struct process *process = find_process(g, event->process.pid);

	if (process && event->process.op == MP_PROCESS_EXIT)
		process->rss = 0;
	return 0;
}

static int keep_string(char **kept, const char *value)
{
	if (*kept || !value)
		return 0;
	*kept = strdup(value);
	return *kept ? 0 : -ENOMEM;
}

/* Parts of one run say the same: the first is kept. */
static int take_start(struct mp_gather *g, const struct mp_event *event)
{
	const struct mp_event_start *e = &event->start;

	if (e->threshold_pct[MP_SEVERITY_WARNING] >= 1)
		memcpy(g->threshold_pct, e->threshold_pct, sizeof(g->threshold_pct));
	if (!g->targets.len) {
		for (size_t i = 0; i < e->n_targets; i++)
			mp_text_printf(&g->targets, "%s%s", i ? ", " : "", e->targets[i]);
	}
	if (keep_string(&g->version, e->version) || keep_string(&g->kernel, e->kernel) ||
	    keep_string(&g->mode, e->cgroup_mode) || g->targets.failed)
		return -ENOMEM;
	return 0;
}

static int take_summary(struct mp_gather *g, const struct mp_event *event)
{
	free(g->report.points);
	g->report.points = NULL;
	g->report.n_points = 0;
	return mp_report_points_of(&event->summary, &g->report.points, &g->report.n_points);
}

static int take_lost(struct mp_gather *g, const struct mp_event *event)
{
	add_known(&g->lost, event->lost.count);
	return 0;
}

static int take_stop(struct mp_gather *g, const struct mp_event *event)
{
	(void)event;
	g->stopped = true;
	return 0;
}

static void note_time(struct mp_gather *g, const struct mp_event *event)
{
	if (!g->began || event->ts_ns < g->begin_ns) {
		g->begin_ns = event->ts_ns;
		g->begin_realtime_ns = event->realtime_ns;
	}
	if (!g->began || event->ts_ns > g->end_ns)
		g->end_ns = event->ts_ns;
	g->began = true;
}

int mp_gather_event(struct mp_gather *g, const struct mp_event *event)
{
	static int (*const takers[MP_EVENT_TYPE_COUNT])(struct mp_gather *,
							const struct mp_event *) = {
		[MP_EVENT_START] = take_start,	   [MP_EVENT_PROBE] = take_probe,
		[MP_EVENT_PROCESS] = take_process, [MP_EVENT_PRESSURE] = take_pressure,
		[MP_EVENT_OOM] = take_oom,	   [MP_EVENT_DECISION] = take_decision,
		[MP_EVENT_ACTION] = take_action,   [MP_EVENT_LOST] = take_lost,
		[MP_EVENT_SUMMARY] = take_summary, [MP_EVENT_STOP] = take_stop,
	};

	/* A record without a time has no place in the picture. */
	if (event->ts_ns > INT64_MAX)
		return 0;
	note_time(g, event);
	return takers[event->type] ? takers[event->type](g, event) : 0;
}

/* --- the end ---------------------------------------------------------------------------- */

/* The fullest is where the trouble was, if there was any. NULL: nothing was measured. */
static struct domain *busiest(struct mp_gather *g)
{
	struct domain *best = NULL;

	for (size_t i = 0; i < g->n_domains; i++) {
		struct domain *d = &g->domains[i];

		if (d->n && (!best || d->peak_pct > best->peak_pct))
			best = d;
	}
	return best;
}

static void close_samples(struct mp_gather *g, struct domain *d)
{
	struct mp_memory_report *r = &g->report;

	if (!d)
		return;
	qsort(d->samples, d->n, sizeof(*d->samples), mp_samples_compare);
	/* Those of the end are closer together than the others were left. */
	if (d->is_thinned)
		thin_samples(d);
	for (size_t i = 0; i < d->n; i++)
		d->samples[i].t_ns -= g->begin_ns;
	r->samples = d->samples;
	r->n_samples = d->n;
	r->cgroup = d->path;
	r->limit = r->environment.limit_bytes = d->limit;
	r->pressure.incidents = d->incidents;
	r->pressure.high_events = d->high;
	r->pressure.max_events = d->max;
}

static int add_all(struct mp_gather *g, const struct marks *marks)
{
	for (size_t i = 0; i < marks->n; i++) {
		struct mp_report_mark *m;

		if (MP_RESERVE_ONE(g->all.items, g->all.n, g->all.cap))
			return -ENOMEM;
		m = &g->all.items[g->all.n++];
		*m = marks->items[i];
		/* A call that was entered before the first record begins with it. */
		if (m->t_ns < g->begin_ns) {
			if (m->duration_ns != MP_UNKNOWN)
				m->duration_ns -= g->begin_ns - m->t_ns;
			m->t_ns = g->begin_ns;
		}
		m->t_ns -= g->begin_ns;
	}
	return 0;
}

static int compare_marks(const void *a, const void *b)
{
	return mp_marks_compare(&a, &b);
}

static int close_marks(struct mp_gather *g)
{
	int error = add_all(g, &g->marks);

	for (size_t i = 0; i < g->n_points && !error; i++)
		error = add_all(g, &g->points[i].calls);
	if (g->all.n)
		qsort(g->all.items, g->all.n, sizeof(*g->all.items), compare_marks);
	g->report.marks = g->all.items;
	g->report.n_marks = g->all.n;
	g->report.marks_left_out = g->left_out;
	return error;
}

/* What the policy said, or would have by its thresholds where it was not asked. */
static enum mp_severity worst_of(const struct mp_gather *g, const struct domain *d)
{
	enum mp_severity worst = g->worst;

	for (int s = MP_SEVERITY_WARNING; d && s < MP_SEVERITY_COUNT; s++) {
		if (d->peak_pct >= g->threshold_pct[s] && s > (int)worst)
			worst = (enum mp_severity)s;
	}
	return worst;
}

/* "Memory was ample: peak 45.2 % of 2.00 GiB, 3 incidents of pressure, 2 actions freed 1 MiB" */
static void say_verdict(struct mp_gather *g, const struct domain *d)
{
	static const char *const states[MP_SEVERITY_COUNT] = {
		"Memory was ample", "Memory got scarce", "Memory was short",
		"Memory was critically short"};
	struct mp_memory_report *r = &g->report;
	struct mp_text MP_TEXT text = {0};
	char size[MP_HUMAN_LEN];

	if (g->victim)
		mp_text_printf(&text, "Memory ran out: %s", g->victim);
	else
		mp_text_puts(&text, d ? states[worst_of(g, d)] : "Nothing was measured");
	if (d)
		mp_text_printf(&text, "%s peak %.1f %% of %s", g->victim ? "," : ":", d->peak_pct,
			       mp_size_format(d->limit, size));
	if (r->pressure.incidents)
		mp_text_printf(&text, ", %llu incident%s of pressure",
			       (unsigned long long)r->pressure.incidents,
			       r->pressure.incidents > 1 ? "s" : "");
	if (g->n_done && g->freed)
		mp_text_printf(&text, ", actions freed %s", mp_size_format(g->freed, size));
	if (!g->stopped)
		mp_text_puts(&text, "; the recording has no end");
	snprintf(g->verdict, sizeof(g->verdict), "%s", text.failed ? "" : text.data);
	r->verdict = g->verdict;
}

static void say_recommendation(struct mp_gather *g, const struct domain *d)
{
	enum mp_severity worst = worst_of(g, d);
	const char *text = "Nothing needs to be done";

	if (g->victim)
		text = "Raise the limit, or have the policy relieve and gate earlier: --enforce "
		       "lets it stop calls before memory runs out";
	else if (!d)
		text = "No point was called and nothing came under pressure: see probes list "
		       "for what the points resolve to";
	else if (worst >= MP_SEVERITY_GC && g->n_would)
		text = "The policy would have acted: --enforce lets it, or raise the limit";
	else if (worst >= MP_SEVERITY_GC)
		text = "Raise the limit, or lower what is kept in memory: the room left is small";
	else if (worst == MP_SEVERITY_WARNING)
		text = "There is room yet: keep an eye on the calls that grow most";
	snprintf(g->recommendation, sizeof(g->recommendation), "%s", text);
	g->report.recommendation = g->recommendation;
}

static void describe(struct mp_gather *g)
{
	struct mp_memory_report *r = &g->report;

	r->version = g->version ?: MP_VERSION;
	r->test_mode = "attach";
	r->command = g->targets.len ? g->targets.data : NULL;
	r->begin_realtime_ns = g->begin_realtime_ns == MP_UNKNOWN ? 0 : g->begin_realtime_ns;
	r->duration_ns = g->end_ns - g->begin_ns;
	r->model_load_ns = MP_UNKNOWN;
	r->kernel = g->kernel;
	r->environment.engine = g->mode;
	r->environment.total_bytes = r->environment.swap_bytes = MP_UNKNOWN;
	r->environment.limit_bytes = MP_UNKNOWN;
	r->thresholds.warning_pct = g->threshold_pct[MP_SEVERITY_WARNING];
	r->thresholds.gc_pct = g->threshold_pct[MP_SEVERITY_GC];
	r->thresholds.critical_pct = g->threshold_pct[MP_SEVERITY_CRITICAL];
	r->pressure.some_ns = r->pressure.full_ns = MP_UNKNOWN;
	r->pressure.oom_kills = g->oom_kills;
	if (g->lost) {
		snprintf(g->notes, sizeof(g->notes), "%llu records were lost on their way",
			 (unsigned long long)g->lost);
		r->environment.notes = g->notes;
	}
	r->outcome = g->victim	   ? MP_OUTCOME_OOM_KILLED
		     : !g->stopped ? MP_OUTCOME_INTERRUPTED
				   : MP_OUTCOME_OK;
}

const struct mp_memory_report *mp_gather_report(struct mp_gather *g)
{
	struct domain *d = busiest(g);

	describe(g);
	close_samples(g, d);
	if (close_marks(g))
		return NULL;
	say_verdict(g, d);
	say_recommendation(g, d);
	return &g->report;
}
