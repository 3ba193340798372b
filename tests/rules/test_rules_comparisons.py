"""What the rules say, and must not say, of two data sets and of two models."""

import pytest
from evidence_factory import batchnorm, evidence, mlp, moved, two_sides

from covscan.catalog import RULES
from covscan.rules import judge

W2 = "gaussian_w2"
BN = mlp(norm="BatchNorm1d")


def found(judged, code):
    return [finding for finding in judged.findings if finding.code == code]


def travelling(**sizes):
    """Evidence of two data sets whose shift has these sizes; a negative one is within noise."""
    named = {name.replace("_in", ".in"): abs(size) for name, size in sizes.items()}
    shifts = {
        name: {W2: moved(size, significant=sizes[name.replace(".in", "_in")] > 0)} for name, size in named.items()
    }
    return two_sides("data", shifts=shifts)


def message(**sizes):
    (finding,) = found(judge(travelling(**sizes)), "COV208")
    return finding.message


def test_it_says_where_the_shift_enters_where_it_is_largest_and_what_is_left():
    said = message(fc1_in=0.5, fc1=0.6, act1=0.6, fc2=1.0, act2=0.9, fc3=0.8, act3=0.7, head=0.3)
    assert said == (
        "the data shift by 0.5 sd where they enter, at fc1 (input); it grows to 1 sd at fc2 (output), 2 times as much; "
        "0.3 sd of it are left at head (output)"
    )


def test_a_shift_that_is_damped_is_nowhere_larger():
    said = message(fc1_in=0.9, fc1=0.3, act1=0.2)
    assert "at fc1 (input), and nowhere by more; none of it is left above noise at head (output)" in said


def test_a_shift_that_the_input_does_not_show_is_told_apart():
    said = message(fc1_in=-0.1, fc2=0.4, head=0.5)
    assert said == "no shift clears the noise where the data enter, but further on: 0.5 sd at head (output)"


def test_the_factor_of_each_layer_is_evidence():
    (finding,) = found(judge(travelling(fc1_in=0.5, fc1=1.0, act1=0.9, fc2=0.3, act2=0.3)), "COV208")
    assert finding.severity == "warning"
    assert finding.evidence["grows"] == {"fc1": 2.0}
    assert finding.evidence["damped"] == {"fc2": pytest.approx(1 / 3), "fc3": 0.0}
    assert finding.evidence["entry"] == "fc1 (input)"
    assert finding.evidence["largest_shift"] == 1.0


def test_a_small_shift_is_told_and_no_warning():
    (finding,) = found(judge(travelling(fc1_in=0.5, fc1=0.5)), "COV208")
    assert finding.severity == "info"


def test_stale_statistics_are_said_together_and_of_both_data_sets():
    fits, stale = batchnorm(), batchnorm(stale_mean=0.6)
    made = two_sides("data", calls=BN, shifts={"fc1.in": {W2: moved(0.5)}}, norms={"norm1": stale})
    made.norms["step-0"]["norm1"] = fits
    judged = judge(made)
    (about_norm,) = found(judged, "COV401")
    assert "off by 0.6 sd in the median channel on step-100, by 0.03 sd on step-0" in about_norm.message
    (about_data,) = found(judged, "COV208")
    assert about_data.message.endswith("running statistics that don't fit the data: norm1 (COV401)")
    series = judge(evidence(BN, norms={"norm1": stale}))
    assert "on step-0" not in found(series, "COV401")[0].message


def test_stale_statistics_of_a_norm_that_the_reference_lacks_are_said_of_the_data_alone():
    made = two_sides("data", calls=BN, norms={"norm1": batchnorm(stale_mean=0.6)})
    made.norms["step-0"].clear()
    (about_norm,) = found(judge(made), "COV401")
    assert about_norm.message.endswith("in the median channel on step-100")


@pytest.mark.parametrize("kind", ["data", "models"])
def test_no_advice_is_given_and_a_note_says_why(kind):
    sick = {"fc3": {"channel_scale": 1e6}, "act1": {"dead_channels": 0.9}, "fc2": {"cross_sample_cosine": 0.999}}
    assert judge(evidence(statistics=sick)).candidates
    judged = judge(two_sides(kind, statistics=sick, logits={"attn": 20000.0}))
    assert judged.candidates == judged.suggestions == ()
    assert not [finding for finding in judged.findings if finding.code.startswith("COV5")]
    assert any("advice is about training" in note for note in judged.notes)
    assert not any("between your checkpoints" in note for note in judged.notes)
    assert any("random halves of one side's samples" in note for note in judged.notes)


@pytest.mark.parametrize("kind", ["data", "models"])
def test_nothing_is_said_of_steps_and_checkpoints(kind):
    large = {
        measure: moved(3.0)
        for measure in ("standardized_mean_difference", "log_variance_ratio", W2, "linear_cka_distance", "excess_shift")
    }
    judged = judge(two_sides(kind, shifts={"fc2": large}, logits={"attn": 20000.0}, first_logits={"attn": 10.0}))
    said = " ".join(finding.message for finding in judged.findings)
    assert len(judged.findings) >= 5
    assert "checkpoint" not in said
    where = {"data": "on step-0", "models": "in step-0"}[kind]
    assert f"at least twice what it was {where}" in found(judged, "COV219")[0].message


def test_weights_that_are_not_finite_are_those_of_the_file_that_both_data_sets_went_through():
    judged = judge(two_sides("data", weights_nonfinite={"step-0": ("fc1.weight",)}))
    (finding,) = found(judged, "COV104")
    assert finding.message.startswith("step-0.pt holds non-finite values")


def test_each_data_set_is_told_what_it_holds():
    judged = judge(two_sides("data", data_nonfinite={"step-100": 2}))
    assert found(judged, "COV112")[0].message == "2 values of step-100 are not finite"


def test_sites_without_a_counterpart_are_told_and_a_warning_where_they_are_most():
    (few,) = found(judge(two_sides("models", mapped=(8, 10, 9))), "COV107")
    assert few.severity == "info"
    assert few.message == ("8 sites of 10 in step-0 and 9 in step-100 are the same; the others were not compared")
    (most,) = found(judge(two_sides("models", mapped=(3, 10, 9))), "COV107")
    assert most.severity == "warning"
    assert found(judge(two_sides("models", mapped=(9, 9, 9))), "COV107") == []


def test_a_site_that_one_side_lacks_is_not_called_a_checkpoint():
    made = two_sides("models", mapped=(9, 9, 9))
    del next(site for site in made.sites if site.site == "fc2").statistics["step-100"]
    assert "not on both sides" in found(judge(made), "COV107")[0].message


def test_the_rule_of_data_has_a_code_of_its_own_family():
    assert RULES["COV208"].endswith(":data_shift")
