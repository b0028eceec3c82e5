// SPDX-License-Identifier: GPL-2.0-only
#include "monitor/watchpoints.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/text.h"
#include "inject/pycode_search.h"
#include "probe/watchpoint.h"

#define SLICE_BYTES (16ULL << 20) /* looked at between two turns of the monitor's loop: 4 ms */
#define ENTRIES_ALONE "entries alone are seen: no returns, durations or growth"
/*
 * Seen in guests of KVM: a debug exception comes with an empty DR6, the guest's kernel takes it for
 * an INT1 of the program and sends SIGTRAP. 6.14 fixed one way to it ("KVM: x86: Load DR6 with
 * guest value only before entering .vcpu_run() loop").
 */
#define IN_A_GUEST                                                                                 \
	"in a virtual machine the host may lose a watchpoint's reason, once in some 100,000 to a " \
	"million calls, and the process is ended by SIGTRAP"
#define NS_PER_MS 1000000ULL
#define MAX_CPUINFO (4U << 20)
#define CHECK_NS (1000 * NS_PER_MS)
/* Looking costs at most a 200th of a CPU for each process. */
#define LOOK_SHARE 200
#define FIRST_PAUSE_NS (1000 * NS_PER_MS)
#define LONGEST_PAUSE_NS (4000 * NS_PER_MS)

/* Processes that were forked while it was there have inherited it. */
struct shared {
	struct mp_watchpoint *watchpoint;
	unsigned int users;
	uint64_t opened_ns;
};

/* A function of a point, in one process. */
struct function {
	size_t point;
	struct mp_pycode code;
	uint64_t bytecode;
	char *qualname;
	char *filename;
	struct shared *shared; /* NULL: it could not be watched, or is only looked for */
	bool is_new;	       /* to be attached at the end of the look */
	bool failed;
};

/* A Python process. */
struct python {
	struct mp_watchpoints *owner;
	struct mp_python info;
	struct mp_pycode_search *search;
	struct function *functions;
	size_t n;
	size_t cap;
	bool *told_missing; /* by path */
	bool looking;
	uint64_t spent_ns;
	uint64_t pause_ns;
	uint64_t look_ns;  /* when the next look begins … */
	uint64_t check_ns; /* … and functions are checked to be there */
};

struct mp_watchpoints {
	struct mp_watchpoints_options o;
	const char **paths; /* of the points that have one … */
	size_t *points;	    /* … and these points */
	bool *told;	    /* by path: there was a site event */
	size_t n_paths;
	bool is_guest; /* runs in a virtual machine */
	struct python **pythons;
	size_t n;
	size_t cap;
};

/* x86: the processor itself says so. */
static bool is_guest(const struct mp_fsroot *fs)
{
	MP_FREE char *text = NULL;

	return mp_read_file_at(fs, MAX_CPUINFO, &text, NULL, "/proc/cpuinfo") == 0 &&
	       strstr(text, " hypervisor");
}

static const char *risk_of(const struct mp_watchpoints *w)
{
	return w->is_guest ? ENTRIES_ALONE "; " IN_A_GUEST : ENTRIES_ALONE;
}

/* --- what is told ----------------------------------------------------------------------- */

static void emit(struct mp_watchpoints *w, size_t point, enum mp_site_status status,
		 const struct function *f, const char *reason)
{
	const struct mp_point *p = &w->o.points->items[point];
	bool attached = status == MP_SITE_ATTACHED;
	const struct mp_event event = {
		.type = MP_EVENT_SITE,
		.site =
			{
				.point = p->name,
				.level = p->level,
				.kind = MP_SITE_WATCHPOINT,
				.binary = f ? f->filename : NULL,
				.symbol = f ? f->qualname : p->python,
				.offset = MP_UNKNOWN,
				.cost = attached ? MP_WATCHPOINT_COST : NULL,
				.risk = attached ? risk_of(w) : NULL,
				.status = status,
				.reason = reason,
			},
	};

	w->o.emit(w->o.data, &event);
	for (size_t i = 0; i < w->n_paths; i++)
		w->told[i] |= w->points[i] == point;
}

