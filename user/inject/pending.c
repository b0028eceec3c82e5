// SPDX-License-Identifier: GPL-2.0-only
/*
 * Python 3.8 to 3.13: one call of Py_AddPendingCall(PyRun_SimpleString, statement), which any
 * thread may make without the GIL, and even a signal handler. The interpreter runs the
 * statement in its main thread at the next safe point.
 *
 * The statement needs a place that lasts until then: a page of its own, mapped by the same
 * thread, whose address is handed to the script. The call returns into that page, maybe
 * later than the statement begins to run in another thread: so a script gives back the pages
 * of those before it, and not its own. One stays.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/text.h"
#include "elf/elf_lookup.h"
#include "inject/call.h"
#include "inject/memory.h"
#include "inject/private.h"
#include "inject/program.h"
#include "inject/threads.h"
#include "target/target.h"

#define PAGE_BYTES 4096U
#define STATEMENT_AT 256U /* behind the stub */
#define CHUNK_BYTES (256U << 10)
#define OVERLAP 16 /* more than what is searched for is long */
#define CHECKED_BYTES 16
#define VDSO_CODE_BYTES 4096U
#define ATTEMPTS 20

/* Kernel ABI since 5.13; not in every libc. */
#ifndef PTRACE_GET_RSEQ_CONFIGURATION
#define PTRACE_GET_RSEQ_CONFIGURATION 0x420f
#endif

/* Addresses in the target. */
struct functions {
	struct mp_call_code code;
	uint64_t errno_location;
	uint64_t add_pending_call;
	uint64_t run_simple_string;
};
#define N_FUNCTIONS (sizeof(struct functions) / sizeof(uint64_t))

struct plan {
	const struct mp_fsroot *fs;
	const struct mp_python *python;
	const char *script;
	union {
		struct functions f;
		uint64_t addrs[N_FUNCTIONS];
	};
	uint8_t seen[N_FUNCTIONS][CHECKED_BYTES]; /* what is at each of them */
	struct mp_call_saved saved;
	struct mp_call_frame frame;
	char page[PAGE_BYTES];
};

/* --- before the target is stopped ------------------------------------------------------ */

static int find_python(struct plan *plan)
{
	const struct mp_python *python = plan->python;
	struct mp_elf_wanted wanted[] = {{.name = "Py_AddPendingCall"},
					 {.name = "PyRun_SimpleString"}};
	int err = mp_elf_lookup(python->binary, wanted, MP_ARRAY_SIZE(wanted), NULL);

	if (err)
		return err;
	if (!wanted[0].addr || !wanted[1].addr)
		return -ENOTSUP;
	plan->f.add_pending_call = python->bias + wanted[0].addr;
	plan->f.run_simple_string = python->bias + wanted[1].addr;
	return 0;
}

/* As it is in memory: a probe that somebody has put there shows. Returns whether all is found. */
static bool search_code(struct plan *plan, uint64_t start, uint64_t end)
{
	MP_FREE uint8_t *code = malloc(CHUNK_BYTES);

	while (code && start < end) {
		size_t len = end - start < CHUNK_BYTES ? end - start : CHUNK_BYTES;

		if (mp_memory_read(plan->python->pid, start, code, len))
			break;
		if (mp_call_find_code(code, len, start, &plan->f.code))
			return true;
		start += len;
		start -= start < end ? OVERLAP : 0;
	}
	return false;
}

static bool is_libc(const struct mp_binary *binary)
{
	const char *name = strrchr(binary->path, '/');

	return strncmp(name, "/libc.so", 8) == 0 || strncmp(name, "/libc-", 6) == 0 ||
	       strncmp(name, "/ld-musl-", 9) == 0;
}

static int look_into_libc(void *data, const struct mp_binary *binary)
{
	struct plan *plan = data;
	struct mp_elf_wanted wanted = {.name = "__errno_location"};
	uint64_t bias;

	/* A program that is linked statically has it in itself. */
	if (!binary->is_exe && !is_libc(binary))
		return 0;
	if (!plan->f.errno_location && !mp_elf_lookup(binary->open_path, &wanted, 1, NULL) &&
	    wanted.addr &&
	    !mp_elf_bias(binary->open_path, binary->start, binary->file_offset, &bias))
		plan->f.errno_location = bias + wanted.addr;
	if (!plan->f.code.syscall || !plan->f.code.restore)
		search_code(plan, binary->start, binary->end);
	return plan->f.errno_location && plan->f.code.syscall && plan->f.code.restore;
}

