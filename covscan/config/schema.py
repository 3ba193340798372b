"""The JSON Schema of a configuration file, for editors."""

import dataclasses
import inspect
from typing import Any

import msgspec

from covscan.config.document import Document, Measurement
from covscan.config.settings import Settings

DIALECT = "https://json-schema.org/draft/2020-12/schema"
REFERENCE = "#/$defs/{name}"
NULL = {"type": "null"}


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of covscan.toml; keys that it does not name are refused, as covscan refuses them."""
    (_root,), components = msgspec.json.schema_components([Document], ref_template=REFERENCE)
    root = components.pop("Document")
    for key, default in _defaults().items():
        root["properties"][key]["default"] = default
    return {
        "$schema": DIALECT,
        "$id": "urn:covscan:config",
        **_for_toml(root),
        "title": "covscan.toml",
        "$defs": _for_toml(components),
    }


def _for_toml(node: Any) -> Any:
    """A part of a schema without null, which TOML cannot say, and with docstrings as paragraphs."""
    if isinstance(node, list):
        return [_for_toml(each) for each in node]
    if not isinstance(node, dict):
        return node
    made = {key: _for_toml(value) for key, value in node.items() if (key, value) != ("default", None)}
    if isinstance(made.get("description"), str):
        made["description"] = inspect.cleandoc(made["description"])
    if "anyOf" in made:
        kept = [each for each in made.pop("anyOf") if each != NULL]
        made |= kept[0] if len(kept) == 1 else {"anyOf": kept}
    return made


def _defaults() -> dict[str, Any]:
    """What holds for a key that is left out, where that is a value that could be written."""
    settings = {field.name: field.default for field in dataclasses.fields(Settings)}
    keys = {field.encode_name: settings[field.name] for field in msgspec.structs.fields(Measurement)}
    return {key: default for key, default in keys.items() if isinstance(default, str | int)}
