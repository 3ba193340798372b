"""The published JSON Schema of the report."""

from typing import Any

import msgspec

from covscan.report.types import SCHEMA_VERSION, Report

DIALECT = "https://json-schema.org/draft/2020-12/schema"
REFERENCE = "#/$defs/{name}"


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) that every report of this version follows.

    It allows further fields, because a minor version may add some; nothing that it names is ever removed or
    changed within a major version.
    """
    (_root,), components = msgspec.json.schema_components([Report], ref_template=REFERENCE)
    root = components.pop("Report")
    return {
        "$schema": DIALECT,
        "$id": f"urn:covscan:report:{SCHEMA_VERSION}",
        "title": f"covscan report {SCHEMA_VERSION}",
        **{key: value for key, value in root.items() if key != "title"},
        "$defs": components,
    }
