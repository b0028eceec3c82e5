// SPDX-License-Identifier: GPL-2.0-only
/* Models as commands of a rehearsal: their words, and what their end means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "model/rehearsal.h"

#define EXITED(code) ((code) << 8)
#define MB (1ULL << 20)

/* --- words ----------------------------------------------------------------------------- */

/* The words with a | behind each; NULL: refused, with exit code 2 and the text in `refused`. */
static struct mp_error refused;
static char joined[1024];

static const char *words(const char *line, const char *path)
{
	char **all = NULL;
	int error = mp_rehearsal_words(line, path, &all, &refused);

	if (error) {
		assert_int_equal(error, -EINVAL);
		assert_int_equal(refused.exit_code, MP_EXIT_USAGE);
		assert_null(all);
		return NULL;
	}
	joined[0] = '\0';
	for (size_t i = 0; all[i]; i++) {
		strcat(joined, all[i]);
		strcat(joined, "|");
	}
	mp_rehearsal_words_free(all);
	return joined;
}

static void test_words(void **state)
{
	(void)state;
	assert_string_equal(words("run {model}", "/m.gguf"), "run|/m.gguf|");
	assert_string_equal(words("  run\t-m={model}  -n 8 ", "/m.gguf"), "run|-m=/m.gguf|-n|8|");
	assert_string_equal(words("cmp {model} {model}", "m"), "cmp|m|m|");
	assert_string_equal(words("run 'a b' \"c d\" e\\ f {model}", "m"), "run|a b|c d|e f|m|");
	assert_string_equal(words("run '' {model}", "m"), "run||m|");
	assert_string_equal(words("sh -c 'cat {model} | wc -c'", "m"), "sh|-c|cat m | wc -c|");
}

/* A path is one word, and nothing in it means anything. */
static void test_words_of_hostile_path(void **state)
{
	(void)state;
	assert_string_equal(words("run {model}", "/a b/$(id) 'x*\".gguf"),
			    "run|/a b/$(id) 'x*\".gguf|");
	assert_string_equal(words("run \"{model}\"", "a  b"), "run|a  b|");
	assert_string_equal(words("run {model}", "{model}"), "run|{model}|");
	assert_string_equal(words("run {model}", "\1"), "run|\1|");
}

static void test_words_of_variables(void **state)
{
	(void)state;
	setenv("MP_TEST_WORD", "one two", 1);
	assert_string_equal(words("$MP_TEST_WORD \"$MP_TEST_WORD\" {model}", "m"),
			    "one|two|one two|m|");
	unsetenv("MP_TEST_WORD");
	assert_null(words("$MP_TEST_WORD {model}", "m"));
	assert_non_null(strstr(refused.text, "a variable is not set"));
}

static void test_words_refused(void **state)
{
	(void)state;
	assert_null(words("run model.gguf", "m"));
	assert_non_null(strstr(refused.text, "{model}"));
	assert_null(words("", "m"));
	assert_null(words("cat {model} | wc", "m"));
	assert_non_null(strstr(refused.text, "sh -c"));
	assert_null(words("cat {model}; id", "m"));
	assert_null(words("cat {model} >out", "m"));
	assert_null(words("run $(id) {model}", "m"));
	assert_non_null(strstr(refused.text, "command substitution"));
	assert_null(words("run `id` {model}", "m"));
	assert_null(words("run '{model}", "m"));
	assert_non_null(strstr(refused.text, "quote"));
}

/* --- outcomes --------------------------------------------------------------------------- */

static void test_judge_what_passes_read_again(void **state)
{
	struct mp_rehearsal_end end = {.tells = true, .has_ended = true, .passed = 1000 * MB};

	(void)state;
	assert_int_equal(mp_rehearsal_judge(&end), MP_OUTCOME_OK);
	end.reread = 100 * MB;
	assert_int_equal(mp_rehearsal_judge(&end), MP_OUTCOME_OK);
	end.reread = 100 * MB + 1;
	assert_int_equal(mp_rehearsal_judge(&end), MP_OUTCOME_THRASH);
	end.reread = MP_UNKNOWN;
	assert_int_equal(mp_rehearsal_judge(&end), MP_OUTCOME_OK);
	/* Not one pass was begun. */
	end.passed = end.reread = 0;
	assert_int_equal(mp_rehearsal_judge(&end), MP_OUTCOME_OK);
}

static void test_judge_pressure(void **state)
{
	struct mp_rehearsal_end end = {.tells = true, .passed = MB};

	(void)state;
	end.pressure = MP_OUTCOME_LIMIT_NOT_REACHED;
	assert_int_equal(mp_rehearsal_judge(&end), MP_OUTCOME_LIMIT_NOT_REACHED);
	end.reread = MB;
	assert_int_equal(mp_rehearsal_judge(&end), MP_OUTCOME_THRASH);
	end.pressure = MP_OUTCOME_OOM_KILLED;
	assert_int_equal(mp_rehearsal_judge(&end), MP_OUTCOME_OOM_KILLED);
	end.pressure = MP_OUTCOME_INTERRUPTED;
	assert_int_equal(mp_rehearsal_judge(&end), MP_OUTCOME_INTERRUPTED);
}

