// SPDX-License-Identifier: GPL-2.0-only
#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "base/names.h"
#include "config/search.h"

#define MAX_OPTIONS 48
#define HELP_WIDTH 79
#define HELP_INDENT 27
#define FIRST_CODE 256 /* getopt values of options, above every letter */

static const struct mp_command *const commands[] = {
	&mp_cmd_attach,	   &mp_cmd_run,	   &mp_cmd_probes,	 &mp_cmd_simple,
	&mp_cmd_stability, &mp_cmd_model,  &mp_cmd_quantization, &mp_cmd_env,
	&mp_cmd_status,	   &mp_cmd_report, &mp_cmd_gguf,	 &mp_cmd_doctor,
};

static int set_config_dir(void *cli, const char *value, struct mp_error *err)
{
	(void)err;
	((struct mp_cli *)cli)->config_dir = value;
	return 0;
}

static int set_verbose(void *cli, const char *value, struct mp_error *err)
{
	(void)value;
	(void)err;
	((struct mp_cli *)cli)->verbose++;
	return 0;
}

static int set_quiet(void *cli, const char *value, struct mp_error *err)
{
	(void)value;
	(void)err;
	((struct mp_cli *)cli)->quiet = true;
	return 0;
}

static int set_color(void *cli, const char *value, struct mp_error *err)
{
	static const char *const names[] = {"auto", "always", "never"};
	int color = mp_name_find(names, MP_ARRAY_SIZE(names), value);

	if (color < 0)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "--color %s: it is one of auto, always, never", value);
	((struct mp_cli *)cli)->color = (enum mp_color)color;
	return 0;
}

static int set_help(void *cli, const char *value, struct mp_error *err)
{
	(void)value;
	(void)err;
	((struct mp_cli *)cli)->help = true;
	return 0;
}

static int set_version(void *cli, const char *value, struct mp_error *err)
{
	(void)value;
	(void)err;
	((struct mp_cli *)cli)->version = true;
	return 0;
}

static const struct mp_option global_options[] = {
	{"config-dir", 0, "DIR", "look for config files in DIR alone", set_config_dir},
	{"color", 0, "WHEN", "auto, always or never (default auto; NO_COLOR is heeded)", set_color},
	{"verbose", 'v', NULL, "show more", set_verbose},
	{"quiet", 'q', NULL, "show the summary only", set_quiet},
	{"version", 0, NULL, "print the version and leave", set_version},
	{"help", 'h', NULL, "print this help and leave", set_help},
};

static int say(struct mp_error *err, int error)
{
	/* Running out of memory is not put into words where it happens. */
	if (!err->text[0])
		mp_fail(err, err->exit_code, -error, "%s", strerror(-error));
	fprintf(stderr, "memprobe-bpf: error: %s\n", err->text);
	return (int)err->exit_code;
}

/* Prints a text from a column on, in lines of at most HELP_WIDTH columns. */
static void print_wrapped(const char *text, int indent)
{
	size_t room = (size_t)(HELP_WIDTH - indent);

	while (strlen(text) > room) {
		size_t len = room;

		while (len && text[len] != ' ')
			len--;
		printf("%.*s\n%*s", (int)len, text, indent, "");
		text += len + 1;
	}
	printf("%s\n", text);
}

static void print_option(const struct mp_option *o)
{
	char left[48];

	snprintf(left, sizeof(left), "%s%c%s--%s%s%s", o->letter ? "-" : "",
		 o->letter ? o->letter : ' ', o->letter ? ", " : "   ", o->name, o->arg ? " " : "",
		 o->arg ? o->arg : "");
	/* What fills its column has what it means on the next line. */
	if (strlen(left) < HELP_INDENT - 2)
		printf("  %-*s", HELP_INDENT - 2, left);
	else
		printf("  %s\n%*s", left, HELP_INDENT, "");
	print_wrapped(o->help, HELP_INDENT);
}

static void print_options(const struct mp_option *options, size_t n)
{
	for (size_t i = 0; i < n; i++)
		print_option(&options[i]);
}

static void print_command_help(const struct mp_command *c)
{
	printf("Usage: memprobe-bpf %s\n\n%s\n", c->usage, c->summary);
	if (c->details)
		printf("\n%s", c->details);
	printf("\nOptions:\n");
	print_options(c->options, c->n_options);
	print_options(global_options, MP_ARRAY_SIZE(global_options));
	printf("\nExamples:\n%s", c->examples);
}

