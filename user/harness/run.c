// SPDX-License-Identifier: GPL-2.0-only
/* A rehearsal from the first group that is made to the last that is removed. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/utsname.h>

#include "base/clock.h"
#include "base/size.h"
#include "cgroup/control.h"
#include "harness/private.h"
#include "harness/slim.h"

#define MB (1ULL << 20)
#define GB (1ULL << 30)
#define MARGIN_BYTES (500 * MB)
#define SMALL_LIMIT (5 * GB) /* below it a tenth is margin enough */
#define RESERVE_LEAST (256 * MB)
#define RESERVE_SHARE 16 /* of the host's memory */
#define REMOVE_MS 5000
#define DEADLINE_SLACK_NS 600000000000ULL

struct mp_harness_result {
	struct mp_harness h;
};

/* --- what percentages are of ------------------------------------------------------- */

static int own_limit(struct mp_harness *h, struct mp_error *err)
{
	MP_FREE char *path = NULL;
	int error = mp_cgroup_of_pid(&h->cg, getpid(), &path);

	error = error ?: mp_cgroup_effective_limit(&h->cg, path, &h->stage.limit, &h->domain);
	if (error)
		return mp_fail(err, MP_EXIT_UNSUPPORTED, -error,
			       "cannot tell the limit of the own cgroup: %s", strerror(-error));
	if (!h->domain && h->o->of == MP_OF_CGROUP)
		return mp_fail(err, MP_EXIT_USAGE, ENOENT,
			       "--of cgroup: no group that this runs in has a limit; give --env "
			       "PROFILE, or --of host");
	return 0;
}

static int find_domain(struct mp_harness *h, struct mp_error *err)
{
	uint64_t total, available;
	int error = 0;

	if (h->device.group.path) {
		h->domain = strdup(h->device.group.path);
		return h->domain ? 0 : -ENOMEM;
	}
	if (h->o->of != MP_OF_HOST)
		error = own_limit(h, err);
	if (error || h->domain)
		return error;
	error = mp_host_memory(&h->cg.fs, &total, &available);
	h->stage.limit = total;
	return error;
}

/* Where the domain's stall figures are; a hybrid's are in another tree than its memory. */
static void find_psi(struct mp_harness *h)
{
	int error = 0;

	if (!h->domain)
		snprintf(h->psi_path, sizeof(h->psi_path), "%s/proc/pressure/memory",
			 h->cg.fs.root);
	else if (h->cg.mode == MP_CGROUP_V2)
		error = mp_cgroup_psi_path(&h->cg, h->domain, h->psi_path);
	else
		error = mp_group_psi_path(&h->device.group, h->psi_path);
	if (error)
		h->psi_path[0] = '\0';
}

static void begin_pressure(struct mp_harness *h)
{
	find_psi(h);
	if (h->psi_path[0] && mp_psi_totals_read(h->psi_path, &h->psi_begin))
		h->psi_path[0] = '\0';
	if (h->domain)
		mp_cgroup_oom_kills(&h->cg, h->domain, &h->oom_kills_begin);
}

uint64_t mp_harness_reserve(uint64_t host_bytes)
{
	uint64_t share = host_bytes / RESERVE_SHARE;

	return share > RESERVE_LEAST ? share : RESERVE_LEAST;
}

static int set_stage(struct mp_harness *h, struct mp_error *err)
{
	uint64_t total, available;
	struct mp_look look;
	int error = find_domain(h, err);

	error = error ?: mp_host_memory(&h->cg.fs, &total, &available);
	error = error ?: mp_look_around(h);
	if (error)
		return error;
	h->reserve = mp_harness_reserve(total);
	error = mp_look(h, true, &look);
	if (error)
		return error;
	h->stage.start = look.usage;
	h->pattern = h->o->pattern_options;
	if (!h->o->margin_given)
		h->pattern.margin_bytes =
			h->stage.limit < SMALL_LIMIT ? h->stage.limit / 10 : MARGIN_BYTES;
	begin_pressure(h);
	return h->o->pattern->check(&h->pattern, &h->stage, err);
}

