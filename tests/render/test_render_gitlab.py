"""GitLab's code quality report, by the fields that GitLab documents."""

import json

import pytest
from msgspec.structs import replace
from report_factory import KINDS, annotated, finding, report

from covscan.render import render


def entries(found):
    return json.loads(render(found, "gitlab"))


@pytest.mark.parametrize("kind", KINDS)
def test_every_entry_has_the_fields_that_gitlab_wants(kind):
    found = entries(KINDS[kind]())
    assert isinstance(found, list)
    for entry in found:
        assert set(entry) == {"description", "check_name", "fingerprint", "severity", "location"}
        assert entry["severity"] in {"info", "minor", "major", "critical", "blocker"}
        assert entry["description"].isprintable()
        assert not entry["location"]["path"].startswith(("/", "./", "../"))
        assert entry["location"]["lines"]["begin"] >= 1
    assert len({entry["fingerprint"] for entry in found}) == len(found)


def test_the_gravest_come_first_and_what_is_suppressed_is_left_out():
    found = entries(annotated())
    assert [entry["severity"] for entry in found] == ["critical", "critical", "major", "major", "info", "info"]
    assert "COV217" not in {entry["check_name"] for entry in found}
    assert found[0]["location"] == {"path": "src/nets/é net.py", "lines": {"begin": 12}}
    assert found[0]["description"] == "COV103 nonfinite-activations (blocks.1.conv): NaN in 3 % of values, 5::6"


def test_without_findings_it_is_an_empty_array():
    assert render(KINDS["quiet"](), "gitlab") == "[]\n"


def test_without_any_file_the_configuration_stands_for_it():
    nowhere = report([], [], findings=[finding("COV101", "r", "info", None, "m")])
    nowhere = replace(nowhere, model=replace(nowhere.model, description="net"))
    assert entries(nowhere)[0]["location"] == {"path": "covscan.toml", "lines": {"begin": 1}}
