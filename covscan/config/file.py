"""The configuration: where it is, what it says, and everything that is wrong with it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from covscan.config.checking import Checker
from covscan.config.document import Measurement
from covscan.config.places import TABLES, Places
from covscan.config.policy import Budget, Check, Suppression, Tolerances
from covscan.config.relative import from_folder, moved
from covscan.config.toml_file import read_toml
from covscan.config.toml_lines import Key, key_lines
from covscan.errors import UsageError, raise_collected

NAME = "covscan.toml"
PROJECT = "pyproject.toml"
_IN_PROJECT = ("tool", "covscan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What a configuration file says; without one, all of it is empty."""

    path: Path | None = None
    """Relative to the working folder; None without a file."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Fields of ``Settings`` that the file gives, by name; paths are relative to the working folder."""
    check: Check = field(default_factory=Check)
    budgets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By name, each with the keys that the file gives, as it spells them; each would convert to a ``Budget``."""
    suppressions: tuple[Suppression, ...] = ()
    baseline: Tolerances | None = None
    """None where the file has no such table."""
    content: Mapping[str, Any] = field(default_factory=dict)
    """All of it as the file gives it."""
    places: Places = field(default_factory=Places)
    """Where its keys stand."""

    def gives(self, key: Key) -> bool:
        """Whether the file says something under a key, and does not leave it to a default."""
        found: Any = self.content
        try:
            for part in key:
                found = found[part]
        except (KeyError, TypeError):
            return False
        return True


def find_config() -> Path | None:
    """The file in force in the working folder, relative to it: looked for from there up to the repository's root.

    ``covscan.toml`` wins over a ``pyproject.toml`` in the same folder; one without ``[tool.covscan]`` is passed by.
    Raises UsageError where such a file cannot be read.
    """
    try:
        folder = Path.cwd()
    except FileNotFoundError:  # the working folder was deleted
        return None
    upwards = Path()
    while True:
        for path in (upwards / NAME, upwards / PROJECT):
            if os.path.isfile(path) and (path.name == NAME or _is_ours(path)):
                return path
        if os.path.exists(upwards / ".git") or folder == folder.parent:
            return None
        folder, upwards = folder.parent, upwards / os.pardir


def _is_ours(project: Path) -> bool:
    """Whether a pyproject.toml has our table; one that never speaks of covscan need not even be TOML."""
    try:
        if b"covscan" not in project.read_bytes():
            return False
    except OSError:
        return False
    tool = read_toml(project).content.get(_IN_PROJECT[0])
    return isinstance(tool, dict) and _IN_PROJECT[1] in tool


def read_config(path: Path) -> Config:
    """Read and check a file. Raises every problem with it at once."""
    file = read_toml(path)
    root = _IN_PROJECT if path.name == PROJECT else ()
    content: Any = file.content
    for part in root:
        content = content.get(part) if isinstance(content, dict) else None
    if content is None:
        raise UsageError(
            "no-config", f"'{path}' has no table [tool.covscan]", hint="add it, or name a covscan.toml with --config"
        )
    checker = Checker(Places(str(path), key_lines(file.text), root))
    config = _checked(content, path, checker)
    raise_collected(checker.errors)
    return config


def _checked(content: Any, path: Path, checker: Checker) -> Config:
    """What the content says; where something in it is wrong, the checker has an error more."""
    settings = checker.values(content, Measurement, (), also=TABLES)
    tables = content if isinstance(content, dict) else {}
    check = checker.values(tables.get("check", {}), Check, ("check",))
    budgets = _budgets(tables.get("budgets", {}), checker)
    suppressions = _suppressions(tables.get("suppressions", []), checker)
    baseline = checker.values(tables.get("baseline", {}), Tolerances, ("baseline",))
    move = from_folder(os.path.dirname(path))
    if baseline and "path" in baseline:
        baseline["path"] = move(baseline["path"])
    return Config(
        path=path,
        settings=moved(_settings(settings or {}, checker), move),
        check=Check(**check or {}),
        budgets=budgets,
        suppressions=tuple(suppressions),
        baseline=Tolerances(**baseline or {}) if "baseline" in tables else None,
        content=tables,
        places=checker.places,
    )


def _settings(values: Mapping[str, Any], checker: Checker) -> dict[str, Any]:
    """The values of the top level as ``Settings`` has them."""
    made = dict(values)
    for name in made.get("model_args", {}):
        if not name.isidentifier():
            place = ("model-args", name)
            checker.complain(place, "bad-value", "is no name of a parameter", hint="write it as the function does")
    if "model_args" in made:
        made["model_args"] = tuple(made["model_args"].items())
    if made.get("positions") == "all":
        made["positions"] = None
    for name in ("checkpoints", "sites", "exclude"):
        if name in made:
            made[name] = tuple(made[name])
    return made


def _budgets(tables: Any, checker: Checker) -> dict[str, dict[str, Any]]:
    if not isinstance(tables, dict):
        checker.complain(("budgets",), "bad-value", "must be tables by name", hint="write [budgets.NAME] above each")
        return {}
    for name, table in tables.items():
        checker.values(table, Budget, ("budgets", name))
    return tables


def _suppressions(tables: Any, checker: Checker) -> list[Suppression]:
    if not isinstance(tables, list):
        checker.complain(
            ("suppressions",), "bad-value", "must be a list of tables", hint="write [[suppressions]] above each"
        )
        return []
    read = [checker.values(table, Suppression, ("suppressions", place)) for place, table in enumerate(tables)]
    return [Suppression(**values) for values in read if values is not None]
