"""The presets on the reports that come with the sources, and on states that they are for."""

import json

import pytest
from judged_factory import TODAY, finding, measure, moved, report, shift, site
from msgspec import structs

from covscan.config.policy import Check
from covscan.gate import judge
from covscan.gate.policy import build_policy
from covscan.report import from_json, read

REPORTS = {
    "plain": "digits-sigmoid/report-plain.json",
    "batchnorm": "digits-sigmoid/report-batchnorm.json",
    "conv": "conv-onnx/report.json",
    "transformer": "char-transformer/report.json",
}


def gate(made, preset, fail_on="error"):
    return judge(made, build_policy(Check(preset=preset, fail_on=fail_on), {}), TODAY).gate


def outcomes(made, preset):
    return {each.budget: each.outcome for each in gate(made, preset).budgets}


@pytest.mark.parametrize("name", REPORTS)
def test_a_training_from_its_start_passes_the_standard(samples, name):
    found = gate(read(samples / REPORTS[name]), "standard")
    assert (found.verdict, [each.outcome for each in found.budgets]) == ("passed", ["met"] * 3)


@pytest.mark.parametrize("name", ["plain", "batchnorm", "transformer"])
def test_a_training_from_its_start_passes_where_warnings_fail(samples, name):
    """`--fail-on warning` failed every normal training from step 0."""
    assert gate(read(samples / REPORTS[name]), "standard", "warning").verdict == "passed"
    assert gate(read(samples / REPORTS[name]), "strict").verdict == "passed"


def test_what_still_warns_is_a_variance_that_grows_a_thousandfold_over_depth(samples):
    made = read(samples / REPORTS["conv"])
    assert {each.code for each in made.findings if each.severity != "info"} == {"COV211"}
    assert gate(made, "strict").verdict == "failed"


@pytest.mark.parametrize("name", REPORTS)
def test_a_training_from_its_start_is_no_fine_tuning(samples, name):
    found = outcomes(read(samples / REPORTS[name]), "finetune")
    assert (found["median-shift"], found["shifted-sites"], found["own-shift"]) == ("exceeded", "exceeded", "warned")


def tuned(*sizes, head=2.0):
    """A network whose body moved by these sizes and whose head is new."""
    measures = [
        {name: measure(size) for name in ("gaussian_w2", "excess_shift", "linear_cka_distance")}
        for size in (*sizes, head)
    ]
    names = [f"l{number}" for number in range(len(measures))]
    return report(list(map(site, names)), [shift(name, **found) for name, found in zip(names, measures, strict=True)])


def test_fine_tuning_may_move_its_head():
    found = gate(tuned(0.1, 0.2, 0.2, 0.3), "finetune")
    assert found.verdict == "passed"
    assert {each.budget: each.outcome for each in found.budgets}["own-shift"] == "warned"
    assert gate(tuned(0.1, 0.2, 0.2, 0.3, head=0.5), "finetune").reasons == [
        "7 budgets met; no finding of severity error."
    ]


def test_fine_tuning_that_moves_everything_fails():
    found = outcomes(tuned(0.9, 1.0, 1.2, 0.7), "finetune")
    assert [name for name, outcome in found.items() if outcome == "exceeded"] == [
        "median-shift", "shifted-sites", "turned-over-sites"
    ]  # fmt: skip


@pytest.mark.parametrize("preset", ["standard", "strict", "finetune"])
@pytest.mark.parametrize(
    ("broken", "budget"),
    [
        (lambda made: structs.replace(made, sites=[site("l0", nonfinite_share=1e-6)]), "non-finite"),
        (lambda made: structs.replace(made, findings=[finding("COV216", "warning", "l0")]), "dead-units"),
        (lambda made: structs.replace(made, findings=[finding("COV217", "warning", "l0")]), "saturated-units"),
    ],
)
def test_what_is_broken_fails_whatever_the_training(preset, broken, budget):
    made = broken(moved(0.1))
    assert outcomes(made, preset)[budget] == "exceeded"


def test_strict_fails_at_the_first_signs():
    early = moved(0.1, findings=[finding("COV216", "info", "l0"), finding("COV217", "info", "l0")])
    assert gate(early, "standard").verdict == "passed"
    assert outcomes(early, "strict") == {
        "non-finite": "met", "dead-units": "exceeded", "saturated-units": "exceeded", "warnings": "met"
    }  # fmt: skip
    assert outcomes(moved(0.1, findings=[finding("COV401")]), "strict")["warnings"] == "exceeded"


def test_no_preset_judges_findings_alone():
    found = gate(moved(9.0), "none")
    assert (found.verdict, found.budgets) == ("passed", [])


def test_a_report_of_an_earlier_minor_version_is_judged(root):
    old = (root / "tests" / "report" / "report-1.0.json").read_text(encoding="utf-8")
    assert json.loads(old)["schema_version"] == "1.0"
    assert gate(from_json(old), "standard").verdict in {"passed", "failed"}
