"""The page of a rule: its function's docstring."""

import difflib
import inspect
import re
from dataclasses import dataclass

from covscan.catalog.rules import GATE_RULES, RULES
from covscan.errors import UsageError
from covscan.registry import resolve
from covscan.report.types import Severity

_LEVELS: tuple[Severity, ...] = ("error", "warning", "info")
_SEVERITY = re.compile(r"^Severity: (\w+)", re.MULTILINE)
ALL = RULES | GATE_RULES
SECTIONS = ("What it measures", "Why it matters", "When it misleads", "Example", "What to do", "Sources")


@dataclass(frozen=True, slots=True)
class RulePage:
    """What ``covscan rule`` prints; ``severity`` is the highest the rule gives, ``body`` is Markdown."""

    code: str
    name: str
    severity: Severity
    summary: str
    body: str


def name_of(code: str) -> str:
    """A rule's name: its function's, with hyphens."""
    return ALL[code].partition(":")[2].replace("_", "-")


def pages() -> tuple[RulePage, ...]:
    """The page of every rule, by code."""
    return tuple(_read(code) for code in sorted(ALL))


def page(code_or_name: str) -> RulePage:
    """The page of one rule, by code or name in any case. Raises UsageError with the nearest codes and names."""
    wanted = code_or_name.strip().lower().replace("_", "-")
    known = {code.lower(): code for code in ALL} | {name_of(code): code for code in ALL}
    if wanted in known:
        return _read(known[wanted])
    near = difflib.get_close_matches(wanted, known, n=3, cutoff=0.5)
    raise UsageError(
        "unknown-rule",
        f"there is no rule '{code_or_name}'",
        found=f"{len(ALL)} rules, {min(ALL)} to {max(ALL)}",
        hint="did you mean " + " or ".join(f"{known[match]} ({name_of(known[match])})" for match in near) + "?"
        if near
        else "covscan rule lists them all",
    )


def _read(code: str) -> RulePage:
    text = inspect.getdoc(resolve(ALL[code])) or ""
    summary, _, rest = text.partition("\n")
    severity = _SEVERITY.search(rest)
    level: Severity = next((known for known in _LEVELS if severity and severity[1] == known), "info")
    return RulePage(code, name_of(code), level, summary.strip(), rest.strip())
