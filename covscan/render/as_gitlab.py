"""GitLab's code quality report: a JSON array that a merge request shows what is new of."""

from covscan.render.alerts import Alert, alerts
from covscan.render.look import Look
from covscan.render.names import printable
from covscan.report import to_json
from covscan.report.types import Report, Severity

SEVERITIES: dict[Severity, str] = {"error": "critical", "warning": "major", "info": "info"}
UNKNOWN = "covscan.toml"
"""Where a finding is shown that has no place, since GitLab refuses one without."""


def render(report: Report, _look: Look) -> str:
    """An entry for each finding that counts; fingerprints are unique and hold no values."""
    return to_json([_entry(alert) for alert in alerts(report)])


def _entry(alert: Alert) -> dict[str, object]:
    finding, place = alert.finding, alert.place
    return {
        "description": printable(f"{finding.code} {finding.name} ({alert.site}): {finding.message}"),
        "check_name": finding.code,
        "fingerprint": alert.fingerprint,
        "severity": SEVERITIES[finding.severity],
        "location": {
            "path": printable(place.file) if place is not None else UNKNOWN,
            "lines": {"begin": place.line if place is not None else 1},
        },
    }
