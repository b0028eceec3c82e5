// SPDX-License-Identifier: GPL-2.0-only
/* The table at the end: a row for each point that was called. */
#include <inttypes.h>
#include <string.h>

#include "base/level.h"
#include "base/size.h"
#include "report/textview_priv.h"

#define MIN_NAME_WIDTH 16
#define MAX_EXACT 10000000000ULL /* longer counts are rounded to three digits */

static const char *format_count(uint64_t n, char out[MP_HUMAN_LEN])
{
	if (n == MP_UNKNOWN)
		return "-";
	if (n >= MAX_EXACT)
		return mp_count_format(n, out);
	snprintf(out, MP_HUMAN_LEN, "%" PRIu64, n);
	return out;
}

static const char *cell_level(const struct mp_summary_point *p, char out[MP_HUMAN_LEN])
{
	(void)out;
	return mp_level_name(p->level);
}

static const char *cell_hits(const struct mp_summary_point *p, char out[MP_HUMAN_LEN])
{
	return format_count(p->hits, out);
}

static const char *cell_returns(const struct mp_summary_point *p, char out[MP_HUMAN_LEN])
{
	return format_count(p->returns, out);
}

static const char *cell_p50(const struct mp_summary_point *p, char out[MP_HUMAN_LEN])
{
	return mp_duration_format(p->duration_p50_ns, out);
}

static const char *cell_p99(const struct mp_summary_point *p, char out[MP_HUMAN_LEN])
{
	return mp_duration_format(p->duration_p99_ns, out);
}

static const char *cell_max(const struct mp_summary_point *p, char out[MP_HUMAN_LEN])
{
	return mp_duration_format(p->duration_max_ns, out);
}

/* "+1.23G", as df -h: a table needs the room more than the unit's name. */
static const char *format_growth(int64_t bytes, char out[MP_HUMAN_LEN])
{
	char *unit;

	mp_size_format_delta(bytes, out);
	unit = strchr(out, ' ');
	if (unit) {
		unit[0] = unit[1];
		unit[1] = '\0';
	}
	return out;
}

static const char *cell_growth(const struct mp_summary_point *p, char out[MP_HUMAN_LEN])
{
	return format_growth(p->rss_total, out);
}

static const char *cell_largest(const struct mp_summary_point *p, char out[MP_HUMAN_LEN])
{
	return format_growth(p->rss_max, out);
}

enum column_id {
	COL_LEVEL,
	COL_HITS,
	COL_RETURNS,
	COL_P50,
	COL_P99,
	COL_MAX,
	COL_GROWTH,
	COL_LARGEST,
	COL_COUNT
};

static const struct column {
	const char *title;
	size_t max_width;
	bool right;
	const char *(*cell)(const struct mp_summary_point *p, char out[MP_HUMAN_LEN]);
} columns[] = {
	[COL_LEVEL] = {"LEVEL", 8, false, cell_level},
	[COL_HITS] = {"HITS", 10, true, cell_hits},
	[COL_RETURNS] = {"RETURNS", 10, true, cell_returns},
	[COL_P50] = {"P50", 7, true, cell_p50},
	[COL_P99] = {"P99", 7, true, cell_p99},
	[COL_MAX] = {"MAX", 7, true, cell_max},
	[COL_GROWTH] = {"GROWTH", 7, true, cell_growth},
	[COL_LARGEST] = {"MAXGROWTH", 9, true, cell_largest},
};
_Static_assert(MP_ARRAY_SIZE(columns) == COL_COUNT, "a row for every column");

/* Columns are as wide as their contents; a width of 0 hides one. */
struct layout {
	size_t name;
	size_t longest_name;
	size_t width[COL_COUNT];
	bool all_return;
};

static bool was_called(const struct mp_summary_point *p)
{
	return p->hits || p->returns;
}

static void measure(struct layout *l, const struct mp_summary_point *p)
{
	char text[MP_HUMAN_LEN];
	size_t name = mp_cell_width(p->point ? p->point : "-");

	l->longest_name = name > l->longest_name ? name : l->longest_name;
	l->all_return = l->all_return && p->hits == p->returns;
	for (size_t i = 0; i < COL_COUNT; i++) {
		size_t width = strlen(columns[i].cell(p, text));

		width = width < columns[i].max_width ? width : columns[i].max_width;
		l->width[i] = width > l->width[i] ? width : l->width[i];
	}
}

static size_t name_room(const struct layout *l, size_t view_width)
{
	size_t taken = 0;

	for (size_t i = 0; i < COL_COUNT; i++)
		taken += l->width[i] ? l->width[i] + 1 : 0;
	return view_width > taken ? view_width - taken : 0;
}

/*
 * Names get the room that they need: what says least goes first. Returns say
 * nothing new where every call has returned.
 */
static void hide_columns(struct layout *l, size_t view_width)
{
	if (l->all_return && name_room(l, view_width) < l->longest_name)
		l->width[COL_RETURNS] = 0;
	if (name_room(l, view_width) < l->longest_name)
		l->width[COL_LEVEL] = 0;
	if (name_room(l, view_width) < MIN_NAME_WIDTH)
		l->width[COL_P50] = 0;
	if (name_room(l, view_width) < MIN_NAME_WIDTH)
		l->width[COL_RETURNS] = 0;
}

static struct layout make_layout(const struct mp_textview *view,
				 const struct mp_event_summary *summary)
{
	struct layout l = {.longest_name = strlen("POINT"), .all_return = true};
	size_t room;

	for (size_t i = 0; i < COL_COUNT; i++)
		l.width[i] = strlen(columns[i].title);
	for (size_t i = 0; i < summary->n_points; i++) {
		if (was_called(&summary->points[i]))
			measure(&l, &summary->points[i]);
	}
	hide_columns(&l, view->width);
	room = name_room(&l, view->width);
	l.name = room < l.longest_name ? room : l.longest_name;
	return l;
}

