// SPDX-License-Identifier: GPL-2.0-only
/*
 * A process that gives memory back when it is asked to, by the protocol of
 * user/base/relief.h; and one that does it badly. Prints what it was asked:
 *
 *   relief_agent [--mib N] [--hang | --deaf | --lie | --garbage | --long | --close | --busy]
 */
#include <getopt.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "../../user/base/relief.h"
#include "target.h"

#define MIB (1ULL << 20)

enum manner {
	HONEST = 0,
	HANG,	 /* accepts, and does not answer */
	DEAF,	 /* does not accept */
	LIE,	 /* the id of another request */
	GARBAGE, /* not a reply */
	LONG,	 /* a reply with more behind it */
	CLOSE,	 /* no answer */
	BUSY,
};

struct agent {
	int listen_fd;
	enum manner manner;
	char *cache;
	uint64_t cached_bytes; /* from the start of `cache` */
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

static int listen_at(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	unlink(address->sun_path);
	if (fd < 0 || bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ||
	    chmod(address->sun_path, 0600) < 0 || listen(fd, 1) < 0)
		target_die("relief socket");
	return fd;
}

/* What is asked for, from the end, in whole MiB; 0 is all there is. */
static uint64_t give_back(struct agent *agent, uint64_t wanted)
{
	uint64_t bytes = (wanted + MIB - 1) / MIB * MIB;

	if (!bytes || bytes > agent->cached_bytes)
		bytes = agent->cached_bytes;
	agent->cached_bytes -= bytes;
	if (bytes && madvise(agent->cache + agent->cached_bytes, bytes, MADV_DONTNEED) < 0)
		target_die("madvise");
	return bytes;
}

static uint16_t status_of(const struct agent *agent, uint64_t freed_bytes)
{
	if (agent->manner == BUSY)
		return MP_RELIEF_BUSY;
	return freed_bytes ? MP_RELIEF_DONE : MP_RELIEF_NOTHING;
}

static void answer(struct agent *agent, int peer, const struct mp_relief_request *request)
{
	uint64_t start = now_ns();
	uint64_t freed = agent->manner == HONEST ? give_back(agent, request->wanted_bytes) : 0;
	struct mp_relief_reply reply = {
		.magic = agent->manner == GARBAGE ? 0x78787878 : MP_RELIEF_MAGIC,
		.version = MP_RELIEF_VERSION,
		.status = status_of(agent, freed),
		.id = agent->manner == LIE ? request->id + 1 : request->id,
		.freed_bytes = freed,
		.duration_ns = now_ns() - start,
		.callbacks = agent->manner == HONEST,
	};
	char out[sizeof(reply) + 1] = {0};

	memcpy(out, &reply, sizeof(reply));
	send(peer, out, sizeof(reply) + (agent->manner == LONG), MSG_NOSIGNAL);
}

static bool is_request(const struct mp_relief_request *request, ssize_t len)
{
	return len == sizeof(*request) && request->magic == MP_RELIEF_MAGIC &&
	       request->version == MP_RELIEF_VERSION;
}

static bool is_allowed(int peer)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	return getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 &&
	       (who.uid == 0 || who.uid == geteuid());
}

static void serve(struct agent *agent, int peer)
{
	struct mp_relief_request request;
	ssize_t len = recv(peer, &request, sizeof(request), MSG_TRUNC);

	if (!is_allowed(peer) || !is_request(&request, len))
		return;
	printf("asked severity %u wanted %llu deadline %llu\n", request.severity,
	       (unsigned long long)request.wanted_bytes, (unsigned long long)request.deadline_ns);
	fflush(stdout);
	if (agent->manner == HANG)
		pause();
	if (agent->manner != CLOSE)
		answer(agent, peer, &request);
}

static void *serve_all(void *data)
{
	struct agent *agent = data;

	for (;;) {
		int peer = accept4(agent->listen_fd, NULL, NULL, SOCK_CLOEXEC);

		if (peer < 0)
			target_die("accept");
		serve(agent, peer);
		close(peer);
	}
	return NULL;
}

static void fill(struct agent *agent, uint64_t mib)
{
	agent->cached_bytes = mib * MIB;
	agent->cache = mmap(NULL, agent->cached_bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (agent->cache == MAP_FAILED)
		target_die("mmap");
	memset(agent->cache, 1, agent->cached_bytes);
}

static void wait_for_end(void)
{
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigwait(&set, &sig);
}

static void block_ends(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{"mib", required_argument, NULL, 'm'},
		{"hang", no_argument, NULL, HANG},
		{"deaf", no_argument, NULL, DEAF},
		{"lie", no_argument, NULL, LIE},
		{"garbage", no_argument, NULL, GARBAGE},
		{"long", no_argument, NULL, LONG},
		{"close", no_argument, NULL, CLOSE},
		{"busy", no_argument, NULL, BUSY},
		{NULL, 0, NULL, 0},
	};
	struct agent agent = {.manner = HONEST};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	uint64_t mib = 16;
	pthread_t thread;
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == '?')
			return 2;
		if (c == 'm')
			mib = target_number(optarg);
		else
			agent.manner = (enum manner)c;
	}
	fill(&agent, mib);
	block_ends();
	snprintf(address.sun_path, sizeof(address.sun_path), MP_RELIEF_PATH, (int)getpid());
	agent.listen_fd = listen_at(&address);
	if (agent.manner != DEAF && pthread_create(&thread, NULL, serve_all, &agent))
		target_die("thread");
	target_ready(false);
	wait_for_end();
	unlink(address.sun_path);
	return 0;
}
