// SPDX-License-Identifier: GPL-2.0-only
/* Any bytes as a points file, and as a --point. */
#include <stdint.h>
#include <string.h>

#include "config/points.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void require_message(const struct mp_error *err, enum mp_exit exit_code)
{
	require(err->exit_code == exit_code);
	require(err->text[0] && !strpbrk(err->text, "\n\033"));
}

static void require_patterns(const struct mp_point *point)
{
	for (size_t i = 0; i < point->n_symbols; i++) {
		const struct mp_symbol_pattern *p = &point->symbols[i];

		require(p->symbol[0] && (!p->binary || p->binary[0]));
	}
	for (size_t i = 0; i < point->n_usdt; i++) {
		const struct mp_usdt_pattern *p = &point->usdt[i];

		require(p->provider[0] && p->name[0] && (!p->binary || p->binary[0]));
	}
}

static void require_point(const struct mp_point *point)
{
	require(point->name[0] && strlen(point->name) <= 64);
	require(point->level < MP_LEVEL_COUNT);
	require(point->n_symbols || point->n_usdt || point->python);
	require(point->max_sites >= 1 && point->max_sites <= 100000);
	require(point->origin != NULL);
	require(point->n_args <= MP_MAX_ARGS);
	for (size_t i = 0; i < point->n_args; i++) {
		require(point->args[i].index >= 1 && point->args[i].index <= 12);
		require(point->args[i].type < MP_ARG_TYPE_COUNT);
		require(point->args[i].name[0]);
	}
	require(!point->has_ret == !point->ret_name);
	require_patterns(point);
}

static void try_file(const uint8_t *data, size_t size)
{
	MP_POINTS struct mp_points points = {0};
	struct mp_error err = {0};

	if (mp_points_parse(&points, "f", (const char *)data, size, &err)) {
		require_message(&err, MP_EXIT_CONFIG);
		require(points.n == 0);
	}
	for (size_t i = 0; i < points.n; i++)
		require_point(&points.items[i]);
}

static void try_option(const uint8_t *data, size_t size)
{
	MP_POINTS struct mp_points points = {0};
	MP_FREE char *spec = strndup((const char *)data, size);
	struct mp_error err = {0};

	require(spec != NULL);
	if (mp_points_add_option(&points, spec, &err))
		require_message(&err, MP_EXIT_USAGE);
	else
		require_point(&points.items[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_file(data, size);
	try_option(data, size);
	return 0;
}
