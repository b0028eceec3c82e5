// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "config/points.h"

#define HEAD "version: 1\npoints:\n  - name: p\n    level: high\n"
#define WHOLE HEAD "    symbol: f\n"

static int parse(struct mp_points *points, const char *text, struct mp_error *err)
{
	return mp_points_parse(points, "f.yaml", text, strlen(text), err);
}

static void assert_parses(struct mp_points *points, const char *text)
{
	struct mp_error err = {0};

	if (parse(points, text, &err))
		fail_msg("%s", err.text);
}

/* Fails with the message, and leaves what was there before. */
static void assert_fails(const char *text, const char *message)
{
	MP_POINTS struct mp_points points = {0};
	struct mp_error err = {0};

	assert_parses(&points, "{version: 1, points: [{name: before, level: low, symbol: f}]}");
	assert_int_equal(parse(&points, text, &err), -EINVAL);
	assert_string_equal(err.text, message);
	assert_int_equal(err.exit_code, MP_EXIT_CONFIG);
	assert_int_equal(points.n, 1);
	assert_string_equal(points.items[0].name, "before");
}

static void reads_every_key(void **state)
{
	MP_POINTS struct mp_points points = {0};
	const struct mp_point *p;

	(void)state;
	assert_parses(
		&points,
		"version: 1\n"
		"points:\n"
		"  - name: model_loader.load_model\n"
		"    level: critical\n"
		"    python: src.core.model_loader.load_model\n"
		"    symbol: [load_model, \"libllama.so*:llama_model_load_from_file\"]\n"
		"    usdt: \"libfoo.so:provider:name\"\n"
		"    args: [{index: 1, name: size, type: u64}, {index: 6, name: path, type: str},\n"
		"           {index: 2, name: delta, type: s64}, {name: obj, index: 3, type: ptr},\n"
		"           {index: 1, name: again}]\n"
		"    return: {name: result, type: ptr}\n"
		"    threshold_mb: 1000\n"
		"    optional: true\n"
		"    max_sites: 17\n");
	assert_int_equal(points.n, 1);
	p = &points.items[0];
	assert_string_equal(p->name, "model_loader.load_model");
	assert_int_equal(p->level, MP_LEVEL_CRITICAL);
	assert_string_equal(p->python, "src.core.model_loader.load_model");
	assert_int_equal(p->n_symbols, 2);
	assert_null(p->symbols[0].binary);
	assert_string_equal(p->symbols[0].symbol, "load_model");
	assert_string_equal(p->symbols[1].binary, "libllama.so*");
	assert_string_equal(p->symbols[1].symbol, "llama_model_load_from_file");
	assert_int_equal(p->n_usdt, 1);
	assert_string_equal(p->usdt[0].binary, "libfoo.so");
	assert_string_equal(p->usdt[0].provider, "provider");
	assert_string_equal(p->usdt[0].name, "name");
	assert_int_equal(p->n_args, 5);
	assert_int_equal(p->args[0].index, 1);
	assert_string_equal(p->args[0].name, "size");
	assert_int_equal(p->args[0].type, MP_ARG_U64);
	assert_int_equal(p->args[1].index, 6);
	assert_int_equal(p->args[1].type, MP_ARG_STR);
	assert_int_equal(p->args[2].type, MP_ARG_S64);
	assert_string_equal(p->args[3].name, "obj");
	assert_int_equal(p->args[3].type, MP_ARG_PTR);
	assert_int_equal(p->args[4].type, MP_ARG_U64);
	assert_true(p->has_ret);
	assert_string_equal(p->ret_name, "result");
	assert_int_equal(p->ret_type, MP_ARG_PTR);
	assert_int_equal(p->threshold_bytes, 1000ULL << 20);
	assert_true(p->optional);
	assert_int_equal(p->max_sites, 17);
	assert_string_equal(p->origin, "f.yaml:3:5");
}

