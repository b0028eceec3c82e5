// SPDX-License-Identifier: GPL-2.0-only
/* The agent in a process: what it answers, to whom, and what becomes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "action/relief_client.h"
#include "base/clock.h"
#include "base/relief.h"
#include "lib/agent.h"
#include "lib/agent_watch.h"

#define MIB (1ULL << 20)
#define SEC 1000000000ULL
#define NOBODY 65534

/* --- around each test --------------------------------------------------------------------- */

struct fixture {
	char root[64];
	int handle;
};

static struct mp_lib_agent_options options_of(const struct fixture *f)
{
	return (struct mp_lib_agent_options){.root = f->root};
}

static int start(const struct fixture *f)
{
	struct mp_lib_agent_options options = options_of(f);

	return mp_lib_agent_start(&options);
}

static const char *path_of(const struct fixture *f, pid_t pid, char out[128])
{
	snprintf(out, 128, "%s" MP_RELIEF_PATH, f->root, (int)pid);
	return out;
}

static bool is_there(const struct fixture *f, pid_t pid)
{
	char path[128];
	struct stat st;

	return lstat(path_of(f, pid, path), &st) == 0;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char path[128];

	strcpy(f->root, "/tmp/mp_test_agent.XXXXXX");
	assert_non_null(mkdtemp(f->root));
	assert_int_equal(chmod(f->root, 0755), 0);
	snprintf(path, sizeof(path), "%s/tmp", f->root);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(chmod(path, 01777), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];

	if (f->handle)
		memprobe_off_pressure(f->handle);
	memprobe_agent_stop();
	snprintf(command, sizeof(command), "rm -rf %s", f->root);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

/* --- a peer ----------------------------------------------------------------------------------- */

static int connect_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -errno;
}

static int connect_to(const struct fixture *f, pid_t pid)
{
	char path[128];

	return connect_at(path_of(f, pid, path));
}

static const struct mp_relief_request good = {
	.magic = MP_RELIEF_MAGIC,
	.version = MP_RELIEF_VERSION,
	.severity = MEMPROBE_GC,
	.id = 0x1234567890abcdefULL,
	.wanted_bytes = 99,
	.deadline_ns = 5 * SEC,
};

static struct mp_relief_reply reply_of(int fd)
{
	struct mp_relief_reply reply;

	assert_int_equal(recv(fd, &reply, sizeof(reply), MSG_TRUNC), sizeof(reply));
	assert_int_equal(reply.magic, MP_RELIEF_MAGIC);
	assert_int_equal(reply.version, MP_RELIEF_VERSION);
	assert_int_equal(reply.id, good.id);
	assert_int_equal(reply.pad, 0);
	return reply;
}

static void assert_closed(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, 0);

	assert_true(n == 0 || (n < 0 && errno == ECONNRESET));
}

static struct mp_relief_reply ask_for(const struct fixture *f, pid_t pid, uint64_t deadline_ns)
{
	struct mp_relief_request request = good;
	MP_CLOSE int fd = connect_to(f, pid);

	request.deadline_ns = deadline_ns;
	assert_true(fd >= 0);
	assert_int_equal(send(fd, &request, sizeof(request), 0), sizeof(request));
	return reply_of(fd);
}

static struct mp_relief_reply ask(const struct fixture *f)
{
	return ask_for(f, getpid(), good.deadline_ns);
}

/* A worker that has just been let go takes a moment. */
static struct mp_relief_reply ask_until_not_busy(const struct fixture *f)
{
	struct mp_relief_reply reply;

	do
		reply = ask(f);
	while (reply.status == MP_RELIEF_BUSY && usleep(1000) == 0);
	return reply;
}

/* --- answers ------------------------------------------------------------------------------------
 */

struct memory {
	char *bytes;
	uint64_t len;
	struct memprobe_pressure seen;
};

static uint64_t give_back(const struct memprobe_pressure *pressure, void *data)
{
	struct memory *memory = data;

	memory->seen = *pressure;
	madvise(memory->bytes, memory->len, MADV_DONTNEED);
	return 0;
}

