"""Suppressions: what they take out of the verdict, until when, and what is said of those that do nothing."""

import datetime as dt

import pytest
from judged_factory import TODAY, finding, policy, report, site
from msgspec import structs

from covscan.config.policy import Budget, Suppression
from covscan.gate import counted, judge
from covscan.gate.suppressions import suppress

FOUND = [finding("COV201", "error", "fc1"), finding("COV201", "warning", "fc2"), finding("COV101", "warning")]


def suppression(*codes, sites=("*",), reason="known", expires=None):
    return Suppression(codes=list(codes), sites=list(sites), reason=reason, expires=expires)


def reasons(*suppressions, today=TODAY):
    return [each.suppressed for each in suppress(FOUND, suppressions, today)[0]]


def test_codes_and_sites_choose_the_findings():
    assert reasons(suppression("COV201")) == ["known", "known", None]
    assert reasons(suppression("COV2*", sites=("fc2",))) == [None, "known", None]
    assert reasons(suppression("COV301", "COV1*")) == [None, None, "known"]
    assert reasons(suppression("*", sites=("fc*",))) == ["known", "known", None]
    assert reasons(suppression("*", sites=("fc1", "*"))) == ["known", "known", "known"]


def test_the_first_that_matches_gives_the_reason_and_both_are_used():
    made = (suppression("COV2*", reason="first"), suppression("COV201", sites=("fc2",), reason="second"))
    findings, results = suppress(FOUND, made, TODAY)
    assert [each.suppressed for each in findings] == ["first", "first", None]
    assert [(each.suppressed, each.status) for each in results] == [(2, "used"), (1, "used")]


@pytest.mark.parametrize(
    ("expires", "status", "count"), [(TODAY, "used", 2), (TODAY - dt.timedelta(1), "expired", 0), (None, "used", 2)]
)
def test_a_suppression_holds_on_its_last_day(expires, status, count):
    findings, results = suppress(FOUND, [suppression("COV201", expires=expires)], TODAY)
    assert (results[0].status, results[0].suppressed) == (status, count)
    assert results[0].expires == (expires and expires.isoformat())
    assert [each.suppressed for each in findings[:2]] == (["known", "known"] if count else [None, None])


def test_suppressed_findings_count_nowhere():
    made = report([site("fc1"), site("fc2")], findings=FOUND)
    by = policy(suppressions=(suppression("COV201"),), budgets={"few": Budget(findings=["*"], max=1)}, fail_on="error")
    judged = judge(made, by, TODAY)
    assert judged.gate.verdict == "passed"
    assert judged.gate.budgets[0].value == 1
    assert [each.suppressed for each in judged.findings] == ["known", "known", None]
    assert [each.code for each in counted(made, by, TODAY).findings] == ["COV101"]
    assert judge(made, structs.replace(by, suppressions=()), TODAY).gate.verdict == "failed"


def test_what_is_left_out_by_select_leaves_no_suppression_unused():
    by = policy(suppressions=(suppression("COV201"),), select=("COV1*",))
    judged = judge(report([site("fc1")], findings=FOUND), by, TODAY)
    assert judged.gate.suppressions[0].status == "used"
    assert judged.gate.ignored == 0


def test_suppressions_of_no_use_are_reported_and_pass():
    by = policy(
        suppressions=(
            suppression("COV216", sites=("relu*",), reason="sparse"),
            suppression("COV301", expires=dt.date(2026, 2, 28)),
        ),
        fail_on="info",
    )
    judged = judge(report([site("fc1")]), by, TODAY)
    assert [(each.code, each.severity, each.message) for each in judged.findings] == [
        ("COV905", "warning", "nothing is suppressed by COV216 at relu* (sparse)"),
        ("COV906", "warning", "the suppression of COV301 (known) expired on 2026-02-28"),
    ]
    assert judged.gate.verdict == "passed"


def test_an_earlier_gates_marks_are_taken_out():
    marked = [structs.replace(each, suppressed="before") for each in FOUND]
    judged = judge(report([site("fc1")], findings=marked), policy(), TODAY)
    assert [each.suppressed for each in judged.findings] == [None, None, None]
