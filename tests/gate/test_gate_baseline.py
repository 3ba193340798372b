"""A report against a baseline: what is a regression, what is not, and when nothing can be said."""

import math
import subprocess
import sys
from pathlib import Path

import pytest
from baseline_testing import finding, report, sampled, site
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from covscan.config.policy import Tolerances
from covscan.errors import UsageError
from covscan.gate.baseline import compared, difference
from covscan.gate.baseline_compare import compare
from covscan.gate.baseline_file import write
from covscan.gate.baseline_noise import KNOWN, NAMES, half_width
from covscan.gate.baseline_tolerance import excess, widening
from covscan.gate.baseline_values import baseline_of
from covscan.report import read

GOLDEN = Path(__file__).parent.parent / "golden"
SAMPLES = Path(__file__).parent.parent.parent / "samples"


def against(before, after, asked=None, **given):
    """The outcome for ``after`` with the baseline that ``before`` makes."""
    tolerances = asked or Tolerances(**given)
    return compare(baseline_of(before, tolerances), baseline_of(after, tolerances), tolerances, "b.json")


def regressed(*arguments, **given):
    return [(each.site, each.subject, each.span) for each in against(*arguments, **given).result.regressions]


@pytest.mark.parametrize("name", ["digits", "deep", "hostile", "single", "quiet", "trained"])
def test_a_report_is_no_regression_of_itself(name):
    result = against(read(GOLDEN / f"{name}.json"), read(GOLDEN / f"{name}.json")).result
    assert (result.status, result.regressions, result.improved, result.reasons) == ("compared", [], 0, [])
    assert result.compared > 0
    assert result.added == result.missing == []


def test_identical_inputs_bear_no_tolerance_at_all():
    assert against(report(), report(), relative=0.0).result.regressions == []


def test_a_value_beyond_its_tolerance_is_a_regression():
    before, after = report({"fc1": [0.0, 1.0]}), report({"fc1": [0.0, 1.2]})
    (found,) = against(before, after, relative=0.1).result.regressions
    assert (found.site, found.position, found.subject, found.span) == ("fc1", "output", "gaussian_w2", "first-to-last")
    assert (found.baseline, found.value, found.tolerance) == (1.0, 1.2, pytest.approx(0.1))
    assert regressed(before, after, relative=0.2) == []
    assert regressed(before, after, absolute=0.21) == []
    assert len(regressed(before, after, absolute=0.19)) == 1


@pytest.mark.parametrize(("given", "borne"), [({"relative": 0.1}, 0.1), ({"absolute": 0.3, "relative": 0.1}, 0.3)])
def test_of_two_tolerances_the_larger_holds(given, borne):
    (found,) = against(report({"fc1": [0.0, 1.0]}), report({"fc1": [0.0, 2.0]}), **given).result.regressions
    assert found.tolerance == pytest.approx(borne)


def test_a_difference_of_exactly_the_tolerance_is_borne():
    assert regressed(report({"fc1": [0.0, 1.0]}), report({"fc1": [0.0, 1.1]}), absolute=0.1) == []


def test_small_steps_that_add_up_are_a_regression_of_the_whole():
    before = report({"fc1": [0.0, 0.1, 0.2, 0.3, 0.4]})
    after = report({"fc1": [0.0, 0.15, 0.3, 0.45, 0.6]})
    assert regressed(before, after, absolute=0.06) == [("fc1", "gaussian_w2", "first-to-last")]


def test_a_jump_that_returns_is_a_regression_of_the_largest_step():
    before = report({"fc1": [0.0, 0.1, 0.2, 0.3, 0.4]})
    after = report({"fc1": [0.0, 0.1, 0.9, 0.3, 0.4]})
    assert regressed(before, after, absolute=0.06) == [("fc1", "gaussian_w2", "step-to-step")]


def test_between_two_checkpoints_the_whole_is_the_only_step():
    one = report({"fc1": [0.0, 1.0]})
    assert {value.span for value in baseline_of(one, Tolerances()).values} == {"first-to-last", "last"}
    result = against(report({"fc1": [0.0, 0.5, 1.0]}), one).result
    assert (result.status, result.regressions[0].span) == ("compared", "step-to-step")
    result = against(one, report({"fc1": [0.0, 0.5, 1.0]})).result
    assert (result.status, result.improved) == ("compared", 1)


