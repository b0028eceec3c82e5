// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <grp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "action/notify.h"
#include "engine.h"

struct fixture {
	struct tree tree;
	struct mp_undo *undo;
	struct mp_notify *notify;
	char folder[MP_NOTIFY_PATH];
	char path[MP_NOTIFY_PATH];
	pid_t target;
	/* The last result. */
	enum mp_action_result result;
	char detail[128];
	size_t n_results;
};

static bool is_target(void *data, pid_t pid)
{
	return ((struct fixture *)data)->target == pid;
}

static struct mp_action_host host_of(struct fixture *f)
{
	return (struct mp_action_host){.data = f, .is_target = is_target};
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct mp_action_host host = host_of(f);

	tree_make(&f->tree);
	TREE_CHECK(chmod(f->tree.root, 0755) == 0);
	snprintf(f->folder, sizeof(f->folder), "%.60s/run", f->tree.root);
	snprintf(f->path, sizeof(f->path), "%.80s/pressure", f->folder);
	f->undo = mp_undo_new();
	f->notify = mp_notify_new(f->path, f->undo, &host);
	*state = f;
	return f->notify ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	mp_notify_free(f->notify);
	mp_undo_free(f->undo);
	tree_remove(&f->tree);
	free(f);
	return 0;
}

static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	TREE_CHECK(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	return fd;
}

/* How many bytes wait to be read; -1: the other side has closed. */
static ssize_t told(int fd)
{
	char bytes[4096];
	ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (n < 0) {
		assert_int_equal(errno, EAGAIN);
		return 0;
	}
	return n ? n : -1;
}

static void test_all_that_listen_are_told(void **state)
{
	struct fixture *f = *state;
	MP_CLOSE int first = connect_to(f->path);
	MP_CLOSE int second = -1;

	assert_int_equal(mp_notify_tell(f->notify), 1);
	second = connect_to(f->path);
	assert_int_equal(mp_notify_tell(f->notify), 2);
	assert_int_equal(told(first), 2);
	assert_int_equal(told(second), 1);
	assert_int_equal(told(first), 0);
}

static void test_one_that_closed_is_forgotten(void **state)
{
	struct fixture *f = *state;
	MP_CLOSE int stays = connect_to(f->path);

	close(connect_to(f->path));
	assert_int_equal(mp_notify_tell(f->notify), 1);
	assert_int_equal(told(stays), 1);
	assert_int_equal(mp_notify_tell(f->notify), 1);
}

/* Nobody waits for one that never reads; its buffer being full means that it knows. */
static void test_one_that_does_not_read(void **state)
{
	struct fixture *f = *state;
	MP_CLOSE int lazy = connect_to(f->path);
	MP_CLOSE int eager = connect_to(f->path);

	for (int i = 0; i < 5000; i++) {
		assert_int_equal(mp_notify_tell(f->notify), 2);
		assert_int_equal(told(eager), 1);
	}
	assert_in_range(told(lazy), 1, 4096);
}

static void dispatch(struct fixture *f)
{
	struct pollfd poll_fd = {.fd = mp_notify_fd(f->notify), .events = POLLIN};

	assert_int_equal(poll(&poll_fd, 1, 10000), 1);
	mp_notify_dispatch(f->notify);
}

static bool is_quiet(const struct fixture *f)
{
	struct pollfd poll_fd = {.fd = mp_notify_fd(f->notify), .events = POLLIN};

	return poll(&poll_fd, 1, 0) == 0;
}

/* As the protocol has it of one whose $MEMORY_PRESSURE_WRITE is set. */
static void test_what_clients_write_is_thrown_away(void **state)
{
	struct fixture *f = *state;
	MP_CLOSE int fd = connect_to(f->path);
	static const char text[] = "some 200000 2000000";

	dispatch(f);
	assert_true(is_quiet(f));
	assert_int_equal(send(fd, text, sizeof(text), 0), sizeof(text));
	dispatch(f);
	assert_true(is_quiet(f));
	assert_int_equal(mp_notify_tell(f->notify), 1);
	assert_int_equal(told(fd), 1);
}

