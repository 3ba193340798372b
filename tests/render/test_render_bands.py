"""The percentiles of a site over the checkpoints."""

import pytest
import report_factory as factory
from msgspec import structs
from report_factory import KINDS

from covscan.errors import InputErrors, UsageError
from covscan.render import Look, render
from covscan.render.chart import band, spread_out
from covscan.render.choosing import check_plots, chosen
from covscan.render.names import columns
from covscan.report.types import SameAs


def drawn(report, *plots, **look):
    """The sections of bands alone."""
    text = render(report, "text", Look(plots=plots, **look))
    return text[text.index("Bands of") : text.index("\nFindings")]


def with_statistics(report, name, **by_checkpoint):
    """The report with other statistics of one site at some checkpoints; None leaves a checkpoint out."""
    sites = []
    for site in report.sites:
        if (site.site, site.position) == (name, "output"):
            found = dict(site.statistics)
            for point, change in by_checkpoint.items():
                if change is None:
                    del found[point.replace("_", "-")]
                else:
                    found[point.replace("_", "-")] = structs.replace(found[point.replace("_", "-")], **change)
            sites.append(structs.replace(site, statistics=found))
        else:
            sites.append(site)
    return structs.replace(report, sites=sites)


NOTHING = dict.fromkeys(("p15", "p50", "p85"), None)


@pytest.mark.parametrize("width", [80, 200, None])
@pytest.mark.parametrize("unicode", [True, False])
def test_bands_fit_and_hold_every_checkpoint(width, unicode):
    text = drawn(KINDS["digits"](), "fc3:out", width=width, unicode=unicode)
    if width is not None:
        assert max(map(columns, text.splitlines())) <= width
    assert text.isascii() is not unicode
    chart = text[: text.index("step  ")]
    assert chart.count("●" if unicode else "#") >= 20  # 8 checkpoints, 3 lines, neighbours may share a sign
    assert "step, spread by its logarithm" in chart
    rows = [line.split() for line in text[len(chart) :].splitlines()]
    steps = [row[0] for row in rows if row and row[0].isdecimal() and len(row) > 3]
    assert steps == ["0", "10", "30", "100", "300", "1000", "3000", "10000"]


def test_the_middle_line_is_drawn_between_the_outer_ones():
    lines = [[-3.0, -2.0, -1.0], [0.0, 0.0, 0.0], [1.0, 2.0, 3.0]]
    rows = [row.partition("|")[2] for row in band(lines, [0, 5, 10], ["0", "5", "10"], Look(unicode=False), "step")
            .splitlines()]  # fmt: skip
    middle = next(number for number, row in enumerate(rows) if "o" in row)
    outer = [number for number, row in enumerate(rows) if "." in row]
    assert min(outer) < middle < max(outer)
    assert rows[0].strip("-+") == ""
    assert "5" in rows[-2] or "5" in band(lines, [0, 5, 10], ["0", "5", "10"], Look(), "step")


@pytest.mark.parametrize(
    ("places", "linear"),
    [([0, 50, 100], True), ([0, 1, 1000], False), ([10, 11, 5000], False), ([0, 1], True), ([-5, -4, 900], True)],
)
def test_places_are_spread_by_their_logarithm_only_where_they_would_fall_together(places, linear):
    found = spread_out(places, 70)
    assert (found == places) is linear
    assert found == sorted(found)
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("value", [0.0, 7.5, -1e30, 1e-30])
def test_a_constant_site_is_a_flat_line(value):
    text = band([[value] * 3] * 3, [0, 1, 2], ["0", "1", "2"], Look(unicode=False), "step")
    assert sum("#" in row for row in text.splitlines()) == 1


def test_a_missing_checkpoint_breaks_the_line_and_is_named():
    whole = KINDS["digits"]()
    gap = {"ckpt_00100": {**NOTHING, "status": "no finite value was read"}, "ckpt_00300": None,
           "ckpt_01000": {"nonfinite_share": 0.25}}  # fmt: skip
    text = drawn(with_statistics(whole, "fc3", **gap), "fc3:out", unicode=False)
    assert "n/a at step 100: no finite value was read." in text
    assert "Not measured at step 300." in text
    assert "25% of the values at step 1000 are NaN or infinite and left out." in text
    assert text.count("n/a") >= 7
    assert text.count("o") < drawn(whole, "fc3:out", unicode=False).count("o")


