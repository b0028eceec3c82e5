// SPDX-License-Identifier: GPL-2.0-only
#include "inject/injector.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "base/array.h"
#include "base/clock.h"
#include "inject/private.h"
#include "inject/program.h"
#include "inject/session.h"
#include "target/target.h"

#define NS_PER_MS 1000000ULL
#define NS_PER_SEC 1000000000ULL

#define PATIENCE_NS (2 * NS_PER_SEC) /* an interpreter that has not answered by then is blocked */
#define START_NS (10 * NS_PER_SEC)   /* how long one may take to start */
#define START_PAUSE_NS (10 * NS_PER_MS)
#define FIRST_LOOK_NS (5 * NS_PER_MS)
#define LOOK_NS (200 * NS_PER_MS)
/* How long a Python may take to load what its environment names. */
#define ENV_NS (1 * NS_PER_SEC)
#define ENV_LOOK_NS (20 * NS_PER_MS)

/* A process that is, or was, a Python. */
struct process {
	struct mp_python python;
	struct mp_program_id program;
	struct mp_session *session; /* NULL: not yet, or it failed, or has the points by a fork */
	uint64_t added_ns;
	uint64_t begun_ns; /* 0: it has no session of its own */
	uint64_t begun_ticks;
	uint64_t answered_ns; /* 0: not yet */
	uint64_t next_ns;     /* when to look again; 0: never */
	bool told_waiting;
	bool uses_env; /* has its points by the environment, or is about to */
};

struct report {
	struct report *next;
	struct mp_injected injected;
	struct mp_result result; /* whose strings it has */
	char *reason;
	char *binary;
};

struct mp_injector {
	struct mp_injector_options o;
	struct mp_session_options session;
	pthread_t thread;
	bool is_running;
	int event_fd;

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t work;
	pid_t *asked; /* to be looked at; negative: to be forgotten */
	size_t n_asked;
	size_t cap_asked;
	uint64_t end_ns; /* 0: not to end */
	struct report *reports;
	struct report **last_report;

	struct process *processes; /* the thread's own, as what follows */
	size_t n;
	size_t cap;
	uint64_t answers_ns; /* when to look for answers of others */
	uint64_t busy_until_ns;
};

/* --- what is told -------------------------------------------------------------------------- */

static void report_free(struct report *r)
{
	if (!r)
		return;
	mp_result_free(&r->result);
	free(r->reason);
	free(r->binary);
	free(r);
}

static void put_report(struct mp_injector *inj, struct report *r)
{
	pthread_mutex_lock(&inj->lock);
	*inj->last_report = r;
	inj->last_report = &r->next;
	pthread_mutex_unlock(&inj->lock);
	eventfd_write(inj->event_fd, 1);
}

static struct report *new_report(const struct process *p)
{
	struct report *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->injected.pid = p->python.pid;
	r->injected.point = SIZE_MAX;
	r->binary = p->python.binary[0] ? strdup(p->python.binary) : NULL;
	r->injected.binary = r->binary;
	return r;
}

/* Of all points. Without memory nothing is told: the event stream has no more, either. */
static void tell_all(struct mp_injector *inj, const struct process *p, enum mp_site_status status,
		     int error, const char *text)
{
	struct report *r = new_report(p);

	if (!r)
		return;
	if (asprintf(&r->reason, "process %d: %s", (int)p->python.pid, text) < 0)
		r->reason = NULL;
	r->injected.reason = r->reason;
	r->injected.status = status;
	r->injected.denied = error == -EPERM || error == -EACCES;
	put_report(inj, r);
}

static void tell_result(struct mp_injector *inj, const struct process *p, struct mp_result *result)
{
	struct report *r = new_report(p);

	if (!r)
		return;
	r->result = *result;
	*result = (struct mp_result){0};
	r->injected.python = r->result.python;
	r->injected.stopped_ns = p->session ? mp_session_stopped_ns(p->session) : 0;
	put_report(inj, r);
}

/* Of a process that had its points by the environment: which one it is does not matter. */
static void tell_answer(void *data, struct mp_result *result)
{
	static const struct process some = {.python = {.pid = 0}};

	tell_result(data, &some, result);
}

/* --- one process ---------------------------------------------------------------------------- */

static struct process *find_process(const struct mp_injector *inj, pid_t pid)
{
	for (size_t i = 0; i < inj->n; i++) {
		if (inj->processes[i].python.pid == pid)
			return &inj->processes[i];
	}
	return NULL;
}

static void drop_process(struct mp_injector *inj, struct process *p)
{
	mp_session_free(p->session);
	*p = inj->processes[--inj->n];
}

/*
 * Whether it was forked from a process of ours that had the points already: then it has them,
 * too. One that was forked before that has not.
 */
