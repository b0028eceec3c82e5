/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The report of a rehearsal: one struct, written as JSON (docs/report.schema.json), CSV, HTML and
 * a trace, and read back from its JSON. Whoever fills it in owns what it points to.
 */
#ifndef MP_REPORT_MEMORY_REPORT_H
#define MP_REPORT_MEMORY_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/event.h"
#include "state/trend.h"

enum mp_outcome {
	MP_OUTCOME_OK = 0,
	MP_OUTCOME_OOM_KILLED,
	MP_OUTCOME_LIMIT_NOT_REACHED, /* what was asked for could not be reached */
	MP_OUTCOME_INTERRUPTED,
	MP_OUTCOME_THRASH, /* a model whose weights were read again and again */
	MP_OUTCOME_COUNT
};
const char *mp_outcome_name(enum mp_outcome outcome);
int mp_outcome_parse(const char *name);

/* One look at the group that is under pressure. Bytes; MP_UNKNOWN where not known. */
struct mp_memory_sample {
	uint64_t t_ns;	    /* since the begin */
	uint64_t usage;	    /* working set of the group */
	uint64_t available; /* limit - usage */
	uint64_t filler;    /* what the filler holds */
	uint64_t requested; /* what the pattern wanted then, of the same quantity as usage */
	uint64_t swap;	    /* of the group */
	uint64_t some_ns;   /* stall totals of the group since the begin */
	uint64_t full_ns;
	uint64_t target_rss;  /* of the program beside it, if any */
	uint64_t filler_rss;  /* what the filler takes with all that it needs */
	uint64_t monitor_rss; /* of the supervisor itself */
	uint64_t watcher_rss; /* of the monitor, a process of its own */
};

/* Something that the monitor told of, for the picture: a call as a span, the others as instants. */
enum mp_mark_kind {
	MP_MARK_CALL = 0,
	MP_MARK_PRESSURE,
	MP_MARK_DECISION,
	MP_MARK_ACTION,
	MP_MARK_OOM,
	MP_MARK_KIND_COUNT
};
const char *mp_mark_kind_name(enum mp_mark_kind kind);
int mp_mark_kind_parse(const char *name);

struct mp_report_mark {
	enum mp_mark_kind kind;
	enum mp_severity severity;
	uint64_t t_ns;	      /* since the begin; of a call, its entry */
	uint64_t duration_ns; /* of calls and actions; MP_UNKNOWN: not known */
	uint32_t pid, tid;
	int64_t bytes; /* call: change of the RSS; action: freed; MP_UNKNOWN_DELTA */
	char *name;    /* owned, as is `text`: the point, the action, the source … */
	char *text;    /* a sentence, or NULL */
};

/*
 * What an event is in the picture of a run that began at `begin_ns` (CLOCK_MONOTONIC). Returns 1
 * with a new mark; 0: nothing; -ENOMEM.
 */
int mp_report_mark_of(const struct mp_event *event, uint64_t begin_ns, struct mp_report_mark *ret);
/* The same without memory of its own: `ret` has no name and no text yet. 1, or 0: nothing. */
#define MP_MARK_TEXT 512
int mp_report_mark_fill(const struct mp_event *event, uint64_t begin_ns, struct mp_report_mark *ret,
			const char **ret_name, char ret_text[MP_MARK_TEXT]);
void mp_report_mark_free(struct mp_report_mark *mark);

/* The exact figures of an injection point, of all its calls: docs/events.md, summary. */
struct mp_report_point {
	const char *name;
	enum mp_level level;
	uint64_t hits, returns;
	uint64_t duration_p50_ns, duration_p99_ns, duration_max_ns;
	int64_t rss_total, rss_max;
};

/* The points of a summary: a new array, names included; free() it. -ENOMEM. */
int mp_report_points_of(const struct mp_event_summary *summary, struct mp_report_point **ret,
			size_t *ret_n);

/* What was asked for and what was reached, by phase of the pattern. */
struct mp_memory_phase {
	const char *name;
	uint64_t start_ns, end_ns; /* since the begin */
	uint64_t due_ns;	   /* when it should have begun; MP_UNKNOWN: as it goes */
	uint64_t requested;	   /* bytes */
	uint64_t achieved;	   /* bytes, median of its samples once it was reached */
	double requested_pct, achieved_pct;
	double error_pct; /* of the limit: achieved - requested */
};

