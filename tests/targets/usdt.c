// SPDX-License-Identifier: GPL-2.0-only
/*
 * USDT probes of provider mptest, with arguments in the forms compilers choose:
 *
 *   step(counter in a register, constant -7, a value in memory, a string)
 *   small(signed char, unsigned short)
 *
 *   usdt --calls N [--wait]
 */
#include <getopt.h>
#include <sys/sdt.h>

#include "target.h"

struct state {
	int64_t table[4];
	int8_t sign;
	uint16_t port;
};

PROBED uint64_t usdt_step(struct state *s, uint64_t n, const char *name)
{
	s->table[n % 4] = -(int64_t)n;
	s->sign = (int8_t) - (int64_t)(n % 100);
	s->port = (uint16_t)(n % 65536);
	DTRACE_PROBE4(mptest, step, n, -7, s->table[n % 4], name);
	DTRACE_PROBE2(mptest, small, s->sign, s->port);
	return n + 1;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{"calls", required_argument, NULL, 'c'},
		{"wait", no_argument, NULL, 'w'},
		{NULL, 0, NULL, 0},
	};
	struct state state = {0};
	uint64_t calls = 1009;
	uint64_t n = 0;
	bool wait = false;
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'c')
			calls = target_number(optarg);
		else if (c == 'w')
			wait = true;
		else
			return 2;
	}
	target_ready(wait);
	while (n < calls)
		n = usdt_step(&state, n, "m\xc3\xa4h \"quoted\"");
	printf("{\"calls\": %llu}\n", (unsigned long long)n);
	return 0;
}
