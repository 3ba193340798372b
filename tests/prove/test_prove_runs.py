import math
from dataclasses import replace
from itertools import islice

import pytest
import torch
from torch import nn
from training_testing import bench_of, plain, states

from covscan.errors import UsageError
from covscan.prove.runs import AS_IT_IS, Arm
from covscan.surgery.types import Insertion

BEHIND_FIRST = Insertion("0", "after", "BatchNorm1d", 16, 1)


def fingerprint(model: nn.Module) -> list:
    tensors = [(name, value.clone()) for name, value in model.state_dict().items()]
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]
    grads = [p.grad is None for p in model.parameters()]
    return [tensors, hooks, grads, [m.training for m in model.modules()], torch.get_rng_state()]


def same(one: list, two: list) -> bool:
    alike = all(a[0] == b[0] and torch.equal(a[1], b[1]) for a, b in zip(one[0], two[0], strict=True))
    return alike and one[1:4] == two[1:4] and torch.equal(one[4], two[4])


def test_a_curve_is_that_of_an_ordinary_training_loop():
    bench = bench_of()
    curve = bench.curve(AS_IT_IS, 0.1, 0, 5)
    model = plain()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    expected = []
    for draw in islice(bench.pool.draws(0), 5):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(*draw.args), draw.target)
        expected.append(float(loss.detach()))
        loss.backward()
        optimizer.step()
    assert curve.losses == pytest.approx(expected, rel=1e-5)


def test_a_curve_with_a_norm_is_that_of_the_network_built_with_it():
    bench = bench_of(optimizer="adam")
    curve = bench.curve(Arm((BEHIND_FIRST,)), 0.01, 1, 5)
    start = plain()
    model = nn.Sequential(start[0], nn.BatchNorm1d(16), *start[1:])
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    expected = []
    for draw in islice(bench.pool.draws(1), 5):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(*draw.args), draw.target)
        expected.append(float(loss.detach()))
        loss.backward()
        optimizer.step()
    assert curve.losses == pytest.approx(expected, rel=1e-4)


ARMS = [
    Arm((BEHIND_FIRST,)),
    Arm((BEHIND_FIRST,), "affine"),
    Arm((BEHIND_FIRST,), "preserving"),
    Arm((BEHIND_FIRST,), "scale"),
    Arm((replace(BEHIND_FIRST, norm="LayerNorm"),)),
    Arm((replace(BEHIND_FIRST, norm="RMSNorm"),), "preserving"),
]


@pytest.mark.parametrize("arm", ARMS, ids=lambda arm: f"{arm.form} {arm.insertions[0].norm}")
@pytest.mark.parametrize(("dtype", "near"), [(torch.float64, 1e-4), (torch.bfloat16, 0.03), (torch.float16, 0.01)])
def test_a_model_of_another_dtype_is_trained_as_one_of_32_bits(arm, dtype, near):
    wanted = bench_of().curve(arm, 0.03, 0, 4).losses
    assert bench_of(plain().to(dtype)).curve(arm, 0.03, 0, 4).losses == pytest.approx(wanted, rel=near)


def test_layers_of_a_model_of_64_bits_have_64():
    with bench_of(plain().double()).session(0, ARMS[0]) as trained:
        assert {parameter.dtype for parameter in trained} == {torch.float64}
    with bench_of(plain().bfloat16()).session(0, ARMS[0]) as trained:
        assert [parameter.dtype for parameter in trained[-2:]] == [torch.float32] * 2


def test_a_start_whose_loss_is_not_finite_in_some_batch_is_refused():
    bench = bench_of()
    bench.pool._groups[0].args[0][:40] = math.nan
    with pytest.raises(UsageError) as caught:
        bench.initial_loss(0)
    assert caught.value.code == "cannot-train"
    assert "nan" in caught.value.found


@pytest.mark.parametrize("arm", [AS_IT_IS, Arm((BEHIND_FIRST,)), Arm((BEHIND_FIRST,), "affine")])
def test_the_model_is_left_as_it_was(arm):
    model = nn.Sequential(*plain(), nn.BatchNorm1d(10)).train()
    model[1].eval()
    bench = bench_of(model)
    before = fingerprint(model)
    bench.curve(arm, 0.1, 0, 3)
    bench.initial_loss(0)
    assert same(before, fingerprint(model))


def test_the_model_is_left_as_it_was_where_training_raises():
    model = plain()
    bench = bench_of(model)
    before = fingerprint(model)
    with pytest.raises(RuntimeError), bench.session(0, Arm((BEHIND_FIRST,))):
        raise RuntimeError
    assert same(before, fingerprint(model))


