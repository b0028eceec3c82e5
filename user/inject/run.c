// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "inject/private.h"

struct task {
	const struct mp_fsroot *fs;
	const struct mp_python *python;
	const char *script;
	struct mp_error *err;
	uint64_t stopped_ns;
	int result;
};

static void *task_main(void *data)
{
	struct task *task = data;

	switch (task->python->way) {
	case MP_PYTHON_PENDING_CALL:
		task->result = mp_pending_run(task->fs, task->python, task->script,
					      &task->stopped_ns, task->err);
		break;
	case MP_PYTHON_REMOTE_DEBUG:
		task->result = mp_debug_run(task->fs, task->python, task->script, &task->stopped_ns,
					    task->err);
		break;
	default:
		task->result = mp_fail(task->err, MP_EXIT_TARGET, ENOTSUP, "%s", task->python->why);
		break;
	}
	return NULL;
}

/* In a thread of its own, with whose end everything ends that it may still have hold of. */
int mp_python_run(const struct mp_python *python, const char *script, uint64_t *ret_stopped_ns,
		  struct mp_error *err)
{
	const struct mp_fsroot live = {""};
	struct task task = {&live, python, script, err, 0, 0};
	pthread_t thread;
	sigset_t blocked;
	sigset_t before;
	int error;

	sigfillset(&blocked);
	pthread_sigmask(SIG_SETMASK, &blocked, &before);
	error = pthread_create(&thread, NULL, task_main, &task);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error)
		return mp_fail(err, MP_EXIT_UNSUPPORTED, error, "no thread can be started: %s",
			       strerror(error));
	pthread_join(thread, NULL);
	if (!task.result)
		*ret_stopped_ns = task.stopped_ns;
	return task.result;
}
