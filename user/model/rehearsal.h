/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A model that is really loaded, as the command of a rehearsal: what is run for it, and what came
 * of it. Between mp_rehearsal_prepare() and mp_rehearsal_finish() the caller runs the harness, with
 * whatever pattern.
 */
#ifndef MP_MODEL_REHEARSAL_H
#define MP_MODEL_REHEARSAL_H

#include "harness/harness.h"
#include "model/load.h"
#include "model/model_file.h"

#define MP_REHEARSAL_MODEL "{model}" /* in a command line: the file's path */
/* Of what a pass reads: more than that from the disk, again and again, is thrashing. */
#define MP_REHEARSAL_THRASH_PCT MP_LOAD_QUIET_PCT

struct mp_rehearsal_options {
	struct mp_model_file *file;  /* its header is closed by mp_rehearsal_prepare() */
	struct mp_load_options load; /* its path is the file's */
	const char *exec;	     /* MP_LOADER_EXEC: a command line with {model} in it */
	const char *exec_points;     /* injection points of that command: a file's path */
	const char *points;	     /* … of the other loaders; or NULL */
	uint64_t limit;		     /* bytes: of the group */
	bool is_alone;		     /* nothing else fills the group */
};

struct mp_rehearsal {
	const struct mp_rehearsal_options *o;
	char **words; /* of the command, NULL-terminated; owned, as they are */
	struct mp_load_page *page;
	int page_fd;
	uint64_t cached_before; /* of the file, when an exec was to begin cold */
	const char *monitor_args[3];
	uint64_t file_bytes, tensor_bytes;
	enum mp_outcome predicted;
	uint64_t predicted_anon, predicted_file;
	uint32_t most_context; /* tokens, with which it would not run out of memory */
	bool is_context_too_long;
	enum mp_harness_victim victim;
	/* Of what passes read, from the disk: once they had settled, see mp_load_first_settled().
	 */
	uint64_t passed, reread;
	char why[256]; /* a loader that did not do what it was to do; or "" */
};

/*
 * The words of a command line as a shell would make them: quotes, backslashes, variables and globs,
 * but no command substitution, and no operators (there is `sh -c '…'` for these). `{model}` is
 * `path` in whatever word, which stays one word. NULL-terminated; free with
 * mp_rehearsal_words_free(). Exit code 2: without {model}, or not a command line.
 */
int mp_rehearsal_words(const char *line, const char *path, char ***ret, struct mp_error *err);
void mp_rehearsal_words_free(char **words);

/*
 * Sets what `harness` needs of the command and its points; the rest of it is the caller's. Predicts
 * the outcome.
 */
int mp_rehearsal_prepare(const struct mp_rehearsal_options *options, struct mp_rehearsal *ret,
			 struct mp_harness_options *harness, struct mp_error *err);
/* What came of it. `ret->passes` is the caller's to free. -ENOMEM. */
int mp_rehearsal_finish(struct mp_rehearsal *r, const struct mp_harness_result *result,
			struct mp_model_run *ret);
void mp_rehearsal_free(struct mp_rehearsal *r); /* zeroed is fine */

/* What is known when it is over. */
struct mp_rehearsal_end {
	enum mp_outcome pressure; /* of the harness */
	bool tells;		  /* the loader tells why it ended: one of ours */
	bool has_ended;		  /* by itself */
	int status;		  /* of wait(2), if it has */
	uint64_t passed;	  /* bytes of weights that passes have read … */
	uint64_t reread;	  /* … of which so many came from the disk; MP_UNKNOWN */
};
/* Pure. `interrupted` is also a loader that failed, or that somebody ended. */
enum mp_outcome mp_rehearsal_judge(const struct mp_rehearsal_end *end);

/*
 * The load and the passes of a command, by what the monitor told from `since_ns` on of the points
 * of llama.cpp. -ENOMEM.
 */
int mp_rehearsal_take_calls(const struct mp_memory_report *r, uint64_t since_ns,
			    struct mp_model_run *run);

/* One sentence about a run. */
void mp_rehearsal_sentence(const struct mp_rehearsal *r, const struct mp_model_run *run, char *out,
			   size_t size);

#endif
