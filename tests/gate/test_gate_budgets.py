"""One budget on one report: values, intervals, limits, and what cannot be judged."""

import pytest
from judged_factory import finding, judge_one, measure, moved, report, shift, site, walked
from msgspec import structs

from covscan.config.policy import Budget
from covscan.gate.budgets import judge_budget

W2 = "gaussian_w2"


@pytest.mark.parametrize(
    ("limits", "outcome"),
    [
        ({"max": 3.0}, "met"),
        ({"max": 2.2}, "met"),
        ({"max": 2.0}, "inconclusive"),
        ({"max": 1.6}, "inconclusive"),
        ({"max": 1.5}, "exceeded"),
        ({"min": 1.0}, "met"),
        ({"min": 1.6}, "met"),
        ({"min": 2.0}, "inconclusive"),
        ({"min": 2.3}, "exceeded"),
        ({"min": 1.0, "max": 3.0}, "met"),
        ({"min": 1.0, "max": 1.5}, "exceeded"),
        ({"min": 2.0, "max": 3.0}, "inconclusive"),
        ({"min": 2.3, "max": 2.0}, "exceeded"),
    ],
)
def test_the_interval_is_held_against_the_limit(limits, outcome):
    found = judge_one(moved((1.9, 1.6, 2.2)), measure=W2, **limits)
    assert found.outcome == outcome
    assert (found.value, found.low, found.high) == (1.9, 1.6, 2.2)
    assert (found.site, found.position, found.from_checkpoint, found.checkpoint) == ("l0", "output", "a", "b")
    assert (found.sites, found.samples, found.over, found.subject) == (1, 512, "worst", W2)


def test_an_interval_across_the_limit_says_how_many_samples_there_were():
    found = judge_one(moved((1.9, 1.6, 2.2)), measure=W2, max=2.0)
    assert found.message == (
        "inconclusive at n = 512: gaussian_w2 1.90 [1.60, 2.20] at l0 (output) from a to b, across the limit of 2"
    )


def test_sentences_say_on_which_side():
    assert judge_one(moved(1.0), measure=W2, max=0.5).message.endswith("beyond the limit of 0.5")
    assert judge_one(moved(1.0), measure=W2, min=2).message.endswith("below the lower limit of 2")
    assert judge_one(moved(1.0), measure=W2, max=2).message.endswith("within the limit of 2")


def test_a_level_of_warn_warns():
    assert judge_one(moved(1.0), measure=W2, max=0.5, level="warn").outcome == "warned"


def test_a_level_of_off_judges_nothing():
    found = judge_one(moved(1.0), measure=W2, max=0.5, level="off")
    assert (found.outcome, found.value, found.max) == ("off", None, 0.5)


@pytest.mark.parametrize(
    ("value", "low", "high", "size", "ends"),
    [
        (-1.0, -1.2, -0.8, 1.0, (0.8, 1.2)),
        (-0.1, -0.4, 0.2, 0.1, (0.0, 0.4)),
        (0.1, -0.2, 0.4, 0.1, (0.0, 0.4)),
        (0.5, 0.4, 0.6, 0.5, (0.4, 0.6)),
    ],
)
def test_the_size_counts_and_not_the_sign(value, low, high, size, ends):
    found = judge_one(moved((value, low, high), name="log_variance_ratio"), measure="log_variance_ratio", max=9)
    assert (found.value, found.low, found.high) == (size, *ends)


def test_a_value_below_the_noise_fails_no_gate():
    """Its interval begins at 0: it may be no shift at all, wherever its point lies."""
    noisy = moved((0.3, 0.25, 0.35), noise=0.4)
    assert judge_one(noisy, measure=W2, max=0.1).outcome == "inconclusive"
    assert judge_one(noisy, measure=W2, max=0.1).low == 0.0
    assert judge_one(noisy, measure=W2, max=0.35).outcome == "met"
    assert judge_one(moved((0.3, 0.25, 0.35), noise=0.2), measure=W2, max=0.1).outcome == "exceeded"
    assert judge_one(moved((0.3, 0.25, 0.35), noise=None), measure=W2, max=0.1).outcome == "inconclusive"


def test_the_effect_size_of_the_report_is_not_the_users():
    small = moved((0.1, 0.09, 0.11))
    structs.force_setattr(small.shifts[0].measures[W2], "significant", False)
    assert judge_one(small, measure=W2, max=0.05).outcome == "exceeded"


