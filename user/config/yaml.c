// SPDX-License-Identifier: GPL-2.0-only
#include "config/yaml.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/fsroot.h"
#include "base/names.h"
#include "base/size.h"

#define MAX_KEYS 64
#define MAX_DEPTH 16
#define MAX_ALIASES 1000
#define UTF8_MARK "\xef\xbb\xbf"
#define NS_PER_MS 1000000ULL
#define SHOWN 80 /* bytes of a foreign text that a message repeats */

static int fail_at(const struct mp_yaml *y, yaml_mark_t mark, const char *text)
{
	mp_fail(y->err, MP_EXIT_CONFIG, EINVAL, "%s:%zu:%zu: %s", y->name, mark.line + 1,
		mark.column + 1, text);
	return -EINVAL;
}

int mp_yaml_fail(const struct mp_yaml *y, const yaml_node_t *node, const char *fmt, ...)
{
	char text[sizeof(y->err->text)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return fail_at(y, node->start_mark, text);
}

int mp_yaml_no_memory(const struct mp_yaml *y)
{
	return mp_fail(y->err, MP_EXIT_OOM, ENOMEM, "%s: memory ran out while reading it", y->name);
}

int mp_yaml_origin(const struct mp_yaml *y, const yaml_node_t *node, char **ret)
{
	if (asprintf(ret, "%s:%zu:%zu", y->name, node->start_mark.line + 1,
		     node->start_mark.column + 1) >= 0)
		return 0;
	*ret = NULL;
	return mp_yaml_no_memory(y);
}

/* --- opening ---------------------------------------------------------------- */

/* libyaml gives a byte offset, not a mark, for bytes that are no text. */
static yaml_mark_t mark_of_offset(const char *text, size_t offset)
{
	yaml_mark_t mark = {.index = offset};

	for (size_t i = 0; i < offset; i++) {
		/* Columns are characters: the bytes inside one do not count. */
		mark.column += ((unsigned char)text[i] & 0xc0) != 0x80;
		if (text[i] == '\n') {
			mark.line++;
			mark.column = 0;
		}
	}
	return mark;
}

static bool mentions(const char *text, const char *word)
{
	return text && strstr(text, word);
}

/* What a user most likely did when libyaml trips over it. */
static const char *syntax_hint(const yaml_parser_t *parser)
{
	if (mentions(parser->problem, "alias") || mentions(parser->context, "alias"))
		return "; text that starts with * must be quoted";
	if (mentions(parser->problem, "mapping values are not allowed"))
		return "; text with a colon and a space in it must be quoted";
	if (mentions(parser->problem, "cannot start any token"))
		return "; indent with spaces, and quote text that starts with @ or %";
	return "";
}

static int fail_syntax(const struct mp_yaml *y, const yaml_parser_t *parser, const char *text)
{
	char context[128] = "";
	char line[512];

	if (parser->error == YAML_MEMORY_ERROR)
		return mp_yaml_no_memory(y);
	if (parser->error == YAML_READER_ERROR)
		return fail_at(y, mark_of_offset(text, parser->problem_offset), parser->problem);
	if (parser->context && parser->context_mark.line != parser->problem_mark.line)
		snprintf(context, sizeof(context), ", %s that starts at line %zu", parser->context,
			 parser->context_mark.line + 1);
	else if (parser->context)
		snprintf(context, sizeof(context), ", %s", parser->context);
	snprintf(line, sizeof(line), "%s%s%s", parser->problem, context, syntax_hint(parser));
	return fail_at(y, parser->problem_mark, line);
}

/* What a file has had so far. */
struct usage {
	size_t documents;
	size_t depth;
	size_t anchors;
	size_t aliases;
};

static int check_open(const struct mp_yaml *y, const yaml_event_t *event, const void *anchor,
		      struct usage *usage)
{
	if (anchor)
		return fail_at(y, event->start_mark,
			       "an anchor may name a text, not a list or a mapping");
	if (++usage->depth > MAX_DEPTH)
		return fail_at(y, event->start_mark, "lists and mappings are nested too deep");
	return 0;
}

static int check_scalar(const struct mp_yaml *y, const yaml_event_t *event, struct usage *usage)
{
	const char *text = (const char *)event->data.scalar.value;

	if (strlen(text) != event->data.scalar.length)
		return fail_at(y, event->start_mark, "a NUL byte cannot be part of a text");
	if (event->data.scalar.anchor && ++usage->anchors > MAX_ALIASES)
		return fail_at(y, event->start_mark, "too many anchors");
	return 0;
}

static const unsigned char *tag_of(const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return event->data.scalar.tag;
	case YAML_SEQUENCE_START_EVENT:
		return event->data.sequence_start.tag;
	case YAML_MAPPING_START_EVENT:
		return event->data.mapping_start.tag;
	default:
		return NULL;
	}
}

