// SPDX-License-Identifier: GPL-2.0-only
/* What there was of pressure in all: counted as it goes by, told at the end. */
#include <inttypes.h>
#include <string.h>

#include "base/level.h"
#include "base/size.h"
#include "report/textview_priv.h"

/* Groups' paths begin with a slash. */
static const char host[] = "host";

static struct mp_tally_domain *domain_row(struct mp_tally *tally, const char *cgroup)
{
	const char *name = cgroup ? cgroup : host;
	struct mp_tally_domain *row = tally->domains;

	for (size_t i = 0; i < tally->n_domains; i++, row++) {
		if (strcmp(row->name, name) == 0)
			return row;
	}
	if (tally->n_domains == MP_TALLY_ROWS || strlen(name) >= sizeof(row->name))
		return NULL;
	tally->n_domains++;
	strcpy(row->name, name);
	return row;
}

static struct mp_tally_action *action_row(struct mp_tally *tally, const char *name)
{
	struct mp_tally_action *row = tally->actions;

	for (size_t i = 0; i < tally->n_actions; i++, row++) {
		if (strcmp(row->name, name) == 0)
			return row;
	}
	if (tally->n_actions == MP_TALLY_ROWS || strlen(name) >= sizeof(row->name))
		return NULL;
	tally->n_actions++;
	strcpy(row->name, name);
	return row;
}

/* By number: the record that an incident began with may have been lost. */
static void count_pressure(struct mp_tally *tally, const struct mp_event_pressure *e)
{
	struct mp_tally_domain *row = domain_row(tally, e->cgroup);

	if (!row)
		tally->other_pressure++;
	else if (e->incident ? e->incident != row->last_incident : !e->repeated)
		row->incidents++;
	if (row && e->incident)
		row->last_incident = e->incident;
}

static void count_decision(struct mp_tally *tally, const struct mp_event_decision *e)
{
	struct mp_tally_domain *row;

	if (e->severity == MP_SEVERITY_NORMAL)
		return;
	row = domain_row(tally, e->limit_cgroup);
	if (row && e->severity > row->worst)
		row->worst = e->severity;
}

static void count_action(struct mp_tally *tally, const struct mp_event_action *e)
{
	struct mp_tally_action *row;

	if (mp_is_plain_log(e))
		return;
	row = action_row(tally, e->action ? e->action : "-");
	if (!row) {
		tally->other_actions++;
		return;
	}
	row->results[e->result]++;
	mp_add_known(&row->freed_bytes, e->freed_bytes);
}

void mp_tally_count(struct mp_tally *tally, const struct mp_event *event)
{
	if (event->type == MP_EVENT_PRESSURE) {
		count_pressure(tally, &event->pressure);
	} else if (event->type == MP_EVENT_DECISION) {
		count_decision(tally, &event->decision);
	} else if (event->type == MP_EVENT_ACTION) {
		count_action(tally, &event->action);
	} else if (event->type == MP_EVENT_OOM) {
		tally->oom_kills++;
		tally->oom_targets += event->oom.is_target;
	}
}

static void add_domain(struct mp_text *t, const struct mp_tally_domain *row)
{
	mp_view_name(t, row->name);
	if (row->incidents)
		mp_text_printf(t, " %" PRIu64 " %s", row->incidents,
			       row->incidents == 1 ? "incident" : "incidents");
	if (row->worst != MP_SEVERITY_NORMAL)
		mp_text_printf(t, "%s worst %s", row->incidents ? "," : "",
			       mp_severity_name(row->worst));
}

static void put_domains(const struct mp_textview *view, struct mp_text *out)
{
	const struct mp_tally *tally = &view->tally;
	enum mp_severity worst = MP_SEVERITY_NORMAL;
	MP_TEXT struct mp_text t = {0};

	if (!tally->n_domains && !tally->other_pressure)
		return;
	mp_text_puts(&t, "pressure: ");
	for (size_t i = 0; i < tally->n_domains; i++) {
		mp_text_puts(&t, i ? "; " : "");
		add_domain(&t, &tally->domains[i]);
		if (tally->domains[i].worst > worst)
			worst = tally->domains[i].worst;
	}
	if (tally->other_pressure)
		mp_text_printf(&t, "%srecords of other groups: %" PRIu64,
			       tally->n_domains ? "; " : "", tally->other_pressure);
	mp_view_sentence(view, out, "", &t,
			 worst == MP_SEVERITY_NORMAL ? MP_COLOR_NONE : mp_severity_color(worst));
}

static void add_action(struct mp_text *t, const struct mp_tally_action *row)
{
	const char *separator = " ";
	char size[MP_HUMAN_LEN];

	mp_view_name(t, row->name);
	for (enum mp_action_result r = 0; r < MP_RESULT_COUNT; r++) {
		if (!row->results[r])
			continue;
		mp_text_printf(t, "%s%" PRIu64 " %s", separator, row->results[r],
			       mp_action_result_name(r));
		separator = ", ";
	}
	if (row->freed_bytes)
		mp_text_printf(t, ", freed %s", mp_size_format(row->freed_bytes, size));
}

static void put_actions(const struct mp_textview *view, struct mp_text *out)
{
	const struct mp_tally *tally = &view->tally;
	MP_TEXT struct mp_text t = {0};

	if (!tally->n_actions && !tally->other_actions)
		return;
	mp_text_puts(&t, "actions: ");
	for (size_t i = 0; i < tally->n_actions; i++) {
		mp_text_puts(&t, i ? "; " : "");
		add_action(&t, &tally->actions[i]);
	}
	if (tally->other_actions)
		mp_text_printf(&t, "%sothers: %" PRIu64, tally->n_actions ? "; " : "",
			       tally->other_actions);
	mp_view_sentence(view, out, "", &t, MP_COLOR_NONE);
}

static void put_oom_kills(const struct mp_textview *view, struct mp_text *out)
{
	const struct mp_tally *tally = &view->tally;
	MP_TEXT struct mp_text t = {0};

	if (!tally->oom_kills)
		return;
	mp_text_printf(&t, "OOM kills: %" PRIu64 ", of targets: %" PRIu64, tally->oom_kills,
		       tally->oom_targets);
	mp_view_sentence(view, out, "", &t, tally->oom_targets ? MP_COLOR_ALARM : MP_COLOR_YELLOW);
}

void mp_tally_put(const struct mp_textview *view, struct mp_text *out)
{
	put_domains(view, out);
	put_actions(view, out);
	put_oom_kills(view, out);
}
