// SPDX-License-Identifier: GPL-2.0-only
/* The closed loop: look, ask the pattern, ask the controller, tell the filler. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "harness/controller.h"
#include "harness/patterns.h"
#include "harness/private.h"

#define TICK_FILLING_NS 2000000ULL
#define TICK_RAMP_NS 5000000ULL
#define TICK_HOLDING_NS 20000000ULL
#define SAMPLE_NS 100000000ULL
#define REACHED_PCT 0.25 /* of the limit: what is wanted counts as reached */
/* As slow as memory fills anywhere, with swapping; what takes longer is not reached. */
#define SLOWEST_BYTES_PER_S (20ULL << 20)
#define REACH_AT_LEAST_NS 10000000000ULL
#define SHORT_NS 3000000000ULL /* so long held back by a reserve, it will not be reached either */
#define MOVING_PCT 0.1	       /* of the limit: somebody else grows or shrinks */

/* --- what is wanted -------------------------------------------------------------- */

static uint64_t pattern_time(const struct mp_harness *h, uint64_t now_ns)
{
	return h->clock_ns ? now_ns - h->clock_ns : 0;
}

static bool is_same_phase(const struct mp_want *a, const struct mp_want *b)
{
	return a->step == b->step && a->phase == b->phase;
}

/* When the phase that begins now was due, since the begin of the run. */
static uint64_t due_of(const struct mp_harness *h)
{
	if (h->due_ns == UINT64_MAX || !h->clock_ns)
		return MP_UNKNOWN;
	return h->clock_ns - h->begin_ns + h->due_ns;
}

/* A ramp is where it is, unless it begins somewhere else than where memory is now. */
static bool is_under_way(const struct mp_harness *h, const struct mp_want *want)
{
	bool is_first = !h->want.phase;
	bool from_ramp = h->want.next_ns == UINT64_MAX && h->reached;

	return want->next_ns == UINT64_MAX && h->clock_ns && (is_first || from_ramp);
}

/* A phase ends with a sample of its own, so that a short one has figures, too. */
static int change_phase(struct mp_harness *h, const struct mp_want *want,
			const struct mp_look *look)
{
	uint64_t due = 0;
	int error = 0;

	if (h->report.n_phases) {
		due = due_of(h);
		error = mp_book_sample(h, look);
	}
	error = error ?: mp_book_phase(h, want, look->now_ns, due);
	h->reached = is_under_way(h, want);
	h->first_sample = h->report.n_samples;
	return error;
}

static int take_want(struct mp_harness *h, const struct mp_look *look)
{
	struct mp_want want;
	int error = 0;

	h->o->pattern->at(&h->pattern, &h->stage, pattern_time(h, look->now_ns), &want);
	if (want.kind == MP_WANT_DONE) {
		h->stop = true;
		return 0;
	}
	if (!h->report.n_phases || !is_same_phase(&want, &h->want))
		error = change_phase(h, &want, look);
	h->want = want;
	h->due_ns = want.next_ns;
	return error;
}

static void steer(struct mp_harness *h, const struct mp_look *look)
{
	struct mp_controller_input in = {
		.want = h->want,
		.usage = look->usage,
		.filler = look->filler,
		.ceiling = mp_pattern_ceiling(&h->pattern, &h->stage),
		.page_bytes = (uint64_t)sysconf(_SC_PAGESIZE),
	};
	uint64_t size = mp_controller_filler(&in);

	if (size <= look->most)
		h->short_since_ns = 0;
	else if (!h->short_since_ns)
		h->short_since_ns = look->now_ns;
	mp_filler_want(h->filler, size < look->most ? size : look->most);
}

/* --- whether it is reached --------------------------------------------------------- */

static bool is_within(const struct mp_harness *h, const struct mp_look *look, double pct)
{
	uint64_t has = h->want.kind == MP_WANT_FILLER ? look->filler : look->usage;
	uint64_t off = has > h->want.bytes ? has - h->want.bytes : h->want.bytes - has;

	return (double)off <= (double)h->stage.limit * pct / 100;
}

static void note_reached(struct mp_harness *h, const struct mp_look *look)
{
	if (h->reached || !is_within(h, look, REACHED_PCT))
		return;
	h->reached = true;
	h->first_sample = h->report.n_samples;
	if (!h->clock_ns)
		h->clock_ns = look->now_ns;
}

/* A hold whose clock does not start, since memory does not get there. */
static bool takes_too_long(const struct mp_harness *h, uint64_t now_ns)
{
	uint64_t ns = h->stage.limit / SLOWEST_BYTES_PER_S * 1000000000ULL + REACH_AT_LEAST_NS;

	if (h->clock_ns)
		return false;
	return now_ns - h->begin_ns > ns ||
	       (h->short_since_ns && now_ns - h->short_since_ns > SHORT_NS);
}

/* --- the loop ---------------------------------------------------------------------- */

static void take_signal(void *data)
{
	struct mp_harness *h = data;
	struct signalfd_siginfo info;

	if (read(h->signals, &info, sizeof(info)) == sizeof(info))
		h->stop = h->interrupted = true;
}

