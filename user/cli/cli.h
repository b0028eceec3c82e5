/* SPDX-License-Identifier: GPL-2.0-only */
/* The command line: a table of commands, and a table of options for each. */
#ifndef MP_CLI_CLI_H
#define MP_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum mp_color {
	MP_COLOR_AUTO = 0,
	MP_COLOR_ALWAYS,
	MP_COLOR_NEVER,
};

/* What every command understands. */
struct mp_cli {
	const char *config_dir;
	int verbose;
	bool quiet;
	enum mp_color color;
	bool help;
	bool version;
	int verb; /* index into the command's verbs */
};

struct mp_option {
	const char *name; /* without the dashes */
	char letter;	  /* 0: none */
	const char *arg;  /* what help calls its value; NULL: takes none */
	const char *help;
	/* Stores the value; an error names the option and has exit code 2. */
	int (*set)(void *command, const char *value, struct mp_error *err);
};

struct mp_command {
	const char *name;
	const char *usage;   /* "attach --target SPEC [OPTION]..." */
	const char *summary; /* one line */
	const char *details; /* paragraphs for --help, or NULL */
	const char *examples;
	const struct mp_option *options;
	size_t n_options;
	const char *const
		*verbs;	 /* what the first word may be, NULL-terminated; NULL: takes none */
	bool takes_rest; /* what stands after the options is a command line or words of its own */
	bool mixes_rest; /* options may stand between and behind those words, too */
	size_t size;	 /* of the command's own state, zeroed before options are set */
	int (*run)(struct mp_cli *cli, void *state, char **rest, struct mp_error *err);
	void (*end)(void *state); /* frees what the options have stored; NULL: nothing */
};

extern const struct mp_command mp_cmd_attach;
extern const struct mp_command mp_cmd_run;
extern const struct mp_command mp_cmd_probes;
extern const struct mp_command mp_cmd_simple;
extern const struct mp_command mp_cmd_stability;
extern const struct mp_command mp_cmd_model;
extern const struct mp_command mp_cmd_quantization;
extern const struct mp_command mp_cmd_gguf;
extern const struct mp_command mp_cmd_status;
extern const struct mp_command mp_cmd_env;
extern const struct mp_command mp_cmd_report;
extern const struct mp_command mp_cmd_doctor;

/* Runs the command that the arguments name. Returns the exit code. */
int mp_cli_main(int argc, char **argv);

/* Whether to color standard output: --color, then NO_COLOR, then whether it is a terminal. */
bool mp_cli_color(const struct mp_cli *cli);

/* Finds a config file by its name: see mp_config_find(). */
int mp_cli_find_config(const struct mp_cli *cli, const char *name, char **ret_path,
		       struct mp_error *err);

#endif
