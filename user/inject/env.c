// SPDX-License-Identifier: GPL-2.0-only
#include "inject/env.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_ENVIRON (8U << 20)
#define MAX_CMDLINE (8U << 20)
#define MAX_AT_ONCE 256
#define CONFIG_VARIABLE "MEMPROBE_PYTHON_CONFIG="

/* --- whether it is used --------------------------------------------------------------------- */

static bool has_config(const struct mp_fsroot *fs, pid_t pid, const char *config)
{
	const size_t key = strlen(CONFIG_VARIABLE);
	MP_FREE char *text = NULL;
	size_t len;

	if (mp_read_file_at(fs, MAX_ENVIRON, &text, &len, "/proc/%d/environ", pid))
		return false;
	for (size_t at = 0; at < len; at += strlen(text + at) + 1) {
		if (strncmp(text + at, CONFIG_VARIABLE, key) == 0)
			return strcmp(text + at + key, config) == 0;
	}
	return false;
}

/* Letters behind one dash. What stands behind c, m, W and X is theirs. */
static bool has_ignoring_letter(const char *letters, bool *ret_takes_next, bool *ret_is_last)
{
	for (; *letters; letters++) {
		if (strchr("IES", *letters))
			return true;
		if (strchr("cm", *letters))
			*ret_is_last = true;
		if (strchr("cmWX", *letters)) {
			*ret_takes_next = letters[1] == '\0';
			return false;
		}
	}
	return false;
}

bool mp_env_is_ignored(const char *cmdline, size_t len)
{
	size_t at = strnlen(cmdline, len) + 1;
	bool is_last = false;

	while (at < len && !is_last) {
		const char *word = cmdline + at;
		bool takes_next = false;

		if (word[0] != '-' || word[1] == '\0')
			return false; /* the script, or standard input */
		if (word[1] != '-' && has_ignoring_letter(word + 1, &takes_next, &is_last))
			return true;
		/* --check-hash-based-pycs is the only long one with a value of its own. */
		takes_next |= strcmp(word, "--check-hash-based-pycs") == 0;
		at += strnlen(word, len - at) + 1;
		if (takes_next && at < len)
			at += strnlen(cmdline + at, len - at) + 1;
	}
	return false;
}

bool mp_env_is_used(const struct mp_fsroot *fs, pid_t pid, const struct mp_python_answers *answers)
{
	MP_FREE char *cmdline = NULL;
	size_t len;

	return has_config(fs, pid, answers->config) &&
	       mp_read_file_at(fs, MAX_CMDLINE, &cmdline, &len, "/proc/%d/cmdline", pid) == 0 &&
	       !mp_env_is_ignored(cmdline, len);
}

/* --- answers -----------------------------------------------------------------------------------
 */

static bool is_answer(const char *name)
{
	const char *dot = strrchr(name, '.');

	return name[0] != '.' && dot && strcmp(dot, ".json") == 0;
}

static int read_answer(int folder, const char *name, char **ret_text, size_t *ret_len)
{
	MP_CLOSE int fd =
		openat(folder, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);
	MP_FREE char *text = NULL;
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size < 0 || st.st_size > (off_t)MP_RESULT_MAX_BYTES)
		return -EBADMSG;
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return -ENOMEM;
	n = pread(fd, text, (size_t)st.st_size, 0);
	if (n < 0)
		return -errno;
	*ret_text = MP_TAKE(text);
	*ret_len = (size_t)n;
	return 0;
}

/* One that makes no sense is another's, who may write here too: it is passed over. */
static void take_answer(const struct mp_python_answers *answers, const char *name, mp_answer_fn fn,
			void *data)
{
	MP_RESULT struct mp_result result = {0};
	MP_FREE char *text = NULL;
	size_t len = 0;
	int err = read_answer(answers->fd, name, &text, &len);

	unlinkat(answers->fd, name, 0);
	if (!err && mp_result_parse(text, len, answers->token, &result, NULL) == 0)
		fn(data, &result);
}

void mp_env_read_answers(const struct mp_python_answers *answers, mp_answer_fn fn, void *data)
{
	MP_CLOSEDIR DIR *dir =
		fdopendir(openat(answers->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	const struct dirent *entry;

	for (int i = 0; dir && i < MAX_AT_ONCE && (entry = readdir(dir)); i++) {
		if (is_answer(entry->d_name))
			take_answer(answers, entry->d_name, fn, data);
	}
}
