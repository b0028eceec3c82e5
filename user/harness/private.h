/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of a rehearsal share. */
#ifndef MP_HARNESS_PRIVATE_H
#define MP_HARNESS_PRIVATE_H

#include "base/loop.h"
#include "cgroup/psi.h"
#include "env/device.h"
#include "harness/harness.h"
#include "monitor/child.h"
#include "monitor/guardian.h"

#define MP_HARNESS_NO_SLOT (-1)

/* The group that is under pressure, as it is now. */
struct mp_look {
	uint64_t now_ns;
	uint64_t usage;	 /* working set */
	uint64_t filler; /* what the filler held when usage was read, or a little less */
	uint64_t most;	 /* that the reserves leave the filler to have */
};

/* A group around the domain with a limit of its own, in which nobody is to run out of memory. */
#define MP_HARNESS_OUTER 8
struct mp_outer {
	char *path;
	uint64_t limit;
	uint64_t reclaimable; /* of its usage, by the last whole look */
};

/* The monitor in a process of its own, and what it tells. watcher.c */
struct mp_watcher {
	pid_t pid;
	int fd; /* its records; -1: it does not run (any more) */
	struct mp_ndjson_reader *reader;
	char *line; /* one that has not come to its end */
	size_t line_len, line_cap;
	bool started;
	char why[512]; /* it does not run */
};

struct mp_harness {
	const struct mp_harness_options *o;
	struct mp_pattern_options pattern;
	struct mp_pattern_stage stage;
	struct mp_cgroups cg;
	char *domain;		 /* the group whose limit it is; NULL: the host */
	char psi_path[PATH_MAX]; /* of the domain, or "" */
	struct mp_psi_totals psi_begin;
	struct mp_psi_totals stall_before; /* of an earlier run that this one is added to */
	uint64_t oom_kills_begin;
	uint64_t reserve; /* of the host, never touched */
	struct mp_outer outer[MP_HARNESS_OUTER];
	size_t n_outer;
	uint64_t most; /* that the filler may have, by the last look at the host and around */

	struct mp_undo *undo;
	struct mp_guardian *guardian;
	struct mp_device device; /* of the profile; with no folders there is none */
	struct mp_group room;	 /* of the filler */
	struct mp_group_notes room_notes;

	struct mp_filler *filler;
	struct mp_child command;
	struct mp_watcher watcher;

	struct mp_loop *loop;
	int tick;    /* timerfd */
	int signals; /* signalfd */
	bool stop;
	bool interrupted;
	bool filler_ended;
	int filler_status;

	uint64_t begin_ns; /* of the run */
	uint64_t clock_ns; /* of the pattern: begin_ns, or when what it holds was reached; 0: not
			      yet */
	uint64_t due_ns;   /* when the pattern's next phase begins, on its clock; UINT64_MAX: as it
			      goes */
	uint64_t sampled_ns;
	uint64_t reclaimable; /* of the domain's usage, by the last whole sample */
	struct mp_want want;
	uint64_t short_since_ns; /* held back by a reserve since then; 0: it is not */
	bool reached;		 /* what is wanted now */
	bool was_short;		 /* the host's reserve, or the kernel, gave less than was wanted */

	struct mp_harness_figures figures;
	uint64_t reclaimed_pages; /* of the group, as the monitor told */
	struct mp_memory_report report;
	size_t samples_cap, phases_cap, marks_cap;
	size_t phase_first_sample;
	size_t first_sample; /* taken since what is wanted now was reached */
	char verdict[512], recommendation[512], kernel[128];
};

/* book.c: what is kept for the report. -ENOMEM. */
int mp_book_take_over(struct mp_harness *h, const struct mp_memory_report *earlier);
int mp_book_sample(struct mp_harness *h, const struct mp_look *look);
/* A new phase of the pattern begins now; it should have at `due_ns` of the run. */
int mp_book_phase(struct mp_harness *h, const struct mp_want *want, uint64_t now_ns,
		  uint64_t due_ns);
/* The last phase is over. */
void mp_book_end_phase(struct mp_harness *h, uint64_t now_ns);
int mp_book_mark(struct mp_harness *h, const struct mp_event *event);
/* Outcome, verdict, pressure: when all is over and nothing is removed yet. */
void mp_book_close(struct mp_harness *h);
void mp_book_free(struct mp_harness *h);

/* figures.c: what the command takes, at each look, and when it has ended. */
void mp_figures_begin(struct mp_harness *h);
void mp_figures_look(struct mp_harness *h);
void mp_figures_close(struct mp_harness *h);

/* look.c */
int mp_look_around(struct mp_harness *h); /* finds the groups around, once, before the first look */
void mp_look_free(struct mp_harness *h);
int mp_look(struct mp_harness *h, bool whole, struct mp_look *ret);

/* play.c: plays the pattern to its end, a signal, or the end of the filler. */
int mp_play(struct mp_harness *h, struct mp_error *err);

/* watcher.c. Starting never fails the run: `why` says what is missing then. */
void mp_watcher_start(struct mp_harness *h);
void mp_watcher_read(void *harness);
/* Asks it to end, and takes what it tells at last. */
void mp_watcher_end(struct mp_harness *h);

#endif
