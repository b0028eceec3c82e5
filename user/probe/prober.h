/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The probes of a run: takes the binaries of processes as they come to be
 * known, finds the points in them and attaches.
 */
#ifndef MP_PROBE_PROBER_H
#define MP_PROBE_PROBER_H

#include "base/event.h"
#include "base/fsroot.h"
#include "probe/bpf.h"
#include "probe/features.h"
#include "probe/site.h"
#include "target/target.h"

struct mp_prober;

#define MP_MAX_USDT_SITES 4096
#define MP_MAX_PROBER_PIDS 8 /* more pid targets than this are filtered in the kernel instead */

struct mp_prober_options {
	const struct mp_fsroot *fs;
	const struct mp_points *points;
	const struct mp_features *features;
	struct mp_bpf *bpf;		/* NULL: only look, for `probes list` */
	pid_t pids[MP_MAX_PROBER_PIDS]; /* attach to these alone; n_pids 0: to every process */
	size_t n_pids;
	bool python_elsewhere; /* points with nothing but a Python path are none of its business */
	mp_event_fn emit;      /* a site event for each new site, with only `type` and `site` set */
	void *data;
};

struct mp_prober *mp_prober_new(const struct mp_prober_options *options);
/* Takes the probes away. Sites stay readable until mp_prober_free(). */
void mp_prober_detach(struct mp_prober *prober);
void mp_prober_free(struct mp_prober *prober);

/*
 * Looks at one file, once: a file that was seen before costs a lookup. Files
 * that are no ELF are passed over. Errors as mp_resolve_binary().
 */
int mp_prober_add_binary(struct mp_prober *prober, const struct mp_binary *binary,
			 struct mp_error *err);
/* A file by its path on this system; `is_exe`: a program, not a library. */
int mp_prober_add_path(struct mp_prober *prober, const char *path, bool is_exe,
		       struct mp_error *err);
/* Everything that a process has mapped executable. -ESRCH when it is gone. */
int mp_prober_add_process(struct mp_prober *prober, pid_t pid, struct mp_error *err);
/* Files on disk that the points' binary globs name, before anyone has mapped them. */
int mp_prober_add_candidates(struct mp_prober *prober, struct mp_error *err);

/* Whether a file is known already (st_dev, st_ino). */
bool mp_prober_knows(const struct mp_prober *prober, uint64_t dev, uint64_t ino);

/* Attaches the sites added since the last call. -ENOMEM. */
int mp_prober_attach(struct mp_prober *prober);
/* Emits a site event for each site that was attached, or failed to, since the last call. */
void mp_prober_emit(struct mp_prober *prober);

/*
 * Emits a site event for a point (that is declared by now), once: at `ts_ns` a program has passed
 * it by the marker with that number.
 */
void mp_prober_reached(struct mp_prober *prober, size_t point, uint32_t marker,
		       enum mp_site_kind kind, uint64_t ts_ns);

/* Emits a `waiting` site for each point that has none, with what was looked at. */
void mp_prober_emit_waiting(struct mp_prober *prober);

/* How many sites of a point are attached (or would be). */
size_t mp_prober_point_sites(const struct mp_prober *prober, size_t point);
const struct mp_sites *mp_prober_sites(const struct mp_prober *prober);

#endif
