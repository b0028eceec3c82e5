// SPDX-License-Identifier: GPL-2.0-only
/* Holds that are one control file, written now and written back later. */
#include <errno.h>
#include <string.h>

#include "action/hold.h"
#include "action/report.h"

static int arm(struct mp_actions *actions, const struct mp_cgroup_knob *knob)
{
	const struct mp_undo_what what = {
		.kind = MP_UNDO_WRITE,
		.path = knob->path,
		.text = knob->restore,
	};

	return actions->o.undo ? mp_undo_arm(actions->o.undo, &what) : -ENOTSUP;
}

int mp_hold_knob(struct mp_actions *actions, struct mp_job *job, const struct mp_cgroup_knob *knob)
{
	int slot = arm(actions, knob);
	int err;

	if (slot < 0) {
		mp_job_end(job, MP_RESULT_FAILED, "not done, as it could not be undone: %s",
			   strerror(-slot));
		return slot;
	}
	err = mp_cgroup_write(knob->path, knob->set);
	if (!err) {
		job->undo = slot;
		return 0;
	}
	/* It may have been done in part. */
	mp_undo_run(actions->o.undo, slot);
	mp_job_end(job, MP_RESULT_FAILED, "%s: %s", strrchr(knob->path, '/') + 1, strerror(-err));
	return err;
}

int mp_hold_knob_release(struct mp_actions *actions, struct mp_hold *hold, uint64_t now_ns)
{
	(void)now_ns;
	return mp_undo_run(actions->o.undo, hold->job.undo);
}