static void what_is_left_out(void **state)
{
	MP_POINTS struct mp_points points = {0};
	const struct mp_point *p;

	(void)state;
	assert_parses(&points, WHOLE "    return: {}\n  - {name: q, level: low, usdt: 'a:b'}\n");
	assert_int_equal(points.n, 2);
	p = &points.items[0];
	assert_null(p->python);
	assert_int_equal(p->n_usdt, 0);
	assert_int_equal(p->n_args, 0);
	assert_true(p->has_ret);
	assert_string_equal(p->ret_name, "ret");
	assert_int_equal(p->ret_type, MP_ARG_U64);
	assert_int_equal(p->threshold_bytes, 0);
	assert_false(p->optional);
	assert_int_equal(p->max_sites, MP_DEFAULT_MAX_SITES);
	p = &points.items[1];
	assert_false(p->has_ret);
	assert_null(p->ret_name);
	assert_null(p->usdt[0].binary);
	assert_string_equal(p->usdt[0].provider, "a");
	assert_string_equal(p->usdt[0].name, "b");
	assert_string_equal(p->origin, "f.yaml:7:5");
}

static void files_add_up(void **state)
{
	MP_POINTS struct mp_points points = {0};
	struct mp_error err;

	(void)state;
	assert_parses(&points, "version: 1\npoints: []\n");
	assert_int_equal(points.n, 0);
	assert_parses(&points, WHOLE);
	assert_parses(&points, "{version: 1, points: [{name: q, level: low, python: m.C.f}]}");
	assert_int_equal(points.n, 2);
	assert_string_equal(points.items[1].python, "m.C.f");
	assert_int_equal(mp_points_parse(&points, "g.yaml", WHOLE, strlen(WHOLE), &err), -EINVAL);
	assert_string_equal(err.text,
			    "g.yaml:3:5: a second point \"p\": the first is at f.yaml:3:5");
	assert_int_equal(points.n, 2);
}

static void assert_symbol(const char *text, const char *binary, const char *symbol)
{
	MP_POINTS struct mp_points points = {0};
	MP_TEXT struct mp_text file = {0};

	mp_text_printf(&file, "%s    symbol: '%s'\n", HEAD, text);
	assert_parses(&points, file.data);
	assert_int_equal(points.items[0].n_symbols, 1);
	if (binary)
		assert_string_equal(points.items[0].symbols[0].binary, binary);
	else
		assert_null(points.items[0].symbols[0].binary);
	assert_string_equal(points.items[0].symbols[0].symbol, symbol);
}

static void binary_ends_at_a_single_colon(void **state)
{
	(void)state;
	assert_symbol("f", NULL, "f");
	assert_symbol("*alloc*", NULL, "*alloc*");
	assert_symbol("libllama.so*:ns::f", "libllama.so*", "ns::f");
	assert_symbol("ns::f", NULL, "ns::f");
	assert_symbol("a::b::f(int, c::d)", NULL, "a::b::f(int, c::d)");
	assert_symbol("/usr/lib/x.so:f", "/usr/lib/x.so", "f");
	assert_symbol("x.so:a::b::~b()", "x.so", "a::b::~b()");
	assert_symbol("x.so:::f", "x.so", "::f");
	assert_symbol("::f", NULL, "::f");
	assert_symbol("lib[[:digit:]].so:f", "lib[[:digit:]].so", "f");
	assert_symbol("f[[:digit:]]", NULL, "f[[:digit:]]");
	assert_symbol("malloc@GLIBC_2.2.5", NULL, "malloc@GLIBC_2.2.5");
	assert_symbol("x:f:g", "x", "f:g");
}

static void refuses_bad_symbols(void **state)
{
	(void)state;
	assert_fails(HEAD "    symbol: ''\n", "f.yaml:5:13: a symbol is empty");
	assert_fails(HEAD "    symbol:\n", "f.yaml:5:12: a symbol must be text, not nothing");
	assert_fails(HEAD "    symbol: [f, '']\n", "f.yaml:5:17: a symbol is empty");
	assert_fails(HEAD "    symbol: [[f]]\n", "f.yaml:5:14: a symbol must be text, not a list");
	assert_fails(HEAD "    symbol: {lib: f}\n",
		     "f.yaml:5:13: symbol must be a list, not a mapping");
	assert_fails(HEAD "    symbol: ':f'\n",
		     "f.yaml:5:13: a symbol has no binary before its colon");
	assert_fails(HEAD "    symbol: 'lib.so:'\n",
		     "f.yaml:5:13: a symbol has nothing behind the colon of its binary");
	assert_fails(HEAD "    symbol: *alloc\n", "f.yaml:5:13: found undefined alias; text that "
						  "starts with * must be quoted");
}

