# SPDX-License-Identifier: GPL-2.0-only
"""Uses all eight, some of them imported by name, and tells what came of it."""

import asyncio
import sys

from src.core.model_loader import load_model
from src.core.model_loader_adapter import ModelLoaderAdapter
from src.core.shard_policy_manager import ShardPolicyManager
from src.core.srt_parser import SRTParser, StrictParser
from src.memory.cache_manager import allocate_cache
from src.memory.compressed_allocator import CompressedAllocator
from src.memory.resource_tracker import ResourceTracker
from src.utils.file_handler import read_large_file


def use():
    path = __file__
    with open(path, "rb") as file:
        whole = file.read()
    return [
        load_model("m", 3) == ("model", "m", bytearray(3)),
        ModelLoaderAdapter.load_model_with_config({"name": "n"}) ==
        ("adapter", ("model", "n", bytearray())),
        ShardPolicyManager().load_shard(2) == ("shard", 2),
        SRTParser.parse_file("p") == [("line", "p")],
        StrictParser().parse_file("q") == [("line", "q"), "strict"],
        allocate_cache(5) == ("cache", 5),
        CompressedAllocator().allocate(7, zero=False) == 1,
        asyncio.run(ResourceTracker().allocate_resource("r")) == ("resource", "r"),
        b"".join(read_large_file(path, chunk=64)) == whole,
    ]


if __name__ == "__main__":
    sys.exit(0 if all(use()) else 1)
