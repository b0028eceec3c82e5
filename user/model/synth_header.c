// SPDX-License-Identifier: GPL-2.0-only
/*
 * The header of a synthesized file: what llama.cpp asks for before it loads the architectures that
 * models.yaml can describe, and a vocabulary of the model's size.
 */
#include <errno.h>
#include <stdio.h>

#include "model/gguf_write.h"
#include "model/synth.h"

/* --- the vocabulary: SentencePiece, as the llama models have it --------------------------- */

/* Of llama.cpp: llama_token_type. */
enum token_type {
	TOKEN_NORMAL = 1,
	TOKEN_UNKNOWN = 2,
	TOKEN_CONTROL = 3,
	TOKEN_BYTE = 6,
};

enum {
	TOKEN_UNK = 0,
	TOKEN_BOS,
	TOKEN_EOS,
	FIRST_BYTE, /* <0x00> to <0xFF>: what no other token spells */
	FIRST_WORD = FIRST_BYTE + 256,
};

#define TOKEN_LEN 16

static enum token_type type_of_token(uint32_t id)
{
	if (id == TOKEN_UNK)
		return TOKEN_UNKNOWN;
	if (id < FIRST_BYTE)
		return TOKEN_CONTROL;
	return id < FIRST_WORD ? TOKEN_BYTE : TOKEN_NORMAL;
}

/* "a" to "z", "aa" …: each word once at the beginning of one, behind U+2581, and once within. */
static size_t spell_word(uint32_t n, char out[TOKEN_LEN])
{
	char letters[TOKEN_LEN];
	size_t at = sizeof(letters);
	bool begins = n % 2 == 0;

	letters[--at] = '\0';
	for (uint64_t rest = (uint64_t)n / 2 + 1; rest; rest = (rest - 1) / 26)
		letters[--at] = (char)('a' + (rest - 1) % 26);
	return (size_t)snprintf(out, TOKEN_LEN, "%s%s", begins ? "\xe2\x96\x81" : "", letters + at);
}

static size_t spell_token(uint32_t id, char out[TOKEN_LEN])
{
	static const char *const special[] = {"<unk>", "<s>", "</s>"};

	if (id < FIRST_BYTE)
		return (size_t)snprintf(out, TOKEN_LEN, "%s", special[id]);
	if (id < FIRST_WORD)
		return (size_t)snprintf(out, TOKEN_LEN, "<0x%02X>", id - FIRST_BYTE);
	return spell_word(id - FIRST_WORD, out);
}

static void put_vocabulary(struct mp_gguf_writer *w, uint32_t vocab)
{
	char token[TOKEN_LEN];

	mp_gguf_put_text(w, "tokenizer.ggml.model", "llama");
	mp_gguf_begin_array(w, "tokenizer.ggml.tokens", MP_GGUF_STRING, vocab);
	for (uint32_t id = 0; id < vocab; id++)
		mp_gguf_add_text(w, token, spell_token(id, token));
	/* Those that come first are joined first. */
	mp_gguf_begin_array(w, "tokenizer.ggml.scores", MP_GGUF_F32, vocab);
	for (uint32_t id = 0; id < vocab; id++)
		mp_gguf_add_f32(w, id < FIRST_WORD ? 0 : -(float)(id - FIRST_WORD));
	mp_gguf_begin_array(w, "tokenizer.ggml.token_type", MP_GGUF_I32, vocab);
	for (uint32_t id = 0; id < vocab; id++)
		mp_gguf_add_u32(w, type_of_token(id));
	mp_gguf_put_u32(w, "tokenizer.ggml.bos_token_id", TOKEN_BOS);
	mp_gguf_put_u32(w, "tokenizer.ggml.eos_token_id", TOKEN_EOS);
	mp_gguf_put_u32(w, "tokenizer.ggml.unknown_token_id", TOKEN_UNK);
	mp_gguf_put_bool(w, "tokenizer.ggml.add_bos_token", true);
}

/* --- the model ------------------------------------------------------------------------ */

/* Keys of an architecture begin with its name. */
static void put_arch_u32(struct mp_gguf_writer *w, const struct mp_model_shape *s, const char *key,
			 uint32_t value)
{
	char whole[MP_MAX_ARCHITECTURE + 64];

	snprintf(whole, sizeof(whole), "%s.%s", s->architecture, key);
	mp_gguf_put_u32(w, whole, value);
}

static void put_arch_f32(struct mp_gguf_writer *w, const struct mp_model_shape *s, const char *key,
			 double value)
{
	char whole[MP_MAX_ARCHITECTURE + 64];

	snprintf(whole, sizeof(whole), "%s.%s", s->architecture, key);
	mp_gguf_put_f32(w, whole, (float)value);
}

