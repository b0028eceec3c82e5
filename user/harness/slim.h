/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MP_HARNESS_SLIM_H
#define MP_HARNESS_SLIM_H

/*
 * Gives back what only start-up read of this process's files: most of all the tables by which
 * libraries were relocated. What is needed again comes back by itself, from the page cache.
 */
void mp_slim(void);

#endif
