// SPDX-License-Identifier: GPL-2.0-only
/* Files that reports are made of: JSON reports, and recordings. Which one it is, is seen from it.
 */
#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "report/gather.h"
#include "report/json_read.h"
#include "report/ndjson.h"

#define MAX_REPORT_BYTES (64UL << 20)
#define MAX_RECORD_BYTES (8UL << 20)
#define MAX_DRIFT_NS 60000000000 /* between the clocks of two parts of a run */

struct mp_report_file {
	struct mp_reading *readings; /* of each JSON report */
	struct mp_memory_report *reports;
	const struct mp_memory_report **all;
	size_t n_paths, n_reports, n_all;
	struct mp_gather *gather; /* of the recordings; NULL: none yet */
	struct mp_ndjson_reader *reader;
	const char *first_part; /* the first recording, and the offset between its clocks */
	int64_t offset_ns;
};

/* One that is being read. */
struct input {
	struct mp_report_file *file;
	const char *path;
	FILE *stream;
	struct mp_text line;
	bool cut; /* the line has no newline at its end: the last one */
	uint64_t number;
	uint64_t records;
	bool has_offset;
	struct mp_error *err;
};

/* --- lines ---------------------------------------------------------------------------- */

static int fail_input(const struct input *in, int error, const char *why)
{
	return mp_fail(in->err, MP_EXIT_CONFIG, error, "%s: %s", in->path, why);
}

/* Behind what the line has already. Returns 1; 0: the file is at its end; -EFBIG, -ENOMEM … */
static int read_more(struct input *in, size_t max)
{
	size_t begin = in->line.len;
	int c = EOF;

	while (in->line.len <= max && (c = getc_unlocked(in->stream)) != EOF && c != '\n')
		mp_text_putc(&in->line, (char)c);
	if (in->line.failed)
		return -ENOMEM;
	if (in->line.len > max)
		return fail_input(in, EFBIG, "too large for a report or a recording");
	if (c == EOF && ferror(in->stream))
		return mp_fail(in->err, MP_EXIT_CONFIG, errno, "cannot read %s: %s", in->path,
			       strerror(errno));
	in->cut = c == EOF;
	in->number++;
	return c != EOF || in->line.len > begin;
}

static bool is_blank(const struct mp_text *text)
{
	return text->len == 0 || strspn(text->data, " \t\r") == text->len;
}

/* The next line that is not blank; the same returns. */
static int next_line(struct input *in, size_t max)
{
	int more;

	do {
		mp_text_reset(&in->line);
		more = read_more(in, max);
	} while (more > 0 && is_blank(&in->line));
	return more;
}

/* --- recordings ------------------------------------------------------------------------ */

static int check_clock(struct input *in, const struct mp_event *event)
{
	struct mp_report_file *f = in->file;
	int64_t offset;
	int64_t apart;

	if (in->has_offset || event->ts_ns > INT64_MAX || event->realtime_ns > INT64_MAX)
		return 0;
	in->has_offset = true;
	offset = (int64_t)event->realtime_ns - (int64_t)event->ts_ns;
	if (!f->first_part) {
		f->first_part = in->path;
		f->offset_ns = offset;
		return 0;
	}
	if (__builtin_sub_overflow(offset, f->offset_ns, &apart) || apart > MAX_DRIFT_NS ||
	    apart < -MAX_DRIFT_NS)
		return mp_fail(in->err, MP_EXIT_USAGE, EINVAL,
			       "%s is no part of the run of %s: their clocks differ", in->path,
			       f->first_part);
	return 0;
}

static int take_record(struct input *in)
{
	struct mp_error why;
	struct mp_event event;
	int error = mp_ndjson_parse(in->file->reader, in->line.data, in->line.len, &event, &why);

	/* A record of a later version; or the last line, cut off with the monitor or by a disk
	 * that was full. */
	if (error == -ENOTSUP || (error == -EBADMSG && in->cut && in->records))
		return 0;
	if (error)
		return mp_fail(in->err, MP_EXIT_CONFIG, -error, "%s:%llu: %s", in->path,
			       (unsigned long long)in->number, why.text);
	in->records++;
	error = check_clock(in, &event);
	return error ? error : mp_gather_event(in->file->gather, &event);
}

