"""Reads a report back, from this version of covscan or a neighbouring one."""

import re
from pathlib import Path
from typing import Any

import msgspec

from covscan.errors import UsageError
from covscan.memory import read_whole
from covscan.report.strict_json import parse
from covscan.report.types import SCHEMA_VERSION, Report

LARGEST = 1 << 28
"""Bytes. A report of a thousand sites at fifty checkpoints has a tenth of it."""


def from_json(text: str | bytes, source: str = "the report") -> Report:
    """Read a report from JSON; ``source`` names it in errors.

    Fields that a newer minor version added are left out. Raises UsageError where the text is no JSON, no
    report of covscan, of another major version, or not what its version says.
    """
    content = _parse(text, source)
    _check_origin(content, source)
    try:
        return msgspec.convert(content, Report)
    except msgspec.ValidationError as error:
        raise UsageError(
            "broken-report",
            f"{source} does not follow the schema of covscan's reports",
            found=f"{error}, in a report of schema version {content['schema_version']}",
            hint="write it again with 'covscan analyze -o json=PATH'; see 'covscan schema'",
        ) from error


def read(path: str | Path) -> Report:
    """Read a report from a file. Raises UsageError where that cannot be done."""
    try:
        content = read_whole(Path(path), LARGEST)
    except (OSError, ValueError) as error:
        raise UsageError(
            "unreadable-report",
            f"cannot read the report '{path}'",
            found=getattr(error, "strerror", None) or str(error),
            hint="give the path of a file that 'covscan analyze -o json=PATH' wrote",
        ) from error
    return from_json(content, f"'{path}'")


def _parse(text: str | bytes, source: str) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise UsageError(
            "broken-report",
            f"{source} is not JSON",
            found=str(error),
            hint="give a file that 'covscan analyze -o json=PATH' wrote",
        ) from error


def _check_origin(content: Any, source: str) -> None:
    if not isinstance(content, dict) or not _is_ours(content):
        raise UsageError(
            "foreign-report",
            f"{source} is JSON, but no report of covscan",
            found=_describe(content),
            hint="a report begins with 'schema_version' and names covscan under 'tool'",
        )
    version = content["schema_version"]
    if _major(version) != _major(SCHEMA_VERSION):
        raise UsageError(
            "report-version",
            f"{source} has schema version {version}, and this covscan reads {_major(SCHEMA_VERSION)}.x",
            hint="read it with the covscan that wrote it, or measure again",
        )


def _is_ours(content: dict[str, Any]) -> bool:
    tool, version = content.get("tool"), content.get("schema_version")
    named = isinstance(tool, dict) and tool.get("name") == "covscan"
    return named and isinstance(version, str) and re.fullmatch(r"[0-9]{1,4}\.[0-9]{1,4}", version) is not None


def _major(version: str) -> int:
    return int(version.partition(".")[0])


def _describe(content: Any) -> str:
    if isinstance(content, dict):
        keys = ", ".join(repr(key) for key in list(content)[:4])
        return f"an object with the keys {keys}" if keys else "an empty object"
    return f"a JSON {type(content).__name__}"