static struct memory filled(uint64_t len)
{
	struct memory memory = {.len = len};

	memory.bytes = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(memory.bytes, MAP_FAILED);
	memset(memory.bytes, 1, len);
	return memory;
}

static void test_gives_back(void **state)
{
	struct fixture *f = *state;
	struct memory memory = filled(64 * MIB);
	uint64_t before = mp_clock_now_ns();
	struct mp_relief_reply reply;

	f->handle = memprobe_on_pressure(give_back, &memory);
	assert_int_equal(start(f), 0);
	reply = ask(f);
	assert_int_equal(reply.status, MP_RELIEF_DONE);
	assert_in_range(reply.freed_bytes, 60 * MIB, 68 * MIB);
	assert_int_equal(reply.callbacks, 1);
	assert_in_range(reply.duration_ns, 1, mp_clock_now_ns() - before);
	assert_int_equal(memory.seen.severity, MEMPROBE_GC);
	assert_int_equal(memory.seen.wanted_bytes, 99);
	assert_in_range(memory.seen.deadline_ns, before + 5 * SEC, mp_clock_now_ns() + 5 * SEC);
	munmap(memory.bytes, memory.len);
}

/* The allocator is asked also where nobody has registered. */
static void test_nothing_to_give(void **state)
{
	const struct fixture *f = *state;
	struct mp_relief_reply reply;

	assert_int_equal(start(f), 0);
	ask(f);
	reply = ask(f);
	assert_int_equal(reply.callbacks, 0);
	if (reply.status == MP_RELIEF_DONE)
		assert_in_range(reply.freed_bytes, 1, MIB);
	else
		assert_int_equal(reply.status, MP_RELIEF_NOTHING);
}

/* The monitor's own side of the protocol, which looks through /proc/PID/root. */
static void test_with_the_monitor(void **state)
{
	struct fixture *f = *state;
	struct memory memory = filled(8 * MIB);
	struct mp_relief_peer peer = {getpid(), getpid(), geteuid()};
	struct mp_relief_request request = {.id = 5, .severity = MEMPROBE_WARNING};
	struct mp_relief_reply reply;
	const char *why = NULL;
	char command[256];

	f->handle = memprobe_on_pressure(give_back, &memory);
	assert_int_equal(start(f), 0);
	snprintf(command, sizeof(command), "mkdir -p %s/proc/%d && ln -s ../.. %s/proc/%d/root",
		 f->root, getpid(), f->root, getpid());
	assert_int_equal(system(command), 0);
	assert_int_equal(mp_relief_ask(&(struct mp_fsroot){f->root}, &peer, &request,
				       mp_clock_now_ns() + 5 * SEC, &reply, &why),
			 0);
	assert_int_equal(reply.status, MP_RELIEF_DONE);
	assert_int_equal(reply.callbacks, 1);
	munmap(memory.bytes, memory.len);
}

/* --- peers that are not as they should be --------------------------------------------------------
 */

static void assert_refused(const struct fixture *f, const void *data, size_t len)
{
	MP_CLOSE int fd = connect_to(f, getpid());

	assert_true(fd >= 0);
	assert_int_equal(send(fd, data, len, 0), (ssize_t)len);
	assert_closed(fd);
}

static void test_bad_requests(void **state)
{
	struct fixture *f = *state;
	char longer[4096] = {0};
	struct memory memory = filled(MIB);
	struct mp_relief_request bad = good;

	f->handle = memprobe_on_pressure(give_back, &memory);
	assert_int_equal(start(f), 0);
	memcpy(longer, &good, sizeof(good));
	assert_refused(f, &good, sizeof(good) - 1);
	assert_refused(f, &good, 1);
	assert_refused(f, longer, sizeof(good) + 1);
	assert_refused(f, longer, sizeof(longer));
	bad.magic++;
	assert_refused(f, &bad, sizeof(bad));
	bad = good;
	bad.version = 2;
	assert_refused(f, &bad, sizeof(bad));
	bad = good;
	bad.severity = 4;
	assert_refused(f, &bad, sizeof(bad));
	assert_int_equal(memory.seen.severity, 0); /* nobody was called */
	assert_int_equal(ask(f).callbacks, 1);
	munmap(memory.bytes, memory.len);
}

