/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which level fits: what a model must have, what it needs to be comfortable, and what comes of it
 * under a limit. Pure arithmetic; docs/models.md gives the formulas.
 */
#ifndef MP_MODEL_ADVICE_H
#define MP_MODEL_ADVICE_H

#include "base/text.h"
#include "model/quant.h"

#define MP_ADVICE_CONTEXT 4096 /* tokens */
#define MP_KV_CELLS 256	       /* llama.cpp rounds the context of a cache up to these */
#define MP_ADVICE_UBATCH 512   /* tokens at a time: llama.cpp's default */

/* What programs take without a model, measured: docs/models.md, Advice. */
#define MP_RUNTIME_LLAMA (16ULL << 20) /* llama.cpp by itself */
#define MP_METADATA_PER_TOKEN 150      /* of the vocabulary, in llama.cpp */
#define MP_METADATA_PER_MERGE 210      /* of its tokenizer; as many as tokens, without a file */
/* Of a file whose weights do not fit, what each token has read again: measured, docs/models.md. */
#define MP_ADVICE_REREAD 0.9
/* A rise of perplexity up to which a level answers well enough: Q3_K_M is below, Q3_K_S above. */
#define MP_PASSABLE_RISE 1.0

enum mp_kv_type {
	MP_KV_F16 = 0,
	MP_KV_Q8_0,
	MP_KV_F32,
	MP_KV_TYPE_COUNT
};
const char *mp_kv_type_name(enum mp_kv_type type);
int mp_kv_type_parse(const char *name);

enum mp_fit {
	MP_FIT_OK = 0, /* all of it stays in memory */
	MP_FIT_THRASH, /* weights are read again and again */
	MP_FIT_OOM,    /* even without its weights it does not fit */
	MP_FIT_COUNT
};
const char *mp_fit_name(enum mp_fit fit); /* as outcomes are called: ok, thrash, oom_killed */

struct mp_advice_input {
	const struct mp_model_shape *shape;
	const struct mp_gguf_file *file; /* sizes of its own tensors, or NULL: of the shape */
	uint64_t limit;			 /* bytes: of the device */
	uint64_t used;			 /* of it by others, all the time */
	uint64_t margin;		 /* of it to be left free */
	uint32_t context;		 /* tokens; padded to 256 */
	enum mp_kv_type kv_type;
	uint32_t n_ubatch;
	bool repack;	     /* llama.cpp without --no-repack */
	bool no_mmap;	     /* weights in anonymous memory: they must fit, too */
	uint64_t runtime;    /* bytes: program, libraries, stacks */
	uint64_t metadata;   /* bytes: vocabulary and tokenizer; MP_UNKNOWN: by the vocabulary */
	uint64_t disk_per_s; /* bytes a second, measured; 0: not known */
};

struct mp_level_advice {
	const struct mp_quant_level *level; /* NULL: the file as it is */
	uint64_t tensor_bytes;
	uint64_t kv, compute, repack, runtime, metadata;
	uint64_t must;	      /* anonymous memory, beyond used and margin */
	uint64_t comfortable; /* must, and the mapped weights that each pass reads */
	enum mp_fit fit;
	uint64_t most_context; /* tokens with which it would be comfortable; 0: with none */
	/* Passes (tokens) a second when it thrashes: disk / (0.9 x mapped weights); NAN: not known,
	   or not bound by the disk. */
	double most_per_s;
};

struct mp_advice {
	struct mp_level_advice *levels; /* in the order of the table */
	size_t n;
	const struct mp_level_advice *best; /* quality among those that fit; NULL: none does */
};

/* Of `limit`, what is left free unless it is said: a tenth, at most 500 MiB. */
uint64_t mp_advice_margin(uint64_t limit);
/* What the model may take: the limit less what is in use and the margin. */
uint64_t mp_advice_usable(const struct mp_advice_input *input);

/* What the metadata is estimated by: the file's own, or a byte-pair tokenizer of that size. */
void mp_advice_vocabulary(const struct mp_advice_input *input, uint64_t *ret_tokens,
			  uint64_t *ret_merges);

/* UINT64_MAX: more than that. */
uint64_t mp_kv_bytes(const struct mp_model_shape *shape, uint32_t context, enum mp_kv_type type);
uint64_t mp_compute_bytes(const struct mp_model_shape *shape, uint32_t n_ubatch);

/* Of the levels given, NULL: of all whose quality is known and F16. -ENOMEM, -EOVERFLOW. */
int mp_advise(const struct mp_advice_input *input, const struct mp_quant_level *const *levels,
	      size_t n, struct mp_advice *ret, struct mp_error *err);
void mp_advice_free(struct mp_advice *advice);

/* Of a file at its own level alone: levels[0]. */
int mp_advise_file(const struct mp_advice_input *input, struct mp_advice *ret,
		   struct mp_error *err);

/*
 * The model of `models` to take instead: smaller, of the same architecture and of passable quality
 * if there is one, and the largest of those. NULL: none is comfortable there. `*ret_level` is the
 * level of it.
 */
const struct mp_model *mp_advise_smaller(const struct mp_advice_input *input,
					 const struct mp_models *models,
					 const struct mp_quant_level **ret_level);

/* The best that fits costs so much quality that a smaller model may be the better choice. */
bool mp_advice_is_poor(const struct mp_advice *advice);

/* In a sentence or three: what to take, or that none fits and what would. `smaller` may be NULL. */
void mp_advice_sentence(struct mp_text *out, const struct mp_advice_input *input,
			const struct mp_advice *advice, const struct mp_model *smaller,
			const struct mp_quant_level *smaller_level);
/* The arithmetic of a level, line by line, with every number that goes into it. */
void mp_advice_explain(struct mp_text *out, const struct mp_advice_input *input,
		       const struct mp_level_advice *advice);

#endif
