# SPDX-License-Identifier: GPL-2.0-only
"""Functions of every kind, for app.py."""


def held(number):
    return number


def grow(count):
    yield from range(count)


async def fetch(number):
    return number


def run(coroutine):
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value


class Box:
    def put(self, thing):
        return thing

    @staticmethod
    def size(number):
        return number

    @classmethod
    def make(cls, number):
        return number
