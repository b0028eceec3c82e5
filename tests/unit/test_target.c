// SPDX-License-Identifier: GPL-2.0-only
/* --target: parsing, resolving, scanning; and where a library may come from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "target/private.h"
#include "target/target.h"
#include "tree.h"

#define HYBRID "tests/fixtures/hybrid"
#define V2 "tests/fixtures/v2"
#define NO_MEMORY "tests/fixtures/no-memory"

#define ID_A "4f1d0a9be7c352d8a6410f3b9d27c85e10b4a7f6693ec2d58b1f04a7d9e3c611"
#define ID_B "4f1d0a9be7c3ffd8a6410f3b9d27c85e10b4a7f6693ec2d58b1f04a7d9e3c622"
#define ID_C "c0ffee00d15ea5e1f00dfeedfacecafe0123456789abcdef0123456789abcdef"
#define ID_D "deadbeef00112233445566778899aabbccddeeff00112233445566778899aabb"

static struct mp_cgroups detect(const char *root)
{
	struct mp_cgroups cg;

	assert_int_equal(mp_cgroups_detect(&(struct mp_fsroot){root}, &cg), 0);
	return cg;
}

#define SPEC MP_CLEANUP(mp_target_spec_free) struct mp_target_spec

static struct mp_target_spec parse(const char *text)
{
	struct mp_target_spec spec;
	struct mp_error err = {0};

	assert_int_equal(mp_target_parse(text, &spec, &err), 0);
	assert_string_equal(spec.origin, text);
	assert_string_equal(err.text, "");
	return spec;
}

static void test_parse_kinds(void **state)
{
	static const struct {
		const char *text;
		enum mp_target_kind kind;
		const char *rest;
	} cases[] = {
		{"4711", MP_TARGET_PID, "4711"},
		{"pid:4711", MP_TARGET_PID, "4711"},
		{"comm:redis-server", MP_TARGET_COMM, "redis-server"},
		{"comm:a:b c\n", MP_TARGET_COMM, "a:b c\n"},
		{"exe:/usr/bin/python3", MP_TARGET_EXE, "/usr/bin/python3"},
		{"cgroup:/system.slice", MP_TARGET_CGROUP, "/system.slice"},
		{"container:" ID_A, MP_TARGET_CONTAINER, ID_A},
	};

	(void)state;
	for (size_t i = 0; i < MP_ARRAY_SIZE(cases); i++) {
		SPEC spec = parse(cases[i].text);

		assert_int_equal(spec.kind, cases[i].kind);
		assert_string_equal(spec.text, cases[i].rest);
		assert_int_equal(spec.pid, cases[i].kind == MP_TARGET_PID ? 4711 : 0);
	}
}

static void test_parse_comm_as_the_kernel_keeps_it(void **state)
{
	SPEC spec = parse("comm:abcdefghijklmnopq");

	(void)state;
	assert_string_equal(spec.text, "abcdefghijklmno");
}

static void check_refused(const char *text, const char *message)
{
	struct mp_target_spec spec = {.pid = 77};
	struct mp_error err = {0};

	assert_int_equal(mp_target_parse(text, &spec, &err), -EINVAL);
	assert_string_equal(err.text, message);
	assert_int_equal(err.exit_code, MP_EXIT_USAGE);
	assert_int_equal(spec.pid, 77);
	assert_int_equal(mp_target_parse(text, &spec, NULL), -EINVAL);
}

static void test_parse_bad_pid(void **state)
{
	static const char *const bad[] = {"0",
					  "-5",
					  "pid:0",
					  "pid:-1",
					  "pid:12x",
					  "pid: 1",
					  "pid:2147483648",
					  "--",
					  "pid:99999999999999999999"};

	(void)state;
	for (size_t i = 0; i < MP_ARRAY_SIZE(bad); i++) {
		char message[256];

		snprintf(message, sizeof(message),
			 "--target %s: a pid is a positive number; see: ps -e", bad[i]);
		check_refused(bad[i], message);
	}
}

static void test_parse_suggests(void **state)
{
	(void)state;
	check_refused("exec:/bin/x", "--target exec:/bin/x: no kind \"exec\"; did you mean "
				     "--target exe:/bin/x?");
	check_refused("containr:ab", "--target containr:ab: no kind \"containr\"; did you mean "
				     "--target container:ab?");
	check_refused("redis-server", "--target redis-server: not a pid; did you mean --target "
				      "comm:redis-server?");
	check_refused("/usr/bin/x", "--target /usr/bin/x: not a pid; did you mean --target "
				    "exe:/usr/bin/x?");
	check_refused("/sys/fs/cgroup/a", "--target /sys/fs/cgroup/a: not a pid; did you mean "
					  "--target cgroup:/sys/fs/cgroup/a?");
}

static void test_parse_refuses(void **state)
{
	(void)state;
	check_refused("", "--target '': empty; give a pid, pid:N, comm:NAME, exe:PATH, "
			  "cgroup:PATH or container:ID");
	check_refused("comm:", "--target comm:: nothing behind \"comm:\"");
	check_refused("pid:", "--target pid:: nothing behind \"pid:\"");
	check_refused("nginx:worker", "--target nginx:worker: no kind \"nginx\"; give pid:N, "
				      "comm:NAME, exe:PATH, cgroup:PATH or container:ID");
	check_refused(":5", "--target :5: no kind \"\"; give pid:N, comm:NAME, exe:PATH, "
			    "cgroup:PATH or container:ID");
	check_refused("\033[2J\n", "--target \\e[2J\\n: not a pid; did you mean --target "
				   "comm:\\e[2J\\n?");
}

static void check_unresolved(const char *root, const char *text, int code, enum mp_exit exit_code,
			     const char *message)
{
	struct mp_cgroups cg = detect(root);
	struct mp_error err = {0};
	SPEC spec = parse(text);

	assert_int_equal(mp_target_resolve(&spec, &cg, &err), code);
	assert_string_equal(err.text, message);
	assert_int_equal(err.exit_code, exit_code);
}

static void test_resolve_pid(void **state)
{
	struct mp_cgroups cg = detect(HYBRID);
	SPEC spec = parse("5000001");

	(void)state;
	assert_int_equal(mp_target_resolve(&spec, &cg, NULL), 0);
	assert_int_equal(spec.pid, 5000001);
}

static void test_resolve_pid_refuses(void **state)
{
	char text[32];
	char message[128];

	(void)state;
	check_unresolved(HYBRID, "5009999", -ESRCH, MP_EXIT_TARGET,
			 "--target 5009999: no process 5009999; it has ended, or the number comes "
			 "from inside a container: see ps -e");
	check_unresolved(HYBRID, "pid:5000002", -EINVAL, MP_EXIT_TARGET,
			 "--target pid:5000002: 5000002 (kworker/u4:1-ev) is a kernel thread and "
			 "has no memory of its own; give a user process");
	check_unresolved(HYBRID, "5000003", -EINVAL, MP_EXIT_TARGET,
			 "--target 5000003: 5000003 (sh) has ended and waits for its parent "
			 "5000001 (zombie); give a running process");
	check_unresolved(HYBRID, "5000010", -EINVAL, MP_EXIT_TARGET,
			 "--target 5000010: 5000010 is a thread of 5000001; use --target 5000001");
	snprintf(text, sizeof(text), "%d", getpid());
	snprintf(message, sizeof(message),
		 "--target %s: that is memprobe-bpf itself; give another process", text);
	check_unresolved("", text, -EINVAL, MP_EXIT_TARGET, message);
}

static void test_resolve_comm_may_come_later(void **state)
{
	struct mp_cgroups cg = detect(NO_MEMORY);
	SPEC spec = parse("comm:not-there-yet");

	(void)state;
	assert_int_equal(mp_target_resolve(&spec, &cg, NULL), 0);
}

static void test_resolve_exe(void **state)
{
	struct mp_cgroups cg = detect(HYBRID);
	struct tree tree;
	char path[PATH_MAX];
	char text[PATH_MAX + 8];

	(void)state;
	tree_make(&tree);
	tree_write(&tree, "/bin/real", "");
	tree_link(&tree, "/bin/link", "real");
	tree_path(&tree, "/bin/../bin//link", path);
	snprintf(text, sizeof(text), "exe:%s", path);
	SPEC spec = parse(text);

	assert_int_equal(mp_target_resolve(&spec, &cg, NULL), 0);
	tree_path(&tree, "/bin/real", path);
	assert_string_equal(spec.text, path);
	assert_int_equal(spec.kind, MP_TARGET_EXE);
	tree_remove(&tree);
	check_unresolved(HYBRID, "exe:/none/x\n", -ENOENT, MP_EXIT_TARGET,
			 "--target exe:/none/x\\n: No such file or directory; check the path");
	check_unresolved(HYBRID, "exe:no-such-program", -ENOENT, MP_EXIT_TARGET,
			 "--target exe:no-such-program: No such file or directory; give the whole "
			 "path, or comm:NAME");
	check_unresolved(HYBRID, "exe:/", -EINVAL, MP_EXIT_TARGET,
			 "--target exe:/: not a regular file; give the path of a program");
}

static void check_cgroup(const char *root, const char *text, const char *expected)
{
	struct mp_cgroups cg = detect(root);
	struct mp_error err = {0};
	SPEC spec = parse(text);

	if (mp_target_resolve(&spec, &cg, &err))
		fail_msg("%s", err.text);
	assert_int_equal(spec.kind, MP_TARGET_CGROUP);
	assert_string_equal(spec.text, expected);
	assert_string_equal(spec.origin, text);
}

static void test_resolve_cgroup(void **state)
{
	(void)state;
	check_cgroup(HYBRID, "cgroup:/app/db", "/app/db");
	check_cgroup(HYBRID, "cgroup:app/db", "/app/db");
	check_cgroup(HYBRID, "cgroup://app/./db//", "/app/db");
	check_cgroup(HYBRID, "cgroup:/sys/fs/cgroup/memory/app/db", "/app/db");
	check_cgroup(HYBRID, "cgroup:/sys/fs/cgroup/unified/app/", "/app");
	check_cgroup(HYBRID, "cgroup:/sys/fs/cgroup/memory", "/");
	check_cgroup(HYBRID, "cgroup:/", "/");
	check_cgroup(V2, "cgroup:system.slice/redis.service", "/system.slice/redis.service");
	check_cgroup(V2, "cgroup:/sys/fs/cgroup/user.slice", "/user.slice");
}

static void test_resolve_cgroup_refuses(void **state)
{
	(void)state;
	check_unresolved(HYBRID, "cgroup:/none", -ENOENT, MP_EXIT_TARGET,
			 "--target cgroup:/none: no memory cgroup /none below "
			 "/sys/fs/cgroup/memory (No such file or directory); list them with: find "
			 "/sys/fs/cgroup/memory -type d");
	/* Another controller's tree, and a name that only starts like the mount. */
	check_unresolved(HYBRID, "cgroup:/sys/fs/cgroup/memoryx", -ENOENT, MP_EXIT_TARGET,
			 "--target cgroup:/sys/fs/cgroup/memoryx: no memory cgroup "
			 "/sys/fs/cgroup/memoryx below /sys/fs/cgroup/memory (No such file or "
			 "directory); list them with: find /sys/fs/cgroup/memory -type d");
	check_unresolved(HYBRID, "cgroup:/app/../app", -EINVAL, MP_EXIT_TARGET,
			 "--target cgroup:/app/../app: \"..\" is not taken; give the path from "
			 "/sys/fs/cgroup/memory");
	check_unresolved(V2, "cgroup:/user.slice/session-1.scope", -EOPNOTSUPP, MP_EXIT_UNSUPPORTED,
			 "--target cgroup:/user.slice/session-1.scope: the memory controller is "
			 "off in /sys/fs/cgroup/user.slice/session-1.scope; write +memory to its "
			 "parent's cgroup.subtree_control, or give pids");
	check_unresolved(NO_MEMORY, "cgroup:/", -EOPNOTSUPP, MP_EXIT_UNSUPPORTED,
			 "--target cgroup:/: no cgroup tree with the memory controller is "
			 "mounted; give pid, comm or exe instead");
	check_unresolved(NO_MEMORY, "container:" ID_A, -EOPNOTSUPP, MP_EXIT_UNSUPPORTED,
			 "--target container:" ID_A ": no cgroup tree with the memory controller "
			 "is mounted; give pid, comm or exe instead");
}

