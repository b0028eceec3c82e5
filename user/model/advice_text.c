// SPDX-License-Identifier: GPL-2.0-only
/* The advice in words. */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>

#include "abi.h"
#include "base/size.h"
#include "model/advice.h"

static const char *name_of(const struct mp_level_advice *advice)
{
	return advice->level ? advice->level->name : "The file";
}

/* --- a sentence ------------------------------------------------------------------------------ */

static const struct mp_level_advice *smallest(const struct mp_advice *advice)
{
	const struct mp_level_advice *least = &advice->levels[0];

	for (size_t i = 1; i < advice->n; i++) {
		if (advice->levels[i].comfortable < least->comfortable)
			least = &advice->levels[i];
	}
	return least;
}

/* What would be if it were loaded nevertheless: the least bad of what the levels come to. */
static const struct mp_level_advice *that_loads(const struct mp_advice *advice)
{
	const struct mp_level_advice *least = NULL;

	for (size_t i = 0; i < advice->n; i++) {
		const struct mp_level_advice *a = &advice->levels[i];

		if (a->fit == MP_FIT_THRASH && (!least || a->comfortable < least->comfortable))
			least = a;
	}
	return least;
}

static void say_quality(struct mp_text *out, const struct mp_level_advice *advice)
{
	double rise = advice->level ? advice->level->perplexity : NAN;

	if (rise > 0)
		mp_text_printf(out, ", and its perplexity is about %.2g above that of F16", rise);
}

static void say_best(struct mp_text *out, const struct mp_advice_input *input,
		     const struct mp_level_advice *best)
{
	char needs[MP_HUMAN_LEN], usable[MP_HUMAN_LEN];

	if (best->level)
		mp_text_printf(out, "Take %s: it", best->level->name);
	else
		mp_text_printf(out, "%s fits: it", name_of(best));
	mp_text_printf(out, " needs %s of the %s that it may take",
		       mp_size_format(best->comfortable, needs),
		       mp_size_format(mp_advice_usable(input), usable));
	say_quality(out, best);
}

static void say_fate(struct mp_text *out, const struct mp_advice *advice)
{
	const struct mp_level_advice *loads = that_loads(advice);

	if (!loads) {
		mp_text_puts(out, "; it would be OOM-killed");
		return;
	}
	mp_text_printf(out, "; %s would load and thrash", advice->n > 1 ? name_of(loads) : "it");
	if (!isnan(loads->most_per_s))
		mp_text_printf(out, ", with at most %.2g tokens a second", loads->most_per_s);
}

static void say_least(struct mp_text *out, const struct mp_advice_input *input,
		      const struct mp_advice *advice)
{
	const struct mp_level_advice *least = smallest(advice);
	char needs[MP_HUMAN_LEN], usable[MP_HUMAN_LEN];

	if (advice->n > 1)
		mp_text_printf(out, ". The least, %s,", least->level->name);
	else
		mp_text_puts(out, ". It");
	mp_text_printf(out, " needs %s, and %s may be taken",
		       mp_size_format(least->comfortable, needs),
		       mp_size_format(mp_advice_usable(input), usable));
	say_fate(out, advice);
}

static void say_context(struct mp_text *out, const struct mp_advice *advice)
{
	const struct mp_level_advice *most = &advice->levels[0];

	for (size_t i = 1; i < advice->n; i++) {
		if (advice->levels[i].most_context > most->most_context)
			most = &advice->levels[i];
	}
	if (most->most_context)
		mp_text_printf(out, ". With a context of at most %" PRIu64 " tokens %s fits",
			       most->most_context, advice->n > 1 ? name_of(most) : "it");
}

static void say_none(struct mp_text *out, const struct mp_advice_input *input,
		     const struct mp_advice *advice, const struct mp_model *smaller,
		     const struct mp_quant_level *smaller_level)
{
	if (advice->n > 1)
		mp_text_puts(out, "None fits");
	else
		mp_text_printf(out, "%s does not fit", name_of(&advice->levels[0]));
	if (smaller)
		mp_text_printf(out, ": use a smaller model, for example %s at %s", smaller->id,
			       smaller_level->name);
	say_least(out, input, advice);
	say_context(out, advice);
}

void mp_advice_sentence(struct mp_text *out, const struct mp_advice_input *input,
			const struct mp_advice *advice, const struct mp_model *smaller,
			const struct mp_quant_level *smaller_level)
{
	if (!advice->best)
		say_none(out, input, advice, smaller, smaller_level);
	else
		say_best(out, input, advice->best);
	if (smaller && mp_advice_is_poor(advice))
		mp_text_printf(out, "; a smaller model may answer better, such as %s at %s",
			       smaller->id, smaller_level->name);
	mp_text_putc(out, '.');
}

