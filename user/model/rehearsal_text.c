// SPDX-License-Identifier: GPL-2.0-only
/* What came of a load, in words. */
#include "base/size.h"
#include "model/rehearsal.h"

static void say_ok(const struct mp_model_run *run, char *out, size_t size)
{
	char pass[MP_HUMAN_LEN], peak[MP_HUMAN_LEN], limit[MP_HUMAN_LEN];
	int len = snprintf(out, size, "It fits: peak RSS %s under %s",
			   mp_size_format(run->peak_rss, peak), mp_size_format(run->limit, limit));

	if (run->passes_done && len > 0 && (size_t)len < size)
		snprintf(out + len, size - (size_t)len, ", %llu passes over its weights, %s each",
			 (unsigned long long)run->passes_done,
			 mp_duration_format(run->pass_p50_ns, pass));
}

static void say_thrash(const struct mp_rehearsal *r, const struct mp_model_run *run, char *out,
		       size_t size)
{
	char pass[MP_HUMAN_LEN], limit[MP_HUMAN_LEN], again[MP_HUMAN_LEN];

	mp_size_format(run->limit, limit);
	if (!run->passes_done)
		snprintf(out, size, "It thrashes: under %s, %s are read from the disk again", limit,
			 mp_size_format(run->reread_bytes, again));
	else
		snprintf(out, size,
			 "It thrashes: under %s, %.0f %% of the weights are read from the disk "
			 "again in each pass, which takes %s",
			 limit, (double)r->reread * 100 / (double)r->passed,
			 mp_duration_format(run->pass_p50_ns, pass));
}

static void say_killed(const struct mp_rehearsal *r, const struct mp_model_run *run, char *out,
		       size_t size)
{
	static const char *const victims[] = {
		[MP_VICTIM_NONE] = "the loader was refused memory",
		[MP_VICTIM_FILLER] = "the kernel ended the filler beside it",
		[MP_VICTIM_COMMAND] = "the kernel ended the loader",
	};
	char after[MP_HUMAN_LEN], limit[MP_HUMAN_LEN], need[MP_HUMAN_LEN];

	snprintf(out, size,
		 "It does not fit: %s after %s; %s of anonymous memory are needed, and "
		 "the limit is %s",
		 victims[r->victim], mp_duration_format(run->end_ns - run->start_ns, after),
		 mp_size_format(run->predicted_anon, need), mp_size_format(run->limit, limit));
}

void mp_rehearsal_sentence(const struct mp_rehearsal *r, const struct mp_model_run *run, char *out,
			   size_t size)
{
	if (r->why[0])
		snprintf(out, size, "Not at its end: %s", r->why);
	else if (run->outcome == MP_OUTCOME_OK)
		say_ok(run, out, size);
	else if (run->outcome == MP_OUTCOME_THRASH)
		say_thrash(r, run, out, size);
	else if (run->outcome == MP_OUTCOME_OOM_KILLED)
		say_killed(r, run, out, size);
	else if (run->outcome == MP_OUTCOME_LIMIT_NOT_REACHED)
		snprintf(out, size,
			 "The pattern did not reach what was asked for beside the model");
	else
		snprintf(out, size, "Interrupted");
}
