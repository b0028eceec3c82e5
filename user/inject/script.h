/* SPDX-License-Identifier: GPL-2.0-only */
/* The Python code that gets into a target, and its configuration. */
#ifndef MP_INJECT_SCRIPT_H
#define MP_INJECT_SCRIPT_H

#include "base/text.h"
#include "config/points.h"

/* user/python/memprobe/_inject.py, sitecustomize.py, and memprobe-marker.so, as they were built. */
struct mp_blob {
	const char *data;
	size_t len;
};
struct mp_blob mp_script_source(void);
struct mp_blob mp_script_sitecustomize(void);
struct mp_blob mp_script_marker(void);

/* Files of the folder that a script is in. */
#define MP_SCRIPT_SOURCE "inject.py" /* mp_script_source() */
#define MP_SCRIPT_INSTALL "install.py"
#define MP_SCRIPT_REMOVE "remove.py"
#define MP_SCRIPT_LOCK "monitor"
#define MP_SCRIPT_RESULT "result.json"
#define MP_SCRIPT_REMOVED "removed.json"
#define MP_SCRIPT_AGAIN                                                                            \
	"again" /* it came in the middle of an import of what it needs: try again                  \
		 */

#define MP_SCRIPT_TOKEN 33 /* of 16 random bytes, with the NUL */
int mp_script_make_token(char out[MP_SCRIPT_TOKEN]);

struct mp_script_config {
	const struct mp_points *points;
	const char *token;
	const char *result; /* path, as the target sees it */
	const char *marker; /* a path; NULL: the library itself, to be loaded from memory */
};

/* What install() takes, as JSON. -ENOMEM. */
int mp_script_config_json(const struct mp_script_config *config, struct mp_text *out);

/*
 * Has the points wrapped, unless the monitor is gone by then: that it holds a lock on a file
 * in `folder` no more. Then the folder is removed, and nothing else is done.
 */
int mp_script_install(const struct mp_script_config *config, const char *folder,
		      struct mp_text *out);
/* Takes out what the one before put in. */
int mp_script_remove(const char *token, const char *folder, struct mp_text *out);

/* What the folder is, for who finds it. */
void mp_script_readme(pid_t pid, struct mp_text *out);

#endif
