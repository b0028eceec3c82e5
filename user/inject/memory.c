// SPDX-License-Identifier: GPL-2.0-only
#include "inject/memory.h"

#include <errno.h>
#include <sys/uio.h>

static int whole(ssize_t n, size_t len)
{
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EFAULT;
}

/* An address is a number here, and the kernel's to judge. */
static struct iovec remote_range(uint64_t addr, size_t len)
{
	return (struct iovec){(void *)(uintptr_t)addr, len};
}

int mp_memory_read(pid_t pid, uint64_t addr, void *buf, size_t len)
{
	struct iovec local = {buf, len};
	struct iovec remote = remote_range(addr, len);

	return whole(process_vm_readv(pid, &local, 1, &remote, 1, 0), len);
}

int mp_memory_write(pid_t pid, uint64_t addr, const void *buf, size_t len)
{
	struct iovec local = {(void *)(uintptr_t)buf, len};
	struct iovec remote = remote_range(addr, len);

	return whole(process_vm_writev(pid, &local, 1, &remote, 1, 0), len);
}
