// SPDX-License-Identifier: GPL-2.0-only
#include "report/ndjson.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/level.h"

#define MAX_BLOCKS 2 /* arrays an event can have beside its arguments */
#define PATH_LEN 48

struct mp_ndjson_reader {
	json_t *root;
	char *strings; /* the event's strings, one behind the other */
	size_t used;
	void *blocks[MAX_BLOCKS];
	size_t n_blocks;
	struct mp_event_arg args[MP_MAX_ARGS];
	struct mp_event_arg ret;
};

/* One call of mp_ndjson_parse(): the first error stays. */
struct parse {
	struct mp_ndjson_reader *reader;
	struct mp_error *err;
	int status;
};

/* A JSON object being read; `json` is NULL for one that is absent. */
struct object {
	struct parse *parse;
	const json_t *json;
	char path[PATH_LEN]; /* what stands before its fields in messages, e.g. "evidence." */
};

static void reader_reset(struct mp_ndjson_reader *reader)
{
	json_decref(reader->root);
	reader->root = NULL;
	free(reader->strings);
	reader->strings = NULL;
	reader->used = 0;
	while (reader->n_blocks)
		free(reader->blocks[--reader->n_blocks]);
}

struct mp_ndjson_reader *mp_ndjson_reader_new(void)
{
	return calloc(1, sizeof(struct mp_ndjson_reader));
}

void mp_ndjson_reader_free(struct mp_ndjson_reader *reader)
{
	if (!reader)
		return;
	reader_reset(reader);
	free(reader);
}

static void bad(const struct object *o, const char *key, const char *what)
{
	struct parse *p = o->parse;

	if (!p->status)
		p->status = mp_fail(p->err, MP_EXIT_CONFIG, EBADMSG, "field \"%s%s\" %s", o->path,
				    key, what);
}

static int no_memory(struct parse *p)
{
	p->status = mp_fail(p->err, MP_EXIT_OOM, ENOMEM, "no memory for a record");
	return p->status;
}

static void *new_block(struct parse *p, size_t n, size_t size)
{
	struct mp_ndjson_reader *reader = p->reader;
	void *block = calloc(n ? n : 1, size);

	if (block)
		reader->blocks[reader->n_blocks++] = block;
	else
		no_memory(p);
	return block;
}

/* --- strings: the reverse of mp_text_clean() --------------------------------- */

static size_t put_utf8(uint32_t cp, char *out)
{
	size_t n = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
	static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};

	for (size_t i = n - 1; i > 0; i--) {
		out[i] = (char)(0x80 | (cp & 0x3f));
		cp >>= 6;
	}
	out[0] = (char)(lead[n] | cp);
	return n;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Up to `max` digits. Returns their number. */
static size_t take_hex(const char *s, size_t max, uint64_t *ret)
{
	uint64_t value = 0;
	size_t n = 0;

	for (; n < max && hex_digit(s[n]) >= 0; n++)
		value = value << 4 | (uint64_t)hex_digit(s[n]);
	*ret = value;
	return n;
}

/*
 * \xHH. mp_text_clean() writes a stray byte 0x85 and the control character
 * U+0085 alike: as the character it can never complete the bytes before it.
 */
static size_t unescape_byte(const char *s, char *out, size_t *ret_len)
{
	uint64_t value;

	if (take_hex(s + 2, 2, &value) != 2 || value == 0)
		return 0;
	if ((value >= 0x80 && value < 0xa0) || value == 0xad) {
		*ret_len = put_utf8((uint32_t)value, out);
	} else {
		out[0] = (char)value;
		*ret_len = 1;
	}
	return 4;
}

/* \u{HHHH} */
static size_t unescape_codepoint(const char *s, char *out, size_t *ret_len)
{
	uint64_t cp;
	size_t digits;

	if (s[2] != '{')
		return 0;
	digits = take_hex(s + 3, 6, &cp);
	if (digits == 0 || s[3 + digits] != '}')
		return 0;
	if (cp == 0 || cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000))
		return 0;
	*ret_len = put_utf8((uint32_t)cp, out);
	return digits + 4;
}

