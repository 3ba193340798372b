"""JSON as a contract needs it: every key once in its object, and no number that is none."""

import json
from collections.abc import Sequence
from typing import Any, NoReturn

BOM = b"\xef\xbb\xbf"


def parse(content: str | bytes) -> Any:
    """The value that UTF-8 text of JSON holds. Raises ValueError, which says what was found instead."""
    try:
        text = content if isinstance(content, str) else content.removeprefix(BOM).decode()
        return json.loads(text, object_pairs_hook=_object, parse_constant=_refuse, parse_float=_float)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise ValueError(f"the key '{key}' twice in one object")
        seen.add(key)
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant}, which is no number of JSON")


def _float(text: str) -> float:
    value = float(text)
    if value in {float("inf"), float("-inf")}:
        raise ValueError(f"{text}, which is too large for a number")
    return value
