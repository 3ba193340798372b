"""Where a normalization could go, in which order, which kind, and the code to paste."""

import random
from dataclasses import replace

import pytest
import torch
from evidence_factory import Call, batchnorm, evidence, mlp, moved, per_sample
from torch import nn

from covscan.rules import judge
from covscan.rules.candidates import find_candidates
from covscan.rules.suggestions import suggest
from covscan.surgery.code import module_path
from covscan.surgery.types import constructor, groups_for

IMAGE = ("N", 64, 8, 8)
TOKENS = ("N", 8, 64)
COLLAPSE = {"fc3": {"cross_sample_cosine": 0.999}}


def found(made):
    return {(candidate.site, candidate.position): candidate for candidate in find_candidates(made)}


def convnet(norm=None):
    calls = []
    for number in (1, 2, 3):
        calls.append(Call(f"conv{number}", "Conv2d", shape=IMAGE))
        if norm:
            calls.append(Call(f"norm{number}", norm, shape=IMAGE))
        calls.append(Call(f"relu{number}", "ReLU", shape=IMAGE))
    return [*calls, Call("head", "Linear", channels=10, fresh=True)]


def test_every_hidden_layer_has_one_behind_and_each_other_tensor_one_in_front():
    assert set(found(evidence())) == {
        ("fc1", "after"), ("fc2", "after"), ("fc3", "after"),
        ("fc2", "before"), ("fc3", "before"), ("head", "before"),
    }  # fmt: skip


def test_a_linear_chain_offers_each_tensor_once():
    chain = [Call("a", "Linear"), Call("b", "Linear"), Call("head", "Linear", channels=10)]
    assert set(found(evidence(chain))) == {("a", "after"), ("b", "after")}


def test_functional_activations_hide_nothing():
    chain = [replace(call, fresh=True) for call in mlp() if call.type == "Linear"]
    assert ("fc3", "after") in found(evidence(chain))
    assert ("head", "before") in found(evidence(chain))
    assert ("head", "after") not in found(evidence(chain))


@pytest.mark.parametrize("norm", ["BatchNorm1d", "LayerNorm"])
def test_nothing_is_offered_beside_a_normalization(norm):
    assert [key for key in found(evidence(mlp(norm=norm))) if key[1] == "after"] == []


def test_a_bare_layer_that_reads_no_normalized_input_is_found_among_normalized_ones():
    calls = [call for call in convnet("BatchNorm2d") if call.name not in ("norm2", "norm3")]
    offered = found(evidence(calls))
    assert ("conv3", "after") in offered
    assert {("conv1", "after"), ("conv2", "after"), ("conv2", "before")}.isdisjoint(offered)


def test_embeddings_outputs_and_gates_are_left_alone():
    chain = [
        Call("embed", "Embedding", shape=TOKENS), Call("fc1", "Linear", shape=TOKENS),
        Call("act1", "ReLU", shape=TOKENS),
        Call("gate", "Linear", shape=TOKENS), Call("sigmoid", "Sigmoid", shape=TOKENS),
        Call("fc2", "Linear", shape=TOKENS, fresh=True), Call("act2", "ReLU", shape=TOKENS),
        Call("head", "Linear", channels=10), Call("softmax", "Softmax", channels=10),
    ]  # fmt: skip
    offered = found(evidence(chain))
    assert {site for site, position in offered if position == "after"} == {"fc1", "fc2"}
    assert ("fc1", "before") not in offered


def test_in_a_sigmoid_network_sigmoids_are_no_gates():
    assert ("fc2", "after") in found(evidence(mlp(activation="Sigmoid")))


def test_half_of_a_score_is_depth_and_half_the_mean_of_the_other_ranks():
    worse = {f"fc{n}": {"channel_scale": 0.1**n} for n in (1, 2, 3)}
    worse |= {
        f"act{n}": {"conditioning": 10.0 * n, "cross_sample_cosine": 0.3 * n, "mean_to_variance": float(n)}
        for n in (1, 2, 3)
    }
    shifts = {f"fc{n}": {"jensen_shannon": moved(0.05 * n)} for n in (1, 2, 3)}
    offered = found(evidence(statistics=worse, shifts=shifts))
    for candidate in offered.values():
        ranks = dict(candidate.evidence)
        depth = ranks.pop("depth")
        known = [rank for rank in ranks.values() if rank is not None]
        assert candidate.score == pytest.approx((depth + sum(known) / len(known)) / 2)
    behind = [offered[f"fc{n}", "after"] for n in (1, 2, 3)]
    for name in behind[0].evidence:
        assert behind[0].evidence[name] < behind[1].evidence[name] < behind[2].evidence[name], name
    assert [c.site for c in find_candidates(evidence(statistics=worse)) if c.position == "after"] == [
        "fc3",
        "fc2",
        "fc1",
    ]


