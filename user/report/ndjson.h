/* SPDX-License-Identifier: GPL-2.0-only */
/* The event stream as one JSON object a line: --format json, --record, --replay. */
#ifndef MP_REPORT_NDJSON_H
#define MP_REPORT_NDJSON_H

#include "base/error.h"
#include "base/event.h"
#include "base/text.h"

/* Appends the event and a newline. Field names and order as in docs/events.md. */
void mp_ndjson_write(struct mp_text *out, const struct mp_event *event);

struct mp_ndjson_reader;			     /* owns the strings of the event last read */
struct mp_ndjson_reader *mp_ndjson_reader_new(void); /* NULL: no memory */
void mp_ndjson_reader_free(struct mp_ndjson_reader *reader);

/*
 * Parses one line. Returns 0; -ENOTSUP for a record type or version that is not
 * known (the caller may skip it); -EBADMSG with field or column in `err`; -ENOMEM.
 * Unknown fields are ignored, absent ones are unknown; names of levels, phases
 * and the like must be there. The event's strings live until the next call, and
 * are as they were before writing: written again, the event gives the same line.
 */
int mp_ndjson_parse(struct mp_ndjson_reader *reader, const char *line, size_t len,
		    struct mp_event *ret, struct mp_error *err);

#endif