static void fail_all(struct mp_watchpoints *w, const char *reason)
{
	for (size_t i = 0; i < w->n_paths; i++)
		emit(w, w->points[i], MP_SITE_FAILED, NULL, reason);
}

/* Or would be. */
static bool is_attached(const struct python *p, const struct function *f)
{
	return f->shared || (!p->owner->o.bpf && !f->is_new && !f->failed);
}

static size_t count_watched(const struct python *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++)
		n += is_attached(p, &p->functions[i]);
	return n;
}

/* Who has the registers. */
static void describe_full(const struct python *p, struct mp_text *out)
{
	const struct mp_points *points = p->owner->o.points;
	size_t watched = count_watched(p);
	const char *before = " by ";

	mp_text_printf(out, "the processor's watchpoints are in use in process %d", p->info.pid);
	for (size_t i = 0; i < p->n; i++) {
		if (!is_attached(p, &p->functions[i]))
			continue;
		mp_text_printf(out, "%s%s (%s)", before, points->items[p->functions[i].point].name,
			       p->functions[i].qualname);
		before = ", ";
	}
	if (watched < MP_MAX_WATCHPOINTS)
		mp_text_printf(out, "%sothers than this monitor", watched ? " and " : before);
	mp_text_puts(out, ": --python-mode inject has no such limit");
}

static void describe_failure(const struct python *p, int error, struct mp_text *out)
{
	switch (error) {
	case -ENOSPC:
		describe_full(p, out);
		break;
	case -EEXIST:
		mp_text_puts(out, "another point's function is at this address in another process");
		break;
	case -EMFILE:
	case -ENFILE:
		mp_text_puts(out, "too many open files, one for each thread: raise ulimit -n");
		break;
	case -EAGAIN:
		mp_text_puts(out, "threads start faster than they can be watched: tried again");
		break;
	case -EACCES:
	case -EPERM:
		mp_text_puts(out, "permission denied: CAP_PERFMON is needed");
		break;
	default:
		mp_text_printf(out,
			       "no hardware watchpoints can be had here (%s): use "
			       "--python-mode inject",
			       strerror(-error));
		break;
	}
}

/* --- functions ---------------------------------------------------------------------------- */

static bool is_used(const struct mp_watchpoints *w, uint64_t bytecode)
{
	for (size_t i = 0; i < w->n; i++) {
		for (size_t j = 0; j < w->pythons[i]->n; j++) {
			if (w->pythons[i]->functions[j].bytecode == bytecode &&
			    w->pythons[i]->functions[j].shared)
				return true;
		}
	}
	return false;
}

static void release(struct shared *shared)
{
	if (!shared || --shared->users)
		return;
	mp_watchpoint_free(shared->watchpoint);
	free(shared);
}

static void drop_function(struct python *p, size_t index)
{
	struct function f = p->functions[index];

	p->functions[index] = p->functions[--p->n];
	release(f.shared);
	if (f.shared && !is_used(p->owner, f.bytecode))
		mp_bpf_forget_code(p->owner->o.bpf, f.bytecode);
	free(f.qualname);
	free(f.filename);
}

/* What found no register may find one now. */
static void retry_failed(struct python *p)
{
	for (size_t i = p->n; i > 0; i--) {
		if (p->functions[i - 1].failed)
			drop_function(p, i - 1);
	}
	p->look_ns = 0;
	p->pause_ns = FIRST_PAUSE_NS;
}

static struct function *add_function(struct python *p, const struct function *from)
{
	struct function copy = *from;

	copy.qualname = strdup(from->qualname);
	copy.filename = strdup(from->filename);
	if (!copy.qualname || !copy.filename || MP_RESERVE_ONE(p->functions, p->n, p->cap)) {
		free(copy.qualname);
		free(copy.filename);
		return NULL;
	}
	p->functions[p->n] = copy;
	return &p->functions[p->n++];
}