/* The numbers in a request may be anything. */
static void test_deadlines_of_all_sizes(void **state)
{
	const struct fixture *f = *state;
	static const uint64_t deadlines[] = {60 * SEC, UINT64_MAX, UINT64_MAX / 2};

	assert_int_equal(start(f), 0);
	for (size_t i = 0; i < MP_ARRAY_SIZE(deadlines); i++)
		assert_in_range(ask_for(f, getpid(), deadlines[i]).status, MP_RELIEF_DONE,
				MP_RELIEF_NOTHING);
	assert_in_range(ask_for(f, getpid(), 0).status, MP_RELIEF_DONE, MP_RELIEF_FAILED);
}

/* One that connects and says nothing holds the others up for half a second, and no longer. */
static void test_silent_peers(void **state)
{
	const struct fixture *f = *state;
	MP_CLOSE int silent = -1;
	MP_CLOSE int another = -1;

	assert_int_equal(start(f), 0);
	silent = connect_to(f, getpid());
	another = connect_to(f, getpid());
	assert_true(silent >= 0 && another >= 0);
	assert_in_range(ask(f).status, MP_RELIEF_DONE, MP_RELIEF_NOTHING);
	assert_closed(silent);
	assert_closed(another);
}

static void test_gone_before_it_asks(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(start(f), 0);
	for (int i = 0; i < 20; i++)
		close(connect_to(f, getpid()));
	assert_in_range(ask(f).status, MP_RELIEF_DONE, MP_RELIEF_NOTHING);
}

static int exit_code_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* In a child that is somebody else. 42: closed without an answer. */
static int ask_as_nobody(const char *path)
{
	struct mp_relief_reply reply;
	int fd;

	if (setresuid(NOBODY, NOBODY, NOBODY))
		return 1;
	fd = connect_at(path);
	if (fd < 0)
		return fd == -EACCES ? 43 : 2;
	(void)!send(fd, &good, sizeof(good), MSG_NOSIGNAL);
	return recv(fd, &reply, sizeof(reply), 0) > 0 ? 3 : 42;
}

static void test_other_users(void **state)
{
	const struct fixture *f = *state;
	char path[128];
	pid_t pid;

	if (geteuid() != 0) {
		print_message("only root can become somebody else\n");
		skip();
	}
	path_of(f, getpid(), path);
	assert_int_equal(start(f), 0);
	pid = fork();
	if (pid == 0)
		_exit(ask_as_nobody(path));
	assert_int_equal(exit_code_of(pid), 43);
	/* Should the file ever be open to them, they are still seen for who they are. */
	assert_int_equal(chmod(path, 0666), 0);
	pid = fork();
	if (pid == 0)
		_exit(ask_as_nobody(path));
	assert_int_equal(exit_code_of(pid), 42);
}

/* --- callbacks that hang
 * --------------------------------------------------------------------------- */

struct held {
	sem_t inside;
	sem_t let_go;
	struct memory memory;
};

static uint64_t give_back_and_hang(const struct memprobe_pressure *pressure, void *data)
{
	struct held *held = data;

	if (held->memory.bytes)
		give_back(pressure, &held->memory);
	sem_post(&held->inside);
	sem_wait(&held->let_go);
	return 0;
}

static void held_init(struct held *held)
{
	*held = (struct held){0};
	sem_init(&held->inside, 0, 0);
	sem_init(&held->let_go, 0, 0);
}