static void test_resolve_container(void **state)
{
	(void)state;
	check_cgroup(V2, "container:" ID_A, "/system.slice/docker-" ID_A ".scope");
	check_cgroup(V2, "container:4f1d0a9be7c3f", "/system.slice/docker-" ID_B ".scope");
	check_cgroup(V2, "container:c0ffee00d15e", "/kubepods.slice/cri-containerd-" ID_C ".scope");
	/* podman: the container's group, not conmon's, nor the one inside it */
	check_cgroup(V2, "container:deadbeef0011", "/machine.slice/libpod-" ID_D ".scope");
	check_cgroup(V2, "container:libpod-" ID_D ".scope", "/machine.slice/libpod-" ID_D ".scope");
	check_cgroup(V2, "container:build", "/lxc.payload.build");
	check_cgroup(HYBRID, "container:db", "/app/db"); /* not /app/dbx */
}

static void test_resolve_container_refuses(void **state)
{
	struct mp_cgroups cg = detect(V2);
	struct mp_error err = {0};
	SPEC spec = parse("container:4f1d0a9be7c3");

	(void)state;
	assert_int_equal(mp_target_resolve(&spec, &cg, &err), -EEXIST);
	assert_int_equal(err.exit_code, MP_EXIT_TARGET);
	assert_non_null(strstr(err.text, "ambiguous: "));
	assert_non_null(strstr(err.text, "/system.slice/docker-" ID_A ".scope"));
	assert_non_null(strstr(err.text, "/system.slice/docker-" ID_B ".scope"));
	assert_int_equal(spec.kind, MP_TARGET_CONTAINER);

	check_unresolved(V2, "container:c0ffee00d15", -ENOENT, MP_EXIT_TARGET,
			 "--target container:c0ffee00d15: no such container; an id takes 12 or "
			 "more hex digits: docker ps --no-trunc");
	check_unresolved(V2, "container:web", -ENOENT, MP_EXIT_TARGET,
			 "--target container:web: no memory cgroup below /sys/fs/cgroup bears "
			 "that id; a running container's id: docker inspect -f '{{.Id}}' NAME");
}

