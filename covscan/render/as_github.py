"""Workflow commands, of which GitHub makes annotations beside the lines of a pull request."""

from collections.abc import Iterator

from covscan.render.alerts import Alert, alerts
from covscan.render.figures import counted
from covscan.render.look import Look
from covscan.render.names import printable
from covscan.report.types import Report, Severity

LEVELS: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "notice"}
MOST = 10
"""Annotations of one level that GitHub shows of a step; it drops further ones without a word."""


def render(report: Report, _look: Look) -> str:
    """A line for each finding that counts, the gravest first, and a last plain line with their number.

    At most ``MOST`` of a level are written. Where some are left out, the last notice says how many.
    """
    by_level: dict[str, list[Alert]] = {level: [] for level in LEVELS.values()}
    for alert in alerts(report):
        by_level[LEVELS[alert.finding.severity]].append(alert)
    return "".join(f"{line}\n" for line in (*_commands(by_level), _total(report, by_level)))


def _commands(by_level: dict[str, list[Alert]]) -> Iterator[str]:
    cut = any(len(found) > MOST for found in by_level.values())
    left_out = []
    for level, found in by_level.items():
        room = MOST - 1 if cut and level == "notice" else MOST
        yield from (_command(level, alert) for alert in found[:room])
        if len(found) > room:
            left_out.append(counted(len(found) - room, f"{level}"))
    if left_out:
        yield f"::notice title=covscan::{' and '.join(left_out)} more: the report has them all"


def _command(level: str, alert: Alert) -> str:
    finding = alert.finding
    properties = {"title": f"{finding.code} {finding.name} ({alert.site})"}
    if alert.place is not None:
        properties = {"file": alert.place.file, "line": str(alert.place.line)} | properties
    given = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{level} {given}::{_data(finding.message)}"


def _data(text: str) -> str:
    """The text as it may stand behind the last ``::``; what cannot be printed is spelled out, line breaks too."""
    return printable(text).replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _total(report: Report, by_level: dict[str, list[Alert]]) -> str:
    """A line that is no command, so that a log without findings is not empty."""
    named = [counted(len(found), level) for level, found in by_level.items() if found]
    verdict = f"; the gate says {report.gate.verdict}" if report.gate is not None else ""
    return f"covscan: {', '.join(named) or 'no findings'}{verdict}"
