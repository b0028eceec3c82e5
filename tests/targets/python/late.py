# SPDX-License-Identifier: GPL-2.0-only
"""Imported when app.py runs already."""


def arrive(number):
    return number
