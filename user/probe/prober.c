// SPDX-License-Identifier: GPL-2.0-only
#include "probe/prober.h"

#include <errno.h>
#include <search.h>
#include <string.h>
#include <sys/stat.h>

#include "elf/elf_file.h"
#include "probe/link.h"
#include "probe/marker.h"
#include "probe/resolve.h"

struct seen_file {
	uint64_t dev;
	uint64_t ino;
};

struct mp_prober {
	struct mp_prober_options o;
	struct mp_sites sites;
	struct mp_links links;
	size_t n_attached; /* sites before this index were handled … */
	size_t n_emitted;  /* … and told of */
	struct mp_sites markers;
	size_t n_markers_attached;
	size_t n_markers_emitted;
	bool *reached; /* by index, also of declared points: that markers pass them was told */
	void *seen;    /* tsearch tree of struct seen_file */
	size_t n_seen;
	char *stripped; /* a program without a symbol table: the likely reason for no match */
};

struct mp_prober *mp_prober_new(const struct mp_prober_options *options)
{
	struct mp_prober *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->o = *options;
	p->reached = calloc(p->o.points->n + MP_SPARE_POINTS, sizeof(*p->reached));
	if (!p->reached) {
		mp_prober_free(p);
		return NULL;
	}
	return p;
}

void mp_prober_detach(struct mp_prober *p)
{
	mp_links_free(&p->links);
}

void mp_prober_free(struct mp_prober *p)
{
	if (!p)
		return;
	mp_prober_detach(p);
	mp_sites_free(&p->sites);
	mp_sites_free(&p->markers);
	free(p->reached);
	tdestroy(p->seen, free);
	free(p->stripped);
	free(p);
}

