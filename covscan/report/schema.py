"""The published JSON Schema of the report."""

import inspect
import json
from pathlib import Path
from typing import Any

import msgspec

from covscan.report.types import SCHEMA_VERSION, Report

DIALECT = "https://json-schema.org/draft/2020-12/schema"
REFERENCE = "#/$defs/{name}"
SHIPPED = Path(__file__).with_name("report.schema.json")
"""The schema as a file of the package, for editors and for whoever validates without covscan."""


def schema_text() -> str:
    """The schema as JSON, as ``SHIPPED`` holds it and ``covscan schema`` prints it."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) that every report of this version follows.

    It allows further fields, because a minor version may add some; nothing that it names is ever removed or
    changed within a major version.
    """
    (_root,), components = msgspec.json.schema_components([Report], ref_template=REFERENCE)
    for component in components.values():
        if "description" in component:
            component["description"] = inspect.cleandoc(component["description"])  # Python 3.13 does so by itself
    root = components.pop("Report")
    return {
        "$schema": DIALECT,
        "$id": f"urn:covscan:report:{SCHEMA_VERSION}",
        "title": f"covscan report {SCHEMA_VERSION}",
        **{key: value for key, value in root.items() if key != "title"},
        "$defs": components,
    }
