import msgspec
import pytest
from report_factory import KINDS, digits

from covscan.render import Look
from covscan.render.as_text import draw
from covscan.render.content.survey import document
from covscan.report.types import Site


def survey(report, look):
    return draw(document(report.model, report.sites, report.coverage, ["A note."], look), look)


def test_each_site_has_a_row_with_what_it_is():
    sites = [
        msgspec.structs.replace(site, normalized_by="bn1") if site.site == "fc2" else site for site in digits().sites
    ]
    shown = survey(msgspec.structs.replace(digits(), sites=sites), Look()).splitlines()
    assert shown[0] == "nets.py:plain (torch, 28,710 parameters)"
    assert shown[2] == "Sites: 10"
    rows = [line.split() for line in shown[5:15]]
    assert rows[0] == ["fc1", "in", "Linear", "N×100", "1", "100"]
    assert rows[4] == ["fc2", "out", "Linear", "N×100", "1", "100", "normalized", "by", "bn1"]
    both = [line for line in shown if "same as act1 out" in line]
    assert len(both) == 1
    assert both[0].startswith("fc2   in")
    assert shown[-5:] == [
        "Coverage: 10 sites measured, 3 skipped, 1 never fired, 0 non-finite",
        "• 2 skipped, the output is made of integers: embed, position_ids",
        "• 1 skipped, the output has no sample axis: loss at ckpt-00300",
        "• 1 never called by the forward pass: head.dropout",
        "• A note.",
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_it_fits_a_terminal(kind):
    shown = survey(KINDS[kind](), Look(width=80, terminal=True))
    assert max(map(len, shown.splitlines())) <= 80


def test_nothing_to_tap_is_said():
    nothing: list[Site] = []
    shown = survey(msgspec.structs.replace(digits(), sites=nothing), Look(unicode=False))
    assert "Nothing can be tapped." in shown
    assert "Nx100" in survey(digits(), Look(unicode=False))
