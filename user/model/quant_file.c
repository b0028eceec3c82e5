// SPDX-License-Identifier: GPL-2.0-only
/* The tensors that a file has: what they are, and what they would be at a level. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/quant_internal.h"

#define ROPE_BASE 10000.0 /* as llama.cpp takes them where a file says nothing */
#define RMS_EPS 1e-5

/* --- the shape --------------------------------------------------------------- */

static const struct shape_key {
	const char *key; /* behind the architecture */
	size_t offset;
	bool required;
} shape_keys[] = {
	{"block_count", offsetof(struct mp_model_shape, layers), true},
	{"embedding_length", offsetof(struct mp_model_shape, hidden), true},
	{"feed_forward_length", offsetof(struct mp_model_shape, ff), true},
	{"attention.head_count", offsetof(struct mp_model_shape, heads), true},
	{"attention.head_count_kv", offsetof(struct mp_model_shape, kv_heads), false},
	{"attention.key_length", offsetof(struct mp_model_shape, head_dim), false},
	{"context_length", offsetof(struct mp_model_shape, context_length), true},
};

/* A file as its shape is found, and where to say what is wrong with it. */
struct look {
	const struct mp_gguf_file *file;
	const struct mp_gguf *first; /* the part with the metadata */
	struct mp_model_shape *shape;
	struct mp_error *err;
};

static int fail_key(const struct look *look, const char *key, const char *wrong)
{
	return mp_fail(look->err, MP_EXIT_CONFIG, EINVAL, "%s: key %s.%s: %s",
		       look->file->parts[0].path, look->shape->architecture, key, wrong);
}

static int read_architecture(const struct look *look)
{
	struct mp_gguf_string text;
	int error = mp_gguf_text(look->first, "general.architecture", &text);

	if (error || text.len == 0 || text.len >= sizeof(look->shape->architecture))
		return mp_fail(look->err, MP_EXIT_CONFIG, EINVAL,
			       "%s: key general.architecture: %s", look->file->parts[0].path,
			       error == -ENOENT ? "missing" : "not a name such as llama");
	memcpy(look->shape->architecture, text.data, text.len);
	look->shape->architecture[text.len] = '\0';
	return 0;
}

static int read_count(const struct look *look, const struct shape_key *row)
{
	char key[MP_GGUF_MAX_NAME];
	uint64_t count;
	int error;

	snprintf(key, sizeof(key), "%%s.%s", row->key);
	error = mp_gguf_u64(look->first, key, &count);
	if (error == -ENOENT && !row->required)
		return 0;
	if (error == -ENOENT)
		return fail_key(look, row->key, "missing");
	if (error)
		return fail_key(look, row->key, "one whole number is needed");
	if (count == 0 || count > UINT32_MAX)
		return fail_key(look, row->key, "out of range");
	*(uint32_t *)((char *)look->shape + row->offset) = (uint32_t)count;
	return 0;
}

static int read_float(const struct look *look, const char *key, double otherwise, double *ret)
{
	char whole[MP_GGUF_MAX_NAME];
	int error;

	snprintf(whole, sizeof(whole), "%%s.%s", key);
	error = mp_gguf_f64(look->first, whole, ret);
	if (error == -ENOENT)
		*ret = otherwise;
	else if (error || !(*ret > 0 && isfinite(*ret)))
		return fail_key(look, key, "a number above 0 is needed");
	return 0;
}

/* The table may have more rows than there are tokens; it is what takes memory. */
static int read_vocab(const struct look *look)
{
	const struct mp_gguf_tensor *table = mp_gguf_file_tensor(look->file, "token_embd.weight");

	if (!table)
		return mp_fail(look->err, MP_EXIT_CONFIG, EINVAL,
			       "%s: there is no tensor token_embd.weight",
			       look->file->parts[0].path);
	if (table->n_dims != 2 || table->ne[0] != look->shape->hidden ||
	    table->ne[1] > MP_MAX_WIDTH)
		return mp_fail(look->err, MP_EXIT_CONFIG, EINVAL,
			       "%s: tensor token_embd.weight: its rows are not of "
			       "embedding_length, or too many",
			       look->file->parts[0].path);
	look->shape->vocab = (uint32_t)table->ne[1];
	return 0;
}

static int finish_shape(const struct look *look)
{
	struct mp_model_shape *shape = look->shape;
	const char *wrong;

	shape->kv_heads = shape->kv_heads ?: shape->heads;
	shape->head_dim = shape->head_dim ?: shape->hidden / shape->heads;
	shape->tied = !mp_gguf_file_tensor(look->file, "output.weight");
	shape->qkv_bias = mp_gguf_file_tensor(look->file, "blk.0.attn_q.bias");
	shape->qk_norm = mp_gguf_file_tensor(look->file, "blk.0.attn_q_norm.weight");
	shape->rope_factors = mp_gguf_file_tensor(look->file, "rope_freqs.weight");
	wrong = mp_model_shape_wrong(shape);
	if (wrong)
		return mp_fail(look->err, MP_EXIT_CONFIG, EINVAL,
			       "%s: keys of %s: no such model can be: %s",
			       look->file->parts[0].path, shape->architecture, wrong);
	return 0;
}

