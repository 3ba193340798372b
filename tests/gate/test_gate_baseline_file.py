"""The baseline's file: what it looks like, how it diffs, and what is refused."""

import difflib
import json
from pathlib import Path

import pytest
from baseline_testing import finding, report
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from covscan.config.policy import Tolerances
from covscan.errors import UsageError
from covscan.gate.baseline_file import read, write
from covscan.gate.baseline_types import SCHEMA
from covscan.gate.baseline_values import baseline_of
from covscan.report import from_json
from covscan.report import read as read_report

GOLDEN = Path(__file__).parent.parent / "golden"


def baseline(**more):
    return baseline_of(report(**more), Tolerances())


def lines_changed(before, after):
    """How many lines a diff takes away and adds."""
    found = list(difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm=""))[2:]
    return sum(line.startswith("-") for line in found), sum(line.startswith("+") for line in found)


@pytest.mark.parametrize("name", ["digits", "deep", "hostile", "single", "trained"])
def test_writing_and_reading_give_the_same(name):
    made = baseline_of(read_report(GOLDEN / f"{name}.json"), Tolerances())
    text = write(made)
    assert write(read(text, "it")) == text
    assert write(read(b"\xef\xbb\xbf" + text.encode(), "it")) == text
    assert {value.key: value for value in read(text, "it").values} == {value.key: value for value in made.values}


def test_a_measured_report_and_the_one_read_back_give_the_same_bytes():
    from covscan.report import to_json

    made = report({"fc1": [0.0, 1 / 3, 2 / 3]}, half=1 / 7, noise=1 / 9)
    read_back = from_json(to_json(made))
    assert write(baseline_of(made, Tolerances())) == write(baseline_of(read_back, Tolerances()))


def test_every_entry_has_a_line_of_its_own_and_they_are_sorted():
    made = baseline(findings=[finding("COV205", "fc2"), finding("COV201", "fc1"), finding("COV101")])
    lines = write(made).splitlines()
    values = [json.loads(line.strip().rstrip(",")) for line in lines if line.startswith('    {"span"')]
    assert len(values) == len(made.values) > 8
    keys = [(value["span"], value["site"], value["position"], value["subject"]) for value in values]
    assert keys == sorted(keys)
    assert [line for line in lines if '"code"' in line] == [
        '    {"code": "COV101", "site": null, "errors": 0, "warnings": 1},',
        '    {"code": "COV201", "site": "fc1", "errors": 0, "warnings": 1},',
        '    {"code": "COV205", "site": "fc2", "errors": 0, "warnings": 1}',
    ]
    assert [line for line in lines if '"channels"' in line] == [
        '    {"site": "fc1", "position": "output", "type": "Linear", "channels": 100},',
        '    {"site": "fc2", "position": "output", "type": "Linear", "channels": 100}',
    ]


def test_the_order_of_the_report_does_not_matter():
    made = report()
    turned = replace(made, sites=made.sites[::-1], shifts=made.shifts[::-1])
    assert write(baseline_of(turned, Tolerances())) == write(baseline_of(made, Tolerances()))


def test_one_value_that_changes_changes_one_line():
    before = write(baseline(places={"fc1": [0.0, 0.5, 1.0], "fc2": [0.0, 0.3, 0.2]}))
    after = write(baseline(places={"fc1": [0.0, 0.5, 1.0], "fc2": [0.0, 0.3, 0.25]}))
    assert lines_changed(before, after) == (1, 1)


def test_times_and_hosts_leave_no_trace():
    made = report()
    elsewhere = replace(made, run=replace(made.run, started="2030", seconds=9.0, host="other", command="x"))
    assert write(baseline_of(elsewhere, Tolerances())) == write(baseline_of(made, Tolerances()))


def error_of(content):
    with pytest.raises(UsageError) as caught:
        read(content, "'b.json'")
    assert "'b.json'" in str(caught.value)
    assert caught.value.hint
    return caught.value


