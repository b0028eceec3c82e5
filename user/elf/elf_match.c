// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which functions the patterns mean. Demangling costs a microsecond or more,
 * and there may be 100,000 mangled names: so a name is demangled only when a
 * word of some pattern is in it, since both manglings keep words as they are.
 */
#include "elf/elf_internal.h"

#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <string.h>

/* --- a sorted set of strings, with a filter that turns most others away ---- */

#define FILTER_BITS 16384
#define GLOB_CHARS "*?[\\"

struct entry {
	const char *text;
	size_t len;
	size_t pattern;
};

struct string_set {
	struct entry *entries;
	size_t n;
	uint8_t filter[FILTER_BITS / CHAR_BIT];
};

static int compare_text(const char *a, size_t len_a, const char *b, size_t len_b)
{
	if (len_a != len_b)
		return len_a < len_b ? -1 : 1;
	return memcmp(a, b, len_a);
}

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a;
	const struct entry *y = b;
	int order = compare_text(x->text, x->len, y->text, y->len);

	return order ? order : x->pattern < y->pattern ? -1 : x->pattern > y->pattern;
}

/* Cheaper than a hash of all of it: length and four of the bytes tell names well apart. */
static size_t fingerprint(const char *text, size_t len)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t mix = len;

	mix = mix * 31 + s[0];
	mix = mix * 31 + s[len / 2];
	mix = mix * 31 + s[len - len / 4 - 1];
	mix = mix * 31 + s[len - 1];
	return mix % FILTER_BITS;
}

static void set_add(struct string_set *set, const char *text, size_t len, size_t pattern)
{
	size_t bit = fingerprint(text, len);

	set->entries[set->n++] = (struct entry){text, len, pattern};
	set->filter[bit / CHAR_BIT] |= (uint8_t)(1U << bit % CHAR_BIT);
}

static void set_sort(struct string_set *set)
{
	qsort(set->entries, set->n, sizeof(*set->entries), compare_entries);
}

/* Index of the first entry that is `text`, or set->n. */
static size_t set_find(const struct string_set *set, const char *text, size_t len)
{
	size_t bit = len ? fingerprint(text, len) : 0;
	size_t low = 0;
	size_t high = set->n;

	if (!len || !(set->filter[bit / CHAR_BIT] & 1U << bit % CHAR_BIT))
		return set->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct entry *e = &set->entries[middle];

		if (compare_text(e->text, e->len, text, len) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < set->n &&
	    compare_text(set->entries[low].text, set->entries[low].len, text, len) == 0)
		return low;
	return set->n;
}

/* --- words ------------------------------------------------------------------ */