static int compare_files(const void *a, const void *b)
{
	const struct seen_file *x = a;
	const struct seen_file *y = b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

bool mp_prober_knows(const struct mp_prober *p, uint64_t dev, uint64_t ino)
{
	const struct seen_file key = {dev, ino};

	return tfind(&key, &p->seen, compare_files) != NULL;
}

static int remember(struct mp_prober *p, uint64_t dev, uint64_t ino)
{
	struct seen_file *file = malloc(sizeof(*file));

	if (!file)
		return -ENOMEM;
	*file = (struct seen_file){dev, ino};
	if (!tsearch(file, &p->seen, compare_files)) {
		free(file);
		return -ENOMEM;
	}
	p->n_seen++;
	return 0;
}

static void note_stripped(struct mp_prober *p, const struct mp_binary *binary, unsigned int flags)
{
	if (p->stripped || !binary->is_exe || flags & (MP_ELF_HAS_SYMTAB | MP_ELF_HAS_DEBUGFILE))
		return;
	p->stripped = strdup(binary->path);
}

int mp_prober_add_binary(struct mp_prober *p, const struct mp_binary *binary, struct mp_error *err)
{
	unsigned int flags = MP_ELF_HAS_SYMTAB;
	int n;

	if (mp_prober_knows(p, binary->dev, binary->ino))
		return 0;
	n = remember(p, binary->dev, binary->ino);
	if (n)
		return n;
	n = mp_resolve_binary(&p->sites, p->o.points, binary, &flags, err);
	if (n == -E2BIG || n == -ENOMEM)
		return n;
	note_stripped(p, binary, flags);
	n = mp_markers_find(&p->markers, binary);
	if (n == -ENOMEM)
		return n;
	/* A mapped file that is no ELF, or broken, has no points: nothing is lost. */
	return 0;
}

int mp_prober_add_path(struct mp_prober *p, const char *path, bool is_exe, struct mp_error *err)
{
	struct mp_binary binary = {.path = path, .open_path = path, .root = "", .is_exe = is_exe};
	struct stat st;

	if (stat(path, &st))
		return -errno;
	binary.dev = st.st_dev;
	binary.ino = st.st_ino;
	return mp_prober_add_binary(p, &binary, err);
}

struct adding {
	struct mp_prober *prober;
	struct mp_error *err;
};

static int add_mapped(void *data, const struct mp_binary *binary)
{
	struct adding *a = data;

	return mp_prober_add_binary(a->prober, binary, a->err);
}

int mp_prober_add_process(struct mp_prober *p, pid_t pid, struct mp_error *err)
{
	struct adding a = {p, err};

	return mp_process_binaries(p->o.fs, pid, add_mapped, &a);
}

static int add_candidate(void *data, const char *path)
{
	struct adding *a = data;
	int error = mp_prober_add_path(a->prober, path, false, a->err);

	/* A candidate that cannot be read is no error: nothing has mapped it yet. */
	return error == -E2BIG || error == -ENOMEM ? error : 0;
}

int mp_prober_add_candidates(struct mp_prober *p, struct mp_error *err)
{
	struct adding a = {p, err};

	for (size_t i = 0; i < p->o.points->n; i++) {
		const struct mp_point *point = &p->o.points->items[i];
		int error = 0;

		for (size_t j = 0; j < point->n_symbols && !error; j++) {
			if (point->symbols[j].binary)
				error = mp_library_candidates(point->symbols[j].binary,
							      add_candidate, &a);
		}
		for (size_t j = 0; j < point->n_usdt && !error; j++) {
			if (point->usdt[j].binary)
				error = mp_library_candidates(point->usdt[j].binary, add_candidate,
							      &a);
		}
		if (error < 0)
			return error;
	}
	return 0;
}

static void prepare_usdt(struct mp_prober *p)
{
	for (size_t i = p->n_attached; i < p->sites.n; i++) {
		struct mp_site *site = &p->sites.items[i];

		if (site->kind != MP_SITE_USDT || site->status != MP_SITE_ATTACHED)
			continue;
		if (mp_bpf_set_usdt_site(p->o.bpf, (uint32_t)i, &site->usdt) == 0)
			continue;
		site->status = MP_SITE_FAILED;
		site->reason = strdup("too many USDT sites before it");
	}
}

static int attach_sites(struct mp_prober *p, struct mp_sites *sites, size_t first)
{
	size_t n_links = p->o.n_pids ? p->o.n_pids : 1;

	for (size_t i = 0; i < n_links; i++) {
		pid_t pid = p->o.n_pids ? p->o.pids[i] : 0;
		int n = mp_links_attach(&p->links, p->o.bpf, p->o.features, sites, first, pid);

		if (n < 0)
			return n;
	}
	return 0;
}

static int attach_new(struct mp_prober *p)
{
	if (!p->o.bpf)
		return 0;
	prepare_usdt(p);
	return attach_sites(p, &p->sites, p->n_attached)
		       ?: attach_sites(p, &p->markers, p->n_markers_attached);
}

static void emit_site(struct mp_prober *p, const struct mp_site *site)
{
	struct mp_event event = {.type = MP_EVENT_SITE};

	mp_site_event(site, p->o.points, &event.site);
	p->o.emit(p->o.data, &event);
}

int mp_prober_attach(struct mp_prober *p)
{
	int error = attach_new(p);

	if (error)
		return error;
	p->n_attached = p->sites.n;
	p->n_markers_attached = p->markers.n;
	return 0;
}

/* `point` NULL: all that come by this marker. `ts_ns` 0: now. */
static void emit_marker(struct mp_prober *p, const struct mp_site *marker,
			const struct mp_point *point, enum mp_site_kind kind, uint64_t ts_ns)
{
	struct mp_event event = {.type = MP_EVENT_SITE, .ts_ns = ts_ns};

	mp_marker_event(marker, point, &event.site);
	event.site.kind = kind;
	p->o.emit(p->o.data, &event);
}

/* One of a file's three stands for all of them, but for what failed. */
static void emit_markers(struct mp_prober *p)
{
	for (; p->n_markers_emitted < p->n_markers_attached; p->n_markers_emitted++) {
		const struct mp_site *marker = &p->markers.items[p->n_markers_emitted];

		if (marker->point == MP_PHASE_ENTER || marker->status == MP_SITE_FAILED)
			emit_marker(p, marker, NULL, marker->kind, 0);
	}
}

void mp_prober_emit(struct mp_prober *p)
{
	while (p->n_emitted < p->n_attached)
		emit_site(p, &p->sites.items[p->n_emitted++]);
	emit_markers(p);
}

void mp_prober_reached(struct mp_prober *p, size_t point, uint32_t marker, enum mp_site_kind kind,
		       uint64_t ts_ns)
{
	if (point >= p->o.points->n + MP_SPARE_POINTS || marker >= p->markers.n ||
	    p->reached[point])
		return;
	p->reached[point] = true;
	emit_marker(p, &p->markers.items[marker], mp_points_at(p->o.points, point), kind, ts_ns);
}

/* The first file whose markers are attached (or would be), or NULL. */
static const struct mp_site *any_marker(const struct mp_prober *p)
{
	for (size_t i = 0; i < p->markers.n; i++) {
		const struct mp_site *marker = &p->markers.items[i];

		if (marker->point == MP_PHASE_ENTER && marker->status == MP_SITE_ATTACHED)
			return marker;
	}
	return NULL;
}

size_t mp_prober_point_sites(const struct mp_prober *p, size_t point)
{
	size_t n = 0;

	for (size_t i = 0; i < p->sites.n; i++)
		n += p->sites.items[i].point == point &&
		     p->sites.items[i].status == MP_SITE_ATTACHED;
	return n + (p->o.points->items[point].marker && any_marker(p));
}

static bool has_any_site(const struct mp_prober *p, size_t point)
{
	for (size_t i = 0; i < p->sites.n; i++) {
		if (p->sites.items[i].point == point)
			return true;
	}
	return false;
}

static bool is_python_only(const struct mp_prober *p, size_t point)
{
	const struct mp_point *it = &p->o.points->items[point];

	return it->python && it->n_symbols == 0 && it->n_usdt == 0;
}

static void describe_wait(const struct mp_prober *p, const struct mp_point *point, char *out,
			  size_t size)
{
	if (point->marker && any_marker(p))
		snprintf(out, size, "no program has passed its marker yet");
	else if (point->marker && !point->n_symbols && !point->n_usdt)
		snprintf(out, size, "no libmemprobe in the %zu files mapped so far", p->n_seen);
	else if (point->n_symbols == 0 && point->n_usdt == 0)
		snprintf(out, size,
			 "a Python function: native symbols and USDT are probed, give it a symbol");
	else if (p->stripped)
		snprintf(out, size,
			 "not in the %zu files mapped; %s is stripped: its debug symbols may help",
			 p->n_seen, p->stripped);
	else
		snprintf(out, size, "not in the %zu files mapped so far", p->n_seen);
}

void mp_prober_emit_waiting(struct mp_prober *p)
{
	for (size_t i = 0; i < p->o.points->n; i++) {
		struct mp_site site = {.point = i, .status = MP_SITE_WAITING};
		char reason[512];

		if (has_any_site(p, i) || (p->o.python_elsewhere && is_python_only(p, i)))
			continue;
		/* Nothing runs here that could pass it: it would be told of by that marker. */
		if (!p->o.bpf && p->o.points->items[i].marker && any_marker(p)) {
			emit_marker(p, any_marker(p), &p->o.points->items[i], MP_SITE_USDT, 0);
			continue;
		}
		describe_wait(p, &p->o.points->items[i], reason, sizeof(reason));
		site.reason = reason;
		emit_site(p, &site);
	}
}

const struct mp_sites *mp_prober_sites(const struct mp_prober *p)
{
	return &p->sites;
}
