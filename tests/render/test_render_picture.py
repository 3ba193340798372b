import os
import struct
from xml.etree import ElementTree as ET

import pytest
from report_factory import KINDS, deep, digits, wide

from covscan.cli.outputs import check_shown
from covscan.errors import UsageError
from covscan.render import render
from covscan.render.content.shift_rows import rows
from covscan.render.names import printable
from covscan.render.picture_rows import MOST_ROWS, asked_about, distinct, loudest


def said(svg):
    return [text for each in ET.fromstring(svg).iter() if (text := each.text)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_report_has_a_picture(kind):
    svg = render(KINDS[kind](), "svg")
    assert svg.startswith("<svg ")
    assert svg.endswith("</svg>\n")
    assert ("Nothing was measured" in said(svg)) == (kind == "nothing")


def test_a_picture_in_pixels_is_sharp_and_the_same_each_time():
    content = render(digits(), "png")
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", content[16:24])
    assert 1000 < width < 2500
    assert 500 < height < 2500
    assert render(digits(), "png") == content


def test_the_heatmap_says_what_the_table_says():
    texts = said(render(digits(), "svg"))
    for text in (
        "Shift since step 0, by step",
        "fc3 out",
        "2.40",
        "1.28",
        "10000",
        "15th, 50th and 85th percentile of the values",
    ):
        assert text in texts
    assert "fc3 in" not in texts


def test_hostile_names_stay_text_in_a_picture():
    svg = render(KINDS["hostile"](), "svg")
    tags = {each.tag.rpartition("}")[2] for each in ET.fromstring(svg).iter()}
    assert tags <= {"svg", "g", "path", "text", "rect", "line", "defs", "clipPath", "tspan", "style"}
    assert f"{printable('</td><script>alert(1)</script>')} out" in said(svg)


def test_the_bands_are_of_the_sites_that_matter_first():
    assert [(site.site, site.position) for site in asked_about(digits())] == [
        ("fc3", "output"),
        ("act3", "output"),
        ("head", "output"),
    ]
    assert [site.site for site in asked_about(KINDS["trained"]())] == ["fc3", "fc1", "fc2"]  # nothing moved there
    assert [site.site for site in asked_about(KINDS["single"]())] == ["conv1", "relu1"]


def test_a_large_network_shows_its_largest_shifts_in_network_order():
    found = rows(wide(90, 3), verbose=False)
    shown = loudest(found)
    assert len(shown) == MOST_ROWS
    assert [row.site.depth for row in shown] == sorted(row.site.depth for row in shown)
    least = min(row.top for row in shown)
    assert all(row.top <= least for row in found if row not in shown)
    assert any(text.startswith("5 of 49 sites, the largest shifts") for text in said(render(deep(), "svg")))


def test_cut_names_stay_different():
    assert distinct(["a" * 50, "a" * 60], 10) == ["aaaa…aaaaa (1)", "aaaa…aaaaa (2)"]
    assert distinct(["conv", "fc"], 10) == ["conv", "fc"]


def test_pixels_are_not_written_to_a_terminal(monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    with pytest.raises(UsageError) as caught:
        check_shown("png")
    assert caught.value.code == "bad-output"
    assert "-o png=report.png" in caught.value.hint
    check_shown("svg")


def test_pixels_go_to_a_pipe_and_to_a_file_as_they_are(run_covscan, root, tmp_path):
    import subprocess
    import sys

    report = root / "tests" / "golden" / "trained.json"
    line = [sys.executable, "-m", "covscan", "render", str(report), "-f", "png", "-o", f"png={tmp_path / 'r.png'}"]
    done = subprocess.run(line, cwd=root, env={**os.environ}, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (tmp_path / "r.png").read_bytes() == render(KINDS["trained"](), "png")
    assert [path.name for path in tmp_path.iterdir()] == ["r.png"]
