/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reading a YAML document into structs, private to config/. Every function
 * that finds something wrong says so in the document's mp_error as
 * "file:line:column: what" (both 1-based), exit code 3, and returns a negative
 * errno.
 *
 * A file is one document in UTF-8. Scalars may be aliased; lists and mappings
 * may not, so that the document is a tree and no larger than its text.
 */
#ifndef MP_CONFIG_YAML_H
#define MP_CONFIG_YAML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <yaml.h>

#include "base/cleanup.h"
#include "base/error.h"

#define MP_YAML_MAX_BYTES (1 << 20) /* of a file */

struct mp_yaml {
	const char *name; /* the file, as the user gave it */
	struct mp_error *err;
	yaml_document_t doc;
};

/* Parses `text`; `name` and `err` are borrowed until mp_yaml_close(). */
int mp_yaml_open(struct mp_yaml *y, const char *name, const char *text, size_t len,
		 struct mp_error *err);
/* Reads a whole file for mp_yaml_open(), at most MP_YAML_MAX_BYTES. */
int mp_yaml_read_file(const char *path, char **ret_text, size_t *ret_len, struct mp_error *err);
void mp_yaml_close(struct mp_yaml *y);
#define MP_YAML MP_CLEANUP(mp_yaml_close)

yaml_node_t *mp_yaml_root(struct mp_yaml *y);

/* "file:line:column: " and the message; always -EINVAL. */
int mp_yaml_fail(const struct mp_yaml *y, const yaml_node_t *node, const char *fmt, ...)
	MP_PRINTF(3, 4);
int mp_yaml_no_memory(const struct mp_yaml *y);
/* "file:line:column" of a node, new string. */
int mp_yaml_origin(const struct mp_yaml *y, const yaml_node_t *node, char **ret);

/* Called with the index of the key in the table of known names. */
typedef int (*mp_yaml_key_fn)(struct mp_yaml *y, size_t index, yaml_node_t *value, void *data);
/*
 * Calls `fn` for each pair of a mapping whose keys must be among `names` (at
 * most 64), each at most once. `what` names the mapping in messages ("a point").
 * Returns 0, or the first failure.
 */
int mp_yaml_each_key(struct mp_yaml *y, yaml_node_t *node, const char *what,
		     const char *const *names, size_t n, mp_yaml_key_fn fn, void *data);

struct mp_yaml_field;
typedef int (*mp_yaml_field_fn)(struct mp_yaml *y, const struct mp_yaml_field *field,
				yaml_node_t *value, void *data);
/* One key of a mapping that becomes a struct. */
struct mp_yaml_field {
	const char *name;
	mp_yaml_field_fn read;
	size_t offset;	 /* of the member in the struct, for the mp_yaml_to_ readers */
	double min, max; /* of a number */
	bool required;
};
/* The same with a table of readers; `data` is handed to each of them. */
int mp_yaml_fields(struct mp_yaml *y, yaml_node_t *node, const char *what,
		   const struct mp_yaml_field *fields, size_t n, void *data);

/* A whole file of such keys, from its text: opened, read into `data`, and closed. */
int mp_yaml_parse(const char *name, const char *text, size_t len,
		  const struct mp_yaml_field *fields, size_t n, void *data, struct mp_error *err);

/* Readers for tables: the value goes to `offset` in the struct at `data`. */
int mp_yaml_to_double(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
		      void *data);
int mp_yaml_to_bool(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
		    void *data);
/* A count of milliseconds, kept as nanoseconds in a uint64_t. */
int mp_yaml_to_ns(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
		  void *data);

/* A whole number between the field's min and max. */
int mp_yaml_number(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
		   uint64_t *ret);
/* Borrowed text of 1 to `max` bytes. */
int mp_yaml_text(struct mp_yaml *y, const char *what, yaml_node_t *node, size_t max,
		 const char **ret);
/* The same as a new string. */
int mp_yaml_copy_text(struct mp_yaml *y, const char *what, yaml_node_t *node, size_t max,
		      char **ret);
/* The index of the text among `names`, or a negative errno. */
int mp_yaml_choice(struct mp_yaml *y, const char *what, yaml_node_t *node, const char *const *names,
		   size_t n);
/* `version: 1`, the only one so far. */
int mp_yaml_version(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
		    void *data);

typedef int (*mp_yaml_item_fn)(struct mp_yaml *y, yaml_node_t *item, void *data);
/* Calls `fn` for each item of a list. */
int mp_yaml_each_item(struct mp_yaml *y, const char *what, yaml_node_t *node, mp_yaml_item_fn fn,
		      void *data);
/* The same, and a text alone is a list of one. */
int mp_yaml_each_text(struct mp_yaml *y, const char *what, yaml_node_t *node, mp_yaml_item_fn fn,
		      void *data);

#define MP_HINT_LEN 80
/* " (did you mean "near"?)", or "" when no name is near. */
const char *mp_yaml_hint(const char *const *names, size_t n, const char *name,
			 char out[MP_HINT_LEN]);
#define MP_LIST_LEN 256
/* "one, two, three" */
const char *mp_yaml_list(const char *const *names, size_t n, char out[MP_LIST_LEN]);
#define MP_CHOICE_LEN 512
/* `level "hihg" is not one of low, high (did you mean "high"?)` */
const char *mp_yaml_not_one_of(const char *what, const char *text, const char *const *names,
			       size_t n, char out[MP_CHOICE_LEN]);

#endif
