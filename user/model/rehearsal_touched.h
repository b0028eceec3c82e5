/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MP_MODEL_REHEARSAL_TOUCHED_H
#define MP_MODEL_REHEARSAL_TOUCHED_H

#include <sys/types.h>

#include "base/fsroot.h"
#include "model/loader.h"

/* Bytes of the mapped file that each pass brings into memory, when so many are read ahead. Pure. */
uint64_t mp_rehearsal_touched(const struct mp_load_plan *plan, uint64_t readahead);

/* Bytes that the kernel reads ahead of a file on that device that is told to be read in sequence.
 */
uint64_t mp_rehearsal_readahead(const struct mp_fsroot *fs, dev_t dev);

#endif
