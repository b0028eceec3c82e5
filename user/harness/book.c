// SPDX-License-Identifier: GPL-2.0-only
/* What is kept of a rehearsal, and what it comes to. */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "base/array.h"
#include "base/size.h"
#include "cgroup/control.h"
#include "harness/patterns.h"
#include "harness/private.h"
#include "target/target.h"

#define MAX_MARKS 20000
#define NOT_REACHED_PCT 2.0 /* of the limit */

static double percent_of(const struct mp_harness *h, uint64_t bytes)
{
	return (double)bytes * 100 / (double)h->stage.limit;
}

/* --- samples ----------------------------------------------------------------------- */

/*
 * What is wanted, as usage of the domain: of a staircase that is what it comes to beside the
 * others. These may have grown since it was planned, and no pattern wants more than its ceiling.
 */
static uint64_t requested(const struct mp_harness *h, const struct mp_look *look)
{
	uint64_t others = look->usage > look->filler ? look->usage - look->filler : 0;
	uint64_t ceiling = mp_pattern_ceiling(&h->pattern, &h->stage);
	uint64_t most = others > ceiling ? others : ceiling;
	uint64_t sum = others + h->want.bytes;

	if (h->o->pattern->takes_nothing)
		return MP_UNKNOWN;
	if (h->want.kind != MP_WANT_FILLER)
		return h->want.bytes;
	return sum < most ? sum : most;
}

static void read_stall(const struct mp_harness *h, struct mp_memory_sample *s)
{
	struct mp_psi_totals now;

	if (!h->psi_path[0] || mp_psi_totals_read(h->psi_path, &now))
		return;
	s->some_ns = (now.some_us - h->psi_begin.some_us + h->stall_before.some_us) * 1000;
	s->full_ns = (now.full_us - h->psi_begin.full_us + h->stall_before.full_us) * 1000;
}

int mp_book_sample(struct mp_harness *h, const struct mp_look *look)
{
	struct mp_memory_report *r = &h->report;
	struct mp_memory_sample *s;

	if (MP_RESERVE_ONE(r->samples, r->n_samples, h->samples_cap))
		return -ENOMEM;
	s = &r->samples[r->n_samples++];
	*s = (struct mp_memory_sample){
		.t_ns = look->now_ns - h->begin_ns,
		.usage = look->usage,
		.available = h->stage.limit > look->usage ? h->stage.limit - look->usage : 0,
		.filler = look->filler,
		.requested = requested(h, look),
		.swap = MP_UNKNOWN,
		.some_ns = MP_UNKNOWN,
		.full_ns = MP_UNKNOWN,
		.target_rss = mp_process_rss(&h->cg.fs, h->o->command ? h->command.pid : 0),
		.filler_rss = mp_process_rss(&h->cg.fs, mp_filler_pid(h->filler)),
		.monitor_rss = mp_process_rss(&h->cg.fs, getpid()),
		.watcher_rss = mp_process_rss(&h->cg.fs, h->watcher.fd >= 0 ? h->watcher.pid : 0),
	};
	read_stall(h, s);
	return 0;
}

/* --- phases ------------------------------------------------------------------------ */

/* Median of usage since it was reached, and how far it was off on average; of what was not
 * reached, where it had got to at the end. */
static void settle_phase(struct mp_harness *h, struct mp_memory_phase *phase)
{
	const struct mp_memory_report *r = &h->report;
	size_t n = r->n_samples - (h->reached ? h->first_sample : h->phase_first_sample);
	MP_FREE uint64_t *usage = n ? calloc(n, sizeof(*usage)) : NULL;
	double error = 0;

	phase->achieved = MP_UNKNOWN;
	phase->achieved_pct = phase->error_pct = -1;
	if (!usage)
		return;
	n = h->reached ? n : 1;
	for (size_t i = 0; i < n; i++) {
		const struct mp_memory_sample *s = &r->samples[r->n_samples - n + i];

		usage[i] = s->usage;
		if (s->requested != MP_UNKNOWN)
			error += percent_of(h, s->usage) - percent_of(h, s->requested);
	}
	/* A ramp is where it has got to; a hold, where it was most of the time. */
	phase->requested = r->samples[r->n_samples - 1].requested;
	phase->achieved = usage[n - 1];
	if (h->reached && h->due_ns != UINT64_MAX) {
		qsort(usage, n, sizeof(*usage), mp_compare_u64);
		phase->achieved = usage[n / 2];
	}
	phase->achieved_pct = percent_of(h, phase->achieved);
	phase->requested_pct =
		phase->requested == MP_UNKNOWN ? (double)NAN : percent_of(h, phase->requested);
	phase->error_pct = phase->requested == MP_UNKNOWN ? (double)NAN : error / (double)n;
}