static int watch(struct python *p, struct function *f)
{
	const struct mp_watchpoints *w = p->owner;
	const struct mp_watched watched = {
		.object = f->code.addr,
		.type = mp_pycode_search_type(p->search),
		.point = (uint32_t)f->point,
	};
	struct shared *shared = calloc(1, sizeof(*shared));
	int err = shared ? mp_bpf_watch_code(w->o.bpf, f->bytecode, &watched) : -ENOMEM;

	if (!err) {
		shared->users = 1;
		shared->opened_ns = mp_clock_now_ns();
		err = mp_watchpoint_attach(w->o.bpf, w->o.fs, p->info.pid, f->bytecode, w->o.follow,
					   &shared->watchpoint);
		if (err && !is_used(w, f->bytecode))
			mp_bpf_forget_code(w->o.bpf, f->bytecode);
	}
	if (err) {
		free(shared);
		return err;
	}
	f->shared = shared;
	return 0;
}

/* `probes list`: whether there would be a register for it. */
static int judge(const struct python *p)
{
	return count_watched(p) < MP_MAX_WATCHPOINTS ? 0 : -ENOSPC;
}

/* Two points may name one function; its address belongs to one of them. */
static const struct function *find_other(const struct python *p, const struct function *f)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct function *other = &p->functions[i];

		if (other != f && !other->is_new && other->bytecode == f->bytecode)
			return other;
	}
	return NULL;
}

static int attach(struct python *p, struct function *f, struct mp_text *why)
{
	const struct function *other = find_other(p, f);
	int err;

	if (other) {
		mp_text_printf(why, "the function is point \"%s\" already",
			       p->owner->o.points->items[other->point].name);
		return -EALREADY;
	}
	err = p->owner->o.bpf ? watch(p, f) : judge(p);
	if (err)
		describe_failure(p, err, why);
	return err;
}

static void attach_and_tell(struct python *p, size_t index)
{
	struct function *f = &p->functions[index];
	MP_TEXT struct mp_text why = {0};
	int err = attach(p, f, &why);

	f->is_new = false;
	f->failed = err != 0;
	if (!err)
		emit(p->owner, f->point, MP_SITE_ATTACHED, f, NULL);
	else if (err == -EAGAIN)
		emit(p->owner, f->point, MP_SITE_WAITING, f, why.data);
	else if (err != -ESRCH) /* its end is about to be told */
		emit(p->owner, f->point, MP_SITE_FAILED, f, why.data);
	if (err == -EAGAIN)
		drop_function(p, index);
}

static size_t count_attached(const struct python *p, size_t point)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++)
		n += p->functions[i].point == point && is_attached(p, &p->functions[i]);
	return n;
}

/* Registers are few: a second function of a point comes after the first of every other. */
static bool comes_before(const struct python *p, const struct function *a, const struct function *b)
{
	size_t has_a = count_attached(p, a->point);
	size_t has_b = count_attached(p, b->point);

	if (has_a != has_b)
		return has_a < has_b;
	if (a->point != b->point)
		return a->point < b->point;
	return a->code.firstlineno < b->code.firstlineno;
}

/* Returns whether there was a new function. */
static bool attach_next(struct python *p)
{
	size_t next = p->n;

	for (size_t i = 0; i < p->n; i++) {
		if (p->functions[i].is_new &&
		    (next == p->n || comes_before(p, &p->functions[i], &p->functions[next])))
			next = i;
	}
	if (next == p->n)
		return false;
	attach_and_tell(p, next);
	return true;
}

static bool is_same(const struct mp_pycode *a, const struct mp_pycode *b)
{
	return a->n_units == b->n_units && a->filename == b->filename && a->name == b->name &&
	       a->qualname == b->qualname && a->firstlineno == b->firstlineno;
}

