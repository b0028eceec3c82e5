// SPDX-License-Identifier: GPL-2.0-only
/*
 * A report as one HTML file that needs nothing else: the page, the charting library (dygraphs)
 * and the data of the reports, put into each other.
 */
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "report/report_page.h"

MP_INCLUDE_BYTES(page_head, "user/report/page/head.html");
MP_INCLUDE_BYTES(page_css, "user/report/page/page.css");
MP_INCLUDE_BYTES(page_body, "user/report/page/body.html");
MP_INCLUDE_BYTES(model_js, "user/report/page/model.js");
MP_INCLUDE_BYTES(page_js, "user/report/page/page.js");
MP_INCLUDE_BYTES(dygraph_css, MP_DYGRAPHS "/dygraph.css");
MP_INCLUDE_BYTES(dygraph_js, MP_DYGRAPHS "/dygraph.min.js");

#define PUT(out, name)                                                                             \
	mp_text_add(out, mp_##name##_begin,                                                        \
		    (size_t)((uintptr_t)mp_##name##_end - (uintptr_t)mp_##name##_begin))

/* Inside a script nothing may look like its end, or like a comment that would swallow it. */
static void put_json(struct mp_text *out, const struct mp_text *json)
{
	const char *at = json->data;
	const char *end = at + json->len;

	while (at < end) {
		const char *less = memchr(at, '<', (size_t)(end - at));

		if (!less) {
			mp_text_add(out, at, (size_t)(end - at));
			return;
		}
		mp_text_add(out, at, (size_t)(less - at));
		mp_text_puts(out, "\\u003c");
		at = less + 1;
	}
}

void mp_report_write_html_all(struct mp_text *out, const struct mp_memory_report *const *reports,
			      size_t n)
{
	struct mp_text MP_TEXT data = {0};
	struct mp_json j = {.out = &data};

	mp_json_array(&j, NULL);
	for (size_t i = 0; i < n; i++)
		mp_report_write_page_data(&j, reports[i]);
	mp_json_array_end(&j);
	PUT(out, page_head);
	mp_text_puts(out, "<style>\n");
	PUT(out, dygraph_css);
	PUT(out, page_css);
	mp_text_puts(out, "</style>\n");
	PUT(out, page_body);
	mp_text_puts(out, "<script type=\"application/json\" id=\"reports\">\n");
	if (data.data)
		put_json(out, &data);
	mp_text_puts(out, "</script>\n<script>\n");
	PUT(out, dygraph_js);
	mp_text_puts(out, "\n</script>\n<script>\n");
	PUT(out, model_js);
	PUT(out, page_js);
	mp_text_puts(out, "</script>\n</body>\n</html>\n");
	out->failed |= data.failed;
}

void mp_report_write_html(struct mp_text *out, const struct mp_memory_report *r)
{
	mp_report_write_html_all(out, &r, 1);
}
