"""Budgets measured from a report leave headroom above it, and are left out where nothing can be said."""

import datetime as dt
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from covscan.config.policy import Budget, Policy
from covscan.gate import judge
from covscan.gate.measured import MARGIN, how, measured, measured_budgets, round_up
from covscan.report import read
from covscan.report.types import Finding


@pytest.fixture
def plain(samples):
    return read(samples / "digits-sigmoid" / "report-plain.json")


@pytest.fixture
def normalized(samples):
    return read(samples / "digits-sigmoid" / "report-batchnorm.json")


@pytest.fixture
def golden(root):
    return root / "tests" / "golden"


def finding(code, severity="error"):
    return Finding(code=code, name="x", severity=severity, site=None, message="", evidence={})


def with_shift(report, place, measure, **fields):
    """The report with something changed in one measure of the first-to-last shift number ``place``."""
    ends = report.checkpoints[0].id, report.checkpoints[-1].id
    chosen = [shift for shift in report.shifts if (shift.from_, shift.to) == ends][place]
    measures = chosen.measures | {measure: structs.replace(chosen.measures[measure], **fields)}
    shifts = [structs.replace(each, measures=measures) if each is chosen else each for each in report.shifts]
    return structs.replace(report, shifts=shifts)


def with_statistic(report, **fields):
    """The report with statistics changed at the first site's last checkpoint."""
    first, *rest = report.sites
    last = report.checkpoints[-1].id
    statistics = first.statistics | {last: structs.replace(first.statistics[last], **fields)}
    return structs.replace(report, sites=[structs.replace(first, statistics=statistics), *rest])


def without_statistic(report, name):
    sites = [
        structs.replace(
            site, statistics={key: structs.replace(each, **{name: None}) for key, each in site.statistics.items()}
        )
        for site in report.sites
    ]
    return structs.replace(report, sites=sites)


def test_the_budgets_of_a_network_without_normalizations(plain):
    assert measured_budgets(plain) == {
        "shift": Budget(measure="gaussian_w2", max=2.6),
        "excess-shift": Budget(measure="excess_shift", max=2.6),
        "dead-channels": Budget(statistic="dead_channels", max=0.24),
        "saturated-share": Budget(statistic="saturated_share", max=0.05),
        "nonfinite-share": Budget(statistic="nonfinite_share", max=0.0),
        "errors": Budget(findings=["*"], severity="error", max=0.0),
    }


def test_a_network_with_normalizations_has_one_more(normalized):
    assert measured_budgets(normalized)["misused-norms"] == Budget(findings=["COV4*"], max=0.0)


def test_remarks_say_what_was_measured_and_where(plain):
    remarks = {each.name: each.remark for each in measured(plain)}
    assert remarks["shift"] == (
        "measured: 1.68 at sigmoid1 (output), step-0 to step-20000; 1.73 at most with 95 % confidence"
    )
    assert remarks["dead-channels"] == "measured: 0.156 at fc1 (input) at step-20000"
    assert remarks["nonfinite-share"] == "measured: none at step-20000"
    assert remarks["errors"] == "measured: none"
    assert f"times {MARGIN:g}" in how(plain)


def test_the_limit_is_above_every_interval_by_the_margin(plain):
    grown = with_shift(plain, 0, "gaussian_w2", value=4.0, low=3.0, high=5.0)
    assert measured_budgets(grown)["shift"].max == 7.5
    sign = with_shift(plain, 0, "excess_shift", value=-4.0, low=-5.0, high=-3.0)
    assert measured_budgets(sign)["excess-shift"].max == 7.5


def test_a_shift_of_nothing_has_the_limit_that_would_matter(plain):
    still = plain
    for place in range(14):
        still = with_shift(still, place, "gaussian_w2", value=0.0, low=0.0, high=0.0)
    assert measured_budgets(still)["shift"].max == 0.2


def test_a_shift_without_interval_could_not_be_judged_and_gets_no_budget(plain):
    assert "shift" not in measured_budgets(with_shift(plain, 3, "gaussian_w2", low=None, high=None))


def test_a_shift_that_was_not_measured_anywhere_gets_no_budget(plain):
    unmeasured = plain
    for place in range(14):
        unmeasured = with_shift(unmeasured, place, "gaussian_w2", value=None, low=None, high=None)
    assert "shift" not in measured_budgets(unmeasured)


def test_one_checkpoint_has_no_shift(golden):
    found = measured_budgets(read(golden / "single.json"))
    assert "shift" not in found
    assert "dead-channels" in found


def test_nothing_measured_gives_a_budget_of_errors_alone(golden):
    assert list(measured_budgets(read(golden / "nothing.json"))) == ["errors"]
    empty = structs.replace(read(golden / "nothing.json"), checkpoints=[])
    assert list(measured_budgets(empty)) == ["errors"]


@pytest.mark.parametrize(
    ("share", "limit"), [(0.0, 0.05), (0.01, 0.05), (0.4, 0.6), (0.7, 0.85), (0.95, 0.98), (0.99, None), (1.0, None)]
)
def test_a_share_leaves_room_up_to_all(plain, share, limit):
    budget = measured_budgets(with_statistic(without_statistic(plain, "dead_channels"), dead_channels=share)).get(
        "dead-channels"
    )
    assert (None if budget is None else budget.max) == limit


def test_a_statistic_that_is_nowhere_gets_no_budget(plain):
    assert "saturated-share" not in measured_budgets(without_statistic(plain, "saturated_share"))


def test_nan_may_be_no_more_than_it_is(plain):
    assert measured_budgets(with_statistic(plain, nonfinite_share=0.1))["nonfinite-share"].max == 0.15


def test_findings_are_counted_without_those_of_the_gate(normalized):
    found = [
        finding("COV101"),
        finding("COV903"),
        finding("COV401", "info"),
        finding("COV402"),
        finding("COV201", "info"),
    ]
    proposals = {each.name: each for each in measured(structs.replace(normalized, findings=found))}
    assert proposals["errors"].budget.max == 2
    assert proposals["errors"].remark == "measured: 2 (COV101, COV402)"
    assert proposals["misused-norms"].budget.max == 2


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, 0.0), (1.0, 1.0), (1.01, 1.1), (0.2 * 1.5, 0.3), (0.29, 0.29), (0.2901, 0.3), (99.1, 100.0), (1234, 1300.0),
     (0.00012345, 0.00013), (1e-300, 1e-300), (9.99e20, 1e21)],
)  # fmt: skip
def test_rounding_up(value, expected):
    assert round_up(value) == expected


@given(st.floats(1e-12, 1e12))
def test_rounding_up_never_goes_below_nor_far_above(value):
    assert value * (1 - 1e-11) <= round_up(value) <= value * 1.1 * (1 + 1e-9)
    assert math.isfinite(round_up(value))


@pytest.mark.parametrize("name", ["digits-sigmoid/report-plain", "digits-sigmoid/report-batchnorm", "conv-onnx/report"])
def test_a_report_meets_the_budgets_that_were_measured_from_it(samples, name):
    report = read(samples / f"{name}.json")
    budgets = tuple(measured_budgets(report).items())
    judged = judge(report, Policy(preset="none", budgets=budgets, fail_on="never"), dt.date(2026, 1, 1))
    assert budgets
    assert {each.outcome for each in judged.gate.budgets} == {"met"}