static void test_one_that_closes_its_half_still_listens(void **state)
{
	struct fixture *f = *state;
	int fd = connect_to(f->path);

	dispatch(f);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	dispatch(f);
	assert_true(is_quiet(f)); /* and the end of what it writes is no news for ever */
	assert_int_equal(mp_notify_tell(f->notify), 1);
	assert_int_equal(told(fd), 1);
	close(fd);
	dispatch(f);
	assert_int_equal(mp_notify_tell(f->notify), 0);
	assert_true(is_quiet(f));
}

static void test_no_more_than_there_is_room_for(void **state)
{
	struct fixture *f = *state;
	int fds[MP_NOTIFY_CLIENTS + 1];

	for (size_t i = 0; i < MP_ARRAY_SIZE(fds); i++) {
		fds[i] = connect_to(f->path);
		mp_notify_dispatch(f->notify);
	}
	assert_int_equal(mp_notify_tell(f->notify), MP_NOTIFY_CLIENTS);
	assert_int_equal(told(fds[MP_NOTIFY_CLIENTS]), -1);
	assert_int_equal(told(fds[0]), 1);
	close(fds[0]);
	mp_notify_dispatch(f->notify);
	fds[0] = connect_to(f->path);
	assert_int_equal(mp_notify_tell(f->notify), MP_NOTIFY_CLIENTS);
	assert_int_equal(told(fds[0]), 1);
	for (size_t i = 0; i < MP_ARRAY_SIZE(fds); i++)
		close(fds[i]);
}

/* A process of another user, which connects and then says how often it has been told. */
static pid_t start_stranger(const struct fixture *f, int *ret_fd)
{
	int fds[2];
	char byte;
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	pid = fork();
	if (pid == 0) {
		char n;
		int fd;

		TREE_CHECK(setgroups(0, NULL) == 0 && setgid(12345) == 0 && setuid(12345) == 0);
		fd = connect_to(f->path);
		(void)!send(fds[1], "c", 1, 0);
		(void)!recv(fds[1], &byte, 1, 0);
		n = (char)told(fd);
		(void)!send(fds[1], &n, 1, 0);
		_exit(0);
	}
	close(fds[1]);
	assert_int_equal(recv(fds[0], &byte, 1, 0), 1);
	*ret_fd = fds[0];
	return pid;
}

static char ask_stranger(pid_t pid, int fd)
{
	char n = 77;

	assert_int_equal(send(fd, "?", 1, 0), 1);
	assert_int_equal(recv(fd, &n, 1, 0), 1);
	close(fd);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return n;
}

/* It may be told who is a target only after it has connected. */
static void test_other_users_are_told_when_they_are_targets(void **state)
{
	struct fixture *f = *state;
	pid_t pid;
	int fd;

	if (geteuid() != 0)
		skip();
	pid = start_stranger(f, &fd);
	mp_notify_dispatch(f->notify);
	assert_int_equal(mp_notify_tell(f->notify), 0);
	assert_int_equal(ask_stranger(pid, fd), -1);
	pid = start_stranger(f, &fd);
	mp_notify_dispatch(f->notify);
	f->target = pid;
	assert_int_equal(mp_notify_tell(f->notify), 1);
	assert_int_equal(ask_stranger(pid, fd), 1);
}

static void test_the_end_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	MP_CLOSE int fd = connect_to(f->path);

	mp_notify_dispatch(f->notify);
	mp_notify_free(f->notify);
	f->notify = NULL;
	assert_int_equal(told(fd), -1);
	assert_int_equal(access(f->folder, F_OK), -1);
}

static void test_the_guardian_leaves_nothing(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(mp_undo_run_all(f->undo), 2);
	assert_int_equal(access(f->folder, F_OK), -1);
}

/* Of a monitor that had the same number, and was killed with its guardian. */
static void test_what_an_earlier_one_left(void **state)
{
	struct fixture *f = *state;
	struct mp_action_host host = host_of(f);
	struct stat st;

	mp_notify_free(f->notify);
	assert_int_equal(mkdir(f->folder, 0700), 0);
	tree_write(&f->tree, "/run/pressure", "");
	f->notify = mp_notify_new(f->path, f->undo, &host);
	assert_non_null(f->notify);
	assert_int_equal(stat(f->folder, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0711);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0666);
	assert_true(S_ISSOCK(st.st_mode));
}