def test_arms_see_the_same_dropout_masks():
    model = nn.Sequential(nn.Dropout(0.5), *plain())
    where = Insertion("1", "after", "BatchNorm1d", 16, 1)
    seen: dict[str, list] = {}
    for name, arm in (("none", AS_IT_IS), ("norm", Arm((where,)))):
        kept = seen.setdefault(name, [])
        hook = model[0].register_forward_hook(lambda module, inputs, output, kept=kept: kept.append(output == 0))
        bench_of(model).curve(arm, 0.1, 0, 3)
        hook.remove()
    assert all(torch.equal(a, b) for a, b in zip(seen["none"][-3:], seen["norm"][-3:], strict=True))
    assert not torch.equal(seen["none"][-1], seen["none"][-2])


def test_a_run_that_diverges_is_nan_from_there_on_and_stops():
    bench = bench_of(starts=states(plain(scale=30.0)))
    curve = bench.curve(AS_IT_IS, 1e6, 0, 20)
    assert len(curve.losses) == 20
    first = next(step for step, loss in enumerate(curve.losses) if not math.isfinite(loss))
    assert all(not math.isfinite(loss) for loss in curve.losses[first:])
    assert bench.steps == first + 1


def test_curves_are_trained_once():
    bench = bench_of()
    bench.curve(AS_IT_IS, 0.1, 0, 6)
    again = bench.curve(AS_IT_IS, 0.1, 0, 4)
    assert bench.steps == 6
    assert again.losses == bench.curve(AS_IT_IS, 0.1, 0, 6).losses[:4]


def test_seeds_start_from_their_own_weights():
    one, other = plain(seed=1), plain(seed=2)
    bench = bench_of(one, starts=states(one, other))
    alike = bench_of(other, starts=states(other))
    assert bench.curve(AS_IT_IS, 0.1, 1, 3).losses == alike.curve(AS_IT_IS, 0.1, 1, 3).losses


def test_a_preserving_norm_starts_where_the_model_is_in_evaluation():
    bench = bench_of(preserve=True)
    draw = next(bench.pool.draws(0))
    with bench.session(0, AS_IT_IS):
        bench.model.eval()
        expected = float(bench.loss(draw).detach())
    for norm in ("BatchNorm1d", "LayerNorm", "RMSNorm"):
        arm = Arm((Insertion("2", "after", norm, 16, 1),))
        with bench.session(0, arm):
            bench.model.eval()
            for layer in bench._inside:
                layer.eval()
            assert float(bench.loss(draw).detach()) == pytest.approx(expected, rel=1e-5)
        affine = Arm(arm.insertions, "affine")
        with bench.session(0, affine):
            assert float(bench.loss(draw).detach()) == pytest.approx(expected, rel=1e-5)


def test_the_fixed_affine_starts_where_batchnorm_starts():
    bench = bench_of()
    draws = list(islice(bench.pool.draws(0), 4))
    tensors = []
    with bench.session(0, Arm((BEHIND_FIRST,), "affine")), torch.no_grad():
        bench.model[1].register_forward_pre_hook(lambda module, inputs: tensors.append(inputs[0]))
        for draw in draws:
            bench.loss(draw)
    whole = torch.cat(tensors)
    assert torch.allclose(whole.mean(0), torch.zeros(16), atol=1e-4)
    assert torch.allclose(whole.std(0, correction=0), torch.ones(16), atol=1e-2)


def test_a_warm_up_raises_the_rate_step_by_step():
    bench = bench_of()
    rates = []

    class Watched(torch.optim.SGD):
        def step(self, closure=None):
            rates.append(self.param_groups[0]["lr"])
            return super().step(closure)

    from covscan.prove.optimizers import Trainer

    bench.trainer = Trainer("watched", Watched, 0.1)
    bench.curve(Arm(warmup=4), 0.2, 0, 6)
    assert rates == pytest.approx([0.05, 0.1, 0.15, 0.2, 0.2, 0.2])


def test_held_out_loss_is_taken_in_evaluation_mode_on_samples_not_trained_on():
    bench = bench_of(held_out=0.25)
    curve = bench.curve(Arm((BEHIND_FIRST,)), 0.1, 0, 30)
    assert curve.held_out is not None
    assert 0 < curve.held_out < curve.losses[0]
    assert bench.initial_loss(0) == bench.initial_loss(0)


def test_held_out_loss_knows_no_dropout():
    model = nn.Sequential(*plain(), nn.Dropout(0.9))
    bench = bench_of(model, held_out=0.25)
    curve = bench.curve(AS_IT_IS, 1e-12, 0, 1)
    model.eval()
    with torch.no_grad():
        losses = [(float(bench.loss(draw)), draw.n) for draw in bench.pool.held_out]
    assert curve.held_out == pytest.approx(sum(loss * n for loss, n in losses) / sum(n for _, n in losses), rel=1e-5)