/* Length of the escape at `s`, and what it stands for; 0: none, the backslash is its own. */
static size_t unescape_one(const char *s, char *out, size_t *ret_len)
{
	static const char names[] = "ntre\\";
	static const char values[] = "\n\t\r\033\\";
	const char *name;

	if (s[1] == 'x')
		return unescape_byte(s, out, ret_len);
	if (s[1] == 'u')
		return unescape_codepoint(s, out, ret_len);
	name = s[1] ? strchr(names, s[1]) : NULL;
	if (!name)
		return 0;
	out[0] = values[name - names];
	*ret_len = 1;
	return 2;
}

/* What is unescaped is never longer, and a string's quotes make room for its NUL. */
static const char *keep_string(struct parse *p, const char *s)
{
	struct mp_ndjson_reader *reader = p->reader;
	char *start = reader->strings + reader->used;
	char *out = start;

	while (*s) {
		size_t len;
		size_t n = *s == '\\' ? unescape_one(s, out, &len) : 0;

		if (n == 0) {
			*out = *s;
			n = len = 1;
		}
		out += len;
		s += n;
	}
	*out++ = '\0';
	reader->used += (size_t)(out - start);
	return start;
}

/* --- fields: each checks its type --------------------------------------------- */

/* NULL: absent or null. */
static json_t *field(const struct object *o, const char *key)
{
	json_t *value = json_object_get(o->json, key);

	return json_is_null(value) ? NULL : value;
}

static int64_t get_integer(const struct object *o, const char *key, int64_t min, int64_t max,
			   int64_t absent)
{
	const json_t *value = field(o, key);
	json_int_t n;

	if (!value)
		return absent;
	n = json_integer_value(value);
	if (json_is_integer(value) && n >= min && n <= max)
		return n;
	bad(o, key,
	    min < 0 ? "is not an integer in its range" : "is not an unsigned integer in its range");
	return absent;
}

static uint64_t get_u64(const struct object *o, const char *key)
{
	int64_t value = get_integer(o, key, 0, INT64_MAX, -1);

	return value < 0 ? MP_UNKNOWN : (uint64_t)value;
}

static uint32_t get_pid(const struct object *o, const char *key)
{
	return (uint32_t)get_integer(o, key, 0, UINT32_MAX, 0);
}

static int get_int(const struct object *o, const char *key)
{
	return (int)get_integer(o, key, INT_MIN, INT_MAX, 0);
}

static int64_t get_s64(const struct object *o, const char *key)
{
	return get_integer(o, key, INT64_MIN, INT64_MAX, MP_UNKNOWN_DELTA);
}

static double get_pct(const struct object *o, const char *key)
{
	const json_t *value = field(o, key);

	if (!value)
		return -1;
	if (json_is_number(value))
		return json_number_value(value);
	bad(o, key, "is not a number");
	return -1;
}

static bool get_bool(const struct object *o, const char *key)
{
	const json_t *value = field(o, key);

	if (value && !json_is_boolean(value))
		bad(o, key, "is not true or false");
	return json_is_true(value);
}

static const char *get_string(const struct object *o, const char *key)
{
	const json_t *value = field(o, key);

	if (!value)
		return NULL;
	if (json_is_string(value))
		return keep_string(o->parse, json_string_value(value));
	bad(o, key, "is not a string");
	return NULL;
}

/* An absent one is the first value. */
static unsigned int get_optional_name(const struct object *o, const char *key,
				      int (*parse)(const char *))
{
	const json_t *value = field(o, key);
	int n;

	if (!value)
		return 0;
	n = json_is_string(value) ? parse(json_string_value(value)) : -ENOENT;
	if (n < 0)
		bad(o, key, "is not one of its names");
	return n < 0 ? 0 : (unsigned int)n;
}

