"""Paths of a configuration, which are relative to its folder, as seen from somewhere else."""

import glob
import os
from collections.abc import Callable, Mapping
from typing import Any

from covscan.config.loading import looks_like_object

Move = Callable[[str], str]
"""From a path to the same path as seen from elsewhere."""


def from_folder(folder: str) -> Move:
    """Paths relative to ``folder`` as seen from the working folder; absolute ones and ``~`` stay what they are."""

    def move(path: str) -> str:
        if path.startswith("~"):
            return os.path.expanduser(path)
        return os.path.join(glob.escape(folder) if glob.has_magic(path) else folder, path)

    return move if folder not in {"", os.curdir} else os.path.expanduser


def to_folder(folder: str) -> Move:
    """Paths relative to the working folder as seen from ``folder``; absolute ones stay what they are."""
    same = os.path.realpath(folder) == os.path.realpath(os.curdir)

    def move(path: str) -> str:
        if same or os.path.isabs(path):
            return path
        return os.path.relpath(path, folder) + ("/" if path.endswith("/") else "")

    return move


def moved(settings: Mapping[str, Any], move: Move) -> dict[str, Any]:
    """Settings, by the names of their fields, with every path in them moved.

    A module's name (``package.module:function``) and the name of a loss or an optimizer is no path.
    """
    made = dict(settings)
    for name in ("model", "loss", "optimizer"):
        if isinstance(made.get(name), str):
            made[name] = _object(made[name], move)
    for name in ("data", "reference_data"):
        found = made.get(name)
        if isinstance(found, str):
            made[name] = _object(found, move) if looks_like_object(found) else move(found)
    if "checkpoints" in made:
        made["checkpoints"] = tuple(move(path) for path in made["checkpoints"])
    return made


def _object(spec: str, move: Move) -> str:
    """``file.py:function`` with the file moved; anything else as it is."""
    file, colon, name = spec.rpartition(":")
    return f"{move(file)}:{name}" if colon and file.endswith(".py") else spec