TEXT = write(baseline(findings=[finding("COV201", "fc1")]))


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("", "Expecting value"),
        ("{", ""),
        (b"\xff\xfe\x00", "utf-8"),
        ("[" * 200_000, ""),
        ('{"schema": NaN}', "NaN"),
        ('{"a": -Infinity}', "-Infinity"),
        ('{"a": 1e999}', "1e999"),
        ('{"a": ' + "9" * 5000 + "}", "limit"),
        ('{"schema": "x", "schema": "y"}', "'schema' twice"),
        (TEXT.replace('"value": ', '"value": 1.0, "value": ', 1), "'value' twice"),
        ("<<<<<<< HEAD\n" + TEXT, "a merge that was not finished"),
        (b"<<<<<<< HEAD\n" + TEXT.encode(), "a merge that was not finished"),
    ],
    ids=lambda value: str(value)[:24] if len(value) < 99 else "long",
)
def test_what_is_no_json_is_broken(content, found):
    error = error_of(content)
    assert error.code == "broken-baseline"
    assert found in error.found


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("[]", "a JSON list"),
        ("{}", "an empty object"),
        ('{"name": 1, "scripts": 2}', "'name', 'scripts'"),
        ('{"schema": 7}', "'schema'"),
        ('{"schema": "other-baseline 1.0"}', "'schema'"),
        ((GOLDEN / "quiet.json").read_text(), "a report of covscan"),
    ],
    ids=lambda value: value[:24],
)
def test_a_file_of_others_is_foreign(content, found):
    error = error_of(content)
    assert error.code == "foreign-baseline"
    assert found in error.found


@pytest.mark.parametrize("version", ["2.0", "0.9", "10.1", "", "x"])
def test_another_major_version_is_refused(version):
    error = error_of(TEXT.replace(SCHEMA, f"covscan-baseline {version}"))
    assert error.code == "baseline-version"
    assert f"covscan-baseline {version}" in error.found


def test_what_a_newer_minor_version_adds_is_left_out():
    newer = TEXT.replace(SCHEMA, "covscan-baseline 1.7").replace('"engine"', '"novelty": 1, "engine"')
    assert len(read(newer, "it").values) == len(read(TEXT, "it").values)


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ('"noise": 0.05', '"noise": -1', "$.values[0].noise"),
        ('"noise": 0.05', '"noise": "much"', "$.values[0].noise"),
        ('"span": "first-to-last"', '"span": "now"', "$.values[0].span"),
        ('"position": "output"', '"position": "side"', "$.sites[0].position"),
        ('"subject"', '"subjekt"', "subject"),
        ('"samples": 400', '"samples": -4', "$.fingerprint.samples"),
        ('"value": 1.0', '"value": ' + "9" * 400, "$.values["),
        ('"warnings": 1', '"warnings": true', "$.findings[0].warnings"),
    ],
)
def test_a_field_that_is_wrong_is_named(old, new, found):
    assert old in TEXT
    error = error_of(TEXT.replace(old, new, 1))
    assert error.code == "broken-baseline"
    assert found in error.found


@pytest.mark.parametrize(("kind", "first"), [("site", "site"), ("value", "span"), ("finding", "code")])
def test_a_line_that_a_merge_doubled_is_named(kind, first):
    lines = TEXT.splitlines()
    start = f'    {{"{first}"'
    place = next(index for index, line in enumerate(lines) if line.startswith(start))
    lines.insert(place, lines[place].rstrip(",") + ",")
    error = error_of("\n".join(lines))
    assert f"the same {kind} twice" in error.message
    assert "fc1" in error.found


names = st.text(max_size=12)


@given(site=names, code=names, value=st.floats(allow_nan=False, allow_infinity=False), checkpoint=names)
def test_any_name_and_any_number_survive(site, code, value, checkpoint):
    made = baseline(findings=[finding("COV201", "fc1")])
    strange = replace(
        made,
        values=tuple(replace(each, site=site, value=value) for each in made.values[:1]),
        findings=tuple(replace(each, code=code, site=site) for each in made.findings),
        series=replace(made.series, first=checkpoint),
    )
    text = write(strange)
    assert write(read(text, "it")) == text
    assert read(text, "it").values[0].site == site
