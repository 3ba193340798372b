"""The budget that a report proposes for the next run."""

import tomllib

import pytest
from hypothesis import given
from judged_factory import TODAY, measure, moved, policy, report, shift, site
from test_gate_laws import reports

from covscan.config.policy import Check
from covscan.gate import judge
from covscan.gate.policy import build_policy
from covscan.gate.proposal import as_toml, proposals
from covscan.report import read


def test_limits_are_a_quarter_above_the_upper_end():
    made = moved((1.0, 0.9, 1.1), (0.4, 0.3, 0.5), (0.2, 0.1, 2.64))
    assert {each.name: each.budget.max for each in proposals(made)} == {"worst-shift": 3.3, "median-shift": 1.4}
    assert as_toml(made) == (
        '[budgets.worst-shift]\nmeasure = "gaussian_w2"\n'
        "max = 3.3  # now gaussian_w2 1.00 [0.90, 1.10] at l0 (output) from a to b\n\n"
        '[budgets.median-shift]\nmeasure = "gaussian_w2"\nover = "median"\n'
        "max = 1.4  # now median gaussian_w2 of 3 sites: 0.40 [0.30, 1.10]\n"
    )


@pytest.mark.parametrize("name", ["digits-sigmoid/report-plain.json", "conv-onnx/report.json"])
@pytest.mark.parametrize("preset", ["none", "finetune"])
def test_what_is_pasted_is_a_configuration_that_the_report_meets(samples, name, preset):
    made = read(samples / name)
    tables = tomllib.loads(as_toml(made))["budgets"]
    assert list(tables) == ["worst-shift", "median-shift", "own-shift"]
    gate = judge(made, build_policy(Check(preset=preset), tables), TODAY).gate
    assert {each.outcome for each in gate.budgets if each.budget in tables} == {"met"}


@given(reports())
def test_a_report_meets_what_it_proposes(made):
    budgets = {each.name: each.budget for each in proposals(made)}
    assert all(0 < budget.max < float("inf") for budget in budgets.values())
    assert {each.outcome for each in judge(made, policy(budgets=budgets), TODAY).gate.budgets} <= {"met"}
    tomllib.loads(as_toml(made))


@pytest.mark.parametrize(
    "made",
    [
        report([site("l0", points=("a",))], points=("a",)),
        report([site("l0")], [shift("l0", gaussian_w2=measure(0.0, 0.0, 0.0))]),
        moved((1.0, False)),
    ],
)
def test_nothing_is_proposed_where_nothing_moved_or_nothing_is_known(made):
    assert as_toml(made) == ""


def test_a_name_with_a_line_break_stays_in_its_comment():
    made = report([site("a\nb = 1")], [shift("a\nb = 1", gaussian_w2=measure(1.0))])
    assert tomllib.loads(as_toml(made))["budgets"]["worst-shift"] == {"measure": "gaussian_w2", "max": 1.4}
