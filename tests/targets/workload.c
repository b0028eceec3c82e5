// SPDX-License-Identifier: GPL-2.0-only
/*
 * A small media application with the eight documented injection points, doing
 * real work: it writes a model, a shard file, a text and a subtitle file into a
 * folder of its own, then loads, parses, compresses and caches them in rounds.
 * Every result is checked, nothing is leaked, and at the end it prints how
 * often each function was called, so that a monitor's counts can be compared.
 *
 *   workload --rounds 5 --threads 2 --size 16 --delay 20 [--wait]
 */
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "target.h"

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)
#define SHARDS 4
#define CACHE_BUCKETS 16
#define POOL_SLOTS 8
#define PATH_SIZE 512

enum function {
	LOAD_MODEL,
	ALLOCATE,
	LOAD_SHARD,
	READ_LARGE_FILE,
	PARSE_FILE,
	ALLOCATE_RESOURCE,
	LOAD_MODEL_WITH_CONFIG,
	ALLOCATE_CACHE,
	FUNCTIONS
};

static const char *const function_names[FUNCTIONS] = {
	"load_model",
	"allocate",
	"load_shard",
	"read_large_file",
	"parse_file",
	"allocate_resource",
	"load_model_with_config",
	"allocate_cache",
};

struct files {
	char dir[PATH_SIZE / 2];
	char model[PATH_SIZE];
	char shards[PATH_SIZE];
	char text[PATH_SIZE];
	char subtitles[PATH_SIZE];
	char config[PATH_SIZE];
	uint64_t model_sum;
	uint64_t shard_sum[SHARDS];
	size_t model_bytes;
	size_t shard_bytes;
	size_t text_bytes;
	size_t entries;
};

struct cache_entry {
	struct cache_entry *next;
	uint64_t key;
	uint64_t used; /* tick of the last use */
	size_t bytes;
	unsigned char data[];
};

struct cache {
	struct cache_entry *buckets[CACHE_BUCKETS];
	size_t bytes;
	size_t max_bytes;
	uint64_t tick;
};

struct pool_slot {
	void *memory;
	size_t bytes;
	bool busy;
};

struct pool {
	struct pool_slot slots[POOL_SLOTS];
	size_t bytes;
};

struct worker {
	pthread_t thread;
	const struct files *files;
	struct cache cache;
	struct pool pool;
	uint64_t rounds;
	uint64_t delay_ms;
	uint64_t calls[FUNCTIONS];
	const char *failed; /* the function whose result was wrong */
};

/* FNV-1a over 64-bit words; sizes here are multiples of eight. */
static uint64_t checksum(const void *data, size_t bytes)
{
	const unsigned char *p = data;
	uint64_t sum = 0xcbf29ce484222325u;
	uint64_t word;

	for (size_t i = 0; i + sizeof(word) <= bytes; i += sizeof(word)) {
		memcpy(&word, p + i, sizeof(word));
		sum = (sum ^ word) * 0x100000001b3u;
	}
	return sum;
}

static bool read_full(int fd, void *buf, size_t bytes)
{
	char *p = buf;

	while (bytes) {
		ssize_t n = read(fd, p, bytes);

		if (n <= 0)
			return false;
		p += n;
		bytes -= (size_t)n;
	}
	return true;
}

static void *allocate_pages(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Reads a whole model file into anonymous memory and returns its checksum, 0 when that failed. */
PROBED uint64_t load_model(const char *path, size_t bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *weights = allocate_pages(bytes);
	uint64_t sum = 0;

	if (fd >= 0 && weights && read_full(fd, weights, bytes))
		sum = checksum(weights, bytes);
	if (weights)
		munmap(weights, bytes);
	if (fd >= 0)
		close(fd);
	return sum;
}

/* Run-length encodes: pairs of a count and a byte. */
static size_t compress_runs(const unsigned char *in, size_t bytes, unsigned char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < bytes;) {
		size_t same = 1;

		while (same < 255 && i + same < bytes && in[i + same] == in[i])
			same++;
		out[n++] = (unsigned char)same;
		out[n++] = in[i];
		i += same;
	}
	return n;
}