static int find_libc(struct plan *plan)
{
	int r = mp_process_binaries(plan->fs, plan->python->pid, look_into_libc, plan);
	uint64_t vdso = r ? 0 : mp_program_vdso(plan->fs, plan->python->pid);

	/* On some processors what restores a thread is the kernel's, not the libc's. */
	if (vdso && plan->f.errno_location && search_code(plan, vdso, vdso + VDSO_CODE_BYTES))
		return 0;
	return r > 0 ? 0 : r ? r : -ENOTSUP;
}

static int note_code(struct plan *plan)
{
	int err = 0;

	for (size_t i = 0; i < N_FUNCTIONS && !err; i++)
		err = mp_memory_read(plan->python->pid, plan->addrs[i], plan->seen[i],
				     CHECKED_BYTES);
	return err;
}

static int make_plan(struct plan *plan, struct mp_error *err)
{
	int error = mp_python_is_up(plan->python);

	error = error ?: find_python(plan);
	error = error ?: find_libc(plan);
	error = error ?: note_code(plan);
	if (error == -EAGAIN)
		return mp_fail(err, MP_EXIT_TARGET, EAGAIN,
			       "the interpreter is just starting or ending");
	if (error == -ENOTSUP)
		return mp_fail(err, MP_EXIT_TARGET, ENOTSUP,
			       "its C library is none that a call can be made with (known: glibc, "
			       "musl): start it by `memprobe-bpf run`");
	if (error)
		return mp_fail(err, error == -EPERM ? MP_EXIT_PRIVILEGE : MP_EXIT_TARGET, -error,
			       "its memory cannot be read: %s", strerror(-error));
	return 0;
}

/* --- what is written into it ------------------------------------------------------------ */

/* As the inside of a Python bytes literal. */
static void add_escaped(struct mp_text *text, const char *path)
{
	for (; *path; path++) {
		unsigned char c = (unsigned char)*path;

		if (c < 0x7f && (isalnum(c) || strchr("/._-", c)))
			mp_text_putc(text, *path);
		else
			mp_text_printf(text, "\\x%02x", c);
	}
}

/*
 * Nothing may come out of it: the interpreter would raise it wherever the program is just then,
 * and SystemExit would end it. An interrupt of the user's is passed on. No name is bound, since
 * this runs in the namespace of __main__.
 */
static int write_statement(struct plan *plan, uint64_t page)
{
	MP_TEXT struct mp_text text = {0};

	mp_text_puts(&text, "try:\n exec(compile((lambda f: (f.read(), f.close())[0])("
			    "__import__('io').open(b'");
	add_escaped(&text, plan->script);
	mp_text_printf(&text,
		       "', 'rb')), '<memprobe>', 'exec'), {'__name__': '__memprobe__', "
		       "'memprobe_page': (%" PRIu64 ", %u)})\n"
		       "except KeyboardInterrupt: __import__('_thread').interrupt_main()\n"
		       "except BaseException: pass\n",
		       page, PAGE_BYTES);
	if (text.failed)
		return -ENOMEM;
	if (text.len >= PAGE_BYTES - STATEMENT_AT)
		return -ENAMETOOLONG;
	memcpy(plan->page + STATEMENT_AT, text.data, text.len + 1);
	return 0;
}

static int write_page(const struct mp_tracee *t, struct plan *plan, uint64_t page)
{
	const uint8_t *stub;
	size_t len = mp_call_stub(&stub);
	int err = write_statement(plan, page);

	memcpy(plan->page, stub, len);
	return err ? err : mp_tracee_write(t, page, plan->page, sizeof(plan->page));
}

/* --- while a thread of it is stopped ----------------------------------------------------- */

