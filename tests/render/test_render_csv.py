"""The CSV of the shift table, as a spreadsheet and as a program read it."""

import csv
import io
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from report_factory import HOSTILE, KINDS, measure, report

from covscan.render import render
from covscan.render.as_csv import COLUMNS
from covscan.report.types import Measure, Shift


def rows(found):
    return list(csv.DictReader(io.StringIO(render(found, "csv"), newline="")))


def restored(text):
    """What the writer's documentation says: an apostrophe off the front, then the backslashes resolved."""
    text = text.removeprefix("'")
    out, place = [], 0
    lengths = {"x": 2, "u": 4, "U": 8}
    while place < len(text):
        if text[place] != "\\":
            out.append(text[place])
            place += 1
        elif text[place + 1] == "\\":
            out.append("\\")
            place += 2
        else:
            end = place + 2 + lengths[text[place + 1]]
            out.append(chr(int(text[place + 2 : end], 16)))
            place = end
    return "".join(out)


def one(name, **more):
    shift = Shift(site=name, position="output", from_="a", to="b", measures={"ks": measure(0.5)}, channels_shifted=None)
    return report([], [], [replace(shift, **more)])


@pytest.mark.parametrize("kind", KINDS)
def test_every_measure_of_every_shift_is_a_line(kind):
    found = KINDS[kind]()
    expected = [
        (shift.site, shift.position, shift.from_, shift.to, name) for shift in found.shifts for name in shift.measures
    ]
    assert [tuple(restored(row[name]) for name in COLUMNS[:5]) for row in rows(found)] == expected


def test_a_line_holds_the_measure():
    known = rows(one("fc"))[0]
    assert [known[name] for name in COLUMNS[5:]] == ["0.5", "0.06", "0.45", "0.55", "true", ""]


def test_what_is_not_known_is_empty_and_says_why():
    unknown = Measure(value=None, noise=None, low=None, high=None, significant=False, status="=too few")
    row = rows(one("fc", measures={"cka": unknown}))[0]
    assert [row[name] for name in COLUMNS[5:]] == ["", "", "", "", "false", "'=too few"]


def test_numbers_below_zero_stay_numbers():
    negative = Measure(value=-0.25, noise=1e-9, low=-1.0, high=1234567.0, significant=True)
    row = rows(one("fc", measures={"log_ratio": negative}))[0]
    assert [row[name] for name in COLUMNS[5:9]] == ["-0.25", "1e-09", "-1.0", "1234570.0"]


def test_a_value_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="nan"):
        render(one("fc", measures={"x": measure(math.nan)}), "csv")


def test_lines_end_as_the_standard_says():
    text = render(one('a,"b"'), "csv")
    assert text.startswith(",".join(COLUMNS) + "\r\n")
    assert text.endswith("\r\n")
    assert '"a,""b""",output' in text


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "'quoted", "\t=1", "\r=1", *HOSTILE])
def test_no_cell_is_a_formula_or_moves_the_cursor(name):
    cell = rows(one(name))[0]["site"]
    assert cell[0] not in "=+-@\t\r"
    assert cell.isprintable()
    assert restored(cell) == name


@given(st.text())
def test_nothing_of_a_name_is_lost(name):
    assert restored(rows(one(name))[0]["site"]) == name