def test_the_size_counts_and_not_the_sign():
    before, after = report({"fc1": [0.0, 1.0]}), report({"fc1": [0.0, 1.0]})
    flipped = [replace(each, measures={"gaussian_w2": negative(each.measures["gaussian_w2"])}) for each in after.shifts]
    assert against(before, replace(after, shifts=flipped), relative=0.1).changes == []
    larger = report({"fc1": [0.0, 1.5]})
    assert len(regressed(replace(after, shifts=flipped), larger, relative=0.1)) == 1
    assert len(regressed(larger, replace(after, shifts=flipped), relative=0.1)) == 0


def negative(measure):
    return replace(measure, value=-measure.value, low=-measure.high, high=-measure.low)


def test_the_tolerance_of_noise_is_wide_for_many_values_and_never_below_the_floor():
    (found,) = against(report({"fc1": [0.0, 1.0]}, half=0.1), report({"fc1": [0.0, 3.0]}, half=0.2)).result.regressions
    count = against(report({"fc1": [0.0, 1.0]}), report({"fc1": [0.0, 1.0]})).result.compared
    assert found.tolerance == pytest.approx(math.hypot(0.1, 0.2) * widening(count))
    (found,) = against(
        report({"fc1": [0.0, 1.0]}, noise=0.4), report({"fc1": [0.0, 3.0]}, noise=0.7)
    ).result.regressions
    assert found.tolerance == 0.7


def test_widening_keeps_one_in_twenty_runs():
    from statistics import NormalDist

    normal = NormalDist()
    for count in (2, 50, 1000):
        exceeds = 1 - normal.cdf(widening(count) * normal.inv_cdf(0.975))
        assert exceeds * count == pytest.approx(0.05)
    assert widening(0) == widening(1) == 1.0


numbers = st.floats(0, 1e6)


@given(baseline=numbers, value=numbers, borne=numbers)
def test_the_excess_has_the_sign_of_the_change(baseline, value, borne):
    beyond = excess(baseline, value, borne)
    assert excess(value, baseline, borne) == -beyond
    assert (beyond > 0) == (value - baseline - borne > 1e-9 * max(value, baseline))
    assert excess(baseline, value, math.inf) == 0


@given(half=numbers, noise=numbers, other=numbers, moved=st.floats(-1, 1))
def test_what_moves_less_than_the_noise_is_never_a_regression(half, noise, other, moved):
    tolerated = max(math.hypot(half, other), noise)
    before = report({"fc1": [0.0, 2 * tolerated + 1]}, half=half, noise=noise)
    after = report({"fc1": [0.0, 2 * tolerated + 1 + moved * tolerated * 0.99]}, half=other, noise=noise)
    assert regressed(before, after) == []


def test_other_samples_of_the_same_checkpoints_pass():
    """Two seeds of the digits: fingerprints apart, every difference is sampling and none is a regression."""
    import covscan

    digits = SAMPLES / "digits-sigmoid"
    first, second = (
        covscan.analyze(
            [digits / "plain" / f"step-{step}.pt" for step in (0, 1000, 20000)],
            model=f"{digits}/nets.py:plain",
            data=digits / "sample.npz",
            target="y",
            samples=96,
            seed=seed,
        )
        for seed in (1, 2)
    )
    assert against(first, second).result.status == "incompatible"
    result = against(first, replace(second, data=first.data)).result
    assert result.status == "compared"
    assert result.compared > 60
    assert [each for each in result.regressions if not each.subject.startswith("COV")] == []


@pytest.mark.parametrize("name", ["dead_channels", "saturated_share", "nonfinite_share"])
def test_a_statistic_at_the_last_checkpoint_is_compared(name):
    before, after = report(**{name: 0.0}), report(**{name: 0.5})
    assert set(regressed(before, after)) == {("fc1", name, "last"), ("fc2", name, "last")}
    assert regressed(before, report(**{name: 0.001})) == []


def test_the_noise_of_a_statistic_shrinks_with_the_samples():
    half = {"saturated_share": 0.5, "nonfinite_share": 0.5}
    few, many = (report(samples=count, **half).sites[0].statistics["step-0"] for count in (100, 10000))
    for name in KNOWN - {"dead_channels"}:
        assert half_width(name, few, 100) == pytest.approx(10 * half_width(name, many, 100), rel=0.1)
    assert half_width("dead_channels", few, 8) > half_width("dead_channels", few, 800)
    assert half_width("zero_share", replace(few, zero_share=0.0), 8) > 0
    assert half_width("min", few, 8) is None
    assert half_width("mean", replace(few, mean=None), 8) is None
    assert half_width("mean", replace(few, samples=0), 8) is None