def test_one_site_wholly_beyond_exceeds_though_another_reaches_farther():
    found = judge_one(moved((3.0, 1.0, 5.0), (2.5, 2.2, 2.8)), measure=W2, max=2.0)
    assert (found.outcome, found.site, found.value) == ("exceeded", "l1", 2.5)


def test_the_worst_of_a_lower_limit_is_the_smallest():
    found = judge_one(moved(0.5, 0.4, 3.0), measure=W2, min=1.0)
    assert (found.outcome, found.site) == ("exceeded", "l1")


def test_where_all_keep_a_limit_alike_none_is_named():
    found = judge_one(report([site("l0"), site("l1")]), statistic="nonfinite_share", max=0)
    assert (found.outcome, found.site, found.value) == ("met", None, 0.0)
    found = judge_one(
        report([site("l1", nonfinite_share=0.1), site("l0", nonfinite_share=0.1)]), statistic="nonfinite_share", max=0
    )
    assert (found.outcome, found.site) == ("exceeded", "l0")


def test_what_is_beyond_for_sure_is_listed_from_the_farthest():
    made = moved((3.0, 2.8, 3.2), (2.1, 1.9, 2.3), (4.0, 3.8, 4.2), 1.0)
    found = judge_budget("it", Budget(measure=W2, max=2.0), made, (), 64)
    assert list(found.beyond.items()) == [("l2 (output)", 4.0), ("l0 (output)", 3.0)]
    found = judge_budget("it", Budget(measure=W2, over="share", beyond=2.0, max=0.1), made, (), 64)
    assert list(found.beyond) == ["l2 (output)", "l0 (output)"]
    found = judge_budget("it", Budget(measure=W2, min=2.0), made, (), 64)
    assert dict(found.beyond) == {"l3 (output)": 1.0}


def test_the_median_has_the_interval_of_the_medians_of_the_ends():
    made = moved((1.0, 0.9, 1.3), (2.0, 1.5, 2.1), (9.0, 1.8, 9.5), (0.5, 0.4, 0.6))
    found = judge_one(made, measure=W2, over="median", max=1.8)
    assert (found.value, found.low, found.high) == (1.5, pytest.approx(1.2), pytest.approx(1.7))
    assert (found.outcome, found.site, found.sites) == ("met", None, 4)
    assert judge_one(made, measure=W2, over="median", max=1.6).outcome == "inconclusive"
    assert judge_one(made, measure=W2, over="median", max=1.1).outcome == "exceeded"
    assert judge_one(made, measure=W2, over="median", max=1.1).message == (
        "median gaussian_w2 of 4 sites: 1.50 [1.20, 1.70], beyond the limit of 1.1"
    )


def test_a_share_has_the_interval_of_what_is_beyond_for_sure_and_perhaps():
    made = moved((1.0, 0.9, 1.1), (0.6, 0.4, 0.8), (0.45, 0.3, 0.6), (0.1, 0.05, 0.15))
    found = judge_one(made, measure=W2, over="share", beyond=0.5, max=0.75)
    assert (found.value, found.low, found.high, found.beyond) == (0.5, 0.25, 0.75, 0.5)
    assert found.outcome == "met"
    assert judge_one(made, measure=W2, over="share", beyond=0.5, max=0.5).outcome == "inconclusive"
    assert judge_one(made, measure=W2, over="share", beyond=0.5, max=0.2).outcome == "exceeded"
    assert judge_one(made, measure=W2, over="share", beyond=0.5, min=0.8).outcome == "exceeded"
    assert judge_one(made, measure=W2, over="share", beyond=0.5, max=0.2).message == (
        "share of 4 sites with gaussian_w2 above 0.5: 50% [25%, 75%], beyond the limit of 20%"
    )


@pytest.mark.parametrize(
    ("span", "value", "pair"),
    [("first-to-last", 0.5, ("a", "d")), ("step-to-step", 0.7, ("b", "c")), ("any", 0.7, ("b", "c"))],
)
def test_the_span_chooses_the_pairs(span, value, pair):
    found = judge_one(walked([0.3, 0.7, 0.2, 0.5]), measure=W2, span=span, max=9)
    assert (found.value, (found.from_checkpoint, found.checkpoint)) == (value, pair)


