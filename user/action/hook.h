/* SPDX-License-Identifier: GPL-2.0-only */
/* Programs of the administrator that are run on a decision. Private to action/; see docs/policy.md.
 */
#ifndef MP_ACTION_HOOK_H
#define MP_ACTION_HOOK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/error.h"

#define MP_MAX_HOOKS 8			  /* running at once */
#define MP_HOOK_TIMEOUT_NS 10000000000ULL /* then SIGTERM to its process group */
#define MP_HOOK_GRACE_NS 1000000000ULL	  /* then SIGKILL */
#define MP_HOOK_STOP_NS 2000000000ULL	  /* what the end of the monitor leaves them */
#define MP_HOOK_STDERR_BYTES 256	  /* kept of what a hook says on stderr */

struct mp_actions;
struct mp_action_request;
struct mp_hooks;
struct mp_undo;

/* With a journal (or NULL), hooks that run do not outlive a monitor that is killed. NULL: see errno
 */
struct mp_hooks *mp_hooks_new(struct mp_undo *undo);
void mp_hooks_free(struct mp_hooks *hooks, const struct mp_actions *actions);
int mp_hooks_fd(const struct mp_hooks *hooks);
void mp_hooks_dispatch(struct mp_hooks *hooks, const struct mp_actions *actions, uint64_t now_ns);

/*
 * Whether `path` may be run as a hook. With `as_root`, only root may be able to
 * change the file or any directory on the way to it. The reason in `err`, with
 * exit code 3. Returns 0, -EINVAL, -EPERM, -ENOENT …
 */
int mp_hook_check_path(const char *path, bool as_root, struct mp_error *err);

/*
 * Starts the hook that the request names, with `err_fd` as its stderr. Returns
 * 0, or a negative errno: when the program cannot be executed, that of exec.
 */
int mp_hook_spawn(const struct mp_action_request *request, int err_fd, pid_t *ret_pid);

/* Who but root could change a file or directory with these attributes; NULL: nobody. The pure part.
 */
const char *mp_hook_weakness(const struct stat *st);

#endif
