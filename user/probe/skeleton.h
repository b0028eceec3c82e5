/* SPDX-License-Identifier: GPL-2.0-only */
/* The generated skeleton with the types it needs before it. For probe/ alone. */
#ifndef MP_PROBE_SKELETON_H
#define MP_PROBE_SKELETON_H

#include <linux/types.h>

#include "abi.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wshadow"
#include "memprobe.skel.h"
#pragma GCC diagnostic pop

#endif
