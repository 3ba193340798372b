from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covscan.render.figures import compact, counted, evenly, percent, sparkline
from covscan.render.names import columns, nearest, printable, shorten, shorten_all


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"), (-0.0, "0"), (1, "1.00"), (-2.345, "-2.35"), (0.1, "0.10"), (0.0994, "0.099"), (0.0123, "0.012"),
        (0.004, "0.004"), (0.00094, "9.4e-4"), (3e-12, "3e-12"), (9.999, "10.0"), (12.34, "12.3"), (99.96, "100"),
        (12345.6, "12346"), (99_950, "1e5"), (123456, "1.2e5"), (-5e20, "-5e20"),
    ],
)  # fmt: skip
def test_compact(value, shown):
    assert compact(value) == shown


@given(st.floats(-1e300, 1e300))
def test_compact_is_short_and_near(value):
    shown = compact(value)
    assert len(shown) <= 9
    assert float(shown) == pytest.approx(value, rel=0.051)


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (0, "0%"), (1, "100%"), (1e-6, "<0.1%"), (0.9999, ">99.9%"), (0.0312, "3.1%"), (0.371, "37%"), (0.956, "95.6%"),
    ],
)  # fmt: skip
def test_percent(share, shown):
    assert percent(share) == shown


def test_sparkline():
    assert sparkline([0, 1, 2, None, 4], "abcd", 4) == "abc d"
    assert sparkline([0, 0], "abcd", 0) == "aa"
    assert sparkline([-1], "abcd", 1) == "a"
    assert sparkline([0.001, 1], "abcd", 1) == "bd"


@given(st.integers(0, 200), st.integers(0, 50))
def test_evenly_keeps_the_ends(count, keep):
    kept = evenly(count, keep)
    assert kept == sorted(set(kept))
    assert len(kept) <= max(keep, 1)
    if count:
        assert kept[-1] == count - 1
        assert kept[0] == 0 or keep <= 1
    gaps = [right - left for left, right in pairwise(kept)]
    assert not gaps or max(gaps) - min(gaps) <= 1


def test_counted():
    assert counted(1, "site") == "1 site"
    assert counted(1024, "sample") == "1,024 samples"
    assert counted(0, "info", "info") == "0 info"


@given(st.text())
def test_printable_text_stays_on_its_line(text):
    shown = printable(text)
    assert len(shown.splitlines()) <= 1
    assert shown.isprintable() or "\u3000" in shown or any(character.isspace() for character in shown)
    shown.encode("utf-8")


def test_printable_spells_out():
    assert printable("a\x1b[0m\n\u202e\U000e0001\udce9") == "a\\x1b[0m\\x0a\\u202e\\U000e0001\\udce9"
    assert printable("naïve 層") == "naïve 層"


@given(st.text(min_size=1), st.integers(6, 40), st.sampled_from([0.05, 0.5, 0.8]))
def test_shortened_text_fits(text, width, head):
    shown = shorten(text, width, "…", head)
    assert columns(shown) <= width
    assert shown == text or "…" in shown


def test_shortening_cuts_wide_characters_by_their_columns():
    assert shorten("層畳込正規化出力", 9, "…") == "層畳…出力"
    assert columns("e\u0301層") == 3


def test_names_that_differ_in_the_middle_stay_different():
    names = [f"encoder.layer.{layer}.attention.output.dense" for layer in range(12)]
    shown = shorten_all(names, 30, "…")
    assert len(set(shown.values())) == 12
    assert all(columns(name) <= 30 for name in shown.values())


def test_nearest():
    assert nearest("JSN", ["json", "text"]) == "did you mean 'json'?"
    assert nearest("qq", ["text", "json"]) == "choose one of json, text"
