// SPDX-License-Identifier: GPL-2.0-only
#include "probe/resolve.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

/* Of a function: it has one to three for the most part. */
#define MAX_EXITS 64

struct resolver {
	struct mp_sites *sites;
	const struct mp_points *points;
	const struct mp_binary *binary;
	struct mp_elf *elf;
	const char **patterns; /* of the points that may lie in this file … */
	size_t *owners;	       /* … and the point each belongs to */
	size_t n_patterns;
	size_t *matches; /* by point */
	uint64_t *last;	 /* by point: offset of the function matched last, plus one */
};

static void resolver_free(struct resolver *r)
{
	mp_elf_free(r->elf);
	free(r->patterns);
	free(r->owners);
	free(r->matches);
	free(r->last);
}

/* A path that is a symbolic link to the file, such as /usr/bin/redis-server on Debian. */
static bool is_link_to(const struct mp_binary *binary, const char *path)
{
	char full[PATH_MAX];
	struct stat st;

	snprintf(full, sizeof(full), "%s%s", binary->root, path);
	return path[0] == '/' && stat(full, &st) == 0 && st.st_dev == binary->dev &&
	       st.st_ino == binary->ino;
}

static bool may_hold(const struct resolver *r, const char *binary_glob)
{
	return !binary_glob || mp_binary_matches(r->binary->path, binary_glob) ||
	       is_link_to(r->binary, binary_glob);
}

static int collect_patterns(struct resolver *r)
{
	size_t max = 0;

	for (size_t i = 0; i < r->points->n; i++)
		max += r->points->items[i].n_symbols;
	r->patterns = calloc(max + 1, sizeof(*r->patterns));
	r->owners = calloc(max + 1, sizeof(*r->owners));
	r->matches = calloc(r->points->n + 1, sizeof(*r->matches));
	r->last = calloc(r->points->n + 1, sizeof(*r->last));
	if (!r->patterns || !r->owners || !r->matches || !r->last)
		return -ENOMEM;
	for (size_t i = 0; i < r->points->n; i++) {
		const struct mp_point *point = &r->points->items[i];

		for (size_t j = 0; j < point->n_symbols; j++) {
			if (!may_hold(r, point->symbols[j].binary))
				continue;
			r->patterns[r->n_patterns] = point->symbols[j].symbol;
			r->owners[r->n_patterns++] = i;
		}
	}
	return 0;
}

/* A new site of this file, or NULL when memory ran out. */
static struct mp_site *add_site(struct resolver *r, size_t point, enum mp_site_kind kind,
				const char *symbol, uint64_t offset)
{
	struct mp_site *site = mp_sites_add(r->sites);

	if (!site)
		return NULL;
	site->point = point;
	site->kind = kind;
	site->offset = offset;
	site->dev = r->binary->dev;
	site->ino = r->binary->ino;
	site->binary = strdup(r->binary->path);
	site->open_path = strdup(r->binary->open_path);
	site->symbol = strdup(symbol);
	return site->binary && site->open_path && site->symbol ? site : NULL;
}

static void refuse(struct mp_site *site, const char *reason)
{
	site->status = MP_SITE_FAILED;
	site->reason = strdup(reason);
}

/*
 * The kernel's return probes replace the return address. An exception (a panic, in Rust) that is to
 * leave the function then finds no caller there, and the program is aborted: where the name says
 * that there may be exceptions, the instructions that leave the function are probed instead.
 */
static void judge_return(const struct resolver *r, struct mp_site *site,
			 const struct mp_elf_symbol *symbol)
{
	uint64_t exits[MAX_EXITS];
	int n;

	if (mp_elf_flags(r->elf) & MP_ELF_IS_GO) {
		site->risk = "Go: returns are not probed, since goroutine stacks move";
		return;
	}
	site->with_return = true;
	if (!symbol->demangled)
		return;
	n = mp_elf_exits(r->elf, symbol->offset, symbol->size, exits, MAX_EXITS);
	site->exits = n > 0 ? calloc((size_t)n, sizeof(*exits)) : NULL;
	site->with_return = site->exits != NULL;
	if (!site->exits) {
		site->risk =
			"returns are not probed: it may throw, and where it returns is not clear";
		return;
	}
	memcpy(site->exits, exits, (size_t)n * sizeof(*exits));
	site->n_exits = (size_t)n;
}

static void judge_function(const struct resolver *r, struct mp_site *site,
			   const struct mp_elf_symbol *symbol)
{
	if (mp_elf_probe_site(r->elf, symbol->offset, symbol->size, &site->offset, &site->insn)) {
		refuse(site, "there is no instruction at its start");
		return;
	}
	if (site->insn.class == MP_INSN_REFUSED) {
		refuse(site, "the kernel does not probe its first instruction");
		return;
	}
	if (symbol->is_ifunc) {
		refuse(site,
		       "an IFUNC resolver that runs once at load: name the implementation instead");
		return;
	}
	judge_return(r, site, symbol);
	if (!site->risk && site->insn.class == MP_INSN_LANDING)
		site->risk = "slow: starts with a landing pad that cannot be skipped";
}