/* Fills a block with runs, compresses it and returns the compressed size, 0 when that failed. */
PROBED size_t allocate(size_t bytes)
{
	unsigned char *block = malloc(bytes);
	unsigned char *packed = malloc(2 * bytes);
	size_t size = 0;
	size_t unpacked = 0;

	if (block && packed) {
		for (size_t i = 0; i < bytes; i++)
			block[i] = (unsigned char)(i / 100);
		size = compress_runs(block, bytes, packed);
		for (size_t i = 0; i < size; i += 2)
			unpacked += packed[i];
	}
	free(packed);
	free(block);
	return unpacked == bytes ? size : 0;
}

/* Maps one shard of a file, reads all of it and returns its checksum. */
PROBED uint64_t load_shard(const char *path, unsigned int shard, size_t bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t sum = 0;
	void *map;

	if (fd < 0)
		return 0;
	map = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, (off_t)(shard * bytes));
	close(fd);
	if (map == MAP_FAILED)
		return 0;
	sum = checksum(map, bytes);
	munmap(map, bytes);
	return sum;
}

/* Reads a file of unknown size in chunks into a buffer that grows; returns the bytes read. */
PROBED size_t read_large_file(const char *path, size_t chunk)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *data = NULL;
	size_t len = 0;
	ssize_t n = -1;

	while (fd >= 0) {
		char *grown = realloc(data, len + chunk);

		if (!grown)
			break;
		data = grown;
		n = read(fd, data + len, chunk);
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	free(data);
	if (fd >= 0)
		close(fd);
	return n == 0 ? len : 0;
}

static bool parse_time(const char *line)
{
	unsigned int h1, m1, s1, ms1, h2, m2, s2, ms2;

	return sscanf(line, "%u:%u:%u,%u --> %u:%u:%u,%u", &h1, &m1, &s1, &ms1, &h2, &m2, &s2,
		      &ms2) == 8 &&
	       ((h2 * 60 + m2) * 60 + s2) * 1000 + ms2 > ((h1 * 60 + m1) * 60 + s1) * 1000 + ms1;
}

/* Parses a SubRip file, keeping every entry's text; returns the number of entries up to `max`. */
PROBED size_t parse_file(const char *path, size_t max)
{
	FILE *f = fopen(path, "re");
	char **texts = calloc(max, sizeof(*texts));
	char line[256];
	size_t n = 0;

	while (f && texts && n < max && fgets(line, sizeof(line), f)) {
		if (!parse_time(line) || !fgets(line, sizeof(line), f))
			continue;
		texts[n] = strdup(line);
		if (texts[n])
			n++;
	}
	for (size_t i = 0; i < n; i++)
		free(texts[i]);
	free(texts);
	if (f)
		fclose(f);
	return n;
}

/* Takes the smallest free buffer that is large enough, or makes one; NULL when the pool is full. */
PROBED struct pool_slot *allocate_resource(struct pool *pool, size_t bytes)
{
	struct pool_slot *best = NULL;

	for (size_t i = 0; i < POOL_SLOTS; i++) {
		struct pool_slot *slot = &pool->slots[i];

		if (slot->busy || (slot->memory && slot->bytes < bytes))
			continue;
		if (!best || (slot->memory && (!best->memory || slot->bytes < best->bytes)))
			best = slot;
	}
	if (!best)
		return NULL;
	if (!best->memory) {
		best->memory = malloc(bytes);
		if (!best->memory)
			return NULL;
		best->bytes = bytes;
		pool->bytes += bytes;
	}
	memset(best->memory, 0x11, bytes);
	best->busy = true;
	return best;
}

/* Reads `key = value` lines, then loads the model that they name; returns its checksum. */
PROBED uint64_t load_model_with_config(const char *config, size_t bytes)
{
	FILE *f = fopen(config, "re");
	char line[PATH_SIZE];
	char key[32];
	char value[PATH_SIZE];
	char model[PATH_SIZE] = "";

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%31s = %511s", key, value) == 2 && !strcmp(key, "model"))
			memcpy(model, value, sizeof(model));
	fclose(f);
	return load_model(model, bytes);
}

static struct cache_entry **cache_oldest(struct cache *cache)
{
	struct cache_entry **oldest = NULL;

	for (size_t i = 0; i < CACHE_BUCKETS; i++)
		for (struct cache_entry **p = &cache->buckets[i]; *p; p = &(*p)->next)
			if (!oldest || (*p)->used < (*oldest)->used)
				oldest = p;
	return oldest;
}

static void cache_evict(struct cache *cache, size_t room)
{
	struct cache_entry **p;

	while (cache->bytes + room > cache->max_bytes && (p = cache_oldest(cache))) {
		struct cache_entry *entry = *p;

		*p = entry->next;
		cache->bytes -= entry->bytes;
		free(entry);
	}
}

