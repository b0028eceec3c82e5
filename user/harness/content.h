/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MP_HARNESS_CONTENT_H
#define MP_HARNESS_CONTENT_H

#include <stddef.h>
#include <stdint.h>

struct mp_content;

/* `entropy_pct` (0 to 100) percent of each page's bytes are random, the others are left alone. */
struct mp_content *mp_content_new(unsigned int entropy_pct, uint64_t seed); /* freed with free() */
/* Fills zeroed pages: `bytes` is a multiple of 4096. */
void mp_content_fill(struct mp_content *content, void *at, size_t bytes);

#endif