static void print_help(void)
{
	printf("Usage: memprobe-bpf COMMAND [OPTION]...\n\n"
	       "Shows what every call of a program's injection points does to its memory.\n\n"
	       "Commands:\n");
	for (size_t i = 0; i < MP_ARRAY_SIZE(commands); i++)
		printf("  %-12s  %s\n", commands[i]->name, commands[i]->summary);
	printf("\nOptions:\n");
	print_options(global_options, MP_ARRAY_SIZE(global_options));
	printf("\nmemprobe-bpf COMMAND --help tells more, with examples.\n");
}

/* The tables as getopt_long(3) wants them. */
struct getopt_table {
	struct option longs[MAX_OPTIONS + 1];
	char shorts[2 * MAX_OPTIONS + 3];
	const struct mp_option *options[MAX_OPTIONS];
	size_t n;
};

static void add_options(struct getopt_table *t, const struct mp_option *options, size_t n)
{
	size_t len = strlen(t->shorts);

	for (size_t i = 0; i < n && t->n < MAX_OPTIONS; i++) {
		t->longs[t->n] = (struct option){
			.name = options[i].name,
			.has_arg = options[i].arg ? required_argument : no_argument,
			.val = FIRST_CODE + (int)t->n,
		};
		t->options[t->n++] = &options[i];
		if (options[i].letter) {
			t->shorts[len++] = options[i].letter;
			if (options[i].arg)
				t->shorts[len++] = ':';
		}
	}
	t->shorts[len] = '\0';
}

static const struct mp_option *find_option(const struct getopt_table *t, int code)
{
	if (code >= FIRST_CODE && code < FIRST_CODE + (int)t->n)
		return t->options[code - FIRST_CODE];
	for (size_t i = 0; i < t->n; i++) {
		if (t->options[i]->letter == code)
			return t->options[i];
	}
	return NULL;
}

static int fail_unknown_option(const struct getopt_table *t, const char *given, const char *command,
			       struct mp_error *err)
{
	const char *names[MAX_OPTIONS];
	const char *near;

	for (size_t i = 0; i < t->n; i++)
		names[i] = t->options[i]->name;
	near = mp_name_suggest(names, t->n, given + strspn(given, "-"));
	return mp_fail(err, MP_EXIT_USAGE, EINVAL,
		       "unknown option %s%s%s%s: see memprobe-bpf %s--help", given,
		       near ? " (did you mean --" : "", near ? near : "", near ? "?)" : "",
		       command);
}

/* getopt(3) leaves the letter or the value of the option in optopt, or 0 for an unknown long one.
 */
static int fail_option(const struct getopt_table *t, const char *word, int code,
		       const char *command, struct mp_error *err)
{
	const struct mp_option *known = optopt ? find_option(t, optopt) : NULL;
	char given[256];

	if (optopt == 0)
		snprintf(given, sizeof(given), "%.*s", (int)strcspn(word, "="), word);
	else if (known && optopt >= FIRST_CODE)
		snprintf(given, sizeof(given), "--%s", known->name);
	else
		snprintf(given, sizeof(given), "-%c", optopt);
	if (!known)
		return fail_unknown_option(t, given, command, err);
	return mp_fail(err, MP_EXIT_USAGE, EINVAL, "%s %s: see memprobe-bpf %s--help", given,
		       code == ':' ? "needs a value" : "takes no value", command);
}

static bool is_global(const struct mp_option *option)
{
	return option >= global_options && option < global_options + MP_ARRAY_SIZE(global_options);
}

/* Sets the options in argv; returns the index of what follows them. */
static int parse_options(struct mp_cli *cli, const struct mp_command *c, void *state, int argc,
			 char **argv, struct mp_error *err)
{
	struct getopt_table t = {.shorts = ":"};
	char command[32] = "";
	int code;

	if (!c || !c->mixes_rest)
		strcpy(t.shorts, "+:");
	add_options(&t, global_options, MP_ARRAY_SIZE(global_options));
	if (c) {
		add_options(&t, c->options, c->n_options);
		snprintf(command, sizeof(command), "%s ", c->name);
	}
	optind = 0;
	opterr = 0;
	while ((code = getopt_long(argc, argv, t.shorts, t.longs, NULL)) != -1) {
		const struct mp_option *option = find_option(&t, code);
		int error;

		if (!option)
			return fail_option(&t, argv[optind - 1], code, command, err);
		error = option->set(is_global(option) ? (void *)cli : state, optarg, err);
		if (error)
			return error;
	}
	return optind;
}

/* "list" of `probes list --target 1`: argv[1] becomes the command's own name for what follows. */
static int parse_verb(struct mp_cli *cli, const struct mp_command *c, const char *word,
		      struct mp_error *err)
{
	const char *near;
	size_t n = 0;

