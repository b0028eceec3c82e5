// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any line is parsed or refused; what was parsed can be written, read again
 * and written the same; and every view of it keeps to its columns.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "report/ndjson.h"
#include "report/textview.h"

#define VIEW_WIDTH 60

static void check(int holds)
{
	if (!holds)
		abort();
}

static void check_text(const struct mp_event *event)
{
	struct mp_textview view = {.width = VIEW_WIDTH, .verbose = 1};
	const struct mp_event summary = {.type = MP_EVENT_SUMMARY};
	MP_TEXT struct mp_text out = {0};

	mp_textview_write(&view, &out, event);
	mp_textview_write(&view, &out, &summary);
	for (char *line = out.data; line && *line;) {
		char *end = strchr(line, '\n');

		check(end != NULL);
		*end = '\0';
		check(mp_text_width(line) <= VIEW_WIDTH);
		line = end + 1;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mp_ndjson_reader *reader = mp_ndjson_reader_new();
	MP_TEXT struct mp_text first = {0};
	MP_TEXT struct mp_text second = {0};
	struct mp_event event;
	struct mp_error err;

	if (mp_ndjson_parse(reader, (const char *)data, size, &event, &err) == 0) {
		mp_ndjson_write(&first, &event);
		check_text(&event);
		check(mp_ndjson_parse(reader, first.data, first.len, &event, &err) == 0);
		mp_ndjson_write(&second, &event);
		check(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
	}
	mp_ndjson_reader_free(reader);
	return 0;
}
