/* SPDX-License-Identifier: GPL-2.0-only */
/* The event stream for people: 80 columns, aligned, one line an event, a table at the end. */
#ifndef MP_REPORT_TEXTVIEW_H
#define MP_REPORT_TEXTVIEW_H

#include "base/event.h"
#include "base/text.h"

/* What there was of pressure, for the summary. Fixed room; what has none is counted together. */
#define MP_TALLY_ROWS 16
struct mp_tally_domain {
	char name[512];
	uint64_t incidents;
	uint64_t last_incident;
	enum mp_severity worst;
};
struct mp_tally_action {
	char name[128];
	uint64_t results[MP_RESULT_COUNT];
	uint64_t freed_bytes;
};
struct mp_tally {
	struct mp_tally_domain domains[MP_TALLY_ROWS];
	size_t n_domains;
	uint64_t other_pressure; /* records of further domains */
	struct mp_tally_action actions[MP_TALLY_ROWS];
	size_t n_actions;
	uint64_t other_actions;
	uint64_t oom_kills;
	uint64_t oom_targets; /* of them */
};

/* Set the first part, zero the rest. */
struct mp_textview {
	bool color;	    /* a terminal: colors, and the header again now and then */
	bool quiet;	    /* summary only */
	int verbose;	    /* > 0: process events, each argument, every site */
	unsigned int width; /* columns, taken as 60 when fewer; 80 when not a terminal */

	bool started; /* start_ns is set: by the first event */
	uint64_t start_ns;
	bool header_done;
	uint64_t lines; /* event lines since the last header */
	unsigned int sites_attached;
	unsigned int sites_waiting;
	unsigned int sites_failed;
	unsigned int sites_told; /* of all three, in the last line that counted them */
	struct mp_tally tally;
};

/* Appends the lines for one event (none for some). */
void mp_textview_write(struct mp_textview *view, struct mp_text *out, const struct mp_event *event);
/*
 * Appends the line that counts the sites seen since the last such line, if any. The next event
 * brings it along; whoever knows that attaching is through may have it earlier.
 */
void mp_textview_tell_sites(struct mp_textview *view, struct mp_text *out);

#endif
