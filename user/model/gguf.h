/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * GGUF files, versions 2 and 3: the header is read where it is mapped, and nothing in it is
 * believed before it is checked.
 */
#ifndef MP_MODEL_GGUF_H
#define MP_MODEL_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "model/ggml_type.h"

#define MP_GGUF_MAGIC "GGUF"
#define MP_GGUF_KEY_ARCHITECTURE "general.architecture"
#define MP_GGUF_KEY_ALIGNMENT "general.alignment"
#define MP_GGUF_ALIGNMENT 32 /* where general.alignment is not given */
#define MP_GGUF_MAX_KEPT (64 << 10)
#define MP_GGUF_MAX_NAME 64 /* of a tensor, with its NUL */

enum mp_gguf_type {
	MP_GGUF_U8 = 0,
	MP_GGUF_I8,
	MP_GGUF_U16,
	MP_GGUF_I16,
	MP_GGUF_U32,
	MP_GGUF_I32,
	MP_GGUF_F32,
	MP_GGUF_BOOL,
	MP_GGUF_STRING,
	MP_GGUF_ARRAY,
	MP_GGUF_U64,
	MP_GGUF_I64,
	MP_GGUF_F64,
	MP_GGUF_TYPE_COUNT
};
const char *mp_gguf_type_name(enum mp_gguf_type type);

struct mp_gguf_string {
	const char *data; /* no NUL behind it */
	uint64_t len;
};

struct mp_gguf_kv {
	struct mp_gguf_string key;
	enum mp_gguf_type type;
	enum mp_gguf_type element; /* of an array; otherwise the type */
	uint64_t n;		   /* of an array; otherwise 1 */
	const uint8_t *value;	   /* the first element: little-endian, not aligned */
	uint64_t value_bytes;	   /* of all elements */
	uint64_t kept_bytes;	   /* of them that are at `value`: of an open file the first
				      MP_GGUF_MAX_KEPT, otherwise all */
};

struct mp_gguf_tensor {
	struct mp_gguf_string name;
	const struct mp_ggml_type *type;
	uint32_t n_dims;
	uint64_t ne[MP_GGML_MAX_DIMS]; /* those beyond n_dims are 1 */
	uint64_t offset;	       /* from the file's data_offset */
	uint64_t bytes;
};

/* "3584 x 152064" */
#define MP_GGUF_DIMS_LEN 96
const char *mp_gguf_dims(const struct mp_gguf_tensor *tensor, char out[MP_GGUF_DIMS_LEN]);

struct mp_gguf {
	uint32_t version;
	uint64_t alignment;
	uint64_t data_offset;  /* of the first tensor in the file; the header's bytes, padded */
	uint64_t tensor_bytes; /* sum over tensors, without padding */
	struct mp_gguf_kv *kv;
	size_t n_kv;
	struct mp_gguf_tensor *tensors; /* in the file's order */
	size_t n_tensors;
};

/*
 * Reads the header at `data`, of which `len` bytes are there, of a file of `file_bytes`, and points
 * into it. An error (-EBADMSG, exit code 3) begins with `name` and names the field, with keys and
 * tensors counted from 1: "F: tensor 3 \"blk.0.x\": …".
 */
int mp_gguf_parse(const void *data, size_t len, uint64_t file_bytes, const char *name,
		  struct mp_gguf *ret, struct mp_error *err);
void mp_gguf_free(struct mp_gguf *gguf);

/* A file, and the others when it is one of several (-00001-of-00003.gguf): any of them will do. */
struct mp_gguf_part {
	char *path;
	struct mp_gguf gguf;
	char *kept; /* what `gguf` points into */
	uint64_t file_bytes;
};
struct mp_gguf_file {
	struct mp_gguf_part *parts; /* by their numbers; the first has the metadata */
	size_t n_parts;
	size_t n_tensors;
	uint64_t tensor_bytes, file_bytes; /* of all parts */
};
/* Errors: exit code 3 (malformed, a part missing or of another model), 5 (no such file). */
int mp_gguf_open(const char *path, struct mp_gguf_file *ret, struct mp_error *err);
void mp_gguf_close(struct mp_gguf_file *file);

/* --- metadata ---------------------------------------------------------------------- */

/* `key` may hold "%s" once: the architecture is put there. NULL: there is none. */
const struct mp_gguf_kv *mp_gguf_find(const struct mp_gguf *gguf, const char *key);
/* Any integer type that is not negative. -ENOENT; -EINVAL: of another type. */
int mp_gguf_u64(const struct mp_gguf *gguf, const char *key, uint64_t *ret);
int mp_gguf_f64(const struct mp_gguf *gguf, const char *key, double *ret);
int mp_gguf_text(const struct mp_gguf *gguf, const char *key, struct mp_gguf_string *ret);

/* An element of any type, in the widest of its kind: U64, I64, F64, BOOL or STRING. */
struct mp_gguf_element {
	enum mp_gguf_type type;
	union {
		uint64_t u64;
		int64_t i64;
		double f64;
		bool flag;
		struct mp_gguf_string text;
	};
};
/* Goes over what is kept of a value; false at its end. A text of its own may be cut. */
struct mp_gguf_walk {
	const struct mp_gguf_kv *kv;
	uint64_t i, at; /* the next element, and where it is */
};
bool mp_gguf_next(struct mp_gguf_walk *walk, struct mp_gguf_element *ret);

const struct mp_gguf_tensor *mp_gguf_tensor(const struct mp_gguf *gguf, const char *name);

/* The same of all parts, and how many weights they have together. */
const struct mp_gguf_tensor *mp_gguf_file_tensor(const struct mp_gguf_file *file, const char *name);
uint64_t mp_gguf_weights(const struct mp_gguf_file *file);

#endif
