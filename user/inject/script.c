// SPDX-License-Identifier: GPL-2.0-only
#include "inject/script.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <sys/random.h>
#include <zlib.h>

#include "base/file.h"

#define CONFIG_VERSION 1
#define MB (1024ULL * 1024)

/* Paths are given by the Makefile. */
MP_INCLUDE_BYTES(source, MP_INJECT_SOURCE);
MP_INCLUDE_BYTES(sitecustomize, MP_INJECT_SITECUSTOMIZE);
MP_INCLUDE_BYTES(marker, MP_INJECT_MARKER);

#define BLOB_OF(name)                                                                              \
	((struct mp_blob){mp_##name##_begin,                                                       \
			  (uintptr_t)mp_##name##_end - (uintptr_t)mp_##name##_begin})

struct mp_blob mp_script_source(void)
{
	return BLOB_OF(source);
}

struct mp_blob mp_script_sitecustomize(void)
{
	return BLOB_OF(sitecustomize);
}

struct mp_blob mp_script_marker(void)
{
	return BLOB_OF(marker);
}

int mp_script_make_token(char out[MP_SCRIPT_TOKEN])
{
	uint64_t random[2];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	snprintf(out, MP_SCRIPT_TOKEN, "%016" PRIx64 "%016" PRIx64, random[0], random[1]);
	return 0;
}

/* --- its configuration --------------------------------------------------------------------- */

static void add_base64(struct mp_text *out, const uint8_t *data, size_t len)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
	enum {
		PADDING = 64
	};

	for (size_t i = 0; i < len; i += 3) {
		uint32_t bits = (uint32_t)data[i] << 16;

		bits |= i + 1 < len ? (uint32_t)data[i + 1] << 8 : 0;
		bits |= i + 2 < len ? data[i + 2] : 0;
		mp_text_putc(out, digits[bits >> 18]);
		mp_text_putc(out, digits[bits >> 12 & 63]);
		mp_text_putc(out, digits[i + 1 < len ? bits >> 6 & 63 : PADDING]);
		mp_text_putc(out, digits[i + 2 < len ? bits & 63 : PADDING]);
	}
}

static int add_marker(struct mp_text *out)
{
	struct mp_blob marker = mp_script_marker();
	uLongf len = compressBound(marker.len);
	MP_FREE uint8_t *packed = malloc(len);

	if (!packed || compress2(packed, &len, (const Bytef *)marker.data, marker.len,
				 Z_BEST_COMPRESSION) != Z_OK)
		return -ENOMEM;
	add_base64(out, packed, len);
	return out->failed ? -ENOMEM : 0;
}

static json_t *point_json(const struct mp_point *point)
{
	return json_pack("{s:s, s:i, s:s, s:I}", "name", point->name, "level", (int)point->level,
			 "python", point->python, "threshold_mb",
			 (json_int_t)(point->threshold_bytes / MB));
}

static json_t *points_json(const struct mp_points *points)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < points->n; i++) {
		if (points->items[i].python)
			json_array_append_new(list, point_json(&points->items[i]));
	}
	return list;
}

int mp_script_config_json(const struct mp_script_config *config, struct mp_text *out)
{
	MP_TEXT struct mp_text marker = {0};
	MP_FREE char *text = NULL;
	json_t *root;

	if (config->marker)
		mp_text_puts(&marker, config->marker);
	else if (add_marker(&marker))
		return -ENOMEM;
	root = json_pack("{s:i, s:s, s:s, s:s, s:o}", "version", CONFIG_VERSION, "token",
			 config->token, "result", config->result, "marker", marker.data, "points",
			 points_json(config->points));
	text = root ? json_dumps(root, JSON_ENSURE_ASCII | JSON_COMPACT) : NULL;
	json_decref(root);
	if (!text)
		return -ENOMEM;
	mp_text_puts(out, text);
	return out->failed ? -ENOMEM : 0;
}

/* --- scripts ---------------------------------------------------------------------------------- */