/* --- groups ------------------------------------------------------------------------- */

static int make_device(struct mp_harness *h, const char *parent, struct mp_error *err)
{
	const struct mp_device_options o = {.profile = h->o->profile, .force = h->o->force};
	int error = mp_device_make(&h->cg, parent, &o, h->undo, &h->device, err);

	if (!error)
		h->stage.limit = h->device.held.limit_bytes;
	return error;
}

static int make_groups(struct mp_harness *h, struct mp_error *err)
{
	static const struct mp_group_limits none = {.limit_bytes = MP_UNKNOWN,
						    .swap_bytes = MP_GROUP_SWAP_ANY};
	MP_FREE char *parent = NULL;
	struct mp_group_held held;
	int error = mp_group_place(&h->cg, h->o->profile != NULL, &parent, err);

	if (!error && h->o->profile)
		error = make_device(h, parent, err);
	if (error)
		return error;
	h->room_notes = (struct mp_group_notes){.undo = h->undo, .kind = MP_UNDO_RMDIR};
	return mp_group_make_noted(&h->cg, h->device.group.path ? h->device.group.path : parent,
				   "filler", &none, &h->room_notes, &h->room, &held, err);
}

static void remove_room(struct mp_harness *h)
{
	if (!h->room.n_folders)
		return;
	mp_group_remove(&h->room, REMOVE_MS);
	mp_group_forget(&h->room_notes);
	mp_group_free(&h->room);
}

/* --- processes ---------------------------------------------------------------------- */

static int start_filler(struct mp_harness *h, struct mp_error *err)
{
	struct mp_filler_options o = h->o->filler;

	o.max_bytes = h->stage.limit;
	o.is_idle = h->o->pattern->takes_nothing;
	o.deadline_ns = mp_clock_now_ns() + h->o->pattern->length(&h->pattern) + DEADLINE_SLACK_NS;
	return mp_filler_start(&h->room, &o, &h->filler, err);
}

/* What is rehearsed ends with the rehearsal: else its group would stay as long as it runs. */
static void die_with_supervisor(void *data)
{
	const struct mp_harness *h = data;
	const struct mp_child_place *device = &h->device.place;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (device->prepare)
		device->prepare(device->data);
	if (h->o->prepare)
		h->o->prepare(h->o->prepare_data);
}

static int start_command(struct mp_harness *h, struct mp_error *err)
{
	const struct mp_child_place place = {
		.group = h->device.place.group, .prepare = die_with_supervisor, .data = h};

	return h->o->command ? mp_child_start_in(h->o->command, &place, &h->command, err) : 0;
}

static void end_command(struct mp_harness *h)
{
	if (h->command.pid > 0 && !mp_child_reap(&h->command)) {
		kill(h->command.pid, SIGKILL);
		while (!mp_child_reap(&h->command))
			usleep(1000);
	}
}

/* --- set-up and end ------------------------------------------------------------------ */

static int take_signals(struct mp_harness *h)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	h->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return h->signals < 0 ? -errno : 0;
}

static int set_up_basics(struct mp_harness *h, struct mp_error *err)
{
	struct mp_fsroot fs = {.root = ""};
	int error = mp_cgroups_detect(&fs, &h->cg);

	h->undo = mp_undo_new();
	h->loop = mp_loop_new();
	h->tick = mp_timer_new(1, 0);
	if (!h->undo || !h->loop || h->tick < 0)
		return -ENOMEM;
	error = error ?: mp_guardian_start(h->undo, &h->guardian, err);
	return error ? error : take_signals(h);
}

static int set_up(struct mp_harness *h, struct mp_error *err)
{
	int error = set_up_basics(h, err);

	error = error ?: make_groups(h, err);
	error = error ?: set_stage(h, err);
	error = error ?: start_command(h, err);
	error = error ?: start_filler(h, err);
	if (error)
		return error;
	mp_watcher_start(h);
	mp_slim();
	return h->o->command ? mp_child_release(&h->command, h->o->command[0], err) : 0;
}

