// SPDX-License-Identifier: GPL-2.0-only
/* Which sources of pressure this machine has: found by opening them. */
#include <errno.h>
#include <unistd.h>

#include "cgroup/control.h"
#include "source/pressure.h"
#include "source/pressure_kind.h"

static void detect_psi(const struct mp_cgroups *cg, const struct mp_policy *policy,
		       struct mp_pressure_support *ret)
{
	struct mp_psi *psi = NULL;
	char path[PATH_MAX];

	if (mp_fsroot_path(&cg->fs, path, MP_PRESSURE_HOST_PSI) ||
	    mp_psi_new(path, policy->some_pct, policy->window_ns, &psi))
		return;
	ret->psi = true;
	ret->psi_window_ns = mp_psi_window_ns(psi);
	ret->psi_trigger = ret->psi_window_ns != 0;
	mp_psi_free(psi);
}

static int has_psi(void *data, const char *path)
{
	const struct mp_cgroups *const *cg = data;
	char file[PATH_MAX];

	return mp_cgroup_psi_path(*cg, path, file) == 0;
}

static bool has_v1_events(const struct mp_cgroups *cg)
{
	static const char *const files[] = {"cgroup.event_control", "memory.pressure_level",
					    "memory.oom_control"};
	char path[PATH_MAX];

	for (size_t i = 0; i < MP_ARRAY_SIZE(files); i++) {
		if (mp_fsroot_path(&cg->fs, path, "%s/%s", cg->memory_mount, files[i]) ||
		    access(path, i ? R_OK : W_OK) < 0)
			return false;
	}
	return true;
}

void mp_pressure_support_detect(const struct mp_cgroups *cg, const struct mp_policy *policy,
				struct mp_pressure_support *ret)
{
	struct mp_domain_sample sample;

	*ret = (struct mp_pressure_support){0};
	detect_psi(cg, policy, ret);
	ret->psi_cgroup = cg->mode == MP_CGROUP_V2 && mp_cgroup_walk(cg, has_psi, &cg) == 1;
	ret->memory_events = cg->mode == MP_CGROUP_V2;
	ret->memcg_v1_events =
		(cg->mode == MP_CGROUP_V1 || cg->mode == MP_CGROUP_HYBRID) && has_v1_events(cg);
	ret->usage = mp_domain_glance(cg, NULL, &sample) == 0;
}

size_t mp_pressure_rows(const struct mp_pressure_support *s,
			struct mp_pressure_row rows[MP_PRESSURE_ROWS])
{
	size_t n = 0;

	rows[n++] = (struct mp_pressure_row){
		"psi", s->psi, "how much the whole system stalls on memory",
		"stalls of the host are not seen, usage and reclaim are; boot with psi=1"};
	rows[n++] = (struct mp_pressure_row){"psi_trigger", s->psi_trigger,
					     "the kernel wakes the monitor when tasks stall",
					     "stalls are seen at the next check, not at once; "
					     "older kernels want CAP_SYS_RESOURCE"};
	rows[n++] = (struct mp_pressure_row){
		"psi_cgroup", s->psi_cgroup, "the same for each group",
		"a group's stalls are not seen, its usage and reclaim are; needs cgroup v2"};
	rows[n++] = (struct mp_pressure_row){"memory.events", s->memory_events,
					     "limits reached and OOM kills of each v2 group",
					     "only on cgroup v2; on v1 memcg_v1 tells of the same"};
	rows[n++] = (struct mp_pressure_row){
		"memcg_v1", s->memcg_v1_events, "reclaim levels and OOM of each v1 group",
		"only on cgroup v1; on v2 memory.events tells of the same"};
	rows[n++] = (struct mp_pressure_row){
		"usage", s->usage, "every domain is looked at each check interval",
		"no usage is known: nothing is decided; /proc/meminfo cannot be read"};
	return n;
}
