"""The report as JSON, which is the same whatever it is written to."""

from covscan.render.look import Look
from covscan.report import to_json
from covscan.report.types import Report


def render(report: Report, _look: Look) -> str:
    """The report itself."""
    return to_json(report)