static void refuses_bad_usdt(void **state)
{
	(void)state;
	assert_fails(HEAD "    usdt: name\n",
		     "f.yaml:5:11: a usdt probe is written [BINARY:]PROVIDER:NAME");
	assert_fails(HEAD "    usdt: 'p:'\n",
		     "f.yaml:5:11: a usdt probe has no name behind its last colon");
	assert_fails(HEAD "    usdt: ':n'\n",
		     "f.yaml:5:11: a usdt probe has no provider before its name");
	assert_fails(HEAD "    usdt: 'b::n'\n",
		     "f.yaml:5:11: a usdt probe has no provider before its name");
	assert_fails(HEAD "    usdt: ['a:b', ':p:n']\n",
		     "f.yaml:5:19: a usdt probe has no binary before its first colon");
}

static void refuses_bad_python(void **state)
{
	static const char shape[] = "f.yaml:5:13: a python path is written module[.Class].function";
	MP_POINTS struct mp_points points = {0};

	(void)state;
	assert_fails(HEAD "    python: f\n",
		     "f.yaml:5:13: a python path needs a module before its function");
	assert_fails(HEAD "    python: a..b\n", shape);
	assert_fails(HEAD "    python: a.b.\n", shape);
	assert_fails(HEAD "    python: .a\n", shape);
	assert_fails(HEAD "    python: a.1b\n", shape);
	assert_fails(HEAD "    python: a.b()\n", shape);
	assert_fails(HEAD "    python: 'a.b c'\n", shape);
	assert_parses(&points, HEAD "    python: _m1.Größe.f_2\n");
}

static void refuses_incomplete_points(void **state)
{
	(void)state;
	assert_fails("points: []\n", "f.yaml:1:1: the file has no \"version\"");
	assert_fails("version: 1\n", "f.yaml:1:1: the file has no \"points\"");
	assert_fails("version: 2\npoints: []\n",
		     "f.yaml:1:10: version 2 is not known: this program reads version 1");
	assert_fails("version: '1'\npoints: []\n",
		     "f.yaml:1:10: version must be a whole number, not quoted text");
	assert_fails("version: 1\npoints: {name: a}\n",
		     "f.yaml:2:9: points must be a list, not a mapping");
	assert_fails("version: 1\npoints: [f]\n",
		     "f.yaml:2:10: a point must be a mapping, not text");
	assert_fails("version: 1\npoints:\n  - level: low\n    symbol: f\n",
		     "f.yaml:3:5: a point has no \"name\"");
	assert_fails("version: 1\npoints:\n  - name: a\n    symbol: f\n",
		     "f.yaml:3:5: a point has no \"level\"");
	assert_fails(HEAD, "f.yaml:3:5: point \"p\" needs a symbol, a usdt probe, a python path or "
			   "\"marker: true\"");
	assert_fails(HEAD "    symbol: []\n", "f.yaml:3:5: point \"p\" needs a symbol, a usdt "
					      "probe, a python path or \"marker: true\"");
}

