# SPDX-License-Identifier: GPL-2.0-only
"""Which level of quantization of a model fits a device: asked of the engine (`memprobe-bpf gguf
advise`), which needs no model to be here."""

from typing import Any, Dict, List, Optional, Sequence

from ._engine import EngineError, query

__all__ = ["get_optimal_quantization", "get_quantization_advice"]


def get_quantization_advice(model_id: Optional[str] = None, model_file: Optional[str] = None, *,
                            env_profile_name: Optional[str] = None,
                            limit_mb: Optional[float] = None, context: Optional[int] = None,
                            levels: Sequence[str] = ()) -> Dict[str, Any]:
    """The advice as the engine gives it: current_optimal (a level, or None when none fits), advice
    (in words), smaller (another model that fits, or None), and levels, each with tensor_bytes,
    must, comfortable, fit ("ok", "thrash", "oom_killed"), perplexity and more: docs/models.md.

    Of a model of models.yaml or of a GGUF file; for a device profile, for so many MB, or beside
    what is in use here. `context` in tokens. ValueError: not exactly one model, or two devices.
    EngineError: no such model, level, profile or file, or no engine."""
    if (model_id is None) == (model_file is None):
        raise ValueError("advice is of a model_id or of a model_file: one of them")
    if env_profile_name is not None and limit_mb is not None:
        raise ValueError("advice is for an env_profile_name or for limit_mb, not for both")
    options = {"--model-id": model_id, "--model": model_file, "--env": env_profile_name,
               "--limit": None if limit_mb is None else f"{limit_mb:g}M",
               "--context": None if context is None else f"{context}",
               "--quant-levels": ",".join(levels) or None}
    arguments: List[str] = []
    for option, value in options.items():
        if value is not None:
            arguments += [option, value]
    advice = query("gguf", "advise", *arguments)
    if not isinstance(advice, dict):
        raise EngineError("memprobe-bpf gguf advise: what it said is not an object")
    return advice


def get_optimal_quantization(model_id: Optional[str] = None, model_file: Optional[str] = None, *,
                             env_profile_name: Optional[str] = None,
                             limit_mb: Optional[float] = None, context: Optional[int] = None,
                             levels: Sequence[str] = ()) -> Optional[str]:
    """The level of best quality that fits, such as "Q4_K_M"; None: none does. Arguments and errors
    are those of get_quantization_advice()."""
    level = get_quantization_advice(model_id, model_file, env_profile_name=env_profile_name,
                                    limit_mb=limit_mb, context=context,
                                    levels=levels)["current_optimal"]
    return None if level is None else str(level)