static unsigned int get_name(const struct object *o, const char *key, int (*parse)(const char *))
{
	if (!field(o, key))
		bad(o, key, "is missing");
	return get_optional_name(o, key, parse);
}

static const json_t *get_array(const struct object *o, const char *key)
{
	const json_t *value = field(o, key);

	if (value && !json_is_array(value))
		bad(o, key, "is not an array");
	return json_is_array(value) ? value : NULL;
}

static struct object get_object(const struct object *o, const char *key)
{
	struct object inner = {.parse = o->parse, .json = field(o, key)};

	if (inner.json && !json_is_object(inner.json)) {
		bad(o, key, "is not an object");
		inner.json = NULL;
	}
	snprintf(inner.path, sizeof(inner.path), "%.24s%.20s.", o->path, key);
	return inner;
}

/* The object at `i` of the array `key`; an absent one when it is something else. */
static struct object get_item(const struct object *o, const char *key, const json_t *array,
			      size_t i)
{
	struct object item = {.parse = o->parse, .json = json_array_get(array, i)};

	if (!json_is_object(item.json)) {
		bad(o, key, "holds something else than objects");
		item.json = NULL;
	}
	snprintf(item.path, sizeof(item.path), "%.20s[%zu].", key, i);
	return item;
}

static const char *const *get_list(const struct object *o, const char *key, size_t *ret_n)
{
	const json_t *array = get_array(o, key);
	size_t n = json_array_size(array);
	const char **items;

	if (n == 0)
		return NULL;
	items = new_block(o->parse, n, sizeof(*items));
	if (!items)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		const json_t *value = json_array_get(array, i);

		if (!json_is_string(value)) {
			bad(o, key, "holds something else than strings");
			return NULL;
		}
		items[i] = keep_string(o->parse, json_string_value(value));
	}
	*ret_n = n;
	return items;
}

/* "0x" and hex digits, as mp_json_hex() writes them. */
static bool parse_address(const char *s, uint64_t *ret)
{
	size_t digits;

	if (s[0] != '0' || s[1] != 'x')
		return false;
	digits = take_hex(s + 2, 16, ret);
	return digits > 0 && s[2 + digits] == '\0' && (s[2] != '0' || digits == 1);
}

/* --- records ------------------------------------------------------------------- */

static void read_start(const struct object *o, struct mp_event *event)
{
	struct mp_event_start *e = &event->start;

	e->version = get_string(o, "version");
	e->kernel = get_string(o, "kernel");
	e->cgroup_mode = get_string(o, "cgroup_mode");
	e->targets = get_list(o, "targets", &e->n_targets);
	e->features = get_list(o, "features", &e->n_features);
}

static void read_site(const struct object *o, struct mp_event *event)
{
	struct mp_event_site *e = &event->site;

	e->point = get_string(o, "point");
	e->level = get_name(o, "level", mp_level_parse);
	e->kind = get_name(o, "kind", mp_site_kind_parse);
	e->binary = get_string(o, "binary");
	e->symbol = get_string(o, "symbol");
	e->offset = get_u64(o, "offset");
	e->insn = get_string(o, "insn");
	e->cost = get_string(o, "cost");
	e->risk = get_string(o, "risk");
	e->status = get_name(o, "status", mp_site_status_parse);
	e->reason = get_string(o, "reason");
}

/* The type is seen from the value; what is ambiguous is written the same way again. */
static void read_value(const struct object *o, const char *name, const json_t *value,
		       struct mp_event_arg *ret)
{
	*ret = (struct mp_event_arg){.name = keep_string(o->parse, name), .type = MP_ARG_STR};
	if (json_is_integer(value)) {
		ret->type = json_integer_value(value) < 0 ? MP_ARG_S64 : MP_ARG_U64;
		ret->value = (uint64_t)json_integer_value(value);
	} else if (json_is_string(value)) {
		if (parse_address(json_string_value(value), &ret->value))
			ret->type = MP_ARG_PTR;
		else
			ret->str = keep_string(o->parse, json_string_value(value));
	} else if (!json_is_null(value)) {
		bad(o, name, "is not an integer, a string or null");
	}
}