/* --- the arithmetic -------------------------------------------------------------------------- */

static void MP_PRINTF(4, 5)
	line(struct mp_text *out, const char *what, uint64_t bytes, const char *fmt, ...)
{
	char why[256], human[MP_HUMAN_LEN];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	mp_text_printf(out, "  %-12s %15" PRIu64 "  %-9s %s\n", what, bytes,
		       mp_size_format(bytes, human), why);
}

static void explain_metadata(struct mp_text *out, const struct mp_advice_input *input,
			     const struct mp_level_advice *a)
{
	uint64_t tokens, merges;

	mp_advice_vocabulary(input, &tokens, &merges);
	if (input->metadata != MP_UNKNOWN)
		line(out, "metadata", a->metadata, "vocabulary and tokenizer, as given");
	else
		line(out, "metadata", a->metadata,
		     "%" PRIu64 " tokens x %d B + %" PRIu64 " merges x %d B, measured", tokens,
		     MP_METADATA_PER_TOKEN, merges, MP_METADATA_PER_MERGE);
}

static void explain_memory(struct mp_text *out, const struct mp_advice_input *input,
			   const struct mp_level_advice *a)
{
	const struct mp_model_shape *s = input->shape;

	line(out, "weights", a->tensor_bytes, "%s",
	     input->file ? "sum of the file's tensors"
			 : "sum of the tensors, by the mix of the level: gguf sizes");
	line(out, "kv", a->kv,
	     "%u layers x %u tokens (up to 256s) x 2 x %u kv heads x %u x %s: the cache", s->layers,
	     input->context, s->kv_heads, s->head_dim, mp_kv_type_name(input->kv_type));
	line(out, "compute", a->compute,
	     "%u x 4 B x (%u + 2 x %u): n_ubatch x (vocab + 2 x hidden)", input->n_ubatch, s->vocab,
	     s->hidden);
	line(out, "repack", a->repack, "%s",
	     input->no_mmap   ? "nothing is copied with --no-mmap"
	     : !input->repack ? "nothing is copied with --no-repack"
			      : "copies of Q4_0, Q4_K, Q2_K and IQ4_NL weights, which are "
				"interleaved for AVX2 and AVX-512");
	line(out, "runtime", a->runtime, "program and libraries, measured");
	explain_metadata(out, input, a);
	line(out, "must-have", a->must, "kv + compute + repack + runtime + metadata%s",
	     input->no_mmap ? " + weights" : "");
	line(out, "comfortable", a->comfortable, "%s",
	     input->no_mmap
		     ? "must-have: nothing is mapped"
		     : "must-have + weights - repack (the copies are read, not the originals)");
}

static void explain_device(struct mp_text *out, const struct mp_advice_input *input)
{
	line(out, "limit", input->limit, "of the device");
	line(out, "in use", input->used, "by others");
	line(out, "margin", input->margin, "left free (--margin; a tenth, at most 500 MiB)");
	line(out, "usable", mp_advice_usable(input), "limit - in use - margin");
}

static void explain_fit(struct mp_text *out, const struct mp_advice_input *input,
			const struct mp_level_advice *a)
{
	static const char *const reasons[] = {
		[MP_FIT_OK] = "comfortable <= usable",
		[MP_FIT_THRASH] =
			"must-have <= usable < comfortable: weights are read again and again",
		[MP_FIT_OOM] = "usable < must-have",
	};
	uint64_t mapped = a->comfortable - a->must;
	char human[MP_HUMAN_LEN];

	mp_text_printf(out, "  %-12s %15s  %s\n", "fit", mp_fit_name(a->fit), reasons[a->fit]);
	mp_text_printf(
		out, "  %-12s %15" PRIu64 "  tokens: (usable - comfortable + kv) / kv of a token\n",
		"most context", a->most_context);
	if (!isnan(a->most_per_s))
		mp_text_printf(
			out,
			"  %-12s %15.3g  tokens a second at most: disk %s/s / (%.1f x %" PRIu64
			" mapped bytes)\n",
			"speed", a->most_per_s, mp_size_format(input->disk_per_s, human),
			MP_ADVICE_REREAD, mapped);
	if (a->level && !isnan(a->level->perplexity))
		mp_text_printf(out,
			       "  %-12s %15.4f  rise of perplexity over F16: of Llama-3-8B, by "
			       "llama.cpp's llama-quantize --help\n",
			       "quality", a->level->perplexity);
}

void mp_advice_explain(struct mp_text *out, const struct mp_advice_input *input,
		       const struct mp_level_advice *advice)
{
	mp_text_printf(out, "%s\n", name_of(advice));
	explain_memory(out, input, advice);
	explain_device(out, input);
	explain_fit(out, input, advice);
}
