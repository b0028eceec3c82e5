# SPDX-License-Identifier: GPL-2.0-only
"""A static method, and a method that overrides it."""


class SRTParser:
    @staticmethod
    def parse_file(path):
        return [("line", path)]


class StrictParser(SRTParser):
    def parse_file(self, path):
        return super().parse_file(path) + ["strict"]