static void refuses_wrong_values(void **state)
{
	(void)state;
	assert_fails(WHOLE "    levle: low\n",
		     "f.yaml:6:5: unknown key \"levle\" (did you mean \"level\"?)");
	assert_fails(WHOLE "    symbol: g\n", "f.yaml:6:5: \"symbol\" is given twice");
	assert_fails("version: 1\npoints:\n  - name: a\n    level: hihg\n",
		     "f.yaml:4:12: level \"hihg\" is not one of low, medium, high, critical (did "
		     "you mean \"high\"?)");
	assert_fails("version: 1\npoints:\n  - name: a\n    level: 3\n",
		     "f.yaml:4:12: level \"3\" is not one of low, medium, high, critical");
	assert_fails(WHOLE "    optional: yes\n",
		     "f.yaml:6:15: optional \"yes\" is not true or false: write true");
	assert_fails(WHOLE "    max_sites: 0\n",
		     "f.yaml:6:16: max_sites 0 is out of range: 1 to 100000");
	assert_fails(WHOLE "    max_sites: 100001\n",
		     "f.yaml:6:16: max_sites 100001 is out of range: 1 to 100000");
	assert_fails(WHOLE "    threshold_mb: 16777217\n",
		     "f.yaml:6:19: threshold_mb 16777217 is out of range: 0 to 16777216");
	assert_fails(WHOLE "    threshold_mb: 1.5\n",
		     "f.yaml:6:19: threshold_mb \"1.5\" is not a whole number");
}

static void refuses_bad_names(void **state)
{
	static const char printable[] =
		"f.yaml:3:11: a point's name must be printable, without a backslash";
	MP_POINTS struct mp_points points = {0};

	(void)state;
	assert_fails("version: 1\npoints:\n  - name: \"a\\nb\"\n", printable);
	assert_fails("version: 1\npoints:\n  - name: \"\\e[31m\"\n", printable);
	assert_fails("version: 1\npoints:\n  - name: \"\\u202e\"\n", printable);
	assert_fails("version: 1\npoints:\n  - name: a\\b\n", printable);
	assert_fails("version: 1\npoints:\n  - name: ''\n", "f.yaml:3:11: name is empty");
	assert_fails("version: 1\npoints:\n  - name: [a]\n",
		     "f.yaml:3:11: name must be text, not a list");
	assert_fails("version: 1\npoints:\n  - name: 0123456789012345678901234567890123456789"
		     "0123456789012345678901234\n",
		     "f.yaml:3:11: a point's name is longer than 64 bytes");
	assert_parses(&points, "version: 1\npoints:\n  - name: 01234567890123456789012345678901234"
			       "56789012345678901234567890123\n    level: low\n    symbol: f\n"
			       "  - {name: 载入 模型, level: low, symbol: f}\n");
	assert_int_equal(strlen(points.items[0].name), 64);
	assert_string_equal(points.items[1].name, "载入 模型");
}

static void refuses_bad_arguments(void **state)
{
	MP_POINTS struct mp_points points = {0};

	(void)state;
	assert_fails(WHOLE "    args: {index: 1, name: x}\n",
		     "f.yaml:6:11: args must be a list, not a mapping");
	assert_fails(WHOLE "    args: [{index: 0, name: x}]\n",
		     "f.yaml:6:20: index 0 is out of range: 1 to 6");
	assert_fails(WHOLE "    args: [{index: 7, name: x}]\n",
		     "f.yaml:6:20: index 7 is out of range: 1 to 6");
	assert_fails(WHOLE "    args: [{name: x}]\n", "f.yaml:6:12: an argument has no \"index\"");
	assert_fails(WHOLE "    args: [{index: 1}]\n", "f.yaml:6:12: an argument has no \"name\"");
	assert_fails(WHOLE "    args: [{index: 1, name: a b}]\n",
		     "f.yaml:6:29: the name of a value is letters, digits and _");
	assert_fails(WHOLE "    args: [{index: 1, name: x, type: u46}]\n",
		     "f.yaml:6:38: type \"u46\" is not one of u64, s64, str, ptr (did you mean "
		     "\"u64\"?)");
	assert_fails(WHOLE "    args: [{index: 1, name: x}, {index: 2, name: x}]\n",
		     "f.yaml:6:33: a second argument with the name \"x\"");
	assert_fails(WHOLE "    args: [{index: 1, name: a}, {index: 1, name: b},\n"
			   "           {index: 1, name: c}, {index: 1, name: d},\n"
			   "           {index: 1, name: e}, {index: 1, name: f},\n"
			   "           {index: 1, name: g}]\n",
		     "f.yaml:9:12: a point has at most 6 arguments");
	assert_fails(WHOLE "    return: {name: x, tpye: u64}\n",
		     "f.yaml:6:23: unknown key \"tpye\" (did you mean \"type\"?)");
	/* A usdt note can have twelve, wherever `args` stands in the point. */
	assert_fails(HEAD "    args: [{index: 13, name: x}]\n    usdt: p:n\n",
		     "f.yaml:5:20: index 13 is out of range: 1 to 12");
	assert_fails(HEAD "    args: [{index: 12, name: x}]\n    usdt: p:n\n    symbol: f\n",
		     "f.yaml:5:20: index 12 is out of range: 1 to 6");
	assert_parses(&points, HEAD "    args: [{index: 12, name: x}]\n    usdt: p:n\n");
	assert_int_equal(points.items[0].args[0].index, 12);
}

