// SPDX-License-Identifier: GPL-2.0-only
/* hold_registers(), to be called from Python. */
#include "../registers.h"

int hold(const volatile int *stop)
{
	return hold_registers(stop);
}
