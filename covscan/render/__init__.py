"""Pure functions from a report to text, or to the bytes of a picture."""

from importlib.util import find_spec
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
    "html": "covscan.render.as_html:render",
    "png": "covscan.render.as_picture:render_png",
    "svg": "covscan.render.as_picture:render_svg",
    "csv": "covscan.render.as_csv:render",
    "github": "covscan.render.as_github:render",
    "gitlab": "covscan.render.as_gitlab:render",
    "junit": "covscan.render.as_junit:render",
    "sarif": "covscan.render.as_sarif:render",
}


DRAWN = frozenset({"html", "png", "svg"})
"""Formats with charts, which the extra ``html`` brings."""
BINARY = frozenset({"png"})
"""Formats that are bytes and no text."""
NEEDED = {"altair": "altair", "vl_convert": "vl-convert-python"}
"""Modules of that extra, with what they are installed as."""


def check_format(name: str) -> None:
    """Raise UsageError, with the nearest name, where ``name`` is no format, or where what it needs is missing."""
    if name not in FORMATS:
        raise UsageError(
            "unknown-format",
            f"there is no output format '{name}'",
            hint=nearest(name, FORMATS),
        )
    if name in DRAWN:
        missing = [package for module, package in NEEDED.items() if find_spec(module) is None]
        if missing:
            raise UsageError(
                "missing-extra", f"the format {name} needs {' and '.join(missing)}", hint="pip install 'covscan[html]'"
            )


def render(report: "Report", name: str, look: Look | None = None) -> str | bytes:
    """Write a report in one of ``FORMATS``: text that ends in a newline, or the bytes of a picture.

    Raises UsageError for another name, and for a format whose extra is not installed.
    """
    check_format(name)
    content: str | bytes = resolve(FORMATS[name])(report, look or Look())
    return content


__all__ = ["BINARY", "DRAWN", "FORMATS", "Look", "check_format", "render"]