int mp_gguf_shape(const struct mp_gguf_file *file, struct mp_model_shape *ret, struct mp_error *err)
{
	struct mp_model_shape shape = {.layers = 0};
	const struct look look = {file, &file->parts[0].gguf, &shape, err};
	int error = read_architecture(&look);

	for (size_t i = 0; i < MP_ARRAY_SIZE(shape_keys) && !error; i++)
		error = read_count(&look, &shape_keys[i]);
	error = error ?: read_float(&look, "rope.freq_base", ROPE_BASE, &shape.rope_base);
	error = error
			?: read_float(&look, "attention.layer_norm_rms_epsilon", RMS_EPS,
				      &shape.rms_eps);
	error = error ?: read_vocab(&look);
	error = error ?: finish_shape(&look);
	if (!error)
		*ret = shape;
	return error;
}

/* --- sizes ------------------------------------------------------------------- */

typedef int (*own_tensor_fn)(void *data, const struct mp_gguf_tensor *tensor, const char *name);

static int each_own_tensor(const struct mp_gguf_file *file, own_tensor_fn fn, void *data)
{
	int error = 0;

	for (size_t i = 0; i < file->n_parts; i++) {
		const struct mp_gguf *gguf = &file->parts[i].gguf;

		for (size_t j = 0; j < gguf->n_tensors && !error; j++) {
			const struct mp_gguf_string *text = &gguf->tensors[j].name;
			char name[MP_GGUF_MAX_NAME];

			/* The reader lets no longer name through. */
			snprintf(name, sizeof(name), "%.*s", (int)text->len, text->data);
			error = fn(data, &gguf->tensors[j], name);
		}
	}
	return error;
}

static const struct mp_ggml_type *type_at(const struct mp_quant_level *level,
					  const struct mp_model_shape *shape,
					  const struct mp_gguf_tensor *tensor, const char *name)
{
	if (!level || !mp_quant_applies(name, tensor->n_dims, tensor->ne))
		return tensor->type;
	return mp_quant_type_of(level, shape, name, tensor->n_dims, tensor->ne);
}

struct file_sum {
	const struct mp_quant_level *level;
	const struct mp_model_shape *shape;
	bool tied;
	struct mp_model_size size;
};

static int add_own(void *data, const struct mp_gguf_tensor *tensor, const char *name)
{
	struct file_sum *sum = data;
	const struct mp_ggml_type *type = type_at(sum->level, sum->shape, tensor, name);
	uint64_t bytes;
	int error = mp_ggml_bytes(type, tensor->n_dims, tensor->ne, &bytes);

	if (error)
		return error;
	if (mp_quant_is_repacked(type, name, sum->tied, tensor->n_dims, tensor->ne))
		sum->size.repack_bytes += bytes;
	sum->size.n_tensors++;
	return __builtin_add_overflow(sum->size.tensor_bytes, bytes, &sum->size.tensor_bytes)
		       ? -EOVERFLOW
		       : 0;
}

/* llama.cpp's mixes are others for mixtures of eight experts, and ours do not have them. */
static int check_experts(const struct mp_gguf_file *file, struct mp_error *err)
{
	uint64_t experts;

	if (mp_gguf_u64(&file->parts[0].gguf, "%s.expert_count", &experts) || experts != 8)
		return 0;
	return mp_fail(err, MP_EXIT_UNSUPPORTED, ENOTSUP,
		       "%s: a mixture of eight experts: its sizes at other levels are not known; "
		       "see gguf info for what it takes as it is",
		       file->parts[0].path);
}

int mp_gguf_size(const struct mp_gguf_file *file, const struct mp_quant_level *level,
		 struct mp_model_size *ret, struct mp_error *err)
{
	struct mp_model_shape shape;
	struct file_sum sum = {
		.level = level,
		.shape = &shape,
		.tied = !mp_gguf_file_tensor(file, "output.weight"),
	};
	int error = 0;

	if (level)
		error = check_experts(file, err) ?: mp_gguf_shape(file, &shape, err);
	if (error)
		return error;
	error = each_own_tensor(file, add_own, &sum);
	if (error)
		return mp_fail(err, MP_EXIT_CONFIG, -error, "%s: its tensors are too large at %s",
			       file->parts[0].path, level ? level->name : "its own types");
	*ret = sum.size;
	return 0;
}

/* --- the level --------------------------------------------------------------- */

struct match {
	const struct mp_quant_level *level;
	const struct mp_model_shape *shape;
};

static int differs(void *data, const struct mp_gguf_tensor *tensor, const char *name)
{
	const struct match *match = data;

	return type_at(match->level, match->shape, tensor, name) != tensor->type;
}

/* Small models can be of several levels at once: then it is the one that the file claims. */
const struct mp_quant_level *mp_gguf_level(const struct mp_gguf_file *file)
{
	const struct mp_quant_level *found = NULL;
	struct mp_model_shape shape;
	uint64_t claimed = UINT64_MAX;
	size_t n;
	const struct mp_quant_level *levels = mp_quant_levels(&n);

	if (mp_gguf_shape(file, &shape, NULL))
		return NULL;
	(void)mp_gguf_u64(&file->parts[0].gguf, "general.file_type", &claimed);
	for (size_t i = 0; i < n; i++) {
		struct match match = {&levels[i], &shape};

		if (each_own_tensor(file, differs, &match))
			continue;
		if (!found || levels[i].file_type == claimed)
			found = &levels[i];
	}
	return found;
}