static void test_a_callback_that_hangs(void **state)
{
	struct fixture *f = *state;
	struct mp_relief_reply reply;
	struct held held;

	held_init(&held);
	f->handle = memprobe_on_pressure(give_back_and_hang, &held);
	assert_int_equal(start(f), 0);
	reply = ask_for(f, getpid(), SEC / 50);
	assert_int_equal(reply.status, MP_RELIEF_FAILED);
	assert_int_equal(reply.freed_bytes, 0);
	assert_int_equal(reply.callbacks, 1);
	/* three quarters of the time that there was */
	assert_true(reply.duration_ns >= SEC / 50 * 3 / 4);
	for (int i = 0; i < 3; i++) {
		reply = ask(f);
		assert_int_equal(reply.status, MP_RELIEF_BUSY);
		assert_int_equal(reply.callbacks, 0);
		assert_int_equal(reply.freed_bytes, 0);
	}
	sem_post(&held.let_go);
	sem_post(&held.let_go);
	assert_in_range(ask_until_not_busy(f).status, MP_RELIEF_DONE, MP_RELIEF_NOTHING);
}

static void test_what_was_freed_until_then(void **state)
{
	struct fixture *f = *state;
	struct mp_relief_reply reply;
	struct held held;

	held_init(&held);
	held.memory = filled(64 * MIB);
	f->handle = memprobe_on_pressure(give_back_and_hang, &held);
	assert_int_equal(start(f), 0);
	reply = ask_for(f, getpid(), SEC / 2);
	assert_int_equal(reply.status, MP_RELIEF_DONE);
	assert_in_range(reply.freed_bytes, 60 * MIB, 68 * MIB);
	sem_post(&held.let_go);
	munmap(held.memory.bytes, held.memory.len);
}

/* The monitor has given up; what it has asked for is still being done. */
static void test_a_peer_that_leaves(void **state)
{
	struct fixture *f = *state;
	struct held held;
	int fd;

	held_init(&held);
	f->handle = memprobe_on_pressure(give_back_and_hang, &held);
	assert_int_equal(start(f), 0);
	fd = connect_to(f, getpid());
	assert_int_equal(send(fd, &good, sizeof(good), 0), sizeof(good));
	sem_wait(&held.inside);
	close(fd);
	assert_int_equal(ask(f).status, MP_RELIEF_BUSY);
	/* One that goes on talking instead of waiting is left. */
	sem_post(&held.let_go);
	sem_post(&held.let_go);
	ask_until_not_busy(f);
	fd = connect_to(f, getpid());
	assert_int_equal(send(fd, &good, sizeof(good), 0), sizeof(good));
	(void)!send(fd, &good, sizeof(good), MSG_NOSIGNAL);
	sem_post(&held.let_go);
	sem_post(&held.let_go);
	close(fd);
	assert_in_range(ask_until_not_busy(f).status, MP_RELIEF_DONE, MP_RELIEF_NOTHING);
}

static void test_a_peer_that_goes_on_talking(void **state)
{
	struct fixture *f = *state;
	struct held held;
	int fd;

	held_init(&held);
	f->handle = memprobe_on_pressure(give_back_and_hang, &held);
	assert_int_equal(start(f), 0);
	fd = connect_to(f, getpid());
	assert_int_equal(send(fd, &good, sizeof(good), 0), sizeof(good));
	sem_wait(&held.inside);
	assert_int_equal(send(fd, &good, sizeof(good), 0), sizeof(good));
	assert_closed(fd);
	close(fd);
	sem_post(&held.let_go);
}

static uint64_t stop_within(const struct memprobe_pressure *pressure, void *data)
{
	int *ret = data;

	(void)pressure;
	errno = 0;
	ret[0] = memprobe_agent_stop();
	ret[1] = errno;
	ret[2] = memprobe_agent_start();
	return 0;
}

static uint64_t unregister(const struct memprobe_pressure *pressure, void *data)
{
	(void)pressure;
	memprobe_off_pressure(*(int *)data);
	return 0;
}

static void test_calls_from_callbacks(void **state)
{
	struct fixture *f = *state;
	int ret[3] = {0};
	int once;

	once = memprobe_on_pressure(unregister, &once);
	f->handle = memprobe_on_pressure(stop_within, ret);
	assert_int_equal(start(f), 0);
	assert_int_equal(ask(f).callbacks, 2);
	assert_int_equal(ret[0], -1);
	assert_int_equal(ret[1], EDEADLK);
	assert_int_equal(ret[2], 0);
	assert_int_equal(ask(f).callbacks, 1);
}