def test_without_other_signs_the_deeper_place_comes_first():
    offered = [(c.site, c.position) for c in find_candidates(evidence())]
    assert offered[0] == ("head", "before")
    assert [site for site, position in offered if position == "after"] == ["fc3", "fc2", "fc1"]


def test_scores_lie_between_0_and_1_and_order_the_list_whatever_the_values():
    draw = random.Random(0)
    for _ in range(20):
        values = {
            name: {"channel_scale": draw.choice([None, 0.0, 10 ** draw.uniform(-9, 9)]),
                   "cross_sample_cosine": draw.uniform(-1, 1),
                   "mean_to_variance": draw.choice([None, 10 ** draw.uniform(-3, 3)])}
            for name in ("fc1", "fc2", "fc3", "act1", "act2", "act3")
        }  # fmt: skip
        scores = [candidate.score for candidate in find_candidates(evidence(statistics=values))]
        assert scores == sorted(scores, reverse=True)
        assert all(0 <= score <= 1 for score in scores)


def test_a_series_that_starts_before_training_is_ranked_by_its_first_state():
    first = {"fc1": {"channel_scale": 9.0}}
    at_start = found(evidence(at_first=first))["fc1", "after"].evidence["scale"]
    later = found(evidence(at_first=first, steps=(50, 100)))["fc1", "after"].evidence["scale"]
    alike = found(evidence())["fc1", "after"].evidence["scale"]
    assert at_start > later > alike
    assert later == pytest.approx((at_start + alike) / 2)


@pytest.mark.parametrize(
    ("calls", "options", "norm", "runner_up"),
    [
        (mlp(), {}, "BatchNorm1d", "LayerNorm"),
        (mlp(), {"train_batch_size": 64}, "BatchNorm1d", "LayerNorm"),
        (mlp(), {"train_batch_size": 16}, "LayerNorm", "BatchNorm1d"),
        (mlp(), {"norms": {"n": per_sample("layer")}}, "LayerNorm", "BatchNorm1d"),
        (mlp(), {"norms": {"n": per_sample("rms")}}, "RMSNorm", "LayerNorm"),
        (convnet(), {}, "BatchNorm2d", "GroupNorm"),
        (convnet(), {"train_batch_size": 16}, "BatchNorm2d", "GroupNorm"),
        (convnet(), {"train_batch_size": 8}, "GroupNorm", "SyncBatchNorm"),
        (convnet(), {"train_batch_size": 2}, "GroupNorm", None),
        (convnet(), {"masked": True}, "GroupNorm", "BatchNorm2d"),
        (convnet(), {"norms": {"n": per_sample("group")}}, "GroupNorm", "BatchNorm2d"),
        (convnet(), {"norms": {"n": per_sample("instance")}}, "InstanceNorm2d", "GroupNorm"),
        (convnet(), {"norms": {"n": batchnorm()}}, "BatchNorm2d", "GroupNorm"),
    ],
)
def test_the_kind_follows_shape_batch_and_what_is_used(calls, options, norm, runner_up):
    made = evidence(calls, **options)
    behind = [candidate for candidate in find_candidates(made) if candidate.position == "after"]
    assert {(candidate.norm, candidate.runner_up) for candidate in behind} == {(norm, runner_up)}


@pytest.mark.parametrize("kind", ["Linear", "LSTM"])
@pytest.mark.parametrize(("used", "norm"), [("layer", "LayerNorm"), ("rms", "RMSNorm"), ("batch", "LayerNorm")])
def test_sequences_get_a_normalization_per_token(kind, used, norm):
    chain = [
        Call("embed", "Embedding", shape=TOKENS),
        Call("a", kind, shape=TOKENS),
        Call("head", "Linear", channels=10),
    ]
    made = batchnorm() if used == "batch" else per_sample(used)
    assert found(evidence(chain, norms={"n": made}))["a", "after"].norm == norm


