// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ways to leave functions of C++, where probes must not be in the way of exceptions. Says how
 * often each was entered and returned from:
 *
 *   thrower --calls N [--wait]
 */
#include <getopt.h>
#include <stdexcept>

#include "target.h"

namespace thrower
{

/* Every third call leaves by an exception … */
PROBED uint64_t inner(uint64_t n)
{
	if (n % 3 == 0)
		throw std::runtime_error("a third");
	return n;
}

/* … which passes through this one, and is caught in the next. */
PROBED uint64_t outer(uint64_t n)
{
	return inner(n) + 1;
}

PROBED uint64_t catcher(uint64_t n)
{
	try {
		return outer(n);
	} catch (const std::runtime_error &) {
		return 0;
	}
}

/* A jump to where memory says, and several returns. */
PROBED uint64_t choose(uint64_t n)
{
	switch (n % 7) {
	case 0:
		return catcher(n);
	case 1:
		return n * 3;
	case 2:
		return catcher(n + 1) + 1;
	case 3:
		return n ^ 5;
	case 4:
		return catcher(n + 2) + n;
	case 5:
		return n / 2;
	default:
		return n;
	}
}

/* Leaves by a jump to the other. */
PROBED uint64_t tail(uint64_t n)
{
	return choose(n);
}

struct counter {
	uint64_t total = 0;
	PROBED explicit counter(uint64_t n)
	{
		for (uint64_t i = 0; i < n; i++)
			total += tail(i) != 0;
	}
};

} // namespace thrower

/* What must be: by the arithmetic above, in the order of the calls. */
struct expected {
	uint64_t choose = 0, catcher = 0, thrown = 0;
	explicit expected(uint64_t calls)
	{
		static const int add[] = {0, -1, 1, -1, 2, -1, -1};

		for (uint64_t i = 0; i < calls; i++) {
			choose++;
			if (add[i % 7] < 0)
				continue;
			catcher++;
			thrown += (i + (uint64_t)add[i % 7]) % 3 == 0;
		}
	}
};

static void print(const char *name, uint64_t hits, uint64_t returns, const char *end)
{
	printf("\"%s\": {\"hits\": %llu, \"returns\": %llu}%s", name, (unsigned long long)hits,
	       (unsigned long long)returns, end);
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
	thrower::counter counter(calls);
	expected e(calls);

	printf("{");
	print("inner", e.catcher, e.catcher - e.thrown, ", ");
	print("outer", e.catcher, e.catcher - e.thrown, ", ");
	print("catcher", e.catcher, e.catcher, ", ");
	print("choose", e.choose, e.choose, ", ");
	print("tail", e.choose, e.choose, ", ");
	print("counter::counter", 1, 1, "}\n");
	return counter.total ? 0 : 1;
}
