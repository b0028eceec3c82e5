/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files that make up the monitor share: its state, and the ways into them. */
#ifndef MP_MONITOR_PRIVATE_H
#define MP_MONITOR_PRIVATE_H

#include "action/notify.h"
#include "base/loop.h"
#include "monitor/child.h"
#include "monitor/domains.h"
#include "monitor/guardian.h"
#include "monitor/monitor.h"
#include "monitor/oom.h"
#include "monitor/pipeline.h"
#include "monitor/python.h"
#include "monitor/watchpoints.h"
#include "probe/prober.h"
#include "source/mmap_watch.h"
#include "source/pressure.h"
#include "source/ring.h"

#define MP_DRAIN_BATCH 4096U

struct mp_watched_pid {
	struct mp_monitor *monitor;
	pid_t pid;
	int pidfd;
};

struct mp_monitor {
	const struct mp_monitor_options *o;
	struct mp_fsroot fs;
	struct mp_features features;
	struct mp_cgroups cgroups;
	struct mp_bpf *bpf;
	struct mp_prober *prober;
	struct mp_ring *ring;
	struct mp_loop *loop;
	struct mp_mmap_watch *mmaps;
	struct mp_python_env *python_env;   /* of `run`; NULL: none */
	struct mp_pythons *pythons;	    /* NULL: nothing is injected */
	struct mp_watchpoints *watchpoints; /* NULL: Python functions are not watched so */
	struct mp_undo *undo;		    /* NULL: nothing is done that must be undone */
	struct mp_guardian *guardian;
	struct mp_pressure *pressure; /* NULL with --no-pressure */
	struct mp_domains *domains;
	struct mp_oom *oom;
	struct mp_output *output;
	struct mp_pipeline pipeline;
	struct mp_child child;
	char notify_path[MP_NOTIFY_PATH]; /* of the socket that the command is told by; "": none */
	uint64_t oom_kills;		  /* of the command's group before it ran */
	struct mp_watched_pid *pids;	  /* of pid targets */
	size_t n_pids;
	size_t n_live_pids;
	pid_t *dirty; /* processes that mapped something; 0: all */
	size_t n_dirty;
	size_t cap_dirty;
	int signals;
	int tick;
	int deadline;
	int watch_timer;	/* of watchpoints */
	bool started;		/* start was put out: from here on a summary follows */
	bool draining;		/* more records wait than one batch */
	struct mp_error denied; /* why nothing at all can be watched; no text: it can */
	const char *stop_reason;
	int stop_signal;
	uint64_t start_ns;
	uint64_t received;
	bool lost_points_told;
	uint64_t followed_since; /* ticks since boot: children that began later are followed */
	uint64_t missed_seen;	 /* by the kernel side, when /proc was last looked through */
	uint64_t lost_told;	 /* ring losses already reported … */
	uint64_t lost_told_ns;	 /* … and when */
};

/* inputs.c: what the loop calls, and what a record goes through. */
void mp_monitor_stop(struct mp_monitor *m, const char *reason);
int mp_monitor_block_signals(struct mp_monitor *m);
/* The sources, and what they are told apart by. */
int mp_monitor_open_inputs(struct mp_monitor *m);
/* … into the loop. */
int mp_monitor_watch_inputs(struct mp_monitor *m);
int mp_monitor_watch_end(struct mp_monitor *m, struct mp_watched_pid *w);
void mp_monitor_watch_mmaps(struct mp_monitor *m);
void mp_monitor_drain(struct mp_monitor *m);
/* Looks again at processes that mapped something since the last time. */
void mp_monitor_look_again(struct mp_monitor *m);
/* … and at one process now. */
void mp_monitor_look_at(struct mp_monitor *m, pid_t pid);
/* Says, once, that programs have declared more points than there is room for. */
void mp_monitor_warn_lost_points(struct mp_monitor *m);
/* Goes on with looking for Python functions, and asks for the next time. */
void mp_monitor_run_watchpoints(struct mp_monitor *m);
/* A process came under watch, runs another program, or has ended. */
void mp_monitor_take_process(struct mp_monitor *m, struct mp_event *event);
/* What this process has mapped is looked at again soon; 0: what all have. */
void mp_monitor_mark_dirty(struct mp_monitor *m, pid_t pid);
/* What the kernel side still has to tell of reclaim. */
void mp_monitor_flush_reclaim(struct mp_monitor *m);
/* mp_action_host.look: `data` is the monitor. */
void mp_monitor_look(void *data, const char *domain);

/* reconcile.c: finds what the kernel side missed, if it missed anything since the last time. */
void mp_monitor_reconcile(struct mp_monitor *m);
/* Called when the kernel side begins to follow processes. */
void mp_monitor_reconcile_from_now(struct mp_monitor *m);
/* `pid` has ended: if it is under watch still, that was missed. */
void mp_monitor_forget_ended(struct mp_monitor *m, pid_t pid);

/* setup.c: everything until the first record can come. */
int mp_monitor_set_up(struct mp_monitor *m, struct mp_error *err);
void mp_monitor_put_start(struct mp_monitor *m);

#endif
