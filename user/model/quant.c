// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mixes are facts of llama.cpp's src/llama-quant.cpp, as it quantizes without options and,
 * where nothing else is said, without an importance matrix; docs/models.md has them as a table.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/names.h"
#include "base/text.h"
#include "model/quant_internal.h"

/* --- levels ------------------------------------------------------------------ */

/* What a tensor is for; the mixes treat the value projection with more care than the others. */
enum role {
	ROLE_OTHER = 0,
	ROLE_OUTPUT,
	ROLE_TOKEN_EMBD,
	ROLE_ATTN_V,
	ROLE_ATTN_OUTPUT,
	ROLE_FFN_DOWN,
};

/* In which layers, or models. */
enum where {
	EVERYWHERE = 0,
	WHERE_GROUPED, /* four or more heads share a value */
	FIRST_TWO,
	FIRST_FOUR,
	FIRST_EIGHTH,
	FIRST_SIXTEENTH,
	MORE_BITS, /* the first and last eighth, and every third between them */
};

struct mp_quant_rule {
	enum role role;
	enum where where;
	enum mp_ggml_id type;
};

/* The first rule that holds decides; without one it is the base type. */
static const struct mp_quant_rule q2_k[] = {
	{ROLE_ATTN_V, WHERE_GROUPED, MP_GGML_Q4_K},
	{ROLE_ATTN_V, EVERYWHERE, MP_GGML_Q3_K},
	{ROLE_ATTN_OUTPUT, EVERYWHERE, MP_GGML_Q3_K},
	{ROLE_FFN_DOWN, EVERYWHERE, MP_GGML_Q3_K},
};
static const struct mp_quant_rule q3_k_m[] = {
	{ROLE_ATTN_V, FIRST_TWO, MP_GGML_Q5_K},
	{ROLE_ATTN_V, EVERYWHERE, MP_GGML_Q4_K},
	{ROLE_ATTN_OUTPUT, EVERYWHERE, MP_GGML_Q4_K},
	{ROLE_FFN_DOWN, FIRST_SIXTEENTH, MP_GGML_Q5_K},
	{ROLE_FFN_DOWN, EVERYWHERE, MP_GGML_Q4_K},
};
static const struct mp_quant_rule q3_k_l[] = {
	{ROLE_ATTN_V, EVERYWHERE, MP_GGML_Q5_K},
	{ROLE_ATTN_OUTPUT, EVERYWHERE, MP_GGML_Q5_K},
	{ROLE_FFN_DOWN, EVERYWHERE, MP_GGML_Q5_K},
};
/* With an importance matrix, without which nobody publishes them. */
static const struct mp_quant_rule iq4[] = {
	{ROLE_ATTN_V, WHERE_GROUPED, MP_GGML_Q5_K},
};
static const struct mp_quant_rule q4_k_s[] = {
	{ROLE_ATTN_V, FIRST_FOUR, MP_GGML_Q5_K},
	{ROLE_FFN_DOWN, FIRST_EIGHTH, MP_GGML_Q5_K},
};
static const struct mp_quant_rule k_m[] = {
	{ROLE_ATTN_V, MORE_BITS, MP_GGML_Q6_K},
	{ROLE_FFN_DOWN, MORE_BITS, MP_GGML_Q6_K},
};

#define MIX(rules) (rules), MP_ARRAY_SIZE(rules)
#define UNIFORM NULL, 0
/* From the smallest to the largest of a model of 7 billion weights. */
static const struct mp_quant_level levels[] = {
	{"Q2_K", MP_GGML_Q2_K, 10, 3.5199, MIX(q2_k)},
	{"Q3_K_S", MP_GGML_Q3_K, 11, 1.6321, UNIFORM},
	{"Q3_K_M", MP_GGML_Q3_K, 12, 0.6569, MIX(q3_k_m)},
	{"Q3_K_L", MP_GGML_Q3_K, 13, 0.5562, MIX(q3_k_l)},
	{"IQ4_XS", MP_GGML_IQ4_XS, 30, NAN, MIX(iq4)},
	{"Q4_0", MP_GGML_Q4_0, 2, 0.4685, UNIFORM},
	{"IQ4_NL", MP_GGML_IQ4_NL, 25, NAN, MIX(iq4)},
	{"Q4_K_S", MP_GGML_Q4_K, 14, 0.2689, MIX(q4_k_s)},
	{"Q4_K_M", MP_GGML_Q4_K, 15, 0.1754, MIX(k_m)},
	{"Q4_1", MP_GGML_Q4_1, 3, 0.4511, UNIFORM},
	{"Q5_0", MP_GGML_Q5_0, 8, 0.1316, UNIFORM},
	{"Q5_K_S", MP_GGML_Q5_K, 16, 0.1049, UNIFORM},
	{"Q5_K_M", MP_GGML_Q5_K, 17, 0.0569, MIX(k_m)},
	{"Q5_1", MP_GGML_Q5_1, 9, 0.1062, UNIFORM},
	{"Q6_K", MP_GGML_Q6_K, 18, 0.0217, UNIFORM},
	{"Q8_0", MP_GGML_Q8_0, 7, 0.0026, UNIFORM},
	{"F16", MP_GGML_F16, 1, 0, UNIFORM},
	{"BF16", MP_GGML_BF16, 32, NAN, UNIFORM},
	{"F32", MP_GGML_F32, 0, NAN, UNIFORM},
};

