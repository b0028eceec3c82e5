// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attaches an empty BPF program to the entry and the return of a function, or to
 * the entries of two functions, says "ready", and detaches when its standard input ends:
 *
 *   empty_pair OBJECT BINARY SYMBOL[@SEMAPHORE] [SYMBOL[@SEMAPHORE]]
 *
 * SEMAPHORE is the offset in the file of a counter that the kernel raises meanwhile.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/libbpf.h>

static struct bpf_link *attach(struct bpf_object *obj, const char *program, bool is_return,
			       const char *binary, char *symbol)
{
	LIBBPF_OPTS(bpf_uprobe_opts, opts, .retprobe = is_return, .func_name = symbol);
	const struct bpf_program *prog = bpf_object__find_program_by_name(obj, program);
	char *semaphore = strchr(symbol, '@');
	struct bpf_link *link;

	if (semaphore) {
		*semaphore = '\0';
		opts.ref_ctr_offset = strtoul(semaphore + 1, NULL, 10);
	}
	link = bpf_program__attach_uprobe_opts(prog, -1, binary, 0, &opts);
	if (!link) {
		perror(program);
		exit(EXIT_FAILURE);
	}
	return link;
}

int main(int argc, char **argv)
{
	struct bpf_object *obj;
	struct bpf_link *enter;
	struct bpf_link *leave;
	char byte;

	if (argc != 4 && argc != 5)
		return 2;
	obj = bpf_object__open_file(argv[1], NULL);
	if (!obj || bpf_object__load(obj)) {
		perror(argv[1]);
		return EXIT_FAILURE;
	}
	enter = attach(obj, "empty_enter", false, argv[2], argv[3]);
	leave = argc == 5 ? attach(obj, "empty_enter", false, argv[2], argv[4])
			  : attach(obj, "empty_return", true, argv[2], argv[3]);
	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	bpf_link__destroy(leave);
	bpf_link__destroy(enter);
	bpf_object__close(obj);
	return 0;
}
