# SPDX-License-Identifier: GPL-2.0-only
"""Functions to be watched, and some that are not."""


class Loader:
    def load(self, n):
        return n


class Cache:
    @staticmethod
    def load(n):
        return n

    @classmethod
    def drop(cls, n):
        return n


def count(n):
    return n


def other(n):
    return n


def made():
    def count(n):
        return n
    return count