/* Up to `max` values of the object `key` into `args`. Returns their number. */
static size_t get_values(const struct object *o, const char *key, struct mp_event_arg *args,
			 size_t max)
{
	struct object values = get_object(o, key);
	const char *name;
	json_t *value;
	size_t n = 0;

	if (json_object_size(values.json) > max) {
		bad(o, key, "holds too many values");
		return 0;
	}
	json_object_foreach((json_t *)values.json, name, value)
		read_value(&values, name, value, &args[n++]);
	return n;
}

/* Frames are text once they are symbolized; addresses that can be told stay with them. */
static void read_stack(const struct object *o, struct mp_event_probe *e)
{
	size_t addresses = 0;
	uint64_t *stack;
	size_t n = 0;

	e->stack_text = get_list(o, "stack", &n);
	if (!e->stack_text)
		return;
	stack = new_block(o->parse, n, sizeof(*stack));
	if (!stack)
		return;
	for (size_t i = 0; i < n; i++)
		addresses += parse_address(e->stack_text[i], &stack[i]);
	if (addresses == n)
		e->stack_text = NULL;
	e->stack = stack;
	e->n_stack = n;
}

static void read_memory(const struct object *o, struct mp_event_probe *e)
{
	e->rss = get_u64(o, "rss");
	e->rss_anon = get_u64(o, "rss_anon");
	e->rss_file = get_u64(o, "rss_file");
	e->rss_shmem = get_u64(o, "rss_shmem");
	e->swap = get_u64(o, "swap");
	e->usage = get_u64(o, "usage");
	e->working_set = get_u64(o, "working_set");
	e->limit = get_u64(o, "limit");
	e->usage_pct = get_pct(o, "usage_pct");
}

static void read_probe(const struct object *o, struct mp_event *event)
{
	struct mp_ndjson_reader *reader = o->parse->reader;
	struct mp_event_probe *e = &event->probe;

	e->point = get_string(o, "point");
	e->level = get_name(o, "level", mp_level_parse);
	e->phase = get_name(o, "phase", mp_phase_parse);
	e->pid = get_pid(o, "pid");
	e->tid = get_pid(o, "tid");
	e->comm = get_string(o, "comm");
	e->cgroup = get_string(o, "cgroup");
	e->limit_cgroup = get_string(o, "limit_cgroup");
	read_memory(o, e);
	e->size = get_u64(o, "size");
	e->gate = get_optional_name(o, "gate", mp_gate_parse);
	e->gate_deadline_ns = get_u64(o, "gate_deadline_ns");
	e->n_args = get_values(o, "args", reader->args, MP_MAX_ARGS);
	e->args = e->n_args ? reader->args : NULL;
	e->ret = get_values(o, "ret", &reader->ret, 1) ? &reader->ret : NULL;
	e->duration_ns = get_u64(o, "duration_ns");
	e->rss_delta = get_s64(o, "rss_delta");
	e->usage_delta = get_s64(o, "usage_delta");
	read_stack(o, e);
}

static void read_process(const struct object *o, struct mp_event *event)
{
	struct mp_event_process *e = &event->process;

	e->op = get_name(o, "op", mp_process_op_parse);
	e->pid = get_pid(o, "pid");
	e->parent = get_pid(o, "parent");
	e->comm = get_string(o, "comm");
	e->exit_code = (int)get_integer(o, "exit_code", INT_MIN, INT_MAX, MP_EXIT_STATUS_UNKNOWN);
}

