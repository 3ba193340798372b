"""The verdict in text and Markdown: at the top, in full, and safe to show."""

import datetime as dt
import re

import pytest
from msgspec import structs
from report_factory import HOSTILE, digits, gated, hostile, inconclusive

from covscan.config.policy import Budget, Policy, Suppression
from covscan.gate import judge
from covscan.render import Look, render
from covscan.render.names import printable

TODAY = dt.date(2026, 3, 1)


def text(report, **look):
    return render(report, "text", Look(**look))


def changed(report, **fields):
    return structs.replace(report, gate=structs.replace(report.gate, **fields))


@pytest.mark.parametrize(("made", "verdict"), [(gated, "failed"), (inconclusive, "inconclusive")])
@pytest.mark.parametrize("form", ["text", "markdown"])
def test_the_verdict_is_the_first_heading(made, verdict, form):
    rows = render(made(), form, Look()).splitlines()
    headings = [row.lstrip("# ") for row in rows if row.startswith(("## ", "Gate: "))]
    assert headings[0] == f"Gate: {verdict}"


def test_a_report_without_a_gate_has_no_word_of_it():
    assert "Gate" not in text(digits())


def test_every_budget_stands_in_the_table_the_gravest_first():
    shown = text(gated())
    rows = shown[shown.index("outcome") : shown.index("Baseline")].splitlines()[2:]
    assert [row.split()[1] for row in rows[:5]] == ["exceeded"] + ["inconclusive"] * 4
    assert [row.split()[0] for row in rows[5:9]] == ["met", "met", "met", "off"]
    assert {name for row in rows for name in row.split()} > {each.budget for each in gated().gate.budgets}


def test_the_gates_own_findings_are_not_told_twice():
    shown = text(gated())
    assert any(each.code == "COV901" for each in gated().findings)
    assert "COV901" not in shown[: shown.index("Next")]
    assert "covscan rule COV901" in shown[shown.index("Next") :]


def test_suppressed_findings_come_last_with_their_reason():
    shown = text(gated())
    found = shown[shown.index("Findings: ") : shown.index("Suggestions")]
    assert found.startswith("Findings: 2 warnings, 2 not counted\n")
    first, second = found.strip().splitlines()[-2:]
    assert "not counted (gates are meant to be sure): 37 %" in first
    assert "not counted (left out by select or ignore)" in second
    colored = render(gated(), "text", Look(color=True))
    assert "\x1b[2mnot counted (gates are meant to be sure)" in colored


def test_what_is_suppressed_is_not_what_to_read_about_first():
    made = digits()
    by = Policy(suppressions=(Suppression(codes=["COV203"], reason="known"),))
    assert "covscan rule COV204" in text(judge(made, by, TODAY))
    all_of_them = Policy(suppressions=(Suppression(codes=["*"], reason="known"),))
    shown = text(judge(made, all_of_them, TODAY))
    assert "Findings: 4 not counted" in shown
    assert "covscan rule" not in shown


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"fail_on": "never"}, "Findings don't fail; budgets of preset none and covscan.toml."),
        ({"config": None, "preset": None}, "Findings fail from warning on."),
        ({"ignored": 0, "baseline": None, "suppressions": []}, "0 findings of"),
    ],
)
def test_what_was_judged_by_is_said(fields, said):
    shown = text(changed(gated(), **fields))
    assert (said in shown) != (said == "0 findings of")
    assert ("left out of the verdict" in shown) == ("ignored" not in fields)


def test_a_baseline_that_could_not_be_used_says_why_if_it_can():
    found = inconclusive()
    assert "Baseline covscan-baseline.json: absent: there is no such file." in text(found)
    bare = structs.replace(found.gate.baseline, reasons=[])
    assert "Baseline covscan-baseline.json: absent." in text(changed(found, baseline=bare))
    compared = structs.replace(gated().gate.baseline, reasons=[])
    assert "0 missing." in text(changed(gated(), baseline=compared))


def test_limits_on_either_side_and_without_one_are_shown():
    budgets = [
        structs.replace(gated().gate.budgets[0], min=least, max=most)
        for least, most in ((None, 1.0), (0.25, None), (0.25, 1.0), (None, None))
    ]
    made = changed(gated(), budgets=budgets)
    assert all(limit in text(made) for limit in ("  ≤ 1  ", "  ≥ 0.25  ", "  0.25 to 1  "))
    assert all(limit in text(made, unicode=False) for limit in ("  <= 1  ", "  >= 0.25  "))


def test_an_interval_without_an_upper_end_says_so():
    budgets = [structs.replace(gated().gate.budgets[0], high=None)]
    assert "2.40 [2.16, unknown]" in text(changed(gated(), budgets=budgets))


def test_names_that_try_to_be_something_else_stay_names():
    policy = Policy(
        fail_on="warning",
        budgets=tuple((name, Budget(measure="gaussian_w2", sites=[name], max=0.1)) for name in HOSTILE),
        suppressions=tuple(Suppression(codes=["COV203"], sites=[name], reason=name) for name in HOSTILE[:3]),
        config=HOSTILE[0],
    )
    judged = judge(hostile(), policy, TODAY)
    shown = text(judged)
    assert "\x1b" not in shown
    assert all(printable(name) in shown for name in HOSTILE)
    markdown = render(judged, "markdown", Look())
    assert "<script>" not in markdown.replace("`</td><script>alert(1)</script>`", "")
    budgets = markdown[markdown.index("| outcome |") : markdown.index("## Shift")].strip().splitlines()
    rows = [row for row in budgets if row.startswith("| ")]
    assert len(rows) == len(HOSTILE) + 2
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {9}


@pytest.mark.parametrize("width", [72, 80, 100, 200])
def test_a_narrow_terminal_says_what_it_leaves_out(width):
    shown = text(gated(), width=width, terminal=True)
    gate = shown[: shown.index("Shift since")]
    left_out = {72: "n, sites, where, what", 80: "n, sites, where", 100: None, 200: None}[width]
    assert ("Too narrow" in gate) == (left_out is not None)
    assert left_out is None or f"Too narrow to show: {left_out} (-f json has them)." in " ".join(gate.split())
    assert max(map(len, gate.splitlines())) <= width