static void test_judge_status(void **state)
{
	struct mp_rehearsal_end end = {.tells = true, .has_ended = true, .passed = MB};

	(void)state;
	end.status = EXITED(MP_EXIT_OOM);
	assert_int_equal(mp_rehearsal_judge(&end), MP_OUTCOME_OOM_KILLED);
	/* 7 means something else to somebody else's program. */
	end.tells = false;
	assert_int_equal(mp_rehearsal_judge(&end), MP_OUTCOME_INTERRUPTED);
	end.status = EXITED(1);
	assert_int_equal(mp_rehearsal_judge(&end), MP_OUTCOME_INTERRUPTED);
	end.status = SIGKILL;
	assert_int_equal(mp_rehearsal_judge(&end), MP_OUTCOME_INTERRUPTED);
	/* It was ended when the pattern was over. */
	end.has_ended = false;
	assert_int_equal(mp_rehearsal_judge(&end), MP_OUTCOME_OK);
}

/* --- a command's calls -------------------------------------------------------------------- */

static struct mp_report_mark call(const char *name, uint64_t t_ns, uint64_t duration_ns)
{
	return (struct mp_report_mark){
		.kind = MP_MARK_CALL,
		.name = (char *)name,
		.t_ns = t_ns,
		.duration_ns = duration_ns,
	};
}

static void test_calls(void **state)
{
	struct mp_report_mark marks[] = {
		call("llama_cpp.decode", 5, 900), /* of a run before this one */
		call("llama_cpp.load_model", 10, 70),
		call("llama_cpp.load_model", 11, 71), /* a second one is not the first load */
		call("other", 12, 1),
		call("llama_cpp.decode", 20, 30),
		call("llama_cpp.decode", 30, MP_UNKNOWN), /* it never returned */
		call("llama_cpp.decode", 40, 10),
		call("llama_cpp.decode", 50, 20),
	};
	const struct mp_memory_report r = {.marks = marks, .n_marks = MP_ARRAY_SIZE(marks)};
	struct mp_model_run run = {.load_cold_ns = MP_UNKNOWN};

	(void)state;
	assert_int_equal(mp_rehearsal_take_calls(&r, 6, &run), 0);
	assert_int_equal(run.load_cold_ns, 70);
	assert_int_equal(run.n_passes, 3);
	assert_int_equal(run.passes[0].t_ns, 20);
	assert_int_equal(run.passes[2].duration_ns, 20);
	assert_int_equal(run.passes_done, 3);
	assert_int_equal(run.pass_p50_ns, 20);
	assert_int_equal(run.pass_max_ns, 30);
	free(run.passes);
}

/* Records are limited in number; the summary's figures are not. */
static void test_calls_of_summary(void **state)
{
	struct mp_report_mark marks[] = {call("llama_cpp.decode", 20, 30)};
	struct mp_report_point points[] = {
		{.name = "llama_cpp.load_model", .returns = 1},
		{.name = "llama_cpp.decode",
		 .hits = 101,
		 .returns = 100,
		 .duration_p50_ns = 40,
		 .duration_max_ns = 90},
	};
	const struct mp_memory_report r = {
		.marks = marks, .n_marks = 1, .points = points, .n_points = 2};
	struct mp_model_run run = {.load_cold_ns = MP_UNKNOWN};

	(void)state;
	assert_int_equal(mp_rehearsal_take_calls(&r, 0, &run), 0);
	assert_int_equal(run.load_cold_ns, MP_UNKNOWN);
	assert_int_equal(run.n_passes, 1);
	assert_int_equal(run.passes_done, 100);
	assert_int_equal(run.pass_p50_ns, 40);
	assert_int_equal(run.pass_max_ns, 90);
	free(run.passes);
}

/* --- sentences ------------------------------------------------------------------------------ */

static const char *sentence(struct mp_rehearsal *r, const struct mp_model_run *run)
{
	mp_rehearsal_sentence(r, run, joined, sizeof(joined));
	return joined;
}

static void test_sentences(void **state)
{
	struct mp_rehearsal r = {
		.passed = 1000 * MB, .reread = 870 * MB, .victim = MP_VICTIM_COMMAND};
	struct mp_model_run run = {
		.peak_rss = 512 * MB,
		.limit = 1024 * MB,
		.predicted_anon = 2048 * MB,
		.passes_done = 10,
		.pass_p50_ns = 5000000,
		.reread_bytes = 870 * MB,
		.end_ns = 3000000000,
		.start_ns = 1000000000,
	};

	(void)state;
	assert_string_equal(sentence(&r, &run), "It fits: peak RSS 512 MiB under 1.00 GiB, 10 "
						"passes over its weights, 5.00 ms each");
	run.outcome = MP_OUTCOME_THRASH;
	assert_string_equal(sentence(&r, &run),
			    "It thrashes: under 1.00 GiB, 87 % of the weights are read from the "
			    "disk again in each pass, which takes 5.00 ms");
	run.outcome = MP_OUTCOME_OOM_KILLED;
	assert_string_equal(sentence(&r, &run),
			    "It does not fit: the kernel ended the loader after 2.00 s; 2.00 GiB "
			    "of anonymous memory are needed, and the limit is 1.00 GiB");
	run.outcome = MP_OUTCOME_OK;
	run.passes_done = 0;
	assert_string_equal(sentence(&r, &run), "It fits: peak RSS 512 MiB under 1.00 GiB");
	strcpy(r.why, "the loader failed with exit code 3");
	assert_string_equal(sentence(&r, &run),
			    "Not at its end: the loader failed with exit code 3");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_words_of_hostile_path),
		cmocka_unit_test(test_words_of_variables),
		cmocka_unit_test(test_words_refused),
		cmocka_unit_test(test_judge_what_passes_read_again),
		cmocka_unit_test(test_judge_pressure),
		cmocka_unit_test(test_judge_status),
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_calls_of_summary),
		cmocka_unit_test(test_sentences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
