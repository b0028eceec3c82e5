// SPDX-License-Identifier: GPL-2.0-only
#include "inject/session.h"

#include <errno.h>
#include <string.h>

#include "inject/folder.h"

struct mp_session {
	const struct mp_session_options *o;
	struct mp_python python;
	struct mp_folder folder;
	int lock;
	uint64_t stopped_ns;
};

static void session_free_p(struct mp_session **session)
{
	mp_session_free(*session);
}

static int write_text(const struct mp_session *s, const char *name, const struct mp_text *text)
{
	return text->failed ? -ENOMEM : mp_folder_write(&s->folder, name, text->data, text->len);
}

static int write_files(struct mp_session *s)
{
	const struct mp_blob source = mp_script_source();
	MP_TEXT struct mp_text readme = {0};
	MP_TEXT struct mp_text script = {0};
	char result[PATH_MAX];
	const struct mp_script_config config = {

		.points = s->o->points, .token = s->o->token, .result = result};
	int err;

	snprintf(result, sizeof(result), "%s/" MP_SCRIPT_RESULT, s->folder.path);
	mp_script_readme(s->python.pid, &readme);
	err = write_text(s, "README", &readme);
	err = err ?: mp_folder_write(&s->folder, MP_SCRIPT_SOURCE, source.data, source.len);
	err = err ?: mp_script_install(&config, s->folder.path, &script);
	err = err ?: write_text(s, MP_SCRIPT_INSTALL, &script);
	if (err)
		return err;
	s->lock = mp_folder_lock(&s->folder, MP_SCRIPT_LOCK);
	return s->lock < 0 ? s->lock : 0;
}

static int run_script(struct mp_session *s, const char *name, struct mp_error *err)
{
	char path[PATH_MAX];
	uint64_t stopped_ns;
	int error;

	snprintf(path, sizeof(path), "%s/%s", s->folder.path, name);
	error = mp_python_run(&s->python, path, &stopped_ns, err);
	if (!error)
		s->stopped_ns += stopped_ns;
	return error;
}

int mp_session_begin(const struct mp_session_options *options, const struct mp_python *python,
		     struct mp_session **ret, struct mp_error *err)
{
	MP_CLEANUP(session_free_p) struct mp_session *s = calloc(1, sizeof(*s));
	int error;

	if (!s)
		return mp_fail(err, MP_EXIT_OOM, ENOMEM, "out of memory");
	s->o = options;
	s->python = *python;
	s->lock = s->folder.fd = s->folder.parent = -1;
	if (python->way == MP_PYTHON_NO_WAY)
		return mp_fail(err, MP_EXIT_TARGET, ENOTSUP, "%s", python->why);
	error = mp_folder_make(options->fs, python->pid, &s->folder, err);
	if (error)
		return error;
	error = write_files(s);
	if (error)
		return mp_fail(err, MP_EXIT_TARGET, -error,
			       "the script cannot be written to its %s: %s", s->folder.path,
			       strerror(-error));
	error = run_script(s, MP_SCRIPT_INSTALL, err);
	if (!error)
		*ret = MP_TAKE(s);
	return error;
}

int mp_session_read(struct mp_session *s, struct mp_result *ret, struct mp_error *err)
{
	MP_FREE char *text = NULL;
	size_t len;
	int error = mp_folder_read(&s->folder, MP_SCRIPT_RESULT, MP_RESULT_MAX_BYTES, &text, &len);

	if (error == -EAGAIN && mp_folder_take(&s->folder, MP_SCRIPT_AGAIN))
		error = run_script(s, MP_SCRIPT_INSTALL, err) ?: -EAGAIN;
	if (error == -EAGAIN)
		return error;
	if (error)
		return mp_fail(err, MP_EXIT_TARGET, -error,
			       "what the script answered cannot be read: %s", strerror(-error));
	return mp_result_parse(text, len, s->o->token, ret, err);
}

int mp_session_remove(struct mp_session *s, struct mp_error *err)
{
	MP_TEXT struct mp_text script = {0};
	int error = mp_script_remove(s->o->token, s->folder.path, &script);

	error = error ?: write_text(s, MP_SCRIPT_REMOVE, &script);
	if (error)
		return mp_fail(err, MP_EXIT_TARGET, -error,
			       "the script cannot be written to its %s: %s", s->folder.path,
			       strerror(-error));
	return run_script(s, MP_SCRIPT_REMOVE, err);
}

bool mp_session_removed(struct mp_session *s)
{
	MP_FREE char *text = NULL;
	size_t len;

	return mp_folder_read(&s->folder, MP_SCRIPT_REMOVED, MP_RESULT_MAX_BYTES, &text, &len) == 0;
}

uint64_t mp_session_stopped_ns(const struct mp_session *s)
{
	return s->stopped_ns;
}

void mp_session_free(struct mp_session *s)
{
	if (!s)
		return;
	mp_folder_remove(&s->folder);
	mp_close_p(&s->lock);
	free(s);
}
