// SPDX-License-Identifier: GPL-2.0-only
/* Each file that must be refused, by the whole sentence. */
#include "gguf_bytes.h"

#include <errno.h>
#include <stdio.h>

#define F32 MP_GGML_F32
#define NE(...) ((const uint64_t[]){__VA_ARGS__})

/* On the heap at its exact length, so that the sanitizer sees a byte too far. */
static void refused(const char *name, const struct gguf_bytes *f, const char *sentence)
{
	MP_FREE uint8_t *data = malloc(f->len ?: 1);
	struct mp_gguf gguf = {.version = 77};
	struct mp_error err = {.text = ""};

	keep_in_corpus(name, f->data, f->len);
	memcpy(data, f->data, f->len);
	assert_int_equal(mp_gguf_parse(data, f->len, f->len, "F", &gguf, &err), -EBADMSG);
	assert_string_equal(err.text, sentence);
	assert_int_equal(err.exit_code, MP_EXIT_CONFIG);
	assert_int_equal(gguf.version, 77);
}

static void begins(void **state)
{
	struct gguf_bytes f = {.len = 0};

	(void)state;
	refused("empty", &f, "F: not a GGUF file: it has 0 bytes");
	put(&f, "GGU", 3);
	refused("three_bytes", &f, "F: not a GGUF file: it has 3 bytes");
	f.len = 0;
	put(&f, "\177ELF\2\1\1", 7);
	refused("magic", &f, "F: not a GGUF file: it begins with 7f 45 4c 46");
	f.len = 0;
	put(&f, "GGUF\3\0", 6);
	refused("cut_version", &f, "F: the file ends in its version");
	put_header(&f, 1, 0, 0);
	refused("version_1", &f, "F: version 1 is not known: 2 and 3 are read");
	put_header(&f, UINT32_MAX, 0, 0);
	refused("version_max", &f, "F: version 4294967295 is not known: 2 and 3 are read");
	put_header(&f, 0x03000000, 0, 0);
	refused("big_endian", &f, "F: a big-endian file: only little-endian ones are read");
}

static void counts(void **state)
{
	struct gguf_bytes f;

	(void)state;
	put_header(&f, 3, 0, 0);
	f.len = 12;
	refused("cut_n_tensors", &f, "F: the file ends in its number of tensors");
	f.len = 20;
	refused("cut_n_kv", &f, "F: the file ends in its number of keys");
	put_header(&f, 3, 1ULL << 40, 0);
	refused("n_tensors_2_40", &f,
		"F: its number of tensors, 1099511627776, is more than the file can hold");
	put_header(&f, 3, INT64_MAX, 0);
	refused("n_tensors_2_63", &f,
		"F: its number of tensors, 9223372036854775807, is more than the file can hold");
	put_header(&f, 3, UINT64_MAX, 0);
	refused("n_tensors_2_64", &f,
		"F: its number of tensors, 18446744073709551615, is more than the file can hold");
	put_header(&f, 2, 0, 1ULL << 40);
	refused("n_kv_2_40", &f,
		"F: its number of keys, 1099511627776, is more than the file can hold");
	put_header(&f, 2, 0, INT64_MAX);
	refused("n_kv_2_63", &f,
		"F: its number of keys, 9223372036854775807, is more than the file can hold");
	put_header(&f, 2, 0, UINT64_MAX);
	refused("n_kv_2_64", &f,
		"F: its number of keys, 18446744073709551615, is more than the file can hold");
}

/* Room enough for what the count promises: it is the key that is wrong. */
static void put_room(struct gguf_bytes *f)
{
	put_data(f, 64);
}