static void read_figures(const struct object *o, struct mp_event_pressure *e)
{
	e->window_ns = get_u64(o, "window_ns");
	e->some_pct = get_pct(o, "some_pct");
	e->full_pct = get_pct(o, "full_pct");
	e->stall_ns = get_u64(o, "stall_ns");
	e->reclaims = get_u64(o, "reclaims");
	e->reclaimed_pages = get_u64(o, "reclaimed_pages");
	e->pgscan = get_u64(o, "pgscan");
	e->pgsteal = get_u64(o, "pgsteal");
	e->pgmajfault = get_u64(o, "pgmajfault");
	e->low = get_u64(o, "low");
	e->high = get_u64(o, "high");
	e->max = get_u64(o, "max");
	e->oom = get_u64(o, "oom");
	e->oom_kill = get_u64(o, "oom_kill");
	e->v1_level = get_string(o, "v1_level");
}

static void read_pressure(const struct object *o, struct mp_event *event)
{
	struct mp_event_pressure *e = &event->pressure;
	uint64_t incident = get_u64(o, "incident");

	e->source = get_name(o, "source", mp_pressure_source_parse);
	e->cgroup = get_string(o, "cgroup");
	e->pid = get_pid(o, "pid");
	e->comm = get_string(o, "comm");
	e->is_target = get_bool(o, "is_target");
	e->usage = get_u64(o, "usage");
	e->working_set = get_u64(o, "working_set");
	e->limit = get_u64(o, "limit");
	e->usage_pct = get_pct(o, "usage_pct");
	read_figures(o, e);
	e->incident = incident == MP_UNKNOWN ? 0 : incident;
	e->repeated = get_bool(o, "repeated");
}

static void read_in_flight(const struct object *o, struct mp_event_oom *e)
{
	const json_t *array = get_array(o, "in_flight");
	size_t n = json_array_size(array);
	struct mp_in_flight *calls = new_block(o->parse, n, sizeof(*calls));

	for (size_t i = 0; calls && i < n; i++) {
		struct object item = get_item(o, "in_flight", array, i);

		calls[i].point = get_string(&item, "point");
		calls[i].tid = get_pid(&item, "tid");
		calls[i].duration_ns = get_u64(&item, "duration_ns");
		calls[i].rss_delta = get_s64(&item, "rss_delta");
	}
	e->in_flight = calls;
	e->n_in_flight = n;
}

/* A part of the story is what such a record would be by itself. */
static int parse_history_kind(const char *name)
{
	int type = mp_event_type_parse(name);

	return type == MP_EVENT_DECISION || type == MP_EVENT_ACTION ? type : -ENOENT;
}

static void read_history(const struct object *o, struct mp_event_oom *e)
{
	const json_t *array = get_array(o, "history");
	size_t n = json_array_size(array);
	struct mp_history_entry *entries = new_block(o->parse, n, sizeof(*entries));

	for (size_t i = 0; entries && i < n; i++) {
		struct object item = get_item(o, "history", array, i);

		entries[i].ts_ns = get_u64(&item, "ts_ns");
		entries[i].is_action =
			get_name(&item, "kind", parse_history_kind) == MP_EVENT_ACTION;
		if (entries[i].is_action)
			entries[i].result = get_name(&item, "result", mp_action_result_parse);
		else
			entries[i].severity = get_name(&item, "severity", mp_severity_parse);
		entries[i].text = get_string(&item, "text");
	}
	e->history = entries;
	e->n_history = n;
}

static void read_events(const struct object *o, struct mp_cgroup_events *e)
{
	struct object events = get_object(o, "events");

	e->low = get_u64(&events, "low");
	e->high = get_u64(&events, "high");
	e->max = get_u64(&events, "max");
	e->oom = get_u64(&events, "oom");
	e->oom_kill = get_u64(&events, "oom_kill");
}

static void read_oom(const struct object *o, struct mp_event *event)
{
	struct mp_event_oom *e = &event->oom;

	e->pid = get_pid(o, "pid");
	e->comm = get_string(o, "comm");
	e->cgroup = get_string(o, "cgroup");
	e->is_target = get_bool(o, "is_target");
	e->oom_score_adj = get_s64(o, "oom_score_adj");
	e->rss = get_u64(o, "rss");
	e->rss_anon = get_u64(o, "rss_anon");
	e->rss_file = get_u64(o, "rss_file");
	e->rss_shmem = get_u64(o, "rss_shmem");
	e->swap = get_u64(o, "swap");
	e->by_pid = get_pid(o, "by_pid");
	e->by_comm = get_string(o, "by_comm");
	read_in_flight(o, e);
	read_history(o, e);
	read_events(o, &e->events);
}

