"""Tables of a configuration against the structs that say what they may hold; every problem is collected."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import Struct, structs

from covscan.config.document import Measurement
from covscan.config.places import TABLES, Places
from covscan.config.policy import Budget, Check, Suppression, Tolerances
from covscan.config.toml_lines import Key
from covscan.config.wording import as_key, found, nearest, options, wanted
from covscan.errors import CovscanError, UsageError

NO_TRUST = "a file must not allow checkpoints to run code: whoever may change the file would decide that, not you"


def keys_of(kind: type[Struct]) -> tuple[str, ...]:
    """The keys that a file may use for a struct."""
    return tuple(each.encode_name for each in structs.fields(kind))


TOP_LEVEL = keys_of(Measurement)
IN_TABLES = {
    "check": keys_of(Check),
    "budgets": keys_of(Budget),
    "suppressions": keys_of(Suppression),
    "baseline": keys_of(Tolerances),
}


@dataclass(slots=True)
class Checker:
    """Reads the tables of one file."""

    places: Places
    found: list[tuple[int, CovscanError]] = field(default_factory=list)
    """What is wrong with them, each with its line."""

    @property
    def errors(self) -> list[CovscanError]:
        """What is wrong with the file, from its top to its end."""
        return [error for _, error in sorted(self.found, key=lambda each: each[0])]

    def values(self, table: Any, kind: type[Struct], at: Key, also: Iterable[str] = ()) -> dict[str, Any] | None:
        """The values that a table gives, by the names of ``kind``'s fields; None where one of them is wrong.

        ``at`` is the table's key, ``also`` are keys in it that somebody else reads.
        """
        if not isinstance(table, dict):
            self.complain(at, "bad-value", "must be a table", found(table))
            return None
        before = len(self.found)
        fields = {each.encode_name: each for each in structs.fields(kind)}
        known = [*fields, *also]
        for key in table:
            if key not in known:
                self._note((*at, key), self._unknown(key, at, known))
        made = {
            each.name: self._value(table[key], each.type, (*at, key)) for key, each in fields.items() if key in table
        }
        for key, each in fields.items():
            if each.required and key not in table:
                self.complain(at, "missing-key", f"needs '{key}'", hint=f"it must be {wanted(each.type)}")
        return made if len(self.found) == before else None

    def complain(self, at: Key, code: str, problem: str, found: str = "", hint: str = "") -> None:
        """Note what is wrong with a key or a table."""
        message = f"{self.places.place(at)}: {self.places.name(at)} {problem}"
        self._note(at, UsageError(code, message, found=found, hint=hint))

    def _note(self, at: Key, error: UsageError) -> None:
        self.found.append((self.places.line(at) or 0, error))

    def _value(self, value: Any, kind: Any, at: Key) -> Any:
        try:
            made = msgspec.convert(value, kind)
        except msgspec.ValidationError:
            self.complain(at, "bad-value", f"must be {wanted(kind)}", _culprit(value), _correction(value, kind, at))
            return None
        if isinstance(made, float) and not math.isfinite(made):
            self.complain(at, "bad-value", f"must be {wanted(kind)}", f"{made}, which nothing can be compared with")
        return made

    def _unknown(self, key: str, at: Key, known: list[str]) -> UsageError:
        place = self.places.place((*at, key))
        plain = as_key(key)
        if plain == "trust":
            hint = "give --trust on the command line, for checkpoints that you trust"
            return UsageError("untrusted", f"{place}: 'trust' cannot stand in a file: {NO_TRUST}", hint=hint)
        near = nearest(key, known)
        owner = _owner(plain, at)
        if near is not None and (near == plain or owner is None):
            hint = f"did you mean '{near}'?"
        else:
            hint = owner or f"keys are {', '.join(known)}"
        where = f" in {self.places.name(at)}" if at else ""
        return UsageError("unknown-key", f"{place}: there is no key '{key}'{where}", hint=hint)


def _owner(key: str, at: Key) -> str | None:
    """Where a key belongs that stands at the wrong place."""
    if key in TOP_LEVEL and at:
        return f"'{key}' belongs to the top level, above the first [table]"
    owner = next((TABLES[table] for table, keys in IN_TABLES.items() if key in keys and table not in at), None)
    return None if owner is None else f"'{key}' belongs into {owner}"


def _culprit(value: Any) -> str:
    """The value in words; of a list or a table that should hold strings, the first thing that is none."""
    if isinstance(value, list):
        wrong = next(((place, each) for place, each in enumerate(value, 1) if not _is_string(each)), None)
        return found(value) if wrong is None else f"{found(wrong[1])}, at place {wrong[0]}"
    if isinstance(value, dict):
        for key, each in value.items():
            if not isinstance(each, list) or not all(map(_is_string, each)):
                return f"{_culprit(each)}, under '{key}'"
    return found(value)


def _is_string(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _correction(value: Any, kind: Any, at: Key) -> str:
    if not isinstance(value, str):
        return ""
    if wanted(kind).startswith("a list of strings"):
        return f'write {at[-1]} = ["{value}"]'
    near = nearest(value, options(kind))
    return "" if near is None else f"did you mean '{near}'?"