static enum mp_color cell_color(const struct mp_textview *view, const struct mp_summary_point *p,
				size_t column)
{
	enum mp_color color = MP_COLOR_NONE;

	if (!p)
		color = MP_COLOR_BOLD;
	else if (column == COL_LEVEL)
		color = mp_level_color(p->level);
	else if (column == COL_GROWTH)
		color = mp_growth_color(p->rss_total);
	return mp_view_color(view, color);
}

/* The header when `p` is NULL. */
static void put_row(const struct mp_textview *view, struct mp_text *out, const struct layout *l,
		    const struct mp_summary_point *p)
{
	const char *name = p ? p->point : "POINT";
	char text[MP_HUMAN_LEN];

	mp_cell_put(out, name ? name : "-",
		    (struct mp_cell){.width = l->name, .color = cell_color(view, p, COL_COUNT)});
	for (size_t i = 0; i < COL_COUNT; i++) {
		const struct column *c = &columns[i];

		if (!l->width[i])
			continue;
		mp_text_putc(out, ' ');
		mp_cell_put(out, p ? c->cell(p, text) : c->title,
			    (struct mp_cell){.width = l->width[i],
					     .right = c->right,
					     .color = cell_color(view, p, i)});
	}
	mp_text_putc(out, '\n');
}

static void put_table(const struct mp_textview *view, struct mp_text *out,
		      const struct mp_event_summary *summary)
{
	struct layout l = make_layout(view, summary);
	bool any = false;

	for (size_t i = 0; i < summary->n_points; i++) {
		if (!was_called(&summary->points[i]))
			continue;
		if (!any)
			put_row(view, out, &l, NULL);
		any = true;
		put_row(view, out, &l, &summary->points[i]);
	}
}

/* One line, however many there are: as many names as fit, and the number of the others. */
static void put_never_hit(const struct mp_textview *view, struct mp_text *out,
			  const struct mp_event_summary *summary)
{
	static const char more[] = " and 4294967295 more";
	size_t room = view->width - strlen("never hit:") - strlen(more);
	size_t left = 0;
	const char *comma = " ";

	for (size_t i = 0; i < summary->n_points; i++)
		left += !was_called(&summary->points[i]);
	if (left == 0)
		return;
	mp_text_puts(out, "never hit:");
	for (size_t i = 0; i < summary->n_points; i++) {
		const char *name = summary->points[i].point;
		size_t width = strlen(comma) + mp_cell_width(name ? name : "-");

		if (was_called(&summary->points[i]))
			continue;
		if (width > room)
			break;
		mp_text_puts(out, comma);
		mp_cell_name(out, name, room);
		room -= width;
		comma = ", ";
		left--;
	}
	if (left)
		mp_text_printf(out, comma[0] == ',' ? " and %zu more" : " %zu points", left);
	mp_text_putc(out, '\n');
}

struct totals {
	uint64_t emitted;
	uint64_t suppressed;
	uint64_t lost;
	uint64_t missed;
};

static struct totals sum_up(const struct mp_event_summary *summary)
{
	struct totals t = {0};

	for (size_t i = 0; i < summary->n_points; i++) {
		mp_add_known(&t.emitted, summary->points[i].emitted);
		mp_add_known(&t.suppressed, summary->points[i].suppressed);
		mp_add_known(&t.lost, summary->points[i].lost);
		mp_add_known(&t.missed, summary->points[i].missed);
	}
	return t;
}

static void put_missed(const struct mp_textview *view, struct mp_text *out, uint64_t missed)
{
	MP_TEXT struct mp_text t = {0};

	if (!missed)
		return;
	mp_text_printf(&t,
		       "unpaired calls: %" PRIu64 " (counted, but without a duration or growth)",
		       missed);
	mp_view_sentence(view, out, "", &t, MP_COLOR_DIM);
}

static void put_verdict(const struct mp_textview *view, struct mp_text *out,
			const struct mp_event_summary *summary, const struct totals *totals)
{
	MP_TEXT struct mp_text t = {0};
	char human[MP_HUMAN_LEN];

	if (summary->received != MP_UNKNOWN)
		mp_text_printf(&t, "%" PRIu64 " records received, ", summary->received);
	mp_text_printf(&t, "%" PRIu64 " suppressed, %" PRIu64 " lost", totals->suppressed,
		       totals->lost);
	if (summary->duration_ns != MP_UNKNOWN)
		mp_text_printf(&t, " in %s", mp_duration_format(summary->duration_ns, human));
	if (summary->complete)
		mp_text_puts(&t, ": complete");
	else if (summary->received < totals->emitted)
		mp_text_printf(&t,
			       ": INCOMPLETE: %" PRIu64 " of %" PRIu64 " emitted did not arrive",
			       totals->emitted - summary->received, totals->emitted);
	else
		mp_text_puts(&t, ": INCOMPLETE: not all that was received was put out");
	mp_view_sentence(view, out, "", &t, summary->complete ? MP_COLOR_GREEN : MP_COLOR_ALARM);
}

void mp_textview_summary(const struct mp_textview *view, struct mp_text *out,
			 const struct mp_event_summary *summary)
{
	struct totals totals = sum_up(summary);

	mp_text_putc(out, '\n');
	put_table(view, out, summary);
	put_never_hit(view, out, summary);
	put_missed(view, out, totals.missed);
	mp_tally_put(view, out);
	put_verdict(view, out, summary, &totals);
}
