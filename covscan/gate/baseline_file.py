"""The baseline's file: JSON with one sorted line per site, value and finding, so that it diffs and merges well."""

from collections.abc import Iterable
from typing import Any

import msgspec

from covscan.errors import UsageError
from covscan.gate.baseline_types import SCHEMA, Baseline
from covscan.report import to_json
from covscan.report.strict_json import parse

_NAME = SCHEMA.partition(" ")[0]
_AGAIN = "write it again with 'covscan baseline write', or take the version that git has"


def write(baseline: Baseline) -> str:
    """The text of the file; equal baselines give equal bytes, and one value that changes changes one line."""
    ordered = msgspec.structs.replace(
        baseline,
        sites=tuple(sorted(baseline.sites, key=lambda site: site.key)),
        values=tuple(sorted(baseline.values, key=lambda value: value.key)),
        findings=tuple(sorted(baseline.findings, key=lambda finding: (finding.code, finding.site or ""))),
    )
    return to_json(ordered)


def read(content: str | bytes, source: str) -> Baseline:
    """Read a baseline back; ``source`` names it in errors.

    Raises UsageError that says what was found: no JSON, NaN, a key or an entry given twice (as a merge may leave them),
    something else than a baseline, another major version, or a field that is missing or of another type.
    """
    found = _parse(content, source)
    _check_origin(found, source)
    try:
        baseline = msgspec.convert(found, Baseline)
    except msgspec.ValidationError as error:
        raise UsageError(
            "broken-baseline", f"{source} does not follow the form of a baseline", found=str(error), hint=_AGAIN
        ) from error
    for entries, what in ((baseline.sites, "site"), (baseline.values, "value"), (baseline.findings, "finding")):
        _check_unique([entry.key for entry in entries], what, source)
    return baseline


def _parse(content: str | bytes, source: str) -> Any:
    try:
        return parse(content)
    except ValueError as error:
        conflict = "<<<<<<< " in content if isinstance(content, str) else b"<<<<<<< " in content
        raise UsageError(
            "broken-baseline",
            f"{source} cannot be read as JSON",
            found="the marks of a merge that was not finished" if conflict else str(error),
            hint=_AGAIN,
        ) from error


def _check_origin(content: Any, source: str) -> None:
    schema = content.get("schema") if isinstance(content, dict) else None
    name, _, version = schema.partition(" ") if isinstance(schema, str) else ("", "", "")
    if name != _NAME:
        is_report = isinstance(content, dict) and "schema_version" in content and "tool" in content
        raise UsageError(
            "foreign-baseline",
            f"{source} is JSON, but no baseline of covscan",
            found="a report of covscan" if is_report else _describe(content),
            hint=f"covscan baseline write --report {source} -o covscan-baseline.json makes one of it"
            if is_report
            else f'a baseline begins with "schema": "{SCHEMA}"; \'covscan baseline write\' makes one',
        )
    if version.partition(".")[0] != SCHEMA.partition(" ")[2].partition(".")[0]:
        raise UsageError(
            "baseline-version",
            f"{source} is a baseline of another version",
            found=f"'{schema}', and this covscan reads '{SCHEMA}'",
            hint="use the covscan that wrote it, or write it again with 'covscan baseline write --force'",
        )


def _describe(content: Any) -> str:
    if isinstance(content, dict):
        keys = ", ".join(repr(key) for key in list(content)[:4])
        return f"an object with the keys {keys}" if keys else "an empty object"
    return f"a JSON {type(content).__name__}"


def _check_unique(keys: Iterable[Any], what: str, source: str) -> None:
    seen: set[Any] = set()
    for key in keys:
        if key in seen:
            named = ", ".join(str(part) for part in key if part is not None)
            raise UsageError(
                "broken-baseline",
                f"{source} holds the same {what} twice",
                found=named,
                hint="a merge may have kept both lines: leave one of them, or write the file again",
            )
        seen.add(key)