static int check_event(const struct mp_yaml *y, const yaml_event_t *event, struct usage *usage)
{
	if (tag_of(event))
		return fail_at(y, event->start_mark, "a tag (!) has no meaning here");
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (usage->documents++)
			return fail_at(y, event->start_mark, "a second document: a file holds one");
		return 0;
	case YAML_ALIAS_EVENT:
		if (++usage->aliases > MAX_ALIASES)
			return fail_at(y, event->start_mark, "too many aliases");
		return 0;
	case YAML_SCALAR_EVENT:
		return check_scalar(y, event, usage);
	case YAML_SEQUENCE_START_EVENT:
		return check_open(y, event, event->data.sequence_start.anchor, usage);
	case YAML_MAPPING_START_EVENT:
		return check_open(y, event, event->data.mapping_start.anchor, usage);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		usage->depth--;
		return 0;
	default:
		return 0;
	}
}

/*
 * Reads the text once without building anything and refuses what makes a small
 * file expensive: libyaml takes quadratic time for deep flow lists and for
 * many anchors, and aliases of lists make a document larger than its text, or
 * circular.
 */
static int check_events(struct mp_yaml *y, yaml_parser_t *parser, const char *text)
{
	struct usage usage = {0};
	yaml_event_type_t type;

	do {
		yaml_event_t event;
		int err;

		if (!yaml_parser_parse(parser, &event))
			return fail_syntax(y, parser, text);
		type = event.type;
		err = check_event(y, &event, &usage);
		yaml_event_delete(&event);
		if (err)
			return err;
	} while (type != YAML_STREAM_END_EVENT);
	if (!usage.documents)
		return fail_at(y, (yaml_mark_t){0}, "the file is empty");
	return 0;
}

static int load_document(struct mp_yaml *y, yaml_parser_t *parser, const char *text)
{
	return yaml_parser_load(parser, &y->doc) ? 0 : fail_syntax(y, parser, text);
}

typedef int (*parse_fn)(struct mp_yaml *y, yaml_parser_t *parser, const char *text);

static int with_parser(struct mp_yaml *y, const char *text, size_t len, parse_fn parse)
{
	yaml_parser_t parser;
	int err;

	if (!yaml_parser_initialize(&parser))
		return mp_yaml_no_memory(y);
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	err = parse(y, &parser, text);
	yaml_parser_delete(&parser);
	return err;
}

int mp_yaml_open(struct mp_yaml *y, const char *name, const char *text, size_t len,
		 struct mp_error *err)
{
	struct mp_yaml opened = {.name = name, .err = err};
	int ret;

	if (len > MP_YAML_MAX_BYTES)
		return mp_fail(err, MP_EXIT_CONFIG, EFBIG, "%s: larger than %d bytes", name,
			       MP_YAML_MAX_BYTES);
	/* libyaml knows the mark only where it is left to guess the encoding. */
	if (len >= strlen(UTF8_MARK) && memcmp(text, UTF8_MARK, strlen(UTF8_MARK)) == 0) {
		text += strlen(UTF8_MARK);
		len -= strlen(UTF8_MARK);
	}
	ret = with_parser(&opened, text, len, check_events);
	if (!ret)
		ret = with_parser(&opened, text, len, load_document);
	if (!ret)
		*y = opened;
	return ret;
}

int mp_yaml_read_file(const char *path, char **ret_text, size_t *ret_len, struct mp_error *err)
{
	int ret = mp_read_file(path, MP_YAML_MAX_BYTES, ret_text, ret_len);

	if (ret == -EFBIG)
		return mp_fail(err, MP_EXIT_CONFIG, EFBIG, "%s: larger than %d bytes", path,
			       MP_YAML_MAX_BYTES);
	if (ret)
		return mp_fail(err, MP_EXIT_CONFIG, -ret, "%s: cannot be read: %s", path,
			       strerror(-ret));
	return 0;
}

