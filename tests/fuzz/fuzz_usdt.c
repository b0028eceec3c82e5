// SPDX-License-Identifier: GPL-2.0-only
/* Any bytes as a .note.stapsdt section, as an argument string, and as a mangled name. */
#include "elf/elf_file.h"

#include <string.h>

static void use_args(const char *args)
{
	struct mp_usdt_arg arg;
	struct mp_error err;

	for (unsigned int i = 0; i <= 12; i++) {
		if (mp_usdt_parse_arg(args, i, &arg, &err))
			continue;
		if (arg.kind == MP_USDT_NONE || arg.kind > MP_USDT_SIB || arg.bytes == 0 ||
		    arg.bytes > 8 || arg.reg % 8 || arg.index_reg % 8)
			abort();
	}
}

static int use_note(void *data, const struct mp_usdt_note *note)
{
	(void)data;
	use_args(note->args);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	MP_FREE char *text = malloc(size + 1);

	memcpy(text, data, size);
	text[size] = '\0';
	mp_usdt_parse_notes(data, size, true, use_note, NULL);
	mp_usdt_parse_notes(data, size, false, use_note, NULL);
	use_args(text);
	free(mp_demangle(text, true));
	free(mp_demangle(text, false));
	return 0;
}
