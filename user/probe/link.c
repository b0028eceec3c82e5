// SPDX-License-Identifier: GPL-2.0-only
#include "probe/link.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "base/array.h"
#include "base/fsroot.h"
#include "base/size.h"

#define KERNEL_ENOTSUPP 524 /* the kernel's own, not in errno.h */

static int keep_fd(struct mp_links *links, int fd)
{
	if (MP_RESERVE_ONE(links->fds, links->n, links->cap)) {
		close(fd);
		return -ENOMEM;
	}
	links->fds[links->n++] = fd;
	return 0;
}

/* A set of sites in one file, as the kernel wants them: arrays side by side. */
struct batch {
	struct mp_site **sites;
	unsigned long *offsets;
	unsigned long *semaphores;
	unsigned long long *cookies;
	unsigned int n;
	bool has_semaphores;
};

static void batch_free(struct batch *b)
{
	free(b->sites);
	free(b->offsets);
	free(b->semaphores);
	free(b->cookies);
}

static int batch_alloc(struct batch *b, size_t max)
{
	b->sites = calloc(max, sizeof(struct mp_site *));
	b->offsets = calloc(max, sizeof(*b->offsets));
	b->semaphores = calloc(max, sizeof(*b->semaphores));
	b->cookies = calloc(max, sizeof(*b->cookies));
	return b->sites && b->offsets && b->semaphores && b->cookies ? 0 : -ENOMEM;
}

struct attacher {
	struct mp_links *links;
	const struct mp_bpf *bpf;
	const struct mp_features *features;
	struct mp_sites *sites;
	pid_t pid;
};

static bool takes_program(const struct mp_site *site, enum mp_program program)
{
	if (site->is_marker)
		return program == MP_PROGRAM_MARKER;
	if (site->kind == MP_SITE_USDT)
		return program == MP_PROGRAM_USDT;
	if (program == MP_PROGRAM_LEAVE)
		return site->n_exits > 0;
	return program == MP_PROGRAM_ENTER ||
	       (program == MP_PROGRAM_RETURN && site->with_return && !site->n_exits);
}

static void batch_add(struct batch *b, struct mp_site *site, size_t index, uint64_t offset)
{
	b->sites[b->n] = site;
	b->offsets[b->n] = offset;
	b->semaphores[b->n] = site->semaphore_offset;
	b->cookies[b->n] = MP_COOKIE(site->point, index);
	b->has_semaphores |= site->semaphore_offset != 0;
	b->n++;
}

/* Sites of the file that sites[first] is in, from there on. */
static void batch_fill(struct batch *b, const struct attacher *a, size_t first,
		       enum mp_program program)
{
	const struct mp_site *lead = &a->sites->items[first];

	b->n = 0;
	b->has_semaphores = false;
	for (size_t i = first; i < a->sites->n; i++) {
		struct mp_site *site = &a->sites->items[i];

		if (site->status != MP_SITE_ATTACHED || site->dev != lead->dev ||
		    site->ino != lead->ino || !takes_program(site, program))
			continue;
		if (program != MP_PROGRAM_LEAVE)
			batch_add(b, site, i, site->offset);
		for (size_t j = 0; program == MP_PROGRAM_LEAVE && j < site->n_exits; j++)
			batch_add(b, site, i, site->exits[j]);
	}
}

static void fail_site(struct mp_site *site, int error)
{
	const char *why;

	switch (error) {
	case -ENOTSUP:
	case -KERNEL_ENOTSUPP:
		why = "the kernel cannot probe this instruction";
		break;
	case -ENOENT:
	case -EIO:
		why = "the file is gone or was replaced";
		break;
	case -EACCES:
	case -EPERM:
		why = "permission denied: CAP_SYS_ADMIN may be needed";
		break;
	default:
		why = strerror(-error);
		break;
	}
	free(site->reason);
	site->reason = strdup(why);
	site->status = MP_SITE_FAILED;
}

static int link_range(const struct attacher *a, const struct batch *b, unsigned int from,
		      unsigned int n, enum mp_program program)
{
	struct mp_multi_spec spec = {
		.prog_fd = mp_bpf_program(a->bpf, program),
		.path = b->sites[from]->open_path,
		.offsets = b->offsets + from,
		.ref_ctr_offsets = b->has_semaphores ? b->semaphores + from : NULL,
		.cookies = b->cookies + from,
		.n = n,
		.is_return = program == MP_PROGRAM_RETURN,
		.pid = a->pid,
	};

	return mp_multi_link(&spec);
}

/*
 * One refused site refuses its whole link: then the halves are tried, so that
 * k bad ones among n cost about k log n links.
 */
static int link_multi(const struct attacher *a, const struct batch *b, unsigned int from,
		      unsigned int n, enum mp_program program)
{
	int fd = link_range(a, b, from, n, program);

	if (fd >= 0)
		return keep_fd(a->links, fd);
	if (n == 1) {
		fail_site(b->sites[from], fd);
		return 0;
	}
	return link_multi(a, b, from, n / 2, program)
		       ?: link_multi(a, b, from + n / 2, n - n / 2, program);
}

