"""What rules make of short trainings: what to try, verdicts, the order, suggestions and what is said about them."""

from dataclasses import replace

import pytest
from evidence_factory import Call, evidence, mlp, per_sample

from covscan.prove.types import Estimate, PlaceTrial, Trials
from covscan.rules import judge
from covscan.rules.candidates import find_candidates
from covscan.rules.notes import GAIN, KEPT, PROBED, TRIED
from covscan.rules.questions import question
from covscan.rules.suggestions import suggest
from covscan.rules.verdicts import PRIOR, expected_scores, promising, verdict
from covscan.surgery.types import Insertion

IMAGE = ("N", 64, 8, 8)
COLLAPSE = {"fc3": {"cross_sample_cosine": 0.999}}
SURE, SLIGHT, NONE, HARM = Estimate(0.3, 0.2, 0.4), Estimate(0.03, -0.01, 0.07), Estimate(0.0, -0.05, 0.05), Estimate(
    -0.2, -0.3, -0.1
)  # fmt: skip


def at(site="fc3", position="after", norm="BatchNorm1d", **found):
    return PlaceTrial(insertion=Insertion(site, position, norm, 64, 1), **found)


def trained(site="fc3", gain=SURE, position="after", norm="BatchNorm1d", **more):
    known = {"horizon": 90, "seeds": 3, "rate": 0.1, "over_affine": Estimate(0.1, 0.05, 0.15)}
    known |= {"affine": Estimate(0.12, 0.07, 0.17), "probe": Estimate(0.1, 0.05, 0.15), "stays_first": 0.0}
    known["outlook"] = gain.value
    return at(site, position, norm, gain=gain, **(known | more))


def trials(*places, **more):
    known = {
        "tier": "trial" if any(place.gain for place in places) else "probe",
        "intervention": "from the start",
        "start": "the weights of step-0 (step 0)",
        "loss": "cross_entropy",
        "optimizer": "sgd",
        "rate": None,
        "best_rate": 0.1,
        "batch_size": 32,
        "samples": 512,
    }
    return Trials(places=places, **(known | more))


def with_trials(*places, made=None, **more):
    return replace(made or evidence(), trials=trials(*places, **more))


def firing(made, code):
    return [finding for finding in judge(made).findings if finding.code == code]


# What to try.


def test_a_question_has_the_candidates_in_their_order_as_insertions():
    made = evidence()
    asked = question(made)
    assert [one.place for one in asked.places] == [(c.site, c.position) for c in find_candidates(made)]
    assert {(one.norm, one.channels, one.channel_axis) for one in asked.places} == {("BatchNorm1d", 64, 1)}


def test_others_are_the_next_best_kinds_by_place():
    asked = question(evidence())
    assert asked.others.keys() == {one.place for one in asked.places}
    assert {(place, one.place) for place, one in asked.others.items()} == {
        (one.place, one.place) for one in asked.places
    }
    assert {one.norm for one in asked.others.values()} == {"LayerNorm"}


def test_everywhere_is_behind_every_layer_in_the_order_of_the_calls_and_ends_at_the_last_place():
    asked = question(evidence())
    assert [one.place for one in asked.everywhere] == [("fc1", "after"), ("fc2", "after"), ("fc3", "after")]
    assert asked.last == ("fc3", "after")


def test_a_kind_that_needs_several_devices_is_tried_as_its_like_on_one():
    chain = [Call("conv", "Conv2d", shape=IMAGE), Call("head", "Linear", channels=10, fresh=True)]
    other = question(evidence(chain, train_batch_size=8)).others["conv", "after"]
    assert other.norm == "BatchNorm2d"
    assert ("conv", "after") not in question(evidence(chain, train_batch_size=2)).others


def test_where_everything_is_normalized_behind_its_layer_only_places_in_front_are_asked():
    asked = question(evidence(mlp(norm="BatchNorm1d")))
    assert all(one.position == "before" for one in asked.places)
    assert set(asked.everywhere) == set(asked.places)


@pytest.mark.parametrize("calls", [[], [Call("only", "Linear")]])
def test_nothing_is_asked_where_there_is_no_place(calls):
    asked = question(evidence(calls))
    assert (asked.places, dict(asked.others), asked.everywhere, asked.last) == ((), {}, (), None)