struct pids {
	pid_t items[8];
	size_t n;
	int stop_with;
};

static int keep_pid(void *data, const struct mp_process *process)
{
	struct pids *pids = data;

	assert_in_range(pids->n, 0, MP_ARRAY_SIZE(pids->items) - 1);
	pids->items[pids->n++] = process->pid;
	return pids->stop_with;
}

static int compare_pids(const void *a, const void *b)
{
	return *(const pid_t *)a - *(const pid_t *)b;
}

static void check_scan(const char *root, const char *text, size_t n, pid_t first, pid_t second)
{
	struct mp_cgroups cg = detect(root);
	struct pids pids = {0};
	SPEC spec = parse(text);

	assert_int_equal(mp_target_resolve(&spec, &cg, NULL), 0);
	assert_int_equal(mp_target_scan(&spec, &cg, keep_pid, &pids), 0);
	assert_int_equal(pids.n, n);
	qsort(pids.items, pids.n, sizeof(pids.items[0]), compare_pids);
	if (n > 0)
		assert_int_equal(pids.items[0], first);
	if (n > 1)
		assert_int_equal(pids.items[1], second);
}

static void test_scan(void **state)
{
	(void)state;
	check_scan(HYBRID, "5000001", 1, 5000001, 0);
	check_scan(HYBRID, "comm:redis-server", 1, 5000001, 0);
	check_scan(HYBRID, "comm:x) S 1 (\n\033[2J", 1, 5000004, 0);
	check_scan(HYBRID, "comm:abcdefghijklmnopqrst", 1, 5000005, 0);
	check_scan(HYBRID, "comm:redis", 0, 0, 0);
	check_scan(HYBRID, "comm:redis-server2", 0, 0, 0);
	check_scan(HYBRID, "comm:sh", 0, 0, 0); /* a zombie */
	check_scan(HYBRID, "comm:kworker/u4:1-ev", 0, 0, 0);
	check_scan(HYBRID, "comm:bio_close_file", 0, 0, 0); /* a thread */
	check_scan(HYBRID, "exe:" HYBRID "/usr/bin/redis-server", 1, 5000001, 0);
	check_scan(HYBRID, "cgroup:/app/db", 1, 5000001, 0); /* not /app/dbx */
	check_scan(HYBRID, "cgroup:/app/web", 1, 5000004, 0);
	check_scan(HYBRID, "cgroup:/app", 3, 5000001, 5000004);
	check_scan(HYBRID, "cgroup:/", 3, 5000001, 5000004);
	check_scan(V2, "container:" ID_A, 1, 5000003, 0);
	check_scan(V2, "cgroup:/user.slice", 1, 5000002, 0);
}