static void put_shape(struct mp_gguf_writer *w, const struct mp_model_shape *s)
{
	put_arch_u32(w, s, "block_count", s->layers);
	put_arch_u32(w, s, "context_length", s->context_length);
	put_arch_u32(w, s, "embedding_length", s->hidden);
	put_arch_u32(w, s, "feed_forward_length", s->ff);
	put_arch_u32(w, s, "attention.head_count", s->heads);
	put_arch_u32(w, s, "attention.head_count_kv", s->kv_heads);
	put_arch_f32(w, s, "attention.layer_norm_rms_epsilon", s->rms_eps);
	put_arch_f32(w, s, "rope.freq_base", s->rope_base);
	put_arch_u32(w, s, "rope.dimension_count", s->head_dim);
	/* Without these, heads are taken to be of hidden / heads elements. */
	if ((uint64_t)s->head_dim * s->heads != s->hidden) {
		put_arch_u32(w, s, "attention.key_length", s->head_dim);
		put_arch_u32(w, s, "attention.value_length", s->head_dim);
	}
	put_arch_u32(w, s, "vocab_size", s->vocab);
}

static void put_general(struct mp_gguf_writer *w, const struct mp_synth_options *o)
{
	mp_gguf_put_text(w, "general.architecture", o->shape->architecture);
	mp_gguf_put_text(w, "general.type", "model");
	mp_gguf_put_text(w, "general.name", o->name);
	mp_gguf_put_text(w, "general.description",
			 "synthesized by memprobe-bpf: the layout of a model, without its meaning");
	mp_gguf_put_u32(w, "general.quantization_version", 2);
	mp_gguf_put_u32(w, "general.file_type", o->level->file_type);
	/* With the rest of the header these say which bytes the file has. */
	mp_gguf_put_u64(w, MP_SYNTH_SEED, o->seed);
	mp_gguf_put_bool(w, "memprobe.sparse", o->sparse);
}

static int put_tensor(void *data, const struct mp_model_tensor *tensor)
{
	return mp_gguf_put_tensor(data, tensor->name, tensor->n_dims, tensor->ne, tensor->type);
}

int mp_synth_header(const struct mp_synth_options *o, struct mp_text *ret, uint64_t *ret_data_bytes)
{
	struct mp_gguf_writer MP_CLEANUP(mp_gguf_writer_free) w = {0};
	int error;

	put_general(&w, o);
	put_shape(&w, o->shape);
	put_vocabulary(&w, o->shape->vocab);
	error = mp_model_each_tensor(o->shape, o->level, put_tensor, &w);
	error = error ?: mp_gguf_header(&w, ret);
	if (!error)
		*ret_data_bytes = w.data_bytes;
	return error;
}

int mp_synth_bytes(const struct mp_synth_options *o, uint64_t *ret)
{
	struct mp_text MP_TEXT header = {0};
	uint64_t data_bytes;
	int error = mp_synth_header(o, &header, &data_bytes);

	if (error)
		return error;
	return __builtin_add_overflow(header.len, data_bytes, ret) ? -EOVERFLOW : 0;
}

/* --- smaller models ---------------------------------------------------------------------- */

#define VOCAB_STEP 64	/* matrix products like whole blocks of rows */
#define VOCAB_LEAST 512 /* room for all bytes and some words */

static double weights_of(const struct mp_model_shape *shape, uint32_t layers, uint32_t vocab)
{
	struct mp_model_shape s = *shape;

	s.layers = layers;
	s.vocab = vocab;
	return (double)mp_model_parameters(&s);
}

int mp_model_scale(const struct mp_model_shape *shape, uint32_t num, uint32_t den,
		   struct mp_model_shape *ret)
{
	double target = weights_of(shape, shape->layers, shape->vocab) * num / den;
	uint32_t layers = 1, vocab = shape->vocab;
	double rows;

	/* The first that has too many, so that a smaller vocabulary makes up for it. */
	while (layers < shape->layers && weights_of(shape, layers, vocab) < target)
		layers++;
	rows = (target - weights_of(shape, layers, 0)) / shape->hidden / (shape->tied ? 1 : 2);
	if (rows < VOCAB_LEAST && --layers == 0)
		return -ERANGE;
	if (rows >= VOCAB_LEAST && rows < vocab)
		vocab = (uint32_t)rows / VOCAB_STEP * VOCAB_STEP;
	*ret = *shape;
	ret->layers = layers;
	ret->vocab = vocab;
	return 0;
}

int mp_synth_shape(const struct mp_model *model, uint32_t num, uint32_t den,
		   struct mp_model_shape *ret, char name[MP_SYNTH_NAME_LEN], struct mp_error *err)
{
	if (den && mp_model_scale(&model->shape, num, den, ret))
		return mp_fail(err, MP_EXIT_USAGE, ERANGE,
			       "--scale %u/%u: a layer of %s is larger: take a larger part, or a "
			       "smaller model",
			       num, den, model->id);
	if (den) {
		snprintf(name, MP_SYNTH_NAME_LEN, "%s %u/%u", model->id, num, den);
	} else {
		*ret = model->shape;
		snprintf(name, MP_SYNTH_NAME_LEN, "%s", model->id);
	}
	return 0;
}