	while (c->verbs[n])
		n++;
	cli->verb = word ? mp_name_find(c->verbs, n, word) : -ENOENT;
	if (cli->verb >= 0)
		return 0;
	near = word ? mp_name_suggest(c->verbs, n, word) : NULL;
	return mp_fail(err, MP_EXIT_USAGE, EINVAL, "%s%s%s%s%s: see memprobe-bpf %s --help",
		       word ? "unknown word " : "a word is missing behind ", word ? word : c->name,
		       near ? " (did you mean " : "", near ? near : "", near ? "?)" : "", c->name);
}

static bool wants_help(char **argv)
{
	return argv[1] && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
}

/* Returns the exit code or a negative errno. */
static int parse_and_run(struct mp_cli *cli, const struct mp_command *c, void *state, int argc,
			 char **argv, struct mp_error *err)
{
	int rest;

	if (c->verbs && !wants_help(argv)) {
		int error = parse_verb(cli, c, argv[1], err);

		if (error)
			return error;
		argc--;
		argv++;
	}
	rest = parse_options(cli, c, state, argc, argv, err);
	if (rest < 0)
		return rest;
	if (cli->help) {
		print_command_help(c);
		return MP_EXIT_OK;
	}
	if (argv[rest] && !c->takes_rest)
		return mp_fail(err, MP_EXIT_USAGE, EINVAL,
			       "unexpected argument %s: see memprobe-bpf %s --help", argv[rest],
			       c->name);
	return c->run(cli, state, argv + rest, err);
}

static int run_command(struct mp_cli *cli, const struct mp_command *c, int argc, char **argv)
{
	MP_FREE void *state = calloc(1, c->size ? c->size : 1);
	struct mp_error err = {.exit_code = MP_EXIT_UNSUPPORTED};
	int result;

	if (!state)
		return MP_EXIT_OOM;
	result = parse_and_run(cli, c, state, argc, argv, &err);
	if (c->end)
		c->end(state);
	return result < 0 ? say(&err, result) : result;
}

static int unknown_command(const char *name)
{
	const char *names[MP_ARRAY_SIZE(commands)];
	struct mp_error err;
	const char *near;
	int error;

	for (size_t i = 0; i < MP_ARRAY_SIZE(commands); i++)
		names[i] = commands[i]->name;
	near = mp_name_suggest(names, MP_ARRAY_SIZE(names), name);
	error = mp_fail(&err, MP_EXIT_USAGE, EINVAL,
			"unknown command %s%s%s%s: see memprobe-bpf --help", name,
			near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
	return say(&err, error);
}

int mp_cli_main(int argc, char **argv)
{
	struct mp_error err = {.exit_code = MP_EXIT_USAGE};
	struct mp_cli cli = {0};
	int at = parse_options(&cli, NULL, NULL, argc, argv, &err);

	if (at < 0)
		return say(&err, at);
	if (cli.version) {
		printf("memprobe-bpf %s\n", MP_VERSION);
		return MP_EXIT_OK;
	}
	if (cli.help || !argv[at]) {
		print_help();
		return cli.help ? MP_EXIT_OK : MP_EXIT_USAGE;
	}
	for (size_t i = 0; i < MP_ARRAY_SIZE(commands); i++) {
		if (strcmp(commands[i]->name, argv[at]) == 0)
			return run_command(&cli, commands[i], argc - at, argv + at);
	}
	return unknown_command(argv[at]);
}

bool mp_cli_color(const struct mp_cli *cli)
{
	const char *no_color = getenv("NO_COLOR");

	if (cli->color != MP_COLOR_AUTO)
		return cli->color == MP_COLOR_ALWAYS;
	return !(no_color && *no_color) && isatty(STDOUT_FILENO);
}

int mp_cli_find_config(const struct mp_cli *cli, const char *name, char **ret_path,
		       struct mp_error *err)
{
	int error = mp_config_find(cli->config_dir, name, ret_path);

	if (error == -ENOENT && cli->config_dir)
		return mp_fail(err, MP_EXIT_CONFIG, ENOENT, "there is no %s in %s", name,
			       cli->config_dir);
	if (error == -ENOENT)
		return mp_fail(err, MP_EXIT_CONFIG, ENOENT,
			       "there is no %s: it is looked for in $MEMPROBE_CONFIG_DIR, "
			       "/etc/memprobe, %s and ./configs; name a file, or give --config-dir",
			       name, MP_SHARE_DIR);
	return error;
}