void mp_yaml_close(struct mp_yaml *y)
{
	yaml_document_delete(&y->doc);
}

yaml_node_t *mp_yaml_root(struct mp_yaml *y)
{
	return yaml_document_get_root_node(&y->doc);
}

/* --- scalars ---------------------------------------------------------------- */

static const char *scalar(const yaml_node_t *node)
{
	return (const char *)node->data.scalar.value;
}

static bool is_plain(const yaml_node_t *node)
{
	return node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

static bool is_null(const yaml_node_t *node)
{
	static const char *const names[] = {"", "~", "null", "Null", "NULL"};

	return node->type == YAML_SCALAR_NODE && is_plain(node) &&
	       mp_name_find(names, MP_ARRAY_SIZE(names), scalar(node)) >= 0;
}

static const char *kind_of(const yaml_node_t *node)
{
	return node->type == YAML_SEQUENCE_NODE	 ? "a list"
	       : node->type == YAML_MAPPING_NODE ? "a mapping"
	       : is_null(node)			 ? "nothing"
						 : "text";
}

static int fail_kind(const struct mp_yaml *y, const char *what, const char *wanted,
		     const yaml_node_t *node)
{
	return mp_yaml_fail(y, node, "%s must be %s, not %s", what, wanted, kind_of(node));
}

static int check_text(struct mp_yaml *y, const char *what, const yaml_node_t *node, size_t max)
{
	if (node->type != YAML_SCALAR_NODE || is_null(node))
		return fail_kind(y, what, "text", node);
	if (node->data.scalar.length == 0)
		return mp_yaml_fail(y, node, "%s is empty", what);
	if (node->data.scalar.length > max)
		return mp_yaml_fail(y, node, "%s is longer than %zu bytes", what, max);
	return 0;
}

int mp_yaml_text(struct mp_yaml *y, const char *what, yaml_node_t *node, size_t max,
		 const char **ret)
{
	int error = check_text(y, what, node, max);

	if (!error)
		*ret = scalar(node);
	return error;
}

int mp_yaml_copy_text(struct mp_yaml *y, const char *what, yaml_node_t *node, size_t max,
		      char **ret)
{
	int error = check_text(y, what, node, max);

	if (error)
		return error;
	*ret = strdup(scalar(node));
	return *ret ? 0 : mp_yaml_no_memory(y);
}

const char *mp_yaml_hint(const char *const *names, size_t n, const char *name,
			 char out[MP_HINT_LEN])
{
	const char *near = mp_name_suggest(names, n, name);

	out[0] = '\0';
	if (near)
		snprintf(out, MP_HINT_LEN, " (did you mean \"%.48s\"?)", near);
	return out;
}

const char *mp_yaml_list(const char *const *names, size_t n, char out[MP_LIST_LEN])
{
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < n && used < MP_LIST_LEN; i++)
		used += (size_t)snprintf(out + used, MP_LIST_LEN - used, "%s%s", i ? ", " : "",
					 names[i]);
	return out;
}

const char *mp_yaml_not_one_of(const char *what, const char *text, const char *const *names,
			       size_t n, char out[MP_CHOICE_LEN])
{
	char list[MP_LIST_LEN];
	char hint[MP_HINT_LEN];

	snprintf(out, MP_CHOICE_LEN, "%s \"%.*s\" is not one of %s%s", what, SHOWN, text,
		 mp_yaml_list(names, n, list), mp_yaml_hint(names, n, text, hint));
	return out;
}

int mp_yaml_choice(struct mp_yaml *y, const char *what, yaml_node_t *node, const char *const *names,
		   size_t n)
{
	char problem[MP_CHOICE_LEN];
	const char *text = "";
	int found = mp_yaml_text(y, what, node, SIZE_MAX, &text);

	if (found)
		return found;
	found = mp_name_find(names, n, text);
	if (found >= 0)
		return found;
	return mp_yaml_fail(y, node, "%s", mp_yaml_not_one_of(what, text, names, n, problem));
}

