# SPDX-License-Identifier: GPL-2.0-only
"""A function that another one decorates."""

import functools


def logged(function):
    @functools.wraps(function)
    def logging(*args, **kwargs):
        return function(*args, **kwargs)
    return logging


@logged
def allocate_cache(size):
    return ("cache", size)