static void keys(void **state)
{
	struct gguf_bytes f;

	(void)state;
	put_header(&f, 3, 0, 1);
	put_key(&f, "", MP_GGUF_U32);
	put_room(&f);
	refused("key_empty", &f, "F: key 1: its name is empty");
	for (int i = 0; i < 3; i++) {
		static const struct {
			const char *name;
			uint64_t len;
			const char *sentence;
		} rows[] = {
			{"key_2_40", 1ULL << 40,
			 "F: key 1: its name of 1099511627776 bytes is more than the file can "
			 "hold"},
			{"key_2_63", INT64_MAX,
			 "F: key 1: its name of 9223372036854775807 bytes is more than the file "
			 "can hold"},
			{"key_2_64", UINT64_MAX,
			 "F: key 1: its name of 18446744073709551615 bytes is more than the file "
			 "can hold"},
		};

		put_header(&f, 3, 0, 1);
		put_u64(&f, rows[i].len);
		put_room(&f);
		refused(rows[i].name, &f, rows[i].sentence);
	}
	put_header(&f, 3, 0, 3);
	put_kv_u32(&f, "a.b", 1);
	put_kv_u32(&f, "c", 1);
	put_kv_u32(&f, "a.b", 2);
	refused("key_twice", &f, "F: key 3 \"a.b\": key 1 has the same name");
	put_header(&f, 3, 0, 1);
	put_key(&f, "\x1b[2J\xff", MP_GGUF_TYPE_COUNT);
	put_room(&f);
	refused("key_hostile", &f, "F: key 1 \"\\e[2J\\xff\": its type, 13, is unknown");
}

static void long_key(void **state)
{
	MP_FREE char *file = calloc(1, 70000);
	struct mp_error err = {.text = ""};
	struct gguf_bytes f;
	struct mp_gguf gguf;

	(void)state;
	put_header(&f, 3, 0, 1);
	put_u64(&f, 65536);
	memcpy(file, f.data, f.len);
	assert_int_equal(mp_gguf_parse(file, 70000, 70000, "F", &gguf, &err), -EBADMSG);
	assert_string_equal(err.text, "F: key 1: its name has 65536 bytes: 65535 are possible");
}

static void values(void **state)
{
	struct gguf_bytes f;

	(void)state;
	put_header(&f, 3, 0, 1);
	put_key(&f, "a.long.key", MP_GGUF_U32);
	f.len -= 1;
	refused("cut_type", &f, "F: key 1 \"a.long.key\": the file ends in its type");
	f.len += 1;
	refused("cut_value", &f, "F: key 1 \"a.long.key\": the file ends in its value");
	put_header(&f, 3, 0, 1);
	put_key(&f, "a", UINT32_MAX);
	put_room(&f);
	refused("type_max", &f, "F: key 1 \"a\": its type, 4294967295, is unknown");
	put_header(&f, 3, 0, 2);
	put_kv_u32(&f, "a", 1);
	put_key(&f, "flag", MP_GGUF_BOOL);
	put_u8(&f, 2);
	refused("bool_2", &f, "F: key 2 \"flag\": its value: a bool of 2: 0 and 1 are possible");
	put_header(&f, 3, 0, 1);
	put_key(&f, "text", MP_GGUF_STRING);
	put_u32(&f, 1);
	refused("cut_text", &f, "F: key 1 \"text\": the file ends in its value");
	put_header(&f, 3, 0, 1);
	put_key(&f, "text", MP_GGUF_STRING);
	put_u64(&f, UINT64_MAX - 7);
	refused("text_2_64", &f,
		"F: key 1 \"text\": its value: a string of 18446744073709551608 bytes is more than "
		"the file can hold");
}

static void arrays(void **state)
{
	struct gguf_bytes f;

	(void)state;
	put_header(&f, 3, 0, 1);
	put_array(&f, "a", MP_GGUF_ARRAY, 1);
	put_room(&f);
	refused("array_of_arrays", &f, "F: key 1 \"a\": an array of arrays");
	put_header(&f, 3, 0, 1);
	put_array(&f, "a", MP_GGUF_TYPE_COUNT, 1);
	put_room(&f);
	refused("array_type", &f, "F: key 1 \"a\": its type of elements, 13, is unknown");
	put_header(&f, 3, 0, 1);
	put_array(&f, "a", MP_GGUF_U64, (1ULL << 61) + 1);
	put_room(&f);
	refused("array_wraps", &f,
		"F: key 1 \"a\": an array of 2305843009213693953 u64 is more than the file can "
		"hold");
	put_header(&f, 3, 0, 1);
	put_array(&f, "a", MP_GGUF_U8, 65);
	put(&f, (uint8_t[64]){0}, 64);
	refused("array_cut", &f,
		"F: key 1 \"a\": an array of 65 u8 is more than the file can hold");
	put_header(&f, 3, 0, 1);
	put_array(&f, "a", MP_GGUF_STRING, UINT64_MAX);
	put_room(&f);
	refused("array_2_64", &f,
		"F: key 1 \"a\": an array of 18446744073709551615 string is more than the file can "
		"hold");
	put_header(&f, 3, 0, 1);
	put_array(&f, "a", MP_GGUF_BOOL, 3);
	put(&f, "\1\0\xff", 3);
	refused("array_bool", &f,
		"F: key 1 \"a\": element 3 of 3: a bool of 255: 0 and 1 are possible");
	put_header(&f, 3, 0, 1);
	put_key(&f, "a.b.c.d", MP_GGUF_ARRAY);
	put_u32(&f, MP_GGUF_U8);
	put_u32(&f, 1);
	refused("cut_count", &f, "F: key 1 \"a.b.c.d\": the file ends in its number of elements");
	f.len -= 5;
	refused("cut_element_type", &f,
		"F: key 1 \"a.b.c.d\": the file ends in its type of elements");
}