static int on_symbol(void *data, size_t pattern, const struct mp_elf_symbol *symbol)
{
	struct resolver *r = data;
	size_t owner = r->owners[pattern];
	const struct mp_point *point = &r->points->items[owner];
	struct mp_site *site;

	/* Two patterns of one point may name the same function; offsets only rise. */
	if (r->last[owner] == symbol->offset + 1)
		return 0;
	r->last[owner] = symbol->offset + 1;
	if (++r->matches[owner] > point->max_sites)
		return 0;
	site = add_site(r, owner, MP_SITE_UPROBE,
			symbol->demangled ? symbol->demangled : symbol->name, symbol->offset);
	if (!site)
		return -ENOMEM;
	judge_function(r, site, symbol);
	return 0;
}

static int usdt_args(struct mp_site *site, const struct mp_point *point,
		     const struct mp_usdt_note *note)
{
	for (size_t i = 0; i < point->n_args; i++) {
		struct mp_error err;

		if (!mp_usdt_parse_arg(note->args, point->args[i].index, &site->usdt.args[i], &err))
			continue;
		refuse(site, "an argument that the point asks for is not there, or in a form that "
			     "cannot be read");
		return -EINVAL;
	}
	return 0;
}

/*
 * Kernels that turn a 5-byte nop into a call push a return address over the
 * red zone of whatever function the nop stands in. Only one that does nothing has none.
 */
static void judge_usdt(const struct resolver *r, struct mp_site *site,
		       const struct mp_usdt_note *note)
{
	uint8_t code[16];
	int len = mp_elf_code(r->elf, note->offset, code, sizeof(code));

	if (len <= 0 || mp_arch_decode(code, (size_t)len, note->addr, &site->insn))
		refuse(site, "there is no instruction at the site");
	else if (site->insn.class == MP_INSN_NOP5 && !mp_arch_is_bare_nop(code, (size_t)len))
		refuse(site, "a 5-byte nop inside a function: kernels that optimize it overwrite "
			     "the red zone");
	else if (site->insn.class == MP_INSN_REFUSED)
		refuse(site, "the kernel does not probe its instruction");
}

static int on_usdt(void *data, const struct mp_usdt_note *note)
{
	struct resolver *r = data;

	for (size_t i = 0; i < r->points->n; i++) {
		const struct mp_point *point = &r->points->items[i];

		for (size_t j = 0; j < point->n_usdt; j++) {
			const struct mp_usdt_pattern *usdt = &point->usdt[j];
			char name[256];
			struct mp_site *site;

			if (!may_hold(r, usdt->binary) ||
			    strcmp(usdt->provider, note->provider) != 0 ||
			    strcmp(usdt->name, note->name) != 0)
				continue;
			if (++r->matches[i] > point->max_sites)
				break;
			snprintf(name, sizeof(name), "%s:%s", note->provider, note->name);
			site = add_site(r, i, MP_SITE_USDT, name, note->offset);
			if (!site)
				return -ENOMEM;
			site->semaphore_offset = note->semaphore_offset;
			judge_usdt(r, site, note);
			if (site->status != MP_SITE_FAILED)
				usdt_args(site, point, note);
			break; /* another pattern of the point may name this note, too */
		}
	}
	return 0;
}

static int check_counts(const struct resolver *r, struct mp_error *err)
{
	for (size_t i = 0; i < r->points->n; i++) {
		const struct mp_point *point = &r->points->items[i];

		if (r->matches[i] > point->max_sites)
			return mp_fail(err, MP_EXIT_CONFIG, E2BIG,
				       "%s: point \"%s\" matches %zu functions of %s, and its "
				       "max_sites is %zu: narrow the pattern, or raise max_sites",
				       point->origin, point->name, r->matches[i], r->binary->path,
				       point->max_sites);
	}
	return 0;
}

static bool wants_usdt(const struct resolver *r)
{
	for (size_t i = 0; i < r->points->n; i++) {
		for (size_t j = 0; j < r->points->items[i].n_usdt; j++) {
			if (may_hold(r, r->points->items[i].usdt[j].binary))
				return true;
		}
	}
	return false;
}

static int resolve(struct resolver *r, struct mp_error *err)
{
	int error = 0;

	if (r->n_patterns)
		error = mp_elf_match(r->elf, r->patterns, r->n_patterns, on_symbol, r);
	if (!error && wants_usdt(r))
		error = mp_elf_for_each_usdt(r->elf, on_usdt, r);
	return error ? error : check_counts(r, err);
}

int mp_resolve_binary(struct mp_sites *sites, const struct mp_points *points,
		      const struct mp_binary *binary, unsigned int *ret_elf_flags,
		      struct mp_error *err)
{
	struct resolver MP_CLEANUP(resolver_free)
		r = {.sites = sites, .points = points, .binary = binary};
	size_t first = sites->n;
	int error = collect_patterns(&r);

	if (error)
		return error;
	if (r.n_patterns == 0 && !wants_usdt(&r))
		return 0;
	error = mp_elf_open(binary->open_path, binary->root, &r.elf, err);
	if (error)
		return error;
	*ret_elf_flags = mp_elf_flags(r.elf);
	error = resolve(&r, err);
	if (error) {
		mp_sites_truncate(sites, first);
		return error;
	}
	return (int)(sites->n - first);
}
