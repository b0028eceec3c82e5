// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "action/relief_client.h"
#include "base/clock.h"
#include "engine.h"

#define SEC 1000000000ULL

/* --- answers: pure ------------------------------------------------------------------- */

static void test_answers(void **state)
{
	const struct mp_relief_request request = {.id = 5};
	struct mp_relief_reply good = {
		.magic = MP_RELIEF_MAGIC, .version = MP_RELIEF_VERSION, .id = 5, .status = 3};
	struct mp_relief_reply reply = good;

	(void)state;
	assert_null(mp_relief_check(&request, &good, 40));
	assert_string_equal(mp_relief_check(&request, "", 0), "it closed without an answer");
	assert_string_equal(mp_relief_check(&request, &good, 39), "its answer has a wrong length");
	assert_string_equal(mp_relief_check(&request, &good, 41), "its answer has a wrong length");
	reply.magic++;
	assert_string_equal(mp_relief_check(&request, &reply, 40), "its answer is no relief reply");
	reply = good;
	reply.version = 2;
	assert_string_equal(mp_relief_check(&request, &reply, 40),
			    "its answer is of another version");
	reply = good;
	reply.id = 6;
	assert_string_equal(mp_relief_check(&request, &reply, 40), "it answered another request");
	reply = good;
	reply.status = 4;
	assert_string_equal(mp_relief_check(&request, &reply, 40),
			    "its answer has an unknown status");
}

/* --- agents of all kinds --------------------------------------------------------------- */

/* What a child does with a request; in the child. */
typedef void (*behave_fn)(struct engine *engine, int peer, struct mp_relief_reply *reply);

/* What the children were asked, where the test sees it. */
struct seen {
	unsigned int n;
	struct mp_relief_request last;
};

struct fixture {
	struct engine engine;
	pid_t children[4];
	size_t n;
	struct seen *seen;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	engine_init(&f->engine, 95);
	f->seen = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char path[64];

	for (size_t i = 0; i < f->n; i++) {
		kill(f->children[i], SIGKILL);
		waitpid(f->children[i], NULL, 0);
		snprintf(path, sizeof(path), MP_RELIEF_PATH, f->children[i]);
		unlink(path);
	}
	munmap(f->seen, 4096);
	engine_free(&f->engine);
	free(f);
	return 0;
}

static int listen_as(pid_t pid, int type)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), MP_RELIEF_PATH, pid);
	unlink(address.sun_path);
	TREE_CHECK(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	TREE_CHECK(listen(fd, 1) == 0);
	return fd;
}

static void serve(struct fixture *f, int listen_fd, behave_fn behave)
{
	for (;;) {
		int peer = accept(listen_fd, NULL, NULL);
		struct mp_relief_reply reply = {.magic = MP_RELIEF_MAGIC,
						.version = MP_RELIEF_VERSION};

		TREE_CHECK(recv(peer, &f->seen->last, sizeof(f->seen->last), MSG_TRUNC) == 32);
		f->seen->n++;
		reply.id = f->seen->last.id;
		behave(&f->engine, peer, &reply);
		close(peer);
	}
}

/* A target; without `behave` it has no agent. */
static pid_t start(struct fixture *f, behave_fn behave)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		int fd = behave ? listen_as(getpid(), SOCK_SEQPACKET) : -1;

		(void)!write(ready[1], "r", 1);
		if (behave)
			serve(f, fd, behave);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	f->children[f->n++] = pid;
	engine_add(&f->engine, pid);
	return pid;
}

static void answer(int peer, const struct mp_relief_reply *reply)
{
	TREE_CHECK(send(peer, reply, sizeof(*reply), 0) == sizeof(*reply));
}

static void give_12_mib(struct engine *engine, int peer, struct mp_relief_reply *reply)
{
	engine_set_usage(engine, 83);
	reply->freed_bytes = 12 * MIB;
	reply->callbacks = 2;
	answer(peer, reply);
}

static void give_1_mib(struct engine *engine, int peer, struct mp_relief_reply *reply)
{
	(void)engine;
	reply->freed_bytes = MIB;
	reply->callbacks = 1;
	answer(peer, reply);
}

static void give_nothing(struct engine *engine, int peer, struct mp_relief_reply *reply)
{
	(void)engine;
	reply->status = MP_RELIEF_NOTHING;
	answer(peer, reply);
}

static void be_busy(struct engine *engine, int peer, struct mp_relief_reply *reply)
{
	(void)engine;
	reply->status = MP_RELIEF_BUSY;
	answer(peer, reply);
}

