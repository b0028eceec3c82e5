// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>

#include "cli/gguf.h"

int mp_gguf_load(struct mp_cli *cli, struct mp_gguf_args *args, struct mp_error *err)
{
	(void)cli;
	(void)args;
	return mp_fail(err, MP_EXIT_UNSUPPORTED, ENOSYS, "gguf load: not yet");
}
