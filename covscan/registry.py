"""Registries are dict literals of name → ``"module:attribute"``; this resolves one entry."""

import importlib
from typing import Any


def resolve(target: str) -> Any:
    """Import ``"package.module:attribute"`` and return the attribute."""
    module_name, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module_name), attribute)