static void fail_to(struct engine *engine, int peer, struct mp_relief_reply *reply)
{
	(void)engine;
	reply->status = MP_RELIEF_FAILED;
	answer(peer, reply);
}

static void boast(struct engine *engine, int peer, struct mp_relief_reply *reply)
{
	(void)engine;
	reply->freed_bytes = UINT64_MAX - 1;
	answer(peer, reply);
}

static void hang(struct engine *engine, int peer, struct mp_relief_reply *reply)
{
	(void)engine, (void)peer, (void)reply;
	pause();
}

static void just_close(struct engine *engine, int peer, struct mp_relief_reply *reply)
{
	(void)engine, (void)peer, (void)reply;
}

static void say_too_much(struct engine *engine, int peer, struct mp_relief_reply *reply)
{
	char text[4096] = "";

	(void)engine;
	memcpy(text, reply, sizeof(*reply));
	(void)!send(peer, text, sizeof(text), 0);
}

static void relieve(struct fixture *f, pid_t pid)
{
	f->engine.job.pid = pid;
	mp_relieve_work(&f->engine.actions, &f->engine.job);
}

static void assert_job(const struct fixture *f, enum mp_action_result result, const char *detail)
{
	assert_string_equal(f->engine.job.detail, detail);
	assert_int_equal(f->engine.job.result, result);
}

static void test_a_process_gives_back(void **state)
{
	struct fixture *f = *state;

	relieve(f, start(f, give_12_mib));
	assert_job(f, MP_RESULT_DONE, "1 gave back 12.0 MiB by own measure, in 2 callbacks");
	assert_int_equal(f->engine.job.before.usage, 95 * MIB);
	assert_int_equal(f->engine.job.after.usage, 83 * MIB);
	assert_int_equal(f->seen->n, 1);
	assert_int_equal(f->seen->last.magic, MP_RELIEF_MAGIC);
	assert_int_equal(f->seen->last.version, 1);
	assert_int_equal(f->seen->last.severity, MP_SEVERITY_CRITICAL);
	assert_int_equal(f->seen->last.wanted_bytes, 8 * MIB + 1); /* down to below 87 % */
	assert_true(f->seen->last.deadline_ns > 0 && f->seen->last.deadline_ns <= 2 * SEC);
}

static void test_statuses(void **state)
{
	struct fixture *f = *state;

	relieve(f, start(f, give_nothing));
	assert_job(f, MP_RESULT_SKIPPED, "1 with nothing to give back");
	relieve(f, start(f, be_busy));
	assert_job(f, MP_RESULT_SKIPPED, "1 busy with an earlier request");
	relieve(f, start(f, fail_to));
	assert_job(f, MP_RESULT_FAILED, "1 failed: it says that it could not");
}

static void test_no_agent(void **state)
{
	struct fixture *f = *state;
	pid_t pid = start(f, NULL);

	relieve(f, pid);
	assert_job(f, MP_RESULT_SKIPPED, "1 without an agent that listens (libmemprobe's)");
	close(listen_as(pid, SOCK_SEQPACKET)); /* left behind: nobody listens */
	relieve(f, pid);
	assert_job(f, MP_RESULT_SKIPPED, "1 without an agent that listens (libmemprobe's)");
}

static void test_a_socket_of_another_kind(void **state)
{
	struct fixture *f = *state;
	pid_t pid = start(f, NULL);
	MP_CLOSE int fd = listen_as(pid, SOCK_STREAM);

	assert_true(fd >= 0);
	relieve(f, pid);
	assert_job(f, MP_RESULT_FAILED, "1 failed: what is there is no relief socket");
}

/* The path can be anyone's: here the test itself listens there. */
static void test_another_process_listens(void **state)
{
	struct fixture *f = *state;
	pid_t pid = start(f, NULL);
	MP_CLOSE int fd = listen_as(pid, SOCK_SEQPACKET);
	MP_CLOSE int peer = -1;
	char byte;

	relieve(f, pid);
	assert_job(f, MP_RESULT_FAILED, "1 failed: another process listens on its socket");
	peer = accept(fd, NULL, NULL);
	assert_int_equal(recv(peer, &byte, 1, 0), 0); /* it was told nothing */
}

static void test_bad_answers(void **state)
{
	struct fixture *f = *state;

	relieve(f, start(f, just_close));
	assert_job(f, MP_RESULT_FAILED, "1 failed: it closed without an answer");
	relieve(f, start(f, say_too_much));
	assert_job(f, MP_RESULT_FAILED, "1 failed: its answer has a wrong length");
}