static void test_scan_pid_that_ended(void **state)
{
	struct mp_cgroups cg = detect(HYBRID);
	struct pids pids = {0};
	SPEC gone = parse("5009999");
	SPEC thread = parse("5000010");

	(void)state;
	assert_int_equal(mp_target_scan(&gone, &cg, keep_pid, &pids), 0);
	assert_int_equal(mp_target_scan(&thread, &cg, keep_pid, &pids), 0);
	assert_int_equal(pids.n, 0);
}

static void test_scan_ends_when_told(void **state)
{
	struct mp_cgroups cg = detect(HYBRID);
	struct pids pids = {.stop_with = -ECANCELED};
	SPEC spec = parse("cgroup:/");

	(void)state;
	assert_int_equal(mp_target_scan(&spec, &cg, keep_pid, &pids), -ECANCELED);
	assert_int_equal(pids.n, 1);
}

static int is_self(void *data, const struct mp_process *process)
{
	(void)data;
	return process->pid == getpid() ? -EEXIST : 0;
}

static void test_scan_never_self(void **state)
{
	struct mp_cgroups cg = detect("");
	SPEC spec = parse("exe:/proc/self/exe");

	(void)state;
	assert_int_equal(mp_target_resolve(&spec, &cg, NULL), 0);
	assert_int_equal(mp_target_scan(&spec, &cg, is_self, NULL), 0);
}

