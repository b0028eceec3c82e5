// SPDX-License-Identifier: GPL-2.0-only
#include "base/level.h"

#include "base/names.h"

MP_NAMES(level, enum mp_level, MP_LEVEL_COUNT, "low", "medium", "high", "critical")
MP_NAMES(severity, enum mp_severity, MP_SEVERITY_COUNT, "normal", "warning", "gc", "critical")
MP_NAMES(phase, enum mp_phase, MP_PHASE_COUNT, "enter", "exit", "check")
MP_NAMES(arg_type, enum mp_arg_type, MP_ARG_TYPE_COUNT, "u64", "s64", "str", "ptr")