def test_where_nothing_is_known_there_is_no_chart_but_every_reason():
    points = {f"ckpt_{step:05}": {**NOTHING, "status": "no finite value was read"} for step in
              (0, 10, 30, 100, 300, 1000, 3000, 10000)}  # fmt: skip
    text = drawn(with_statistics(KINDS["digits"](), "fc3", **points), "fc3:out")
    assert "┌" not in text
    assert text.count("no finite value was read") == 8


def test_one_checkpoint_has_no_course():
    text = drawn(KINDS["single"](), "conv1")
    assert "┌" not in text
    assert "One checkpoint has no course" in text
    assert "shift:" not in text


def test_what_is_within_noise_is_said_to_be():
    assert "Nothing here stands out of the noise" in drawn(KINDS["quiet"](), "/relu/*")
    assert "(0.25)" in drawn(KINDS["quiet"](), "/relu/*")
    assert "Nothing here stands out" not in drawn(KINDS["digits"](), "fc3:out")


def test_checkpoints_without_steps_stand_in_their_order():
    text = drawn(KINDS["quiet"](), "/conv/Conv_output_0")
    assert "checkpoint, in order" in text
    assert "before-finetune" in text


def test_a_shared_tensor_is_drawn_once_and_says_whose_it_is():
    text = drawn(KINDS["digits"](), "fc2")
    assert text.count("Bands of") == 2
    assert "The same tensor as act1 out." in text
    assert "0.55" not in text.splitlines()[0]
    both = drawn(KINDS["digits"](), "fc2:in", "act1")
    assert both.count("Bands of") == 1


@pytest.mark.parametrize("name", factory.HOSTILE)
def test_hostile_names_stay_on_their_line(name):
    report = factory.hostile()
    text = render(report, "text", Look(plots=(name,), unicode=False))
    assert "\x1b" not in text
    assert "Bands of" in text
    assert "Bands of" in render(report, "markdown", Look(plots=(name,)))


def test_markdown_has_the_chart_as_text():
    text = render(KINDS["digits"](), "markdown", Look(plots=("fc3:out",)))
    assert "```text\n" in text
    assert "## Bands of fc3 (output)" in text


@pytest.mark.parametrize(
    ("word", "message", "hint"),
    [
        ("fc9", "no site matches 'fc9'", "did you mean"),
        ("fc9:in", "no site matches 'fc9'", "did you mean"),
        ("act1:in", "'act1' has no input", "leave out ':in'"),
        ("zzzzzzzz", "no site matches", "lists them"),
    ],
)
def test_an_unknown_site_is_an_error_with_the_nearest(word, message, hint):
    places = [(site.site, site.position) for site in KINDS["digits"]().sites]
    with pytest.raises(UsageError) as caught:
        check_plots(places, [word], "covscan sites lists them")
    assert message in str(caught.value)
    assert hint in str(caught.value)


def test_every_unknown_site_is_named_at_once():
    with pytest.raises(InputErrors) as caught:
        chosen(KINDS["digits"]().sites, ["fc9", "fc8"])
    assert len(caught.value.errors) == 2


def test_a_name_that_ends_like_a_side_is_a_name():
    sites = [factory.site("net:in", 0), factory.site("net", 1), factory.site("a[0]", 2)]
    assert [site.site for site in chosen(sites, ["net:in"])] == ["net:in"]
    assert [site.site for site in chosen(sites, ["net:out"])] == ["net"]
    assert [site.site for site in chosen(sites, ["a[0]"])] == ["a[0]"]
    assert [site.site for site in chosen(sites, ["*"])] == ["net:in", "net", "a[0]"]


def test_a_tensor_whose_original_was_left_out_is_still_found():
    alias = factory.site("b", 1, position="input", same_as=SameAs(site="gone", position="output"))
    assert chosen([alias], ["b"]) == [alias]