static void test_scan_survives_odd_processes(void **state)
{
	struct tree tree;
	struct mp_cgroups cg = {.mode = MP_CGROUP_V1, .memory_mount = "/m", .memory_root = "/"};
	struct pids pids = {0};
	SPEC spec = parse("comm:a");

	(void)state;
	tree_make(&tree);
	cg.fs.root = tree.root;
	assert_int_equal(mp_target_scan(&spec, &cg, keep_pid, &pids), -ENOENT);
	tree_write(&tree, "/proc/5000001/stat", "cut");
	tree_write(&tree, "/proc/5000001/status", "Tgid:\t5000001\n");
	tree_write(&tree, "/proc/5000002/maps", "");
	tree_write(&tree, "/proc/99999999999/stat", "");
	tree_write(&tree, "/proc/5000004/stat",
		   "5000004 (a) S 1 7 7 0 -1 4194304 1 0 0 0 1 1 0 0 20 0 1 0 5\n");
	tree_write(&tree, "/proc/5000004/status", "Tgid:\t5000004\n");
	assert_int_equal(mp_target_scan(&spec, &cg, keep_pid, &pids), 0);
	assert_int_equal(pids.n, 1);
	assert_int_equal(pids.items[0], 5000004);
	tree_remove(&tree);
}

struct paths {
	char items[8][PATH_MAX];
	size_t n;
	int stop_with;
};

static int keep_path(void *data, const char *path)
{
	struct paths *paths = data;

	assert_in_range(paths->n, 0, MP_ARRAY_SIZE(paths->items) - 1);
	strcpy(paths->items[paths->n++], path);
	return paths->stop_with;
}

static void check_path(const struct tree *tree, const char *name, const char *actual)
{
	char expected[PATH_MAX];

	tree_path(tree, name, expected);
	assert_string_equal(actual, expected);
}

