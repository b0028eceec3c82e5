// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads the header of a GGUF file again and again, from open to free:
 *
 *   gguf_parse FILE RUNS [LIBGGML]
 *
 * with the reader of user/model, or with that of a libggml-base.so, as llama.cpp's loader calls it.
 * Prints the median time, what was found, and by how much anonymous memory had grown at its most.
 */
#include <dlfcn.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "model/gguf.h"

#define MAX_RUNS 1001

struct found {
	uint64_t n_tensors, n_kv;
};

/* ggml.h and gguf.h, of which this is all that is needed. */
struct ggml_context;
struct gguf_context;
struct gguf_init_params {
	bool no_alloc;
	struct ggml_context **ctx;
};
struct ggml {
	struct gguf_context *(*init)(const char *path, struct gguf_init_params params);
	int64_t (*n_tensors)(const struct gguf_context *gguf);
	int64_t (*n_kv)(const struct gguf_context *gguf);
	void (*free_gguf)(struct gguf_context *gguf);
	void (*free_ggml)(struct ggml_context *ctx);
};

static int read_own(const char *path, struct found *ret)
{
	struct mp_gguf_file file;
	struct mp_error err;

	if (mp_gguf_open(path, &file, &err)) {
		fprintf(stderr, "%s\n", err.text);
		return -1;
	}
	*ret = (struct found){file.n_tensors, file.parts[0].gguf.n_kv};
	mp_gguf_close(&file);
	return 0;
}

static int read_ggml(const struct ggml *ggml, const char *path, struct found *ret)
{
	struct ggml_context *ctx = NULL;
	struct gguf_context *gguf =
		ggml->init(path, (struct gguf_init_params){.no_alloc = true, .ctx = &ctx});

	if (!gguf)
		return -1;
	*ret = (struct found){(uint64_t)ggml->n_tensors(gguf), (uint64_t)ggml->n_kv(gguf)};
	ggml->free_gguf(gguf);
	ggml->free_ggml(ctx);
	return 0;
}

static int load_ggml(const char *path, struct ggml *ret)
{
	void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	static const char *const names[] = {"gguf_init_from_file", "gguf_get_n_tensors",
					    "gguf_get_n_kv", "gguf_free", "ggml_free"};
	void *functions[sizeof(names) / sizeof(names[0])];

	_Static_assert(sizeof(functions) == sizeof(*ret), "a name for each");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		functions[i] = lib ? dlsym(lib, names[i]) : NULL;
		if (!functions[i]) {
			fprintf(stderr, "%s\n", dlerror());
			return -1;
		}
	}
	memcpy(ret, functions, sizeof(*ret));
	return 0;
}

static uint64_t anonymous_kib(void)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "re");
	unsigned long kib = 0;
	char line[256];

	while (f && fgets(line, sizeof(line), f) && sscanf(line, "Anonymous: %lu", &kib) != 1)
		;
	if (f)
		fclose(f);
	return kib;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	size_t runs = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
	uint64_t ns[MAX_RUNS];
	struct found found = {0, 0};
	struct ggml ggml;
	uint64_t before;
	uint64_t median;

	if (runs == 0 || runs > MAX_RUNS || (argc > 3 && load_ggml(argv[3], &ggml)))
		return 2;
	/* What is freed stays with the process: its growth is then the most that was taken. */
	mallopt(M_MMAP_THRESHOLD, 1 << 30);
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	anonymous_kib();
	before = anonymous_kib();
	for (size_t i = 0; i < runs; i++) {
		uint64_t begin = mp_clock_now_ns();

		if (argc > 3 ? read_ggml(&ggml, argv[1], &found) : read_own(argv[1], &found))
			return 1;
		ns[i] = mp_clock_now_ns() - begin;
	}
	qsort(ns, runs, sizeof(ns[0]), compare);
	median = ns[runs / 2];
	printf("{\"ms\": %.4f, \"n_tensors\": %lu, \"n_kv\": %lu, \"anon_kib\": %lu}\n",
	       (double)median / 1e6, (unsigned long)found.n_tensors, (unsigned long)found.n_kv,
	       (unsigned long)(anonymous_kib() - before));
	return 0;
}
