// SPDX-License-Identifier: GPL-2.0-only
#include "lib/private.h"

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

_Static_assert(__builtin_strncmp(
		       MP_VERSION,
		       TEXT(MEMPROBE_VERSION_MAJOR) "." TEXT(MEMPROBE_VERSION_MINOR) ".",
		       sizeof(TEXT(MEMPROBE_VERSION_MAJOR) "." TEXT(MEMPROBE_VERSION_MINOR) ".") -
			       1) == 0,
	       "memprobe.h and the Makefile name one version");

const char *memprobe_version(void)
{
	return MP_VERSION;
}