static void read_decision(const struct object *o, struct mp_event *event)
{
	struct mp_event_decision *e = &event->decision;
	struct object evidence = get_object(o, "evidence");

	e->severity = get_name(o, "severity", mp_severity_parse);
	e->previous = get_name(o, "previous", mp_severity_parse);
	e->level = get_name(o, "level", mp_level_parse);
	e->point = get_string(o, "point");
	e->pid = get_pid(o, "pid");
	e->cgroup = get_string(o, "cgroup");
	e->limit_cgroup = get_string(o, "limit_cgroup");
	e->reason = get_string(o, "reason");
	e->usage_pct = get_pct(&evidence, "usage_pct");
	e->working_set = get_u64(&evidence, "working_set");
	e->limit = get_u64(&evidence, "limit");
	e->some_pct = get_pct(&evidence, "some_pct");
	e->full_pct = get_pct(&evidence, "full_pct");
	e->latency_ns = get_u64(o, "latency_ns");
}

static void read_action(const struct object *o, struct mp_event *event)
{
	struct mp_event_action *e = &event->action;
	struct object stall = get_object(o, "stall");

	e->action = get_string(o, "action");
	e->result = get_name(o, "result", mp_action_result_parse);
	e->point = get_string(o, "point");
	e->pid = get_pid(o, "pid");
	e->cgroup = get_string(o, "cgroup");
	e->limit_cgroup = get_string(o, "limit_cgroup");
	e->freed_bytes = get_u64(o, "freed_bytes");
	e->usage_before = get_u64(o, "usage_before");
	e->usage_after = get_u64(o, "usage_after");
	e->some_before_pct = get_pct(&stall, "before_pct");
	e->some_after_pct = get_pct(&stall, "after_pct");
	e->duration_ns = get_u64(o, "duration_ns");
	e->detail = get_string(o, "detail");
	e->stack = get_list(o, "stack", &e->n_stack);
}

static void read_lost(const struct object *o, struct mp_event *event)
{
	event->lost.source = get_string(o, "source");
	event->lost.count = get_u64(o, "count");
}

static void read_phase(const struct object *o, const char *key, struct mp_phase_stats *s)
{
	struct object phase = get_object(o, key);

	s->hits = get_u64(&phase, "hits");
	s->emitted = get_u64(&phase, "emitted");
	s->suppressed = get_u64(&phase, "suppressed");
	s->lost = get_u64(&phase, "lost");
}

static void read_point(const struct object *o, struct mp_summary_point *p)
{
	struct object duration = get_object(o, "duration_ns");
	struct object growth = get_object(o, "rss_delta");

	p->point = get_string(o, "point");
	p->level = get_name(o, "level", mp_level_parse);
	p->hits = get_u64(o, "hits");
	p->returns = get_u64(o, "returns");
	p->emitted = get_u64(o, "emitted");
	p->suppressed = get_u64(o, "suppressed");
	p->lost = get_u64(o, "lost");
	read_phase(o, "enter", &p->phase[MP_PHASE_ENTER]);
	read_phase(o, "exit", &p->phase[MP_PHASE_EXIT]);
	p->missed = get_u64(o, "missed");
	p->duration_p50_ns = get_u64(&duration, "p50");
	p->duration_p99_ns = get_u64(&duration, "p99");
	p->duration_max_ns = get_u64(&duration, "max");
	p->rss_total = get_s64(&growth, "total");
	p->rss_max = get_s64(&growth, "max");
}