void mp_book_end_phase(struct mp_harness *h, uint64_t now_ns)
{
	struct mp_memory_phase *phase;

	if (!h->report.n_phases)
		return;
	phase = &h->report.phases[h->report.n_phases - 1];
	if (phase->end_ns)
		return;
	phase->end_ns = now_ns - h->begin_ns;
	settle_phase(h, phase);
}

int mp_book_phase(struct mp_harness *h, const struct mp_want *want, uint64_t now_ns,
		  uint64_t due_ns)
{
	struct mp_memory_report *r = &h->report;

	mp_book_end_phase(h, now_ns);
	if (MP_RESERVE_ONE(r->phases, r->n_phases, h->phases_cap))
		return -ENOMEM;
	r->phases[r->n_phases++] = (struct mp_memory_phase){
		.name = want->phase,
		.start_ns = now_ns - h->begin_ns,
		.due_ns = due_ns,
		.requested = h->o->pattern->takes_nothing ? MP_UNKNOWN : want->bytes,
		.requested_pct =
			h->o->pattern->takes_nothing ? (double)NAN : percent_of(h, want->bytes),
	};
	h->phase_first_sample = r->n_samples;
	return 0;
}

/* --- what the monitor tells --------------------------------------------------------- */

int mp_book_mark(struct mp_harness *h, const struct mp_event *event)
{
	struct mp_memory_report *r = &h->report;
	struct mp_report_mark mark;
	int is_one;

	if (event->type == MP_EVENT_SUMMARY && !r->points)
		return mp_report_points_of(&event->summary, &r->points, &r->n_points);
	if (event->type == MP_EVENT_PRESSURE && event->pressure.source == MP_PRESSURE_RECLAIM &&
	    event->pressure.reclaimed_pages != MP_UNKNOWN)
		h->reclaimed_pages += event->pressure.reclaimed_pages;
	if (r->n_marks == MAX_MARKS) {
		r->marks_left_out++;
		return 0;
	}
	is_one = mp_report_mark_of(event, h->begin_ns, &mark);
	if (is_one <= 0)
		return is_one;
	if (MP_RESERVE_ONE(r->marks, r->n_marks, h->marks_cap)) {
		mp_report_mark_free(&mark);
		return -ENOMEM;
	}
	r->marks[r->n_marks++] = mark;
	if (event->type == MP_EVENT_PRESSURE && event->pressure.incident > r->pressure.incidents)
		r->pressure.incidents = event->pressure.incident;
	return 0;
}

/* --- a run that is gone on with ------------------------------------------------------- */

static void *copy_of(const void *items, size_t n, size_t size)
{
	void *copy = calloc(n + 1, size);

	if (copy && n)
		memcpy(copy, items, n * size);
	return copy;
}

static int take_over_marks(struct mp_harness *h, const struct mp_memory_report *earlier)
{
	struct mp_memory_report *r = &h->report;

	for (size_t i = 0; i < earlier->n_marks; i++) {
		struct mp_report_mark mark = earlier->marks[i];

		mark.name = strdup(mark.name);
		mark.text = mark.text ? strdup(mark.text) : NULL;
		if (!mark.name || MP_RESERVE_ONE(r->marks, r->n_marks, h->marks_cap)) {
			mp_report_mark_free(&mark);
			return -ENOMEM;
		}
		r->marks[r->n_marks++] = mark;
	}
	r->marks_left_out = earlier->marks_left_out == MP_UNKNOWN ? 0 : earlier->marks_left_out;
	return 0;
}

