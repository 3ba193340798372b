"""The parts of the HTML page, one by one."""

import math

import pytest
from msgspec import structs
from report_factory import KINDS, finding, site

from covscan.render import Look
from covscan.render.blocks import Code, Column, Prose, Section, Span, Table, line
from covscan.render.content.scales import SCALES, scale
from covscan.render.web import findings, packing, subjects, tables
from covscan.render.web.markup import LONG_TABLE, LONGEST_TABLE, Writer, escape
from covscan.report.types import SameAs, SourceLine


def test_a_place_on_a_scale_goes_from_0_to_1_by_magnitude():
    found = scale("gaussian_w2")
    assert [found.place(value) for value in (0.0, 0.1, -1.0, 1.0, 10.0, 164.0)] == [0, 0, 0.5, 0.5, 1, 1]
    linear = scale("kolmogorov_smirnov")
    assert [linear.place(value) for value in (0.0, -0.25, 0.9, 1.2)] == [0, 0.25, 0.9, 1]
    assert scale("of_another_version").title == "of another version"
    assert [tables.step(place) for place in (0, 0.12, 0.5, 0.99, 1)] == [0, 1, 4, 8, 8]


def test_every_measure_has_a_scale():
    from covscan.measures import MEASURES

    assert set(SCALES) == set(MEASURES)
    assert all(0 <= each.low < each.high < math.inf for each in SCALES.values())


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("encoder.0.fc", ["encoder", "0", "fc"]),
        ("/conv/Conv_output_0", ["/conv", "Conv_output_0"]),
        ("a..b", ["a..b"]),
        (".", ["."]),
        ("", [""]),
        ("a/b.c", ["a", "b.c"]),
    ],
)
def test_a_module_path_loses_no_letter(name, parts):
    assert subjects.module_path(name) == parts
    assert ("/" if "/" in name else ".").join(parts) == name


def test_a_site_says_where_it_is_made_and_what_else_it_is():
    one = site("fc", 0, source=SourceLine(file="nets.py", line=7), normalized_by="bn")
    two = site("act", 1, position="input", same_as=SameAs(site="fc", position="output"))
    report = structs.replace(KINDS["single"](), sites=[one, two])
    (found,) = subjects.described(report, subjects.sites_of(report))
    assert ["Made at", "nets.py:7"] in found["facts"]
    assert ["Normalized by", "bn"] in found["facts"]
    assert ["The same tensor as", "act in"] in found["facts"]


def test_evidence_is_told_whatever_it_is_made_of():
    told = {
        "value": 1.23456,
        "none": None,
        "sure": True,
        "sites": {"<a>": 0.5, "b": {"c": 1}},
        "names": ["x", "y"],
        "steps": 3,
    }
    one = structs.replace(finding("COV201", "mean-shift", "info", "gone", "said"), evidence=told)
    drawn = findings.findings(structs.replace(KINDS["single"](), findings=[one]), Look(), {})
    for text in ("1.23", "n/a", "yes", "&lt;a&gt;: 0.50; b: c: 1", "x, y", "<dd>3</dd>", "<code>gone</code>"):
        assert text in drawn
    assert "href" not in drawn


def test_blocks_become_markup_and_text_stays_text():
    writer = Writer({"fc<1>": "layer=fc:out"})
    section = Section(
        "A & B",
        (
            Prose(
                line(Span("<i>", "strong"), " & ", Span("fc<1>", "name"), Span("other", "name"), Span("run", "code"))
            ),
            Code("a < b\n\tc"),
        ),
    )
    drawn = writer.section(section, "key", below="<hr>")
    assert '<h2 id="key-title">A &amp; B</h2>' in drawn
    assert '<strong class="strong">&lt;i&gt;</strong> &amp; ' in drawn
    assert '<a href="#layer=fc:out"><code>fc&lt;1&gt;</code></a><code>other</code><code>run</code>' in drawn
    assert "a &lt; b\n    c" in drawn
    assert drawn.endswith("<hr>\n</section>")
    assert escape("\"'<\x1b") == "&quot;&#x27;&lt;\\x1b"


@pytest.mark.parametrize(("rows", "folded", "cut"), [(LONG_TABLE, False, False), (LONGEST_TABLE + 2, True, True)])
def test_a_long_table_is_folded_and_says_what_it_leaves_out(rows, folded, cut):
    table = Table((Column(""), Column("n", "right")), tuple((line("a"), line(str(row))) for row in range(rows)))
    drawn = Writer().block(table, "Numbers")
    assert drawn.startswith("<details>") == folded
    assert ("2 more rows: see the JSON report" in drawn) == cut
    assert drawn.count("<th ") == 1


def test_what_no_json_holds_is_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        packing.as_json({"value": math.nan})