static void write_libraries(struct tree *tree)
{
	tree_make(tree);
	tree_write(tree, "/a/libmp_test.so.1.2", "one");
	tree_link(tree, "/a/libmp_test.so", "libmp_test.so.1.2");
	tree_link(tree, "/a/libmp_test.so.2", "nowhere");
	tree_write(tree, "/a/libmp_test.so.dir/x", "");
	tree_write(tree, "/b/libmp_test.so.3", "three");
}

static void test_candidates_by_path(void **state)
{
	struct tree tree;
	struct paths *paths = calloc(1, sizeof(*paths));
	char glob[PATH_MAX];

	(void)state;
	write_libraries(&tree);
	tree_path(&tree, "/a/libmp_test.so*", glob);
	assert_int_equal(mp_library_candidates(glob, keep_path, paths), 0);
	assert_int_equal(paths->n, 1);
	check_path(&tree, "/a/libmp_test.so.1.2", paths->items[0]);
	tree_path(&tree, "/[ab]/libmp_test.so.[13]*", glob);
	assert_int_equal(mp_library_candidates(glob, keep_path, paths), 0);
	assert_int_equal(paths->n, 3);
	check_path(&tree, "/b/libmp_test.so.3", paths->items[2]);
	assert_int_equal(mp_library_candidates("/none/lib*", keep_path, paths), 0);
	paths->stop_with = -ECANCELED;
	assert_int_equal(mp_library_candidates(glob, keep_path, paths), -ECANCELED);
	assert_int_equal(paths->n, 4);
	tree_remove(&tree);
	free(paths);
}

static void test_candidates_of_library_path(void **state)
{
	struct tree tree;
	struct paths *paths = calloc(1, sizeof(*paths));
	char folders[2 * PATH_MAX];

	(void)state;
	write_libraries(&tree);
	snprintf(folders, sizeof(folders), "/none:%s/b;%s/a", tree.root, tree.root);
	setenv("LD_LIBRARY_PATH", folders, 1);
	assert_int_equal(mp_library_candidates("libmp_test.so*", keep_path, paths), 0);
	unsetenv("LD_LIBRARY_PATH");
	assert_int_equal(paths->n, 2);
	check_path(&tree, "/b/libmp_test.so.3", paths->items[0]);
	check_path(&tree, "/a/libmp_test.so.1.2", paths->items[1]);
	assert_int_equal(mp_library_candidates("libmp_test.so*", keep_path, paths), 0);
	assert_int_equal(paths->n, 2);
	tree_remove(&tree);
	free(paths);
}

static void test_candidates_of_loader(void **state)
{
	struct paths *paths = calloc(1, sizeof(*paths));

	(void)state;
	assert_int_equal(mp_library_candidates("libc.so.6", keep_path, paths), 0);
	assert_in_range(paths->n, 1, 4);
	assert_int_equal(paths->items[0][0], '/');
	free(paths);
}

/* The bytes of an ld.so.cache. */
struct cache {
	struct {
		char magic[20];
		uint32_t n;
		uint32_t strings_len;
		uint32_t flags;
		uint32_t unused[4];
	} header;
	struct {
		uint32_t flags;
		uint32_t soname;
		uint32_t path;
		uint32_t os_version;
		uint64_t hwcap;
	} entries[3];
	char strings[32];
};

#if defined(__x86_64__)
#define FLAGS_HERE 0x0303
#define FLAGS_THERE 0x0a03
#else
#define FLAGS_HERE 0x0a03
#define FLAGS_THERE 0x0303
#endif

static struct cache make_cache(void)
{
	const uint32_t strings = offsetof(struct cache, strings);
	struct cache cache = {
		.header = {.magic = "glibc-ld.so.cache1.", .n = 3, .strings_len = 32},
		.entries = {{FLAGS_HERE, strings, strings + 5, 0, 0},
			    {FLAGS_THERE, strings, strings + 13, 0, 0},
			    {FLAGS_HERE, strings + 13, strings + 5, 0, UINT64_MAX}},
		.strings = "a.so\0/l/a.so\0/32/a.so",
	};