@pytest.mark.parametrize(("shape", "norm"), [(("N", 64, 8), "BatchNorm1d"), (("N", 64, 4, 4, 4), "BatchNorm3d")])
def test_batchnorm_has_the_dimensions_of_the_tensor(shape, norm):
    chain = [Call("conv", f"Conv{norm[-2:]}", shape=shape), Call("head", "Linear", channels=10, fresh=True)]
    assert found(evidence(chain))["conv", "after"].norm == norm


@pytest.mark.parametrize(
    ("channels", "groups"), [(64, 32), (48, 16), (12, 4), (10, 2), (7, 1), (2, 1), (32, 16), (1, 1)]
)
def test_groups_divide_the_channels_and_hold_two_at_least(channels, groups):
    assert groups_for(channels) == groups
    nn.GroupNorm(groups, channels)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("fc", "model.fc"), ("blocks.2.conv", "model.blocks[2].conv"), ("0", "model[0]"),
        ("net.0.1", "model.net[0][1]"),
        ("heads.my-key", None), ("a.class", None),
    ],
)  # fmt: skip
def test_the_path_of_a_module(name, path):
    assert module_path(name) == path


class Tower(nn.Module):
    """Modules at every odd path."""

    def __init__(self):
        super().__init__()
        self.fc3 = nn.Linear(64, 64)
        self.blocks = nn.ModuleList([nn.Sequential(nn.Linear(64, 64), nn.ReLU())])
        self.heads = nn.ModuleDict({"my-key": nn.Linear(64, 64)})


@pytest.mark.parametrize("name", ["fc3", "blocks.0.0", "heads.my-key"])
@pytest.mark.parametrize("position", ["after", "before"])
def test_the_patch_runs_and_puts_the_norm_where_it_says(name, position):
    calls = [replace(call, name=name if call.name == "fc3" else call.name) for call in mlp()]
    first = {name if position == "after" else "act2": {"cross_sample_cosine": 0.999, "mean_to_variance": 99.0}}
    made = evidence(calls, at_first={name: {"cross_sample_cosine": 0.999}} | first)
    offered = next(c for c in find_candidates(made) if (c.site, c.position) == (name, position))
    from covscan.rules.patches import patch
    from covscan.rules.places import places

    place = next(p for p in places(made) if (p.name, p.position) == (name, position))
    model = Tower()
    old = model.get_submodule(name)
    exec(patch(made, place, offered.norm), {"model": model})
    new = model.get_submodule(name)
    order = [type(part).__name__ for part in new]
    assert order == (["Linear", "BatchNorm1d"] if position == "after" else ["BatchNorm1d", "Linear"])
    assert old in list(new)
    assert new(torch.zeros(4, 64)).shape == (4, 64)


@pytest.mark.parametrize("norm", ["BatchNorm1d", "LayerNorm", "RMSNorm", "GroupNorm", "InstanceNorm2d"])
def test_constructors_are_pytorchs(norm):
    eval(constructor(norm, 48), {"nn": nn})


@pytest.mark.parametrize("engine", ["onnx", "torchscript"])
def test_where_a_model_cannot_be_edited_the_patch_is_a_comment(engine):
    made = evidence(at_first=COLLAPSE, engine=engine)
    patch = suggest(made)[0].patch
    assert all(line.startswith("#") for line in patch.splitlines())
    assert "nn.BatchNorm1d(64)" in patch


def test_a_recurrent_layer_is_not_wrapped():
    chain = [
        Call("embed", "Embedding", shape=TOKENS), Call("enc.lstm", "LSTM", shape=TOKENS),
        Call("head", "Linear", channels=10)
    ]  # fmt: skip
    patch = suggest(evidence(chain, at_first={"enc.lstm": {"cross_sample_cosine": 0.999}}))[0].patch
    assert "Sequential" not in patch
    assert "model.enc.lstm_norm = nn.LayerNorm(64)" in patch


def test_a_healthy_network_gets_nothing_and_is_told_so():
    made = judge(evidence())
    assert made.suggestions == ()
    assert made.candidates
    assert [f.message for f in made.findings if f.code == "COV504"] == [
        "no normalization is suggested: of 3 hidden layers without a normalization none looks wrong enough"
    ]


