// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/names.h"
#include "base/text.h"
#include "cli/cli.h"
#include "report/memory_report.h"

typedef const struct mp_memory_report *const *reports_t;

static void write_json(struct mp_text *out, reports_t reports, size_t n)
{
	(void)n;
	mp_report_write_json(out, reports[0]);
}

static void write_trace(struct mp_text *out, reports_t reports, size_t n)
{
	(void)n;
	mp_report_write_trace(out, reports[0]);
}

static const struct writer {
	const char *name;
	const char *extension;
	bool takes_many;
	void (*write)(struct mp_text *out, reports_t reports, size_t n);
} writers[] = {
	{"html", ".html", true, mp_report_write_html_all},
	{"csv", ".csv", true, mp_report_write_csv_all},
	/* Before json: its extension ends in that one's. */
	{"trace", ".trace.json", false, write_trace},
	{"json", ".json", false, write_json},
};

struct report_args {
	const struct writer *writer; /* NULL: as the output's name says, else html */
	const char *output;	     /* NULL: beside the first file */
};

static int set_format(void *args, const char *value, struct mp_error *err)
{
	for (size_t i = 0; i < MP_ARRAY_SIZE(writers); i++) {
		if (strcmp(writers[i].name, value) == 0) {
			((struct report_args *)args)->writer = &writers[i];
			return 0;
		}
	}
	return mp_fail(err, MP_EXIT_USAGE, EINVAL, "--format %s: it is html, csv, json or trace",
		       value);
}

static int set_output(void *args, const char *value, struct mp_error *err)
{
	if (!*value)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "--output: a file is needed, or - for standard output");
	((struct report_args *)args)->output = value;
	return 0;
}

static const struct mp_option options[] = {
	{"format", 0, "FORMAT",
	 "html, csv, json or trace (as the name of --output ends, else html)", set_format},
	{"output", 'o', "FILE", "where it goes; - is standard output (beside the first file)",
	 set_output},
};

static bool ends_in(const char *s, const char *end)
{
	size_t len = strlen(s);
	size_t n = strlen(end);

	return len >= n && strcmp(s + len - n, end) == 0;
}

static const struct writer *choose_writer(const struct report_args *args)
{
	for (size_t i = 0; !args->writer && args->output && i < MP_ARRAY_SIZE(writers); i++) {
		if (ends_in(args->output, writers[i].extension))
			return &writers[i];
	}
	return args->writer ? args->writer : &writers[0];
}

/* The first file's name with the other extension. */
static int choose_output(const char *input, const struct writer *writer, char output[PATH_MAX],
			 struct mp_error *err)
{
	const char *name = strrchr(input, '/') ? strrchr(input, '/') + 1 : input;
	const char *dot = strrchr(name, '.');
	int stem = (int)(dot && dot > name ? dot - input : (ptrdiff_t)strlen(input));

	if (ends_in(input, ".trace.json"))
		stem -= (int)strlen(".trace");
	if (snprintf(output, PATH_MAX, "%.*s%s", stem, input, writer->extension) >= PATH_MAX)
		return mp_fail(err, MP_EXIT_USAGE, ENAMETOOLONG, "%s: the name is too long", input);
	return 0;
}

static bool is_same_file(const char *a, const char *b)
{
	struct stat x;
	struct stat y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* What is read must not be lost to what is made of it. */
static int check_output(const char *output, char *const *inputs, struct mp_error *err)
{
	for (; *inputs; inputs++) {
		if (is_same_file(output, *inputs))
			return mp_fail(err, MP_EXIT_USAGE, EINVAL,
				       "%s is what is read: give another file by --output",
				       *inputs);
	}
	return 0;
}

static int put_out(const struct mp_text *text, struct mp_error *err)
{
	if (text->failed)
		return -ENOMEM;
	if (fwrite(text->data, 1, text->len, stdout) != text->len || fflush(stdout))
		return mp_fail(err, MP_EXIT_CHECK, errno, "cannot write the report: %s",
			       strerror(errno));
	return MP_EXIT_OK;
}

static int save(const struct mp_cli *cli, const char *output, const struct mp_text *text,
		struct mp_error *err)
{
	int error = mp_report_save_text(output, text, err);

	if (!error && !cli->quiet)
		printf("saved as %s\n", output);
	return error;
}

static int make_text(const struct writer *writer, char *const *inputs, size_t n,
		     struct mp_text *text, struct mp_error *err)
{
	struct mp_report_file *file;
	reports_t reports;
	size_t n_reports;
	int error = mp_report_read_all((const char *const *)inputs, n, &file, err);

	if (error)
		return error;
	reports = mp_report_all_of(file, &n_reports);
	if (n_reports > 1 && !writer->takes_many)
		error = mp_fail(err, MP_EXIT_USAGE, EINVAL,
				"--format %s holds one run, and these are %zu: html and csv "
				"take several",
				writer->name, n_reports);
	else
		writer->write(text, reports, n_reports);
	mp_report_file_free(file);
	return error;
}

static int run(struct mp_cli *cli, void *state, char **rest, struct mp_error *err)
{
	const struct report_args *args = state;
	const struct writer *writer = choose_writer(args);
	struct mp_text MP_TEXT text = {0};
	char beside[PATH_MAX];
	const char *output = args->output ? args->output : beside;
	size_t n = 0;
	int error = 0;

	while (rest[n])
		n++;
	if (n == 0)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "a file is needed: a JSON report, or a recording of attach "
			       "--record");
	if (!args->output)
		error = choose_output(rest[0], writer, beside, err);
	if (!error && strcmp(output, "-") != 0)
		error = check_output(output, rest, err);
	error = error ?: make_text(writer, rest, n, &text, err);
	if (error)
		return error;
	return strcmp(output, "-") == 0 ? put_out(&text, err) : save(cli, output, &text, err);
}

const struct mp_command mp_cmd_report = {
	.name = "report",
	.usage = "report FILE... [OPTION]...",
	.summary = "a page, a table or a trace of a run, from its report or recording",
	.details =
		"FILE is a JSON report, or what attach and run wrote with --record or as --format\n"
		"json: which one is seen from the file. Several recordings are parts of one run\n"
		"and are put together by time. Several reports become one page with a section\n"
		"each, or one CSV with a line each. A trace opens in ui.perfetto.dev.\n",
	.examples = "  memprobe-bpf report run.ndjson\n"
		    "  memprobe-bpf report logs/memory_tests/*.json --format csv -o all.csv\n"
		    "  memprobe-bpf report run.ndjson -o run.trace.json\n",
	.options = options,
	.n_options = MP_ARRAY_SIZE(options),
	.takes_rest = true,
	.mixes_rest = true,
	.size = sizeof(struct report_args),
	.run = run,
};
