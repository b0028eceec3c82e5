/* SPDX-License-Identifier: GPL-2.0-only */
/* --save-report, --report-format, --output-dir: of every command that makes a report. */
#ifndef MP_CLI_SAVE_H
#define MP_CLI_SAVE_H

#include "cli/cli.h"
#include "report/memory_report.h"

#define MP_SAVE_DIR "logs/memory_tests"

struct mp_save_args {
	bool save;
	unsigned int formats; /* 0: all */
	const char *dir;      /* NULL: logs/memory_tests */
	bool keep_stdout;     /* where it is saved is told on standard error: the other has data */
};

int mp_save_set_format(struct mp_save_args *args, const char *value, struct mp_error *err);
/* Makes the folder, before what is to be reported begins: exit code 4 where nothing can be saved.
 */
int mp_save_prepare(const struct mp_save_args *args, struct mp_error *err);
/* Saves when that was asked for, and says where, unless quiet. */
int mp_save_report(const struct mp_cli *cli, const struct mp_save_args *args,
		   const struct mp_memory_report *r, struct mp_report_name *name,
		   struct mp_error *err);

#endif