	cache.header.magic[19] = '1';
	return cache;
}

struct cached {
	char text[256];
	int stop_with;
};

static int keep_cached(void *data, const char *soname, const char *path)
{
	struct cached *cached = data;

	strcat(strcat(strcat(strcat(cached->text, soname), "="), path), ";");
	return cached->stop_with;
}

static void test_ldcache(void **state)
{
	struct cache cache = make_cache();
	struct cached cached = {0};

	(void)state;
	assert_int_equal(mp_ldcache_walk((char *)&cache, sizeof(cache), keep_cached, &cached), 0);
	assert_string_equal(cached.text, "a.so=/l/a.so;/32/a.so=/l/a.so;");
	cached = (struct cached){.stop_with = -ECANCELED};
	assert_int_equal(mp_ldcache_walk((char *)&cache, sizeof(cache), keep_cached, &cached),
			 -ECANCELED);
	assert_string_equal(cached.text, "a.so=/l/a.so;");
}

/* In memory of exactly `len` bytes, so that the sanitizer sees a read behind it. */
static int walk_exact(const struct cache *cache, size_t len)
{
	struct cached cached = {0};
	char *copy = malloc(len);
	int ret;

	memcpy(copy, cache, len);
	ret = mp_ldcache_walk(copy, len, keep_cached, &cached);
	free(copy);
	return ret;
}

static void test_ldcache_cut_anywhere(void **state)
{
	struct cache cache = make_cache();
	size_t strings_end = offsetof(struct cache, strings) + sizeof("a.so\0/l/a.so\0/32/a.so");

	(void)state;
	for (size_t len = 1; len < strings_end; len++)
		assert_int_equal(walk_exact(&cache, len), -EBADMSG);
	assert_int_equal(walk_exact(&cache, strings_end), 0);
}

static void test_ldcache_hostile(void **state)
{
	struct cache cache = make_cache();

	(void)state;
	cache.header.n = UINT32_MAX;
	assert_int_equal(walk_exact(&cache, sizeof(cache)), -EBADMSG);
	cache = make_cache();
	cache.entries[2].path = UINT32_MAX;
	assert_int_equal(walk_exact(&cache, sizeof(cache)), -EBADMSG);
	cache = make_cache();
	cache.entries[2].soname = sizeof(cache);
	assert_int_equal(walk_exact(&cache, sizeof(cache)), -EBADMSG);
	cache = make_cache();
	cache.entries[2].soname = offsetof(struct cache, strings) + 31;
	cache.strings[31] = 'x'; /* no NUL until the end */
	assert_int_equal(walk_exact(&cache, sizeof(cache)), -EBADMSG);
	cache = make_cache();
	memcpy(&cache, "ld.so-1.7.0", 12); /* the old format */
	assert_int_equal(walk_exact(&cache, sizeof(cache)), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_kinds),
		cmocka_unit_test(test_parse_comm_as_the_kernel_keeps_it),
		cmocka_unit_test(test_parse_bad_pid),
		cmocka_unit_test(test_parse_suggests),
		cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_resolve_pid),
		cmocka_unit_test(test_resolve_pid_refuses),
		cmocka_unit_test(test_resolve_comm_may_come_later),
		cmocka_unit_test(test_resolve_exe),
		cmocka_unit_test(test_resolve_cgroup),
		cmocka_unit_test(test_resolve_cgroup_refuses),
		cmocka_unit_test(test_resolve_container),
		cmocka_unit_test(test_resolve_container_refuses),
		cmocka_unit_test(test_scan),
		cmocka_unit_test(test_scan_pid_that_ended),
		cmocka_unit_test(test_scan_ends_when_told),
		cmocka_unit_test(test_scan_never_self),
		cmocka_unit_test(test_scan_survives_odd_processes),
		cmocka_unit_test(test_candidates_by_path),
		cmocka_unit_test(test_candidates_of_library_path),
		cmocka_unit_test(test_candidates_of_loader),
		cmocka_unit_test(test_ldcache),
		cmocka_unit_test(test_ldcache_cut_anywhere),
		cmocka_unit_test(test_ldcache_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
