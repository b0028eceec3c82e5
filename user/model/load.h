/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Loads a model as llama.cpp does and passes over its weights as decoding does. It is a program of
 * its own (`memprobe-bpf gguf load`), so that it can be limited, watched and killed; what it
 * measures is in shared memory, and outlives it.
 */
#ifndef MP_MODEL_LOAD_H
#define MP_MODEL_LOAD_H

#include <stdatomic.h>

#include "model/advice.h"

enum mp_loader {
	MP_LOADER_MMAP = 0, /* fadvise, mmap populated, madvise */
	MP_LOADER_READ,	    /* read into anonymous buffers, tensor by tensor */
	MP_LOADER_EXEC,	    /* a command of the user's */
	MP_LOADER_COUNT
};
const char *mp_loader_name(enum mp_loader loader);
int mp_loader_parse(const char *name);

struct mp_load_options {
	const char *path;
	enum mp_loader loader;
	uint32_t context;     /* tokens; 0: no KV cache and no compute buffer */
	bool repack;	      /* copies what llama.cpp would */
	bool cold_only;	      /* no second load with a warm cache */
	uint64_t passes;      /* at least, see MP_LOAD_SETTLE; 0: as long as `duration_ns` */
	uint64_t duration_ns; /* at least, from the end of the load; 0: as many as `passes` */
	uint64_t file_bytes;  /* for mp_load_predict(): of all parts; 0: by the tensors */
};

enum mp_load_state {
	MP_LOAD_NONE = 0,
	MP_LOAD_COLD, /* loading, nothing of it in the page cache */
	MP_LOAD_WARM, /* loading again */
	MP_LOAD_PASSES,
	MP_LOAD_DONE,
};

struct mp_load_pass {
	uint64_t begin_ns; /* CLOCK_MONOTONIC */
	uint64_t duration_ns;
	uint64_t read_bytes; /* from the disk meanwhile, by this process */
};

/* Of a pass's weights: with no more of them from the disk it is quiet. */
#define MP_LOAD_QUIET_PCT 10
/*
 * The first passes under a limit bring in again what was reclaimed while loading, and the kernel
 * learns what is used. So passes that are not timed go on until as many as asked for were quiet in
 * a row, at most so many times as many.
 */
#define MP_LOAD_SETTLE 5

#define MP_LOAD_PASSES_KEPT 16384 /* when these are full, every second one goes */
struct mp_load_kept {
	_Atomic uint32_t n;
	uint32_t stride; /* one of so many is kept */
	struct mp_load_pass passes[MP_LOAD_PASSES_KEPT];
};

/* What it cost the kernel to bring the weights in. */
struct mp_load_cost {
	uint64_t read_bytes; /* from the disk, by this process */
	uint64_t major_faults;
};

/*
 * One process writes, any number read, at any time and after the writer's death. Plain fields are
 * written before the `state` that says they are there (a release; readers load it first); those of
 * passes before n_passes. What is kept of the passes is read by mp_load_page_passes() only.
 */
struct mp_load_page {
	uint32_t version; /* 1 */
	_Atomic uint32_t state;
	uint64_t weights;		 /* bytes a pass reads */
	uint64_t cold_begin_ns, cold_ns; /* cold_ns 0: not over */
	uint64_t warm_begin_ns, warm_ns;
	uint64_t cached_before;	      /* bytes in the page cache when the cold load began */
	uint64_t runtime;	      /* RSS before anything was loaded */
	uint64_t kv, compute, repack; /* anonymous bytes that were taken */
	uint64_t checksum;	      /* of the weights, so that reading them is no idle work */
	uint64_t peak_anon,
		peak_file; /* RSS by kind, as it was seen at the ends of loads and passes */
	struct mp_load_cost cold, warm;
	uint64_t passes_begin_ns;
	struct mp_load_cost passes; /* of all that are done */
	_Atomic uint64_t passed;    /* bytes that passes have read, those of the last one too */
	_Atomic uint64_t n_passes;  /* done, kept or not */
	_Atomic uint32_t current;   /* of the two: the other is being thinned into */
	struct mp_load_kept kept[2];
};

/* A page that a child inherits: its descriptor is not closed by exec. */
int mp_load_page_new(struct mp_load_page **ret, int *ret_fd);
/* -EINVAL: it is no such page, or of another version. */
int mp_load_page_map(int fd, struct mp_load_page **ret);
void mp_load_page_free(struct mp_load_page *page);
#define MP_LOAD_PAGE_ENV "MEMPROBE_LOAD_PAGE" /* its descriptor's number */

/* By the writer alone: a pass is over. */
void mp_load_page_add(struct mp_load_page *page, const struct mp_load_pass *pass);
/*
 * The passes that are kept, oldest first, at most MP_LOAD_PASSES_KEPT of them, each `*ret_stride`
 * passes after the one before it. Returns how many. The writer may be at work, or dead.
 */
size_t mp_load_page_passes(const struct mp_load_page *page, struct mp_load_pass *ret,
			   uint32_t *ret_stride);

/* The first of `n` passes by which the load is judged: the last third, at least 3; all if timed. */
size_t mp_load_first_settled(const struct mp_load_options *options, size_t n);

/*
 * Does it all, for a page that is new. SIGINT and SIGTERM end the passes, and it is done (0);
 * before these, -EINTR (130). Exit codes: 3 (malformed, truncated meanwhile, not readable), 5, 7
 * (-ENOMEM).
 */
int mp_load(const struct mp_load_options *options, struct mp_load_page *page, struct mp_error *err);

/* Bytes a second that one processor reads from memory of its own, at best; 0: no memory for it. */
uint64_t mp_load_memory_per_s(uint64_t bytes);

/* What the loaders take at their peak, given where they run: for prediction. Bytes. */
struct mp_load_peak {
	uint64_t anon, file; /* RSS by kind, were there no limit */
};
void mp_load_predict(const struct mp_load_options *options, const struct mp_model_shape *shape,
		     const struct mp_model_size *size, struct mp_load_peak *ret);

#endif
