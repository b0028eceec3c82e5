// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>

#include "action/report.h"
#include "action/symbolize.h"
#include "base/clock.h"
#include "base/text.h"

#define NO_STACK "no stack was captured for this event"

static void describe(struct mp_text *out, int err, const struct mp_frames *frames)
{
	if (err == -ESRCH)
		mp_text_puts(out, "the process is gone: addresses only");
	else if (err)
		mp_text_printf(out, "its mappings cannot be read (%s): addresses only",
			       strerror(-err));
	else if (frames->n_named < frames->n)
		mp_text_printf(out, "%zu of %zu frames have no symbol", frames->n - frames->n_named,
			       frames->n);
}

int mp_stack_run(struct mp_actions *actions, const struct mp_action_request *request)
{
	const struct mp_event_probe *probe = &request->cause->probe;
	struct mp_action_origin origin = mp_action_origin(request);
	struct mp_action_outcome outcome = {.result = MP_RESULT_DONE};
	struct mp_frames MP_FRAMES frames = {0};
	struct mp_text MP_TEXT detail = {0};
	uint64_t start_ns = mp_clock_now_ns();
	int err;

	if (request->cause->type != MP_EVENT_PROBE || probe->n_stack == 0) {
		mp_action_report_now(actions, request, MP_RESULT_SKIPPED, NO_STACK);
		return 0;
	}
	/* A return probe fires with the caller's return address as its own. */
	err = mp_symbolize(actions->symbolizer, (pid_t)probe->pid, probe->stack, probe->n_stack,
			   probe->phase == MP_PHASE_EXIT, &frames);
	if (frames.n == 0)
		return err;
	describe(&detail, err, &frames);
	outcome.ended_ns = mp_clock_now_ns();
	outcome.duration_ns = outcome.ended_ns - start_ns;
	outcome.detail = detail.data;
	outcome.stack = (const char *const *)frames.text;
	outcome.n_stack = frames.n;
	mp_action_report(actions, &origin, &outcome);
	return 0;
}
