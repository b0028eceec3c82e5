/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of a load share: what is to be loaded, where it is then, and a row a loader. */
#ifndef MP_MODEL_LOADER_H
#define MP_MODEL_LOADER_H

#include <signal.h>

#include "model/load.h"

/*
 * Functions that injection_points.yaml names: found by their plain names, so there is one copy of
 * each, which is called as it stands.
 */
#if __has_attribute(noipa)
#define MP_LOAD_POINT __attribute__((noipa))
#else
#define MP_LOAD_POINT __attribute__((noinline))
#endif

/* --- what is to be loaded ------------------------------------------------------------- */

struct mp_load_tensor {
	uint64_t offset; /* in the file */
	uint64_t bytes;
	bool repacked;
};

struct mp_load_part {
	char *path;
	uint64_t bytes;
	size_t first, n; /* of the plan's tensors */
};

/* Of the header that is all; it is not mapped any more when the weights come. */
struct mp_load_plan {
	struct mp_load_part *parts;
	size_t n_parts;
	struct mp_load_tensor *tensors;
	size_t n_tensors;
	uint64_t weights, kv, compute, repack; /* bytes */
	uint32_t kv_areas, kv_cells;	       /* a row a cell in each area: K and V of a layer */
};

int mp_load_plan_make(const struct mp_load_options *options, struct mp_load_plan *ret,
		      struct mp_error *err);
void mp_load_plan_free(struct mp_load_plan *plan);

/*
 * Has the kernel forget what it has cached of these files; what it keeps all the same is counted.
 * Of files that are not this user's all counts: the kernel does not tell.
 */
int mp_load_drop_cache(const struct mp_load_plan *plan, uint64_t *ret_kept, struct mp_error *err);

/* --- what is loaded ------------------------------------------------------------------- */

struct mp_load_region {
	void *begin;
	size_t bytes;
};

struct mp_load_weight {
	const uint8_t *data;
	uint64_t bytes;
};

struct mp_loaded {
	struct mp_load_plan plan;
	struct mp_load_weight *weights; /* of each tensor of the plan: where passes read it */
	struct mp_load_region *regions; /* mappings that end with it */
	size_t n_regions, cap_regions;
	uint8_t *kv, *compute; /* NULL: none */
};

/* A loader (-EINTR, -EIO: see mp_load_signals_check()), then the KV cache and the compute buffer.
 */
int mp_loaded_make(const struct mp_load_options *options, struct mp_loaded *m,
		   struct mp_error *err);
void mp_loaded_free(struct mp_loaded *m);

/* Takes a mapping over, also when it fails. */
int mp_loaded_keep(struct mp_loaded *m, void *begin, size_t bytes, struct mp_error *err);
/* Anonymous memory, zeroed, and all of it resident when `written`. -ENOMEM (7). */
int mp_loaded_allocate(struct mp_loaded *m, uint64_t bytes, bool written, uint8_t **ret,
		       struct mp_error *err);

/* Sets the weights of a part, whose file is open. */
typedef int (*mp_loader_fn)(struct mp_loaded *m, const struct mp_load_part *part, int fd,
			    struct mp_error *err);
int mp_loader_mmap(struct mp_loaded *m, const struct mp_load_part *part, int fd,
		   struct mp_error *err);
int mp_loader_read(struct mp_loaded *m, const struct mp_load_part *part, int fd,
		   struct mp_error *err);

int mp_load_truncated(struct mp_error *err, const char *path, uint64_t bytes, uint64_t expected);

/* --- signals ---------------------------------------------------------------------------- */

/*
 * SIGINT and SIGTERM wait until they are asked for. Pages of a file that cannot be read, because
 * it has been truncated or its disk fails, become zeros, and that is told in the same way.
 */
struct mp_load_signals {
	sigset_t mask; /* as it was before */
	struct sigaction bus;
};
void mp_load_signals_begin(struct mp_load_signals *signals);
void mp_load_signals_end(const struct mp_load_signals *signals);
/* 0; -EINTR: it should end; -EIO: a page could not be read. */
int mp_load_signals_check(void);

/* --- reading ------------------------------------------------------------------------------ */

/* Reads every byte: the sum of its 64-bit words, and of its last bytes one by one. */
uint64_t mp_load_sum(const uint8_t *data, uint64_t bytes);

#endif