static void test_what_is_not_ours_is_left_alone(void **state)
{
	struct fixture *f = *state;
	struct mp_action_host host = host_of(f);

	mp_notify_free(f->notify);
	assert_int_equal(mkdir(f->folder, 0700), 0);
	tree_write(&f->tree, "/run/else", "kept");
	f->notify = mp_notify_new(f->path, f->undo, &host);
	assert_null(f->notify);
	assert_int_equal(errno, ENOTEMPTY);
	assert_null(mp_notify_new("relative/pressure", f->undo, &host));
	assert_int_equal(errno, EINVAL);
	assert_null(mp_notify_new(f->path, NULL, &host));
	assert_int_equal(errno, EINVAL);
}

static void test_environment(void **state)
{
	(void)state;
	setenv("MEMORY_PRESSURE_WATCH", "/dev/null", 1);
	setenv("MEMORY_PRESSURE_WRITE", "c29tZQ==", 1);
	assert_int_equal(mp_notify_set_environment("/run/x/pressure"), 0);
	assert_string_equal(getenv("MEMORY_PRESSURE_WATCH"), "/run/x/pressure");
	assert_null(getenv("MEMORY_PRESSURE_WRITE"));
}

static void test_default_path(void **state)
{
	char path[MP_NOTIFY_PATH] = "";
	char expected[64];

	(void)state;
	setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
	snprintf(expected, sizeof(expected), "%s/memprobe-bpf.%d/pressure",
		 geteuid() == 0 ? "/run" : "/run/user/7", (int)getpid());
	assert_int_equal(mp_notify_default_path(path), 0);
	assert_string_equal(path, expected);
}

/* --- the action ------------------------------------------------------------------------ */

static int keep_result(void *data, const struct mp_event *event)
{
	struct fixture *f = data;

	f->result = event->action.result;
	snprintf(f->detail, sizeof(f->detail), "%s", event->action.detail);
	f->n_results++;
	return 0;
}

static void run(struct fixture *f, struct mp_notify *notify)
{
	struct mp_actions actions = {.o = {.emit = keep_result, .data = f}, .notify = notify};
	struct mp_event cause = {.type = MP_EVENT_PROBE, .ts_ns = 1000};
	struct mp_event_decision decision = {.severity = MP_SEVERITY_GC};
	struct mp_action_request request = {
		.decision = &decision, .cause = &cause, .name = "notify"};

	assert_int_equal(mp_notify_run(&actions, &request), 0);
}

static void test_results(void **state)
{
	struct fixture *f = *state;
	MP_CLOSE int first = -1;
	MP_CLOSE int second = -1;

	run(f, NULL);
	assert_int_equal(f->result, MP_RESULT_SKIPPED);
	assert_string_equal(f->detail, "only what `run` starts can be told");
	run(f, f->notify);
	assert_int_equal(f->result, MP_RESULT_SKIPPED);
	assert_string_equal(f->detail, "nobody listens on $MEMORY_PRESSURE_WATCH");
	first = connect_to(f->path);
	run(f, f->notify);
	assert_int_equal(f->result, MP_RESULT_DONE);
	assert_string_equal(f->detail, "told 1 process");
	second = connect_to(f->path);
	run(f, f->notify);
	assert_string_equal(f->detail, "told 2 processes");
	assert_int_equal(f->n_results, 4);
}

#define LISTENING(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LISTENING(test_all_that_listen_are_told),
		LISTENING(test_one_that_closed_is_forgotten),
		LISTENING(test_one_that_does_not_read),
		LISTENING(test_what_clients_write_is_thrown_away),
		LISTENING(test_one_that_closes_its_half_still_listens),
		LISTENING(test_no_more_than_there_is_room_for),
		LISTENING(test_other_users_are_told_when_they_are_targets),
		LISTENING(test_the_end_leaves_nothing),
		LISTENING(test_the_guardian_leaves_nothing),
		LISTENING(test_what_an_earlier_one_left),
		LISTENING(test_what_is_not_ours_is_left_alone),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_default_path),
		LISTENING(test_results),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
