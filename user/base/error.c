// SPDX-License-Identifier: GPL-2.0-only
#include "base/error.h"

#include <stdarg.h>

#include "base/text.h"

int mp_fail(struct mp_error *err, enum mp_exit exit_code, int errnum, const char *fmt, ...)
{
	char raw[sizeof(err->text)];
	va_list ap;

	if (!err)
		return -errnum;
	va_start(ap, fmt);
	vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	err->exit_code = exit_code;
	mp_text_clean(raw, err->text, sizeof(err->text));
	return -errnum;
}
