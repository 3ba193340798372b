"""What the rules found, the most severe first."""

from collections.abc import Sequence
from itertools import groupby

from covscan.catalog import GATE_RULES
from covscan.render.blocks import Column, Line, Prose, Section, Span, Table, line, names
from covscan.render.content import places
from covscan.render.figures import counted
from covscan.render.look import Look
from covscan.render.names import printable
from covscan.report.types import Finding, Report, Severity

RANK: dict[Severity, int] = {"error": 0, "warning": 1, "info": 2}
PER_RULE = 4
"""Findings of one rule that a terminal shows before it names the other sites in one line."""
NAMES = 0.27


def section(report: Report, look: Look) -> Section:
    """One row per finding, suppressed ones last; on a terminal a rule that fired often is cut after a few sites.

    What a gate itself found stands in its own section.
    """
    found = [finding for finding in report.findings if finding.code not in GATE_RULES]
    if not found:
        return Section("Findings", (Prose(line(Span("None: no rule fired.", "good"))),))
    names = places.fitted([finding.site for finding in found if finding.site], look, NAMES)
    rows: list[tuple[Line, ...]] = []
    for _, same in groupby(ordered(found), key=_group):
        rows += _of_one_rule(list(same), names, look)
    columns = (Column(""), Column("code"), Column("site"), Column("finding", wraps=True))
    return Section(f"Findings: {count(found)}", (Table(columns, tuple(rows)),))


def top(findings: Sequence[Finding]) -> Finding | None:
    """The finding to read about first; none that was suppressed."""
    open_ = [finding for finding in findings if finding.suppressed is None]
    return min(open_, key=_rank, default=None)


def ordered(findings: Sequence[Finding]) -> list[Finding]:
    """The most severe first, those of one rule side by side, suppressed ones last."""
    return _together(sorted(findings, key=_rank))


def _rank(finding: Finding) -> tuple[bool, int]:
    return finding.suppressed is not None, RANK[finding.severity]


def _group(finding: Finding) -> tuple[bool, Severity, str]:
    return finding.suppressed is not None, finding.severity, finding.code


def _together(ordered: Sequence[Finding]) -> list[Finding]:
    """Findings of one severity and rule side by side, the rules in the order of their first appearance."""
    place: dict[tuple[bool, Severity, str], int] = {}
    for finding in ordered:
        place.setdefault(_group(finding), len(place))
    return sorted(ordered, key=lambda finding: place[_group(finding)])


def _of_one_rule(found: list[Finding], shown: dict[str, Span], look: Look) -> list[tuple[Line, ...]]:
    cut = look.brief and len(found) > PER_RULE + 1
    rows = [_row(finding, shown, look) for finding in (found[:PER_RULE] if cut else found)]
    if cut:
        others = [printable(finding.site or "the run") for finding in found[PER_RULE:]]
        more = names(list(dict.fromkeys(others)), 3)
        text = f"{look.glyphs.ellipsis} and {len(others)} more {found[0].code} (--verbose shows them): "
        rows.append(((Span(text, "faint"), *more),))
    return rows


def _row(finding: Finding, shown: dict[str, Span], look: Look) -> tuple[Line, ...]:
    glyph = look.glyphs.severities[RANK[finding.severity]]
    site = shown[finding.site] if finding.site else Span("whole run", "faint")
    if finding.suppressed is not None:
        why = f"not counted ({printable(finding.suppressed)}): {printable(finding.message)}"
        faint = (f"{glyph} {finding.severity}", finding.code, site.text, why)
        return tuple(line(Span(text, "faint")) for text in faint)
    return (
        line(Span(f"{glyph} {finding.severity}", finding.severity)),
        line(Span(finding.code, "strong")),
        line(site),
        line(printable(finding.message)),
    )


def count(findings: Sequence[Finding]) -> str:
    """How many there are of each severity, and how many of them do not count."""
    severities = [finding.severity for finding in findings if finding.suppressed is None]
    plural = {"error": "errors", "warning": "warnings", "info": "info"}
    counts = [counted(severities.count(name), name, plural[name]) for name in RANK if name in severities]
    suppressed = len(findings) - len(severities)
    return ", ".join(counts + ([f"{suppressed} not counted"] if suppressed else []))
