"""Curves drawn with characters."""

import pytest

from covscan.render import Look
from covscan.render.chart import curves
from covscan.render.names import columns

FALLING = [3.0 - 0.02 * step for step in range(100)]
SLOWER = [3.0 - 0.01 * step for step in range(100)]


def drawn(look, **lines):
    return curves(lines or {"with": FALLING, "without": SLOWER}, look, "step")


@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize("width", [30, 60, 80, 100, 200, None])
def test_a_chart_leaves_room_for_its_indent_and_is_as_high_everywhere(width, unicode):
    rows = drawn(Look(width=width, unicode=unicode)).splitlines()
    assert max(map(columns, rows)) <= (width or 80) - 4
    assert len(rows) == 16
    assert rows == [row.rstrip() for row in rows]


@pytest.mark.parametrize("value", ["40", "300"])
def test_a_chart_does_not_ask_the_environment_for_its_width(monkeypatch, value):
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.delenv("LINES", raising=False)
    expected = drawn(Look(width=100))
    assert max(map(columns, expected.splitlines())) == 94
    monkeypatch.setenv("COLUMNS", value)
    monkeypatch.setenv("LINES", "5")
    assert drawn(Look(width=100)) == expected


def test_each_line_has_a_sign_of_its_own_and_its_name():
    plain = drawn(Look(width=80, unicode=False))
    assert plain.isascii()
    assert "oo with" in plain
    assert ".. without" in plain
    assert plain.count("o") > 40
    assert "step" in plain
    assert "3.00" in plain
    assert "\x1b" not in drawn(Look(width=80, color=True))


def test_the_lower_line_is_drawn_lower():
    rows = drawn(Look(width=80, unicode=False)).splitlines()
    lowest = next(row for row in reversed(rows) if "|" in row and "+" not in row)
    assert "o" in lowest
    assert "." not in lowest.partition("|")[2]


def test_two_steps_and_a_flat_line_can_be_drawn():
    assert "2.0" in drawn(Look(), flat=[2.0, 2.0], falling=[2.0, 1.0])


def test_one_chart_leaves_nothing_in_the_next():
    drawn(Look())
    assert "without" not in drawn(Look(), alone=[1.0, 2.0])
