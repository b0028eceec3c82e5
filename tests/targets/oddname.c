// SPDX-License-Identifier: GPL-2.0-only
/*
 * A process with a name that wants to be trouble: a newline, an escape
 * sequence, a quote, a backslash and a byte that is no UTF-8. It calls
 * probe_push, and a function whose symbol holds an escape sequence.
 *
 *   oddname --calls N [--wait]
 */
#include <getopt.h>
#include <sys/prctl.h>

#include "probed.h"

uint64_t odd_symbol(uint64_t n) __asm__("\"odd\033[31msymbol\"");

PROBED uint64_t odd_symbol(uint64_t n)
{
	return n + 1;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{"calls", required_argument, NULL, 'c'},
		{"wait", no_argument, NULL, 'w'},
		{NULL, 0, NULL, 0},
	};
	uint64_t calls = 1009;
	bool wait = false;
	uint64_t n = 0;
	uint64_t odd = 0;
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'c')
			calls = target_number(optarg);
		else if (c == 'w')
			wait = true;
		else
			return 2;
	}
	prctl(PR_SET_NAME, "x\n\033[31m\"\\\xff\xc3y");
	target_ready(wait);
	while (n < calls) {
		n = probe_push(n);
		odd = odd_symbol(odd);
	}
	printf("{\"calls\": %llu}\n", (unsigned long long)n);
	return odd == calls ? 0 : 1;
}
