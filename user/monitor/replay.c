// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "monitor/monitor.h"
#include "monitor/pipeline.h"
#include "report/ndjson.h"

struct replay {
	const char *path;
	FILE *file;
	struct mp_ndjson_reader *reader;
	struct mp_pipeline pipeline;
	uint64_t line;
};

/* What the policy decided then is decided anew; what was done then has happened. */
static void feed_event(struct replay *r, struct mp_event *event)
{
	if (event->type == MP_EVENT_ACTION)
		mp_pipeline_note(&r->pipeline, event);
	else if (event->type != MP_EVENT_DECISION)
		mp_pipeline_feed(&r->pipeline, event);
}

static int feed_line(struct replay *r, const char *line, size_t len, struct mp_error *err)
{
	struct mp_error why;
	struct mp_event event;
	int error = mp_ndjson_parse(r->reader, line, len, &event, &why);

	if (error == -ENOTSUP)
		return 0;
	if (error)
		return mp_fail(err, MP_EXIT_CONFIG, -error, "%s:%llu: %s", r->path,
			       (unsigned long long)r->line, why.text);
	feed_event(r, &event);
	return 0;
}

static int feed_all(struct replay *r, struct mp_error *err)
{
	MP_FREE char *line = NULL;
	size_t cap = 0;
	ssize_t len;

	while ((len = getline(&line, &cap, r->file)) > 0) {
		int error;

		r->line++;
		while (len && (line[len - 1] == '\n' || line[len - 1] == '\r'))
			len--;
		if (len == 0)
			continue;
		error = feed_line(r, line, (size_t)len, err);
		if (error)
			return error;
	}
	if (ferror(r->file))
		return mp_fail(err, MP_EXIT_CONFIG, errno, "--replay: cannot read %s: %s", r->path,
			       strerror(errno));
	if (r->line == 0)
		return mp_fail(err, MP_EXIT_CONFIG, EBADMSG, "%s: the recording is empty", r->path);
	return 0;
}

/* Recording over it would empty it before it is read. */
static bool is_file(FILE *file, const char *path)
{
	struct stat opened;
	struct stat named;

	return path && fstat(fileno(file), &opened) == 0 && stat(path, &named) == 0 &&
	       opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

int mp_monitor_replay(const char *path, const struct mp_policy *policy,
		      const struct mp_output_options *options, struct mp_error *err)
{
	MP_FCLOSE FILE *file = fopen(path, "re");
	struct replay r = {.path = path, .file = file};
	struct mp_pipeline_options o = {.dry_run = true, .actions.policy = policy};
	struct mp_output *output = NULL;
	int error;

	if (!file)
		return mp_fail(err, MP_EXIT_USAGE, errno, "--replay: cannot open %s: %s", path,
			       strerror(errno));
	if (is_file(file, options->record_path))
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "--record %s is what --replay reads: name another file",
			       options->record_path);
	error = mp_output_new(options, &output, err);
	if (error)
		return error;
	r.reader = mp_ndjson_reader_new();
	o.output = output;
	error = mp_pipeline_init(&r.pipeline, &o);
	if (!error)
		error = r.reader ? feed_all(&r, err) : -ENOMEM;
	mp_pipeline_end(&r.pipeline);
	mp_ndjson_reader_free(r.reader);
	return error ? (mp_output_free(output, NULL), error) : mp_output_free(output, err);
}
