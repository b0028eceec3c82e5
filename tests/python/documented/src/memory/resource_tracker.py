# SPDX-License-Identifier: GPL-2.0-only
"""A coroutine."""


class ResourceTracker:
    async def allocate_resource(self, name):
        return ("resource", name)