const struct mp_quant_level *mp_quant_levels(size_t *ret_n)
{
	*ret_n = MP_ARRAY_SIZE(levels);
	return levels;
}

static const struct mp_quant_level *find(const char *name, size_t len)
{
	for (size_t i = 0; i < MP_ARRAY_SIZE(levels); i++) {
		if (strlen(levels[i].name) == len && strncasecmp(levels[i].name, name, len) == 0)
			return &levels[i];
	}
	return NULL;
}

static int fail_unknown(const char *name, struct mp_error *err)
{
	const char *names[MP_ARRAY_SIZE(levels)];
	struct mp_text MP_TEXT list = {0};
	const char *near;

	for (size_t i = 0; i < MP_ARRAY_SIZE(levels); i++) {
		names[i] = levels[i].name;
		mp_text_printf(&list, "%s%s", i ? ", " : "", levels[i].name);
	}
	near = mp_name_suggest(names, MP_ARRAY_SIZE(levels), name);
	return mp_fail(err, MP_EXIT_USAGE, EINVAL,
		       "there is no quantization level %s%s%s%s; there are %s", name,
		       near ? " (did you mean " : "", near ? near : "", near ? "?)" : "",
		       list.data ? list.data : "none");
}

const struct mp_quant_level *mp_quant_find(const char *name, struct mp_error *err)
{
	const struct mp_quant_level *level = find(name, strlen(name));

	if (!level)
		fail_unknown(name, err);
	return level;
}

static bool is_among(const struct mp_quant_level *const *list, size_t n,
		     const struct mp_quant_level *level)
{
	for (size_t i = 0; i < n; i++) {
		if (list[i] == level)
			return true;
	}
	return false;
}

int mp_quant_parse_list(const char *text, const struct mp_quant_level ***ret, size_t *ret_n,
			struct mp_error *err)
{
	MP_FREE const struct mp_quant_level **list = calloc(MP_ARRAY_SIZE(levels), sizeof(*list));
	MP_FREE char *copy = strdup(text);
	char *rest = copy;
	size_t n = 0;

	if (!list || !copy)
		return mp_fail(err, MP_EXIT_CHECK, ENOMEM, "out of memory");
	for (const char *name; (name = strsep(&rest, ","));) {
		const struct mp_quant_level *level = mp_quant_find(name, err);

		if (!level)
			return -EINVAL;
		if (!is_among(list, n, level))
			list[n++] = level;
	}
	*ret = MP_TAKE(list);
	*ret_n = n;
	return 0;
}

/* --- the type of a tensor ---------------------------------------------------- */

static enum role role_of(const char *name)
{
	static const struct {
		const char *part;
		enum role role;
	} parts[] = {
		{"attn_qkv.weight", ROLE_ATTN_V}, {"attn_kv_b.weight", ROLE_ATTN_V},
		{"attn_v.weight", ROLE_ATTN_V},	  {"attn_output.weight", ROLE_ATTN_OUTPUT},
		{"ffn_down", ROLE_FFN_DOWN},
	};

	if (strcmp(name, "output.weight") == 0)
		return ROLE_OUTPUT;
	if (strcmp(name, "token_embd.weight") == 0)
		return ROLE_TOKEN_EMBD;
	for (size_t i = 0; i < MP_ARRAY_SIZE(parts); i++) {
		if (strstr(name, parts[i].part))
			return parts[i].role;
	}
	return ROLE_OTHER;
}

/* UINT32_MAX: of none. */
static uint32_t layer_of(const char *name)
{
	static const char prefix[] = "blk.";
	unsigned long layer;
	char *end;

	if (strncmp(name, prefix, sizeof(prefix) - 1) != 0)
		return UINT32_MAX;
	layer = strtoul(name + sizeof(prefix) - 1, &end, 10);
	return *end == '.' && layer < UINT32_MAX ? (uint32_t)layer : UINT32_MAX;
}

static bool has_more_bits(uint32_t i, uint32_t n)
{
	return i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2;
}

