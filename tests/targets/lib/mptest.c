// SPDX-License-Identifier: GPL-2.0-only
/* libmptest.so: a library for programs that load it while they run. */
int mp_lib_work(int n);

int mp_lib_work(int n)
{
	return n + 1;
}