static void arrays_of_text(void **state)
{
	struct gguf_bytes f;

	(void)state;
	put_header(&f, 3, 0, 1);
	put_array(&f, "t", MP_GGUF_STRING, 3);
	put_string(&f, "ab");
	put_string(&f, "");
	put_u64(&f, 1);
	refused("array_text_long", &f,
		"F: key 1 \"t\": element 3 of 3: a string of 1 bytes is more than the file can "
		"hold");
	put_header(&f, 3, 0, 1);
	put_array(&f, "t", MP_GGUF_STRING, 3);
	put_string(&f, "abcdefgh");
	put_string(&f, "ab");
	refused("array_text_cut", &f, "F: key 1 \"t\": the file ends in element 3 of 3");
	put_header(&f, 3, 0, 1);
	put_array(&f, "t", MP_GGUF_STRING, 2);
	put_string(&f, "ab");
	put_u64(&f, UINT64_MAX);
	refused("array_text_2_64", &f,
		"F: key 1 \"t\": element 2 of 2: a string of 18446744073709551615 bytes is more "
		"than "
		"the file can hold");
}

static void alignments(void **state)
{
	static const struct {
		const char *name;
		uint32_t value;
		const char *sentence;
	} rows[] = {
		{"alignment_0", 0, "F: key 2 \"general.alignment\": 0 is not a power of two"},
		{"alignment_48", 48, "F: key 2 \"general.alignment\": 48 is not a power of two"},
		{"alignment_max", UINT32_MAX,
		 "F: key 2 \"general.alignment\": 4294967295 is not a power of two"},
		{"alignment_2_31", 1U << 31,
		 "F: key 2 \"general.alignment\": 2147483648 is more than 2097152, which no file "
		 "needs"},
	};
	struct gguf_bytes f;

	(void)state;
	for (size_t i = 0; i < MP_ARRAY_SIZE(rows); i++) {
		put_header(&f, 3, 0, 2);
		put_kv_u32(&f, "a", 1);
		put_kv_u32(&f, "general.alignment", rows[i].value);
		refused(rows[i].name, &f, rows[i].sentence);
	}
	put_header(&f, 3, 0, 1);
	put_key(&f, "general.alignment", MP_GGUF_U64);
	put_u64(&f, 32);
	refused("alignment_u64", &f,
		"F: key 1 \"general.alignment\": its type is u64: an alignment is u32");
	put_header(&f, 3, 0, 1);
	put_array(&f, "general.alignment", MP_GGUF_U32, 0);
	refused("alignment_array", &f,
		"F: key 1 \"general.alignment\": its type is array: an alignment is u32");
}

