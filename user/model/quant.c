// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>

#include "model/quant.h"

int mp_quant_parse_list(const char *text, const struct mp_quant_level ***ret, size_t *ret_n,
			struct mp_error *err)
{
	(void)ret;
	(void)ret_n;
	return mp_fail(err, MP_EXIT_UNSUPPORTED, ENOSYS, "%s: not yet", text);
}
