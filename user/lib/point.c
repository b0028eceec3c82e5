// SPDX-License-Identifier: GPL-2.0-only
/*
 * The points of this process: a fixed table without locks, so that a signal handler, or a
 * child forked in the middle of a call, finds it whole at any instant. Points are never
 * removed, so a slot that is taken stays so.
 */
#include "lib/private.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"

#define SLOTS (2ULL * MP_LIB_MAX_POINTS)
#define WORD_BITS 64

struct registry {
	uint64_t taken[MP_LIB_MAX_POINTS / WORD_BITS]; /* a bit each of `points` */
	uint64_t last_call;
	uint16_t slots[SLOTS]; /* index of a point plus 1, at its hash or behind; 0: free */
	struct memprobe_point points[MP_LIB_MAX_POINTS];
};

static struct registry *registry(void)
{
	static struct registry the_registry;

	return &the_registry;
}

/* Words, not bytes as for the id: the check of a name must cost nanoseconds. */
static uint64_t hash_name(const char *name, size_t len)
{
	uint64_t hash = len;
	uint64_t word;

	for (; len >= sizeof(word); len -= sizeof(word), name += sizeof(word)) {
		memcpy(&word, name, sizeof(word));
		hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
		hash ^= hash >> 32;
	}
	word = 0;
	for (size_t i = 0; i < len; i++)
		word = word << 8 | (unsigned char)name[i];
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
	return hash ^ hash >> 32;
}

struct key {
	const char *name;
	uint32_t len;
	uint64_t hash;
};

static int key_of(const char *name, struct key *ret)
{
	size_t len = name ? strnlen(name, MP_LIB_NAME_LEN) : 0;

	if (!len || len >= MP_LIB_NAME_LEN)
		return -EINVAL;
	*ret = (struct key){name, (uint32_t)len, hash_name(name, len)};
	return 0;
}

static bool is_named(const struct memprobe_point *point, const struct key *key)
{
	return point->hash == key->hash && point->len == key->len &&
	       memcmp(point->name, key->name, key->len) == 0;
}

/*
 * The point of that name, or NULL with the free slot in which the search ended. There
 * always is one: at most half of the slots are taken.
 */
static struct memprobe_point *find(struct registry *r, const struct key *key, uint16_t **ret_free)
{
	for (uint64_t i = key->hash;; i++) {
		uint16_t *slot = &r->slots[i % SLOTS];
		uint16_t index = __atomic_load_n(slot, __ATOMIC_ACQUIRE);

		if (!index) {
			*ret_free = slot;
			return NULL;
		}
		if (is_named(&r->points[index - 1], key))
			return &r->points[index - 1];
	}
}

/* A point that nobody else has, or -ENOSPC. */
static int take_index(struct registry *r)
{
	for (size_t w = 0; w < MP_ARRAY_SIZE(r->taken); w++) {
		uint64_t word = __atomic_load_n(&r->taken[w], __ATOMIC_RELAXED);

		while (~word) {
			int bit = __builtin_ctzll(~word);

			if (__atomic_compare_exchange_n(&r->taken[w], &word, word | 1ULL << bit,
							false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
				return (int)w * WORD_BITS + bit;
		}
	}
	return -ENOSPC;
}

static void give_back_index(struct registry *r, int index)
{
	__atomic_fetch_and(&r->taken[index / WORD_BITS], ~(1ULL << index % WORD_BITS),
			   __ATOMIC_RELEASE);
}

static void fill(struct memprobe_point *point, const struct key *key, enum memprobe_level level)
{
	memcpy(point->name, key->name, key->len);
	point->name[key->len] = '\0';
	point->id = memprobe_marker_id(point->name);
	point->hash = key->hash;
	point->len = key->len;
	point->level = level;
}

/*
 * Threads that add the same name end at the same free slot, of which one of them gets
 * hold; the others find it there.
 */
static int add(struct registry *r, const struct key *key, enum memprobe_level level,
	       struct memprobe_point **ret)
{
	int index = take_index(r);
	uint16_t *slot;

	if (index < 0)
		return index;
	fill(&r->points[index], key, level);
	for (;;) {
		struct memprobe_point *other = find(r, key, &slot);
		uint16_t expected = 0;

		if (other) {
			give_back_index(r, index);
			*ret = other;
			return 0;
		}
		if (__atomic_compare_exchange_n(slot, &expected, (uint16_t)(index + 1), false,
						__ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
			*ret = &r->points[index];
			return 0;
		}
	}
}

int mp_lib_point(const char *name, enum memprobe_level level, struct memprobe_point **ret)
{
	struct registry *r = registry();
	struct memprobe_point *point;
	struct key key;
	uint16_t *slot;
	int err = key_of(name, &key);

	if (err || (unsigned int)level > MEMPROBE_CRITICAL)
		return -EINVAL;
	point = find(r, &key, &slot);
	if (!point) {
		err = add(r, &key, level, &point);
		/* Another thread may have had the last place for this very name. */
		if (err)
			point = find(r, &key, &slot);
		if (!point)
			return err;
	}
	*ret = point;
	return 0;
}

struct memprobe_point *memprobe_point(const char *name, enum memprobe_level level)
{
	struct memprobe_point *point;
	int err = mp_lib_point(name, level, &point);

	if (err) {
		errno = -err;
		return NULL;
	}
	return point;
}

/* Apart, so that the way without a monitor needs no stack. */
static __attribute__((noinline)) uint64_t tell_enter(const struct memprobe_point *point,
						     uint64_t size)
{
	uint64_t call = __atomic_add_fetch(&registry()->last_call, 1, __ATOMIC_RELAXED);

	if (mp_lib_enter_semaphore)
		mp_lib_marker_enter(point->id, point->name, point->level, call, size);
	return call;
}

uint64_t memprobe_enter(struct memprobe_point *point, uint64_t size)
{
	if (mp_lib_likely(!(mp_lib_enter_semaphore | mp_lib_exit_semaphore)) || !point)
		return 0;
	return tell_enter(point, size);
}

void memprobe_exit(struct memprobe_point *point, uint64_t call)
{
	if (mp_lib_likely(!call) || !point || !mp_lib_exit_semaphore)
		return;
	mp_lib_marker_exit(point->id, point->name, point->level, call);
}