# Verdicts.


@pytest.mark.parametrize(
    ("trial", "expected", "suggested"),
    [
        (trained(), "recommended", True),
        (trained(over_affine=Estimate(0.01, -0.02, 0.04)), "worth testing", True),
        (trained(over_affine=Estimate(0.01, None, None)), "worth testing", True),
        (trained(over_affine=None), "worth testing", True),
        (trained(gain=SLIGHT), "worth testing", False),
        (trained(gain=NONE), "no evidence", False),
        (trained(gain=HARM), "would likely harm", False),
        (trained(gain=Estimate(-0.01, -0.03, 0.01)), "no evidence", False),
        (trained(gain=Estimate(0.3)), "no evidence", False),
        (at(probe=SURE), "worth testing", True),
        (at(probe=SLIGHT), "worth testing", False),
        (at(probe=NONE), "no evidence", False),
        (at(probe=HARM), "would likely harm", False),
        (at(), "no evidence", False),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_verdict_asks_for_a_sure_and_material_gain_that_constants_do_not_give(trial, expected, suggested):
    assert verdict(trial) == expected
    assert promising(trial) is suggested


def test_a_training_counts_before_a_step():
    assert verdict(trained(gain=NONE, probe=SURE)) == "no evidence"
    assert verdict(trained(gain=HARM, probe=SURE)) == "would likely harm"


# Scores and the order.


def test_scores_keep_the_order_of_the_trials_and_say_the_expected_gain():
    made = with_trials(trained("fc2"), trained("fc3", gain=SLIGHT), trained("fc1", gain=HARM))
    scores = expected_scores(made)
    assert list(scores) == [("fc2", "after"), ("fc3", "after"), ("fc1", "after")]
    assert scores["fc2", "after"] == pytest.approx(0.65, abs=1e-5)
    assert scores["fc1", "after"] == pytest.approx(0.4, abs=1e-5)


def test_a_place_that_was_looked_at_for_less_time_never_scores_above_one_looked_at_longer():
    longer, shorter, stepped = trained("fc2", gain=SLIGHT), trained("fc3", horizon=30, seeds=1), at("fc1", probe=SURE)
    scores = list(expected_scores(with_trials(longer, shorter, stepped)).values())
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == 3


@pytest.mark.parametrize("value", [-50.0, -1.0, 1.0])
def test_scores_lie_between_0_and_1(value):
    made = with_trials(*(trained(f"fc{n}", gain=Estimate(value, value, value)) for n in (1, 2, 3)))
    assert all(0 <= score <= 1 for score in expected_scores(made).values())


def test_cheaper_evidence_decides_between_like_gains_and_not_against_a_clear_one():
    alike, better = trained("fc1"), trained("fc2", gain=Estimate(0.5, 0.4, 0.6))
    forward = {("fc1", "after"): 0.9, ("fc2", "after"): 0.1, ("fc3", "after"): 0.5}
    scores = expected_scores(with_trials(trained("fc3"), better, alike), forward)
    assert list(scores) == [("fc2", "after"), ("fc1", "after"), ("fc3", "after")]
    assert scores["fc1", "after"] - scores["fc3", "after"] < PRIOR / 2


def test_steps_alone_are_scored_by_their_ranks_and_the_forward_ones():
    low, high = Estimate(0.01, 0.0, 0.02), Estimate(0.2, 0.1, 0.3)
    made = with_trials(at("fc1", probe=high), at("fc2", probe=low))
    assert expected_scores(made) == {("fc1", "after"): 0.75, ("fc2", "after"): pytest.approx(0.25, abs=1e-5)}
    forward = {("fc1", "after"): 0.1, ("fc2", "after"): 0.9}
    assert expected_scores(made, forward)["fc1", "after"] == 0.5


def test_a_place_without_any_estimate_has_no_score():
    assert expected_scores(with_trials(at("fc1"), trained("fc2"))).keys() == {("fc2", "after")}
    assert expected_scores(evidence()) == {}


def test_candidates_are_ordered_by_what_was_trained_and_carry_it():
    places = (trained("fc1", at_rate=SLIGHT), trained("fc3", gain=NONE), at("head", "before", probe=HARM))
    found = find_candidates(with_trials(*places))
    assert [(c.site, c.position) for c in found[:3]] == [("fc1", "after"), ("fc3", "after"), ("head", "before")]
    assert [c.tier for c in found] == ["trial", "trial", "probe", "forward", "forward", "forward"]
    assert [c.verdict for c in found[:4]] == ["recommended", "no evidence", "would likely harm", None]
    assert (found[0].gain.value, found[0].gain.low, found[0].gain.high) == (0.3, 0.2, 0.4)
    assert found[0].gain_at_rate.value == 0.03
    assert found[0].one_step.value == 0.1
    assert found[2].gain is None
    assert found[2].one_step.high == -0.1
    assert {c.score for c in found[3:]} == {0.0}


def test_another_kind_that_won_swaps_places_with_the_first_choice():
    found = find_candidates(with_trials(trained("fc3", norm="LayerNorm")))[0]
    assert (found.norm, found.runner_up) == ("LayerNorm", "BatchNorm1d")


# Suggestions.


def test_at_most_three_places_are_suggested_and_only_sure_ones():
    made = with_trials(
        *(trained(f"fc{n}") for n in (1, 2, 3)), trained("head", position="before"), trained("fc2", position="before")
    )
    assert [(s.rank, s.site) for s in suggest(made)] == [(1, "head"), (2, "fc3"), (3, "fc2")]
    assert suggest(with_trials(trained("fc1", gain=SLIGHT), trained("fc2", gain=HARM), at("fc3", probe=NONE))) == ()


def test_trials_suggest_where_forward_evidence_would_not_and_the_other_way_round():
    healthy, broken = evidence(), evidence(at_first=COLLAPSE)
    assert suggest(healthy) == ()
    assert suggest(broken)
    assert [s.site for s in suggest(with_trials(trained("fc1"), made=healthy))] == ["fc1"]
    assert suggest(with_trials(trained("fc3", gain=NONE), made=broken)) == ()


def test_a_suggestion_says_what_was_trained_and_what_it_gave():
    made = with_trials(
        trained("fc3", at_rate=SLIGHT, stays_first=1.0),
        rate=0.03,
        everywhere=Estimate(0.5, 0.4, 0.6),
        last=("fc3", "after"),
        rivals={"warm-up": Estimate(0.1, 0.05, 0.15), "a larger learning rate": NONE},
    )
    found = suggest(made)[0]
    assert found.reason == (
        "Trained from the start for 90 steps with 3 seeds, it changes the area under the training loss by "
        "-30 % [-40, -20] at the best learning rate (0.1), at your own rate by -3 % [-7, +1]. Constants of the same "
        "initial standardization give -12 % [-17, -7], so statistics taken while training matter. Without any "
        "normalization, warm-up gives -10 % [-15, -5]."
    )
    assert (found.tier, found.verdict, found.confidence) == ("trial", "recommended", "high")
    assert found.gain.value == 0.3
    assert found.gain_at_rate.value == 0.03
    assert found.gain_of_fixed_affine.value == 0.12
    assert found.stays_first == 1.0
    assert found.evidence["everywhere"] == 0.5
    assert found.evidence["last_only"] == 0.3
    assert found.evidence["over_fixed_affine"] == 0.1
    assert found.evidence["rivals"] == {"warm-up": 0.1, "a larger learning rate": 0.0}
    assert "nn.BatchNorm1d(64)" in found.patch


def test_a_suggestion_that_constants_match_says_to_fix_the_scale():
    found = suggest(with_trials(trained(over_affine=NONE)))[0]
    assert (found.verdict, found.confidence) == ("worth testing", "medium")
    assert "which is about as good: fix the scale instead" in found.reason


def test_a_suggestion_from_a_step_says_so_and_is_never_sure():
    found = suggest(with_trials(at("fc3", probe=SURE)))[0]
    assert found.reason.startswith(
        "One step of sgd with it changes the loss by -30 % [-40, -20] more than without, on other samples"
    )
    assert (found.tier, found.verdict, found.confidence) == ("probe", "worth testing", "low")
    assert found.gain is None


def test_places_that_cannot_be_told_apart_name_each_other_and_are_equally_sure():
    made = with_trials(
        trained("fc3", stays_first=0.6),
        trained("fc2", stays_first=0.4, exchangeable=True),
        trained("fc1", gain=Estimate(0.1, 0.05, 0.15)),
    )
    first, second, third = suggest(made)
    assert (first.exchangeable_with, second.exchangeable_with) == (["after fc2"], ["after fc3"])
    assert third.exchangeable_with == []
    assert "after fc2 cannot be told from it." in first.reason
    assert (first.confidence, second.confidence, third.confidence) == ("high", "high", "medium")


def test_a_place_that_might_not_stay_first_is_less_sure():
    assert suggest(with_trials(trained("fc3", stays_first=0.79), trained("fc2")))[0].confidence == "medium"
    assert suggest(with_trials(trained("fc3", stays_first=0.8), trained("fc2")))[0].confidence == "high"


# Findings and notes.


def test_a_suggestion_from_a_trial_is_a_finding_with_its_gain():
    (found,) = firing(with_trials(trained("fc2")), "COV501")
    assert found.message == (
        "BatchNorm1d behind fc2 is worth trying: -30 % [-40, -20] of the area under the training loss in a short trial"
    )
    assert found.evidence["tier"] == "trial"
    assert found.evidence["verdict"] == "recommended"
    assert found.evidence["gain"] == 0.3


def test_a_suggestion_from_a_step_is_a_finding_too():
    (found,) = firing(with_trials(at("head", "before", probe=SURE)), "COV501")
    assert found.message == "BatchNorm1d in front of head is worth trying: one step with it lowers the loss further"


def test_where_nothing_gains_for_sure_the_most_is_named():
    (found,) = firing(with_trials(trained("fc2", gain=SLIGHT), trained("fc3", gain=NONE)), "COV504")
    assert found.message == (
        "no normalization is suggested: in short trainings none of 2 places gained more than 2 % for sure; "
        "the most is -3 % [-7, +1] at fc2"
    )
    assert found.evidence["tier"] == "trial"
    (found,) = firing(with_trials(at("fc1", probe=NONE)), "COV504")
    assert "in one-step probes none of 1 place gained" in found.message


def test_notes_say_what_a_gain_is_and_where_trainings_started():
    made = evidence(steps=(0,), norms={"n": per_sample("layer")})
    noted = judge(with_trials(trained(), made=made, notes=("one more",))).notes
    assert noted == (TRIED, "one more")
    noted = judge(with_trials(trained(), made=made, intervention="into a checkpoint")).notes
    assert noted == (TRIED, KEPT)
    assert judge(with_trials(at(probe=SURE), made=made)).notes == (PROBED,)


def test_where_the_budget_reaches_for_no_place_forward_evidence_decides_as_without_a_loss():
    plain = evidence(at_first=COLLAPSE)
    made = replace(plain, trials=trials(notes=("the budget was too small",)))
    assert made.tried is None
    assert find_candidates(made) == find_candidates(plain)
    assert suggest(made) == suggest(plain)
    assert [f.message for f in firing(made, "COV501")] == [f.message for f in firing(plain, "COV501")]
    assert judge(made).notes[-1] == "the budget was too small"
    assert GAIN in judge(made).notes
    healthy = replace(evidence(), trials=trials())
    assert "none looks wrong enough" in firing(healthy, "COV504")[0].message


def test_a_patch_for_a_trained_network_says_how_its_function_is_kept():
    into, from_start = (
        suggest(with_trials(trained("fc2"), intervention=how)) for how in ("into a checkpoint", "from the start")
    )
    assert "covscan insert --site fc2 --position after --norm BatchNorm1d" in into[0].patch
    assert "covscan insert" not in from_start[0].patch


def test_a_place_that_was_only_looked_at_briefly_is_not_called_exchangeable_with_one_trained_longer():
    brief = trained("fc2", exchangeable=True, horizon=30, seeds=1)
    assert suggest(with_trials(trained("fc3"), brief))[0].exchangeable_with == []


def test_in_a_trial_a_place_that_was_not_trained_to_the_end_is_never_suggested():
    stepped, brief = at("head", "before", probe=SURE), trained("fc2", horizon=30, seeds=1)
    assert [s.site for s in suggest(with_trials(trained("fc3"), brief, stepped))] == ["fc3"]
    assert suggest(with_trials(trained("fc3", gain=NONE), brief, stepped)) == ()
