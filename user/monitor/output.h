/* SPDX-License-Identifier: GPL-2.0-only */
/* Where events go: standard output as text or JSON, and a recording. */
#ifndef MP_MONITOR_OUTPUT_H
#define MP_MONITOR_OUTPUT_H

#include <stdbool.h>

#include "base/error.h"
#include "base/event.h"

enum mp_format {
	MP_FORMAT_TEXT = 0,
	MP_FORMAT_JSON,
};

struct mp_output_options {
	enum mp_format format;
	bool color;
	bool quiet; /* summary only */
	int verbose;
	const char *record_path; /* NULL: no recording */
};

struct mp_output;

int mp_output_new(const struct mp_output_options *options, struct mp_output **ret,
		  struct mp_error *err);

/* Never blocks: an event that finds its queue full is dropped and counted. */
void mp_output_event(struct mp_output *output, const struct mp_event *event);
/* The same, but waits a while for room: for the summary. */
void mp_output_last(struct mp_output *output, const struct mp_event *event);

/* Lines dropped since the start: of standard output and of the recording. */
uint64_t mp_output_dropped(const struct mp_output *output);
uint64_t mp_output_record_dropped(const struct mp_output *output);

/* Whether nobody reads standard output any more. */
bool mp_output_closed(const struct mp_output *output);

/* Writes out what waits, for at most some seconds. A recording that could not be written is an
 * error. */
int mp_output_free(struct mp_output *output, struct mp_error *err);

#endif