/* Asked with little time, so that the test has not to wait for much. */
static void test_one_that_hangs(void **state)
{
	struct fixture *f = *state;
	pid_t pid = start(f, hang);
	struct mp_relief_peer peer = {pid, pid, geteuid()};
	struct mp_relief_request request = {.id = 1};
	struct mp_relief_reply reply = {.id = 77};
	const char *why = NULL;
	uint64_t deadline = mp_clock_now_ns() + 20000000;

	assert_int_equal(
		mp_relief_ask(&(struct mp_fsroot){""}, &peer, &request, deadline, &reply, &why),
		-ETIMEDOUT);
	assert_string_equal(why, "it has not answered in time");
	assert_true(mp_clock_now_ns() >= deadline);
	assert_int_equal(reply.id, 77);
}

/* A full queue; the deadline is over as soon as that is seen. */
static void test_one_that_does_not_accept(void **state)
{
	struct fixture *f = *state;
	pid_t pid = getpid();
	MP_CLOSE int fd = listen_as(pid, SOCK_SEQPACKET);
	struct mp_relief_peer peer = {pid, pid, geteuid()};
	struct mp_relief_request request = {.id = 1};
	struct mp_relief_reply reply;
	const char *why = "";
	char path[64];

	(void)f;
	for (int i = 0; i < 8 && strcmp(why, "it accepts no connection") != 0; i++)
		assert_int_equal(mp_relief_ask(&(struct mp_fsroot){""}, &peer, &request,
					       mp_clock_now_ns() + 1000000, &reply, &why),
				 -ETIMEDOUT);
	assert_string_equal(why, "it accepts no connection");
	snprintf(path, sizeof(path), MP_RELIEF_PATH, pid);
	unlink(path);
}

static void test_another_users_socket(void **state)
{
	struct fixture *f = *state;
	pid_t pid = start(f, give_1_mib);
	struct mp_relief_peer peer = {pid, pid, geteuid() + 1};
	struct mp_relief_request request = {.id = 1};
	struct mp_relief_reply reply;
	const char *why = NULL;

	assert_int_equal(mp_relief_ask(&(struct mp_fsroot){""}, &peer, &request,
				       mp_clock_now_ns() + SEC, &reply, &why),
			 -EPERM);
	assert_string_equal(why, "its socket belongs to another user");
}

static void test_a_domain_is_asked_until_there_is_enough(void **state)
{
	struct fixture *f = *state;

	start(f, give_1_mib);
	start(f, NULL);
	start(f, give_12_mib);
	start(f, give_1_mib);
	relieve(f, 0);
	assert_job(f, MP_RESULT_DONE,
		   "2 gave back 13.0 MiB by own measure, in 3 callbacks; "
		   "1 without an agent that listens (libmemprobe's)");
	assert_int_equal(f->seen->n, 2);
}

static void test_a_stopped_process_is_passed_over(void **state)
{
	struct fixture *f = *state;
	pid_t pid = start(f, give_12_mib);

	kill(pid, SIGSTOP);
	assert_int_equal(waitpid(pid, NULL, WUNTRACED), pid);
	relieve(f, pid);
	assert_job(f, MP_RESULT_SKIPPED, "1 stopped and cannot answer");
	start(f, give_1_mib);
	relieve(f, pid);
	assert_job(f, MP_RESULT_DONE,
		   "1 gave back 1.00 MiB by own measure, in 1 callbacks; "
		   "1 stopped and cannot answer");
	assert_int_equal(f->seen->n, 1);
}

/* What it says is its own affair; it is not believed to have freed more than there is. */
static void test_a_sum_that_would_wrap(void **state)
{
	struct fixture *f = *state;

	start(f, boast);
	start(f, boast);
	relieve(f, 0);
	assert_job(f, MP_RESULT_DONE, "2 gave back - by own measure, in 0 callbacks");
	assert_int_equal(f->engine.job.after.usage, 95 * MIB);
}

static void test_nobody(void **state)
{
	struct fixture *f = *state;

	relieve(f, 0);
	assert_job(f, MP_RESULT_SKIPPED, "no target in the domain");
}

#define REAL(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		REAL(test_a_process_gives_back),
		REAL(test_statuses),
		REAL(test_no_agent),
		REAL(test_a_socket_of_another_kind),
		REAL(test_another_process_listens),
		REAL(test_bad_answers),
		REAL(test_one_that_hangs),
		REAL(test_one_that_does_not_accept),
		REAL(test_another_users_socket),
		REAL(test_a_domain_is_asked_until_there_is_enough),
		REAL(test_a_stopped_process_is_passed_over),
		REAL(test_a_sum_that_would_wrap),
		REAL(test_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