/* Finds an entry or makes it, evicting those unused for longest; NULL without memory. */
PROBED struct cache_entry *allocate_cache(struct cache *cache, uint64_t key, size_t bytes)
{
	struct cache_entry **bucket = &cache->buckets[key % CACHE_BUCKETS];
	struct cache_entry *entry;

	for (entry = *bucket; entry; entry = entry->next)
		if (entry->key == key)
			break;
	if (!entry) {
		cache_evict(cache, bytes);
		entry = malloc(sizeof(*entry) + bytes);
		if (!entry)
			return NULL;
		memset(entry->data, (int)key, bytes);
		entry->key = key;
		entry->bytes = bytes;
		entry->next = *bucket;
		*bucket = entry;
		cache->bytes += bytes;
	}
	entry->used = ++cache->tick;
	return entry;
}

static void check(struct worker *w, enum function f, bool ok)
{
	w->calls[f]++;
	if (!ok && !w->failed)
		w->failed = function_names[f];
}

static void round_of_files(struct worker *w, uint64_t round)
{
	const struct files *f = w->files;
	unsigned int shard = (unsigned int)(round % SHARDS);

	check(w, LOAD_MODEL, load_model(f->model, f->model_bytes) == f->model_sum);
	check(w, LOAD_SHARD, load_shard(f->shards, shard, f->shard_bytes) == f->shard_sum[shard]);
	check(w, READ_LARGE_FILE, read_large_file(f->text, 64 * KIB) == f->text_bytes);
	check(w, PARSE_FILE, parse_file(f->subtitles, f->entries + 1) == f->entries);
	/* Calls load_model, which is one more call of that. */
	check(w, LOAD_MODEL_WITH_CONFIG,
	      load_model_with_config(f->config, f->model_bytes) == f->model_sum);
	w->calls[LOAD_MODEL]++;
}

static void round_of_memory(struct worker *w, uint64_t round)
{
	struct pool_slot *taken[3];
	struct cache_entry *entry;

	for (size_t i = 0; i < 3; i++) {
		taken[i] = allocate_resource(&w->pool, (i + 1) * 256 * KIB);
		check(w, ALLOCATE_RESOURCE, taken[i] != NULL);
	}
	for (size_t i = 0; i < 3; i++)
		if (taken[i])
			taken[i]->busy = false;
	check(w, ALLOCATE, allocate(1 * MIB) > 0);
	for (uint64_t key = round; key < round + 5; key++) {
		entry = allocate_cache(&w->cache, key, 128 * KIB);
		check(w, ALLOCATE_CACHE, entry && entry->data[0] == (unsigned char)key);
	}
}

static void *work(void *data)
{
	struct worker *w = data;
	struct timespec delay = {
		.tv_sec = (time_t)(w->delay_ms / 1000),
		.tv_nsec = (long)(w->delay_ms % 1000) * 1000000,
	};

	w->cache.max_bytes = 1 * MIB;
	for (uint64_t round = 0; round < w->rounds; round++) {
		round_of_files(w, round);
		round_of_memory(w, round);
		nanosleep(&delay, NULL);
	}
	w->cache.max_bytes = 0;
	cache_evict(&w->cache, 0);
	for (size_t i = 0; i < POOL_SLOTS; i++)
		free(w->pool.slots[i].memory);
	return NULL;
}

/* Pseudo-random content, the same for every run. */
static void write_content(const char *path, size_t bytes, size_t part, uint64_t *ret_sums)
{
	FILE *f = fopen(path, "we");
	uint64_t x = 88172645463325252u;
	uint64_t *data = malloc(part);

	if (!f || !data)
		target_die(path);
	for (size_t done = 0; done < bytes; done += part) {
		for (size_t i = 0; i < part / sizeof(*data); i++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			data[i] = x;
		}
		if (ret_sums)
			ret_sums[done / part] = checksum(data, part);
		if (fwrite(data, 1, part, f) != part)
			target_die(path);
	}
	free(data);
	if (fclose(f))
		target_die(path);
}

