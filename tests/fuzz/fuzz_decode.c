// SPDX-License-Identifier: GPL-2.0-only
/* Any bytes are a record or refused; the event of a record is a line that can be read back. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "report/ndjson.h"
#include "source/decode.h"

static struct mp_point items[] = {
	{.name = (char *)"plain"},
	{
		.name = (char *)"all",
		.level = MP_LEVEL_CRITICAL,
		.args = {{1, (char *)"u", MP_ARG_U64},
			 {2, (char *)"bytes", MP_ARG_S64},
			 {3, (char *)"text", MP_ARG_STR},
			 {4, (char *)"p", MP_ARG_PTR},
			 {5, (char *)"more", MP_ARG_STR},
			 {6, (char *)"last", MP_ARG_STR}},
		.n_args = 6,
		.has_ret = true,
		.ret_name = (char *)"result",
		.ret_type = MP_ARG_PTR,
	},
	{
		.name = (char *)"string",
		.level = MP_LEVEL_HIGH,
		.args = {{1, (char *)"text", MP_ARG_STR}},
		.n_args = 1,
		.has_ret = true,
		.ret_name = (char *)"result",
		.ret_type = MP_ARG_STR,
	},
};
static struct mp_point declared[MP_SPARE_POINTS] = {
	[1] = {.name = (char *)"declared", .level = MP_LEVEL_HIGH}};
static const struct mp_points points = {
	.items = items, .n = MP_ARRAY_SIZE(items), .declared = declared};

static void check(int holds)
{
	if (!holds)
		abort();
}

/* One line, which gives the same line again once it was read. */
static void check_line(const struct mp_event *event)
{
	struct mp_ndjson_reader *reader = mp_ndjson_reader_new();
	MP_TEXT struct mp_text line = {0};
	MP_TEXT struct mp_text again = {0};
	struct mp_event read;

	mp_ndjson_write(&line, event);
	check(line.len > 1 && !line.failed);
	check(memchr(line.data, '\n', line.len) == line.data + line.len - 1);
	check(mp_ndjson_parse(reader, line.data, line.len, &read, NULL) == 0);
	check(read.type == event->type);
	mp_ndjson_write(&again, &read);
	check(again.len == line.len && memcmp(again.data, line.data, line.len) == 0);
	mp_ndjson_reader_free(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A record in the ring is aligned; the sanitizer watches its end. */
	MP_FREE void *record = malloc(size ? size : 1);
	struct mp_decoded d;

	memcpy(record, data, size);
	if (mp_decode(record, size, &points, &d) == 0) {
		if (d.event.type == MP_EVENT_PROBE)
			mp_decode_working_set(&d.event.probe, d.limit_cgroup_id == 0, d.reclaimable,
					      d.cgroup_id);
		if (d.event.type == MP_EVENT_PRESSURE)
			mp_decode_pressure_working_set(&d.event.pressure, d.limit_cgroup_id == 0,
						       d.reclaimable);
		/* Years that can be written in four digits and read back. */
		d.event.realtime_ns = d.event.ts_ns % (1ULL << 63);
		check_line(&d.event);
	}
	return 0;
}