/* What was made last goes first; a group only when nobody is in it any more. */
static void tear_down(struct mp_harness *h)
{
	mp_watcher_end(h);
	end_command(h);
	mp_child_free(&h->command);
	mp_filler_free(h->filler);
	remove_room(h);
	mp_device_clear(&h->device, REMOVE_MS);
	mp_guardian_end(h->guardian);
	mp_undo_free(h->undo);
	mp_loop_free(h->loop);
	mp_close_p(&h->tick);
	mp_close_p(&h->signals);
}

static void describe(struct mp_harness *h)
{
	struct mp_memory_report *r = &h->report;
	struct utsname name;

	r->version = MP_VERSION;
	r->test_mode = h->o->pattern->name;
	r->command = h->o->command ? h->o->command[0] : NULL;
	r->begin_realtime_ns =
		(uint64_t)((int64_t)mp_clock_now_ns() + mp_clock_realtime_offset_ns());
	r->model_load_ns = MP_UNKNOWN;
	r->cgroup = h->domain;
	r->limit = h->stage.limit;
	if (uname(&name) == 0)
		snprintf(h->kernel, sizeof(h->kernel), "%s", name.release);
	r->kernel = h->kernel;
	r->thresholds.warning_pct = 75;
	r->thresholds.gc_pct = 85;
	r->thresholds.critical_pct = 90;
	r->environment.engine = mp_cgroup_mode_name(h->cg.mode);
	r->environment.notes = h->device.notes[0] ? h->device.notes : NULL;
	r->environment.total_bytes = r->environment.swap_bytes = MP_UNKNOWN;
	r->environment.limit_bytes = h->stage.limit;
	if (!h->o->profile)
		return;
	r->environment.profile_name = h->o->profile->name;
	r->environment.total_bytes = h->o->profile->total_bytes;
	r->environment.swap_bytes = h->o->profile->swap_bytes;
}

int mp_harness_run(const struct mp_harness_options *options, struct mp_harness_result **ret,
		   struct mp_error *err)
{
	struct mp_harness_result *result = calloc(1, sizeof(*result));
	struct mp_harness *h;
	int error;

	if (!result)
		return -ENOMEM;
	h = &result->h;
	h->o = options;
	h->begin_ns = UINT64_MAX;
	h->tick = h->signals = h->watcher.fd = -1;
	h->device.group.fd = h->room.fd = -1;
	h->command.go = h->command.failed = h->command.pidfd = -1;
	error = set_up(h, err);
	if (!error) {
		describe(h);
		error = options->earlier ? mp_book_take_over(h, options->earlier) : 0;
		error = error ?: mp_play(h, err);
	}
	if (!error) {
		mp_book_close(h);
		end_command(h);
		mp_figures_close(h);
	}
	tear_down(h);
	if (error) {
		mp_harness_result_free(result);
		return error;
	}
	*ret = result;
	return 0;
}

const struct mp_memory_report *mp_harness_report(const struct mp_harness_result *result)
{
	return &result->h.report;
}

const struct mp_harness_figures *mp_harness_figures(const struct mp_harness_result *result)
{
	return &result->h.figures;
}

int mp_harness_outcome_code(enum mp_outcome outcome)
{
	static const int codes[MP_OUTCOME_COUNT] = {
		[MP_OUTCOME_OK] = MP_EXIT_OK,
		[MP_OUTCOME_OOM_KILLED] = MP_EXIT_OOM,
		[MP_OUTCOME_LIMIT_NOT_REACHED] = MP_EXIT_CHECK,
		[MP_OUTCOME_INTERRUPTED] = MP_EXIT_INTERRUPTED,
		[MP_OUTCOME_THRASH] = MP_EXIT_CHECK,
	};

	return codes[outcome];
}

int mp_harness_exit_code(const struct mp_harness_result *result)
{
	return mp_harness_outcome_code(result->h.report.outcome);
}

void mp_harness_result_free(struct mp_harness_result *result)
{
	if (!result)
		return;
	mp_book_free(&result->h);
	mp_look_free(&result->h);
	free(result->h.domain);
	free(result);
}