static bool has_inherited(const struct mp_injector *inj, const struct process *child)
{
	for (size_t i = 0; i < inj->n; i++) {
		const struct process *p = &inj->processes[i];

		if (p != child && p->begun_ns && mp_program_is_copy(&p->program, &child->program) &&
		    child->program.start_time >= p->begun_ticks &&
		    mp_program_has_markers(inj->o.fs, child->python.pid))
			return true;
	}
	return false;
}

static bool is_starting(const struct process *p, uint64_t now)
{
	return now - p->added_ns < START_NS;
}

static void begin_session(struct mp_injector *inj, struct process *p)
{
	const uint64_t now = mp_clock_now_ns();
	const uint64_t ticks = mp_program_ticks_now();
	struct mp_error err = {0};
	int error = mp_session_begin(&inj->session, &p->python, &p->session, &err);

	p->next_ns = 0;
	if (!error) {
		p->begun_ns = now;
		p->begun_ticks = ticks;
		p->next_ns = now + FIRST_LOOK_NS;
	} else if (error == -EAGAIN && is_starting(p, now)) {
		p->next_ns = now + START_PAUSE_NS;
	} else if (error != -ESRCH) {
		tell_all(inj, p, MP_SITE_FAILED, error, err.text);
	}
}

static void read_answer(struct mp_injector *inj, struct process *p)
{
	MP_RESULT struct mp_result result = {0};
	struct mp_error err = {0};
	const uint64_t now = mp_clock_now_ns();
	int error = mp_session_read(p->session, &result, &err);

	p->next_ns = now + (p->answered_ns || p->told_waiting ? LOOK_NS : FIRST_LOOK_NS);
	if (!error) {
		p->answered_ns = p->answered_ns ? p->answered_ns : now;
		tell_result(inj, p, &result);
	} else if (error != -EAGAIN) {
		tell_all(inj, p, MP_SITE_FAILED, error, err.text);
		p->next_ns = 0;
	} else if (!p->answered_ns && !p->told_waiting && now - p->begun_ns > PATIENCE_NS) {
		p->told_waiting = true;
		tell_all(
			inj, p, MP_SITE_WAITING, 0,
			"its main thread has run no Python code yet: it is blocked in native code, "
			"or stopped");
	}
}

/* One that passes its environment over, or has lost it, is injected. */
static void wait_for_env(struct mp_injector *inj, struct process *p)
{
	const uint64_t now = mp_clock_now_ns();

	p->next_ns = 0;
	if (mp_program_has_markers(inj->o.fs, p->python.pid))
		return;
	if (now - p->added_ns < ENV_NS) {
		p->next_ns = now + ENV_LOOK_NS;
		return;
	}
	p->uses_env = false;
	begin_session(inj, p);
}

static void begin(struct mp_injector *inj, struct process *p)
{
	p->uses_env = inj->o.answers && mp_env_is_used(inj->o.fs, p->python.pid, inj->o.answers);
	if (p->uses_env)
		wait_for_env(inj, p);
	else if (!has_inherited(inj, p))
		begin_session(inj, p);
}

static void look_at(struct mp_injector *inj, pid_t pid)
{
	struct process now = {.python = {.pid = pid}, .added_ns = mp_clock_now_ns()};
	struct process *known = find_process(inj, pid);
	struct mp_error err = {0};
	int error = mp_program_id_read(inj->o.fs, pid, &now.program);

	/* Told again for whatever it has mapped. */
	if (known && !error && mp_program_is_same(&known->program, &now.program))
		return;
	if (known)
		drop_process(inj, known);
	error = error ?: mp_python_inspect(inj->o.fs, pid, &now.python, &err);
	if (error == -ENOENT || error == -ESRCH)
		return;
	if (error && !err.text[0])
		mp_fail(&err, MP_EXIT_PRIVILEGE, -error,
			"its memory cannot be read: CAP_SYS_PTRACE is needed, run with sudo");
	if (error) {
		tell_all(inj, &now, MP_SITE_FAILED, error, err.text);
		return;
	}
	if (MP_RESERVE_ONE(inj->processes, inj->n, inj->cap))
		return;
	known = &inj->processes[inj->n++];
	*known = now;
	begin(inj, known);
}

static void look_again(struct mp_injector *inj, struct process *p)
{
	if (mp_python_still_there(inj->o.fs, &p->python))
		drop_process(inj, p);
	else if (p->session)
		read_answer(inj, p);
	else if (p->uses_env)
		wait_for_env(inj, p);
	else
		begin_session(inj, p);
}

static void look_for_answers(struct mp_injector *inj)
{
	const uint64_t now = mp_clock_now_ns();

	if (!inj->o.answers || now < inj->answers_ns)
		return;
	mp_env_read_answers(inj->o.answers, tell_answer, inj);
	inj->answers_ns = now + (now < inj->busy_until_ns ? ENV_LOOK_NS : LOOK_NS);
}