/* The program itself is in its callbacks: the agent does not wait for longer than it may. */
static void *relieve_thread(void *data)
{
	(void)data;
	memprobe_relieve(NULL);
	return NULL;
}

static void test_while_the_program_asks_itself(void **state)
{
	struct fixture *f = *state;
	struct mp_relief_reply reply;
	pthread_t thread;
	struct held held;

	held_init(&held);
	f->handle = memprobe_on_pressure(give_back_and_hang, &held);
	assert_int_equal(start(f), 0);
	assert_int_equal(pthread_create(&thread, NULL, relieve_thread, NULL), 0);
	sem_wait(&held.inside);
	reply = ask_for(f, getpid(), SEC / 50);
	assert_int_equal(reply.status, MP_RELIEF_FAILED);
	assert_int_equal(reply.callbacks, 0);
	sem_post(&held.let_go);
	sem_post(&held.let_go);
	pthread_join(thread, NULL);
}

/* --- the file
 * ---------------------------------------------------------------------------------------- */

static void test_start_and_stop(void **state)
{
	const struct fixture *f = *state;

	assert_int_equal(memprobe_agent_stop(), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(start(f), 0);
		assert_int_equal(start(f), 0);
		assert_true(is_there(f, getpid()));
		ask(f);
		assert_int_equal(memprobe_agent_stop(), 0);
		assert_false(is_there(f, getpid()));
		assert_int_equal(memprobe_agent_stop(), 0);
	}
}

static void test_mode(void **state)
{
	static const mode_t masks[] = {0, 022, 077};
	const struct fixture *f = *state;
	char path[128];
	struct stat st;

	for (size_t i = 0; i < MP_ARRAY_SIZE(masks); i++) {
		mode_t before = umask(masks[i]);
		int err = start(f);

		umask(before);
		assert_int_equal(err, 0);
		assert_int_equal(lstat(path_of(f, getpid(), path), &st), 0);
		assert_int_equal(st.st_mode, S_IFSOCK | 0600);
		memprobe_agent_stop();
	}
}

static int bind_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void write_at(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static void test_what_was_there_before(void **state)
{
	const struct fixture *f = *state;
	char path[128];
	int fd;

	path_of(f, getpid(), path);
	fd = bind_at(path); /* of an earlier process: nobody listens */
	assert_int_equal(start(f), 0);
	close(fd);
	ask(f);
	memprobe_agent_stop();
	fd = bind_at(path); /* of one in another pid namespace */
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(start(f), -EADDRINUSE);
	assert_true(is_there(f, getpid()));
	close(fd);
	unlink(path);
	write_at(path);
	assert_int_equal(start(f), -EEXIST);
	assert_true(is_there(f, getpid()));
	unlink(path);
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_int_equal(start(f), -EEXIST);
	assert_true(is_there(f, getpid()));
	unlink(path);
	assert_int_equal(start(f), 0);
}

static void test_somebody_elses_is_left(void **state)
{
	const struct fixture *f = *state;
	char path[128];

	assert_int_equal(start(f), 0);
	assert_int_equal(unlink(path_of(f, getpid(), path)), 0);
	write_at(path);
	memprobe_agent_stop();
	assert_true(is_there(f, getpid()));
}

static void test_no_place_for_it(void **state)
{
	struct mp_lib_agent_options options = {.root = "/nonexistent"};
	char root[200];

	(void)state;
	assert_int_equal(mp_lib_agent_start(&options), -ENOENT);
	memset(root, 'x', sizeof(root) - 1);
	root[0] = '/';
	root[sizeof(root) - 1] = '\0';
	options.root = root;
	assert_int_equal(mp_lib_agent_start(&options), -ENAMETOOLONG);
}

/* --- other processes, other users
 * --------------------------------------------------------------------- */

/* A child of a test, which runs `fn` with the agent of this process, or what is left of it. */
static pid_t child_of(const struct fixture *f, int (*fn)(const struct fixture *))
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(fn(f));
	assert_true(pid > 0);
	return pid;
}

static int do_nothing(const struct fixture *f)
{
	(void)f;
	return memprobe_agent_stop() ? 1 : 42;
}

