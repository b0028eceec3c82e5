// SPDX-License-Identifier: GPL-2.0-only
#include "config/pattern.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/text.h"

const char *mp_name_problem(const char *text)
{
	char clean[2 * MP_MAX_NAME];
	size_t len = strlen(text);

	if (len == 0)
		return "a point's name is empty";
	if (len > MP_MAX_NAME)
		return "a point's name is longer than 64 bytes";
	mp_text_clean(text, clean, sizeof(clean));
	if (strcmp(clean, text) != 0)
		return "a point's name must be printable, without a backslash";
	return NULL;
}

/* The colon behind the binary: a single one, neither of C++'s :: nor of a glob's [:class:]. */
static const char *binary_end(const char *text)
{
	for (const char *p = strchr(text, ':'); p; p = strchr(p, ':')) {
		size_t run = strspn(p, ":");
		bool in_class = (p > text && p[-1] == '[') || p[run] == ']';

		if (run % 2 == 1 && !in_class)
			return p;
		p += run;
	}
	return NULL;
}

const char *mp_symbol_problem(const char *text)
{
	const char *colon = binary_end(text);

	if (!*text)
		return "a symbol is empty";
	if (colon == text)
		return "a symbol has no binary before its colon";
	if (colon && !colon[1])
		return "a symbol has nothing behind the colon of its binary";
	return NULL;
}

/* The last colon before `end`. */
static const char *last_colon(const char *text, const char *end)
{
	return memrchr(text, ':', (size_t)(end - text));
}

const char *mp_usdt_problem(const char *text)
{
	const char *end = text + strlen(text);
	const char *name = last_colon(text, end);
	const char *provider = name ? last_colon(text, name) : NULL;

	if (!name)
		return "a usdt probe is written [BINARY:]PROVIDER:NAME";
	if (name + 1 == end)
		return "a usdt probe has no name behind its last colon";
	if (name == (provider ? provider + 1 : text))
		return "a usdt probe has no provider before its name";
	if (provider == text)
		return "a usdt probe has no binary before its first colon";
	return NULL;
}

bool mp_is_identifier(const char *s, size_t len)
{
	if (len == 0 || isdigit((unsigned char)*s))
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		/* Python takes letters of every script. */
		if (!isalnum(c) && c != '_' && c < 0x80)
			return false;
	}
	return true;
}

const char *mp_python_problem(const char *text)
{
	size_t parts = 0;

	for (const char *part = text;;) {
		size_t len = strcspn(part, ".");

		if (!mp_is_identifier(part, len))
			return "a python path is written module[.Class].function";
		parts++;
		if (!part[len])
			break;
		part += len + 1;
	}
	return parts < 2 ? "a python path needs a module before its function" : NULL;
}

static int copy_range(const char *start, const char *end, char **ret)
{
	*ret = strndup(start, (size_t)(end - start));
	return *ret ? 0 : -ENOMEM;
}

int mp_symbol_split(const char *text, struct mp_symbol_pattern *ret)
{
	const char *colon = binary_end(text);
	const char *symbol = colon ? colon + 1 : text;

	if (colon && copy_range(text, colon, &ret->binary))
		return -ENOMEM;
	return copy_range(symbol, symbol + strlen(symbol), &ret->symbol);
}

int mp_usdt_split(const char *text, struct mp_usdt_pattern *ret)
{
	const char *end = text + strlen(text);
	const char *name = last_colon(text, end);
	const char *provider = last_colon(text, name);

	if (provider && copy_range(text, provider, &ret->binary))
		return -ENOMEM;
	if (copy_range(provider ? provider + 1 : text, name, &ret->provider))
		return -ENOMEM;
	return copy_range(name + 1, end, &ret->name);
}
