# SPDX-License-Identifier: GPL-2.0-only
"""The documented injection points: name, level and path, as in configs/injection_points.yaml."""

from typing import Tuple

DOCUMENTED: Tuple[Tuple[str, str, str], ...] = (
    ("model_loader.load_model", "critical", "src.core.model_loader.load_model"),
    ("compressed_allocator.allocate", "high", "src.memory.compressed_allocator.allocate"),
    ("shard_policy_manager.load_shard", "high", "src.core.shard_policy_manager.load_shard"),
    ("file_handler.read_large_file", "medium", "src.utils.file_handler.read_large_file"),
    ("srt_parser.parse_file", "medium", "src.core.srt_parser.parse_file"),
    ("resource_tracker.allocate_resource", "high", "src.memory.resource_tracker.allocate_resource"),
    ("model_loader_adapter.load_model_with_config", "critical",
     "src.core.model_loader_adapter.load_model_with_config"),
    ("cache_manager.allocate_cache", "high", "src.memory.cache_manager.allocate_cache"),
)
