"""From configuration and flags to a policy, and every mistake in them."""

import datetime as dt

import pytest

from covscan.catalog.measures import MEASURES, STATISTICS
from covscan.config.policy import Budget, Check, Policy, Suppression, Tolerances
from covscan.errors import InputErrors, UsageError
from covscan.gate.policy import build_policy, merged
from covscan.gate.presets import PRESETS
from covscan.gate.validation import read_budgets
from covscan.measures import MEASURES as MEASURED
from covscan.report.types import Statistics


def built(tables=None, check=None, **more):
    return build_policy(check or Check(preset="none"), tables or {}, **more)


def test_without_anything_the_preset_is_standard_and_errors_fail():
    found = build_policy(Check(), {})
    assert (found.preset, found.fail_on, found.min_samples) == ("standard", "error", 64)
    assert [name for name, _ in found.budgets] == list(PRESETS["standard"].budgets)
    assert found == build_policy(Check(), {}, (), None, None, Check())


@pytest.mark.parametrize("name", PRESETS)
def test_each_preset_is_valid_and_says_what_it_is_for(name):
    found = build_policy(Check(preset=name), {})
    assert found.preset == name
    assert PRESETS[name].summary
    assert all(isinstance(budget, Budget) for _, budget in found.budgets)


def test_flags_go_over_the_file_and_the_file_over_defaults():
    file = Check(preset="strict", fail_on="warning", select=["COV2*"], ignore=["COV201"], min_samples=32)
    found = build_policy(file, {})
    assert (found.preset, found.fail_on, found.min_samples) == ("strict", "warning", 32)
    assert (found.select, found.ignore) == (("COV2*",), ("COV201",))
    flags = Check(preset="none", fail_on="never", select=["COV4*"], ignore=["COV401"], min_samples=8)
    found = build_policy(file, {}, flags=flags)
    assert (found.preset, found.fail_on, found.min_samples) == ("none", "never", 8)
    assert (found.select, found.ignore, found.budgets) == (("COV4*",), ("COV401",), ())


def test_what_the_verdict_needs_beside_is_passed_on():
    suppression = Suppression(codes=["COV2*"], reason="known", expires=dt.date(2026, 1, 1))
    check = Check(preset="none", site_ignores={"head": ["COV201", "COV4*"]})
    found = build_policy(check, {}, [suppression], Tolerances(path="b.json"), "covscan.toml")
    assert found == Policy(
        preset="none",
        site_ignores=(("head", ("COV201", "COV4*")),),
        suppressions=(suppression,),
        baseline=Tolerances(path="b.json"),
        config="covscan.toml",
    )


def test_a_preset_is_changed_by_name_and_key():
    tables = {
        "dead-units": {"level": "off"},
        "median-shift": {"max": 0.7, "sites": ["encoder.*"]},
        "own": {"measure": "gaussian_w2", "max": 1},
    }
    found = dict(build_policy(Check(preset="finetune"), tables).budgets)
    assert found["dead-units"] == Budget(findings=["COV216"], severity="warning", max=0.0, level="off")
    assert found["median-shift"] == Budget(measure="gaussian_w2", over="median", max=0.7, sites=["encoder.*"])
    assert list(found)[-1] == "own"
    assert "level" not in PRESETS["finetune"].budgets["dead-units"]


def test_a_budget_of_another_kind_takes_the_presets_place_as_a_whole():
    preset = {"dead-units": {"findings": ["COV216"], "severity": "warning", "max": 0.0}}
    own = {"dead-units": {"statistic": "dead_channels", "max": 0.5}}
    assert merged(preset, own) == own
    kept = merged(preset, {"dead-units": {"findings": ["COV216", "COV217"]}})
    assert kept == {"dead-units": {"findings": ["COV216", "COV217"], "severity": "warning", "max": 0.0}}


