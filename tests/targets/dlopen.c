// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loads and unloads a library on command. Reads lines, answers each with "ok":
 *
 *   open PATH · call N (mp_lib_work, N times) · close · quit
 */
#include <dlfcn.h>

#include "target.h"

struct library {
	void *handle;
	int (*work)(int n);
};

static void library_open(struct library *lib, const char *path)
{
	void *symbol;

	lib->handle = dlopen(path, RTLD_NOW);
	symbol = lib->handle ? dlsym(lib->handle, "mp_lib_work") : NULL;
	if (!symbol) {
		fprintf(stderr, "%s\n", dlerror());
		exit(EXIT_FAILURE);
	}
	memcpy(&lib->work, &symbol, sizeof(symbol));
}

static void library_call(const struct library *lib, uint64_t times)
{
	int n = 0;

	for (uint64_t i = 0; i < times; i++)
		n = lib->work(n);
	if ((uint64_t)n != times)
		exit(EXIT_FAILURE);
}

static bool command(struct library *lib, char *line)
{
	char *arg = strchr(line, ' ');

	if (arg)
		*arg++ = '\0';
	if (!strcmp(line, "open") && arg)
		library_open(lib, arg);
	else if (!strcmp(line, "call") && arg && lib->work)
		library_call(lib, target_number(arg));
	else if (!strcmp(line, "close") && lib->handle)
		dlclose(lib->handle);
	else
		return false;
	return true;
}

int main(void)
{
	struct library lib = {0};
	char line[4096];

	target_ready(false);
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		if (!strcmp(line, "quit"))
			return 0;
		if (!command(&lib, line))
			return 2;
		puts("ok");
		fflush(stdout);
	}
	return 0;
}
