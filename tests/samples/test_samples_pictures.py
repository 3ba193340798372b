"""The pictures that README shows: made by a script, from what covscan prints."""

import importlib.util
import re
import xml.etree.ElementTree as ET

import pytest


@pytest.fixture(scope="module")
def script(samples):
    spec = importlib.util.spec_from_file_location("terminal_picture", samples / "pictures" / "terminal.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shown(svg):
    """The text of a picture, row by row."""
    rows = {}
    for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text"):
        if element.get("y") is not None:
            rows.setdefault(float(element.get("y")), []).append("".join(element.itertext()).replace("\xa0", " "))
    return ["".join(parts) for _, parts in sorted(rows.items())]


@pytest.mark.parametrize("name", ["terminal.svg", "terminal-dark.svg"])
def test_a_picture_shows_the_run_and_fetches_nothing(samples, script, name):
    assert set(script.THEMES) == {"terminal.svg", "terminal-dark.svg"}
    svg = (samples / "pictures" / name).read_text(encoding="utf-8")
    assert len(svg) < 100_000
    assert not re.search(r"(src|href|url)\s*[=(]\s*[\"']?\s*(https?:)?//", svg)
    text = "\n".join(shown(svg))
    for said in (
        "covscan analyze --model nets.py:plain",
        "Shift since step 0",
        "Bands of fc3 (output)",
        "1. BatchNorm1d",
    ):
        assert said in text


def test_a_picture_is_what_was_printed(script):
    printed = "head\n\x1b[1mFindings: 2 info\x1b[0m\nhidden\nSuggestions\n1. one\n\nCandidates\nhidden too"
    rows = script.cut(printed)
    assert rows == ["head", script.LEFT_OUT, "", "Suggestions", "1. one"]
    svg = script.picture(["\x1b[31mred <b>&\x1b[0m", "[bold]no markup[/bold]"], script.THEMES["terminal.svg"])
    assert [row.rstrip() for row in shown(svg)][-2:] == ["red <b>&", "[bold]no markup[/bold]"]
    assert svg == script.picture(["\x1b[31mred <b>&\x1b[0m", "[bold]no markup[/bold]"], script.THEMES["terminal.svg"])