def test_a_statistic_without_a_known_noise_wants_a_tolerance():
    asked = Tolerances(statistics=["m*", "mean"])
    with pytest.raises(UsageError) as caught:
        against(report(), report(), asked)
    assert caught.value.code == "no-tolerance"
    assert "massive_activation" in caught.value.message
    assert "mean," not in caught.value.message
    given = replace(asked, relative=0.1)
    assert ("fc1", "max", "last") in regressed(report(), report(max=0.3), given)
    assert regressed(report(), report(max=0.105), given) == []


@pytest.mark.parametrize("asked", [{"measures": ["gausian_w2"]}, {"statistics": ["dead_chanels"]}])
def test_a_glob_that_matches_nothing_is_an_error(asked):
    with pytest.raises(UsageError) as caught:
        against(report(), report(), **asked)
    assert caught.value.code == "unknown-subject"
    assert "did you mean" in caught.value.hint


def test_only_what_is_asked_for_is_compared():
    before, after = report({"fc1": [0.0, 1.0]}), report({"fc1": [0.0, 2.0]}, dead_channels=1.0)
    everything = baseline_of(before, Tolerances())
    asked = Tolerances(measures=["excess_*"], statistics=["dead_*"])
    found = compare(everything, baseline_of(after, asked), asked, "b.json").result
    assert [each.subject for each in found.regressions] == ["dead_channels"]


def test_findings_of_another_code_site_or_severity_are_regressions():
    before = report(findings=[finding("COV201", "fc1"), finding("COV202", "fc1"), finding("COV202", "fc1")])
    assert regressed(before, before) == []
    more = replace(before, findings=[*before.findings, finding("COV201", "fc2"), finding("COV103", severity="error")])
    assert set(regressed(before, more)) == {("fc2", "COV201", "first-to-last"), (None, "COV103", "first-to-last")}
    (found,) = against(report(), report(findings=[finding("COV201", "fc1")])).result.regressions
    assert (found.baseline, found.value, found.tolerance) == (0.0, 1.0, 0.0)
    third = replace(before, findings=[*before.findings, finding("COV202", "fc1")])
    (found,) = against(before, third).result.regressions
    assert (found.baseline, found.value) == (2.0, 3.0)
    graver = replace(before, findings=[finding("COV201", "fc1", "error"), *before.findings[1:]])
    (found,) = against(before, graver).result.regressions
    assert (found.subject, found.baseline, found.value) == ("COV201", 0.0, 1.0)


def test_an_error_traded_for_two_warnings_is_a_regression():
    before = report(findings=[finding("COV201", "fc1", "error")])
    after = report(findings=[finding("COV201", "fc1"), finding("COV201", "fc1")])
    (found,) = against(before, after).result.regressions
    assert (found.baseline, found.value) == (1.0, 2.0)
    assert against(before, report(findings=[finding("COV201", "fc1")])).result.improved == 1


def test_info_suppressed_and_gate_findings_do_not_count():
    after = report(
        findings=[
            finding("COV501", "fc1", "info"),
            finding("COV201", "fc1", suppressed="known"),
            finding("COV901", severity="error"),
        ]
    )
    assert regressed(report(), after) == []
    assert baseline_of(after, Tolerances()).findings == ()


def test_findings_that_are_gone_are_improvements():
    result = against(report(findings=[finding("COV201", "fc1")]), report()).result
    assert (result.status, result.improved) == ("compared", 1)


def test_values_that_fell_by_more_than_the_tolerance_are_improvements():
    found = against(report({"fc1": [0.0, 1.0]}), report({"fc1": [0.0, 0.2]}))
    assert (found.result.status, found.result.improved, found.result.regressions) == ("compared", 1, [])
    (change,) = found.changes
    assert (change.change, change.baseline, change.value) == ("better", 1.0, 0.2)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda made: sampled(made, samples=399), "the sampling differs (number of samples): 400 in the baseline, 399"),
        (lambda made: sampled(made, seed=7), "the sampling differs (seed): 0 in the baseline, 7 now"),
        (lambda made: sampled(made, positions=None), "the sampling differs (positions): 32 in the baseline, all now"),
        (lambda made: sampled(made, masked=True), "(padding): counted in the baseline, left out now"),
        (
            lambda made: sampled(made, fingerprint="cd" * 32),
            "the data differ: samples abababababab in the baseline, cdcd",
        ),
        (lambda made: replace(made, model=replace(made.model, engine="onnx")), "the engine differs: torch in the"),
        (lambda made: replace(made, schema_version="2.0"), "the report's schema differs: 1.1 in the baseline, 2.0 now"),
        (
            lambda made: replace(made, sites=[replace(made.sites[0], channels=7), *made.sites[1:]]),
            "the architecture differs at fc1 (output): Linear with 100 channels in the baseline, Linear with 7 now",
        ),
        (
            lambda made: replace(made, sites=[replace(made.sites[0], type="Conv2d"), *made.sites[1:]]),
            "Conv2d with 100 now",
        ),
    ],
)
def test_a_fingerprint_that_differs_says_in_which_part(change, reason):
    result = against(report(), change(report({"fc1": [0.0, 9.0, 9.0], "fc2": [0.0, 9.0, 9.0]}))).result
    assert (result.status, result.compared, result.regressions) == ("incompatible", 0, [])
    assert len(result.reasons) == 1
    assert reason in result.reasons[0]