def test_shift_alone_suggests_nothing():
    far = {"gaussian_w2": moved(9.0), "standardized_mean_difference": moved(9.0), "log_variance_ratio": moved(9.0)}
    assert suggest(evidence(shifts={f"fc{n}": far for n in (1, 2, 3)})) == ()


def test_one_weak_sign_is_not_enough_and_two_of_different_kinds_are():
    weak = {"act2": {"dead_channels": 0.45}}
    other = {"fc2": {"channel_heterogeneity": 2.5}}
    alone = judge(evidence(statistics=weak))
    assert alone.suggestions == ()
    assert "one weak sign" in next(f.message for f in alone.findings if f.code == "COV504")
    assert suggest(evidence(statistics=weak | other))


def test_a_suggestion_says_what_is_wrong_how_sure_it_is_and_is_a_candidate():
    made = judge(evidence(at_first=COLLAPSE))
    first = made.suggestions[0]
    assert first.rank == 1
    assert "mean cosine 0.999" in first.reason
    assert "from scratch" in first.reason
    assert "shift" not in first.reason
    assert (first.confidence, first.tier) == ("low", "forward")
    assert first.score == made.candidates[0].score
    assert {(s.site, s.position, s.norm) for s in made.suggestions} <= {
        (c.site, c.position, c.norm) for c in made.candidates
    }
    assert [s.rank for s in made.suggestions] == list(range(1, len(made.suggestions) + 1))
    assert [f.site for f in made.findings if f.code == "COV501"] == [s.site for s in made.suggestions]
    assert any("not generalization" in note for note in made.notes)


def test_at_most_three_and_never_two_of_one_place():
    flat = {f"fc{n}": {"cross_sample_cosine": 0.999} for n in range(1, 9)}
    made = suggest(evidence(mlp(depth=8), at_first=flat))
    assert 1 <= len(made) <= 3
    layers = [(s.site, s.position) for s in made]
    assert ("fc8", "after") not in layers or ("head", "before") not in layers


def test_notes_fit_the_run():
    assert judge(evidence(steps=(0,))).notes == ()
    assert any("Awais" in note for note in judge(evidence()).notes)
    assert any("folded" in note for note in judge(evidence(steps=(0,), engine="onnx")).notes)


def test_attention_logits_are_suggested_apart_from_the_ranking():
    made = judge(evidence(logits={"a1": 2e4, "a2": 5e3, "a3": 100.0}, first_logits={"a2": 10.0}))
    assert [(s.site, s.norm, s.score) for s in made.suggestions] == [("a1", "QKNorm", 1.0), ("a2", "QKNorm", 0.5)]
    assert [c.site for c in made.candidates if c.norm == "QKNorm"] == ["a1", "a2"]
    assert [f.site for f in made.findings if f.code == "COV501"] == []


def test_the_network_of_a_bare_series_does_not_break_the_ranking():
    assert find_candidates(evidence([])) == ()
    assert suggest(evidence([Call("only", "Linear")])) == ()


def test_missing_statistics_leave_the_rest_in_order():
    made = evidence()
    for site in made.sites:
        if site.site == "fc2":
            site.statistics.clear()
    offered = found(made)
    ranks = dict(offered["fc2", "after"].evidence)
    assert ranks["scale"] is None
    depth = ranks.pop("depth")
    known = [rank for rank in ranks.values() if rank is not None]
    assert known
    assert offered["fc2", "after"].score == pytest.approx((depth + sum(known) / len(known)) / 2)


def test_nothing_is_suggested_for_one_onnx_file_into_which_batchnorm_may_have_been_folded():
    calls = [replace(call, type="Conv") if call.type == "Conv2d" else call for call in convnet()]
    broken = {"conv3": {"cross_sample_cosine": 0.999}}
    alone = judge(evidence(calls, steps=(None,), statistics=broken, engine="onnx"))
    assert alone.suggestions == ()
    assert alone.candidates
    assert "folded" in next(f.message for f in alone.findings if f.code == "COV504")
    for made in (
        evidence(calls, steps=(None, None), statistics=broken, engine="onnx"),
        evidence(calls, steps=(0,), statistics=broken, engine="onnx"),
        evidence(calls, steps=(None,), statistics=broken),
    ):
        assert suggest(made)