/* Numbers and truth values are plain; what is quoted is meant as text. */
static int plain_text(struct mp_yaml *y, const struct mp_yaml_field *field, const char *wanted,
		      yaml_node_t *node, const char **ret)
{
	if (node->type != YAML_SCALAR_NODE || is_null(node))
		return fail_kind(y, field->name, wanted, node);
	if (!is_plain(node))
		return mp_yaml_fail(y, node, "%s must be %s, not quoted text", field->name, wanted);
	*ret = scalar(node);
	return 0;
}

static int fail_number(struct mp_yaml *y, const struct mp_yaml_field *field, const char *wanted,
		       yaml_node_t *node, int err)
{
	if (err == -ERANGE)
		return mp_yaml_fail(y, node, "%s %.*s is out of range: %.15g to %.15g", field->name,
				    SHOWN, scalar(node), field->min, field->max);
	return mp_yaml_fail(y, node, "%s \"%.*s\" is not %s", field->name, SHOWN, scalar(node),
			    wanted);
}

int mp_yaml_number(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
		   uint64_t *ret)
{
	static const char wanted[] = "a whole number";
	uint64_t number = 0;
	const char *text = "";
	int err = plain_text(y, field, wanted, value, &text);

	if (err)
		return err;
	/* A minus sign makes a number that is out of range, not something else. */
	if (*text == '-' && !mp_number_parse(text + 1, UINT64_MAX, &number))
		err = -ERANGE;
	else
		err = mp_number_parse(text, (uint64_t)field->max, &number);
	if (!err && number < (uint64_t)field->min)
		err = -ERANGE;
	if (err)
		return fail_number(y, field, wanted, value, err);
	*ret = number;
	return 0;
}

static void *member_of(void *data, const struct mp_yaml_field *field)
{
	return (char *)data + field->offset;
}

static int parse_double(const char *text, double *ret)
{
	char *end;

	/* strtod() also takes nan, infinity and hexadecimal. */
	if (!*text || text[strspn(text, "+-.0123456789eE")])
		return -EINVAL;
	*ret = strtod(text, &end);
	return *end || end == text ? -EINVAL : 0;
}

int mp_yaml_to_double(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
		      void *data)
{
	static const char wanted[] = "a number";
	double number = 0;
	const char *text = "";
	int err = plain_text(y, field, wanted, value, &text);

	if (err)
		return err;
	err = parse_double(text, &number);
	if (!err && (number < field->min || number > field->max))
		err = -ERANGE;
	if (err)
		return fail_number(y, field, wanted, value, err);
	*(double *)member_of(data, field) = number;
	return 0;
}

/* The words of YAML 1.1, which no longer are booleans: what was meant by them. */
static const char *bool_hint(const char *text)
{
	static const char *const old[] = {"yes", "on", "no", "off"};

	for (size_t i = 0; i < MP_ARRAY_SIZE(old); i++) {
		if (strcasecmp(text, old[i]) == 0)
			return i < 2 ? ": write true" : ": write false";
	}
	return "";
}

int mp_yaml_to_bool(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
		    void *data)
{
	static const char *const names[] = {"false", "False", "FALSE", "true", "True", "TRUE"};
	const char *text = "";
	int found;
	int err = plain_text(y, field, "true or false", value, &text);

	if (err)
		return err;
	found = mp_name_find(names, MP_ARRAY_SIZE(names), text);
	if (found < 0)
		return mp_yaml_fail(y, value, "%s \"%.*s\" is not true or false%s", field->name,
				    SHOWN, text, bool_hint(text));
	*(bool *)member_of(data, field) = found >= 3;
	return 0;
}

int mp_yaml_to_ns(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
		  void *data)
{
	uint64_t ms = 0;
	int err = mp_yaml_number(y, field, value, &ms);

	if (err)
		return err;
	*(uint64_t *)member_of(data, field) = ms * NS_PER_MS;
	return 0;
}

