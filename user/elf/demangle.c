// SPDX-License-Identifier: GPL-2.0-only
#include "elf/elf_internal.h"

/* libiberty declares its own basename() unless told that there is one. */
#define HAVE_DECL_BASENAME 1
#include <libiberty/demangle.h>
#include <setjmp.h>
#include <string.h>

#include "base/text.h"

/* Longer names are shown as they are in the file. */
#define MAX_MANGLED 2048
#define MAX_DEMANGLED (16 << 10)

struct output {
	struct mp_text text;
	jmp_buf give_up;
};

/*
 * Substitutions double with every few bytes: 230 bytes can print 142 MB, and
 * the file is not trusted. libiberty can only be stopped from here; the
 * demanglers with callbacks keep nothing on the heap that would be lost.
 */
static void take_output(const char *text, size_t len, void *opaque)
{
	struct output *out = opaque;

	mp_text_add(&out->text, text, len);
	if (out->text.failed || out->text.len > MAX_DEMANGLED)
		longjmp(out->give_up, 1);
}

bool mp_is_mangled(const char *name)
{
	return name[0] == '_' && (name[1] == 'Z' || name[1] == 'R');
}

static int run_demanglers(const char *name, int options, struct output *out)
{
	if (setjmp(out->give_up))
		return 0;
	if (rust_demangle_callback(name, options, take_output, out))
		return 1;
	mp_text_reset(&out->text);
	return cplus_demangle_v3_callback(name, options, take_output, out);
}

char *mp_demangle_as(const char *name, enum mp_demangle_style style)
{
	static const int options[] = {
		[MP_DEMANGLE_FULL] = DMGL_PARAMS | DMGL_ANSI,
		[MP_DEMANGLE_NO_RETURN] = DMGL_PARAMS | DMGL_ANSI | DMGL_RET_DROP,
		[MP_DEMANGLE_NAME] = DMGL_ANSI,
	};
	size_t len = mp_elf_base_length(name);
	char base[MAX_MANGLED + 1];
	struct output out = {0};

	if (!mp_is_mangled(name) || len > MAX_MANGLED)
		return NULL;
	memcpy(base, name, len);
	base[len] = '\0';
	if (!run_demanglers(base, options[style], &out) || out.text.failed || !out.text.len) {
		mp_text_free(&out.text);
		return NULL;
	}
	return out.text.data;
}

char *mp_demangle(const char *name, bool with_params)
{
	return mp_demangle_as(name, with_params ? MP_DEMANGLE_FULL : MP_DEMANGLE_NAME);
}