W2 = {"measure": "gaussian_w2"}


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"max": 1}, ["[budgets.it] does not say what it limits", "measure, statistic, findings"]),
        ({**W2, "statistic": "std", "max": 1}, ["statistic is one subject too many", "measure and statistic"]),
        (W2, ["max is missing, and so is min"]),
        ({**W2, "mx": 1}, ["[budgets.it] mx is not known", "did you mean 'max'?"]),
        ({**W2, "min_samples": 1}, ["did you mean 'min-samples'?"]),
        ({**W2, "zzz": 1}, ["choose one of level, measure"]),
        (
            {"measure": "gausian_w2", "max": 1},
            ["'gausian_w2' is none that a report has", "did you mean 'gaussian_w2'?"],
        ),
        ({"measure": "qqq", "max": 1}, ["choose one of standardized_mean_difference"]),
        ({"statistic": "dead_chanels", "max": 1}, ["did you mean 'dead_channels'?"]),
        ({"statistic": "status", "max": 1}, ["'status' is none"]),
        ({"statistic": "channel_means", "max": 1}, ["'channel_means' is none", "did you mean 'channel_mean_square'?"]),
        ({"findings": [], "max": 1}, ["findings is empty"]),
        ({"findings": ["COV2"], "max": 1}, ["no rule matches 'COV2'", "did you mean 'COV2*'?"]),
        ({"findings": ["cov201"], "max": 1}, ["did you mean 'COV201'?"]),
        ({"findings": ["mean-shift"], "max": 1}, ["did you mean 'COV201'?"]),
        ({"findings": ["?????"], "max": 1}, ["covscan rule lists them"]),
        ({"findings": ["COV902"], "max": 1}, ["'COV902' is the gate's own and never counts"]),
        ({**W2, "sites": [], "max": 1}, ["sites is empty"]),
        ({**W2, "over": "share", "max": 0.5}, ["beyond is missing"]),
        ({**W2, "beyond": 1.0, "max": 0.5}, ["beyond means nothing here"]),
        ({**W2, "over": "count", "max": 1}, ["over 'count' does not fit measure", "worst, median or share"]),
        ({"findings": ["*"], "over": "worst", "max": 1}, ["over 'worst' does not fit findings", "it may be count"]),
        ({**W2, "severity": "error", "max": 1}, ["severity belongs to a budget with 'findings'"]),
        ({**W2, "checkpoint": "any", "max": 1}, ["checkpoint belongs to a budget with 'statistic'"]),
        ({"statistic": "std", "span": "any", "max": 1}, ["span belongs to a budget with 'measure'"]),
        ({**W2, "max": float("nan")}, ["max is nan"]),
        ({**W2, "max": float("inf")}, ["max is inf"]),
        ({**W2, "max": -1}, ["max is -1, below 0"]),
        ({"findings": ["*"], "min": -1}, ["min is -1, below 0"]),
        ({**W2, "over": "share", "beyond": -1, "max": 1}, ["beyond is -1, below 0"]),
        ({"statistic": "std", "over": "share", "beyond": -1, "max": -0.1}, ["max is -0.1, below 0"]),
        ({**W2, "over": "share", "beyond": 1, "max": 20}, ["max is 20, above 1"]),
        ({**W2, "min": 2, "max": 1}, ["min is 2, above max = 1"]),
        ({**W2, "max": "1"}, ["max has a value that does not fit", "'1'; expected `float | null`, got `str`"]),
        ({**W2, "over": "wrst", "max": 1}, ["over has a value that does not fit", "did you mean 'worst'?"]),
        ({**W2, "level": "warning", "max": 1}, ["did you mean 'warn'?"]),
        ({**W2, "sites": "fc1", "max": 1}, ["sites has a value that does not fit", "'fc1'"]),
        ({**W2, "sites": [1], "max": 1}, ["sites has a value that does not fit"]),
        ({**W2, "min-samples": 0, "max": 1}, ["min-samples has a value that does not fit", ">= 1"]),
    ],
)
def test_a_budget_that_cannot_be_judged_is_refused(table, said):
    with pytest.raises(UsageError) as error:
        built({"it": table})
    assert all(text in str(error.value) for text in said), str(error.value)


@pytest.mark.parametrize(
    "table",
    [
        {"statistic": "mean", "min": -3, "max": -1},
        {"statistic": "mean", "over": "share", "beyond": -1, "max": 0.5},
        {"measure": "log_variance_ratio", "span": "any", "max": 1, "min": 0},
        {"findings": ["COV*"], "over": "count", "max": 3},
        {"statistic": "samples", "checkpoint": "any", "min": 64, "min-samples": 1},
    ],
)
def test_what_can_be_judged_is_not(table):
    assert len(built({"it": table}).budgets) == 1


def test_a_misspelt_name_of_the_preset_is_answered_with_it():
    with pytest.raises(UsageError, match="does not say what it limits") as error:
        build_policy(Check(), {"dead-unit": {"level": "off"}})
    assert "did you mean the preset's 'dead-units'?" in error.value.hint


def test_every_mistake_is_said_at_once():
    check = Check(preset="standart", select=["COV2"], ignore=["COV901"], site_ignores={"head": ["COV777"]})
    with pytest.raises(InputErrors) as error:
        build_policy(check, {"it": {"max": -1}}, [Suppression(codes=["COV20"], reason="known")])
    text = str(error.value)
    assert "there is no preset 'standart'" in text
    assert "did you mean 'standard'?" in text
    for said in ("select: no rule matches 'COV2'", "ignore: 'COV901'", "site-ignores 'head'", "suppression 'known'"):
        assert said in text
    with pytest.raises(UsageError, match="there is no preset 'q'") as single:
        build_policy(Check(preset="q"), {})
    assert "standard: what is broken" in single.value.hint
    read = read_budgets({"one": {"max": -1}, "two": {**W2, "mx": 1, "nm": 2}, "three": {**W2, "max": 1}})
    assert len(read.errors) == 3
    assert [name for name, _ in read.budgets] == ["one", "three"]


def test_the_known_measures_are_those_that_are_measured():
    assert list(MEASURES) == list(MEASURED)
    assert all(MEASURES.values())


def test_the_known_statistics_are_the_numbers_of_a_site():
    left_out = set(Statistics.__struct_fields__) - set(STATISTICS)
    assert left_out == {
        "status",
        "channel_means",
        "channel_stds",
        "channel_mins",
        "channel_maxs",
        "channel_zero_shares",
        "channel_nonfinite_shares",
    }