static int have_own(const struct fixture *f)
{
	if (start(f) || !is_there(f, getpid()))
		return 1;
	if (ask(f).callbacks != 0)
		return 2;
	memprobe_agent_stop();
	return is_there(f, getpid()) ? 3 : 42;
}

static void test_children(void **state)
{
	const struct fixture *f = *state;
	pid_t pid;

	assert_int_equal(start(f), 0);
	assert_int_equal(exit_code_of(child_of(f, do_nothing)), 42);
	assert_true(is_there(f, getpid()));
	assert_int_equal(exit_code_of(child_of(f, have_own)), 42);
	ask(f);
	/* By exit(), with all that is done then. */
	pid = fork();
	if (pid == 0)
		exit(0);
	exit_code_of(pid);
	assert_true(is_there(f, getpid()));
	ask(f);
}

static uint64_t fork_within(const struct memprobe_pressure *pressure, void *data)
{
	(void)pressure;
	*(pid_t *)data = fork();
	if (*(pid_t *)data == 0)
		alarm(5);
	return 0;
}

/* In the child the agent's thread is all there is, and ends when the callback has. */
static void test_a_callback_that_forks(void **state)
{
	struct fixture *f = *state;
	pid_t pid = -1;

	f->handle = memprobe_on_pressure(fork_within, &pid);
	assert_int_equal(start(f), 0);
	assert_int_equal(ask(f).callbacks, 1);
	assert_true(pid > 0);
	assert_int_equal(exit_code_of(pid), 0);
	ask(f);
	exit_code_of(pid);
}

/* Its child tells when it is ready; what it does then lasts until it is killed. */
static pid_t ready_child(int (*fn)(const struct fixture *), const struct fixture *f)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		if (fn(f))
			_exit(1);
		(void)!write(ready[1], "r", 1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void end_child(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* All of its files, but the pipe to the test, are others by now. */
static int start_and_close_all(const struct fixture *f)
{
	int pair[2];

	if (start(f))
		return 1;
	for (int fd = 3; fd < 256; fd++) {
		struct stat st;

		if (fstat(fd, &st) == 0 && !S_ISFIFO(st.st_mode))
			close(fd);
	}
	for (int i = 0; i < 100; i++) {
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
			return 2;
	}
	return 0;
}

static void test_a_program_that_closes_all_files(void **state)
{
	const struct fixture *f = *state;
	pid_t pid = ready_child(start_and_close_all, f);

	assert_in_range(ask_for(f, pid, 5 * SEC).status, MP_RELIEF_DONE, MP_RELIEF_NOTHING);
	end_child(pid);
}

static unsigned int count_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void test_no_file_of_it_is_the_programs(void **state)
{
	const struct fixture *f = *state;
	unsigned int before = count_files();

	assert_int_equal(start(f), 0);
	assert_int_equal(count_files(), before);
}

static int start_and_become_nobody(const struct fixture *f)
{
	return start(f) || setresuid(NOBODY, NOBODY, NOBODY);
}

static uid_t uid_shown(const struct fixture *f, pid_t pid)
{
	MP_CLOSE int fd = connect_to(f, pid);
	struct ucred who = {0};
	socklen_t len = sizeof(who);

	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len), 0);
	assert_int_equal(who.pid, pid);
	return who.uid;
}

/* Whoever connects from then on sees the user that it has become. */
static void test_a_change_of_user(void **state)
{
	const struct fixture *f = *state;
	pid_t pid;

	if (geteuid() != 0) {
		print_message("only root can become somebody else\n");
		skip();
	}
	pid = ready_child(start_and_become_nobody, f);
	while (uid_shown(f, pid) != NOBODY)
		usleep(1000);
	assert_in_range(ask_for(f, pid, 5 * SEC).status, MP_RELIEF_DONE, MP_RELIEF_NOTHING);
	end_child(pid);
}

/* --- threads
 * -----------------------------------------------------------------------------------------------
 */

struct thread {
	int n;
	unsigned long long blocked;
};

