# SPDX-License-Identifier: GPL-2.0-only
"""A generator."""


def read_large_file(path, chunk=4):
    with open(path, "rb") as file:
        while True:
            data = file.read(chunk)
            if not data:
                return
            yield data