static void write_subtitles(const char *path, size_t entries)
{
	FILE *f = fopen(path, "we");

	if (!f)
		target_die(path);
	for (size_t i = 0; i < entries; i++) {
		size_t s = i * 3;

		fprintf(f,
			"%zu\n%02zu:%02zu:%02zu,000 --> %02zu:%02zu:%02zu,500\nLine %zu of it\n\n",
			i + 1, s / 3600, s / 60 % 60, s % 60, (s + 2) / 3600, (s + 2) / 60 % 60,
			(s + 2) % 60, i);
	}
	if (fclose(f))
		target_die(path);
}

static void write_config(const struct files *files)
{
	FILE *f = fopen(files->config, "we");

	if (!f)
		target_die(files->config);
	fprintf(f, "name = example\nmodel = %s\n", files->model);
	if (fclose(f))
		target_die(files->config);
}

static void name_files(struct files *f)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(f->dir, sizeof(f->dir), "%s/workload.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(f->dir))
		target_die(f->dir);
	snprintf(f->model, sizeof(f->model), "%s/model.bin", f->dir);
	snprintf(f->shards, sizeof(f->shards), "%s/shards.bin", f->dir);
	snprintf(f->text, sizeof(f->text), "%s/text.bin", f->dir);
	snprintf(f->subtitles, sizeof(f->subtitles), "%s/film.srt", f->dir);
	snprintf(f->config, sizeof(f->config), "%s/model.conf", f->dir);
}

static void make_files(struct files *f, size_t size)
{
	name_files(f);
	f->model_bytes = size;
	f->shard_bytes = size / SHARDS;
	f->text_bytes = size / 2;
	f->entries = 499;
	write_content(f->model, size, size, &f->model_sum);
	write_content(f->shards, size, f->shard_bytes, f->shard_sum);
	write_content(f->text, f->text_bytes, f->text_bytes, NULL);
	write_subtitles(f->subtitles, f->entries);
	write_config(f);
}

static void remove_files(const struct files *f)
{
	unlink(f->model);
	unlink(f->shards);
	unlink(f->text);
	unlink(f->subtitles);
	unlink(f->config);
	rmdir(f->dir);
}

static void run(struct worker *workers, uint64_t threads)
{
	for (uint64_t i = 1; i < threads; i++)
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			target_die("pthread_create");
	work(&workers[0]);
	for (uint64_t i = 1; i < threads; i++)
		pthread_join(workers[i].thread, NULL);
}

static int report(const struct worker *workers, uint64_t threads)
{
	const char *failed = NULL;

	printf("{");
	for (int f = 0; f < FUNCTIONS; f++) {
		uint64_t calls = 0;

		for (uint64_t i = 0; i < threads; i++)
			calls += workers[i].calls[f];
		printf("%s\"%s\": %llu", f ? ", " : "", function_names[f],
		       (unsigned long long)calls);
	}
	printf("}\n");
	for (uint64_t i = 0; i < threads; i++)
		if (workers[i].failed)
			failed = workers[i].failed;
	if (failed)
		fprintf(stderr, "wrong result of %s\n", failed);
	return failed ? 1 : 0;
}

struct options {
	uint64_t rounds;
	uint64_t threads;
	uint64_t delay_ms;
	uint64_t size_mb;
	bool wait;
};

static void parse(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{"rounds", required_argument, NULL, 'r'}, {"threads", required_argument, NULL, 't'},
		{"delay", required_argument, NULL, 'd'},  {"size", required_argument, NULL, 's'},
		{"wait", no_argument, NULL, 'w'},	  {NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'r')
			o->rounds = target_number(optarg);
		else if (c == 't')
			o->threads = target_number(optarg);
		else if (c == 'd')
			o->delay_ms = target_number(optarg);
		else if (c == 's')
			o->size_mb = target_number(optarg);
		else if (c == 'w')
			o->wait = true;
		else
			exit(2);
	}
	if (!o->threads || o->threads > 64 || !o->size_mb)
		exit(2);
}

int main(int argc, char **argv)
{
	struct options o = {.rounds = 5, .threads = 1, .size_mb = 8};
	struct files files = {0};
	struct worker *workers;
	int code;

	parse(&o, argc, argv);
	make_files(&files, o.size_mb * MIB);
	workers = calloc(o.threads, sizeof(*workers));
	if (!workers)
		target_die("calloc");
	for (uint64_t i = 0; i < o.threads; i++) {
		workers[i].files = &files;
		workers[i].rounds = o.rounds;
		workers[i].delay_ms = o.delay_ms;
	}
	target_ready(o.wait);
	run(workers, o.threads);
	code = report(workers, o.threads);
	free(workers);
	remove_files(&files);
	return code;
}