/* Whether the last phase is what the pattern still wants: it begins once more, then. */
static bool is_cut(const struct mp_harness *h, const struct mp_memory_report *earlier)
{
	const struct mp_pattern *pattern = h->o->pattern;
	struct mp_want then, now;

	if (!earlier->n_phases || h->o->earlier_is_whole)
		return false;
	pattern->at(&h->pattern, &h->stage, earlier->phases[earlier->n_phases - 1].start_ns, &then);
	pattern->at(&h->pattern, &h->stage, earlier->duration_ns, &now);
	return then.step == now.step && then.phase == now.phase;
}

int mp_book_take_over(struct mp_harness *h, const struct mp_memory_report *earlier)
{
	struct mp_memory_report *r = &h->report;

	r->begin_realtime_ns = earlier->begin_realtime_ns;
	r->samples = copy_of(earlier->samples, earlier->n_samples, sizeof(*r->samples));
	r->phases = copy_of(earlier->phases, earlier->n_phases, sizeof(*r->phases));
	if (!r->samples || !r->phases)
		return -ENOMEM;
	r->n_samples = h->samples_cap = earlier->n_samples;
	h->phases_cap = earlier->n_phases;
	r->n_phases = earlier->n_phases - is_cut(h, earlier);
	h->due_ns = UINT64_MAX; /* what begins now was not due, but cut in two */
	h->phase_first_sample = h->first_sample = r->n_samples;
	if (earlier->pressure.some_ns != MP_UNKNOWN)
		h->stall_before = (struct mp_psi_totals){earlier->pressure.some_ns / 1000,
							 earlier->pressure.full_ns / 1000};
	return take_over_marks(h, earlier);
}

/* --- the end ------------------------------------------------------------------------ */

static void close_pressure(struct mp_harness *h)
{
	struct mp_memory_report *r = &h->report;
	struct mp_cgroup_events events;
	struct mp_memory_sample s = {.some_ns = MP_UNKNOWN, .full_ns = MP_UNKNOWN};
	uint64_t kills;

	read_stall(h, &s);
	r->pressure.some_ns = s.some_ns;
	r->pressure.full_ns = s.full_ns;
	r->pressure.high_events = r->pressure.max_events = r->pressure.oom_kills = MP_UNKNOWN;
	if (!h->domain)
		return;
	if (mp_cgroup_read_events(&h->cg, h->domain, &events) == 0) {
		r->pressure.high_events = events.high;
		r->pressure.max_events = events.max;
	}
	if (mp_cgroup_oom_kills(&h->cg, h->domain, &kills) == 0)
		r->pressure.oom_kills = kills - h->oom_kills_begin;
	/* v1 does not count what happens below. */
	if (h->cg.mode != MP_CGROUP_V2 && r->pressure.oom_kills != MP_UNKNOWN &&
	    mp_cgroup_oom_kills(&h->cg, h->room.path, &kills) == 0)
		r->pressure.oom_kills += kills;
}

/* Each run has a group of its own, whose counters begin at 0; the stall goes on by itself. */
static void add_earlier_pressure(struct mp_harness *h)
{
	const struct mp_memory_report *earlier = h->o->earlier;
	struct mp_memory_report *r = &h->report;

	if (!earlier || !h->o->earlier_is_whole)
		return;
	r->pressure.incidents += earlier->pressure.incidents;
	if (r->pressure.oom_kills != MP_UNKNOWN && earlier->pressure.oom_kills != MP_UNKNOWN)
		r->pressure.oom_kills += earlier->pressure.oom_kills;
	if (r->pressure.max_events != MP_UNKNOWN && earlier->pressure.max_events != MP_UNKNOWN)
		r->pressure.max_events += earlier->pressure.max_events;
	if (r->pressure.high_events != MP_UNKNOWN && earlier->pressure.high_events != MP_UNKNOWN)
		r->pressure.high_events += earlier->pressure.high_events;
}

static bool is_killed(int status)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

/* Whether the kernel has counted a kill; where it does not count, what `unknown` says. */
static bool has_killed(const struct mp_harness *h, const char *group, uint64_t before, bool unknown)
{
	uint64_t kills;

	if (!group || mp_cgroup_oom_kills(&h->cg, group, &kills) || kills == MP_UNKNOWN)
		return unknown;
	return kills > before;
}

/* Anybody can send SIGKILL: the counters tell whether it was the kernel. On v1 they are those of
 * the victim's own group alone. */
static enum mp_harness_victim victim_of(const struct mp_harness *h)
{
	bool has_room_kills = h->cg.mode != MP_CGROUP_V2;
	const char *group = has_room_kills ? h->room.path : h->domain;

