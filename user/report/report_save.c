// SPDX-License-Identifier: GPL-2.0-only
/* Reports on disk: there is always a whole one. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "report/memory_report.h"

#define MAX_NUMBER 1000 /* of reports of one second */

static const struct {
	enum mp_report_format format;
	const char *extension;
	void (*write)(struct mp_text *out, const struct mp_memory_report *r);
} writers[] = {
	{MP_REPORT_JSON, "json", mp_report_write_json},
	{MP_REPORT_CSV, "csv", mp_report_write_csv},
	{MP_REPORT_HTML, "html", mp_report_write_html},
	{MP_REPORT_TRACE, "trace.json", mp_report_write_trace},
};

static int fail_save(struct mp_error *err, int error, const char *path)
{
	bool is_denied = error == -EACCES || error == -EPERM || error == -EROFS;

	return mp_fail(err, is_denied ? MP_EXIT_PRIVILEGE : MP_EXIT_CHECK, -error,
		       "cannot save the report: %s: %s%s", path, strerror(-error),
		       error == -ENOSPC ? ": make room, or give another --output-dir" : "");
}

int mp_report_save_text(const char *path, const struct mp_text *text, struct mp_error *err)
{
	int error = text->failed ? -ENOMEM : mp_file_replace(path, text->data, text->len, 0644);

	return error ? fail_save(err, error, path) : 0;
}

int mp_report_check_dir(const char *dir, struct mp_error *err)
{
	int error = mp_make_dirs(dir);

	/* As who this is now, not who started it. */
	if (!error && faccessat(AT_FDCWD, dir, W_OK | X_OK, AT_EACCESS))
		error = -errno;
	return error ? fail_save(err, error, dir) : 0;
}

static bool is_taken(const char *stem)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < MP_ARRAY_SIZE(writers); i++) {
		snprintf(path, sizeof(path), "%s.%s", stem, writers[i].extension);
		if (access(path, F_OK) == 0)
			return true;
	}
	return false;
}

/* The first free one from `*number` on: a later run of the same second gets a number. */
static int choose_name(const struct mp_memory_report *r, const char *dir, int *number,
		       struct mp_report_name *name)
{
	time_t seconds = (time_t)(r->begin_realtime_ns / 1000000000);
	char stamp[32];
	struct tm tm;

	localtime_r(&seconds, &tm);
	strftime(stamp, sizeof(stamp), "%Y%m%d_%H%M%S", &tm);
	for (; *number < MAX_NUMBER; ++*number) {
		char suffix[16] = "";

		if (*number)
			snprintf(suffix, sizeof(suffix), "_%d", *number);
		if ((size_t)snprintf(name->stem, sizeof(name->stem), "%s/%s%s_%s_memory_test", dir,
				     stamp, suffix, r->test_mode) >= sizeof(name->stem))
			return -ENAMETOOLONG;
		if (!is_taken(name->stem))
			return 0;
	}
	return -EEXIST;
}

static int save_one(const struct mp_memory_report *r, size_t i, const struct mp_report_name *name,
		    bool is_new, struct mp_error *err)
{
	struct mp_text MP_TEXT text = {0};
	char path[PATH_MAX];
	int error;

	snprintf(path, sizeof(path), "%s.%s", name->stem, writers[i].extension);
	writers[i].write(&text, r);
	error = text.failed ? -ENOMEM
			    : (is_new ? mp_file_create : mp_file_replace)(path, text.data, text.len,
									  0644);
	if (error == -EEXIST)
		return error;
	return error ? fail_save(err, error, path) : 0;
}

/* The first file takes the name; another process may have been faster. */
static int save_first(const struct mp_memory_report *r, const char *dir, size_t i,
		      struct mp_report_name *name, struct mp_error *err)
{
	int number = 0;
	int error;

	do {
		error = choose_name(r, dir, &number, name);
		if (error)
			return fail_save(err, error, dir);
		error = save_one(r, i, name, true, err);
	} while (error == -EEXIST);
	if (error)
		name->stem[0] = '\0';
	return error;
}

int mp_report_save(const struct mp_memory_report *r, const char *dir, unsigned int formats,
		   struct mp_report_name *name, struct mp_error *err)
{
	int error = mp_make_dirs(dir);

	if (error)
		return fail_save(err, error, dir);
	for (size_t i = 0; i < MP_ARRAY_SIZE(writers) && !error; i++) {
		if (!(formats & (unsigned int)writers[i].format))
			continue;
		if (name->stem[0])
			error = save_one(r, i, name, false, err);
		else
			error = save_first(r, dir, i, name, err);
	}
	return error;
}
