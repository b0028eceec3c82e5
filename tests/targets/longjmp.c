// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ways to leave a function that return probes must survive: longjmp out of it,
 * recursion, a tail call. Says how often each function was entered and left:
 *
 *   longjmp --calls N --depth D [--wait]
 */
#include <getopt.h>
#include <setjmp.h>

#include "target.h"

struct counts {
	uint64_t hits;
	uint64_t returns;
};

/* Every other call leaves by longjmp, through a frame that is probed too. */
PROBED uint64_t probe_jump_inner(jmp_buf *env, uint64_t n)
{
	if (n % 2)
		longjmp(*env, 1);
	return n;
}

PROBED uint64_t probe_jump(jmp_buf *env, uint64_t n)
{
	return probe_jump_inner(env, n) + 1;
}

PROBED uint64_t probe_recurse(uint64_t depth)
{
	uint64_t below = 0;

	if (depth == 0)
		return 0;
	below = probe_recurse(depth - 1);
	/* Something to do after the call, or it would become a loop. */
	__asm__ volatile("" : "+r"(below));
	return below + 1;
}

/* noipa does not forbid the jump that makes these a tail call. */
PROBED uint64_t probe_tail_end(uint64_t n)
{
	return n + 1;
}

PROBED uint64_t probe_tail(uint64_t n)
{
	return probe_tail_end(n);
}

static struct counts jump(uint64_t calls)
{
	volatile uint64_t returns = 0;
	jmp_buf env;

	for (volatile uint64_t i = 0; i < calls; i++) {
		if (setjmp(env))
			continue;
		if (probe_jump(&env, i) == i + 1)
			returns++;
	}
	return (struct counts){.hits = calls, .returns = returns};
}

static void print(const char *name, struct counts c, const char *end)
{
	printf("\"%s\": {\"hits\": %llu, \"returns\": %llu}%s", name, (unsigned long long)c.hits,
	       (unsigned long long)c.returns, end);
}

static bool run(uint64_t calls, uint64_t depth)
{
	struct counts jumped = jump(calls);
	uint64_t tails = 0;
	uint64_t reached = probe_recurse(depth);

	while (tails < calls)
		tails = probe_tail(tails);
	printf("{");
	print("probe_jump", jumped, ", ");
	print("probe_jump_inner", jumped, ", ");
	print("probe_recurse", (struct counts){reached + 1, reached + 1}, ", ");
	print("probe_tail", (struct counts){tails, tails}, ", ");
	print("probe_tail_end", (struct counts){tails, tails}, "}\n");
	return reached == depth && tails == calls;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{"calls", required_argument, NULL, 'c'},
		{"depth", required_argument, NULL, 'd'},
		{"wait", no_argument, NULL, 'w'},
		{NULL, 0, NULL, 0},
	};
	uint64_t calls = 1009;
	uint64_t depth = 10;
	bool wait = false;
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'c')
			calls = target_number(optarg);
		else if (c == 'd')
			depth = target_number(optarg);
		else if (c == 'w')
			wait = true;
		else
			return 2;
	}
	target_ready(wait);
	return run(calls, depth) ? 0 : 1;
}
