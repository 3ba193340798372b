"""The shift table in long form, as comma-separated values (RFC 4180)."""

import csv
import io
import math
from collections.abc import Iterator

from covscan.render.look import Look
from covscan.render.names import printable
from covscan.report.encode import rounded
from covscan.report.types import Measure, Report, Shift

COLUMNS = ("site", "position", "from", "to", "measure", "value", "noise", "low", "high", "significant", "status")
FORMULA = ("=", "+", "-", "@", "'")


def render(report: Report, _look: Look) -> str:
    r"""A line for each shift and measure, under one line of names; lines end in CR LF, what is not known is empty.

    Text is written so that a spreadsheet takes it for text and nothing is lost: a backslash as ``\\``, what cannot
    be printed as ``\x1b``, ``\u202e`` or ``\U000e0001``, and an apostrophe before what begins with ``= + - @`` or an
    apostrophe. To read it back, take one apostrophe off the front and resolve the backslashes.
    """
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    writer.writerows(row for shift in report.shifts for row in _rows(shift))
    return file.getvalue()


def _rows(shift: Shift) -> Iterator[list[str]]:
    named = [_text(part) for part in (shift.site, shift.position, shift.from_, shift.to)]
    for name, measure in shift.measures.items():
        yield [*named, _text(name), *_figures(measure), _text(measure.status or "")]


def _figures(measure: Measure) -> list[str]:
    known = (measure.value, measure.noise, measure.low, measure.high)
    return [*("" if value is None else _figure(value) for value in known), "true" if measure.significant else "false"]


def _figure(value: float) -> str:
    if not math.isfinite(value):
        raise ValueError(f"a shift holds {value}; what could not be measured is null with a status")
    return repr(rounded(value))


def _text(text: str) -> str:
    spelled = printable(text.replace("\\", "\\\\"))
    return f"'{spelled}" if spelled.startswith(FORMULA) else spelled
