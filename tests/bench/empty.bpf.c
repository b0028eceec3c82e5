// SPDX-License-Identifier: GPL-2.0-only
/* The least that a pair of probes can cost: what the benchmarks compare with. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("uprobe")
int empty_enter(void *ctx)
{
	return 0;
}

SEC("uretprobe")
int empty_return(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