/* An object at an address where there was another is news: that one is gone. */
static bool is_known(struct python *p, const struct function *found)
{
	bool known = false;

	for (size_t i = p->n; i > 0; i--) {
		const struct function *f = &p->functions[i - 1];

		if (f->code.addr != found->code.addr)
			continue;
		if (!is_same(&f->code, &found->code))
			drop_function(p, i - 1);
		else
			known |= f->point == found->point;
	}
	return known;
}

static void on_found(void *data, size_t path, const struct mp_pycode *code, const char *qualname,
		     const char *filename)
{
	struct python *p = data;
	const struct function found = {
		.point = p->owner->points[path],
		.code = *code,
		.bytecode = mp_pycode_search_bytecode(p->search, code),
		.qualname = (char *)qualname,
		.filename = (char *)filename,
		.is_new = true,
	};

	if (!is_known(p, &found) && add_function(p, &found))
		p->told_missing[path] = false;
}

/* --- looks and checks ---------------------------------------------------------------------- */

static bool has_function(const struct python *p, size_t point)
{
	for (size_t i = 0; i < p->n; i++) {
		if (p->functions[i].point == point)
			return true;
	}
	return false;
}

static void set_told(struct python *p, size_t point)
{
	for (size_t i = 0; i < p->owner->n_paths; i++) {
		if (p->owner->points[i] == point)
			p->told_missing[i] = true;
	}
}

static void tell_missing(struct python *p)
{
	struct mp_watchpoints *w = p->owner;
	char reason[256];

	snprintf(reason, sizeof(reason),
		 "not loaded in process %d (Python %u.%u): looked for again", p->info.pid,
		 p->info.major, p->info.minor);
	for (size_t i = 0; i < w->n_paths; i++) {
		if (p->told_missing[i] || has_function(p, w->points[i]))
			continue;
		p->told_missing[i] = true;
		emit(w, w->points[i], MP_SITE_WAITING, NULL, reason);
	}
}

static int begin_look(struct python *p)
{
	int err = mp_pycode_search_begin(p->search);

	p->looking = !err;
	p->spent_ns = 0;
	return err;
}

/* The longer a look takes, and the longer nothing has come, the later is the next. */
static void end_look(struct python *p, uint64_t now)
{
	uint64_t least = p->spent_ns * LOOK_SHARE;
	bool news = false;

	while (attach_next(p))
		news = true;
	tell_missing(p);
	p->looking = false;
	p->pause_ns = news ? FIRST_PAUSE_NS : 2 * p->pause_ns;
	if (p->pause_ns > LONGEST_PAUSE_NS)
		p->pause_ns = LONGEST_PAUSE_NS;
	p->look_ns = now + (least > p->pause_ns ? least : p->pause_ns);
}

static int look(struct python *p)
{
	uint64_t begin = mp_clock_now_ns();
	int r = mp_pycode_search_step(p->search, SLICE_BYTES, on_found, p);
	uint64_t now = mp_clock_now_ns();

	p->spent_ns += now - begin;
	if (r > 0)
		end_look(p, now);
	return r < 0 ? r : 0;
}

static void take_off(struct python *p, size_t index)
{
	const struct function *f = &p->functions[index];
	char reason[128];

	snprintf(reason, sizeof(reason),
		 "the function is gone from process %d, or was replaced: looked for again",
		 p->info.pid);
	emit(p->owner, f->point, MP_SITE_WAITING, f, reason);
	set_told(p, f->point);
	drop_function(p, index);
}

static int check(struct python *p)
{
	bool gone = false;

	for (size_t i = p->n; i > 0; i--) {
		int err = mp_pycode_search_check(p->search, &p->functions[i - 1].code);

		if (err == -ESRCH)
			return err;
		if (!err)
			continue;
		gone = true;
		if (p->functions[i - 1].shared)
			take_off(p, i - 1);
		else
			drop_function(p, i - 1);
	}
	if (gone)
		retry_failed(p);
	return 0;
}

