// SPDX-License-Identifier: GPL-2.0-only
#include "monitor/python.h"

#include <errno.h>
#include <search.h>
#include <string.h>

#include "inject/injector.h"
#include "monitor/privileges.h"

#define MAX_TOLD 20000 /* what a target makes up must not fill the memory */

struct mp_pythons {
	struct mp_pythons_options o;
	struct mp_injector *injector;
	struct told {
		bool any;
		bool attached; /* in any process */
	} * points;
	void *told; /* tsearch tree of strings: what was told, told once for all processes */
	size_t n_told;
};

bool mp_points_any_python(const struct mp_points *points)
{
	for (size_t i = 0; i < points->n; i++) {
		if (points->items[i].python)
			return true;
	}
	return false;
}

bool mp_points_only_python(const struct mp_points *points)
{
	for (size_t i = 0; i < points->n; i++) {
		const struct mp_point *point = &points->items[i];

		if (!point->python || point->n_symbols || point->n_usdt || point->marker)
			return false;
	}
	return points->n > 0;
}

/* --- what is told --------------------------------------------------------------------------- */

static int compare_texts(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Whether this is news. Every process of a pool would say the same. */
static bool is_new(struct mp_pythons *p, const struct mp_event_site *site)
{
	MP_FREE char *key = NULL;
	char **found;

	if (p->n_told >= MAX_TOLD ||
	    asprintf(&key, "%s %d %s %s", site->point, (int)site->status,
		     site->symbol ? site->symbol : "", site->reason ? site->reason : "") < 0)
		return false;
	found = tsearch(key, &p->told, compare_texts);
	if (!found || *found != key)
		return false;
	(void)MP_TAKE(key);
	p->n_told++;
	return true;
}

static void emit(struct mp_pythons *p, size_t index, const struct mp_injected *injected,
		 const char *symbol)
{
	const struct mp_point *point = &p->o.points->items[index];
	const bool attached = injected->status == MP_SITE_ATTACHED;
	const struct mp_event event = {
		.type = MP_EVENT_SITE,
		.site =
			{
				.point = point->name,
				.level = point->level,
				.kind = MP_SITE_PYTHON,
				.binary = injected->binary,
				.symbol = symbol,
				.offset = MP_UNKNOWN,
				.cost = attached ? MP_PYTHON_COST : NULL,
				.status = injected->status,
				.reason = injected->reason,
			},
	};

	p->points[index].any = true;
	p->points[index].attached |= attached;
	/* In another process it may not be loaded: no news of a point that is in use. */
	if (injected->status == MP_SITE_WAITING && p->points[index].attached)
		return;
	if (is_new(p, &event.site))
		p->o.emit(p->o.data, &event);
}

/* An attached point is a site for each of its functions. */
static void tell(struct mp_pythons *p, size_t index, const struct mp_injected *injected)
{
	for (size_t i = 0; i < injected->n_functions; i++)
		emit(p, index, injected, injected->functions[i]);
	if (injected->n_functions == 0)
		emit(p, index, injected, p->o.points->items[index].python);
}

static void on_injected(void *data, const struct mp_injected *injected)
{
	struct mp_pythons *p = data;

	if (injected->point != SIZE_MAX) {
		if (injected->status == MP_SITE_ATTACHED && injected->pid)
			p->o.look_at(p->o.data, injected->pid);
		tell(p, injected->point, injected);
		return;
	}
	for (size_t i = 0; i < p->o.points->n; i++) {
		if (p->o.points->items[i].python)
			tell(p, i, injected);
	}
	if (injected->denied)
		p->o.on_denied(p->o.data, injected->pid, injected->reason);
}

static void on_ready(void *data)
{
	struct mp_pythons *p = data;

	mp_injector_collect(p->injector, on_injected, p);
}

void mp_pythons_emit_waiting(struct mp_pythons *p)
{
	static const struct mp_injected waiting = {
		.status = MP_SITE_WAITING,
		.reason = "no Python process with it yet",
	};

	on_ready(p);
	for (size_t i = 0; i < p->o.points->n; i++) {
		if (p->o.points->items[i].python && !p->points[i].any)
			tell(p, i, &waiting);
	}
}

/* --- from start to end ------------------------------------------------------------------------ */

static void keep_privileges(void)
{
	mp_privileges_keep(mp_privileges_injecting());
}

static int start(struct mp_pythons *p)
{
	const struct mp_injector_options o = {
		.fs = p->o.fs,
		.points = p->o.points,
		.answers = p->o.env ? mp_python_env_answers(p->o.env) : NULL,
		.on_start = keep_privileges,
	};

	p->points = calloc(p->o.points->n + 1, sizeof(*p->points));
	if (!p->points)
		return -ENOMEM;
	p->injector = mp_injector_new(&o);
	if (!p->injector)
		return -errno;
	return mp_loop_add(p->o.loop, mp_injector_fd(p->injector), on_ready, p);
}

struct mp_pythons *mp_pythons_new(const struct mp_pythons_options *options)
{
	struct mp_pythons *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return NULL;
	p->o = *options;
	err = start(p);
	if (!err)
		return p;
	mp_pythons_free(p);
	errno = -err;
	return NULL;
}

/* Without memory for it a process goes without its points; the next thing that it maps is another
 * chance. */
void mp_pythons_add(struct mp_pythons *p, pid_t pid)
{
	if (p)
		mp_injector_add(p->injector, pid);
}

void mp_pythons_remove(struct mp_pythons *p, pid_t pid)
{
	if (p)
		mp_injector_remove(p->injector, pid);
}

void mp_pythons_end(struct mp_pythons *p, uint64_t timeout_ns)
{
	if (!p)
		return;
	mp_injector_end(p->injector, timeout_ns);
	mp_injector_collect(p->injector, on_injected, p);
}

void mp_pythons_free(struct mp_pythons *p)
{
	if (!p)
		return;
	if (p->injector)
		mp_loop_remove(p->o.loop, mp_injector_fd(p->injector));
	mp_injector_free(p->injector);
	tdestroy(p->told, free);
	free(p->points);
	free(p);
}
