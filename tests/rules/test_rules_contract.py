"""What holds for every rule in the registry; a rule without a page, a firing and a quiet case fails here."""

import subprocess
import sys

import pytest
from evidence_factory import evidence
from rule_cases import CASES

from covscan.catalog import RULES, name_of, page, pages
from covscan.catalog.pages import ALL, SECTIONS
from covscan.errors import UsageError
from covscan.registry import resolve
from covscan.rules import judge


@pytest.mark.parametrize("code", RULES)
def test_the_rule_fires_where_it_should(code):
    case = CASES[code]
    found = [finding for finding in judge(case.fires()).findings if finding.code == code]
    assert found
    assert found[0].severity == case.severity
    assert found[0].site == case.site
    assert found[0].name == name_of(code)
    assert found[0].message


@pytest.mark.parametrize("code", RULES)
def test_the_rule_is_quiet_where_it_should_be(code):
    assert [finding for finding in judge(CASES[code].quiet()).findings if finding.code == code] == []


def test_there_is_no_case_for_a_rule_that_is_gone():
    assert set(CASES) == set(RULES)


@pytest.mark.parametrize("code", ALL)
def test_the_page_says_everything(code):
    found = page(code)
    assert found.summary.endswith(".")
    assert found.body.startswith("Severity: ")
    headings = [line.removeprefix("## ") for line in found.body.splitlines() if line.startswith("## ")]
    assert tuple(headings) == SECTIONS
    sections = found.body.split("## ")[1:]
    assert all(len(section.split("\n", 1)[1].split()) >= 3 for section in sections)


@pytest.mark.parametrize("code", RULES)
def test_the_severity_of_the_page_is_the_highest_that_the_case_shows(code):
    order = ("error", "warning", "info")
    assert order.index(page(code).severity) <= order.index(CASES[code].severity)


def test_names_are_unique_and_find_their_page():
    names = [name_of(code) for code in ALL]
    assert len(set(names)) == len(names)
    assert page("mean-shift") == page("cov201") == page(" Mean_Shift ")
    assert [found.code for found in pages()] == sorted(ALL)


def test_an_unknown_rule_is_answered_with_the_nearest():
    with pytest.raises(UsageError) as error:
        page("COV20")
    assert "COV20" in error.value.hint
    with pytest.raises(UsageError) as error:
        page("zzzzzzzz")
    assert "lists them" in error.value.hint


@pytest.mark.parametrize("code", RULES)
def test_each_rule_bears_evidence_of_every_odd_kind(code):
    rule = resolve(RULES[code])
    for odd in (
        evidence([]),
        evidence(steps=(None,)),
        evidence(steps=(None, None, None), samples=1),
        evidence(engine="onnx", masked=True, train_batch_size=1),
    ):
        list(rule(odd))


def test_a_series_without_checkpoints_gives_nothing():
    assert judge(evidence(steps=())).findings == ()


def test_importing_the_rules_and_reading_the_pages_loads_nothing_heavy():
    code = (
        "import sys, covscan.catalog as catalog; catalog.pages(); "
        "print([name for name in ('numpy', 'torch', 'onnx') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_test_of_lightness_can_fail():
    code = "import sys, covscan.measures.norms; print('numpy' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "True"
