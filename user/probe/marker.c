// SPDX-License-Identifier: GPL-2.0-only
#include "probe/marker.h"

#include <errno.h>
#include <string.h>

#include "elf/elf_file.h"

#define PROVIDER "memprobe"
#define SEMAPHORES ".probes"

/* In the order in which they are attached: whose entry is seen has its exit seen, too. */
static const struct marker {
	const char *name;
	enum mp_phase phase;
	unsigned int n_args;
} markers[] = {
	{"exit", MP_PHASE_EXIT, 4},
	{"enter", MP_PHASE_ENTER, 5},
	{"check", MP_PHASE_CHECK, 4},
};

struct finder {
	struct mp_sites *sites;
	const struct mp_binary *binary;
	struct mp_elf *elf;
	const struct marker *marker; /* looked for now */
};

/* The kernel side reads arguments where a call puts them; the note has to say the same. */
static bool takes_args(const struct mp_usdt_note *note, unsigned int n)
{
	for (unsigned int i = 1; i <= n; i++) {
		struct mp_usdt_arg arg;
		struct mp_error err;

		if (mp_usdt_parse_arg(note->args, i, &arg, &err) || arg.kind != MP_USDT_REG ||
		    arg.bytes != sizeof(uint64_t) || arg.reg != mp_arch_arg_register(i))
			return false;
	}
	return true;
}

/* What is wrong with a marker, or NULL. Other programs may call a probe of theirs memprobe:enter.
 */
static const char *problem_of(const struct finder *f, const struct mp_usdt_note *note,
			      struct mp_insn *ret_insn)
{
	uint8_t code[16];
	int len = mp_elf_code(f->elf, note->offset, code, sizeof(code));

	if (len <= 0 || mp_arch_decode(code, (size_t)len, note->addr, ret_insn))
		return "there is no instruction at the marker";
	if (!mp_arch_is_bare_nop(code, (size_t)len))
		return "not a function that does nothing, as a marker of libmemprobe is";
	if (!note->semaphore_offset)
		return "no semaphore, by which a program knows that it is watched";
	if (!takes_args(note, f->marker->n_args))
		return "other arguments than a marker of libmemprobe";
	return NULL;
}

static int add_site(struct finder *f, const struct mp_usdt_note *note)
{
	struct mp_site *site = mp_sites_add(f->sites);
	const char *problem;

	if (!site)
		return -ENOMEM;
	site->point = f->marker->phase;
	site->kind = MP_SITE_USDT;
	site->is_marker = true;
	site->offset = note->offset;
	site->semaphore_offset = note->semaphore_offset;
	site->dev = f->binary->dev;
	site->ino = f->binary->ino;
	site->binary = strdup(f->binary->path);
	site->open_path = strdup(f->binary->open_path);
	if (!site->binary || !site->open_path ||
	    asprintf(&site->symbol, PROVIDER ":%s", note->name) < 0)
		return -ENOMEM;
	problem = problem_of(f, note, &site->insn);
	if (!problem)
		return 0;
	site->status = MP_SITE_FAILED;
	site->reason = strdup(problem);
	return 0;
}

static int on_note(void *data, const struct mp_usdt_note *note)
{
	struct finder *f = data;

	if (strcmp(note->provider, PROVIDER) != 0 || strcmp(note->name, f->marker->name) != 0)
		return 0;
	return add_site(f, note);
}

static int find_all(struct finder *f)
{
	int error = 0;

	for (size_t i = 0; i < MP_ARRAY_SIZE(markers) && error != -ENOMEM; i++) {
		f->marker = &markers[i];
		error = mp_elf_for_each_usdt(f->elf, on_note, f);
	}
	return error;
}

/* Any file may have been linked with them; few have semaphores, so most are passed over soon. */
int mp_markers_find(struct mp_sites *sites, const struct mp_binary *binary)
{
	struct finder f = {.sites = sites, .binary = binary};
	MP_ELF struct mp_elf *elf = NULL;
	size_t first = sites->n;
	struct mp_error err;

	/* A file that is gone, or broken, has no markers: nothing is lost. */
	if (mp_elf_has_section(binary->open_path, SEMAPHORES) <= 0 ||
	    mp_elf_open(binary->open_path, binary->root, &elf, &err))
		return 0;
	f.elf = elf;
	if (find_all(&f) == -ENOMEM) {
		mp_sites_truncate(sites, first);
		return -ENOMEM;
	}
	return (int)(sites->n - first);
}

void mp_marker_event(const struct mp_site *site, const struct mp_point *point,
		     struct mp_event_site *ret)
{
	*ret = (struct mp_event_site){
		.point = point ? point->name : MP_MARKED_POINTS,
		.level = point ? point->level : MP_LEVEL_LOW,
		.kind = site->kind,
		.binary = site->binary,
		.symbol = site->symbol,
		.offset = site->offset,
		.insn = mp_insn_class_name(site->insn.class),
		.cost = mp_site_cost(site),
		.status = site->status,
		.reason = site->reason,
	};
}