static bool is_word_char(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* The next run of word characters in [*at, end); *at is left behind it. Returns its length. */
static size_t next_word(const char **at, const char *end, const char **ret_word)
{
	while (*at < end && !is_word_char(**at))
		(*at)++;
	*ret_word = *at;
	while (*at < end && is_word_char(**at))
		(*at)++;
	return (size_t)(*at - *ret_word);
}

/*
 * Words of demangled names that the mangled ones need not hold: the names of
 * types and operators, what demanglers say about a symbol, the abbreviated
 * parts of the C++ library.
 */
static const char *const generated_words[] = {
	"abi",
	"allocator",
	"alignof",
	"anonymous",
	"as",
	"auto",
	"basic_iostream",
	"basic_istream",
	"basic_ostream",
	"basic_string",
	"bfloat16_t",
	"binding",
	"bool",
	"char",
	"char16_t",
	"char32_t",
	"char8_t",
	"char_traits",
	"clone",
	"closure",
	"cold",
	"const",
	"const_cast",
	"constprop",
	"construction",
	"covariant",
	"decimal128",
	"decimal32",
	"decimal64",
	"decltype",
	"default",
	"delete",
	"double",
	"dyn",
	"dynamic_cast",
	"extern",
	"f32",
	"f64",
	"false",
	"float",
	"__float128",
	"fn",
	"for",
	"function",
	"guard",
	"half",
	"i128",
	"i16",
	"i32",
	"i64",
	"i8",
	"impl",
	"init",
	"initializer",
	"instantiation",
	"int",
	"__int128",
	"iostream",
	"isize",
	"isra",
	"istream",
	"lambda",
	"long",
	"lto_priv",
	"mut",
	"namespace",
	"new",
	"noexcept",
	"non",
	"nullptr_t",
	"object",
	"operator",
	"ostream",
	"parameter",
	"part",
	"reference",
	"reinterpret_cast",
	"requires",
	"resource",
	"restrict",
	"shim",
	"short",
	"signed",
	"sizeof",
	"static_cast",
	"std",
	"str",
	"string",
	"structured",
	"temporary",
	"throw",
	"thunk",
	"TLS",
	"to",
	"transaction",
	"true",
	"type",
	"typeid",
	"typeinfo",
	"u128",
	"u16",
	"u32",
	"u64",
	"u8",
	"unnamed",
	"unsafe",
	"unsigned",
	"usize",
	"variable",
	"__vector",
	"virtual",
	"void",
	"volatile",
	"vtable",
	"VTT",
	"wchar_t",
	"wrapper",
};

/* Whether a demangler may have written `word` by itself: all of it, or as a part of a word. */
static bool is_generated(const char *word, size_t len, bool whole)
{
	for (size_t i = 0; i < MP_ARRAY_SIZE(generated_words); i++) {
		const char *generated = generated_words[i];
		size_t generated_len = strlen(generated);

		if (whole ? generated_len == len && memcmp(generated, word, len) == 0
			  : memmem(generated, generated_len, word, len) != NULL)
			return true;
	}
	return isdigit((unsigned char)word[0]);
}

/* End of the bracket expression at `at`, or NULL when the bracket is an ordinary character. */
static const char *bracket_end(const char *at)
{
	at++;
	at += *at == '!' || *at == '^';
	at += *at == ']';
	return strchr(at, ']');
}

/* What stands behind the special character at `at`. */
static const char *skip_special(const char *at)
{
	const char *end = *at == '[' ? bracket_end(at) : NULL;

	if (end)
		return end + 1;
	return at + (*at != '\0') + (*at == '\\' && at[1]);
}

/*
 * The longest word of a pattern that a mangled name must hold too when its
 * demangled form matches; whole, or as a part of a longer word in a glob.
 * Returns its length, 0 when there is none.
 */
static size_t key_word(const char *pattern, bool is_glob, const char **ret)
{
	size_t best = 0;

	for (const char *at = pattern; *at;) {
		const char *end = at + (is_glob ? strcspn(at, GLOB_CHARS) : strlen(at));
		const char *word;
		size_t len;

		while ((len = next_word(&at, end, &word))) {
			if (len <= best || is_generated(word, len, !is_glob))
				continue;
			best = len;
			*ret = word;
		}
		at = skip_special(end);
	}
	return best;
}

/* Whether one of the words in `text` is in the set. */
static bool has_word_of(const struct string_set *set, const char *text, size_t len)
{
	const char *end = text + len;
	const char *word;
	size_t word_len;

	while ((word_len = next_word(&text, end, &word))) {
		if (set_find(set, word, word_len) < set->n)
			return true;
	}
	return false;
}

/*
 * Mangled names hold words with their length before them: "4load". A length
 * may follow a word that ends in a digit, so every digit may start one. Rust
 * puts a "_" between them where it is needed to tell them apart, and old Rust
 * several words into one, with escapes between.
 */
static bool holds_word_of(const struct string_set *set, const char *mangled, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		size_t at = i;
		size_t n = 0;

		while (at < len && isdigit((unsigned char)mangled[at]) && n < len)
			n = n * 10 + (size_t)(mangled[at++] - '0');
		if (n == 0 || n > len - at)
			continue;
		if (has_word_of(set, mangled + at, n))
			return true;
		if (mangled[at] == '_' && n < len - at && has_word_of(set, mangled + at + 1, n))
			return true;
	}
	return false;
}

/* --- matching --------------------------------------------------------------- */

struct glob {
	const char *pattern;
	size_t index;
	const char *word; /* NULL: none, so every mangled name has to be demangled */
	size_t word_len;
};

struct matcher {
	struct string_set exact;
	struct string_set words; /* key words of the exact patterns */
	bool must_demangle;	 /* an exact pattern has no key word */
	struct glob *globs;
	size_t n_globs;
};

static void matcher_free(struct matcher *m)
{
	free(m->exact.entries);
	free(m->words.entries);
	free(m->globs);
}

static bool is_glob(const char *pattern)
{
	return strpbrk(pattern, GLOB_CHARS) != NULL;
}

