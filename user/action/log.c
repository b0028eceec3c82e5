// SPDX-License-Identifier: GPL-2.0-only
#include "action/report.h"

/* The event stream is the log: the result itself is the line. */
int mp_log_run(struct mp_actions *actions, const struct mp_action_request *request)
{
	mp_action_report_now(actions, request, MP_RESULT_DONE, request->decision->reason);
	return 0;
}
