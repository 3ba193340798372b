"""Parse ``--model-arg name=value``."""

import json
from typing import Any, NoReturn

from covscan.errors import UsageError

_WORDS: dict[str, Any] = {"none": None, "null": None, "true": True, "false": False}


def parse_model_arg(text: str) -> tuple[str, Any]:
    """The name and the value in ``name=value``: a number, true, false, none, a JSON list or object, or text.

    A JSON string keeps as text what reads like a number (``depth='"18"'``). Raises UsageError.
    """
    name, equals, value = text.partition("=")
    name = name.strip()
    if not equals or not name.isidentifier():
        hint = f"did you mean {name.replace('-', '_')}={value}?" if equals and "-" in name else ""
        raise UsageError("bad-model-arg", f"--model-arg {text!r} is not of the form name=value", hint=hint)
    return name, _value(value.strip())


def _value(text: str) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        return json.loads(text, parse_constant=_refuse)
    except ValueError:
        pass
    try:
        return float(text) if any(digit in text for digit in "0123456789") and "_" not in text else text
    except ValueError:
        return text


def _refuse(word: str) -> NoReturn:
    raise ValueError(word)  # NaN and Infinity are no JSON