int mp_yaml_version(struct mp_yaml *y, const struct mp_yaml_field *field, yaml_node_t *value,
		    void *data)
{
	const struct mp_yaml_field any = {.name = field->name, .max = UINT32_MAX};
	uint64_t version = 0;
	int err = mp_yaml_number(y, &any, value, &version);

	(void)data;
	if (err)
		return err;
	if (version != 1)
		return mp_yaml_fail(y, value,
				    "version %llu is not known: this program reads version 1",
				    (unsigned long long)version);
	return 0;
}

/* --- mappings and lists ------------------------------------------------------ */

static int find_key(const struct mp_yaml *y, const yaml_node_t *key, const char *what,
		    const char *const *names, size_t n)
{
	char hint[MP_HINT_LEN];
	int index;

	if (key->type != YAML_SCALAR_NODE)
		return mp_yaml_fail(y, key, "a key of %s must be text, not %s", what, kind_of(key));
	index = mp_name_find(names, n, scalar(key));
	if (index >= 0)
		return index;
	return mp_yaml_fail(y, key, "unknown key \"%.*s\"%s", SHOWN, scalar(key),
			    mp_yaml_hint(names, n, scalar(key), hint));
}

int mp_yaml_each_key(struct mp_yaml *y, yaml_node_t *node, const char *what,
		     const char *const *names, size_t n, mp_yaml_key_fn fn, void *data)
{
	uint64_t seen = 0;

	if (node->type != YAML_MAPPING_NODE)
		return fail_kind(y, what, "a mapping", node);
	for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
	     pair < node->data.mapping.pairs.top; pair++) {
		yaml_node_t *key = yaml_document_get_node(&y->doc, pair->key);
		int index = find_key(y, key, what, names, n);
		int err;

		if (index < 0)
			return index;
		if (seen & UINT64_C(1) << index)
			return mp_yaml_fail(y, key, "\"%s\" is given twice", names[index]);
		seen |= UINT64_C(1) << index;
		err = fn(y, (size_t)index, yaml_document_get_node(&y->doc, pair->value), data);
		if (err)
			return err;
	}
	return 0;
}

struct field_reader {
	const struct mp_yaml_field *fields;
	uint64_t seen;
	void *data;
};

static int read_field(struct mp_yaml *y, size_t index, yaml_node_t *value, void *data)
{
	struct field_reader *reader = data;
	const struct mp_yaml_field *field = &reader->fields[index];

	reader->seen |= UINT64_C(1) << index;
	return field->read(y, field, value, reader->data);
}

int mp_yaml_fields(struct mp_yaml *y, yaml_node_t *node, const char *what,
		   const struct mp_yaml_field *fields, size_t n, void *data)
{
	struct field_reader reader = {.fields = fields, .data = data};
	const char *names[MAX_KEYS] = {NULL};
	int err;

	for (size_t i = 0; i < n; i++)
		names[i] = fields[i].name;
	err = mp_yaml_each_key(y, node, what, names, n, read_field, &reader);
	if (err)
		return err;
	for (size_t i = 0; i < n; i++) {
		if (fields[i].required && !(reader.seen & UINT64_C(1) << i))
			return mp_yaml_fail(y, node, "%s has no \"%s\"", what, fields[i].name);
	}
	return 0;
}

int mp_yaml_parse(const char *name, const char *text, size_t len,
		  const struct mp_yaml_field *fields, size_t n, void *data, struct mp_error *err)
{
	struct mp_yaml MP_YAML y = {0};
	int error = mp_yaml_open(&y, name, text, len, err);

	return error ?: mp_yaml_fields(&y, mp_yaml_root(&y), "the file", fields, n, data);
}

int mp_yaml_each_item(struct mp_yaml *y, const char *what, yaml_node_t *node, mp_yaml_item_fn fn,
		      void *data)
{
	if (node->type != YAML_SEQUENCE_NODE)
		return fail_kind(y, what, "a list", node);
	for (const int *item = node->data.sequence.items.start;
	     item < node->data.sequence.items.top; item++) {
		int err = fn(y, yaml_document_get_node(&y->doc, *item), data);

		if (err)
			return err;
	}
	return 0;
}

int mp_yaml_each_text(struct mp_yaml *y, const char *what, yaml_node_t *node, mp_yaml_item_fn fn,
		      void *data)
{
	if (node->type == YAML_SCALAR_NODE)
		return fn(y, node, data);
	return mp_yaml_each_item(y, what, node, fn, data);
}
