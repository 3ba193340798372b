"""Each rule of the gate: a case where it fires, and one, close by, where it must not."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from judged_factory import TODAY, finding, moved, policy
from msgspec import structs
from test_gate_judging import REGRESSION, baseline
from test_gate_suppressions import suppression

from covscan.catalog import GATE_RULES, name_of, page
from covscan.config.policy import Budget
from covscan.gate import judge
from covscan.report.types import Report


@dataclass(frozen=True)
class Case:
    fires: Callable[[], Report]
    quiet: Callable[[], Report]
    severity: str
    message: str
    site: str | None = None


def limited(most, **more):
    return judge(moved(1.0), policy(budgets={"shift": Budget(measure="gaussian_w2", max=most, **more)}), TODAY)


def against(**fields):
    return judge(moved(1.0), policy(), TODAY, baseline(**fields))


def suppressed(**fields):
    made = moved(1.0, findings=[finding("COV201", "info", "l0")])
    return judge(made, policy(suppressions=(suppression("COV201", **fields),)), TODAY)


YESTERDAY = TODAY.replace(month=2, day=28)
CASES = {
    "COV901": Case(
        lambda: limited(0.5), lambda: limited(1.1), "error", "shift: gaussian_w2 1.00 [0.90, 1.10] at", "l0"
    ),
    "COV902": Case(lambda: limited(1.0), lambda: limited(1.1), "warning", "shift: inconclusive at n = 512", "l0"),
    "COV903": Case(
        lambda: against(regressions=[REGRESSION]),
        lambda: against(improved=1),
        "error",
        "gaussian_w2 at l0 (output) from the first checkpoint to the last is 1.00, and the baseline's 0.50 bears 0.10",
        "l0",
    ),
    "COV904": Case(lambda: against(status="absent"), against, "warning", "the baseline b.json cannot be used: absent"),
    "COV905": Case(
        lambda: suppressed(sites=("l1",)),
        lambda: suppressed(sites=("l0",)),
        "warning",
        "nothing is suppressed by COV201",
    ),
    "COV906": Case(
        lambda: suppressed(expires=YESTERDAY), lambda: suppressed(expires=TODAY), "warning", "expired on 2026-02-28"
    ),
    "COV907": Case(
        lambda: against(improved=1, added=["a", "b", "c", "d"]),
        lambda: against(status="incompatible", improved=1),
        "info",
        "the baseline b.json is outdated: 1 value improved, 4 new: a, b, c and 1 more",
    ),
}


def test_every_rule_has_a_case():
    assert set(CASES) == set(GATE_RULES)


@pytest.mark.parametrize("code", GATE_RULES)
def test_the_rule_fires_where_it_should(code):
    case = CASES[code]
    found = [each for each in case.fires().findings if each.code == code]
    assert len(found) == 1
    assert (found[0].severity, found[0].site, found[0].name) == (case.severity, case.site, name_of(code))
    assert case.message in found[0].message
    assert found[0].evidence


@pytest.mark.parametrize("code", GATE_RULES)
def test_the_rule_is_quiet_where_it_should_be(code):
    assert [each for each in CASES[code].quiet().findings if each.code == code] == []


@pytest.mark.parametrize("code", GATE_RULES)
def test_the_page_says_the_highest_severity(code):
    assert page(code).severity == CASES[code].severity


def test_a_budget_of_level_warn_warns():
    found = limited(0.5, level="warn").findings[-1]
    assert (found.code, found.severity) == ("COV901", "warning")


@pytest.mark.parametrize("fields", [{"improved": 2}, {"added": ["l9 (output)"]}])
def test_either_makes_a_baseline_outdated(fields):
    assert [each.code for each in against(**fields).findings] == ["COV907"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"subject": "COV216", "value": 2.0, "baseline": 0.0}, "2 findings of COV216 at l0, and the baseline has 0"),
        ({"subject": "COV104", "site": None}, "1 finding of COV104 at the whole run, and the baseline has 0.5"),
        ({"span": "step-to-step"}, "gaussian_w2 at l0 (output) in its largest step is 1.00"),
        ({"span": "last", "subject": "std", "position": None}, "std at l0 at the last checkpoint is 1.00"),
    ],
)
def test_a_regression_is_put_into_words_by_its_kind(changes, message):
    found = against(regressions=[structs.replace(REGRESSION, **changes)]).findings[-1]
    assert found.message.startswith(message)