static void look_at(const char *tid, struct thread *agent, struct thread *relief)
{
	char path[64];
	char line[256];
	struct thread *found = NULL;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%.16s/status", tid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		if (strcmp(line, "Name:\tmemprobe-agent\n") == 0)
			found = agent;
		else if (strcmp(line, "Name:\tmemprobe-relief\n") == 0)
			found = relief;
		else if (found && strncmp(line, "SigBlk:", 7) == 0)
			found->blocked = strtoull(line + 7, NULL, 16);
	}
	if (found)
		found->n++;
	if (file)
		fclose(file);
}

static void test_signals_are_blocked(void **state)
{
	static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
	static const int others[] = {SIGKILL, SIGSTOP, 32, 33};
	const struct fixture *f = *state;
	unsigned long long expected = ~0ULL;
	struct thread agent = {0};
	struct thread relief = {0};
	struct dirent *entry;
	DIR *dir;

	assert_int_equal(start(f), 0);
	ask(f); /* the worker has begun */
	dir = opendir("/proc/self/task");
	while ((entry = readdir(dir)))
		look_at(entry->d_name, &agent, &relief);
	closedir(dir);
	for (size_t i = 0; i < MP_ARRAY_SIZE(own); i++)
		expected &= ~(1ULL << (own[i] - 1));
	for (size_t i = 0; i < MP_ARRAY_SIZE(others); i++)
		expected &= ~(1ULL << (others[i] - 1));
	assert_int_equal(agent.n, 1);
	assert_int_equal(relief.n, 1);
	assert_true(agent.blocked == expected);
	assert_true(relief.blocked == expected);
}

/* --- $MEMORY_PRESSURE_WATCH
 * -------------------------------------------------------------------------------- */