static void read_summary(const struct object *o, struct mp_event *event)
{
	struct mp_event_summary *e = &event->summary;
	const json_t *array = get_array(o, "points");
	size_t n = json_array_size(array);
	struct mp_summary_point *points = new_block(o->parse, n, sizeof(*points));

	for (size_t i = 0; points && i < n; i++) {
		struct object item = get_item(o, "points", array, i);

		read_point(&item, &points[i]);
	}
	e->points = points;
	e->n_points = n;
	e->duration_ns = get_u64(o, "duration_ns");
	e->received = get_u64(o, "received");
	e->complete = get_bool(o, "complete");
}

static void read_stop(const struct object *o, struct mp_event *event)
{
	event->stop.reason = get_string(o, "reason");
	event->stop.exit_code = get_int(o, "exit_code");
}

static void (*const readers[])(const struct object *, struct mp_event *) = {
	[MP_EVENT_START] = read_start,	     [MP_EVENT_SITE] = read_site,
	[MP_EVENT_PROBE] = read_probe,	     [MP_EVENT_PROCESS] = read_process,
	[MP_EVENT_PRESSURE] = read_pressure, [MP_EVENT_OOM] = read_oom,
	[MP_EVENT_DECISION] = read_decision, [MP_EVENT_ACTION] = read_action,
	[MP_EVENT_LOST] = read_lost,	     [MP_EVENT_SUMMARY] = read_summary,
	[MP_EVENT_STOP] = read_stop,
};
_Static_assert(MP_ARRAY_SIZE(readers) == MP_EVENT_TYPE_COUNT, "a reader for every event");

static uint64_t get_time(const struct object *o, const char *key)
{
	const char *text = get_string(o, key);
	uint64_t realtime_ns = MP_UNKNOWN;

	if (text && mp_clock_parse(text, &realtime_ns) < 0)
		bad(o, key, "is not a time like 2026-11-21T23:35:22.123456Z");
	return realtime_ns;
}

/* Version and type decide whether the rest can be read at all. */
static int read_type(const struct object *o, enum mp_event_type *ret)
{
	struct parse *p = o->parse;
	int64_t version = get_integer(o, "v", 0, INT64_MAX, 0);
	const char *name = get_string(o, "type");
	int type;

	if (!p->status && !name)
		bad(o, "type", "is missing");
	if (p->status)
		return p->status;
	if (version != MP_EVENT_VERSION)
		return mp_fail(p->err, MP_EXIT_CONFIG, ENOTSUP, "record version %lld is not known",
			       (long long)version);
	type = mp_event_type_parse(name);
	if (type < 0)
		return mp_fail(p->err, MP_EXIT_CONFIG, ENOTSUP, "record type \"%s\" is not known",
			       name);
	*ret = (enum mp_event_type)type;
	return 0;
}

static int load(struct parse *p, const char *line, size_t len)
{
	struct mp_ndjson_reader *reader = p->reader;
	json_error_t error;

	reader_reset(reader);
	reader->strings = malloc(len + 1);
	if (!reader->strings)
		return no_memory(p);
	reader->root = json_loadb(line, len, JSON_REJECT_DUPLICATES, &error);
	if (!reader->root)
		return mp_fail(p->err, MP_EXIT_CONFIG, EBADMSG, "column %d: %s", error.column,
			       error.text);
	if (!json_is_object(reader->root))
		return mp_fail(p->err, MP_EXIT_CONFIG, EBADMSG, "column 1: not a JSON object");
	return 0;
}

int mp_ndjson_parse(struct mp_ndjson_reader *reader, const char *line, size_t len,
		    struct mp_event *ret, struct mp_error *err)
{
	struct parse p = {.reader = reader, .err = err};
	struct object o = {.parse = &p};
	struct mp_event event = {0};
	int status = load(&p, line, len);

	if (status)
		return status;
	o.json = reader->root;
	status = read_type(&o, &event.type);
	if (status)
		return status;
	event.ts_ns = get_u64(&o, "ts_ns");
	event.realtime_ns = get_time(&o, "time");
	readers[event.type](&o, &event);
	if (p.status)
		return p.status;
	*ret = event;
	return 0;
}