static void tell_lost(const struct python *p, int error)
{
	char reason[128];

	snprintf(reason, sizeof(reason), "process %d cannot be read any more (%s)", p->info.pid,
		 strerror(-error));
	fail_all(p->owner, reason);
}

/* Of one process. Returns whether it is still there. */
static bool run_python(struct python *p, uint64_t now)
{
	int err = 0;

	if (now >= p->check_ns) {
		p->check_ns = now + CHECK_NS;
		err = check(p);
	}
	if (!err && !p->looking && now >= p->look_ns)
		err = begin_look(p);
	if (!err && p->looking)
		err = look(p);
	if (err && err != -ESRCH)
		tell_lost(p, err);
	return !err;
}

static uint64_t due_ns(const struct python *p)
{
	if (p->looking)
		return 0;
	return p->look_ns < p->check_ns ? p->look_ns : p->check_ns;
}

/* Index of who waits longest, of at least one. */
static size_t next_due(const struct mp_watchpoints *w)
{
	size_t next = 0;

	for (size_t i = 1; i < w->n; i++) {
		if (due_ns(w->pythons[i]) < due_ns(w->pythons[next]))
			next = i;
	}
	return next;
}

static void free_python(struct python *p)
{
	while (p->n)
		drop_function(p, p->n - 1);
	mp_pycode_search_free(p->search);
	free(p->functions);
	free(p->told_missing);
	free(p);
}

static void remove_at(struct mp_watchpoints *w, size_t index)
{
	struct python *p = w->pythons[index];

	free_python(p);
	w->pythons[index] = w->pythons[--w->n];
}

uint64_t mp_watchpoints_run(struct mp_watchpoints *w, uint64_t now)
{
	size_t i = w->n ? next_due(w) : 0;
	uint64_t due;

	if (w->n && due_ns(w->pythons[i]) <= now && !run_python(w->pythons[i], now))
		remove_at(w, i);
	due = w->n ? due_ns(w->pythons[next_due(w)]) : UINT64_MAX;
	if (due > now + CHECK_NS)
		return CHECK_NS;
	return due > now + NS_PER_MS ? due - now : NS_PER_MS;
}

void mp_watchpoints_emit_waiting(struct mp_watchpoints *w)
{
	for (size_t i = 0; i < w->n_paths; i++) {
		if (!w->told[i])
			emit(w, w->points[i], MP_SITE_WAITING, NULL,
			     "no Python process has been looked through yet");
	}
}

static bool is_looking(const struct mp_watchpoints *w)
{
	for (size_t i = 0; i < w->n; i++) {
		if (w->pythons[i]->looking)
			return true;
	}
	return false;
}

void mp_watchpoints_finish_looks(struct mp_watchpoints *w, uint64_t at_most_ns)
{
	uint64_t begin = mp_clock_now_ns();
	uint64_t now = begin;

	while (is_looking(w) && now - begin < at_most_ns) {
		mp_watchpoints_run(w, now);
		now = mp_clock_now_ns();
	}
}

size_t mp_watchpoints_point_functions(const struct mp_watchpoints *w, size_t point)
{
	size_t n = 0;

	for (size_t i = 0; i < w->n; i++)
		n += count_attached(w->pythons[i], point);
	return n;
}

/* --- processes ------------------------------------------------------------------------------ */

static struct python *find(const struct mp_watchpoints *w, pid_t pid)
{
	for (size_t i = 0; i < w->n; i++) {
		if (w->pythons[i]->info.pid == pid)
			return w->pythons[i];
	}
	return NULL;
}

static int open_python(struct python *p, struct mp_error *err)
{
	struct mp_watchpoints *w = p->owner;
	int error;

	p->told_missing = calloc(w->n_paths, sizeof(*p->told_missing));
	if (!p->told_missing)
		return -ENOMEM;
	error = mp_pycode_search_new(w->o.fs, &p->info, w->paths, w->n_paths, &p->search, err);
	return error ? error : begin_look(p);
}

