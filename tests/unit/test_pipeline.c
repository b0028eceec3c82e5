// SPDX-License-Identifier: GPL-2.0-only
/* Events through state, policy, actions and output; recorded and fed in again. */
#include "monitor/pipeline.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/fsroot.h"
#include "base/text.h"
#include "monitor/monitor.h"

#define WALL_NS 1763768122000000000ULL
#define SEC_NS 1000000000ULL

/* --- fixtures ------------------------------------------------------------------ */

struct dir {
	char path[64];
	struct mp_policy policy;
	int saved; /* standard output */
};

static const char policy_text[] =
	"version: 1\n"
	"cooldown_ms: 1000\n"
	"levels:\n"
	"  high: {on: {warning: [log], gc: [log], critical: [log, stack]}}\n";

static int make_dir(void **state)
{
	struct dir *dir = calloc(1, sizeof(*dir));
	const struct mp_action_kind *kinds;
	size_t n;

	dir->saved = -1;
	strcpy(dir->path, "/tmp/mp_test_pipeline.XXXXXX");
	if (!mkdtemp(dir->path))
		return -1;
	*state = dir;
	kinds = mp_action_kinds(&n);
	return mp_policy_parse(&dir->policy, "policy.yaml", policy_text, strlen(policy_text), kinds,
			       n, NULL);
}