/* A pattern of one word is some function's own name, even if it is "new" or "string". */
static size_t exact_key_word(const char *pattern, const char **ret)
{
	const char *at = pattern;
	size_t len = next_word(&at, pattern + strlen(pattern), ret);

	return pattern[len] ? key_word(pattern, false, ret) : len;
}

static void add_exact(struct matcher *m, const char *pattern, size_t index)
{
	const char *word;
	size_t len = exact_key_word(pattern, &word);

	set_add(&m->exact, pattern, strlen(pattern), index);
	if (len)
		set_add(&m->words, word, len, index);
	else
		m->must_demangle = true;
}

static void add_glob(struct matcher *m, const char *pattern, size_t index)
{
	struct glob *glob = &m->globs[m->n_globs++];

	*glob = (struct glob){.pattern = pattern, .index = index};
	glob->word_len = key_word(pattern, true, &glob->word);
}

static int matcher_init(struct matcher *m, const char *const *patterns, size_t n)
{
	m->exact.entries = calloc(n + 1, sizeof(*m->exact.entries));
	m->words.entries = calloc(n + 1, sizeof(*m->words.entries));
	m->globs = calloc(n + 1, sizeof(*m->globs));
	if (!m->exact.entries || !m->words.entries || !m->globs)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		if (is_glob(patterns[i]))
			add_glob(m, patterns[i], i);
		else if (patterns[i][0])
			add_exact(m, patterns[i], i);
	}
	set_sort(&m->exact);
	set_sort(&m->words);
	return 0;
}

/* The forms of one name: as in the file, without @VERSION, and demangled when asked for. */
struct spelling {
	const char *name;
	char *base; /* NULL: the same as the name */
	size_t base_len;
	bool is_mangled;
	bool is_demangled;
	char *demangled[MP_DEMANGLE_STYLE_COUNT];
};

static void spelling_free(struct spelling *s)
{
	free(s->base);
	for (size_t i = 0; i < MP_DEMANGLE_STYLE_COUNT; i++)
		free(s->demangled[i]);
}

static int spelling_init(struct spelling *s, const char *name)
{
	*s = (struct spelling){.name = name, .base_len = mp_elf_base_length(name)};
	s->is_mangled = mp_is_mangled(name);
	if (!name[s->base_len])
		return 0;
	s->base = strndup(name, s->base_len);
	return s->base ? 0 : -ENOMEM;
}

static void demangle(struct spelling *s)
{
	if (s->is_demangled)
		return;
	s->is_demangled = true;
	for (size_t i = 0; i < MP_DEMANGLE_STYLE_COUNT; i++) {
		s->demangled[i] = mp_demangle_as(s->name, (enum mp_demangle_style)i);
		if (!s->demangled[i])
			return;
	}
}

typedef int (*hit_fn)(void *data, size_t pattern, struct spelling *s);

static int hit_exact(const struct matcher *m, const char *text, size_t len, struct spelling *s,
		     hit_fn hit, void *data)
{
	int r = 0;

	for (size_t i = set_find(&m->exact, text, len); i < m->exact.n && !r; i++) {
		const struct entry *e = &m->exact.entries[i];

		if (compare_text(e->text, e->len, text, len) != 0)
			break;
		r = hit(data, e->pattern, s);
	}
	return r;
}

static int match_exact(const struct matcher *m, struct spelling *s, hit_fn hit, void *data)
{
	int r = hit_exact(m, s->name, s->base_len, s, hit, data);

	if (!r && s->base)
		r = hit_exact(m, s->name, strlen(s->name), s, hit, data);
	if (r || !s->is_mangled || !m->exact.n)
		return r;
	if (!m->must_demangle && !holds_word_of(&m->words, s->name, s->base_len))
		return 0;
	demangle(s);
	for (size_t i = 0; i < MP_DEMANGLE_STYLE_COUNT && !r; i++) {
		if (s->demangled[i])
			r = hit_exact(m, s->demangled[i], strlen(s->demangled[i]), s, hit, data);
	}
	return r;
}

/* Some of C++ looks like a glob: "operator[]", "f(char*)". So equal text matches, too. */
static bool is_match(const char *pattern, const char *text)
{
	return text && (strcmp(pattern, text) == 0 || fnmatch(pattern, text, 0) == 0);
}