/* --- the thread ------------------------------------------------------------------------------- */

/* When there is something to do without being asked; 0: never. */
static uint64_t next_look(const struct mp_injector *inj)
{
	uint64_t next = inj->answers_ns;

	for (size_t i = 0; i < inj->n; i++) {
		uint64_t at = inj->processes[i].next_ns;

		if (at && (!next || at < next))
			next = at;
	}
	return next;
}

static void look_at_due(struct mp_injector *inj)
{
	/* Backwards: one that is dropped has the last put in its place. */
	for (size_t i = inj->n; i-- > 0;) {
		struct process *p = &inj->processes[i];

		if (p->next_ns && p->next_ns <= mp_clock_now_ns())
			look_again(inj, p);
	}
}

/* With the lock held. */
static void wait_for_work(struct mp_injector *inj)
{
	const uint64_t next = next_look(inj);
	const struct timespec until = {.tv_sec = (time_t)(next / NS_PER_SEC),
				       .tv_nsec = (long)(next % NS_PER_SEC)};

	if (inj->n_asked || inj->end_ns)
		return;
	if (next)
		pthread_cond_timedwait(&inj->work, &inj->lock, &until);
	else
		pthread_cond_wait(&inj->work, &inj->lock);
}

/* Returns whether there was one. */
static bool take_asked(struct mp_injector *inj, pid_t *ret)
{
	bool found;

	pthread_mutex_lock(&inj->lock);
	wait_for_work(inj);
	found = inj->n_asked > 0;
	if (found) {
		*ret = inj->asked[0];
		memmove(inj->asked, inj->asked + 1, --inj->n_asked * sizeof(*inj->asked));
	}
	pthread_mutex_unlock(&inj->lock);
	return found;
}

static uint64_t end_time(struct mp_injector *inj)
{
	uint64_t end_ns;

	pthread_mutex_lock(&inj->lock);
	end_ns = inj->end_ns;
	pthread_mutex_unlock(&inj->lock);
	return end_ns;
}

static void handle(struct mp_injector *inj, pid_t asked)
{
	struct process *gone = asked < 0 ? find_process(inj, -asked) : NULL;

	if (gone)
		drop_process(inj, gone);
	else if (asked > 0)
		look_at(inj, asked);
	inj->busy_until_ns = mp_clock_now_ns() + PATIENCE_NS;
	inj->answers_ns = inj->o.answers ? 1 : 0;
}

static void begin_removal(struct mp_injector *inj, uint64_t until_ns)
{
	struct mp_error err;

	for (size_t i = 0; i < inj->n; i++) {
		struct process *p = &inj->processes[i];

		p->next_ns = 0;
		if (p->session && p->answered_ns && mp_clock_now_ns() < until_ns &&
		    mp_session_remove(p->session, &err) == 0)
			p->next_ns = 1; /* to be waited for */
	}
}

static bool all_removed(struct mp_injector *inj)
{
	size_t waiting = 0;

	for (size_t i = 0; i < inj->n; i++) {
		struct process *p = &inj->processes[i];

		if (!p->next_ns)
			continue;
		if (mp_session_removed(p->session) || mp_python_still_there(inj->o.fs, &p->python))
			p->next_ns = 0;
		else
			waiting++;
	}
	return waiting == 0;
}

static void remove_all(struct mp_injector *inj, uint64_t until_ns)
{
	const struct timespec nap = {.tv_nsec = (long)(FIRST_LOOK_NS / 2)};

	begin_removal(inj, until_ns);
	while (!all_removed(inj) && mp_clock_now_ns() < until_ns)
		nanosleep(&nap, NULL);
	while (inj->n)
		drop_process(inj, &inj->processes[0]);
}

static void *injector_main(void *data)
{
	struct mp_injector *inj = data;
	uint64_t end_ns;
	pid_t asked;

	if (inj->o.on_start)
		inj->o.on_start();
	while (!(end_ns = end_time(inj))) {
		if (take_asked(inj, &asked))
			handle(inj, asked);
		look_at_due(inj);
		look_for_answers(inj);
	}
	remove_all(inj, end_ns);
	inj->answers_ns = 0;
	look_for_answers(inj);
	return NULL;
}

/* --- for the loop ------------------------------------------------------------------------------
 */

static int init_locks(struct mp_injector *inj)
{
	pthread_condattr_t attr;
	int err;

	pthread_mutex_init(&inj->lock, NULL);
	err = pthread_condattr_init(&attr);
	if (!err)
		err = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	if (!err)
		err = pthread_cond_init(&inj->work, &attr);
	pthread_condattr_destroy(&attr);
	return -err;
}

