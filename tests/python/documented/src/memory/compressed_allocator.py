# SPDX-License-Identifier: GPL-2.0-only
"""A method with keywords."""


class CompressedAllocator:
    def __init__(self):
        self.blocks = []

    def allocate(self, size, *, zero=True):
        self.blocks.append(bytearray(size) if zero else bytes(size))
        return len(self.blocks)
