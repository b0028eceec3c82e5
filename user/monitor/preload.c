// SPDX-License-Identifier: GPL-2.0-only
#include "monitor/preload.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/relief.h"
#include "elf/interpreter.h"
#include "monitor/programs.h"

#define LIBRARY "libmemprobe.so"

static int fail_to_find(const char *folder, struct mp_error *err)
{
	return mp_fail(err, MP_EXIT_UNSUPPORTED, ENOENT,
		       "--agent: there is no " LIBRARY " in %s or in lib beside it: build it there "
		       "(make lib), or install all of memprobe-bpf (make install)",
		       folder);
}

int mp_preload_find(const char *program, char out[PATH_MAX], struct mp_error *err)
{
	static const char *const places[] = {"", "../lib/"};
	char folder[PATH_MAX];
	char path[PATH_MAX];

	if (!realpath(program, folder))
		return mp_fail(err, MP_EXIT_UNSUPPORTED, errno, "--agent: %s: %s", program,
			       strerror(errno));
	*strrchr(folder, '/') = '\0';
	for (size_t i = 0; i < MP_ARRAY_SIZE(places); i++) {
		int n = snprintf(path, sizeof(path), "%s/%s" LIBRARY, folder, places[i]);

		if (n < 0 || n >= PATH_MAX || !realpath(path, out))
			continue;
		if (strpbrk(out, ": "))
			return mp_fail(err, MP_EXIT_UNSUPPORTED, EINVAL,
				       "--agent: LD_PRELOAD cannot name %s: move it to a folder "
				       "without blanks and colons",
				       out);
		return 0;
	}
	return fail_to_find(folder, err);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* A loader's name says for which processor and C library it is. */
enum mp_preload_fit mp_preload_fit(const char *path, const char *own)
{
	char executed[PATH_MAX];
	char loader[PATH_MAX];
	char own_loader[PATH_MAX];
	int err;

	mp_programs_executed(path, executed);
	err = mp_elf_interpreter(executed, loader, sizeof(loader));
	if (err == -ENOENT)
		return MP_PRELOAD_STATIC;
	if (err || mp_elf_interpreter(own, own_loader, sizeof(own_loader)))
		return MP_PRELOAD_FITS;
	return strcmp(base_name(loader), base_name(own_loader)) == 0 ? MP_PRELOAD_FITS
								     : MP_PRELOAD_OTHER;
}

/* Who has asked for more than an agent in each program keeps that. */
int mp_preload_set_environment(const char *library)
{
	const char *before = getenv("LD_PRELOAD");
	const char *wanted = getenv("MEMPROBE_AGENT");
	MP_FREE char *both = NULL;

	if (before && *before && asprintf(&both, "%s:%s", library, before) < 0)
		return -ENOMEM;
	if (setenv("LD_PRELOAD", both ? both : library, 1) < 0)
		return -ENOMEM;
	if (wanted && strcmp(wanted, "fork") == 0)
		return 0;
	return setenv("MEMPROBE_AGENT", "1", 1) < 0 ? -ENOMEM : 0;
}

void mp_preload_tidy(pid_t pid)
{
	char path[sizeof(MP_RELIEF_PATH) + 16];
	struct stat st;

	snprintf(path, sizeof(path), MP_RELIEF_PATH, (int)pid);
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		unlink(path);
}
