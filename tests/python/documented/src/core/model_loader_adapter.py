# SPDX-License-Identifier: GPL-2.0-only
"""Imports another point by name, and is a class method."""

from src.core.model_loader import load_model


class ModelLoaderAdapter:
    kind = "adapter"

    @classmethod
    def load_model_with_config(cls, config):
        return (cls.kind, load_model(config["name"]))
