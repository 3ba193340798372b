"""What the gradient rules say beyond whether they fire."""

from dataclasses import replace

import pytest
from evidence_factory import evidence
from rule_cases import gradient_shifts, losses, profile, step, turning, with_gradients

from covscan.catalog import RULES
from covscan.prove.gradient_types import GradientShift, LayerGradient
from covscan.registry import resolve
from covscan.rules.gradient_depth import slope


def fire(code, made):
    return list(resolve(RULES[code])(made))


@pytest.mark.parametrize("code", [code for code in RULES if code.startswith("COV3")])
def test_without_gradients_or_with_empty_ones_nothing_fires(code):
    assert fire(code, evidence()) == []
    assert fire(code, with_gradients()) == []


def test_the_trend_is_that_of_a_geometric_series():
    found = slope(profile(1.0, 0.1, 0.01, 0.001, 0.0001), "step-100")
    assert found.factor == pytest.approx(1e-4)
    assert slope(profile(1.0, 0.1, 0.01), "step-100") is None
    assert slope(profile(1.0, 1.0, 1.0, 1.0), "step-100") is None
    assert slope(profile(1.0, 0.0, 0.01, 0.001), "step-100") is None


def test_an_optimizer_that_scales_steps_anew_makes_it_information():
    assert fire("COV301", profile(1e-6, 1e-5, 1e-3, 1e-2, sign_like=True))[0].severity == "info"
    assert fire("COV301", profile(1e-4, 1e-3, 1e-3, 1e-2))[0].severity == "info"


def test_a_gradient_that_vanished_earlier_is_information():
    early = profile(1e-6, 1e-5, 1e-3, 1e-2).gradients.layers
    late = profile(1e-2, 1e-2, 2e-2, 1e-2).gradients.layers
    first = tuple(LayerGradient(e.layer, "step-0", 1.0, 1.0, e.relative_gradient, None, 0.5, 0.1) for e in early)
    (found,) = fire("COV301", with_gradients(layers=(*first, *late)))
    assert (found.severity, found.checkpoint) == ("info", "step-0")
    assert "no more at the last" in found.message


def test_embeddings_are_no_part_of_the_profile():
    made = profile(1e-9, 1.0, 1.0, 1.1, 1.2)
    modules = (replace(made.network.modules[0], type="Embedding"), *made.network.modules[1:])
    changed = replace(made, network=replace(made.network, modules=modules))
    assert "fc1" in slope(made, "step-100").profile
    assert "fc1" not in slope(changed, "step-100").profile


def test_the_edge_is_a_warning_only_where_a_step_does_harm():
    assert fire("COV303", step(1.4, after=0.4))[0].severity == "info"
    assert "raises" not in fire("COV303", step(1.4, after=0.4))[0].message
    assert "out of the finite" in fire("COV303", step(1.4, after=None))[0].message
    assert fire("COV303", step(1.4, after=None))[0].severity == "warning"
    assert fire("COV303", step(1.4, after=0.9, sign_like=True))[0].severity == "info"
    assert fire("COV303", step(2.4, after=0.9, sign_like=True))[0].severity == "warning"


def test_an_edge_that_was_left_is_information():
    (found,) = fire("COV303", step(0.5, after=0.4, first=3.0))
    assert (found.severity, found.checkpoint) == ("info", "step-0")
    assert found.evidence["by_checkpoint"] == {"step-0": 3.0, "step-100": 0.5}


def test_a_loss_that_is_not_finite_any_more_is_said():
    (found,) = fire("COV304", losses((1, 1.1, 1.2), (None, None, 3.0)))
    assert found.severity == "warning"
    assert "not finite" in found.message
    assert fire("COV304", losses((None, None, None))) == []


def test_a_loss_that_came_down_again_is_information():
    (found,) = fire("COV304", losses((1, 1.1, 1.2), (3, 3.2, 3.1), (0.5, 0.6, 0.5)))
    assert (found.severity, found.checkpoint) == ("info", "step-1")
    assert "came down again" in found.message


@pytest.mark.parametrize(
    "later",
    [
        (1.3, 1.4, 1.1),  # not on every batch
        (1.01, 1.11, 1.21),  # on every one, but hardly
        (1.01, 4.0, 1.21),  # on average, but one batch makes it
    ],
)
def test_a_rise_within_noise_is_none(later):
    assert fire("COV304", losses((1, 1.1, 1.2), later)) == []
    assert fire("COV304", losses((1, 1.1), (5, 5))) == []


def test_weights_that_are_thrown_about_one_place_are_information():
    (found,) = fire("COV305", turning(-0.5, -0.45, None, 0.1))
    assert found.severity == "info"
    assert "2 of 3" in found.message
    assert fire("COV305", turning(None)) == []


def test_the_layers_that_shift_are_named_beside_the_worst():
    shifts = gradient_shifts(fc2=True, fc3=True).gradients.shifts
    larger = GradientShift("fc4", "step-0", "step-100", 1.5, -0.2, 0.4, significant=True)
    (found,) = fire("COV306", with_gradients(shifts=(*shifts, larger)))
    assert found.site == "fc4"
    assert "so do fc2, fc3" in found.message


def test_steps_that_are_small_everywhere_are_information():
    (found,) = fire("COV307", profile(1, 1, 1, 1, updates=(1e-8, 1e-7, 1e-5, 1e-5)))
    assert found.severity == "info"
    assert "1 layer more" in found.message


def test_a_gradient_near_epsilon_is_a_warning():
    (found,) = fire("COV307", profile(3e-8, 1, 1, 1, epsilon=1e-8))
    assert (found.severity, found.site) == ("warning", "fc1")
    assert "epsilon" in found.message


def test_the_batch_at_which_signal_and_noise_are_equal():
    (found,) = fire("COV308", profile(1, 1, 1, 1, noise=(2 * 0.95) ** 0.5))
    assert found.evidence["equal_at"] == pytest.approx(64 * 19)
    assert "1,200 samples" in found.message
    (nothing,) = fire("COV308", profile(1, 1, 1, 1, noise=1.5))
    assert nothing.evidence["equal_at"] is None
    assert fire("COV308", profile(1, 1, 1, 1, noise=1.5, batches=2)) == []
    assert fire("COV308", profile(0, 0, 0, 0, noise=1.5)) == []
