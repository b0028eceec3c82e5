/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MP_CONFIG_SEARCH_H
#define MP_CONFIG_SEARCH_H

/*
 * Finds a config file by name: in `config_dir` (--config-dir) alone when that is
 * given, else in $MEMPROBE_CONFIG_DIR, /etc/memprobe, the installed share
 * folder, ./configs. A name with a slash is taken as it is. Returns 0 with a
 * new string, or -ENOENT.
 */
int mp_config_find(const char *config_dir, const char *name, char **ret_path);

#endif
