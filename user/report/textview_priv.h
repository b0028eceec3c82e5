/* SPDX-License-Identifier: GPL-2.0-only */
/* Shared by the files of the text view. */
#ifndef MP_REPORT_TEXTVIEW_PRIV_H
#define MP_REPORT_TEXTVIEW_PRIV_H

#include "report/cells.h"
#include "report/textview.h"

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

void mp_textview_summary(const struct mp_textview *view, struct mp_text *out,
			 const struct mp_event_summary *summary);

#endif
