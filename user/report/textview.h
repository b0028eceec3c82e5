/* SPDX-License-Identifier: GPL-2.0-only */
/* The event stream for people: 80 columns, aligned, one line an event, a table at the end. */
#ifndef MP_REPORT_TEXTVIEW_H
#define MP_REPORT_TEXTVIEW_H

#include "base/event.h"
#include "base/text.h"

struct mp_textview {
	bool color;
	bool quiet;   /* summary only */
	int verbose;  /* > 0: process events, each argument, every site */
	unsigned int width; /* columns, at least 60; 80 when not a terminal */
	uint64_t lines;	    /* event lines since the last header */
	uint64_t start_ns;
	unsigned int sites_attached;
	unsigned int sites_waiting;
	unsigned int sites_failed;
	bool header_done;
};

/* Appends the lines for one event (none for some). */
void mp_textview_write(struct mp_textview *view, struct mp_text *out, const struct mp_event *event);

#endif