static int listen_stream(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

struct told {
	sem_t sem;
	struct memprobe_pressure seen;
};

static uint64_t tell(const struct memprobe_pressure *pressure, void *data)
{
	struct told *told = data;

	told->seen = *pressure;
	sem_post(&told->sem);
	return 0;
}

static void start_watching(struct fixture *f, struct told *told, const char *watch,
			   const char *write)
{
	struct mp_lib_agent_options options = {.root = f->root, .watch = watch, .write = write};

	sem_init(&told->sem, 0, 0);
	f->handle = memprobe_on_pressure(tell, told);
	assert_int_equal(mp_lib_agent_start(&options), 0);
}

static void test_watch_a_socket(void **state)
{
	struct fixture *f = *state;
	MP_CLOSE int listening = -1;
	MP_CLOSE int peer = -1;
	struct told told = {0};
	char path[128];
	char text[16] = "";

	snprintf(path, sizeof(path), "%s/watch", f->root);
	listening = listen_stream(path);
	start_watching(f, &told, path, "AGhlbGxvCg==");
	peer = accept(listening, NULL, NULL);
	assert_int_equal(recv(peer, text, sizeof(text), 0), 7);
	assert_memory_equal(text, "\0hello\n", 7);
	assert_int_equal(send(peer, "\n\n\n", 3, 0), 3);
	sem_wait(&told.sem);
	assert_int_equal(told.seen.severity, MEMPROBE_GC);
	assert_int_equal(told.seen.wanted_bytes, 0);
	close(mp_take_fd(&peer)); /* that is no pressure, and no harm */
	ask_until_not_busy(f);
}

static void test_watch_a_fifo(void **state)
{
	struct fixture *f = *state;
	MP_CLOSE int fd = -1;
	struct told told = {0};
	char path[128];

	snprintf(path, sizeof(path), "%s/watch", f->root);
	assert_int_equal(mkfifo(path, 0600), 0);
	start_watching(f, &told, path, NULL);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(write(fd, "x", 1), 1);
	sem_wait(&told.sem);
	assert_int_equal(told.seen.severity, MEMPROBE_GC);
}

/* Whatever the variables hold, the agent is there for the monitor. */
static void test_watch_something_else(void **state)
{
	struct fixture *f = *state;
	struct told told = {0};
	char path[128];

	snprintf(path, sizeof(path), "%s/watch", f->root);
	write_at(path);
	start_watching(f, &told, path, "c29tZSAyMDAwMDAgMjAwMDAwMAA=");
	assert_int_equal(ask(f).callbacks, 1);
}

static int watch(const char *path, const char *data)
{
	struct mp_lib_watch opened = {.fd = -1};
	int err = mp_lib_watch_open(path, data, &opened);

	mp_close_p(&opened.fd);
	return err;
}

static void test_watch_errors(void **state)
{
	const struct fixture *f = *state;
	MP_CLOSE int fd = -1;
	char fifo[128];
	char path[256];
	char text[8];

	snprintf(fifo, sizeof(fifo), "%s/fifo", f->root);
	snprintf(path, sizeof(path), "%s/file", f->root);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	write_at(path);
	assert_int_equal(watch(NULL, NULL), -ENOENT);
	assert_int_equal(watch("/dev/null", NULL), -ENOENT);
	assert_int_equal(watch("/nonexistent", NULL), -ENOENT);
	assert_int_equal(watch("relative", NULL), -EINVAL);
	assert_int_equal(watch("", NULL), -EINVAL);
	assert_int_equal(watch("/dev/zero", NULL), -EINVAL);
	assert_int_equal(watch("/tmp", NULL), -EINVAL);
	/* What is no PSI file is not written to. */
	assert_int_equal(watch(path, "AAAA"), -EINVAL);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(watch(fifo, "A"), -EINVAL);
	assert_int_equal(watch(fifo, "AAA"), -EINVAL);
	assert_int_equal(watch(fifo, "AAA?"), -EINVAL);
	assert_int_equal(watch(fifo, "A==="), -EINVAL);
	assert_int_equal(watch(fifo, "AA==AAAA"), -EINVAL);
	assert_int_equal(watch(fifo, "AA=A"), -EINVAL);
	assert_int_equal(watch(fifo, "AAAA\n"), -EINVAL);
	fd = open(fifo, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	assert_int_equal(watch(fifo, ""), 0);
	assert_int_equal(read(fd, text, sizeof(text)), -1);
	assert_int_equal(watch(fifo, "/+8="), 0);
	assert_int_equal(read(fd, text, sizeof(text)), 2);
	assert_memory_equal(text, "\xff\xef", 2);
}

static void test_watch_data_that_is_too_long(void **state)
{
	const struct fixture *f = *state;
	MP_CLOSE int fd = -1;
	char data[1024] = "";
	char fifo[128];
	char text[1024];

	snprintf(fifo, sizeof(fifo), "%s/fifo", f->root);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	fd = open(fifo, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	memset(data, 'A', 680); /* 510 bytes */
	assert_int_equal(watch(fifo, data), 0);
	assert_int_equal(read(fd, text, sizeof(text)), 510);
	memset(data, 'A', 684);
	assert_int_equal(watch(fifo, data), -EINVAL);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_gives_back),
		TEST(test_nothing_to_give),
		TEST(test_with_the_monitor),
		TEST(test_bad_requests),
		TEST(test_deadlines_of_all_sizes),
		TEST(test_silent_peers),
		TEST(test_gone_before_it_asks),
		TEST(test_other_users),
		TEST(test_a_callback_that_hangs),
		TEST(test_what_was_freed_until_then),
		TEST(test_a_peer_that_leaves),
		TEST(test_a_peer_that_goes_on_talking),
		TEST(test_calls_from_callbacks),
		TEST(test_while_the_program_asks_itself),
		TEST(test_start_and_stop),
		TEST(test_mode),
		TEST(test_what_was_there_before),
		TEST(test_somebody_elses_is_left),
		TEST(test_no_place_for_it),
		TEST(test_children),
		TEST(test_a_callback_that_forks),
		TEST(test_a_program_that_closes_all_files),
		TEST(test_no_file_of_it_is_the_programs),
		TEST(test_a_change_of_user),
		TEST(test_signals_are_blocked),
		TEST(test_watch_a_socket),
		TEST(test_watch_a_fifo),
		TEST(test_watch_something_else),
		TEST(test_watch_errors),
		TEST(test_watch_data_that_is_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
