"""From a report and a policy to a verdict."""

import pytest
from judged_factory import TODAY, finding, moved, policy, report, site
from msgspec import structs

from covscan.config.policy import Budget, Suppression
from covscan.gate import judge, ungated
from covscan.gate.judging import IGNORED
from covscan.gate.selection import at_least
from covscan.report import SCHEMA_VERSION, from_json, to_json
from covscan.report.gate import BaselineResult, Regression

W2 = "gaussian_w2"
MET = Budget(measure=W2, max=3.0)
CROSSED = Budget(measure=W2, max=1.05)
EXCEEDED = Budget(measure=W2, max=0.5)
WARNED = Budget(measure=W2, max=0.5, level="warn")
UNJUDGED = Budget(measure=W2, max=0.5, sites=["gone"])
UNJUDGED_WARN = Budget(measure=W2, max=0.5, sites=["gone"], level="warn")


def baseline(status="compared", **changes):
    known = {
        "source": "b.json", "reasons": [], "compared": 3, "improved": 0, "added": [], "missing": [], "regressions": [],
    }  # fmt: skip
    return BaselineResult(status=status, **(known | changes))


REGRESSION = Regression(
    site="l0", position="output", subject=W2, span="first-to-last", baseline=0.5, value=1.0, tolerance=0.1
)


@pytest.mark.parametrize(
    ("budgets", "severities", "fail_on", "against", "verdict", "code"),
    [
        ((MET,), (), "error", None, "passed", 0),
        ((), (), "error", None, "passed", 0),
        ((CROSSED,), (), "error", None, "passed", 0),
        ((WARNED, MET), (), "error", None, "passed", 0),
        ((WARNED, CROSSED, UNJUDGED_WARN), (), "info", None, "passed", 0),
        ((EXCEEDED,), (), "never", None, "failed", 1),
        ((UNJUDGED,), (), "error", None, "inconclusive", 4),
        ((UNJUDGED, EXCEEDED), (), "error", None, "failed", 1),
        ((MET,), ("error",), "error", None, "failed", 1),
        ((MET,), ("warning",), "error", None, "passed", 0),
        ((MET,), ("warning",), "warning", None, "failed", 1),
        ((MET,), ("info",), "warning", None, "passed", 0),
        ((MET,), ("info",), "info", None, "failed", 1),
        ((MET,), ("error",), "never", None, "passed", 0),
        ((UNJUDGED,), ("error",), "error", None, "failed", 1),
        ((MET,), (), "error", baseline(), "passed", 0),
        ((MET,), (), "error", baseline(improved=2, added=["l9"]), "passed", 0),
        ((MET,), (), "info", baseline(improved=2, added=["l9"]), "passed", 0),
        ((MET,), (), "error", baseline(regressions=[REGRESSION]), "failed", 1),
        ((MET,), (), "error", baseline("absent"), "inconclusive", 4),
        ((MET,), (), "error", baseline("incompatible", reasons=["other data"]), "inconclusive", 4),
        ((MET,), (), "error", baseline("incompatible", regressions=[REGRESSION]), "failed", 1),
        ((EXCEEDED,), (), "error", baseline("absent"), "failed", 1),
    ],
)
def test_failed_outweighs_inconclusive_and_that_passed(budgets, severities, fail_on, against, verdict, code):
    made = moved(1.0, findings=[finding("COV201", severity, "l0") for severity in severities])
    by = policy(budgets={f"b{number}": budget for number, budget in enumerate(budgets)}, fail_on=fail_on)
    gate = judge(made, by, TODAY, against).gate
    assert (gate.verdict, gate.exit_code) == (verdict, code)
    assert all(reason.endswith(".") for reason in gate.reasons)
    assert len(gate.reasons) == len(set(gate.reasons)) > 0


def test_nothing_measured_is_never_green():
    gate = judge(report([], findings=[finding("COV105", "info")]), policy(), TODAY).gate
    assert (gate.verdict, gate.exit_code, gate.reasons) == ("inconclusive", 4, ["Nothing was measured."])
    broken = report([], findings=[finding("COV104", "error")])
    assert judge(broken, policy(), TODAY).gate.exit_code == 1