static void capture(struct dir *dir)
{
	char path[PATH_MAX];
	MP_CLOSE int fd = -1;

	snprintf(path, sizeof(path), "%s/stdout", dir->path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	fflush(stdout);
	dir->saved = dup(STDOUT_FILENO);
	assert_true(dup2(fd, STDOUT_FILENO) >= 0);
}

static void release(struct dir *dir)
{
	if (dir->saved < 0)
		return;
	dup2(dir->saved, STDOUT_FILENO);
	close(dir->saved);
	dir->saved = -1;
}

static int remove_dir(void **state)
{
	struct dir *dir = *state;
	char command[128];
	int failed;

	release(dir);
	snprintf(command, sizeof(command), "rm -rf %s", dir->path);
	failed = system(command);
	mp_policy_free(&dir->policy);
	free(dir);
	return failed;
}

static char *slurp(const struct dir *dir, const char *name)
{
	char path[PATH_MAX];
	char *data = NULL;
	size_t len;

	snprintf(path, sizeof(path), "%s/%s", dir->path, name);
	assert_int_equal(mp_read_file(path, 1 << 20, &data, &len), 0);
	return data;
}

static void write_file(const struct dir *dir, const char *name, const char *text, size_t len)
{
	char path[PATH_MAX];
	MP_FCLOSE FILE *f = NULL;

	snprintf(path, sizeof(path), "%s/%s", dir->path, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
}

/* The lines of one type, in their order. */
static char *lines_of(const char *stream, const char *type)
{
	MP_TEXT struct mp_text out = {0};
	char needle[64];

	snprintf(needle, sizeof(needle), "{\"v\":1,\"type\":\"%s\",", type);
	for (const char *line = stream; *line;) {
		const char *end = strchrnul(line, '\n');

		if (strncmp(line, needle, strlen(needle)) == 0)
			mp_text_add(&out, line, (size_t)(end - line) + (*end == '\n'));
		line = end + (*end == '\n');
	}
	mp_text_puts(&out, "");
	return out.data ? MP_TAKE(out.data) : strdup("");
}

static size_t count_lines(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

/* --- a run -------------------------------------------------------------------------- */

static int feed_probe(struct mp_pipeline *p, uint64_t at_s, uint32_t pid, const char *cgroup,
		      double pct)
{
	struct mp_event event = {
		.type = MP_EVENT_PROBE,
		.ts_ns = at_s * SEC_NS,
		.realtime_ns = WALL_NS + at_s * SEC_NS,
		.probe = {.point = "load",
			  .level = MP_LEVEL_HIGH,
			  .phase = MP_PHASE_ENTER,
			  .pid = pid,
			  .tid = pid,
			  .comm = "ser\nver\xff",
			  .cgroup = cgroup,
			  .limit_cgroup = cgroup,
			  .size = MP_UNKNOWN,
			  .usage = 123,
			  .working_set = (uint64_t)(pct * 100),
			  .limit = 10000,
			  .usage_pct = pct},
	};

	return mp_pipeline_feed(p, &event);
}

static void feed_exit(struct mp_pipeline *p, uint64_t at_s, uint32_t pid)
{
	struct mp_event event = {
		.type = MP_EVENT_PROCESS,
		.ts_ns = at_s * SEC_NS,
		.realtime_ns = WALL_NS + at_s * SEC_NS,
		.process = {.op = MP_PROCESS_EXIT, .pid = pid, .comm = "server"},
	};

	mp_pipeline_feed(p, &event);
}

static void feed_story(struct mp_pipeline *p)
{
	static const char hostile[] = "/b\x1b[31m\n\xfe";

	assert_int_equal(feed_probe(p, 1, 100, "/a", 50), 0);
	assert_int_equal(feed_probe(p, 2, 100, "/a", 76), 1); /* warning */
	feed_probe(p, 3, 200, hostile, 95);		      /* critical, elsewhere */
	feed_probe(p, 4, 100, "/a", 86);		      /* gc */
	feed_probe(p, 5, 100, "/a", 83.5);		      /* within the hysteresis: still gc */
	feed_probe(p, 6, 100, "/a", 91);		      /* critical */
	feed_probe(p, 7, 200, hostile, 20);		      /* normal again */
	feed_probe(p, 8, 100, "/a", -1);		      /* unknown: as it was */
	feed_exit(p, 9, 100);
	feed_probe(p, 10, 100, "/a", 60);
}

static void start(struct dir *dir, struct mp_pipeline *p, struct mp_output **output,
		  enum mp_format format, const char *record)
{
	char path[PATH_MAX];
	struct mp_output_options o = {.format = format, .record_path = record ? path : NULL};
	struct mp_pipeline_options pipeline = {.actions.policy = &dir->policy};

	snprintf(path, sizeof(path), "%s/%s", dir->path, record ? record : "");
	capture(dir);
	assert_int_equal(mp_output_new(&o, output, NULL), 0);
	pipeline.output = *output;
	assert_int_equal(mp_pipeline_init(p, &pipeline), 0);
}

static void end(struct dir *dir, struct mp_pipeline *p, struct mp_output *output)
{
	mp_pipeline_end(p);
	assert_int_equal(mp_output_dropped(output), 0);
	assert_int_equal(mp_output_record_dropped(output), 0);
	assert_int_equal(mp_output_free(output, NULL), 0);
	release(dir);
}

static void record_story(struct dir *dir)
{
	struct mp_pipeline p;
	struct mp_output *output;

	start(dir, &p, &output, MP_FORMAT_JSON, "run.ndjson");
	feed_story(&p);
	end(dir, &p, output);
}

static int replay(struct dir *dir, const char *name, const char *record, struct mp_error *err)
{
	char path[PATH_MAX];
	char record_path[PATH_MAX];
	struct mp_output_options o = {.format = MP_FORMAT_JSON,
				      .record_path = record ? record_path : NULL};
	int error;

	snprintf(path, sizeof(path), "%s/%s", dir->path, name);
	snprintf(record_path, sizeof(record_path), "%s/%s", dir->path, record ? record : "");
	capture(dir);
	error = mp_monitor_replay(path, &dir->policy, &o, err);
	release(dir);
	return error;
}

/* --- tests -------------------------------------------------------------------------- */

static void test_decisions(void **state)
{
	struct dir *dir = *state;
	MP_FREE char *out = NULL;
	MP_FREE char *decisions = NULL;
	MP_FREE char *actions = NULL;
	const char *line;

	record_story(dir);
	out = slurp(dir, "stdout");
	decisions = lines_of(out, "decision");
	actions = lines_of(out, "action");
	line = strstr(decisions, "\"severity\":\"warning\",\"previous\":\"normal\"");
	assert_non_null(line);
	assert_non_null(strstr(decisions, "\"severity\":\"critical\",\"previous\":\"normal\""));
	assert_non_null(strstr(line, "\"severity\":\"gc\",\"previous\":\"warning\""));
	line = strstr(line, "\"severity\":\"critical\",\"previous\":\"gc\"");
	assert_non_null(line);
	assert_non_null(strstr(line, "\"severity\":\"normal\",\"previous\":\"critical\""));
	/* A decision carries the time of what led to it. */
	assert_true(strncmp(decisions, "{\"v\":1,\"type\":\"decision\",\"ts_ns\":2000000000,",
			    44) == 0);
	/* At critical a stack is asked for, too; there is no such process. */
	assert_non_null(strstr(actions, "\"action\":\"log\",\"result\":\"done\""));
	assert_non_null(strstr(actions, "\"action\":\"stack\""));
	/* Foreign bytes in names are escaped: each line is whole. */
	assert_null(strchr(out, '\x1b'));
	assert_non_null(strstr(out, "\"comm\":\"ser\\\\nver\\\\xff\""));
}

static void test_recording_is_the_output(void **state)
{
	struct dir *dir = *state;
	MP_FREE char *out = NULL;
	MP_FREE char *recorded = NULL;

	record_story(dir);
	out = slurp(dir, "stdout");
	recorded = slurp(dir, "run.ndjson");
	assert_true(count_lines(out) > 10);
	assert_string_equal(out, recorded);
}

/* How long a decision took is known of the real one alone. */
static void drop_latencies(char *stream)
{
	static const char key[] = ",\"latency_ns\":";
	char *at;

	while ((at = strstr(stream, key))) {
		const char *rest = at + strlen(key);

		rest += strspn(rest, "0123456789");
		memmove(at, rest, strlen(rest) + 1);
	}
}

static void test_replay_decides_the_same(void **state)
{
	struct dir *dir = *state;
	struct mp_error err = {.text = ""};
	static const char *const types[] = {"probe", "process", "decision"};
	MP_FREE char *live = NULL;
	MP_FREE char *again = NULL;
	MP_FREE char *actions = NULL;

	record_story(dir);
	live = slurp(dir, "run.ndjson");
	drop_latencies(live);
	assert_int_equal(replay(dir, "run.ndjson", "second.ndjson", &err), 0);
	again = slurp(dir, "stdout");
	for (size_t i = 0; i < MP_ARRAY_SIZE(types); i++) {
		MP_FREE char *before = lines_of(live, types[i]);
		MP_FREE char *after = lines_of(again, types[i]);

		assert_true(count_lines(before) > 0);
		assert_string_equal(after, before);
	}
	/* Nothing is done in a replay. */
	actions = lines_of(again, "action");
	assert_null(strstr(actions, "\"result\":\"done\""));
	assert_non_null(strstr(actions, "\"action\":\"stack\",\"result\":\"would\""));
	assert_non_null(strstr(actions, "\"ts_ns\":2000000000,"));
}

/* A replay can be recorded and replayed as well. */
static void test_replay_of_a_replay(void **state)
{
	struct dir *dir = *state;
	MP_FREE char *first = NULL;
	MP_FREE char *second = NULL;
	struct mp_error err;

	record_story(dir);
	assert_int_equal(replay(dir, "run.ndjson", "second.ndjson", &err), 0);
	first = slurp(dir, "stdout");
	assert_int_equal(replay(dir, "second.ndjson", NULL, &err), 0);
	second = slurp(dir, "stdout");
	assert_string_equal(first, second);
}

static void test_text(void **state)
{
	struct dir *dir = *state;
	struct mp_pipeline p;
	struct mp_output *output;
	MP_FREE char *out = NULL;
	MP_FREE char *recorded = NULL;

	start(dir, &p, &output, MP_FORMAT_TEXT, "run.ndjson");
	feed_story(&p);
	end(dir, &p, output);
	out = slurp(dir, "stdout");
	recorded = slurp(dir, "run.ndjson");
	assert_null(strstr(out, "\"type\""));
	assert_null(strchr(out, '\x1b')); /* no color was asked for */
	assert_non_null(strstr(out, "load"));
	assert_int_equal(recorded[0], '{');
}

static void test_stamps(void **state)
{
	struct dir *dir = *state;
	struct mp_pipeline p;
	struct mp_output *output;
	struct mp_event event = {.type = MP_EVENT_LOST, .lost = {"ring", 3}};

	start(dir, &p, &output, MP_FORMAT_JSON, NULL);
	mp_pipeline_put(&p, &event);
	assert_int_not_equal(event.ts_ns, 0);
	assert_true(event.realtime_ns == event.ts_ns + (uint64_t)p.realtime_offset_ns);
	event.ts_ns = 5;
	event.realtime_ns = 0;
	p.realtime_offset_ns = 1000;
	mp_pipeline_put(&p, &event);
	assert_int_equal(event.ts_ns, 5);
	assert_int_equal(event.realtime_ns, 1005);
	mp_pipeline_put(&p, &event);
	assert_int_equal(event.realtime_ns, 1005);
	end(dir, &p, output);
}

#define PROBE_LINE                                                                                 \
	"{\"v\":1,\"type\":\"probe\",\"ts_ns\":5,\"time\":\"2026-01-01T00:00:00Z\","               \
	"\"point\":\"p\",\"level\":\"high\",\"phase\":\"enter\",\"pid\":7,\"tid\":7,"              \
	"\"comm\":\"c\",\"cgroup\":\"/x\",\"working_set\":80,\"limit\":100,\"usage_pct\":80}"

static void check_bad(struct dir *dir, const char *text, size_t len, unsigned int line,
		      const char *words)
{
	struct mp_error err = {.exit_code = MP_EXIT_OK};
	char where[PATH_MAX];

	write_file(dir, "bad", text, len);
	assert_int_equal(replay(dir, "bad", NULL, &err), -EBADMSG);
	assert_int_equal(err.exit_code, MP_EXIT_CONFIG);
	snprintf(where, sizeof(where), "%s/bad:%u: ", dir->path, line);
	if (strncmp(err.text, where, strlen(where)) != 0 || !strstr(err.text, words))
		fail_msg("not \"%s … %s\": %s", where, words, err.text);
}
#define CHECK_BAD(dir, text, line, words) check_bad(dir, text, sizeof(text) - 1, line, words)

static void test_bad_lines(void **state)
{
	struct dir *dir = *state;

	CHECK_BAD(dir, "not json\n", 1, "");
	CHECK_BAD(dir, PROBE_LINE "\n\n  \n" PROBE_LINE "\n", 3, "");
	CHECK_BAD(dir, PROBE_LINE "\r\n" PROBE_LINE "\n{\"v\":1,\"type\":\"probe\"}", 3, "level");
	CHECK_BAD(dir, PROBE_LINE "\n{\"v\":1,\"ty\0pe\":\"probe\"}\n", 2, "");
	CHECK_BAD(dir, PROBE_LINE "\n[1]\n", 2, "");
	CHECK_BAD(dir, "\x1b[31m\n", 1, "");
}

/* What is before the bad line was done. */
static void test_before_the_bad_line(void **state)
{
	struct dir *dir = *state;
	MP_FREE char *out = NULL;

	CHECK_BAD(dir, PROBE_LINE "\n" PROBE_LINE "x\n", 2, "");
	out = slurp(dir, "stdout");
	assert_non_null(strstr(out, "\"type\":\"decision\""));
}

static void test_unknown_records_are_passed_over(void **state)
{
	struct dir *dir = *state;
	static const char text[] = "{\"v\":1,\"type\":\"weather\",\"ts_ns\":5}\n"
				   "{\"v\":2,\"type\":\"probe\",\"ts_ns\":5}\r\n"
				   "\n" PROBE_LINE;
	MP_FREE char *out = NULL;
	MP_FREE char *probes = NULL;
	struct mp_error err;

	write_file(dir, "some", text, strlen(text));
	assert_int_equal(replay(dir, "some", NULL, &err), 0);
	out = slurp(dir, "stdout");
	probes = lines_of(out, "probe");
	assert_int_equal(count_lines(probes), 1);
	assert_null(strstr(out, "weather"));
}

static void check_refused(struct dir *dir, const char *name, const char *record, int expected,
			  enum mp_exit code, const char *words)
{
	struct mp_error err = {.exit_code = MP_EXIT_OK};

	assert_int_equal(replay(dir, name, record, &err), expected);
	assert_int_equal(err.exit_code, code);
	if (!strstr(err.text, words))
		fail_msg("\"%s\" is not in: %s", words, err.text);
}

static void test_what_cannot_be_replayed(void **state)
{
	struct dir *dir = *state;
	char path[PATH_MAX];

	write_file(dir, "empty", "", 0);
	snprintf(path, sizeof(path), "%s/folder", dir->path);
	assert_int_equal(mkdir(path, 0700), 0);
	check_refused(dir, "absent", NULL, -ENOENT, MP_EXIT_USAGE, "--replay: cannot open");
	check_refused(dir, "empty", NULL, -EBADMSG, MP_EXIT_CONFIG, "the recording is empty");
	check_refused(dir, "folder", NULL, -EISDIR, MP_EXIT_CONFIG, "Is a directory");
	check_refused(dir, "empty", "no/such/folder", -ENOENT, MP_EXIT_USAGE,
		      "--record: cannot create");
}

static void test_recording_over_itself(void **state)
{
	struct dir *dir = *state;
	MP_FREE char *kept = NULL;

	write_file(dir, "run", PROBE_LINE "\n", strlen(PROBE_LINE) + 1);
	check_refused(dir, "run", "run", -EINVAL, MP_EXIT_USAGE, "is what --replay reads");
	check_refused(dir, "run", "./run", -EINVAL, MP_EXIT_USAGE, "is what --replay reads");
	kept = slurp(dir, "run");
	assert_string_equal(kept, PROBE_LINE "\n");
}

/* A full disk is told of at the end, and does not stop the output. */
static void test_full_disk(void **state)
{
	struct dir *dir = *state;
	struct mp_output_options o = {.format = MP_FORMAT_JSON, .record_path = "/dev/full"};
	struct mp_error err = {.exit_code = MP_EXIT_OK};
	MP_FREE char *out = NULL;
	char path[PATH_MAX];
	int error;

	write_file(dir, "run", PROBE_LINE "\n", strlen(PROBE_LINE) + 1);
	snprintf(path, sizeof(path), "%s/run", dir->path);
	capture(dir);
	error = mp_monitor_replay(path, &dir->policy, &o, &err);
	release(dir);
	assert_int_equal(error, -ENOSPC);
	assert_int_equal(err.exit_code, MP_EXIT_CHECK);
	assert_non_null(strstr(err.text, "/dev/full is incomplete"));
	out = slurp(dir, "stdout");
	assert_non_null(strstr(out, "\"type\":\"decision\""));
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_DIR(test_decisions),
		IN_DIR(test_recording_is_the_output),
		IN_DIR(test_replay_decides_the_same),
		IN_DIR(test_replay_of_a_replay),
		IN_DIR(test_text),
		IN_DIR(test_stamps),
		IN_DIR(test_bad_lines),
		IN_DIR(test_before_the_bad_line),
		IN_DIR(test_unknown_records_are_passed_over),
		IN_DIR(test_what_cannot_be_replayed),
		IN_DIR(test_recording_over_itself),
		IN_DIR(test_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