static bool holds(enum where where, const struct mp_model_shape *shape, uint32_t layer)
{
	switch (where) {
	case EVERYWHERE:
		return true;
	case WHERE_GROUPED:
		return shape->heads / shape->kv_heads >= 4;
	case FIRST_TWO:
		return layer < 2;
	case FIRST_FOUR:
		return layer < 4;
	case FIRST_EIGHTH:
		return layer < shape->layers / 8;
	case FIRST_SIXTEENTH:
		return layer < shape->layers / 16;
	case MORE_BITS:
		return has_more_bits(layer, shape->layers);
	}
	return false;
}

/*
 * In models that llama.cpp takes for 70B the value projection is an eighth of the query's, so that
 * more bits for it cost next to nothing.
 */
static enum mp_ggml_id enrich_70b(const struct mp_model_shape *shape, enum role role,
				  enum mp_ggml_id type)
{
	bool is_70b = shape->layers == 80 && shape->heads != shape->kv_heads;
	bool is_low = type == MP_GGML_Q3_K || type == MP_GGML_Q4_K;

	return is_70b && role == ROLE_ATTN_V && is_low ? MP_GGML_Q5_K : type;
}

static enum mp_ggml_id mixed_type(const struct mp_quant_level *level,
				  const struct mp_model_shape *shape, enum role role,
				  uint32_t layer)
{
	for (size_t i = 0; i < level->n_rules; i++) {
		const struct mp_quant_rule *rule = &level->rules[i];

		if (rule->role == role && holds(rule->where, shape, layer))
			return rule->type;
	}
	return level->base;
}

/* Of the matrix that makes the logits, whichever it is. */
static enum mp_ggml_id output_type(const struct mp_quant_level *level, uint64_t row)
{
	if (level->base == MP_GGML_Q8_0 || row % mp_ggml_type_of(level->base)->block_elements)
		return MP_GGML_Q8_0;
	return MP_GGML_Q6_K;
}

/* Rows that are no whole number of blocks take a type with smaller blocks, or none at all. */
static const struct mp_ggml_type *that_fits(enum mp_ggml_id id, uint64_t row)
{
	static const struct {
		enum mp_ggml_id from, to;
	} smaller[] = {
		{MP_GGML_Q2_K, MP_GGML_Q4_0}, {MP_GGML_Q3_K, MP_GGML_Q4_0},
		{MP_GGML_Q4_K, MP_GGML_Q5_0}, {MP_GGML_Q5_K, MP_GGML_Q5_1},
		{MP_GGML_Q6_K, MP_GGML_Q8_0}, {MP_GGML_IQ4_XS, MP_GGML_IQ4_NL},
	};
	const struct mp_ggml_type *type = mp_ggml_type_of(id);

	for (size_t i = 0; i < MP_ARRAY_SIZE(smaller) && row % type->block_elements; i++) {
		if (smaller[i].from == id)
			type = mp_ggml_type_of(smaller[i].to);
	}
	return row % type->block_elements ? mp_ggml_type_of(MP_GGML_F16) : type;
}

bool mp_quant_applies(const char *name, uint32_t n_dims, const uint64_t *ne)
{
	size_t len = strlen(name);

	while (n_dims > 1 && ne[n_dims - 1] == 1)
		n_dims--;
	return n_dims > 1 && len > 6 && strcmp(name + len - 6, "weight") == 0 &&
	       !strstr(name, "_norm.weight") && !strstr(name, "ffn_gate_inp.weight");
}

const struct mp_ggml_type *mp_quant_type_of(const struct mp_quant_level *level,
					    const struct mp_model_shape *shape, const char *name,
					    uint32_t n_dims, const uint64_t *ne)
{
	enum role role = role_of(name);
	enum mp_ggml_id type;

	if (!mp_quant_applies(name, n_dims, ne))
		return mp_ggml_type_of(MP_GGML_F32);
	if (mp_ggml_type_of(level->base)->block_elements == 1)
		return mp_ggml_type_of(level->base);
	if (role == ROLE_OUTPUT || (role == ROLE_TOKEN_EMBD && shape->tied))
		return that_fits(output_type(level, ne[0]), ne[0]);
	type = mixed_type(level, shape, role, layer_of(name));
	return that_fits(enrich_70b(shape, role, type), ne[0]);
}

/*
 * Eight rows of these types are interleaved for matrix products. Kernels for them are on x86-64
 * with AVX2, for Q2_K with AVX-512; what has none stays where it is mapped. An embedding table that
 * is no output matrix is only looked up.
 */
bool mp_quant_is_repacked(const struct mp_ggml_type *type, const char *name, bool tied,
			  uint32_t n_dims, const uint64_t *ne)
{
	bool has_kernel = type->id == MP_GGML_Q4_0 || type->id == MP_GGML_Q4_K ||
			  type->id == MP_GGML_Q2_K || type->id == MP_GGML_IQ4_NL;

	return has_kernel && n_dims > 1 && ne[1] % 8 == 0 &&
	       (tied || role_of(name) != ROLE_TOKEN_EMBD);
}