def test_the_gravest_reason_comes_first():
    budgets = {"crossed": CROSSED, "warned": WARNED, "unjudged": UNJUDGED, "exceeded": EXCEEDED}
    found = [finding("COV201", "error", "l0"), finding("COV216", "warning", "l1"), finding("COV217", "error")]
    against = baseline("incompatible", reasons=["other data"], regressions=[REGRESSION])
    gate = judge(moved(1.0, findings=found), policy(budgets=budgets, fail_on="warning"), TODAY, against).gate
    assert [reason.split(":")[0] for reason in gate.reasons] == [
        "exceeded",
        "1 value beyond the baseline, the farthest",
        "3 findings of severity warning or graver",
        "unjudged",
        "The baseline b.json cannot be used",
        "warned",
        "crossed",
    ]
    assert gate.reasons[2].endswith(": COV201 at l0, COV216 at l1, COV217 at the whole run.")


def test_a_passed_gate_says_what_it_looked_at():
    def first(**fields):
        return judge(moved(1.0), policy(**fields), TODAY).gate.reasons[0]

    assert first(budgets={"one": MET}) == "1 budget met; no finding of severity error."
    assert first(fail_on="warning") == "No budget to judge; no finding of severity warning or graver."
    assert first(fail_on="never") == "No budget to judge; findings do not count."


def test_select_ignore_and_sites_leave_findings_out_of_the_verdict_and_in_the_report():
    found = [finding("COV201", "error", "l0"), finding("COV216", "error", "l1"), finding("COV101", "error")]
    made = moved(1.0, findings=found)

    def judged(**fields):
        by = policy(budgets={"all": Budget(findings=["*"], max=99)}, **fields)
        return judge(made, by, TODAY)

    def counted(**fields):
        gate = judged(**fields).gate
        return gate.ignored, gate.budgets[0].value

    assert counted() == (0, 3)
    assert counted(select=("COV2*",)) == (1, 2)
    assert counted(ignore=("COV216",)) == (1, 2)
    assert counted(select=("COV2*",), ignore=("COV216",)) == (2, 1)
    assert counted(site_ignores=(("l*", ("COV2*",)),)) == (2, 1)
    assert counted(site_ignores=(("l1", ("COV201",)),)) == (0, 3)
    assert counted(site_ignores=(("*", ("COV1*",)),)) == (1, 2)
    assert counted(site_ignores=(("l*", ("COV1*",)),)) == (0, 3)
    assert [each.suppressed for each in judged(ignore=("*",)).findings] == [IGNORED] * 3
    assert judged(ignore=("*",)).gate.verdict == "passed"


def test_the_gates_own_findings_come_last_by_code_and_follow_the_records():
    budgets = {"crossed": CROSSED, "exceeded": EXCEEDED, "warned": WARNED}
    judged = judge(moved(1.0, findings=[finding()]), policy(budgets=budgets), TODAY)
    assert [(each.code, each.severity) for each in judged.findings] == [
        ("COV201", "warning"),
        ("COV901", "error"),
        ("COV901", "warning"),
        ("COV902", "warning"),
    ]
    own = judged.findings[1]
    assert (own.name, own.site, own.position, own.checkpoint) == ("budget-exceeded", "l0", "output", "b")
    assert own.evidence["beyond"] == {"l0 (output)": 1.0}
    assert (own.evidence["budget"], own.evidence["max"], own.evidence["value"]) == ("exceeded", 0.5, 1.0)
    assert from_json(to_json(judged)) == judged


def test_what_the_policy_is_stands_in_the_gate():
    by = structs.replace(policy(fail_on="info"), config="covscan.toml", preset="strict")
    gate = judge(moved(1.0), by, TODAY).gate
    assert (gate.fail_on, gate.preset, gate.config) == ("info", "strict", "covscan.toml")


def test_an_ungated_report_is_as_it_was():
    made = moved(1.0, findings=[finding()])
    by = policy(budgets={"one": EXCEEDED}, suppressions=(Suppression(codes=["COV2*"], reason="known"),))
    judged = judge(made, by, TODAY, baseline(regressions=[REGRESSION]))
    assert judged.findings[0].suppressed == "known"
    assert ungated(judged) == made
    assert ungated(made) == made


def test_a_judged_report_has_the_schema_of_this_version():
    old = structs.replace(moved(1.0), schema_version="1.0")
    assert judge(old, policy(), TODAY).schema_version == SCHEMA_VERSION


def test_severities_are_compared_by_their_gravity():
    assert [at_least(each, "warning") for each in ("error", "warning", "info")] == [True, True, False]
    assert not at_least("error", "never")


def test_numbers_do_not_change_sides_when_a_report_is_written():
    made = report([site("l0", std=0.1 + 0.2)])
    by = policy(budgets={"spread": Budget(statistic="std", max=0.3)})
    assert judge(made, by, TODAY).gate.verdict == "failed"
    assert judge(from_json(to_json(made)), by, TODAY).gate.verdict == "passed"
