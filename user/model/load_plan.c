// SPDX-License-Identifier: GPL-2.0-only
/* What is to be loaded, by the header of a file; and what that will take. */
#include <errno.h>
#include <string.h>

#include "model/gguf_write.h"
#include "model/loader.h"
#include "model/quant_internal.h"

/* --- from a header ------------------------------------------------------------------------ */

static bool is_repacked(const struct mp_gguf_tensor *tensor, bool tied)
{
	char name[MP_GGUF_MAX_NAME];

	snprintf(name, sizeof(name), "%.*s", (int)tensor->name.len, tensor->name.data);
	return mp_quant_is_repacked(tensor->type, name, tied, tensor->n_dims, tensor->ne);
}

struct copies {
	bool repack, tied;
};

static void plan_tensors(struct mp_load_plan *plan, const struct mp_gguf *gguf,
			 const struct copies *copies)
{
	for (size_t i = 0; i < gguf->n_tensors; i++) {
		const struct mp_gguf_tensor *from = &gguf->tensors[i];
		struct mp_load_tensor *to = &plan->tensors[plan->n_tensors++];

		to->offset = gguf->data_offset + from->offset;
		to->bytes = from->bytes;
		to->repacked = copies->repack && is_repacked(from, copies->tied);
		plan->weights += to->bytes;
		plan->repack += to->repacked ? to->bytes : 0;
	}
}

static int plan_part(struct mp_load_plan *plan, const struct mp_gguf_part *from,
		     const struct copies *copies)
{
	struct mp_load_part *part = &plan->parts[plan->n_parts++];

	part->path = strdup(from->path);
	if (!part->path)
		return -ENOMEM;
	part->bytes = from->file_bytes;
	part->first = plan->n_tensors;
	part->n = from->gguf.n_tensors;
	plan_tensors(plan, &from->gguf, copies);
	return 0;
}

static int plan_caches(struct mp_load_plan *plan, const struct mp_gguf_file *file, uint32_t context,
		       struct mp_error *err)
{
	struct mp_model_shape shape;
	int error = context ? mp_gguf_shape(file, &shape, err) : 0;

	if (error || !context)
		return error;
	plan->kv = mp_kv_bytes(&shape, context, MP_KV_F16);
	plan->compute = mp_compute_bytes(&shape, MP_ADVICE_UBATCH);
	plan->kv_areas = 2 * shape.layers;
	plan->kv_cells = (uint32_t)mp_gguf_padded(context, MP_KV_CELLS);
	return 0;
}

/*
 * Copies come on top of a mapping only: what is read into memory of one's own is put into its
 * other layout at once.
 */
static int plan_file(struct mp_load_plan *plan, const struct mp_load_options *options,
		     const struct mp_gguf_file *file, struct mp_error *err)
{
	const struct copies copies = {
		.repack = options->repack && options->loader == MP_LOADER_MMAP,
		.tied = !mp_gguf_file_tensor(file, "output.weight"),
	};
	int error = 0;

	plan->parts = calloc(file->n_parts, sizeof(*plan->parts));
	plan->tensors = calloc(file->n_tensors, sizeof(*plan->tensors));
	if (!plan->parts || !plan->tensors)
		error = -ENOMEM;
	for (size_t i = 0; i < file->n_parts && !error; i++)
		error = plan_part(plan, &file->parts[i], &copies);
	if (error)
		return mp_fail(err, MP_EXIT_OOM, ENOMEM, "%s: no memory for its header",
			       options->path);
	return plan_caches(plan, file, options->context, err);
}

int mp_load_plan_make(const struct mp_load_options *options, struct mp_load_plan *ret,
		      struct mp_error *err)
{
	MP_CLEANUP(mp_gguf_close) struct mp_gguf_file file = {0};
	struct mp_load_plan plan = {0};
	int error = mp_gguf_open(options->path, &file, err);

	error = error ?: plan_file(&plan, options, &file, err);
	if (error) {
		mp_load_plan_free(&plan);
		return error;
	}
	*ret = plan;
	return 0;
}

void mp_load_plan_free(struct mp_load_plan *plan)
{
	for (size_t i = 0; i < plan->n_parts; i++)
		free(plan->parts[i].path);
	free(plan->parts);
	free(plan->tensors);
	memset(plan, 0, sizeof(*plan));
}

/* --- from a shape ------------------------------------------------------------------------- */

/* This program with its libraries, as `gguf load` of a tiny file has it resident. */
#define RUNTIME_ANON (2UL << 20)
#define RUNTIME_FILE (9UL << 19)
/* Of a header, for each token: its text with its length, its kind, about one merge. */
#define TOKEN_BYTES 39

static uint64_t mapped_bytes(const struct mp_load_options *options,
			     const struct mp_model_shape *shape, const struct mp_model_size *size)
{
	return options->file_bytes ?: size->tensor_bytes + (uint64_t)shape->vocab * TOKEN_BYTES;
}

void mp_load_predict(const struct mp_load_options *options, const struct mp_model_shape *shape,
		     const struct mp_model_size *size, struct mp_load_peak *ret)
{
	struct mp_load_peak peak = {.anon = RUNTIME_ANON, .file = RUNTIME_FILE};

	if (options->loader == MP_LOADER_EXEC)
		peak.anon = MP_RUNTIME_LLAMA + (uint64_t)shape->vocab * MP_METADATA_PER_TOKEN;
	if (options->context)
		peak.anon += mp_kv_bytes(shape, options->context, MP_KV_F16) +
			     mp_compute_bytes(shape, MP_ADVICE_UBATCH);
	if (options->loader == MP_LOADER_READ) {
		peak.anon += size->tensor_bytes;
	} else {
		peak.file += mapped_bytes(options, shape, size);
		peak.anon += options->repack ? size->repack_bytes : 0;
	}
	*ret = peak;
}