def test_other_samples_because_of_another_seed_are_one_reason():
    result = against(report(), sampled(report(), seed=7, fingerprint="cd" * 32)).result
    assert len(result.reasons) == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda made: replace(made, tool=replace(made.tool, version="9.1")),
            "covscan: 0.1.0 in the baseline, 9.1 now",
        ),
        (
            lambda made: replace(made, schema_version="1.9"),
            "the report's schema: 1.1 in the baseline, 1.9 now",
        ),
        (
            lambda made: replace(made, model=replace(made.model, device="cuda")),
            "device: cpu in the baseline, cuda now",
        ),
        (
            lambda made: replace(made, run=replace(made.run, versions={"torch": "2.14.0", "onnx": "1"})),
            "torch: 2.13.0 in the baseline, 2.14.0 now",
        ),
    ],
)
def test_another_tool_or_machine_is_said_and_compared(change, reason):
    result = against(report(), change(report())).result
    assert result.status == "compared"
    assert result.compared > 0
    assert reason in result.reasons[0]


def test_another_series_is_said_and_compared():
    result = against(report({"fc1": [0.0, 0.5, 1.0]}), report({"fc1": [0.0, 0.3, 0.6, 1.0]})).result
    assert result.status == "compared"
    assert result.reasons == ["the series differs: step-0 to step-2 in the baseline, step-0 to step-3 now"]


def test_checkpoints_without_steps_are_told_apart_by_name():
    made = report()
    named = replace(made, checkpoints=[replace(each, step=None) for each in made.checkpoints])
    assert against(named, named).result.reasons == []
    assert "step-0 to step-2" in against(named, made).result.reasons[0]


def test_a_site_that_was_not_measured_is_not_green():
    result = against(report(), report({"fc1": [0.0, 0.5, 1.0]})).result
    assert (result.status, result.missing, result.added) == ("incompatible", ["fc2 (output)"], [])
    assert result.reasons == ["1 site of the baseline not measured: fc2 (output)"]
    assert result.compared > 0


def test_regressions_are_listed_though_a_site_is_gone():
    result = against(report(), report({"fc1": [0.0, 5.0, 9.0]})).result
    assert result.status == "incompatible"
    assert [each.site for each in result.regressions] == ["fc1", "fc1"]


def test_many_sites_that_are_gone_are_counted():
    before = report({f"fc{n}": [0.0, 0.1] for n in range(9)})
    reason = against(before, report({"fc0": [0.0, 0.1]})).result.reasons[0]
    assert reason == "8 sites of the baseline not measured: fc1 (output), fc2 (output), fc3 (output) and 5 more"


def test_a_new_site_is_named_and_the_others_are_compared():
    result = against(report({"fc1": [0.0, 0.5]}), report({"fc1": [0.0, 0.5], "fc9": [0.0, 9.0]})).result
    assert (result.status, result.added, result.regressions) == ("compared", ["fc9 (output)"], [])


def test_a_value_that_can_no_longer_be_measured_is_not_green():
    after = report({"fc1": [0.0, 1.0]})
    lost = [replace(each, measures={}) for each in after.shifts]
    found = against(report({"fc1": [0.0, 1.0]}), replace(after, shifts=lost))
    assert found.result.status == "incompatible"
    assert found.result.reasons == [
        "1 value of the baseline could not be measured: gaussian_w2 of fc1 (output), first-to-last"
    ]
    assert [each.change for each in found.changes] == ["unmeasured"]


def test_a_value_that_the_baseline_lacks_is_new():
    before = report({"fc1": [0.0, 1.0]})
    lost = [replace(each, measures={}) for each in before.shifts]
    found = against(replace(before, shifts=lost), before)
    assert found.result.status == "compared"
    assert [(each.change, each.baseline, each.value) for each in found.changes] == [("new", None, 1.0)]


