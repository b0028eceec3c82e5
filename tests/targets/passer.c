// SPDX-License-Identifier: GPL-2.0-only
/*
 * Passes the markers of a library that it loads, on command, as an interpreter's wrapper
 * does. Reads lines, and answers each with "ok" or what was asked for:
 *
 *   open PATH                     the library with the markers
 *   memfd PATH                    the same, from a copy that has no file
 *   enter NAME LEVEL CALL SIZE · exit NAME LEVEL CALL · check NAME LEVEL
 *   calls NAME LEVEL N            N calls, one after the other
 *   declare PREFIX N              a call of each of N points
 *   hostile                       what no library would do
 *   fork · join                   a child goes on with the lines; its parent waits for it
 *   fill BYTES                    fills and keeps memory, as far as there is some
 *   exec PATH                     a program that takes this one's place
 *   semaphores                    answers "enter exit check", each a number
 *
 * LEVEL is a number, with flags. Like the library it calls a marker only while it is watched.
 */
#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "../../user/lib/marker.h"
#include "target.h"

#define MEMFD "memprobe-marker"

struct markers {
	__typeof__(memprobe_marker_enter) *enter;
	__typeof__(memprobe_marker_exit) *exit;
	__typeof__(memprobe_marker_check) *check;
	const volatile unsigned short *watched[3];
	uint64_t last_call;
	pid_t child;
};

static void *symbol_of(void *library, const char *name)
{
	void *symbol = dlsym(library, name);

	if (!symbol) {
		fprintf(stderr, "%s\n", dlerror());
		exit(EXIT_FAILURE);
	}
	return symbol;
}

static void load(struct markers *m, const char *path)
{
	void *library = dlopen(path, RTLD_NOW | RTLD_GLOBAL);

	if (!library) {
		fprintf(stderr, "%s\n", dlerror());
		exit(EXIT_FAILURE);
	}
	m->enter = (__typeof__(m->enter))symbol_of(library, "memprobe_marker_enter");
	m->exit = (__typeof__(m->exit))symbol_of(library, "memprobe_marker_exit");
	m->check = (__typeof__(m->check))symbol_of(library, "memprobe_marker_check");
	m->watched[0] = symbol_of(library, "memprobe_enter_semaphore");
	m->watched[1] = symbol_of(library, "memprobe_exit_semaphore");
	m->watched[2] = symbol_of(library, "memprobe_check_semaphore");
}

static void load_copy(struct markers *m, const char *path)
{
	FILE *file = fopen(path, "re");
	int fd = memfd_create(MEMFD, 0);
	char buf[65536];
	size_t n;

	if (!file || fd < 0)
		target_die(path);
	while ((n = fread(buf, 1, sizeof(buf), file)) > 0)
		if (write(fd, buf, n) != (ssize_t)n)
			target_die(MEMFD);
	fclose(file);
	snprintf(buf, sizeof(buf), "/proc/self/fd/%d", fd);
	load(m, buf);
	close(fd);
}

/* A name in memory of its own: the kernel reads it at the first hit alone. */
static void one_call(struct markers *m, const char *name, uint64_t level)
{
	uint64_t id = memprobe_marker_id(name);
	uint64_t call = 0;

	if (*m->watched[0]) {
		call = ++m->last_call;
		m->enter(id, name, level, call, 0);
	}
	if (call)
		m->exit(id, name, level, call);
}

static void declare(struct markers *m, const char *prefix, uint64_t n)
{
	char name[256];

	for (uint64_t i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%s%llu", prefix, (unsigned long long)i);
		one_call(m, name, 1);
	}
}

/* Names that cannot be read, are too long, or belong to another id; keys and levels of all kinds.
 */
static void be_hostile(struct markers *m)
{
	static const char odd[] = "new\nline \033[31m \377";
	char longest[400];

	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	m->enter(memprobe_marker_id(odd), odd, 2, 1, 0);
	m->exit(memprobe_marker_id(odd), odd, 2, 1);
	m->enter(memprobe_marker_id(longest), longest, 1, 2, UINT64_MAX);
	m->exit(memprobe_marker_id(longest), longest, 1, 2);
	m->check(0x1111, (const char *)8, UINT64_MAX, 0);
	m->check(0x2222, NULL, 0, 0);
	m->check(0x3333, "push", 0xff, 0);
	m->check(0, "nothing", 0, 0);
	m->enter(0x3333, "push", 0, 0, 0);
	m->exit(0x3333, "push", 0, 0);
	m->exit(0x3333, "push", 0, 77);
}

static void fill(uint64_t bytes)
{
	char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		target_die("mmap");
	memset(memory, 0x5a, bytes);
}

static void fork_child(struct markers *m)
{
	m->child = fork();
	if (m->child < 0)
		target_die("fork");
	if (m->child && waitpid(m->child, NULL, 0) < 0)
		target_die("waitpid");
}

static void tell_semaphores(const struct markers *m)
{
	printf("%u %u %u\n", *m->watched[0], *m->watched[1], *m->watched[2]);
}

static void pass(struct markers *m, const char *what, char **words)
{
	const char *name = words[0];
	uint64_t id = memprobe_marker_id(name);
	uint64_t level = target_number(words[1]);

	if (!strcmp(what, "enter"))
		m->enter(id, name, level, target_number(words[2]), target_number(words[3]));
	else if (!strcmp(what, "exit"))
		m->exit(id, name, level, target_number(words[2]));
	else if (!strcmp(what, "check"))
		m->check(id, name, level, 0);
	else
		for (uint64_t i = target_number(words[2]); i; i--)
			one_call(m, name, level);
}

/* Returns whether the child of a fork ends with this line. */
static bool command(struct markers *m, const char *what, char **words)
{
	if (!strcmp(what, "open"))
		load(m, words[0]);
	else if (!strcmp(what, "memfd"))
		load_copy(m, words[0]);
	else if (!strcmp(what, "declare"))
		declare(m, words[0], target_number(words[1]));
	else if (!strcmp(what, "hostile"))
		be_hostile(m);
	else if (!strcmp(what, "fork"))
		fork_child(m);
	else if (!strcmp(what, "fill"))
		fill(target_number(words[0]));
	else if (!strcmp(what, "exec"))
		execl(words[0], words[0], NULL);
	else if (!strcmp(what, "semaphores"))
		tell_semaphores(m);
	else if (strcmp(what, "join") != 0)
		pass(m, what, words);
	return !strcmp(what, "join");
}

int main(void)
{
	struct markers m = {.child = -1};
	char line[4096];

	/* A child goes on behind the last line that was taken, not behind what was read ahead. */
	setvbuf(stdin, NULL, _IONBF, 0);
	setvbuf(stdout, NULL, _IOLBF, 0);
	target_ready(false);
	while (fgets(line, sizeof(line), stdin)) {
		char *words[5] = {line, "", "", "", ""};
		char *rest = line;

		line[strcspn(line, "\n")] = '\0';
		for (size_t i = 0; i < 5 && rest; i++)
			words[i] = strsep(&rest, " ");
		if (!strcmp(words[0], "quit"))
			return 0;
		if (command(&m, words[0], words + 1) && m.child == 0)
			return 0;
		if (strcmp(words[0], "semaphores") != 0)
			puts("ok");
	}
	return 0;
}
