// SPDX-License-Identifier: GPL-2.0-only
/* SystemTap notes: https://sourceware.org/systemtap/wiki/UserSpaceProbeImplementation */
#include "elf/elf_internal.h"

#include <errno.h>
#include <string.h>

#define NOTE_OWNER "stapsdt"
#define NOTE_TYPE 3

/* A note with the addresses as they stand in it. */
struct raw_note {
	uint64_t addr;
	uint64_t base; /* of .stapsdt.base when the file was linked */
	uint64_t semaphore;
	const char *provider;
	const char *name;
	const char *args;
};
typedef int (*raw_note_fn)(void *data, const struct raw_note *note);

struct cursor {
	const uint8_t *at;
	size_t left;
};

static const uint8_t *take(struct cursor *c, size_t len)
{
	const uint8_t *taken = c->at;

	if (len > c->left)
		return NULL;
	c->at += len;
	c->left -= len;
	return taken;
}

/* Names and contents are padded to four bytes; the last padding may be missing. */
static const uint8_t *take_padded(struct cursor *c, size_t len)
{
	const uint8_t *taken = take(c, len);
	size_t padding = -len & 3;

	if (taken)
		take(c, padding < c->left ? padding : c->left);
	return taken;
}

static bool take_addr(struct cursor *c, bool is_64bit, uint64_t *ret)
{
	const uint8_t *bytes = take(c, is_64bit ? 8 : 4);
	uint32_t narrow;

	if (!bytes)
		return false;
	if (is_64bit) {
		memcpy(ret, bytes, sizeof(*ret));
		return true;
	}
	memcpy(&narrow, bytes, sizeof(narrow));
	*ret = narrow;
	return true;
}

static const char *take_string(struct cursor *c)
{
	const uint8_t *end = memchr(c->at, '\0', c->left);

	return end ? (const char *)take(c, (size_t)(end - c->at) + 1) : NULL;
}

static bool parse_description(struct cursor c, bool is_64bit, struct raw_note *ret)
{
	if (!take_addr(&c, is_64bit, &ret->addr) || !take_addr(&c, is_64bit, &ret->base) ||
	    !take_addr(&c, is_64bit, &ret->semaphore))
		return false;
	ret->provider = take_string(&c);
	ret->name = ret->provider ? take_string(&c) : NULL;
	ret->args = ret->name ? take_string(&c) : NULL;
	return ret->args && *ret->provider && *ret->name;
}

static int walk_notes(struct cursor c, bool is_64bit, raw_note_fn fn, void *data)
{
	int r = 0;

	while (c.left && !r) {
		const uint8_t *header_bytes = take(&c, sizeof(GElf_Nhdr));
		const uint8_t *owner, *description;
		struct raw_note note;
		GElf_Nhdr header;

		if (!header_bytes)
			return -EBADMSG;
		memcpy(&header, header_bytes, sizeof(header));
		owner = take_padded(&c, header.n_namesz);
		description = owner ? take_padded(&c, header.n_descsz) : NULL;
		if (!description)
			return -EBADMSG;
		if (header.n_type != NOTE_TYPE || header.n_namesz != sizeof(NOTE_OWNER) ||
		    memcmp(owner, NOTE_OWNER, sizeof(NOTE_OWNER)) != 0)
			continue;
		if (!parse_description((struct cursor){description, header.n_descsz}, is_64bit,
				       &note))
			return -EBADMSG;
		r = fn(data, &note);
	}
	return r;
}

struct pure_walk {
	mp_elf_usdt_fn fn;
	void *data;
};

static int pass_note(void *data, const struct raw_note *raw)
{
	struct pure_walk *walk = data;
	struct mp_usdt_note note = {
		.provider = raw->provider,
		.name = raw->name,
		.args = raw->args,
		.addr = raw->addr,
	};

	return walk->fn(walk->data, &note);
}

int mp_usdt_parse_notes(const void *data, size_t len, bool is_64bit, mp_elf_usdt_fn fn,
			void *fn_data)
{
	struct pure_walk walk = {fn, fn_data};

	return walk_notes((struct cursor){data, len}, is_64bit, pass_note, &walk);
}

struct elf_walk {
	const struct mp_elf *elf;
	uint64_t base; /* address of .stapsdt.base now; 0: the file has none */
	mp_elf_usdt_fn fn;
	void *data;
};

