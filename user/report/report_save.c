// SPDX-License-Identifier: GPL-2.0-only
/* Reports on disk: there is always a whole one. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "report/memory_report.h"

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

static int write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The rename is what makes it visible: whoever reads sees the old one or the new one, whole. */
static int replace(const char *path, const struct mp_text *text)
{
	char temporary[PATH_MAX];
	MP_CLOSE int fd = -1;
	int error;

	if ((size_t)snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path) >= sizeof(temporary))
		return -ENAMETOOLONG;
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	error = write_all(fd, text->data, text->len);
	if (!error && (fchmod(fd, 0644) || fsync(fd) || rename(temporary, path)))
		error = -errno;
	if (error)
		unlink(temporary);
	return error;
}

int mp_report_save_text(const char *path, const struct mp_text *text, struct mp_error *err)
{
	int error = text->failed ? -ENOMEM : replace(path, text);

	return error ? fail_save(err, error, path) : 0;
}

/* mkdir -p */
static int make_dir(const char *dir)
{
	char path[PATH_MAX];
	size_t len = strlen(dir);

	if (len == 0 || len >= sizeof(path))
		return len ? -ENAMETOOLONG : -ENOENT;
	memcpy(path, dir, len + 1);
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, 0755) && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return mkdir(path, 0755) && errno != EEXIST ? -errno : 0;
}

int mp_report_check_dir(const char *dir, struct mp_error *err)
{
	int error = make_dir(dir);

	/* As who this is now, not who started it. */
	if (!error && faccessat(AT_FDCWD, dir, W_OK | X_OK, AT_EACCESS))
		error = -errno;
	return error ? fail_save(err, error, dir) : 0;
}

/* Two runs of a second do not overwrite each other: the later one gets a number. */
static int choose_name(const struct mp_memory_report *r, const char *dir,
		       struct mp_report_name *name)
{
	time_t seconds = (time_t)(r->begin_realtime_ns / 1000000000);
	char stamp[32];
	struct tm tm;

	localtime_r(&seconds, &tm);
	strftime(stamp, sizeof(stamp), "%Y%m%d_%H%M%S", &tm);
	for (int n = 0; n < 1000; n++) {
		char number[16] = "";
		char path[PATH_MAX];

		if (n)
			snprintf(number, sizeof(number), "_%d", n);
		if ((size_t)snprintf(name->stem, sizeof(name->stem), "%s/%s%s_%s_memory_test", dir,
				     stamp, number, r->test_mode) >= sizeof(name->stem))
			return -ENAMETOOLONG;
		snprintf(path, sizeof(path), "%s.json", name->stem);
		if (access(path, F_OK))
			return 0;
	}
	return -EEXIST;
}

static int save_one(const struct mp_memory_report *r, size_t i, const struct mp_report_name *name,
		    struct mp_error *err)
{
	struct mp_text MP_TEXT text = {0};
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s.%s", name->stem, writers[i].extension);
	writers[i].write(&text, r);
	return mp_report_save_text(path, &text, err);
}

int mp_report_save(const struct mp_memory_report *r, const char *dir, unsigned int formats,
		   struct mp_report_name *name, struct mp_error *err)
{
	int error = make_dir(dir);

	if (!error && !name->stem[0])
		error = choose_name(r, dir, name);
	if (error)
		return fail_save(err, error, dir);
	for (size_t i = 0; i < MP_ARRAY_SIZE(writers) && !error; i++) {
		if (formats & (unsigned int)writers[i].format)
			error = save_one(r, i, name, err);
	}
	return error;
}
