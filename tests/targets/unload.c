// SPDX-License-Identifier: GPL-2.0-only
/*
 * Opens libmemprobe, starts its agent, and closes the library:
 *
 *   unload LIBRARY
 *
 * While the agent runs the library stays, and answers; once it is stopped it can go. A
 * line says what is wrong; exit code 0 when nothing is.
 */
#include <dlfcn.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "../../user/base/relief.h"
#include "target.h"

static void expect(bool ok, const char *what)
{
	if (ok)
		return;
	printf("not so: %s\n", what);
	exit(EXIT_FAILURE);
}

static void *open_library(const char *path)
{
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	expect(library != NULL, "the library can be opened");
	return library;
}

static int call(void *library, const char *name)
{
	int (*fn)(void) = (int (*)(void))dlsym(library, name);

	expect(fn != NULL, name);
	return fn();
}

static bool is_loaded(const char *path)
{
	void *library = dlopen(path, RTLD_NOW | RTLD_NOLOAD);

	if (library)
		dlclose(library);
	return library != NULL;
}

static bool answers(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct mp_relief_request request = {.magic = MP_RELIEF_MAGIC,
					    .version = MP_RELIEF_VERSION,
					    .id = 1,
					    .deadline_ns = 5000000000u};
	struct mp_relief_reply reply = {0};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	bool answered;

	snprintf(address.sun_path, sizeof(address.sun_path), MP_RELIEF_PATH, (int)getpid());
	answered = connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
		   send(fd, &request, sizeof(request), 0) == sizeof(request) &&
		   recv(fd, &reply, sizeof(reply), 0) == sizeof(reply) && reply.id == 1;
	close(fd);
	return answered;
}

int main(int argc, char **argv)
{
	const char *path = argc == 2 ? argv[1] : "";
	void *library = open_library(path);

	expect(call(library, "memprobe_agent_start") == 0, "the agent starts");
	expect(dlclose(library) == 0, "the library can be closed");
	expect(is_loaded(path), "it stays while its agent runs");
	expect(answers(), "and answers");
	library = open_library(path);
	expect(call(library, "memprobe_agent_stop") == 0, "the agent stops");
	expect(dlclose(library) == 0, "the library can be closed again");
	expect(!is_loaded(path), "it goes when there is no agent");
	expect(!answers(), "and nobody answers");
	library = open_library(path);
	expect(call(library, "memprobe_agent_start") == 0, "the agent starts again");
	expect(answers(), "and answers again");
	return 0;
}
