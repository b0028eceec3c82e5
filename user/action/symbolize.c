// SPDX-License-Identifier: GPL-2.0-only
#include "action/symbolize.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "base/fsroot.h"
#include "base/text.h"
#include "elf/elf_file.h"
#include "target/target.h"

/* Symbol tables are large, and stacks of one program are in few files. */
#define MAX_BINARIES 8

struct binary {
	uint64_t dev;
	uint64_t ino;
	/* Keeps the inode number from being given to another file while this one is remembered. */
	int fd;
	struct mp_elf *elf; /* NULL: free */
};

struct mp_symbolizer {
	struct binary recent[MAX_BINARIES]; /* the one used last first */
};

/* One call of mp_symbolize(). */
struct lookup {
	struct mp_symbolizer *symbolizer;
	const uint64_t *addrs;
	bool first_is_return;
	struct mp_frames frames;
};

struct mp_symbolizer *mp_symbolizer_new(void)
{
	return calloc(1, sizeof(struct mp_symbolizer));
}

static void binary_close(struct binary *binary)
{
	if (!binary->elf)
		return;
	mp_elf_free(binary->elf);
	close(binary->fd);
	*binary = (struct binary){.fd = -1};
}

void mp_symbolizer_free(struct mp_symbolizer *symbolizer)
{
	if (!symbolizer)
		return;
	for (size_t i = 0; i < MAX_BINARIES; i++)
		binary_close(&symbolizer->recent[i]);
	free(symbolizer);
}

void mp_frames_free(struct mp_frames *frames)
{
	for (size_t i = 0; i < frames->n; i++)
		free(frames->text[i]);
	*frames = (struct mp_frames){0};
}

/* Moves a binary to the front; those before it step back by one. */
static struct mp_elf *bring_forward(struct mp_symbolizer *symbolizer, size_t index)
{
	struct binary *recent = symbolizer->recent;
	struct binary used = recent[index];

	memmove(&recent[1], &recent[0], index * sizeof(recent[0]));
	recent[0] = used;
	return used.elf;
}

static struct mp_elf *elf_of(struct mp_symbolizer *symbolizer, const struct mp_binary *mapped)
{
	struct binary *last = &symbolizer->recent[MAX_BINARIES - 1];
	MP_CLOSE int fd = -1;
	struct mp_elf *elf;

	for (size_t i = 0; i < MAX_BINARIES; i++) {
		const struct binary *b = &symbolizer->recent[i];

		if (b->elf && b->dev == mapped->dev && b->ino == mapped->ino)
			return bring_forward(symbolizer, i);
	}
	fd = open(mapped->open_path, O_PATH | O_CLOEXEC);
	if (fd < 0 || mp_elf_open(mapped->open_path, mapped->root, &elf, NULL) < 0)
		return NULL;
	binary_close(last);
	*last = (struct binary){
		.dev = mapped->dev, .ino = mapped->ino, .fd = mp_take_fd(&fd), .elf = elf};
	return bring_forward(symbolizer, MAX_BINARIES - 1);
}

char *mp_frame_format(const struct mp_place *place)
{
	struct mp_text MP_TEXT text = {0};
	const char *slash = place->path ? strrchr(place->path, '/') : NULL;
	const char *file = slash ? slash + 1 : place->path;

	if (!file)
		mp_text_printf(&text, "0x%" PRIx64, place->addr);
	else if (!place->function)
		mp_text_printf(&text, "0x%" PRIx64 " (%s+0x%" PRIx64 ")", place->addr, file,
			       place->offset);
	else
		mp_text_printf(&text, "%s+0x%" PRIx64 " (%s)", place->function,
			       place->offset - place->function_offset, file);
	return text.failed ? NULL : MP_TAKE(text.data);
}

/*
 * A return address can be the first byte of the next function, when the call
 * was the last instruction of its own: so it is the byte before that counts.
 */
static uint64_t call_site(const struct lookup *lookup, size_t frame)
{
	bool is_return = frame > 0 || lookup->first_is_return;

	return lookup->addrs[frame] - (is_return && lookup->addrs[frame] > 0);
}

static int name_frame(struct lookup *lookup, size_t frame, const struct mp_binary *mapped)
{
	struct mp_elf *elf = elf_of(lookup->symbolizer, mapped);
	uint64_t delta = mapped->file_offset - mapped->start;
	struct mp_elf_symbol symbol;
	struct mp_place place = {
		.addr = lookup->addrs[frame],
		.path = mapped->path,
		.offset = lookup->addrs[frame] + delta,
	};
	char *text;

	if (elf && mp_elf_symbol_at(elf, call_site(lookup, frame) + delta, &symbol) == 0) {
		place.function = symbol.demangled ? symbol.demangled : symbol.name;
		place.function_offset = symbol.offset;
	}
	text = mp_frame_format(&place);
	if (!text)
		return -ENOMEM;
	lookup->frames.text[frame] = text;
	lookup->frames.n_named += place.function != NULL;
	return 0;
}

static int name_frames_in(void *data, const struct mp_binary *mapped)
{
	struct lookup *lookup = data;

	for (size_t i = 0; i < lookup->frames.n; i++) {
		uint64_t site = call_site(lookup, i);
		int err;

		if (lookup->frames.text[i] || site < mapped->start || site >= mapped->end)
			continue;
		err = name_frame(lookup, i, mapped);
		if (err)
			return err;
	}
	return 0;
}

/* What lies in no mapped file: generated code, the vdso, or all of a process that is gone. */
static int name_rest(struct lookup *lookup)
{
	for (size_t i = 0; i < lookup->frames.n; i++) {
		struct mp_place place = {.addr = lookup->addrs[i]};

		if (lookup->frames.text[i])
			continue;
		lookup->frames.text[i] = mp_frame_format(&place);
		if (!lookup->frames.text[i])
			return -ENOMEM;
	}
	return 0;
}

int mp_symbolize(struct mp_symbolizer *symbolizer, pid_t pid, const uint64_t *addrs, size_t n,
		 bool first_is_return, struct mp_frames *ret)
{
	static const struct mp_fsroot live = {.root = ""};
	struct lookup lookup = {
		.symbolizer = symbolizer,
		.addrs = addrs,
		.first_is_return = first_is_return,
		.frames.n = n < MP_STACK_DEPTH ? n : MP_STACK_DEPTH,
	};
	int err = mp_process_mappings(&live, pid, name_frames_in, &lookup);

	if (name_rest(&lookup) < 0) {
		mp_frames_free(&lookup.frames);
		return -ENOMEM;
	}
	*ret = lookup.frames;
	return err;
}
