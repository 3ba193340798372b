"""What holds for any budget on any report."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judged_factory import TODAY, finding, judge_one, measure, policy, report, shift, site
from msgspec import structs

from covscan.config.policy import Budget, Suppression
from covscan.gate import judge
from covscan.gate.judging import IGNORED

pytestmark = pytest.mark.fuzz

numbers = st.floats(0, 4, allow_nan=False).map(lambda value: round(value, 2))
GRAVITY = {"met": 0, "inconclusive": 1, "exceeded": 2}


@st.composite
def measures(draw):
    value = draw(numbers)
    below, above = draw(numbers), draw(numbers)
    known = draw(st.booleans()) or draw(st.booleans())
    low = value - below if known else False
    sign = draw(st.sampled_from((1, -1)))
    found = measure(value, low, value + above, noise=draw(st.none() | numbers))
    if sign < 0 and known:
        found = structs.replace(found, value=-found.value, low=-found.high, high=-found.low)
    return found


@st.composite
def reports(draw):
    points = ("a", "b", "c")
    sites, shifts = [], []
    for number in range(draw(st.integers(1, 5))):
        name = f"l{number}"
        same = ("l0", "output") if number and draw(st.integers(0, 4)) == 0 else None
        sites.append(site(name, same_as=same, points=points, std=draw(numbers)))
        for start, to in (("a", "b"), ("b", "c"), ("a", "c")):
            shifts.append(shift(name, start, to, gaussian_w2=draw(measures())))
    return report(sites, shifts, points=points)


budgets = st.builds(
    lambda subject, over, span, beyond: Budget(
        **subject, over=over, span=span, beyond=beyond if over == "share" else None
    ),
    st.sampled_from(({"measure": "gaussian_w2"}, {"statistic": "std"})),
    st.sampled_from(("worst", "median", "share")),
    st.sampled_from(("first-to-last", "step-to-step", "any")),
    numbers,
)


def limited(budget, **limits):
    return structs.replace(budget, **limits)


@given(reports(), budgets, numbers, numbers)
def test_a_wider_limit_is_never_harder_to_keep(made, budget, one, other):
    narrow, wide = sorted((one, other))
    for key, (strict, loose) in {"max": (narrow, wide), "min": (wide, narrow)}.items():
        hard = judge_one(made, limited(budget, **{key: strict})).outcome
        easy = judge_one(made, limited(budget, **{key: loose})).outcome
        assert GRAVITY[easy] <= GRAVITY[hard]


def widened(made, by):
    shifts = []
    for each in made.shifts:
        found = each.measures["gaussian_w2"]
        if found.low is not None:
            found = structs.replace(found, low=found.low - by, high=found.high + by)
        shifts.append(structs.replace(each, measures={"gaussian_w2": found}))
    return structs.replace(made, shifts=shifts)


@given(reports(), budgets, numbers, numbers, st.booleans())
def test_a_wider_interval_decides_nothing(made, budget, bound, by, upper):
    budget = limited(budget, **{"max" if upper else "min": bound})
    before, after = judge_one(made, budget).outcome, judge_one(widened(made, by), budget).outcome
    assert after in {before, "inconclusive"}


@given(reports(), budgets, numbers, st.randoms(use_true_random=False))
def test_the_order_of_sites_changes_nothing(made, budget, bound, random):
    sites, shifts = list(made.sites), list(made.shifts)
    random.shuffle(sites)
    random.shuffle(shifts)
    for limits in ({"max": bound}, {"min": bound}):
        mixed = judge_one(structs.replace(made, sites=sites, shifts=shifts), limited(budget, **limits))
        assert mixed == judge_one(made, limited(budget, **limits))


@given(reports(), budgets, numbers)
def test_a_value_lies_within_its_interval(made, budget, bound):
    found = judge_one(made, limited(budget, max=bound))
    if found.low is not None:
        assert found.low <= found.value
        assert found.high is None or found.value <= found.high


@given(reports(), budgets, numbers)
def test_identical_checkpoints_never_exceed_an_upper_limit_of_shift(made, budget, bound):
    still = measure(0.0, 0.0, 0.0)
    shifts = [structs.replace(each, measures={"gaussian_w2": still}) for each in made.shifts]
    if budget.measure is not None:
        assert judge_one(structs.replace(made, shifts=shifts), limited(budget, max=bound)).outcome == "met"


codes = st.sampled_from(("COV101", "COV201", "COV216", "COV401", "COV501"))
findings = st.lists(
    st.builds(finding, codes, st.sampled_from(("error", "warning", "info")), st.sampled_from((None, "l0", "l1"))),
    max_size=6,
)
suppressions = st.lists(
    st.builds(
        lambda code, glob: Suppression(codes=[code], sites=[glob], reason="known"),
        codes | st.just("COV2*"),
        st.sampled_from(("*", "l0", "l*")),
    ),
    max_size=3,
)


@given(reports(), findings, suppressions, budgets, numbers, st.sampled_from(("error", "warning", "info", "never")))
def test_judging_twice_gives_the_same_and_changes_nothing_that_was_measured(
    made, found, suppressed, budget, bound, fail_on
):
    made = structs.replace(made, findings=found)
    by = policy(
        budgets={"one": limited(budget, max=bound), "findings": Budget(findings=["COV2*"], max=1, level="warn")},
        suppressions=tuple(suppressed),
        ignore=("COV1*",),
        fail_on=fail_on,
    )
    once = judge(made, by, TODAY)
    assert judge(once, by, TODAY) == once
    other = policy(fail_on="never")
    assert judge(judge(made, other, TODAY), by, TODAY) == once
    plain = [structs.replace(each, suppressed=None) for each in once.findings if not each.code.startswith("COV9")]
    assert structs.replace(once, gate=None, findings=plain) == made


@given(reports(), findings, suppressions)
def test_each_finding_is_counted_suppressed_or_ignored(made, found, suppressed):
    by = policy(suppressions=tuple(suppressed), select=("COV2*",), fail_on="info")
    once = judge(structs.replace(made, findings=found), by, TODAY)
    marked = sum(each.suppressed is not None for each in once.findings)
    counted = [each for each in once.findings if each.suppressed is None and each.code.startswith("COV2")]
    assert len(found) == marked + len(counted)
    assert once.gate.ignored == sum(each.suppressed == IGNORED for each in once.findings)
    assert (once.gate.verdict == "failed") == bool(counted)