static void refuses_too_many(void **state)
{
	MP_TEXT struct mp_text text = {0};
	MP_POINTS struct mp_points points = {0};
	struct mp_error err;

	(void)state;
	mp_text_puts(&text, "version: 1\npoints:\n");
	for (unsigned int i = 0; i < MP_MAX_POINTS; i++)
		mp_text_printf(&text, "- {name: p%u, level: low, symbol: f}\n", i);
	assert_parses(&points, text.data);
	assert_int_equal(points.n, MP_MAX_POINTS);
	assert_int_equal(parse(&points, WHOLE, &err), -EINVAL);
	assert_string_equal(err.text, "f.yaml:3:5: there are at most 4096 points");
	assert_int_equal(mp_points_add_option(&points, "x=low@f", &err), -EINVAL);
	assert_string_equal(err.text, "--point 'x=low@f': there are at most 4096 points");

	mp_text_reset(&text);
	mp_text_puts(&text, HEAD "    symbol:\n");
	for (unsigned int i = 0; i < 1025; i++)
		mp_text_puts(&text, "    - f\n");
	assert_fails(text.data, "f.yaml:1030:7: a point has at most 1024 symbols");
}

static void options_become_points(void **state)
{
	MP_POINTS struct mp_points points = {0};
	const struct mp_point *p;

	(void)state;
	assert_int_equal(mp_points_add_option(&points, "load=critical@libx.so*:ns::f", NULL), 0);
	assert_int_equal(mp_points_add_option(&points, "a b=low@malloc@GLIBC_2.2.5", NULL), 0);
	assert_int_equal(mp_points_add_option(&points, "u=medium@usdt:/usr/lib/x.so:p:n", NULL), 0);
	assert_int_equal(mp_points_add_option(&points, "v=high@usdt:p:n", NULL), 0);
	assert_int_equal(points.n, 4);
	p = &points.items[0];
	assert_string_equal(p->name, "load");
	assert_int_equal(p->level, MP_LEVEL_CRITICAL);
	assert_string_equal(p->symbols[0].binary, "libx.so*");
	assert_string_equal(p->symbols[0].symbol, "ns::f");
	assert_int_equal(p->max_sites, MP_DEFAULT_MAX_SITES);
	assert_false(p->optional);
	assert_string_equal(p->origin, "--point");
	p = &points.items[1];
	assert_string_equal(p->name, "a b");
	assert_null(p->symbols[0].binary);
	assert_string_equal(p->symbols[0].symbol, "malloc@GLIBC_2.2.5");
	p = &points.items[2];
	assert_int_equal(p->n_symbols, 0);
	assert_string_equal(p->usdt[0].binary, "/usr/lib/x.so");
	assert_string_equal(p->usdt[0].provider, "p");
	assert_string_equal(p->usdt[0].name, "n");
	assert_null(points.items[3].usdt[0].binary);
}

static void assert_option_fails(const char *spec, const char *message)
{
	MP_POINTS struct mp_points points = {0};
	struct mp_error err = {0};

	assert_true(mp_points_add_option(&points, spec, &err) < 0);
	assert_string_equal(err.text, message);
	assert_int_equal(err.exit_code, MP_EXIT_USAGE);
	assert_int_equal(points.n, 0);
}

