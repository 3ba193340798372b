"""Values of a configuration and what is wanted in their place, in words."""

import difflib
from collections.abc import Iterable
from typing import Any

from msgspec import inspect

LONGEST = 60
"""Characters of a string that a message shows."""
_KINDS = {
    bool: "a boolean",
    str: "a string",
    int: "a whole number",
    float: "a number",
    dict: "a table",
    list: "a list",
}
"""What TOML can hold besides dates and times, which are called as Python calls them."""


def found(value: Any) -> str:
    """What somebody wrote, short, with what it is in TOML."""
    kind = _KINDS.get(type(value), f"a {type(value).__name__}")
    if isinstance(value, dict | list):
        return kind if value else kind.replace("a ", "an empty ")
    return f"{_shown(value)}, {kind}"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return repr(_short(value))
    if isinstance(value, int):
        return str(value) if abs(value) < 10**LONGEST else "a very long one"
    return str(value)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def wanted(kind: Any) -> str:
    """What a value of a type is, for a sentence that begins with 'it must be'; None and absence are left out."""
    return _wanted(inspect.type_info(kind))


def options(kind: Any) -> list[str]:
    """The words that a type has to choose from; none where it takes others, too."""
    info = _bare(inspect.type_info(kind))
    return [str(value) for value in info.values] if isinstance(info, inspect.LiteralType) else []


def _bare(kind: inspect.Type) -> inspect.Type:
    """The type behind descriptions and the possibility to leave it out."""
    if isinstance(kind, inspect.Metadata):
        return _bare(kind.type)
    if isinstance(kind, inspect.UnionType):
        present = [each for each in kind.types if not isinstance(each, inspect.NoneType)]
        return _bare(present[0]) if len(present) == 1 else inspect.UnionType(tuple(present))
    return kind


def _wanted(kind: inspect.Type) -> str:
    text = "a table"
    match _bare(kind):
        case inspect.UnionType(types=types):
            text = " or ".join(_wanted(each) for each in types)
        case inspect.LiteralType(values=values):
            *texts, last = [repr(value) for value in values]
            text = f"{', '.join(texts)} or {last}" if texts else last
        case inspect.BoolType():
            text = "true or false"
        case inspect.IntType() | inspect.FloatType() as number:
            text = _number(number)
        case inspect.StrType(min_length=least):
            text = "a string that is not empty" if least else "a string"
        case inspect.ListType(item_type=inner, min_length=least):
            text = f"a list of {_plural(inner)}" + (", not an empty one" if least else "")
        case inspect.DictType(value_type=inspect.ListType() as inner):
            text = f"a table whose values are {_plural(inner)}"
        case inspect.DateType():
            text = "a date, for example 2026-12-31"
    return text


def _number(kind: inspect.IntType | inspect.FloatType) -> str:
    name = "a whole number" if isinstance(kind, inspect.IntType) else "a number"
    if kind.gt is not None:
        return f"{name} above {kind.gt}"
    if kind.ge is not None and kind.ge >= 0:
        return f"{name} of at least {kind.ge}"
    return name if kind.ge is None else f"{name} of at most 64 bits"


def _plural(kind: inspect.Type) -> str:
    return f"lists of {_plural(kind.item_type)}" if isinstance(kind, inspect.ListType) else "strings"


def as_key(name: str) -> str:
    """A name as keys are written, who wrote it like a flag (``--batch-size``) or like Python (``batch_size``)."""
    return name.lower().lstrip("-").replace("_", "-")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that somebody may have meant."""
    close = difflib.get_close_matches(as_key(name), list(known), n=1)
    return close[0] if close else None