static int perf_uprobe_type(void)
{
	const struct mp_fsroot fs = {""};
	MP_FREE char *text = NULL;
	uint64_t type;
	int err =
		mp_read_file_at(&fs, 64, &text, NULL, "/sys/bus/event_source/devices/uprobe/type");

	if (err)
		return err;
	text[strcspn(text, "\n")] = '\0';
	err = mp_number_parse(text, INT32_MAX, &type);
	return err ? err : (int)type;
}

static int perf_open(const struct mp_site *site, unsigned long offset, pid_t pid, bool is_return)
{
	int type = perf_uprobe_type();
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = (__u32)type,
		/* Bit 0: return probe. The high half: where the semaphore is. */
		.config = (is_return ? 1ULL : 0) | site->semaphore_offset << 32,
		.uprobe_path = (__u64)(unsigned long)site->open_path,
		.probe_offset = offset,
	};
	long fd;

	if (type < 0)
		return type;
	fd = syscall(SYS_perf_event_open, &attr, pid ? pid : -1, pid ? -1 : 0, -1,
		     PERF_FLAG_FD_CLOEXEC);
	return fd < 0 ? -errno : (int)fd;
}

static int link_perf_one(const struct attacher *a, const struct batch *b, unsigned int i,
			 enum mp_program program)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .perf_event.bpf_cookie = b->cookies[i]);
	struct mp_site *site = b->sites[i];
	MP_CLOSE int event = perf_open(site, b->offsets[i], a->pid, program == MP_PROGRAM_RETURN);
	int link;

	if (event < 0) {
		fail_site(site, event);
		return 0;
	}
	link = bpf_link_create(mp_bpf_program(a->bpf, program), event, BPF_PERF_EVENT, &opts);
	if (link < 0 || ioctl(event, PERF_EVENT_IOC_ENABLE, 0) < 0) {
		fail_site(site, link < 0 ? link : -errno);
		if (link >= 0)
			close(link);
		return 0;
	}
	return keep_fd(a->links, link) ?: keep_fd(a->links, mp_take_fd(&event));
}

static int link_batch(const struct attacher *a, const struct batch *b, enum mp_program program)
{
	if (b->n == 0)
		return 0;
	if (a->features->uprobe_multi)
		return link_multi(a, b, 0, b->n, program);
	for (unsigned int i = 0; i < b->n; i++) {
		int err = link_perf_one(a, b, i, program);

		if (err)
			return err;
	}
	return 0;
}

/* Whether an earlier site of the range lies in the same file: then its batch held this one. */
static bool seen_before(const struct mp_sites *sites, size_t first, size_t i)
{
	for (size_t j = first; j < i; j++) {
		if (sites->items[j].dev == sites->items[i].dev &&
		    sites->items[j].ino == sites->items[i].ino)
			return true;
	}
	return false;
}

static int attach_program(const struct attacher *a, struct batch *b, size_t first,
			  enum mp_program program)
{
	for (size_t i = first; i < a->sites->n; i++) {
		int err;

		if (!a->sites->items[i].open_path || seen_before(a->sites, first, i))
			continue;
		batch_fill(b, a, i, program);
		err = link_batch(a, b, program);
		if (err)
			return err;
	}
	return 0;
}

/* How many places the sites from `first` on may take of one program. */
static size_t count_places(const struct mp_sites *sites, size_t first)
{
	size_t n = 0;

	for (size_t i = first; i < sites->n; i++)
		n += 1 + sites->items[i].n_exits;
	return n;
}

int mp_links_attach(struct mp_links *links, const struct mp_bpf *bpf,
		    const struct mp_features *features, struct mp_sites *sites, size_t first,
		    pid_t pid)
{
	struct attacher a = {links, bpf, features, sites, pid};
	struct batch b = {0};
	int attached = 0;
	int err;

	if (first >= sites->n)
		return 0;
	err = batch_alloc(&b, count_places(sites, first));
	/* Returns first: a call that is counted on entry then has its return counted, too. */
	err = err ?: attach_program(&a, &b, first, MP_PROGRAM_RETURN);
	err = err ?: attach_program(&a, &b, first, MP_PROGRAM_LEAVE);
	err = err ?: attach_program(&a, &b, first, MP_PROGRAM_ENTER);
	err = err ?: attach_program(&a, &b, first, MP_PROGRAM_USDT);
	err = err ?: attach_program(&a, &b, first, MP_PROGRAM_MARKER);
	batch_free(&b);
	for (size_t i = first; i < sites->n; i++)
		attached += sites->items[i].status == MP_SITE_ATTACHED;
	return err ? err : attached;
}

/* Backwards: entries go before the returns that belong to them. */
void mp_links_free(struct mp_links *links)
{
	while (links->n)
		close(links->fds[--links->n]);
	free(links->fds);
	*links = (struct mp_links){0};
}