static void refuses_bad_options(void **state)
{
	static const char shape[] = "it is written NAME=LEVEL@[BINARY:]SYMBOL, or "
				    "NAME=LEVEL@usdt:[BINARY:]PROVIDER:NAME";
	char message[256];

	(void)state;
	snprintf(message, sizeof(message), "--point 'f': %s", shape);
	assert_option_fails("f", message);
	snprintf(message, sizeof(message), "--point '': %s", shape);
	assert_option_fails("", message);
	snprintf(message, sizeof(message), "--point 'x=high': %s", shape);
	assert_option_fails("x=high", message);
	snprintf(message, sizeof(message), "--point 'x@high=f': %s", shape);
	assert_option_fails("x@high=f", message);
	assert_option_fails("x=hihg@f", "--point 'x=hihg@f': level \"hihg\" is not one of low, "
					"medium, high, critical (did you mean \"high\"?)");
	assert_option_fails("x=@f", "--point 'x=@f': level \"\" is not one of low, medium, high, "
				    "critical");
	assert_option_fails("=high@f", "--point '=high@f': a point's name is empty");
	assert_option_fails("x=high@", "--point 'x=high@': a symbol is empty");
	assert_option_fails("x=high@usdt:n", "--point 'x=high@usdt:n': a usdt probe is written "
					     "[BINARY:]PROVIDER:NAME");
	assert_option_fails("\033[31m\n\xff=high@f",
			    "--point '\\e[31m\\n\\xff=high@f': a point's name must be printable, "
			    "without a backslash");
}

static void options_and_files_share_names(void **state)
{
	MP_POINTS struct mp_points points = {0};
	struct mp_error err;

	(void)state;
	assert_parses(&points, WHOLE);
	assert_int_equal(mp_points_add_option(&points, "p=low@g", &err), -EEXIST);
	assert_string_equal(err.text, "--point 'p=low@g': a second point \"p\": the first is at "
				      "f.yaml:3:5");
	assert_int_equal(err.exit_code, MP_EXIT_USAGE);
	assert_int_equal(points.n, 1);
	assert_int_equal(mp_points_add_option(&points, "q=low@g", NULL), 0);
	assert_int_equal(
		parse(&points, "{version: 1, points: [{name: q, level: low, symbol: f}]}", &err),
		-EINVAL);
	assert_string_equal(err.text, "f.yaml:1:23: a second point \"q\": the first is at --point");
}

static void shipped_file_holds_the_documented_points(void **state)
{
	static const struct {
		const char *name;
		enum mp_level level;
		const char *symbol;
		const char *python;
	} want[] = {
		{"model_loader.load_model", MP_LEVEL_CRITICAL, "load_model",
		 "src.core.model_loader.load_model"},
		{"compressed_allocator.allocate", MP_LEVEL_HIGH, "allocate",
		 "src.memory.compressed_allocator.allocate"},
		{"shard_policy_manager.load_shard", MP_LEVEL_HIGH, "load_shard",
		 "src.core.shard_policy_manager.load_shard"},
		{"file_handler.read_large_file", MP_LEVEL_MEDIUM, "read_large_file",
		 "src.utils.file_handler.read_large_file"},
		{"srt_parser.parse_file", MP_LEVEL_MEDIUM, "parse_file",
		 "src.core.srt_parser.parse_file"},
		{"resource_tracker.allocate_resource", MP_LEVEL_HIGH, "allocate_resource",
		 "src.memory.resource_tracker.allocate_resource"},
		{"model_loader_adapter.load_model_with_config", MP_LEVEL_CRITICAL,
		 "load_model_with_config", "src.core.model_loader_adapter.load_model_with_config"},
		{"cache_manager.allocate_cache", MP_LEVEL_HIGH, "allocate_cache",
		 "src.memory.cache_manager.allocate_cache"},
	};
	MP_POINTS struct mp_points points = {0};

	(void)state;
	assert_int_equal(mp_points_load(&points, "configs/injection_points.yaml", NULL), 0);
	assert_int_equal(points.n, MP_ARRAY_SIZE(want));
	for (size_t i = 0; i < points.n; i++) {
		const struct mp_point *p = &points.items[i];

		assert_string_equal(p->name, want[i].name);
		assert_int_equal(p->level, want[i].level);
		assert_string_equal(p->python, want[i].python);
		assert_int_equal(p->n_symbols, 1);
		assert_null(p->symbols[0].binary);
		assert_string_equal(p->symbols[0].symbol, want[i].symbol);
		assert_int_equal(p->n_args, 0);
		assert_true(p->optional);
	}
}