/* A pass over all weights of a model, as decoding a token is. */
struct mp_model_pass {
	uint64_t t_ns; /* since the begin */
	uint64_t duration_ns;
};

/*
 * A model that was really loaded, at a level and under a limit. Bytes; MP_UNKNOWN where not known.
 * What is "of the program" is of the process that loads and those that it has waited for.
 */
struct mp_model_run {
	const char *level; /* of quantization; NULL: of a mix of its own */
	uint64_t limit;
	uint64_t file_bytes, tensor_bytes;
	enum mp_outcome outcome, predicted;	 /* predicted: MP_OUTCOME_COUNT where not known */
	uint64_t predicted_anon, predicted_file; /* peaks of its RSS were there no limit */
	uint64_t start_ns, end_ns;		 /* since the begin */
	uint64_t cached_before;			 /* of the file when it was loaded cold */
	uint64_t load_cold_ns, load_warm_ns;
	struct mp_model_pass *passes; /* evenly thinned when there are many */
	size_t n_passes;
	uint64_t passes_done; /* all */
	uint64_t pass_p50_ns, pass_max_ns;
	uint64_t pass_read_bytes; /* from the disk in a pass, once they had settled */
	uint64_t peak_rss, peak_anon, peak_file, peak_shmem; /* of the program */
	uint64_t peak_group;				     /* usage, with page cache */
	uint64_t major_faults, read_bytes;		     /* of the program */
	uint64_t reread_bytes;	   /* read_bytes beyond the loads themselves */
	uint64_t reclaimed_bytes;  /* of the group */
	uint64_t some_ns, full_ns; /* stall of the group meanwhile */
	double perplexity;	   /* rise over F16 by the level; NAN */
};

/* What the arithmetic says of a level on the device: docs/models.md. Bytes. */
struct mp_quantization_row {
	const char *level;
	uint64_t tensor_bytes, kv, compute, repack, runtime, metadata;
	uint64_t must, comfortable;
	enum mp_outcome fit; /* ok, thrash, oom_killed */
	double perplexity;   /* rise over F16; NAN */
	double most_per_s;   /* passes a second by the disk when it thrashes; NAN */
};

struct mp_memory_report {
	const char *version; /* of memprobe-bpf */
	const char *test_mode;
	const char *model_id; /* or NULL */
	const char *command;  /* that ran beside it, or NULL */
	uint64_t begin_realtime_ns;
	uint64_t duration_ns;
	uint64_t model_load_ns; /* MP_UNKNOWN: no model */
	const char *cgroup;	/* that was under pressure */
	const char *kernel;
	uint64_t limit; /* bytes: effective */
	enum mp_outcome outcome;
	const char *verdict;	    /* one sentence */
	const char *recommendation; /* one or two */

	struct {
		const char *profile_name; /* or NULL */
		uint64_t total_bytes, swap_bytes, limit_bytes;
		const char *engine; /* "cgroup v2", … */
		const char *notes;  /* what of the profile does not hold here, or NULL */
	} environment;

	struct {
		const char *current_optimal; /* or NULL: not known, or none fits */
		const char *advice;	     /* a sentence, or NULL */
		uint64_t usable; /* limit less what others use and the margin; 0: not known */
		struct mp_quantization_row *levels;
		size_t n_levels;
	} quantization;

	struct {
		const char *file; /* NULL: no model was loaded */
		const char *loader;
		bool is_synthesized;
		uint64_t context;    /* tokens */
		uint64_t disk_per_s; /* bytes a second, measured; MP_UNKNOWN */
		struct mp_model_run *runs;
		size_t n_runs;
	} model;

	struct {
		double warning_pct, gc_pct, critical_pct;
	} thresholds;

	struct mp_memory_sample *samples;
	size_t n_samples;
	struct mp_memory_phase *phases;
	size_t n_phases;
	struct mp_report_mark *marks; /* what the monitor told meanwhile, by time */
	size_t n_marks;
	uint64_t marks_left_out;	/* beyond what is kept */
	struct mp_report_point *points; /* what the monitor summed up, if it came to that */
	size_t n_points;
	const char *monitor; /* NULL: it ran; else why not */

	struct {
		uint64_t some_ns, full_ns; /* stall totals; MP_UNKNOWN */
		uint64_t oom_kills;
		uint64_t high_events, max_events;
		uint64_t incidents;
	} pressure;