static bool glob_matches(const struct glob *glob, struct spelling *s)
{
	if (glob->word && !memmem(s->name, s->base_len, glob->word, glob->word_len))
		return is_match(glob->pattern, s->base ? s->name : NULL);
	if (is_match(glob->pattern, s->name) || is_match(glob->pattern, s->base))
		return true;
	if (!s->is_mangled)
		return false;
	demangle(s);
	for (size_t i = 0; i < MP_DEMANGLE_STYLE_COUNT; i++) {
		if (is_match(glob->pattern, s->demangled[i]))
			return true;
	}
	return false;
}

static int match_name(const struct matcher *m, struct spelling *s, hit_fn hit, void *data)
{
	int r = match_exact(m, s, hit, data);

	for (size_t i = 0; i < m->n_globs && !r; i++) {
		if (glob_matches(&m->globs[i], s))
			r = hit(data, m->globs[i].index, s);
	}
	return r;
}

/*
 * "f.cold", "f.cold.1": what gcc has moved out of f as unlikely. f jumps there in mid-course, with
 * anything on top of the stack: a return probe would take that for the return address, overwrite
 * it, and so crash the program. And the call is counted at f.
 */
static bool is_cold_part(const char *name, size_t len)
{
	static const char mark[] = ".cold";
	const size_t mark_len = sizeof(mark) - 1;
	const char *end = name + len;

	for (const char *at = name; (at = memmem(at, (size_t)(end - at), mark, mark_len));) {
		at += mark_len;
		if (at == end || *at == '.')
			return true;
	}
	return false;
}

/* First pass: which functions match at all. */
struct search {
	const struct matcher *matcher;
	struct mp_elf_functions found;
};

static int stop_at_hit(void *data, size_t pattern, struct spelling *s)
{
	(void)data;
	(void)pattern;
	(void)s;
	return 1;
}

static int collect(void *data, const struct mp_elf_function *fn)
{
	struct search *search = data;
	MP_CLEANUP(spelling_free) struct spelling s;
	int r = spelling_init(&s, fn->name);

	if (!r && !is_cold_part(fn->name, s.base_len))
		r = match_name(search->matcher, &s, stop_at_hit, NULL);
	return r > 0 ? mp_elf_functions_add(&search->found, fn) : r;
}

/* Second pass, by offset: each pattern once at each. */
struct report {
	const struct mp_elf_function *function;
	uint64_t *last_offset; /* of each pattern */
	mp_elf_symbol_fn fn;
	void *data;
};

static int report_hit(void *data, size_t pattern, struct spelling *s)
{
	struct report *report = data;
	const struct mp_elf_function *function = report->function;
	struct mp_elf_symbol symbol = {
		.name = function->name,
		.addr = function->addr,
		.size = function->size,
		.offset = function->offset,
		.is_ifunc = function->is_ifunc,
	};

	if (report->last_offset[pattern] == function->offset)
		return 0;
	report->last_offset[pattern] = function->offset;
	if (s->is_mangled)
		demangle(s);
	symbol.demangled = s->demangled[MP_DEMANGLE_FULL];
	return report->fn(report->data, pattern, &symbol);
}

static int report_all(const struct matcher *m, const struct mp_elf_functions *found,
		      struct report *report)
{
	int r = 0;

	for (size_t i = 0; i < found->n && !r; i++) {
		MP_CLEANUP(spelling_free) struct spelling s;

		report->function = &found->items[i];
		r = spelling_init(&s, report->function->name);
		if (!r)
			r = match_name(m, &s, report_hit, report);
	}
	return r;
}

int mp_elf_match(struct mp_elf *elf, const char *const *patterns, size_t n_patterns,
		 mp_elf_symbol_fn fn, void *data)
{
	MP_CLEANUP(matcher_free) struct matcher matcher = {.n_globs = 0};
	MP_FREE uint64_t *last_offset = calloc(n_patterns + 1, sizeof(*last_offset));
	MP_ELF_FUNCTIONS struct mp_elf_functions found = {0};
	struct search search = {.matcher = &matcher};
	struct report report = {.last_offset = last_offset, .fn = fn, .data = data};
	int r = last_offset ? matcher_init(&matcher, patterns, n_patterns) : -ENOMEM;

	if (r)
		return r;
	r = mp_elf_for_each_function(elf, collect, &search);
	found = search.found;
	if (r)
		return r;
	mp_elf_functions_sort(&found);
	memset(last_offset, 0xff, n_patterns * sizeof(*last_offset)); /* no offset is that high */
	return report_all(&matcher, &found, &report);
}