/* The process may have executed another program since, at whose addresses is other code. */
static int check_code(const struct mp_tracee *t, const struct plan *plan)
{
	uint8_t now[CHECKED_BYTES];

	for (size_t i = 0; i < N_FUNCTIONS; i++) {
		if (mp_tracee_read(t, plan->addrs[i], now, sizeof(now)) ||
		    memcmp(now, plan->seen[i], sizeof(now)) != 0)
			return -ESRCH;
	}
	return mp_python_still_there(plan->fs, plan->python);
}

/*
 * Code that the kernel restarts when it was interrupted (restartable sequences): what is called in
 * between would be taken for such an interruption, and the code would then go on as if there had
 * been none.
 */
static bool is_in_rseq(const struct mp_tracee *t, uint64_t ip)
{
	struct {
		uint64_t addr;
		uint32_t size, signature, flags, pad;
	} area = {0};
	struct {
		uint32_t version, flags;
		uint64_t start, len, abort;
	} section;
	uint64_t at;

	return ptrace(PTRACE_GET_RSEQ_CONFIGURATION, t->tid, (void *)sizeof(area), &area) > 0 &&
	       area.addr && !mp_tracee_read(t, area.addr + 8, &at, sizeof(at)) && at &&
	       !mp_tracee_read(t, at, &section, sizeof(section)) &&
	       ip - section.start < section.len;
}

static int prepare_thread(const struct mp_tracee *t, struct plan *plan, struct mp_error *err)
{
	int error = check_code(t, plan);

	if (error)
		return mp_fail(err, MP_EXIT_TARGET, ESRCH,
			       "the process has ended, or executed another program");
	if (mp_python_is_up(plan->python))
		return mp_fail(err, MP_EXIT_TARGET, EAGAIN, "the interpreter is just ending");
	error = mp_call_save(t, &plan->saved, err);
	if (error)
		return error;
	if (is_in_rseq(t, mp_call_ip(&plan->saved)))
		return mp_fail(err, MP_EXIT_TARGET, EINTR,
			       "the thread never is outside of its restartable sequences");
	error = mp_call_frame_make(&plan->saved, &plan->f.code, &plan->frame);
	error = error ?: mp_tracee_write(t, plan->frame.addr, plan->frame.bytes, plan->frame.len);
	return error ? mp_fail(err, MP_EXIT_TARGET, -error, "its stack cannot be written: %s",
			       strerror(-error))
		     : 0;
}

/* Returns what the system call does, or why it was not made, in `ret_result`. */
static int make_syscall(struct mp_tracee *t, const struct plan *plan, long nr,
			const uint64_t args[6], int64_t *ret_result)
{
	struct __ptrace_syscall_info info = {0};
	struct user_regs_struct regs;
	int err;

	/* An earlier call has put a return address of its own where the frame has one. */
	err = mp_tracee_write(t, plan->frame.addr, plan->frame.bytes, sizeof(uint64_t));
	mp_call_regs_syscall(&plan->saved, &plan->frame, &plan->f.code, nr, args, &regs);
	err = err ?: mp_call_begin(t, &regs);
	while (!err && info.op != PTRACE_SYSCALL_INFO_EXIT)
		err = mp_tracee_to_syscall(t, &info);
	if (!err)
		*ret_result = info.exit.rval;
	return err;
}

static int map_page(struct mp_tracee *t, const struct plan *plan, uint64_t *ret)
{
	const uint64_t args[6] = {
		0, PAGE_BYTES, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, UINT64_MAX, 0};
	int64_t result;
	int err = make_syscall(t, plan, SYS_mmap, args, &result);

	if (err)
		return err;
	if (result < 0)
		return (int)result;
	*ret = (uint64_t)result;
	return 0;
}

static void unmap_page(struct mp_tracee *t, const struct plan *plan, uint64_t page)
{
	const uint64_t args[6] = {page, PAGE_BYTES, 0, 0, 0, 0};
	int64_t result;

	make_syscall(t, plan, SYS_munmap, args, &result);
}

static bool is_marker(const struct __ptrace_syscall_info *info)
{
	return info->op == PTRACE_SYSCALL_INFO_ENTRY && info->entry.nr == SYS_mmap &&
	       info->entry.args[1] == 0;
}