/* A note about what is not in the file's segments cannot be probed, and is left out. */
static int place_note(void *data, const struct raw_note *raw)
{
	struct elf_walk *walk = data;
	uint64_t moved = walk->base && raw->base ? walk->base - raw->base : 0;
	struct mp_usdt_note note = {
		.provider = raw->provider,
		.name = raw->name,
		.args = raw->args,
		.addr = raw->addr + moved,
	};

	if (mp_elf_offset_of(walk->elf, note.addr, true, &note.offset))
		return 0;
	if (raw->semaphore &&
	    mp_elf_offset_of(walk->elf, raw->semaphore + moved, false, &note.semaphore_offset))
		return 0;
	return walk->fn(walk->data, &note);
}

int mp_elf_for_each_usdt(struct mp_elf *elf, mp_elf_usdt_fn fn, void *data)
{
	struct elf_walk walk = {.elf = elf, .fn = fn, .data = data};
	Elf_Scn *section = mp_elf_section(elf->image.elf, SHT_NOTE, ".note.stapsdt");
	Elf_Scn *base = mp_elf_section(elf->image.elf, SHT_NULL, ".stapsdt.base");
	Elf_Data *notes = mp_elf_section_data(section);
	GElf_Shdr header;

	if (!section)
		return 0;
	if (!notes)
		return -EBADMSG;
	if (base && gelf_getshdr(base, &header))
		walk.base = header.sh_addr;
	return walk_notes((struct cursor){notes->d_buf, notes->d_size}, true, place_note, &walk);
}

/* --- arguments -------------------------------------------------------------- */

/* The next argument; a space inside brackets does not end it. Returns its length. */
static size_t next_arg(const char **at, const char **ret_arg)
{
	unsigned int depth = 0;
	const char *s = *at + strspn(*at, " ");

	*ret_arg = s;
	for (; *s && (*s != ' ' || depth); s++) {
		depth += *s == '(' || *s == '[';
		depth -= depth && (*s == ')' || *s == ']');
	}
	*at = s;
	return (size_t)(s - *ret_arg);
}

/* "-4@": signed, 4 bytes. Returns what is taken, -EINVAL, or -ENOTSUP ("8f@" is a floating number).
 */
static int parse_width(const char *arg, size_t len, struct mp_usdt_arg *ret)
{
	const char *at = memchr(arg, '@', len);
	size_t sign = len && arg[0] == '-';
	size_t width = at ? (size_t)(at - arg) - sign : 0;

	if (width == 2 && arg[sign + 1] == 'f')
		return -ENOTSUP;
	if (width != 1 || !strchr("1248", arg[sign]))
		return -EINVAL;
	ret->bytes = (uint8_t)(arg[sign] - '0');
	ret->is_signed = (uint8_t)sign;
	return (int)(at - arg) + 1;
}

static int parse_arg(const char *arg, size_t len, struct mp_usdt_arg *ret)
{
	struct mp_usdt_arg width = {0};
	int taken = parse_width(arg, len, &width);
	int err;

	if (taken < 0)
		return taken;
	err = mp_arch_usdt_operand(arg + taken, len - (size_t)taken, ret);
	if (err)
		return err;
	ret->bytes = width.bytes;
	ret->is_signed = width.is_signed;
	return 0;
}

int mp_usdt_parse_arg(const char *args, unsigned int index, struct mp_usdt_arg *ret,
		      struct mp_error *err)
{
	struct mp_usdt_arg parsed;
	const char *arg = NULL;
	size_t len = 0;
	int r;

	for (unsigned int i = 0; i < index; i++) {
		len = next_arg(&args, &arg);
		if (!len)
			break;
	}
	if (!len)
		return mp_fail(err, MP_EXIT_CONFIG, ENOENT, "the probe has no argument %u", index);
	r = parse_arg(arg, len, &parsed);
	if (r == -ENOTSUP)
		return mp_fail(err, MP_EXIT_UNSUPPORTED, ENOTSUP,
			       "argument %u of the probe has a form that cannot be read: %.*s",
			       index, len < 256 ? (int)len : 256, arg);
	if (r)
		return mp_fail(err, MP_EXIT_UNSUPPORTED, -r,
			       "argument %u of the probe is malformed: %.*s", index,
			       len < 256 ? (int)len : 256, arg);
	*ret = parsed;
	return 0;
}
