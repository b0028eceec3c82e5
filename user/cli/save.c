// SPDX-License-Identifier: GPL-2.0-only
#include "cli/save.h"

#include <errno.h>
#include <string.h>

#include "base/names.h"

int mp_save_set_format(struct mp_save_args *args, const char *value, struct mp_error *err)
{
	static const char *const names[] = {"json", "csv", "html", "all"};
	static const unsigned int formats[] = {MP_REPORT_JSON, MP_REPORT_CSV, MP_REPORT_HTML,
					       MP_REPORT_ALL};
	int format = mp_name_find(names, MP_ARRAY_SIZE(names), value);

	if (format < 0)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "--report-format %s: it is json, csv, html or all", value);
	args->formats |= formats[format];
	return 0;
}

static const char *dir_of(const struct mp_save_args *args)
{
	return args->dir ? args->dir : MP_SAVE_DIR;
}

int mp_save_prepare(const struct mp_save_args *args, struct mp_error *err)
{
	return args->save ? mp_report_check_dir(dir_of(args), err) : 0;
}

int mp_save_report(const struct mp_cli *cli, const struct mp_save_args *args,
		   const struct mp_memory_report *r, struct mp_report_name *name,
		   struct mp_error *err)
{
	unsigned int formats = args->formats ? args->formats : MP_REPORT_ALL;
	char extensions[32];
	int error;

	if (!args->save)
		return 0;
	error = mp_report_save(r, dir_of(args), formats, name, err);
	if (error || cli->quiet)
		return error;
	snprintf(extensions, sizeof(extensions), "%s%s%s", formats & MP_REPORT_JSON ? ",json" : "",
		 formats & MP_REPORT_CSV ? ",csv" : "", formats & MP_REPORT_HTML ? ",html" : "");
	fprintf(args->keep_stdout ? stderr : stdout,
		strchr(extensions + 1, ',') ? "saved as %s.{%s}\n" : "saved as %s.%s\n", name->stem,
		extensions + 1);
	return 0;
}
