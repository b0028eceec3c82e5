/* SPDX-License-Identifier: GPL-2.0-only */
/* Lifetimes that can be seen: a variable says at its declaration how it ends. */
#ifndef MP_BASE_CLEANUP_H
#define MP_BASE_CLEANUP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MP_CLEANUP(fn) __attribute__((cleanup(fn)))
#define MP_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MP_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* Hands a pointer over: the variable is NULL afterwards, so its cleanup does nothing. */
#define MP_TAKE(ptr)                                                                               \
	({                                                                                         \
		__typeof__(ptr) *mp_take_p = &(ptr);                                               \
		__typeof__(ptr) mp_take_v = *mp_take_p;                                            \
		*mp_take_p = NULL;                                                                 \
		mp_take_v;                                                                         \
	})

/* The same for a file descriptor, which is -1 afterwards. */
static inline int mp_take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

static inline void mp_free_p(void *p)
{
	free(*(void **)p);
}

static inline void mp_close_p(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void mp_fclose_p(FILE **f)
{
	if (*f)
		fclose(*f);
}

static inline void mp_closedir_p(DIR **d)
{
	if (*d)
		closedir(*d);
}

#define MP_FREE MP_CLEANUP(mp_free_p)
#define MP_CLOSE MP_CLEANUP(mp_close_p)
#define MP_FCLOSE MP_CLEANUP(mp_fclose_p)
#define MP_CLOSEDIR MP_CLEANUP(mp_closedir_p)

#endif
