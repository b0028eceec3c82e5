// SPDX-License-Identifier: GPL-2.0-only
#include "base/names.h"

#include <errno.h>
#include <string.h>

#define MAX_SUGGEST 48

const char *mp_name_of(const char *const *names, size_t n, size_t value)
{
	return value < n && names[value] ? names[value] : "?";
}

int mp_name_find(const char *const *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (names[i] && strcmp(names[i], name) == 0)
			return (int)i;
	}
	return -ENOENT;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Optimal string alignment distance of two names of at most MAX_SUGGEST bytes. */
static size_t distance(const char *a, size_t len_a, const char *b, size_t len_b)
{
	size_t rows[MAX_SUGGEST + 1][MAX_SUGGEST + 1];

	for (size_t i = 0; i <= len_a; i++)
		rows[i][0] = i;
	for (size_t j = 0; j <= len_b; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= len_a; i++) {
		for (size_t j = 1; j <= len_b; j++) {
			size_t change = rows[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
			size_t best = least(change, least(rows[i - 1][j], rows[i][j - 1]) + 1);

			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				best = least(best, rows[i - 2][j - 2] + 1);
			rows[i][j] = best;
		}
	}
	return rows[len_a][len_b];
}

const char *mp_name_suggest(const char *const *names, size_t n, const char *name)
{
	size_t len = strlen(name);
	const char *best = NULL;
	size_t best_distance = 0;

	if (len == 0 || len > MAX_SUGGEST)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		size_t other = names[i] ? strlen(names[i]) : 0;
		size_t d;

		if (other == 0 || other > MAX_SUGGEST)
			continue;
		d = distance(name, len, names[i], other);
		if (d > (other + 2) / 3 || (best && d >= best_distance))
			continue;
		best = names[i];
		best_distance = d;
	}
	return best;
}
