/* SPDX-License-Identifier: GPL-2.0-only */
/* Shared by the files of the text view. */
#ifndef MP_REPORT_TEXTVIEW_PRIV_H
#define MP_REPORT_TEXTVIEW_PRIV_H

#include "base/size.h"
#include "report/cells.h"
#include "report/textview.h"

#define MP_VIEW_INDENT "           " /* what a time and a blank take */

static inline enum mp_color mp_view_color(const struct mp_textview *view, enum mp_color color)
{
	return view->color ? color : MP_COLOR_NONE;
}

static inline enum mp_color mp_level_color(enum mp_level level)
{
	static const enum mp_color colors[MP_LEVEL_COUNT] = {
		[MP_LEVEL_LOW] = MP_COLOR_DIM,
		[MP_LEVEL_HIGH] = MP_COLOR_YELLOW,
		[MP_LEVEL_CRITICAL] = MP_COLOR_MAGENTA,
	};

	return colors[level];
}

static inline enum mp_color mp_growth_color(int64_t bytes)
{
	if (bytes == MP_UNKNOWN_DELTA || bytes == 0)
		return MP_COLOR_NONE;
	return bytes > 0 ? MP_COLOR_RED : MP_COLOR_GREEN;
}

static inline enum mp_color mp_severity_color(enum mp_severity severity)
{
	static const enum mp_color colors[MP_SEVERITY_COUNT] = {
		[MP_SEVERITY_NORMAL] = MP_COLOR_GREEN,
		[MP_SEVERITY_WARNING] = MP_COLOR_YELLOW,
		[MP_SEVERITY_GC] = MP_COLOR_RED,
		[MP_SEVERITY_CRITICAL] = MP_COLOR_ALARM,
	};

	return colors[severity];
}

/* Unknown adds nothing; a sum that does not fit stays at the largest known number. */
static inline void mp_add_known(uint64_t *sum, uint64_t n)
{
	if (n != MP_UNKNOWN && __builtin_add_overflow(*sum, n, sum))
		*sum = MP_UNKNOWN - 1;
}

/* --- sentences (textview.c) ------------------------------------------------------ */

/* Time since the start, as lines begin with it. */
const char *mp_view_since(const struct mp_textview *view, uint64_t ts_ns, char out[MP_HUMAN_LEN]);
void mp_view_sentence(const struct mp_textview *view, struct mp_text *out, const char *lead,
		      const struct mp_text *sentence, enum mp_color color);
/* A sentence behind the time of the event. */
void mp_view_timed(const struct mp_textview *view, struct mp_text *out,
		   const struct mp_event *event, const struct mp_text *sentence,
		   enum mp_color color);
void mp_view_name(struct mp_text *t, const char *name);
/* Words, not a name: in full. */
void mp_view_words(struct mp_text *t, const char *words);
/* "name[pid]", or the cgroup for what is about a group. */
void mp_view_subject(struct mp_text *t, const char *point, uint32_t pid, const char *cgroup);
void mp_view_frames(const struct mp_textview *view, struct mp_text *out, const char *const *frames,
		    size_t n);

/* --- pressure and what is done about it (textview_pressure.c) --------------------- */

void mp_view_pressure(struct mp_textview *view, struct mp_text *out, const struct mp_event *event);
void mp_view_decision(struct mp_textview *view, struct mp_text *out, const struct mp_event *event);
void mp_view_action(struct mp_textview *view, struct mp_text *out, const struct mp_event *event);
void mp_view_oom(struct mp_textview *view, struct mp_text *out, const struct mp_event *event);
/* The line below a call that was or would be held, if it was. */
void mp_view_gate(const struct mp_textview *view, struct mp_text *out,
		  const struct mp_event_probe *e);
/* The decision's own line is the log: it is not said twice. */
bool mp_is_plain_log(const struct mp_event_action *e);

/* --- the end (textview_tally.c, textview_summary.c) ------------------------------- */

void mp_tally_count(struct mp_tally *tally, const struct mp_event *event);
/* A line each for domains, actions and OOM kills, where there were any. */
void mp_tally_put(const struct mp_textview *view, struct mp_text *out);
void mp_textview_summary(const struct mp_textview *view, struct mp_text *out,
			 const struct mp_event_summary *summary);

#endif