static void tensor_names(void **state)
{
	char name[65];
	struct gguf_bytes f;

	(void)state;
	memset(name, 'n', 64);
	name[64] = '\0';
	put_header(&f, 3, 1, 0);
	put_tensor(&f, name, 1, NE(8), F32, 0);
	put_data(&f, 32);
	refused("name_64", &f, "F: tensor 1: its name has 64 bytes: 63 are possible");
	put_header(&f, 3, 1, 0);
	put_tensor(&f, "", 1, NE(8), F32, 0);
	put_data(&f, 32);
	refused("name_empty", &f, "F: tensor 1: its name is empty");
	put_header(&f, 3, 1, 0);
	put_tensor(&f, "ab?c", 1, NE(8), F32, 0);
	put_data(&f, 32);
	*(uint8_t *)memchr(f.data, '?', f.len) = '\0';
	refused("name_nul", &f, "F: tensor 1 \"ab\": its name holds a NUL");
	put_header(&f, 3, 3, 0);
	put_tensor(&f, "b", 1, NE(8), F32, 0);
	put_tensor(&f, "aa", 1, NE(8), F32, 32);
	put_tensor(&f, "b", 1, NE(8), F32, 64);
	put_data(&f, 96);
	refused("name_twice", &f, "F: tensor 3 \"b\": tensor 1 has the same name");
	put_header(&f, 3, 1, 0);
	put_u64(&f, 1ULL << 63);
	put_room(&f);
	refused("name_2_63", &f,
		"F: tensor 1: its name of 9223372036854775808 bytes is more than the file can "
		"hold");
}

static void tensor_dims(void **state)
{
	static const struct {
		const char *name;
		uint32_t n_dims;
		uint64_t ne[5];
		const char *sentence;
	} rows[] = {
		{"n_dims_0", 0, {0}, "it has 0 dimensions: 1 to 4 are possible"},
		{"n_dims_5", 5, {1, 1, 1, 1, 1}, "it has 5 dimensions: 1 to 4 are possible"},
		{"ne_0", 2, {8, 0}, "its dimension 2 is 0"},
		{"ne_row_0", 1, {0}, "its dimension 1 is 0"},
		{"ne_negative", 3, {8, 1, (uint64_t)-5}, "its dimension 3 is -5"},
		{"ne_wraps_to_0",
		 2,
		 {1ULL << 32, 1ULL << 32},
		 "its 4294967296 x 4294967296 elements are too many"},
		{"ne_wraps",
		 4,
		 {1ULL << 40, 2, 1ULL << 20, 4},
		 "its 1099511627776 x 2 x 1048576 x 4 elements are too many"},
		{"ne_negative_product",
		 2,
		 {1ULL << 32, 1ULL << 31},
		 "its 4294967296 x 2147483648 elements are too many"},
	};

	(void)state;
	for (size_t i = 0; i < MP_ARRAY_SIZE(rows); i++) {
		char sentence[256];
		struct gguf_bytes f;

		put_header(&f, 3, 1, 0);
		put_tensor(&f, "t", rows[i].n_dims, rows[i].ne, F32, 0);
		put_data(&f, 32);
		snprintf(sentence, sizeof(sentence), "F: tensor 1 \"t\": %s", rows[i].sentence);
		refused(rows[i].name, &f, sentence);
	}
}

static void tensor_types(void **state)
{
	static const uint32_t removed[] = {4, 5, 31, 32, 33, 36, 37, 38};
	struct gguf_bytes f;

	(void)state;
	for (size_t i = 0; i < MP_ARRAY_SIZE(removed); i++) {
		char name[32];
		char sentence[128];

		put_header(&f, 3, 1, 0);
		put_tensor(&f, "t", 1, NE(8), removed[i], 0);
		put_data(&f, 32);
		snprintf(name, sizeof(name), "type_removed_%u", removed[i]);
		snprintf(sentence, sizeof(sentence),
			 "F: tensor 1 \"t\": its type, %u, was removed from ggml", removed[i]);
		refused(name, &f, sentence);
	}
	put_header(&f, 3, 1, 0);
	put_tensor(&f, "t", 1, NE(8), 4242, 0);
	put_data(&f, 32);
	refused("type_unknown", &f, "F: tensor 1 \"t\": its type, 4242, is unknown");
	put_header(&f, 3, 1, 0);
	put_tensor(&f, "t", 1, NE(8), (uint32_t)-1, 0);
	put_data(&f, 32);
	refused("type_negative", &f, "F: tensor 1 \"t\": its type, -1, is unknown");
	put_header(&f, 3, 1, 0);
	put_tensor(&f, "t", 2, NE(128, 2), MP_GGML_Q4_K, 0);
	put_data(&f, 144);
	refused("row_of_blocks", &f,
		"F: tensor 1 \"t\": a row of 128 elements is no whole number of blocks of Q4_K, "
		"which have 256");
}

