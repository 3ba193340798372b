"""What the rules found, the most severe first."""

from collections.abc import Sequence
from itertools import groupby

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
    """One row per finding; on a terminal a rule that fired often is cut after its first few sites."""
    if not report.findings:
        return Section("Findings", (Prose(line(Span("None: no rule fired.", "good"))),))
    names = places.fitted([finding.site for finding in report.findings if finding.site], look, NAMES)
    ordered = sorted(report.findings, key=lambda finding: RANK[finding.severity])
    rows: list[tuple[Line, ...]] = []
    for _, same in groupby(_together(ordered), key=lambda finding: (finding.severity, finding.code)):
        rows += _of_one_rule(list(same), names, look)
    columns = (Column(""), Column("code"), Column("site"), Column("finding", wraps=True))
    return Section(f"Findings: {_count(report.findings)}", (Table(columns, tuple(rows)),))


def top(findings: Sequence[Finding]) -> Finding | None:
    """The finding to read about first."""
    return min(findings, key=lambda finding: RANK[finding.severity], default=None)


def _together(ordered: Sequence[Finding]) -> list[Finding]:
    """Findings of one severity and rule side by side, the rules in the order of their first appearance."""
    place: dict[tuple[str, str], int] = {}
    for finding in ordered:
        place.setdefault((finding.severity, finding.code), len(place))
    return sorted(ordered, key=lambda finding: place[finding.severity, finding.code])


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
    return (
        line(Span(f"{glyph} {finding.severity}", finding.severity)),
        line(Span(finding.code, "strong")),
        line(site),
        line(printable(finding.message)),
    )


def _count(findings: Sequence[Finding]) -> str:
    severities = [finding.severity for finding in findings]
    plural = {"error": "errors", "warning": "warnings", "info": "info"}
    return ", ".join(counted(severities.count(name), name, plural[name]) for name in RANK if name in severities)