def test_each_site_is_as_bad_as_its_worst_pair():
    made = walked([0.3, 0.7, 0.2, 0.5])
    assert judge_one(made, measure=W2, span="step-to-step", over="median", max=9).value == 0.7
    assert judge_one(made, measure=W2, span="step-to-step", over="median", min=0.1).value == 0.2
    assert judge_one(made, measure=W2, span="any", over="share", beyond=0.6, max=1).value == 1.0


def shared():
    """One tensor under three names, the last of which alone has an excess, and another of its own."""
    sites = [
        site("act", "output"),
        site("fc", "input", same_as=("act", "output")),
        site("wrap", "output", same_as=("act", "output")),
        site("fc", "output"),
    ]
    shifts = [
        shift("act", gaussian_w2=measure(1.0), excess_shift=measure(None, status="not a layer")),
        shift("wrap", gaussian_w2=measure(1.0), excess_shift=measure(0.4)),
        shift("fc", gaussian_w2=measure(0.2), excess_shift=measure(0.1)),
    ]
    return report(sites, shifts)


def test_sites_that_share_a_tensor_count_once():
    found = judge_one(shared(), measure=W2, over="median", max=9)
    assert (found.sites, found.value) == (2, 0.6)
    assert judge_one(shared(), statistic="std", over="median", max=9).sites == 2


def test_a_shared_tensor_is_judged_under_the_name_that_was_asked_for():
    found = judge_one(shared(), measure=W2, sites=["fc"], max=9)
    assert (found.sites, found.site, found.position, found.value) == (2, "fc", "input", 1.0)
    assert judge_one(shared(), measure="excess_shift", max=9).site == "wrap"


def test_a_shared_tensor_goes_by_the_name_that_it_was_measured_under():
    made = report([site("a", "input", same_as=("z", "output"), std=2.0), site("z", std=2.0)])
    assert judge_one(made, statistic="std", max=1).site == "z"


def test_a_statistic_is_judged_at_the_point_with_its_sign():
    made = report([site("l0", mean=-2.0), site("l1", mean=0.5)])
    found = judge_one(made, statistic="mean", max=0.4)
    assert (found.outcome, found.site, found.value) == ("exceeded", "l1", 0.5)
    assert (found.low, found.high, found.checkpoint, found.from_checkpoint) == (None, None, "b", None)
    assert found.message == "mean 0.50 at l1 (output) at b, beyond the limit of 0.4"
    assert judge_one(made, statistic="mean", min=-1.0).site == "l0"
    assert judge_one(made, statistic="mean", max=0.5).outcome == "met"
    assert judge_one(made, statistic="samples", min=512).outcome == "met"


def test_a_statistic_is_looked_at_last_or_wherever_it_was_worst():
    made = report([site("l0", by_checkpoint={"a": {"nonfinite_share": 0.2}})])
    assert judge_one(made, statistic="nonfinite_share", max=0).outcome == "met"
    found = judge_one(made, statistic="nonfinite_share", checkpoint="any", max=0)
    assert (found.outcome, found.checkpoint) == ("exceeded", "a")


def test_findings_are_counted_by_code_severity_and_site():
    found = [
        finding("COV216", "info", "fc1"),
        finding("COV216", "warning", "fc2"),
        finding("COV401", "error", "norm"),
        finding("COV101", "warning"),
    ]
    made = report([site("fc1"), site("fc2"), site("norm")])

    def count(**fields):
        return judge_one(made, counting=found, max=0, **fields).value

    assert count(findings=["*"]) == 4
    assert count(findings=["COV216"]) == 2
    assert count(findings=["COV216"], severity="warning") == 1
    assert count(findings=["COV2*", "COV4*"], severity="warning") == 2
    assert count(findings=["*"], severity="error") == 1
    assert count(findings=["*"], sites=["fc*"]) == 2
    assert count(findings=["*"], sites=["fc*", "*"]) == 4
    judged = judge_budget("it", Budget(findings=["COV216"], max=1), made, found, 64)
    assert judged.result.message == "2 findings of COV216, beyond the limit of 1: COV216 at fc1, COV216 at fc2"
    assert (judged.result.over, judged.result.subject, judged.result.sites) == ("count", "findings COV216", 3)
    assert judged.beyond == {"COV216 at fc1": 1, "COV216 at fc2": 1}
    assert judge_one(made, counting=found, findings=["COV101"], max=1).message.endswith("COV101 at the whole run")
    assert judge_one(made, counting=found, findings=["COV5*"], min=1).outcome == "exceeded"
    assert judge_one(made, findings=["COV216"], severity="warning", max=0).message == (
        "0 findings of COV216 from warning on, within the limit of 0"
    )