/*
 * Both begin so. A script runs at any point of the program, also in the middle of an import,
 * whose half a module it would get. Nothing is imported before that is known not to be.
 * _io is there from the start. Returns whether to go on: the monitor that asked is still there.
 * Pages are those that calls for a script were made with, up to Python 3.13.
 */
static const char common[] =
	"\n\n"
	"def _memprobe_is_importing():\n"
	"    import sys\n"
	"    needed = set('os site stat codecs encodings io abc types functools collections "
	"operator '\n"
	"                 'keyword reprlib enum re sre_compile sre_parse sre_constants copyreg "
	"struct '\n"
	"                 'ctypes json fcntl binascii zlib importlib tempfile shutil random '\n"
	"                 'sitecustomize usercustomize'.split())\n"
	"    for name, module in list(sys.modules.items()):\n"
	"        spec = getattr(module, '__spec__', None)\n"
	"        if name.partition('.')[0] in needed and getattr(spec, '_initializing', False):\n"
	"            return True\n"
	"    return False\n"
	"\n\n"
	"def _memprobe_begin(folder):\n"
	"    import sys\n"
	"    earlier = sys.__dict__.setdefault('__memprobe_pages__', [])\n"
	"    if 'memprobe_page' in globals():\n"
	"        earlier.append(memprobe_page)\n"
	"    if _memprobe_is_importing():\n"
	"        import _io\n"
	"        _io.FileIO(folder + '/" MP_SCRIPT_AGAIN "', 'w').close()\n"
	"        return False\n"
	"    import fcntl, os\n"
	"    while len(earlier) > 1:\n"
	"        import ctypes\n"
	"        unmap = ctypes.PyDLL(None).munmap\n"
	"        unmap.argtypes = ctypes.c_void_p, ctypes.c_size_t\n"
	"        unmap(*earlier.pop(0))\n"
	"    try:\n"
	"        with open(folder + '/" MP_SCRIPT_LOCK "') as file:\n"
	"            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)\n"
	"    except BlockingIOError:\n"
	"        return True\n"
	"    for name in os.listdir(folder):\n"
	"        os.unlink(folder + '/' + name)\n"
	"    os.rmdir(folder)\n"
	"    return False\n";

int mp_script_install(const struct mp_script_config *config, const char *folder,
		      struct mp_text *out)
{
	MP_TEXT struct mp_text json = {0};
	int err = mp_script_config_json(config, &json);

	if (err)
		return err;
	mp_text_puts(out, common);
	mp_text_printf(
		out,
		"\n\nif _memprobe_begin('%s'):\n"
		"    import binascii, json\n"
		"    namespace = {'__name__': '__memprobe_inject__'}\n"
		"    with open('%s/" MP_SCRIPT_SOURCE "', 'rb') as file:\n"
		"        exec(compile(file.read(), '<memprobe>', 'exec', 0, True), namespace)\n"
		"    namespace['install'](json.loads(binascii.a2b_base64('",
		folder, folder);
	add_base64(out, (const uint8_t *)json.data, json.len);
	mp_text_puts(out, "').decode()))\n");
	return out->failed ? -ENOMEM : 0;
}

/* The functions are those of the first script: to compile them all again would cost some ms. */
int mp_script_remove(const char *token, const char *folder, struct mp_text *out)
{
	mp_text_puts(out, common);
	mp_text_printf(out,
		       "\n\nif _memprobe_begin('%s'):\n"
		       "    import sys\n"
		       "    home = sys.__dict__.get('__memprobe_inject_1__')\n"
		       "    if home is not None:\n"
		       "        home = type(home).add.__globals__\n"
		       "        home['write_result']('%s/" MP_SCRIPT_REMOVED
		       "', home['remove']('%s'))\n",
		       folder, folder, token);
	return out->failed ? -ENOMEM : 0;
}

void mp_script_readme(pid_t pid, struct mp_text *out)
{
	mp_text_printf(
		out,
		"memprobe-bpf made this folder for as long as it watches Python functions of\n"
		"process %d. When no memprobe-bpf runs any more, it was killed before it could\n"
		"take the folder away: it can be deleted, and nothing else is left.\n",
		(int)pid);
}