/* Signals are for the monitor's own thread. */
static int start_thread(struct mp_injector *inj)
{
	sigset_t blocked;
	sigset_t before;
	int err;

	sigfillset(&blocked);
	pthread_sigmask(SIG_SETMASK, &blocked, &before);
	err = pthread_create(&inj->thread, NULL, injector_main, inj);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	inj->is_running = !err;
	return -err;
}

struct mp_injector *mp_injector_new(const struct mp_injector_options *options)
{
	struct mp_injector *inj = calloc(1, sizeof(*inj));
	int err;

	if (!inj)
		return NULL;
	inj->o = *options;
	inj->session = (struct mp_session_options){.fs = options->fs, .points = options->points};
	inj->last_report = &inj->reports;
	inj->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = inj->event_fd < 0 ? -errno : 0;
	if (options->answers)
		strcpy(inj->session.token, options->answers->token);
	else
		err = err ?: mp_script_make_token(inj->session.token);
	err = err ?: init_locks(inj);
	err = err ?: start_thread(inj);
	if (!err)
		return inj;
	mp_injector_free(inj);
	errno = -err;
	return NULL;
}

int mp_injector_fd(const struct mp_injector *inj)
{
	return inj->event_fd;
}

static int ask(struct mp_injector *inj, pid_t pid)
{
	int err = 0;

	pthread_mutex_lock(&inj->lock);
	for (size_t i = 0; i < inj->n_asked && !err; i++)
		err = inj->asked[i] == pid ? 1 : 0;
	if (!err)
		err = MP_RESERVE_ONE(inj->asked, inj->n_asked, inj->cap_asked);
	if (!err)
		inj->asked[inj->n_asked++] = pid;
	pthread_cond_signal(&inj->work);
	pthread_mutex_unlock(&inj->lock);
	return err < 0 ? err : 0;
}

int mp_injector_add(struct mp_injector *inj, pid_t pid)
{
	return ask(inj, pid);
}

void mp_injector_remove(struct mp_injector *inj, pid_t pid)
{
	ask(inj, -pid);
}

static struct report *take_report(struct mp_injector *inj)
{
	struct report *r;

	pthread_mutex_lock(&inj->lock);
	r = inj->reports;
	if (r)
		inj->reports = r->next;
	if (!inj->reports)
		inj->last_report = &inj->reports;
	pthread_mutex_unlock(&inj->lock);
	return r;
}

static size_t point_index(const struct mp_points *points, const char *name)
{
	for (size_t i = 0; i < points->n; i++) {
		if (points->items[i].python && strcmp(points->items[i].name, name) == 0)
			return i;
	}
	return SIZE_MAX;
}

/* The target may say what it likes: points that it was not given are passed over. */
static void hand_over_points(const struct mp_injector *inj, const struct report *r,
			     mp_injected_fn fn, void *data)
{
	for (size_t i = 0; i < r->result.n_points; i++) {
		const struct mp_result_point *point = &r->result.points[i];
		struct mp_injected injected = r->injected;

		injected.point = point_index(inj->o.points, point->name);
		injected.status = point->status;
		injected.functions = (const char *const *)point->functions;
		injected.n_functions = point->n_functions;
		injected.reason = point->reason;
		if (injected.point != SIZE_MAX)
			fn(data, &injected);
	}
}

static void hand_over(const struct mp_injector *inj, const struct report *r, mp_injected_fn fn,
		      void *data)
{
	struct mp_injected injected = r->injected;

	hand_over_points(inj, r, fn, data);
	if (r->result.error) {
		injected.status = MP_SITE_FAILED;
		injected.reason = r->result.error;
	}
	if (injected.reason)
		fn(data, &injected);
}

void mp_injector_collect(struct mp_injector *inj, mp_injected_fn fn, void *data)
{
	struct report *r;
	eventfd_t n;

	eventfd_read(inj->event_fd, &n);
	while ((r = take_report(inj))) {
		hand_over(inj, r, fn, data);
		report_free(r);
	}
}

void mp_injector_end(struct mp_injector *inj, uint64_t timeout_ns)
{
	if (!inj || !inj->is_running)
		return;
	pthread_mutex_lock(&inj->lock);
	inj->end_ns = mp_clock_now_ns() + timeout_ns;
	pthread_cond_signal(&inj->work);
	pthread_mutex_unlock(&inj->lock);
	pthread_join(inj->thread, NULL);
	inj->is_running = false;
}

void mp_injector_free(struct mp_injector *inj)
{
	struct report *r;

	if (!inj)
		return;
	mp_injector_end(inj, 0);
	while ((r = take_report(inj)))
		report_free(r);
	pthread_cond_destroy(&inj->work);
	pthread_mutex_destroy(&inj->lock);
	mp_close_p(&inj->event_fd);
	free(inj->processes);
	free(inj->asked);
	free(inj);
}