static void tensor_offsets(void **state)
{
	static const struct {
		const char *name;
		uint64_t offset;
		const char *sentence;
	} rows[] = {
		{"offset_unaligned", 33, "F: tensor 2 \"u\": its offset, 33, is no multiple of 32"},
		{"offset_overlaps", 0,
		 "F: tensor 2 \"u\": its offset, 0, is inside of what is before it: it should be "
		 "64"},
		{"offset_gap", 96,
		 "F: tensor 2 \"u\": its offset, 96, leaves a gap: it should be 64"},
		{"offset_2_64", UINT64_MAX - 31,
		 "F: tensor 2 \"u\": its 32 bytes at offset 18446744073709551584 go beyond the "
		 "file's end"},
	};
	struct gguf_bytes f;

	(void)state;
	for (size_t i = 0; i < MP_ARRAY_SIZE(rows); i++) {
		put_header(&f, 3, 2, 0);
		put_tensor(&f, "t", 1, NE(9), F32, 0);
		put_tensor(&f, "u", 1, NE(8), F32, rows[i].offset);
		put_data(&f, 128);
		refused(rows[i].name, &f, rows[i].sentence);
	}
	put_header(&f, 3, 1, 0);
	put_tensor(&f, "t", 1, NE(8), F32, 32);
	put_data(&f, 64);
	refused("offset_first", &f,
		"F: tensor 1 \"t\": its offset, 32, leaves a gap: it should be 0");
}

static void tensor_data(void **state)
{
	struct gguf_bytes f;

	(void)state;
	put_header(&f, 3, 2, 0);
	put_tensor(&f, "t", 1, NE(8), F32, 0);
	put_tensor(&f, "u", 1, NE(8), F32, 32);
	put_data(&f, 63);
	refused("data_cut", &f,
		"F: tensor 2 \"u\": the file ends in its data: it has 159 bytes, and 160 are "
		"needed");
	put_header(&f, 3, 1, 0);
	put_tensor(&f, "t", 2, NE(1ULL << 30, 1ULL << 30), MP_GGML_F64, 0);
	put_data(&f, 32);
	refused("data_2_63", &f,
		"F: tensor 1 \"t\": its 1073741824 x 1073741824 F64 are more than the file's 128 "
		"bytes");
	put_header(&f, 3, 1, 0);
	put_tensor(&f, "t", 1, NE(1ULL << 62), F32, 0);
	put_data(&f, 32);
	refused("data_wraps", &f,
		"F: tensor 1 \"t\": its 4611686018427387904 F32 are more than the file's 96 bytes");
}

static void cut_tensors(void **state)
{
	static const char *const fields[] = {"name", "number of dimensions", "dimensions", "type",
					     "offset"};
	static const size_t lens[] = {7, 20, 28, 32, 40};

	(void)state;
	for (size_t i = 0; i < MP_ARRAY_SIZE(lens); i++) {
		struct gguf_bytes f;
		char name[32];
		char sentence[128];

		/* A first one of many dimensions, so that the file could hold two by its length. */
		put_header(&f, 3, 2, 0);
		put_tensor(&f, "first.of.a.longer.name.than.usual", 4, NE(1, 1, 1, 1), F32, 0);
		put_tensor(&f, "abcdefghi", 1, NE(1), F32, 32);
		f.len -= 8 + 4 + 8 + 4 + 9 + 8 - lens[i];
		snprintf(name, sizeof(name), "cut_tensor_%zu", i);
		snprintf(sentence, sizeof(sentence), "F: tensor 2%s: the file ends in its %s",
			 i ? " \"abcdefghi\"" : "", fields[i]);
		refused(name, &f, sentence);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(begins),	  cmocka_unit_test(counts),
		cmocka_unit_test(keys),		  cmocka_unit_test(long_key),
		cmocka_unit_test(values),	  cmocka_unit_test(arrays),
		cmocka_unit_test(arrays_of_text), cmocka_unit_test(alignments),
		cmocka_unit_test(tensor_names),	  cmocka_unit_test(tensor_dims),
		cmocka_unit_test(tensor_types),	  cmocka_unit_test(tensor_offsets),
		cmocka_unit_test(tensor_data),	  cmocka_unit_test(cut_tensors),
	};

	return cmocka_run_group_tests_name("gguf_refuse", tests, NULL, NULL);
}
