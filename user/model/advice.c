// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>

#include "base/names.h"
#include "model/advice.h"

MP_NAMES(kv_type, enum mp_kv_type, MP_KV_TYPE_COUNT, "f16", "q8_0", "f32")