static void take_filler_end(void *data)
{
	struct mp_harness *h = data;

	if (mp_filler_reap(h->filler, &h->filler_status) == -EAGAIN)
		return;
	mp_loop_remove(h->loop, mp_filler_pidfd(h->filler));
	h->filler_ended = h->was_short = h->stop = true;
}

static void take_filler_event(void *data)
{
	struct mp_harness *h = data;
	uint64_t count;

	if (read(mp_filler_event(h->filler), &count, sizeof(count)) < 0)
		errno = 0; /* it was taken already */
}

static void take_command_end(void *data)
{
	struct mp_harness *h = data;

	if (mp_child_reap(&h->command)) {
		mp_loop_remove(h->loop, h->command.pidfd);
		h->stop = h->figures.has_ended = true;
	}
}

static void take_tick(void *data)
{
	mp_timer_clear(((struct mp_harness *)data)->tick);
}

static int watch(struct mp_harness *h)
{
	int error = mp_loop_add(h->loop, h->tick, take_tick, h);

	error = error ?: mp_loop_add(h->loop, h->signals, take_signal, h);
	error = error ?: mp_loop_add(h->loop, mp_filler_pidfd(h->filler), take_filler_end, h);
	error = error ?: mp_loop_add(h->loop, mp_filler_event(h->filler), take_filler_event, h);
	if (!error && h->o->command)
		error = mp_loop_add(h->loop, h->command.pidfd, take_command_end, h);
	if (!error && h->watcher.fd >= 0)
		error = mp_loop_add(h->loop, h->watcher.fd, mp_watcher_read, h);
	return error;
}

/* The next look: soon while it fills, and on time for the next phase. */
static void set_tick(struct mp_harness *h, bool is_moving)
{
	uint64_t now_ns = mp_clock_now_ns();
	bool is_ramp = h->due_ns == UINT64_MAX;
	uint64_t ns = TICK_FILLING_NS;

	if (is_ramp || (h->reached && is_moving))
		ns = TICK_RAMP_NS;
	else if (h->reached)
		ns = TICK_HOLDING_NS;
	if (!is_ramp && h->clock_ns) {
		uint64_t due = h->clock_ns + h->due_ns;

		if (due < now_ns + ns)
			ns = due > now_ns ? due - now_ns : 1;
	}
	mp_timer_set(h->tick, ns);
}

static int keep_books(struct mp_harness *h, const struct mp_look *look)
{
	int error = mp_book_sample(h, look);

	h->sampled_ns = look->now_ns;
	if (!error && h->o->progress && h->o->progress(h->o->data, &h->report, &h->want))
		h->stop = h->interrupted = true;
	return error;
}

/* However seldom samples are taken, each phase has one of what was reached. */
static bool is_unseen(const struct mp_harness *h)
{
	return h->reached && h->first_sample == h->report.n_samples;
}

static int step(struct mp_harness *h)
{
	uint64_t every = h->o->sample_ns ? h->o->sample_ns : SAMPLE_NS;
	bool is_due = mp_clock_now_ns() - h->sampled_ns >= every || is_unseen(h);
	struct mp_look look;
	int error = mp_look(h, is_due, &look);

	mp_figures_look(h);
	error = error ?: take_want(h, &look);
	if (error || h->stop)
		return error;
	steer(h, &look);
	note_reached(h, &look);
	if (is_due)
		error = keep_books(h, &look);
	if (takes_too_long(h, look.now_ns)) {
		h->was_short = true;
		h->stop = true;
	}
	set_tick(h, !is_within(h, &look, MOVING_PCT));
	return error;
}

/* The last sample, unless what ended the run has taken with it what was held. */
static int look_back(struct mp_harness *h)
{
	struct mp_look look;
	int error;

	if (h->filler_ended || h->command.ended || !h->report.n_phases)
		return 0;
	error = mp_look(h, true, &look);
	return error ? error : mp_book_sample(h, &look);
}

/* What goes on with an earlier run is where that one was; what is another begins now. */
static uint64_t first_clock(const struct mp_harness *h)
{
	if (h->o->pattern->from_reached)
		return 0;
	return h->o->earlier_is_whole ? mp_clock_now_ns() : h->begin_ns;
}

int mp_play(struct mp_harness *h, struct mp_error *err)
{
	int error = watch(h);

	h->begin_ns = mp_clock_now_ns() - (h->o->earlier ? h->o->earlier->duration_ns : 0);
	h->clock_ns = first_clock(h);
	mp_figures_begin(h);
	while (!error && !h->stop) {
		error = step(h);
		if (!error && !h->stop)
			error = mp_loop_once(h->loop, -1);
	}
	error = error ?: look_back(h);
	mp_book_end_phase(h, mp_clock_now_ns());
	h->report.duration_ns = mp_clock_now_ns() - h->begin_ns;
	return error ? mp_fail(err, MP_EXIT_UNSUPPORTED, -error,
			       "the group under pressure cannot be read any more: %s",
			       strerror(-error))
		     : 0;
}