def test_one_checkpoint_has_no_shift_to_compare():
    result = against(report(), report({"fc1": [0.0], "fc2": [0.0]})).result
    assert result.status == "incompatible"
    assert "4 values of the baseline could not be measured" in result.reasons[0]
    assert "the series differs: step-0 to step-2 in the baseline, step-0 alone now" in result.reasons[1]


def test_too_few_samples_for_an_interval_want_a_tolerance():
    made = report({"fc1": [0.0, 1.0]}, half=None, noise=None)
    found = against(made, report({"fc1": [0.0, 2.0]}, half=None, noise=None))
    assert found.result.status == "incompatible"
    assert "1 value with too few samples for an interval" in found.result.reasons[0]
    assert found.result.compared == 3
    assert against(made, made).result.status == "compared"
    assert regressed(made, report({"fc1": [0.0, 2.0]}, half=None, noise=None), relative=0.5) == [
        ("fc1", "gaussian_w2", "first-to-last")
    ]


def test_one_interval_or_one_floor_is_enough():
    made = report({"fc1": [0.0, 1.0]}, half=None, noise=0.2)
    (found,) = against(made, report({"fc1": [0.0, 2.0]}, half=None, noise=None)).result.regressions
    assert found.tolerance == 0.2
    (found,) = against(made, report({"fc1": [0.0, 2.0]}, half=0.3, noise=None)).result.regressions
    assert found.tolerance > 0.3


def test_nothing_in_common_is_not_green():
    empty = against(report({}), report({})).result
    assert (empty.status, empty.compared) == ("incompatible", 0)
    asked = Tolerances(measures=["excess_shift"], statistics=["dead_channels"])
    known = replace(baseline_of(report(), Tolerances()), values=())
    result = compare(known, baseline_of(report(), asked), asked, "b.json").result
    assert (result.status, result.compared) == ("incompatible", 0)
    assert "holds no value" in result.reasons[0]


def test_findings_alone_may_be_compared():
    asked = Tolerances(measures=[], statistics=[])
    result = against(report(), report(findings=[finding("COV201", "fc1")]), asked).result
    assert (result.status, result.compared) == ("compared", 0)
    assert len(result.regressions) == 1


def test_the_largest_excess_comes_first():
    before = report({"a": [0.0, 1.0], "b": [0.0, 1.0], "c": [0.0, 1.0]})
    after = report({"a": [0.0, 1.5], "b": [0.0, 3.0], "c": [0.0, 0.1]}, findings=[finding("COV201", "a")])
    changes = against(before, after).changes
    assert [(each.change, each.site) for each in changes] == [
        ("worse", "a"),
        ("worse", "b"),
        ("worse", "a"),
        ("better", "c"),
    ]
    assert next(each.span for each in changes) == "findings"


def test_another_name_of_the_same_tensor_is_left_out():
    made = baseline_of(report(), Tolerances())
    assert [each.site for each in made.sites] == ["fc1", "fc2"]
    assert {each.site for each in made.values} == {"fc1", "fc2"}


def test_a_site_without_statistics_at_the_last_checkpoint_has_none():
    made = report({"fc1": [0.0, 1.0]})
    early = site("early", checkpoints=["step-0"])
    found = baseline_of(replace(made, sites=[*made.sites, early]), Tolerances())
    assert [each.site for each in found.sites] == ["fc1", "early"]
    assert {each.site for each in found.values} == {"fc1"}


def test_every_known_statistic_has_a_name():
    assert set(NAMES) >= KNOWN
    assert not any(name.endswith(("s_shares", "_means")) for name in NAMES)


def test_compared_reads_the_file_that_the_tolerances_name(tmp_path, monkeypatch):
    path = tmp_path / "b.json"
    path.write_text(write(baseline_of(report(), Tolerances())))
    result = compared(report(), Tolerances(path=str(path)))
    assert (result.status, result.source) == ("compared", str(path))
    monkeypatch.chdir(tmp_path)
    assert compared(report(), Tolerances()).status == "absent"
    path.rename("covscan-baseline.json")
    assert difference(report(), Tolerances()).result.source == "covscan-baseline.json"


def test_a_broken_file_is_an_error_that_names_it(tmp_path):
    (tmp_path / "b.json").write_text("{}")
    with pytest.raises(UsageError, match=r"b\.json"):
        compared(report(), Tolerances(path=str(tmp_path / "b.json")))


def test_nothing_heavy_is_loaded():
    code = (
        "import sys, covscan.gate.baseline, covscan.gate.baseline_update\n"
        "print({'torch', 'numpy', 'onnx', 'rich'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