static int read_recording(struct input *in)
{
	struct mp_report_file *f = in->file;
	int more = 1;
	int error = 0;

	f->gather = f->gather ?: mp_gather_new();
	f->reader = f->reader ?: mp_ndjson_reader_new();
	if (!f->gather || !f->reader)
		return -ENOMEM;
	while (more > 0 && !error) {
		error = take_record(in);
		more = error ? 0 : next_line(in, MAX_RECORD_BYTES);
	}
	error = error ?: more;
	if (!error && !in->records)
		return fail_input(in, EBADMSG, "holds no record that this version knows");
	return error;
}

/* --- reports --------------------------------------------------------------------------- */

static int parse_report(struct input *in)
{
	struct mp_report_file *f = in->file;
	struct mp_error why = {.exit_code = MP_EXIT_CONFIG};
	int error = mp_report_parse(&f->readings[f->n_reports], in->line.data, in->line.len,
				    &f->reports[f->n_reports], &why);

	if (error)
		return mp_fail(in->err, why.exit_code, -error, "%s: %s", in->path, why.text);
	f->all[f->n_all++] = &f->reports[f->n_reports++];
	return 0;
}

/* The rest of the file belongs to it, too. */
static int read_report(struct input *in)
{
	int more = !in->cut;

	while (more > 0) {
		mp_text_putc(&in->line, '\n');
		more = read_more(in, MAX_REPORT_BYTES);
	}
	return more < 0 ? more : parse_report(in);
}

/* A record says so in its first line; a report may stand on many. */
static bool is_record(const struct mp_text *line)
{
	struct mp_reading reading = {0};
	struct mp_error why;
	struct mp_fields o;
	bool is_one;

	mp_reading_load(&reading, line->data, line->len, &why);
	o = mp_reading_root(&reading);
	is_one = mp_fields_value(&o, "type") && !mp_fields_value(&o, "schema_version");
	mp_reading_free(&reading);
	return is_one;
}

static int read_input(struct input *in)
{
	int more = next_line(in, MAX_REPORT_BYTES);

	if (more < 0)
		return more;
	if (more == 0)
		return fail_input(in, EBADMSG, "is empty");
	return is_record(&in->line) ? read_recording(in) : read_report(in);
}

static int read_path(struct mp_report_file *f, const char *path, struct mp_error *err)
{
	MP_FCLOSE FILE *stream = fopen(path, "re");
	struct input in = {.file = f, .path = path, .stream = stream, .err = err};
	int error;

	if (!stream)
		return mp_fail(err, MP_EXIT_USAGE, errno, "cannot open %s: %s", path,
			       strerror(errno));
	error = read_input(&in);
	mp_text_free(&in.line);
	return error;
}

/* --- all of them ------------------------------------------------------------------------- */

static int read_paths(struct mp_report_file *f, const char *const *paths, size_t n,
		      struct mp_error *err)
{
	int error = 0;

	f->n_paths = n;
	f->readings = calloc(n, sizeof(*f->readings));
	f->reports = calloc(n, sizeof(*f->reports));
	f->all = calloc(n + 1, sizeof(const struct mp_memory_report *));
	if (!f->readings || !f->reports || !f->all)
		return -ENOMEM;
	for (size_t i = 0; i < n && !error; i++)
		error = read_path(f, paths[i], err);
	if (error || !f->gather)
		return error;
	f->all[f->n_all] = mp_gather_report(f->gather);
	return f->all[f->n_all++] ? 0 : -ENOMEM;
}

int mp_report_read_all(const char *const *paths, size_t n, struct mp_report_file **ret,
		       struct mp_error *err)
{
	struct mp_report_file *f = calloc(1, sizeof(*f));
	int error = f && n ? read_paths(f, paths, n, err) : -ENOMEM;

	if (error) {
		mp_report_file_free(f);
		return error;
	}
	*ret = f;
	return 0;
}

int mp_report_read(const char *path, struct mp_report_file **ret, struct mp_error *err)
{
	return mp_report_read_all(&path, 1, ret, err);
}

const struct mp_memory_report *mp_report_of(const struct mp_report_file *f)
{
	return f->all[0];
}

const struct mp_memory_report *const *mp_report_all_of(const struct mp_report_file *f,
						       size_t *ret_n)
{
	*ret_n = f->n_all;
	return f->all;
}

void mp_report_file_free(struct mp_report_file *f)
{
	if (!f)
		return;
	for (size_t i = 0; f->readings && i < f->n_paths; i++)
		mp_reading_free(&f->readings[i]);
	free(f->readings);
	free(f->reports);
	free(f->all);
	mp_gather_free(f->gather);
	mp_ndjson_reader_free(f->reader);
	free(f);
}
