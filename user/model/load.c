// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>

#include "base/names.h"
#include "model/load.h"

MP_NAMES(loader, enum mp_loader, MP_LOADER_COUNT, "mmap", "read", "exec")
