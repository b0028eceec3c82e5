# SPDX-License-Identifier: GPL-2.0-only
def arrive(n):
    return n
