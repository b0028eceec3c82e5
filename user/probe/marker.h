/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The markers of libmemprobe in the files of processes: three functions that do nothing, by
 * which programs tell of points. All points of a file share them; which one it is says the id
 * that they are called with.
 */
#ifndef MP_PROBE_MARKER_H
#define MP_PROBE_MARKER_H

#include "probe/site.h"
#include "target/target.h"

/*
 * Appends a site for each marker of the file: of the library itself, of the markers alone
 * (also as a memfd), or of whatever was linked with them. Those that are not as they should be
 * are appended as failed. Returns how many were appended, 0 for any other file; -ENOMEM.
 */
int mp_markers_find(struct mp_sites *sites, const struct mp_binary *binary);

/* The event of a marker, or, with a point, of what has been passed by it. */
void mp_marker_event(const struct mp_site *site, const struct mp_point *point,
		     struct mp_event_site *ret);

#endif
