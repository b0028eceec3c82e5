// SPDX-License-Identifier: GPL-2.0-only
/*
 * A C++ program that uses libmemprobe: scopes that are left in every way there is, nested in
 * others. Three points, each passed --calls times:
 *
 *   scoped.outer (high), scoped.thrown (medium), scoped.left (low)
 */
#include <getopt.h>
#include <stdexcept>

#include "../../user/lib/memprobe.h"
#include "target.h"

static uint64_t thrower(uint64_t n)
{
	MEMPROBE_SCOPE("scoped.thrown", MEMPROBE_MEDIUM);
	if (n % 2)
		throw std::runtime_error("odd");
	return n;
}

static uint64_t leaver(uint64_t n)
{
	for (;;) {
		MEMPROBE_SCOPE("scoped.left", MEMPROBE_LOW);
		if (n % 3 == 0)
			break;
		if (n % 3 == 1)
			return n;
		goto out;
	}
out:
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
	uint64_t caught = 0;
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
	for (uint64_t i = 0; i < calls; i++) {
		MEMPROBE_SCOPE("scoped.outer", MEMPROBE_HIGH);
		leaver(i);
		try {
			thrower(i);
		} catch (const std::runtime_error &) {
			caught++;
		}
	}
	printf("{\"calls\": %llu, \"caught\": %llu}\n", (unsigned long long)calls,
	       (unsigned long long)caught);
	return 0;
}
