"""Pure functions from a report to text."""

from typing import TYPE_CHECKING

from covscan.errors import UsageError
from covscan.registry import resolve
from covscan.render.look import Look
from covscan.render.names import nearest

if TYPE_CHECKING:
    from covscan.report.types import Report

FORMATS = {
    "text": "covscan.render.as_text:render",
    "json": "covscan.render.as_json:render",
    "markdown": "covscan.render.as_markdown:render",
    "csv": "covscan.render.as_csv:render",
    "github": "covscan.render.as_github:render",
    "gitlab": "covscan.render.as_gitlab:render",
    "junit": "covscan.render.as_junit:render",
    "sarif": "covscan.render.as_sarif:render",
}


def check_format(name: str) -> None:
    """Raise UsageError, with the nearest name, where ``name`` is no format."""
    if name not in FORMATS:
        raise UsageError(
            "unknown-format",
            f"there is no output format '{name}'",
            hint=nearest(name, FORMATS),
        )


def render(report: "Report", name: str, look: Look | None = None) -> str:
    """Write a report in one of ``FORMATS``, ending in a newline. Raises UsageError for another name."""
    check_format(name)
    text: str = resolve(FORMATS[name])(report, look or Look())
    return text


__all__ = ["FORMATS", "Look", "check_format", "render"]