static bool keep_python(struct mp_watchpoints *w, struct python *p)
{
	if (MP_RESERVE_ONE(w->pythons, w->n, w->cap))
		return false;
	w->pythons[w->n++] = p;
	return true;
}

/* Kept, so that it is told once. */
static void refuse(struct python *p, int error, const struct mp_error *err)
{
	p->look_ns = UINT64_MAX;
	p->check_ns = UINT64_MAX;
	fail_all(p->owner, err->text[0] ? err->text : strerror(-error));
}

void mp_watchpoints_add(struct mp_watchpoints *w, pid_t pid)
{
	struct mp_error err = {0};
	struct python *p;
	int error;

	mp_watchpoints_remove(w, pid);
	p = w->n_paths ? calloc(1, sizeof(*p)) : NULL;
	if (!p)
		return;
	p->owner = w;
	p->pause_ns = FIRST_PAUSE_NS;
	error = mp_python_inspect(w->o.fs, pid, &p->info, &err);
	error = error ?: open_python(p, &err);
	/* It is none, or not yet, or no more. */
	if (error == -ENOENT || error == -EFAULT || error == -ESRCH || !keep_python(w, p)) {
		free_python(p);
		return;
	}
	p->info.pid = pid;
	if (error)
		refuse(p, error, &err);
}

void mp_watchpoints_mapped(struct mp_watchpoints *w, pid_t pid)
{
	if (!find(w, pid))
		mp_watchpoints_add(w, pid);
}

/* The child has the same memory, and the same watchpoints on it. */
static void inherit(struct python *child, const struct python *parent, uint64_t ts_ns)
{
	for (size_t i = 0; i < parent->n; i++) {
		const struct function *f = &parent->functions[i];

		if (f->shared && f->shared->opened_ns <= ts_ns && add_function(child, f))
			f->shared->users++;
	}
}

void mp_watchpoints_fork(struct mp_watchpoints *w, pid_t parent, pid_t child, uint64_t ts_ns)
{
	const struct python *from;
	struct python *to;

	mp_watchpoints_add(w, child);
	from = find(w, parent);
	to = find(w, child);
	if (from && to)
		inherit(to, from, ts_ns);
}

void mp_watchpoints_remove(struct mp_watchpoints *w, pid_t pid)
{
	for (size_t i = 0; i < w->n; i++) {
		if (w->pythons[i]->info.pid != pid)
			continue;
		remove_at(w, i);
		return;
	}
}

/* --- beginning and end ------------------------------------------------------------------------ */

struct mp_watchpoints *mp_watchpoints_new(const struct mp_watchpoints_options *options)
{
	const struct mp_points *points = options->points;
	struct mp_watchpoints *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->o = *options;
	w->is_guest = is_guest(options->fs);
	w->paths = calloc(points->n + 1, sizeof(*w->paths));
	w->points = calloc(points->n + 1, sizeof(*w->points));
	w->told = calloc(points->n + 1, sizeof(*w->told));
	if (!w->paths || !w->points || !w->told) {
		mp_watchpoints_free(w);
		return NULL;
	}
	for (size_t i = 0; i < points->n; i++) {
		if (!points->items[i].python)
			continue;
		w->paths[w->n_paths] = points->items[i].python;
		w->points[w->n_paths++] = i;
	}
	return w;
}

const char *mp_watchpoints_warning(const struct mp_watchpoints *w)
{
	return w->is_guest ? IN_A_GUEST ": --python-mode inject has no such risk" : NULL;
}

void mp_watchpoints_detach(struct mp_watchpoints *w)
{
	while (w && w->n)
		remove_at(w, w->n - 1);
}

void mp_watchpoints_free(struct mp_watchpoints *w)
{
	if (!w)
		return;
	mp_watchpoints_detach(w);
	free(w->pythons);
	free(w->paths);
	free(w->points);
	free(w->told);
	free(w);
}
