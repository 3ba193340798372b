"""The annotations as GitHub's runner reads them."""

import re

import pytest
from report_factory import HOSTILE, KINDS, annotated, finding, report

from covscan.render import render
from covscan.render.as_github import MOST
from covscan.render.names import printable
from covscan.report.types import Site

COMMAND = re.compile(r"::(?P<level>\w+)(?: (?P<properties>[^:]*(?::(?!:)[^:]*)*?))?::(?P<message>.*)")


def read(text):
    """(level, properties, message) of each line that the runner takes for a command, unescaped as it does."""
    found = []
    for line in text.split("\n"):
        if line.lstrip().startswith("::"):
            match = COMMAND.fullmatch(line.lstrip())
            pairs = (part.split("=", 1) for part in (match["properties"] or "").split(","))
            found.append((match["level"], {name: unescape(value) for name, value in pairs}, unescape(match["message"])))
    return found


def unescape(text):
    for code, sign in (("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
        text = text.replace(code, sign)
    return text


def annotations(found):
    return read(render(found, "github"))


def test_an_annotation_names_rule_site_file_and_line():
    level, properties, message = annotations(annotated())[0]
    assert level == "error"
    assert properties == {
        "file": "src/nets/é net.py",
        "line": "12",
        "title": "COV103 nonfinite-activations (blocks.1.conv)",
    }
    assert message == "NaN in 3 % of values, 5::6"


def test_the_gravest_come_first_and_what_is_suppressed_is_left_out():
    found = annotations(annotated())
    assert [level for level, _, _ in found] == ["error", "error", "warning", "warning", "notice", "notice"]
    assert not [title for _, properties, _ in found if "COV217" in (title := properties["title"])]


def test_without_a_line_of_its_own_a_finding_is_shown_at_the_configuration():
    assert [p["file"] for _, p, _ in annotations(annotated()) if "whole run" in p["title"]] == ["configs/a b.toml"] * 2


def many(**counts):
    named = {"error": "COV103", "warning": "COV201", "info": "COV101"}
    return report(
        [],
        [],
        findings=[
            finding(named[severity], "rule", severity, f"site{number}", "says so")
            for severity, count in reversed(counts.items())
            for number in range(count)
        ],
    )


@pytest.mark.parametrize(
    ("counts", "shown", "said"),
    [
        ({"error": 10, "warning": 10, "info": 10}, [10, 10, 10], None),
        ({"error": 11, "warning": 1, "info": 0}, [10, 1, 1], "1 error more: the report has them all"),
        ({"error": 0, "warning": 10, "info": 11}, [0, 10, 10], "2 notices more: the report has them all"),
        ({"error": 0, "warning": 12, "info": 10}, [0, 10, 10], "2 warnings and 1 notice more: the report has them all"),
    ],
)
def test_no_more_than_ten_of_a_level_and_the_rest_is_counted(counts, shown, said):
    found = annotations(many(**counts))
    levels = [level for level, _, _ in found]
    assert [levels.count(level) for level in ("error", "warning", "notice")] == shown
    assert max(shown) <= MOST
    told = [message for _, properties, message in found if properties["title"] == "covscan"]
    assert told == ([said] if said else [])


def test_the_log_ends_with_a_line_that_is_no_command():
    assert render(KINDS["quiet"](), "github") == "covscan: no findings\n"
    assert render(annotated(), "github").endswith("\ncovscan: 2 errors, 2 warnings, 2 notices; the gate says failed\n")


@pytest.mark.parametrize("name", [*HOSTILE, "\r\n::set-output name=x::y", "x\n##[error]y", "%0A::error::z"])
def test_a_hostile_name_gives_one_annotation_and_no_command_of_its_own(name):
    hostile = report([], [], findings=[finding("COV203", name, "warning", name, f"{name} moved")])
    found = annotations(hostile)
    assert [level for level, _, _ in found] == ["warning"]
    assert found[0][1] == {"file": "nets.py", "line": "1", "title": printable(f"COV203 {name} ({name})")}
    assert found[0][2] == printable(f"{name} moved")
    assert len(render(hostile, "github").splitlines()) == 2


def test_a_hostile_file_name_stays_a_property():
    hostile = annotated().sites[0]
    place = type(hostile.source)(file="a,line=9::x%\n.py", line=1)
    moved = Site(
        **{name: getattr(hostile, name) for name in hostile.__struct_fields__ if name != "source"}, source=place
    )
    found = annotations(report([], [moved], findings=[finding("COV201", "r", "info", moved.site, "m")]))
    assert found[0][1]["file"] == "a,line=9::x%\\x0a.py"
    assert found[0][1]["line"] == "1"