	struct {
		struct mp_slope target, filler, monitor; /* bytes a second */
		bool target_known, filler_known, monitor_known;
	} leak;

	struct {
		uint64_t total_ns, rest_ns; /* as asked for; total_ns 0: no stability run */
		uint64_t round_ns;	    /* of a round: three patterns, each with a rest */
		unsigned int rounds, rounds_done;
	} stability;
};

/*
 * The slopes of the program, the filler (beyond what it was told to hold) and the monitor with its
 * supervisor, into `r->leak`. `what` gets a sentence about who leaks: only whose whole confidence
 * interval is above zero, and whose growth matters. Returns how many do.
 */
unsigned int mp_memory_report_find_leaks(struct mp_memory_report *r, char *what, size_t size);

/* Of the limit; NAN: not known, or there is none. */
double mp_memory_report_percent(const struct mp_memory_report *r, uint64_t bytes);

/* Derived: percentages of the limit; averages are over time. -EAGAIN without samples. */
int mp_memory_report_stats(const struct mp_memory_report *r, struct mp_series_stats *ret_pct,
			   double *ret_min_available_gb, double *ret_avg_available_gb);
enum mp_trend mp_memory_report_trend(const struct mp_memory_report *r);

/* The phase that asked for most, or NULL: what "requested" and "achieved" of a run are. */
const struct mp_memory_phase *mp_memory_report_top(const struct mp_memory_report *r);

enum mp_report_format {
	MP_REPORT_JSON = 1 << 0,
	MP_REPORT_CSV = 1 << 1,
	MP_REPORT_HTML = 1 << 2,
	MP_REPORT_TRACE = 1 << 3,
};
#define MP_REPORT_ALL (MP_REPORT_JSON | MP_REPORT_CSV | MP_REPORT_HTML)

struct mp_text;
void mp_report_write_json(struct mp_text *out, const struct mp_memory_report *r);
void mp_report_write_csv(struct mp_text *out, const struct mp_memory_report *r);
void mp_report_write_html(struct mp_text *out, const struct mp_memory_report *r);
/* Of several runs: a line each; a page with a section each, and a table that compares them. */
void mp_report_write_csv_all(struct mp_text *out, const struct mp_memory_report *const *reports,
			     size_t n);
void mp_report_write_html_all(struct mp_text *out, const struct mp_memory_report *const *reports,
			      size_t n);
/* Chrome's trace event format, which Perfetto's UI opens: spans of calls, counters, instants. */
void mp_report_write_trace(struct mp_text *out, const struct mp_memory_report *r);

/*
 * Reads JSON reports back, and event streams (--record): the streams are parts of one run and give
 * one report. -EBADMSG with file, line and field.
 */
struct mp_report_file;
int mp_report_read(const char *path, struct mp_report_file **ret, struct mp_error *err);
int mp_report_read_all(const char *const *paths, size_t n, struct mp_report_file **ret,
		       struct mp_error *err);
const struct mp_memory_report *mp_report_of(const struct mp_report_file *file); /* the first */
const struct mp_memory_report *const *mp_report_all_of(const struct mp_report_file *file,
						       size_t *ret_n);
void mp_report_file_free(struct mp_report_file *file);

/* One report from the text of a JSON report: lives as long as `reading`. */
struct mp_reading;
int mp_report_parse(struct mp_reading *reading, const char *text, size_t len,
		    struct mp_memory_report *ret, struct mp_error *err);

/*
 * Saves as DIR/TIMESTAMP_MODE_memory_test.{json,csv,html}: each under a temporary name, synced and
 * then renamed, so that there is always a whole one. DIR is made when it is not there. Saving again
 * replaces the same files (`name` keeps the first part; empty before the first). -ENOSPC, -EACCES …
 * with the path; what was saved before stays.
 */
struct mp_report_name {
	char stem[512]; /* DIR/TIMESTAMP_MODE_memory_test */
};
/* Makes DIR, and says beforehand whether anything can be saved there. */
int mp_report_check_dir(const char *dir, struct mp_error *err);
int mp_report_save(const struct mp_memory_report *r, const char *dir, unsigned int formats,
		   struct mp_report_name *name, struct mp_error *err);

/* Writes one file the same way. */
int mp_report_save_text(const char *path, const struct mp_text *text, struct mp_error *err);

#endif
