"""How messages call the keys of a configuration, and where they stand in its file."""

from collections.abc import Mapping
from dataclasses import dataclass

from covscan.config.toml_lines import Key

TABLES = {"check": "[check]", "budgets": "[budgets.NAME]", "suppressions": "[[suppressions]]", "baseline": "[baseline]"}
"""The tables of a configuration, as a file heads them."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where the keys of one file are; ``root`` is the table that is the configuration."""

    label: str = ""
    """How messages call the file; empty where there is none."""
    lines: Mapping[Key, int] | None = None
    root: Key = ()

    def place(self, key: Key) -> str:
        """File and line of a key, or of what it stands in."""
        line = self.line(key)
        return self.label if line is None else f"{self.label}:{line}"

    def line(self, key: Key) -> int | None:
        """The line of a key, or of what it stands in; None where nothing of it is in the file."""
        full = (*self.root, *key)
        known = self.lines or {}
        return next((known[full[:end]] for end in range(len(full), 0, -1) if full[:end] in known), None)

    def name(self, key: Key) -> str:
        """A key or a table in a message: ``'samples'``, ``[check] 'fail-on'``, ``[[suppressions]] 2 'reason'``."""
        if not key:
            return f"[{self._headed()}]" if self.root else "the file"
        if key[0] not in TABLES:
            return _quoted(key)
        if len(key) > 1 and isinstance(key[1], int):
            head, rest = f"[[{self._headed(key[0])}]] {key[1] + 1}", key[2:]
        else:
            length = 2 if key[0] == "budgets" else 1
            head, rest = f"[{self._headed(*key[:length])}]", key[length:]
        return f"{head} {_quoted(rest)}" if rest else head

    def _headed(self, *parts: str | int) -> str:
        return ".".join(map(str, (*self.root, *parts)))


def _quoted(key: Key) -> str:
    return "'" + ".".join(map(str, key)) + "'"
