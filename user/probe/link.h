/* SPDX-License-Identifier: GPL-2.0-only */
/* Attaching programs to sites: by uprobe_multi where the kernel has it, else by perf uprobes. */
#ifndef MP_PROBE_LINK_H
#define MP_PROBE_LINK_H

#include "probe/bpf.h"
#include "probe/features.h"
#include "probe/site.h"

/* File descriptors of links and perf events; closing them takes the probes away. */
struct mp_links {
	int *fds;
	size_t n;
	size_t cap;
};

/*
 * Attaches sites[first..n): entry and, where a site wants it, return. A site
 * that the kernel refuses becomes `failed` with the reason; the others are
 * attached all the same. `pid` 0 means every process. Returns how many
 * were attached, or -ENOMEM.
 */
int mp_links_attach(struct mp_links *links, const struct mp_bpf *bpf,
		    const struct mp_features *features, struct mp_sites *sites, size_t first,
		    pid_t pid);

/* Detaches all; the kernel waits for programs that still run. */
void mp_links_free(struct mp_links *links);

#endif