static void shipped_preset_names_sizes(void **state)
{
	MP_POINTS struct mp_points points = {0};

	(void)state;
	assert_int_equal(mp_points_load(&points, "configs/presets/allocators.yaml", NULL), 0);
	for (size_t i = 0; i < points.n; i++) {
		const struct mp_point *p = &points.items[i];
		bool has_size = false;

		assert_true(p->optional);
		assert_true(p->level <= MP_LEVEL_MEDIUM);
		for (size_t j = 0; j < p->n_args; j++)
			has_size = has_size || strcmp(p->args[j].name, "size") == 0;
		if (strcmp(p->name, "alloc.free") != 0 && strcmp(p->name, "mmap.sbrk") != 0)
			assert_true(has_size);
	}
	assert_int_equal(mp_points_load(&points, "configs/injection_points.yaml", NULL), 0);
}

static void a_file_that_is_not_there(void **state)
{
	MP_POINTS struct mp_points points = {0};
	struct mp_error err;

	(void)state;
	assert_int_equal(mp_points_load(&points, "configs/no.yaml", &err), -ENOENT);
	assert_string_equal(err.text, "configs/no.yaml: cannot be read: No such file or directory");
	assert_int_equal(err.exit_code, MP_EXIT_CONFIG);
}

static size_t size_arg_of(struct mp_point_arg first, struct mp_point_arg second)
{
	const struct mp_point point = {.args = {first, second}, .n_args = 2};

	return mp_point_size_arg(&point);
}

static struct mp_point_arg named(const char *name, enum mp_arg_type type)
{
	return (struct mp_point_arg){1, (char *)name, type};
}

static void size_argument_is_a_number_of_that_name(void **state)
{
	const struct mp_point_arg other = named("n", MP_ARG_U64);
	const struct mp_point none = {.n_args = 0};

	(void)state;
	assert_int_equal(mp_point_size_arg(&none), MP_NO_SIZE_ARG);
	assert_int_equal(size_arg_of(other, other), MP_NO_SIZE_ARG);
	assert_int_equal(size_arg_of(named("size", MP_ARG_U64), other), 0);
	assert_int_equal(size_arg_of(other, named("bytes", MP_ARG_S64)), 1);
	assert_int_equal(size_arg_of(other, named("n_bytes", MP_ARG_U64)), 1);
	assert_int_equal(size_arg_of(named("n_bytes", MP_ARG_U64), named("size", MP_ARG_U64)), 0);
	/* A name alone is no number. */
	assert_int_equal(size_arg_of(named("size", MP_ARG_PTR), named("bytes", MP_ARG_STR)),
			 MP_NO_SIZE_ARG);
	assert_int_equal(size_arg_of(named("size", MP_ARG_STR), named("size", MP_ARG_U64)), 1);
	assert_int_equal(size_arg_of(named("Size", MP_ARG_U64), named("sizes", MP_ARG_U64)),
			 MP_NO_SIZE_ARG);
}

/* What libmemprobe in a program tells of needs no place to be found at. */
static void marker_is_enough(void **state)
{
	static const char yaml[] = "version: 1\npoints:\n"
				   "  - {name: a, level: high, marker: true, threshold_mb: 3}\n"
				   "  - {name: b, level: low, symbol: f}\n";
	MP_POINTS struct mp_points points = {0};
	struct mp_error err;

	(void)state;
	assert_int_equal(mp_points_parse(&points, "f.yaml", yaml, strlen(yaml), &err), 0);
	assert_int_equal(points.n, 2);
	assert_true(points.items[0].marker);
	assert_int_equal(points.items[0].n_symbols, 0);
	assert_int_equal(points.items[0].threshold_bytes, 3 << 20);
	assert_false(points.items[1].marker);
	assert_fails(HEAD "marker: false}",
		     "f.yaml:3:5: point \"p\" needs a symbol, a usdt probe, a python path or "
		     "\"marker: true\"");
}

