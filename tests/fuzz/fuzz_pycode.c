// SPDX-License-Identifier: GPL-2.0-only
/* Any bytes as the memory of an interpreter, and as a command line. */
#include "inject/pycode.h"

#include <errno.h>
#include <string.h>

#define BASE 0x10000ULL

struct input {
	const uint8_t *data;
	size_t size;
};

static int read_input(void *data, uint64_t addr, void *out, size_t len)
{
	const struct input *in = data;

	if (addr < BASE || addr - BASE > in->size || len > in->size - (addr - BASE))
		return -EFAULT;
	memcpy(out, in->data + (addr - BASE), len);
	return 0;
}

static void use_string(const struct mp_pycode_target *target, uint64_t addr, char *out, size_t size)
{
	memset(out, 'x', size);
	if (mp_pycode_string(target, addr, out, size))
		out[0] = '\0';
	else if (strnlen(out, size) == size)
		abort();
}

static void use_function(const struct mp_pycode_target *target, uint64_t addr)
{
	char qualname[MP_PYCODE_NAME];
	char filename[MP_PYCODE_FILE];
	struct mp_pycode code;

	if (mp_pycode_read(target, addr, &code))
		return;
	if (mp_pycode_check(target, &code))
		abort(); /* nothing has changed since */
	use_string(target, code.qualname, qualname, sizeof(qualname));
	use_string(target, code.filename, filename, sizeof(filename));
	mp_pycode_matches("pkg.mod.A.f", qualname, filename, target->main_file);
	mp_pycode_matches("__main__.f", qualname, filename, target->main_file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte is the version, the next eight are the address of the type of code objects. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	struct mp_python python = {.major = 3, .runtime = BASE + 16};
	struct mp_pycode_target target = {.memory = {read_input, &in}};
	char name[64];

	if (size < 16)
		return 0;
	python.minor = data[0];
	memcpy(&target.code_type, data + 8, sizeof(target.code_type));
	mp_pycode_main_file((const char *)data + 16, size - 16, target.main_file,
			    sizeof(target.main_file));
	if (mp_pycode_layout(&python, &target.memory, &target.layout, NULL)) {
		/* Of a version that says nothing of itself. */
		python.minor = 11 + data[0] % 2;
		if (mp_pycode_layout(&python, &target.memory, &target.layout, NULL))
			abort();
	}
	for (uint64_t addr = BASE; addr < BASE + size; addr += 8) {
		use_function(&target, addr);
		use_string(&target, addr, name, sizeof(name));
	}
	return 0;
}