@pytest.mark.parametrize("fields", [{"measure": W2, "max": 0.1}, {"findings": ["*"], "max": 0}])
def test_too_few_samples_are_not_judged(fields):
    made = moved(1.0, samples=63)
    found = judge_one(made, counting=[finding()], **fields)
    assert (found.outcome, found.value, found.samples) == ("inconclusive", None, 63)
    assert found.message == "not judged: 63 samples read, and at least 64 are asked for (min-samples)"
    assert judge_one(made, counting=[finding()], min_samples=63, **fields).outcome == "exceeded"
    own = Budget(min_samples=8, **fields)
    assert judge_one(made, own, counting=[finding()]).outcome == "exceeded"


@pytest.mark.parametrize("fields", [{"measure": W2}, {"statistic": "std"}, {"findings": ["*"]}])
def test_a_glob_that_matches_no_site_does_not_pass(fields):
    made = moved(0.1, 0.2)
    found = judge_one(made, sites=["l8"], max=9, **fields)
    assert (found.outcome, found.value) == ("inconclusive", None)
    assert found.message in {"not judged: no site matches 'l8'; did you mean 'l0'?",
                             "not judged: no site matches 'l8'; did you mean 'l1'?"}  # fmt: skip


def test_one_of_several_globs_that_matches_nothing_does_not_pass_either():
    made = moved(0.1, 2.0)
    found = judge_one(made, measure=W2, sites=["l0", "encoder.*"], max=1)
    assert (found.outcome, found.message) == ("inconclusive", "not judged: no site matches 'encoder.*'")
    assert judge_one(made, measure=W2, sites=["l1", "encoder.*"], max=1).outcome == "exceeded"


def test_a_site_with_a_name_like_a_glob_is_matched_by_its_name():
    made = report([site("[x]")], [shift("[x]", gaussian_w2=measure(1.0))])
    assert judge_one(made, measure=W2, sites=["[x]"], max=0.5).outcome == "exceeded"


def test_what_was_measured_nowhere_does_not_pass_and_says_why():
    missing = report(
        [site("l0"), site("l1")], [shift("l0", excess_shift=measure(None, status="an input")), shift("l1")]
    )
    found = judge_one(missing, measure="excess_shift", max=1)
    assert (found.outcome, found.value) == ("inconclusive", None)
    assert found.message == "not judged: excess_shift was not measured at any of these sites: an input"
    assert (
        judge_one(missing, measure=W2, max=1).message
        == "not judged: gaussian_w2 was not measured at any of these sites"
    )
    nowhere = judge_one(missing, statistic="saturated_share", max=1)
    assert nowhere.message == "not judged: saturated_share was not measured at any of these sites"
    one = report([site("l0", points=("a",))], points=("a",))
    for span in ("first-to-last", "step-to-step", "any"):
        assert "a shift needs two" in judge_one(one, measure=W2, span=span, max=1).message
    assert judge_one(report([]), measure=W2, max=1).message == "not judged: no site was measured"
    assert judge_one(report([]), findings=["*"], max=1).message == "not judged: no site was measured"
    gone = report([site("l0", points=("a",))])
    assert judge_one(gone, statistic="std", max=1).outcome == "inconclusive"


def test_a_value_without_an_interval_is_not_judged_unless_others_exceed():
    unknown = moved((0.1, False), 0.2)
    found = judge_one(unknown, measure=W2, max=1)
    assert (found.outcome, found.value) == ("inconclusive", None)
    assert found.message == (
        "not judged: gaussian_w2 0.10 at l0 (output) from a to b has no interval, for want of samples"
    )
    assert judge_one(unknown, measure=W2, max=0.1).outcome == "exceeded"
    half = moved((2.0, False), 2.0, 2.0, 2.0)
    found = judge_one(half, measure=W2, over="share", beyond=1, max=0.5)
    assert (found.outcome, found.low, found.high) == ("exceeded", 0.75, 1.0)
    pair = judge_one(moved((2.0, False), 3.0), measure=W2, over="median", max=1)
    assert (pair.outcome, pair.low, pair.high) == ("exceeded", pytest.approx(1.35), None)
    assert "[1.35, unknown]" in pair.message