static void declared_points_lie_behind(void **state)
{
	static const char yaml[] = "version: 1\npoints:\n  - {name: a, level: high, symbol: f}\n";
	MP_POINTS struct mp_points points = {0};
	const struct mp_point *first;
	struct mp_error err;

	(void)state;
	assert_int_equal(mp_points_parse(&points, "f.yaml", yaml, strlen(yaml), &err), 0);
	assert_string_equal(mp_points_at(&points, 0)->name, "a");
	assert_null(mp_points_at(&points, 1));
	assert_int_equal(mp_points_declare(&points, 3, "d", MP_LEVEL_CRITICAL), 1);
	assert_null(mp_points_at(&points, 1));
	first = mp_points_at(&points, 3);
	assert_string_equal(first->name, "d");
	assert_int_equal(first->level, MP_LEVEL_CRITICAL);
	assert_int_equal(first->n_args, 0);
	/* The first one stays, and where it is. */
	assert_int_equal(mp_points_declare(&points, 3, "other", MP_LEVEL_LOW), 0);
	assert_int_equal(mp_points_declare(&points, MP_SPARE_POINTS, "last", MP_LEVEL_LOW), 1);
	assert_ptr_equal(mp_points_at(&points, 3), first);
	assert_string_equal(first->name, "d");
	assert_string_equal(mp_points_at(&points, MP_SPARE_POINTS)->name, "last");
	assert_int_equal(points.n, 1);
}

static void declared_points_out_of_range(void **state)
{
	static const char yaml[] = "version: 1\npoints:\n  - {name: a, level: high, symbol: f}\n";
	MP_POINTS struct mp_points points = {0};
	struct mp_error err;

	(void)state;
	assert_int_equal(mp_points_parse(&points, "f.yaml", yaml, strlen(yaml), &err), 0);
	assert_int_equal(mp_points_declare(&points, 0, "d", MP_LEVEL_LOW), -ERANGE);
	assert_int_equal(mp_points_declare(&points, MP_SPARE_POINTS + 1, "d", MP_LEVEL_LOW),
			 -ERANGE);
	assert_int_equal(mp_points_declare(&points, SIZE_MAX, "d", MP_LEVEL_LOW), -ERANGE);
	assert_null(points.declared);
	assert_null(mp_points_at(&points, SIZE_MAX));
	assert_int_equal(mp_points_declare(&points, 1, "d", MP_LEVEL_LOW), 1);
	assert_null(mp_points_at(&points, MP_SPARE_POINTS + 1));
	assert_null(mp_points_at(&points, SIZE_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_key),
		cmocka_unit_test(what_is_left_out),
		cmocka_unit_test(files_add_up),
		cmocka_unit_test(binary_ends_at_a_single_colon),
		cmocka_unit_test(refuses_bad_symbols),
		cmocka_unit_test(refuses_bad_usdt),
		cmocka_unit_test(refuses_bad_python),
		cmocka_unit_test(refuses_incomplete_points),
		cmocka_unit_test(refuses_wrong_values),
		cmocka_unit_test(refuses_bad_names),
		cmocka_unit_test(refuses_bad_arguments),
		cmocka_unit_test(refuses_too_many),
		cmocka_unit_test(options_become_points),
		cmocka_unit_test(refuses_bad_options),
		cmocka_unit_test(options_and_files_share_names),
		cmocka_unit_test(shipped_file_holds_the_documented_points),
		cmocka_unit_test(shipped_preset_names_sizes),
		cmocka_unit_test(a_file_that_is_not_there),
		cmocka_unit_test(size_argument_is_a_number_of_that_name),
		cmocka_unit_test(marker_is_enough),
		cmocka_unit_test(declared_points_lie_behind),
		cmocka_unit_test(declared_points_out_of_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