static int add_pending_call(struct mp_tracee *t, const struct plan *plan, uint64_t page,
			    int *ret_result)
{
	const struct mp_call_function call = {
		.stub = page,
		.errno_location = plan->f.errno_location,
		.function = plan->f.add_pending_call,
		.args = {plan->f.run_simple_string, page + STATEMENT_AT},
	};
	struct __ptrace_syscall_info info = {0};
	struct user_regs_struct regs;
	int err;

	mp_call_regs_function(&plan->saved, &plan->frame, &call, &regs);
	err = mp_call_begin(t, &regs);
	while (!err && !is_marker(&info))
		err = mp_tracee_to_syscall(t, &info);
	if (err)
		return err;
	*ret_result = (int)info.entry.args[0];
	return 0;
}

static int queue_statement(struct mp_tracee *t, struct plan *plan)
{
	struct __ptrace_syscall_info info;
	uint64_t page = 0;
	int result = 0;
	int err = map_page(t, plan, &page);

	if (err)
		return err;
	err = write_page(t, plan, page);
	if (!err) {
		/* Whether it was queued is not known after a failure: then the page must stay. */
		err = add_pending_call(t, plan, page, &result);
		if (err || !result)
			return err;
		err = mp_tracee_to_syscall(t, &info) ?: -EBUSY;
	}
	unmap_page(t, plan, page);
	return err;
}

static int fail_to_queue(int error, struct mp_error *err)
{
	switch (error) {
	case -EBUSY:
		return mp_fail(
			err, MP_EXIT_TARGET, EBUSY,
			"the interpreter's queue of pending calls is full: its main thread has "
			"not run Python code for long");
	case -ETIMEDOUT:
		return mp_fail(err, MP_EXIT_TARGET, EBUSY,
			       "the interpreter's lock of pending calls is held: try again");
	case -ESRCH:
		return mp_fail(err, MP_EXIT_TARGET, ESRCH, "the thread has ended meanwhile");
	case -ENAMETOOLONG:
		return mp_fail(err, MP_EXIT_TARGET, ENAMETOOLONG,
			       "the path of the script is too long");
	default:
		return mp_fail(err, MP_EXIT_TARGET, -error, "the call in the process failed: %s",
			       strerror(-error));
	}
}

static int run_in_thread(struct plan *plan, pid_t tid, uint64_t *stopped_ns, struct mp_error *err)
{
	struct mp_tracee tracee;
	int back;
	int error = mp_tracee_stop(plan->python->pid, tid, &tracee, err);

	if (error)
		return error;
	error = prepare_thread(&tracee, plan, err);
	if (!error) {
		error = queue_statement(&tracee, plan);
		/* A thread that cannot be had back comes back by itself. */
		back = mp_tracee_park(&tracee) ?: mp_call_restore(&tracee, &plan->saved);
		error = error ?: back;
		error = error ? fail_to_queue(error, err) : 0;
	}
	*stopped_ns += mp_tracee_release(&tracee);
	return error;
}

int mp_pending_run(const struct mp_fsroot *fs, const struct mp_python *python, const char *script,
		   uint64_t *ret_stopped_ns, struct mp_error *err)
{
	MP_FREE struct plan *plan = calloc(1, sizeof(*plan));
	const struct timespec nap = {.tv_nsec = 1000000};
	uint64_t stopped_ns = 0;
	int error;
	pid_t tid;

	if (!plan)
		return mp_fail(err, MP_EXIT_OOM, ENOMEM, "out of memory");
	plan->fs = fs;
	plan->python = python;
	plan->script = script;
	error = make_plan(plan, err);
	for (int i = 0; i < ATTEMPTS && !error; i++) {
		error = mp_thread_to_call(fs, python->pid, &tid);
		error = error ?: run_in_thread(plan, tid, &stopped_ns, err);
		if (error != -EINTR)
			break;
		nanosleep(&nap, NULL);
	}
	if (!error)
		*ret_stopped_ns = stopped_ns;
	return error;
}
