// SPDX-License-Identifier: GPL-2.0-only
#include "monitor/output.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>

#include "report/ndjson.h"
#include "report/sink.h"
#include "report/textview.h"

#define QUEUE_BYTES (1U << 20)
/* Kept for decisions, actions and losses when a flood of probe events fills the queue. */
#define RESERVED_BYTES (QUEUE_BYTES / 8)
#define PATIENCE_MS 5000 /* how long the end waits for a slow reader */

struct mp_output {
	enum mp_format format;
	struct mp_textview view;
	struct mp_sink *out;
	struct mp_sink *record;
	char *record_path;
	int record_fd;
	struct mp_text text;
	struct mp_text json;
};

static unsigned int terminal_width(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || size.ws_col < 60)
		return 80;
	return size.ws_col;
}

static int open_record(struct mp_output *o, const char *path, struct mp_error *err)
{
	o->record_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (o->record_fd < 0)
		return mp_fail(err, MP_EXIT_USAGE, errno, "--record: cannot create %s: %s", path,
			       strerror(errno));
	o->record_path = strdup(path);
	o->record = mp_sink_new(o->record_fd, QUEUE_BYTES);
	return o->record && o->record_path ? 0 : -ENOMEM;
}

int mp_output_new(const struct mp_output_options *options, struct mp_output **ret,
		  struct mp_error *err)
{
	struct mp_output *o = calloc(1, sizeof(*o));
	int error;

	if (!o)
		return -ENOMEM;
	o->record_fd = -1;
	o->format = options->format;
	o->view.color = options->color;
	o->view.quiet = options->quiet;
	o->view.verbose = options->verbose;
	o->view.width = terminal_width();
	o->out = mp_sink_new(STDOUT_FILENO, QUEUE_BYTES);
	error = o->out ? 0 : -ENOMEM;
	if (!error && options->record_path)
		error = open_record(o, options->record_path, err);
	if (error) {
		mp_output_free(o, NULL);
		return error;
	}
	*ret = o;
	return 0;
}

/* What may be cut short was: half a line is no line. */
static void put(struct mp_sink *sink, const struct mp_text *text, size_t leave, bool wait)
{
	if (text->len == 0 || text->failed)
		return;
	if (wait)
		mp_sink_put_wait(sink, text->data, text->len, PATIENCE_MS);
	else
		mp_sink_put(sink, text->data, text->len, leave);
}

static void write_event(struct mp_output *o, const struct mp_event *event, bool wait)
{
	const struct mp_text *line = &o->json;
	size_t leave = event->type == MP_EVENT_PROBE ? RESERVED_BYTES : 0;

	if (o->format == MP_FORMAT_JSON || o->record) {
		mp_text_reset(&o->json);
		mp_ndjson_write(&o->json, event);
	}
	if (o->format == MP_FORMAT_TEXT) {
		mp_text_reset(&o->text);
		mp_textview_write(&o->view, &o->text, event);
		line = &o->text;
	}
	put(o->out, line, leave, wait);
	if (o->record)
		put(o->record, &o->json, leave, wait);
}

void mp_output_event(struct mp_output *o, const struct mp_event *event)
{
	write_event(o, event, false);
}

void mp_output_last(struct mp_output *o, const struct mp_event *event)
{
	write_event(o, event, true);
}

uint64_t mp_output_dropped(const struct mp_output *o)
{
	return mp_sink_dropped(o->out);
}

uint64_t mp_output_record_dropped(const struct mp_output *o)
{
	return o->record ? mp_sink_dropped(o->record) : 0;
}

bool mp_output_closed(const struct mp_output *o)
{
	return mp_sink_error(o->out) == -EPIPE;
}

int mp_output_free(struct mp_output *o, struct mp_error *err)
{
	int error = 0;

	if (!o)
		return 0;
	if (o->out)
		mp_sink_free(o->out, PATIENCE_MS);
	if (o->record) {
		error = mp_sink_free(o->record, PATIENCE_MS);
		if (error)
			mp_fail(err, MP_EXIT_CHECK, -error,
				"--record: %s is incomplete: %s: make room or choose another place",
				o->record_path, strerror(-error));
	}
	if (o->record_fd >= 0)
		close(o->record_fd);
	free(o->record_path);
	mp_text_free(&o->text);
	mp_text_free(&o->json);
	free(o);
	return error;
}
