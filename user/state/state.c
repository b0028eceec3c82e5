// SPDX-License-Identifier: GPL-2.0-only
#include "state/state.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

/*
 * Groups come and go without a record of it, and the record of an exit can be
 * lost: beyond these, what was longest untouched is dropped.
 */
#define MAX_DOMAINS 4096
#define MAX_PROCESSES 16384

struct item {
	TAILQ_ENTRY(item) by_use;
	char *cgroup; /* key of a domain; NULL: the host */
	uint32_t pid; /* key of a process */
	union {
		struct mp_domain_state domain;
		struct mp_cooldown_state cooldown[MP_LEVEL_COUNT];
	};
};

TAILQ_HEAD(item_queue, item);

typedef int (*compare_fn)(const void *a, const void *b);

/* Items by key, and in the order of their last use (the newest at the tail). */
struct table {
	void *tree;
	compare_fn compare;
	struct item_queue used;
	size_t n;
	size_t max;
};

struct mp_state {
	struct table domains;
	struct table processes;
};

static int compare_cgroup(const void *a, const void *b)
{
	const char *x = ((const struct item *)a)->cgroup;
	const char *y = ((const struct item *)b)->cgroup;

	if (!x || !y)
		return (x != NULL) - (y != NULL);
	return strcmp(x, y);
}

static int compare_pid(const void *a, const void *b)
{
	uint32_t x = ((const struct item *)a)->pid;
	uint32_t y = ((const struct item *)b)->pid;

	return (x > y) - (x < y);
}

static void table_init(struct table *table, compare_fn compare, size_t max)
{
	table->compare = compare;
	table->max = max;
	TAILQ_INIT(&table->used);
}

static void item_free(struct item *item)
{
	if (!item)
		return;
	free(item->cgroup);
	free(item);
}

static struct item *item_new(const struct item *key)
{
	struct item *item = calloc(1, sizeof(*item));

	if (!item)
		return NULL;
	item->pid = key->pid;
	item->cgroup = key->cgroup ? strdup(key->cgroup) : NULL;
	if (key->cgroup && !item->cgroup) {
		free(item);
		return NULL;
	}
	return item;
}

static struct item *table_find(struct table *table, const struct item *key)
{
	struct item **node = tfind(key, &table->tree, table->compare);

	return node ? *node : NULL;
}

static void table_drop(struct table *table, struct item *item)
{
	tdelete(item, &table->tree, table->compare);
	TAILQ_REMOVE(&table->used, item, by_use);
	table->n--;
	item_free(item);
}

static struct item *table_add(struct table *table, const struct item *key)
{
	struct item *item = item_new(key);

	if (!item)
		return NULL;
	if (!tsearch(item, &table->tree, table->compare)) {
		item_free(item);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&table->used, item, by_use);
	if (++table->n > table->max)
		table_drop(table, TAILQ_FIRST(&table->used));
	return item;
}

/* The item with that key, a new one if need be; it is now the one used last. */
static struct item *table_use(struct table *table, const struct item *key)
{
	struct item *item = table_find(table, key);

	if (!item)
		return table_add(table, key);
	TAILQ_REMOVE(&table->used, item, by_use);
	TAILQ_INSERT_TAIL(&table->used, item, by_use);
	return item;
}

static void free_node(void *item)
{
	item_free(item);
}

struct mp_state *mp_state_new(void)
{
	struct mp_state *state = calloc(1, sizeof(*state));

	if (!state)
		return NULL;
	table_init(&state->domains, compare_cgroup, MAX_DOMAINS);
	table_init(&state->processes, compare_pid, MAX_PROCESSES);
	return state;
}

void mp_state_free(struct mp_state *state)
{
	if (!state)
		return;
	tdestroy(state->domains.tree, free_node);
	tdestroy(state->processes.tree, free_node);
	free(state);
}

struct mp_domain_state *mp_state_domain(struct mp_state *state, const char *cgroup)
{
	struct item key = {.cgroup = (char *)cgroup};
	struct item *item = table_use(&state->domains, &key);

	return item ? &item->domain : NULL;
}

struct mp_cooldown_state *mp_state_cooldown(struct mp_state *state, uint32_t pid,
					    enum mp_level level)
{
	struct item key = {.pid = pid};
	struct item *item = table_use(&state->processes, &key);

	return item ? &item->cooldown[level] : NULL;
}

void mp_state_forget(struct mp_state *state, uint32_t pid)
{
	struct item key = {.pid = pid};
	struct item *item = table_find(&state->processes, &key);

	if (item)
		table_drop(&state->processes, item);
}