	if (h->filler_ended && is_killed(h->filler_status) &&
	    has_killed(h, group, has_room_kills ? 0 : h->oom_kills_begin, true))
		return MP_VICTIM_FILLER;
	/* A script that lives on may have lost what it ran. */
	if (h->o->command && h->command.ended && h->command.status &&
	    has_killed(h, h->device.group.path, h->oom_kills_begin, is_killed(h->command.status)))
		return MP_VICTIM_COMMAND;
	return MP_VICTIM_NONE;
}

static bool is_short(const struct mp_harness *h)
{
	const struct mp_memory_report *r = &h->report;

	if (h->was_short || !h->clock_ns)
		return true;
	for (size_t i = 0; i < r->n_phases; i++) {
		if (r->phases[i].achieved != MP_UNKNOWN &&
		    r->phases[i].error_pct < -NOT_REACHED_PCT)
			return true;
	}
	return false;
}

static enum mp_outcome outcome_of(const struct mp_harness *h)
{
	if (h->figures.victim != MP_VICTIM_NONE)
		return MP_OUTCOME_OOM_KILLED;
	if (h->interrupted)
		return MP_OUTCOME_INTERRUPTED;
	return is_short(h) ? MP_OUTCOME_LIMIT_NOT_REACHED : MP_OUTCOME_OK;
}

static double worst_error(const struct mp_memory_report *r)
{
	double worst = 0;

	for (size_t i = 0; i < r->n_phases; i++) {
		double error = r->phases[i].error_pct;

		if (r->phases[i].achieved != MP_UNKNOWN && error * error > worst * worst)
			worst = error;
	}
	return worst;
}

static void say_verdict(struct mp_harness *h)
{
	static const char *const sentences[MP_OUTCOME_COUNT] = {
		[MP_OUTCOME_OK] = "Held what was asked for",
		[MP_OUTCOME_OOM_KILLED] = "Ended by the kernel: memory ran out",
		[MP_OUTCOME_LIMIT_NOT_REACHED] = "Did not reach what was asked for",
		[MP_OUTCOME_INTERRUPTED] = "Interrupted",
	};
	struct mp_memory_report *r = &h->report;
	char limit[MP_HUMAN_LEN];
	double peak = 0;

	for (size_t i = 0; i < r->n_samples; i++) {
		double pct = percent_of(h, r->samples[i].usage);

		peak = pct > peak ? pct : peak;
	}
	snprintf(h->verdict, sizeof(h->verdict),
		 "%s: peak %.1f %% of %s, off by at most %.2f %% of it", sentences[r->outcome],
		 peak, mp_size_format(h->stage.limit, limit), worst_error(r));
	r->verdict = h->verdict;
}

static void say_recommendation(struct mp_harness *h)
{
	struct mp_memory_report *r = &h->report;
	const char *text = "Memory is ample under this pattern";

	if (r->outcome == MP_OUTCOME_OOM_KILLED)
		text = "Raise the limit, or have the policy relieve and gate earlier: a process "
		       "was killed";
	else if (r->outcome == MP_OUTCOME_LIMIT_NOT_REACHED)
		text = "Ask for less, or free memory on the host: see environment.notes";
	else if (r->pressure.full_ns != MP_UNKNOWN && r->pressure.full_ns * 10 > r->duration_ns)
		text = "It stalled on memory for more than a tenth of the time: raise the limit, "
		       "or lower what is kept";
	else if (r->pressure.oom_kills != MP_UNKNOWN && r->pressure.oom_kills)
		text = "Something else in the group was OOM-killed: see the marks";
	r->recommendation = strcpy(h->recommendation, text);
}

void mp_book_close(struct mp_harness *h)
{
	close_pressure(h);
	add_earlier_pressure(h);
	h->figures.victim = victim_of(h);
	h->report.outcome = outcome_of(h);
	say_verdict(h);
	say_recommendation(h);
}

void mp_book_free(struct mp_harness *h)
{
	for (size_t i = 0; i < h->report.n_marks; i++)
		mp_report_mark_free(&h->report.marks[i]);
	free(h->report.marks);
	free(h->report.points);
	free(h->report.samples);
	free(h->report.phases);
}
