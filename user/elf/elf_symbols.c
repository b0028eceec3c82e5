// SPDX-License-Identifier: GPL-2.0-only
/* The symbol tables of a file, and which function covers an offset. */
#include "elf/elf_internal.h"

#include <errno.h>
#include <string.h>

#define MAX_NAME_BYTES (64 << 10)

struct symbol_table {
	Elf_Data *symbols;
	const char *names;
	size_t names_len; /* up to the last NUL: every name in it ends */
	size_t n;
};

static int read_table(Elf *elf, uint32_t type, struct symbol_table *ret)
{
	Elf_Scn *section = mp_elf_section(elf, type, NULL);
	Elf_Data *symbols = mp_elf_section_data(section);
	size_t entry = gelf_fsize(elf, ELF_T_SYM, 1, EV_CURRENT);
	Elf_Data *names;
	GElf_Shdr header;
	const char *last;

	if (!symbols || !entry || !gelf_getshdr(section, &header))
		return -ENOENT;
	names = mp_elf_section_data(elf_getscn(elf, header.sh_link));
	if (!names)
		return -ENOENT;
	last = memrchr(names->d_buf, '\0', names->d_size);
	if (!last)
		return -ENOENT;
	*ret = (struct symbol_table){
		.symbols = symbols,
		.names = names->d_buf,
		.names_len = (size_t)(last - (const char *)names->d_buf) + 1,
		.n = symbols->d_size / entry,
	};
	return 0;
}

static bool is_function(const GElf_Sym *sym)
{
	unsigned int type = GELF_ST_TYPE(sym->st_info);

	return sym->st_shndx != SHN_UNDEF && (type == STT_FUNC || type == STT_GNU_IFUNC);
}

static bool read_function(const struct mp_elf *elf, const struct symbol_table *table, int index,
			  struct mp_elf_function *ret)
{
	GElf_Sym sym;

	if (!gelf_getsym(table->symbols, index, &sym) || !is_function(&sym) ||
	    sym.st_name >= table->names_len ||
	    mp_elf_offset_of(elf, sym.st_value, true, &ret->offset))
		return false;
	ret->name = table->names + sym.st_name;
	ret->addr = sym.st_value;
	ret->size = sym.st_size;
	ret->is_ifunc = GELF_ST_TYPE(sym.st_info) == STT_GNU_IFUNC;
	ret->is_global = GELF_ST_BIND(sym.st_info) != STB_LOCAL;
	return ret->name[0] && strnlen(ret->name, MAX_NAME_BYTES) < MAX_NAME_BYTES;
}

static int walk_table(struct mp_elf *elf, Elf *file, uint32_t type, mp_elf_function_fn fn,
		      void *data)
{
	struct symbol_table table;
	int r = 0;

	if (!file || read_table(file, type, &table))
		return 0;
	for (size_t i = 0; i < table.n && i < INT32_MAX && !r; i++) {
		struct mp_elf_function function;

		if (read_function(elf, &table, (int)i, &function))
			r = fn(data, &function);
	}
	return r;
}

int mp_elf_for_each_function(struct mp_elf *elf, mp_elf_function_fn fn, void *data)
{
	int r;

	/* .symtab holds all of .dynsym. */
	if (elf->flags & MP_ELF_HAS_SYMTAB)
		return walk_table(elf, elf->image.elf, SHT_SYMTAB, fn, data);
	r = walk_table(elf, elf->image.elf, SHT_DYNSYM, fn, data);
	return r ? r : walk_table(elf, elf->debug.elf, SHT_SYMTAB, fn, data);
}

size_t mp_elf_base_length(const char *name)
{
	const char *at = strchr(name, '@');

	return at && at != name ? (size_t)(at - name) : strlen(name);
}

int mp_elf_functions_add(void *data, const struct mp_elf_function *fn)
{
	struct mp_elf_functions *list = data;

	if (list->n == list->cap) {
		size_t cap = list->cap ? list->cap * 2 : 64;
		void *grown = reallocarray(list->items, cap, sizeof(*list->items));

		if (!grown)
			return -ENOMEM;
		list->items = grown;
		list->cap = cap;
	}
	list->items[list->n] = *fn;
	list->items[list->n].order = list->n;
	list->n++;
	return 0;
}

static int compare_functions(const void *a, const void *b)
{
	const struct mp_elf_function *x = a;
	const struct mp_elf_function *y = b;

	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	if (x->is_global != y->is_global)
		return x->is_global ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

void mp_elf_functions_sort(struct mp_elf_functions *list)
{
	if (list->n)
		qsort(list->items, list->n, sizeof(*list->items), compare_functions);
}

static void set_ends(const struct mp_elf *elf, struct mp_elf_range *ranges, size_t n)
{
	uint64_t reach = 0;

	for (size_t i = 0; i < n; i++) {
		struct mp_elf_range *r = &ranges[i];
		const struct mp_elf_segment *s = mp_elf_code_at(elf, r->fn.offset);
		uint64_t limit = s ? s->offset + s->size : r->fn.offset;

		if (r->fn.size && r->fn.size < limit - r->fn.offset)
			limit = r->fn.offset + r->fn.size;
		else if (!r->fn.size && i + 1 < n && ranges[i + 1].fn.offset < limit)
			limit = ranges[i + 1].fn.offset;
		r->end = limit;
		reach = limit > reach ? limit : reach;
		r->reach = reach;
	}
}

static int make_ranges(struct mp_elf *elf)
{
	MP_ELF_FUNCTIONS struct mp_elf_functions list = {0};
	int err = mp_elf_for_each_function(elf, mp_elf_functions_add, &list);
	size_t n = 0;

	if (err)
		return err;
	mp_elf_functions_sort(&list);
	elf->ranges = calloc(list.n + 1, sizeof(*elf->ranges));
	if (!elf->ranges)
		return -ENOMEM;
	for (size_t i = 0; i < list.n; i++) {
		struct mp_elf_function *fn = &list.items[i];

		if (n == 0 || fn->offset != elf->ranges[n - 1].fn.offset)
			elf->ranges[n++].fn = *fn;
		else if (fn->size > elf->ranges[n - 1].fn.size)
			elf->ranges[n - 1].fn.size = fn->size;
	}
	set_ends(elf, elf->ranges, n);
	elf->n_ranges = n;
	return 0;
}

/* The innermost range that covers `offset`, or NULL. */
static const struct mp_elf_range *find_range(const struct mp_elf *elf, uint64_t offset)
{
	size_t low = 0;
	size_t high = elf->n_ranges;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (elf->ranges[middle].fn.offset <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low && elf->ranges[low - 1].reach > offset; low--) {
		if (elf->ranges[low - 1].end > offset)
			return &elf->ranges[low - 1];
	}
	return NULL;
}

int mp_elf_symbol_at(struct mp_elf *elf, uint64_t offset, struct mp_elf_symbol *ret)
{
	const struct mp_elf_range *range;
	int err = elf->ranges ? 0 : make_ranges(elf);

	if (err)
		return err;
	range = find_range(elf, offset);
	if (!range)
		return -ENOENT;
	free(elf->demangled);
	elf->demangled = mp_demangle_as(range->fn.name, MP_DEMANGLE_FULL);
	*ret = (struct mp_elf_symbol){
		.name = range->fn.name,
		.demangled = elf->demangled,
		.addr = range->fn.addr,
		.size = range->fn.size,
		.offset = range->fn.offset,
		.is_ifunc = range->fn.is_ifunc,
	};
	return 0;
}
