"""JUnit XML against the schema that Jenkins uses, and as a CI system counts it."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import xmlschema
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from report_factory import KINDS, annotated, finding, gate, report

from covscan.render import render

SCHEMA = xmlschema.XMLSchema(Path(__file__).parent / "schemas" / "junit-10.xsd")


def junit(found):
    return ET.fromstring(render(found, "junit"))


def cases(found, suite):
    return {case.get("name"): case for case in junit(found).find(f"testsuite[@name='{suite}']")}


@pytest.mark.parametrize("kind", KINDS)
def test_every_report_follows_the_schema(kind):
    SCHEMA.validate(render(KINDS[kind](), "junit"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<testcase ", "<case "),
        (' name="covscan"', ' nom="covscan"'),
        (' time="12.250"', ' time="12s"'),
        (' tests="', ' t="'),
    ],
)
def test_that_test_can_fail(old, new):
    text = render(annotated(), "junit")
    assert old in text
    assert not SCHEMA.is_valid(
        text.replace(old, new).replace("</testcase>", "</case>" if "case" in new else "</testcase>")
    )


@pytest.mark.parametrize("kind", KINDS)
def test_counts_are_those_of_the_cases(kind):
    root = junit(KINDS[kind]())
    for element in (root, *root):
        assert int(element.get("tests")) == len(list(element.iter("testcase")))
        assert int(element.get("failures")) == len(list(element.iter("failure")))
        assert element.get("errors") == "0"
    for suite in root:
        assert int(suite.get("skipped")) == len(list(suite.iter("skipped")))
        names = [case.get("name") for case in suite]
        assert len(set(names)) == len(names)


def test_a_suite_per_rule_and_a_case_per_site():
    names = [suite.get("name") for suite in junit(annotated())]
    assert names[:3] == ["measured", "budgets", "COV101 few-samples"]
    assert "COV901 budget-exceeded" not in names  # the budgets' own suite says it
    assert set(cases(annotated(), "COV201 mean-shift")) == {"blocks.0.conv", "blocks.1.conv", "head"}
    assert set(cases(annotated(), "COV101 few-samples")) == {"whole run"}
    assert "elsewhere" in cases(annotated(), "COV999 of-another-version")


def failing(found):
    return {
        (suite.get("name").split()[0], case.get("name"))
        for suite in junit(found)
        for case in suite
        if case.find("failure") is not None
    }


def test_findings_fail_from_the_gates_severity_on():
    budgets = {("budgets", "shift")}
    errors = {("COV103", "blocks.1.conv")}
    warnings = {("COV201", "blocks.0.conv"), ("COV999", "elsewhere")}
    info = {("COV101", "whole run")}
    expected = {"never": budgets, "error": budgets | errors, "warning": budgets | errors | warnings}
    expected["info"] = budgets | errors | warnings | info
    for fail_on, found in expected.items():
        assert failing(replace(annotated(), gate=gate(fail_on=fail_on))) == found, fail_on


def test_without_a_gate_warnings_fail():
    plain = replace(annotated(), gate=None)
    assert failing(plain) == {
        ("COV103", "blocks.1.conv"),
        ("COV201", "blocks.0.conv"),
        ("COV901", "whole run"),
        ("COV999", "elsewhere"),
    }


def test_a_regression_fails_whatever_the_severity_asked_for():
    found = [finding("COV903", "baseline-regression", "error", "head", "0.9 against 0.3")]
    found += [finding("COV906", "suppression-expired", "warning", None, "since yesterday")]
    regressed = replace(annotated(), findings=found, gate=gate(fail_on="never", budgets=[]))
    assert failing(regressed) == {("COV903", "head")}


def test_findings_of_one_site_are_one_case():
    case = cases(annotated(), "COV201 mean-shift")["blocks.0.conv"]
    assert case.find("failure") is None
    assert case.find("system-out").text.split("\n") == [
        "warning: means moved by 1.2 sd from step 0 to 100",
        "info: means moved by 0.3 sd from step 0 to 50",
    ]
    failed = cases(replace(annotated(), gate=gate(fail_on="warning")), "COV201 mean-shift")["blocks.0.conv"]
    assert failed.find("failure").get("message") == "means moved by 1.2 sd from step 0 to 100"
    assert failed.find("failure").get("type") == "warning"
    assert failed.find("system-out").text == "means moved by 0.3 sd from step 0 to 50"


def skipped(case):
    return case.find("skipped").get("message") if case.find("skipped") is not None else None


def test_what_was_not_judged_is_skipped_with_its_reason():
    measured = cases(annotated(), "measured")
    assert skipped(measured["embed"]) == "the output is made of integers"
    assert skipped(measured["dropout"]) == "never called by the forward pass"
    assert skipped(measured["head"]) is None
    assert measured["head"].find("system-out").text == "NaN alone (at ckpt-00100)"
    budgets = cases(annotated(), "budgets")
    assert skipped(budgets["cka"]) == "the interval crosses the limit at n = 512"
    assert skipped(budgets["unused"]) == "off"
    assert skipped(budgets["dead"]) is None
    assert skipped(budgets["slow"]) is None
    assert skipped(cases(annotated(), "COV217 saturated-units")["head"]) == "suppressed: wanted: see #12"
    bare = report([], [replace(annotated().sites[0], statistics={})])
    assert skipped(cases(bare, "measured")["blocks.0.conv"]) == "no statistics"


def test_the_run_took_its_time():
    root = junit(annotated())
    assert (root.get("time"), root[0].get("time"), root[1].get("time")) == ("12.250", "12.250", "0.000")


@given(st.text(min_size=1))
def test_any_name_gives_xml_that_can_be_read(name):
    found = report([], [], findings=[finding("COV201", name, "warning", name, name)])
    SCHEMA.validate(render(found, "junit"))
