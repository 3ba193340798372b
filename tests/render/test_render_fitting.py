"""Documents that are too large for their reader."""

import pytest
from msgspec.structs import replace
from report_factory import checkpoint, finding, report, shifts, site

from covscan.render import Look, as_markdown, render
from covscan.render.blocks import Code, Column, Items, Prose, Section, Table, line
from covscan.render.fitting import SEPARATOR, fitted

LIMIT = as_markdown.LARGEST


def table(rows, text="x" * 20):
    return Table((Column("a"),), tuple((line(f"{text}{number}"),) for number in range(rows)))


def items(count):
    return Items(tuple(line(f"point {number}") for number in range(count)))


def size(texts):
    return sum(len(text.encode()) + SEPARATOR for text in texts)


DOCUMENT = [
    Section("", (Prose(line("head")),)),
    Section("first", (table(40),)),
    Section("details", (table(40), Prose(line("legend"))), detail=True),
    Section("last", (items(40), Code("code"))),
]


def test_what_fits_is_left_alone():
    whole = [as_markdown.drawn(section) for section in DOCUMENT]
    assert fitted(DOCUMENT, as_markdown.drawn, size(whole)) == whole
    assert fitted(DOCUMENT, as_markdown.drawn, size(whole) - 1) != whole


@pytest.mark.parametrize("largest", range(500, 3400, 97))
def test_what_is_written_is_never_larger_and_says_what_is_missing(largest):
    texts = fitted(DOCUMENT, as_markdown.drawn, largest)
    assert size(texts) <= largest
    for section, text in zip(DOCUMENT, texts, strict=True):
        assert text != as_markdown.drawn(section) or "left out" not in text
        assert (text == as_markdown.drawn(section)) != ("for the size of this page" in text)


def test_details_go_first_then_the_end():
    whole = [as_markdown.drawn(section) for section in DOCUMENT]
    bound = size(whole)
    little = fitted(DOCUMENT, as_markdown.drawn, bound - 200)
    assert [a == b for a, b in zip(little, whole, strict=True)] == [True, True, False, True]
    assert "| " + "x" * 20 + "0 |" in little[2]
    assert "legend" in little[2]
    more = fitted(DOCUMENT, as_markdown.drawn, bound - 1300)
    assert [a == b for a, b in zip(more, whole, strict=True)] == [True, True, False, False]


def test_as_many_rows_stay_as_fit():
    section = Section("t", (table(100),))
    row = "\n| " + "x" * 20 + "10 |"
    for largest in range(400, 2000, 11):
        text = fitted([section], as_markdown.drawn, largest)[0]
        assert largest - len(row) < len(text) + SEPARATOR <= largest
        kept = text.count("x" * 20)
        assert f"{100 - kept} rows are left out" in text


def test_a_section_that_is_all_too_large_leaves_its_heading():
    text = fitted([Section("t", (Prose(line("x" * 5000)),))], as_markdown.drawn, 300)[0]
    assert text == "## t\n\nThere is no room for this section, for the size of this page: see the JSON report."


def huge(sites=480, name="encoder.層.{}" + "x" * 900):
    points = [checkpoint(step) for step in range(3)]
    tapped = [site(name.format(depth), depth) for depth in range(sites)]
    found = [finding("COV201", "mean-shift", "warning", one.site, "moved " + "far " * 100) for one in tapped]
    return report(points, tapped, shifts(tapped, points, lambda one, fraction: fraction), findings=found)


@pytest.mark.parametrize("verbose", [False, True])
def test_a_job_summary_stays_within_githubs_bytes(verbose):
    text = render(huge(), "markdown", Look(verbose=verbose))
    assert LIMIT - 10_000 < len(text.encode()) <= LIMIT < 2**20
    assert "rows are left out, for the size of this page" in text
    assert "## Findings" in text
    assert "## Next" in text


def test_the_headline_may_be_too_large_too():
    found = huge(1)
    text = render(replace(found, model=replace(found.model, description="x" * 2_000_000)), "markdown")
    assert len(text.encode()) <= LIMIT
    assert "# covscan\n\nThere is no room" in text
