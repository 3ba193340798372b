"""Steps and curvature, on losses whose Hessian is known."""

import math

import numpy as np
import pytest
import torch
from gradient_testing import CPU, draw_of, measure
from torch import nn

from covscan.prove.curvature import CurvatureError, largest_eigenvalue, sharpness
from covscan.prove.gradient_probe import probing
from covscan.prove.objective import open_objective
from covscan.prove.optimizers import OPTIMIZERS, Trainer
from covscan.prove.steps import edge_of


class Quadratic(nn.Module):
    """Two weights w; its output is 1/2 sum_i curvature_i w_i^2 for every sample."""

    def __init__(self, *curvatures: float, at: tuple[float, ...] = (1.0, 1.0)) -> None:
        super().__init__()
        self.plane = nn.Linear(2, 1, bias=False)
        self.curvatures = torch.tensor(curvatures)
        with torch.no_grad():
            self.plane.weight.copy_(torch.tensor([at]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.plane(x)
        return (self.curvatures * self.plane.weight.square()).sum() / 2 + 0 * x.sum()


def value(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return output.mean()


def on_quadratic(model: nn.Module, **options):
    found = measure(model, [model.state_dict()], torch.randn(64, 2), torch.zeros(64), loss=value, **options)
    assert len(found.landscapes) == 1
    return found.landscapes[0]


def test_sharpness_and_stability_of_a_quadratic():
    found = on_quadratic(Quadratic(3.0, 0.5), rate=0.1)
    assert found.sharpness == pytest.approx(3.0, rel=1e-4)
    assert found.sharpness_error < 0.03
    assert found.stability == pytest.approx(0.1 * 3.0 / 2, rel=1e-4)
    assert found.status is None
    assert found.loss == pytest.approx(1.75)
    assert found.loss_after == pytest.approx((3.0 * 0.7**2 + 0.5 * 0.95**2) / 2, rel=1e-5)
    assert found.loss_low == pytest.approx((3.0 * 0.2**2 + 0.5 * 0.8**2) / 2, rel=1e-5)
    assert found.loss_high == pytest.approx((3.0 * 0.85**2 + 0.5 * 0.975**2) / 2, rel=1e-5)
    # the gradient (3, 0.5) changes by eta (9, 0.25): relative to itself most at four times the rate
    change = math.hypot(9, 0.25) / math.hypot(3, 0.5)
    assert found.predictiveness == pytest.approx(0.4 * change, rel=1e-4)
    assert found.effective_smoothness == pytest.approx(change, rel=1e-4)


def test_sharpness_is_the_largest_eigenvalue_and_not_the_largest_in_size():
    assert on_quadratic(Quadratic(-7.0, 2.0)).sharpness == pytest.approx(2.0, rel=1e-4)
    assert on_quadratic(Quadratic(0.0, 0.0)).sharpness == 0


def test_adams_curvature_is_divided_by_the_gradients_size():
    """With equal gradients in all batches it is c_i / |c_i w_i| = 1 / |w_i|."""
    found = on_quadratic(Quadratic(3.0, 0.5, at=(2.0, 0.25)), rate=0.1, optimizer="adam")
    assert found.sharpness == pytest.approx(3.0, rel=1e-4)
    assert found.stability == pytest.approx(0.1 * (1 / 0.25) / 38, rel=1e-3)
    assert found.loss_after == pytest.approx((3 * 1.9**2 + 0.5 * 0.15**2) / 2, rel=1e-4)


def test_an_unknown_rate_is_replaced_by_the_best_of_several():
    found = on_quadratic(Quadratic(1.0, 1.0), rate=None)
    assert not found.rate_known
    assert found.rate == pytest.approx(1.0)
    assert found.stability is None
    assert found.sharpness == pytest.approx(1.0)
    assert found.loss_after == pytest.approx(0.0, abs=1e-9)


def test_an_unknown_optimizer_has_no_edge_and_says_so():
    found = on_quadratic(Quadratic(3.0, 0.5), optimizer=lambda p, rate: torch.optim.Adagrad(p, lr=rate))
    assert found.stability is None
    assert found.sharpness == pytest.approx(3.0, rel=1e-4)
    assert "no limit of stability" in found.status


def test_an_optimizer_that_needs_more_than_a_gradient_is_not_stepped():
    model = Quadratic(3.0, 0.5)
    found = measure(
        model,
        [model.state_dict()],
        torch.randn(64, 2),
        torch.zeros(64),
        loss=value,
        optimizer=lambda p, rate: torch.optim.LBFGS(p, lr=rate),
    )
    assert found.landscapes[0].loss_low is None
    assert found.landscapes[0].sharpness == pytest.approx(3.0, rel=1e-4)
    assert found.layers[0].update_ratio is None
    assert "TypeError" in found.notes[0]


def test_steps_that_leave_the_finite_are_cut_off_and_said():
    class Steep(Quadratic):
        def forward(self, x):
            return torch.exp(super().forward(x).square()) + 0 * x.sum()

    found = on_quadratic(Steep(1.0, 1.0, at=(1.0, 1.0)), rate=1.0)
    assert found.loss == pytest.approx(math.e)
    assert found.loss_high is None
    assert found.predictiveness is None
    assert "not finite after a step of" in found.status


class Bent(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        return gradient


def test_no_second_derivative_is_no_sharpness_and_a_reason():
    class Once(Quadratic):
        def forward(self, x):
            return Bent.apply(self.plane(x)).square()

    found = on_quadratic(Once(1.0, 1.0))
    assert found.sharpness is None
    assert found.stability is None
    assert found.loss_low is not None
    assert "no second derivative" in found.status


class Raising(torch.autograd.Function):
    """The identity, whose gradient complains where it is to be differentiated again, now or later."""

    @staticmethod
    def forward(ctx, x, at_once):
        ctx.at_once = at_once
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        if ctx.at_once and torch.is_grad_enabled():
            raise RuntimeError("no graph of me")
        return Later.apply(gradient), None


class Later(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        raise NotImplementedError("derivative of later is not implemented")


@pytest.mark.parametrize(("at_once", "reason"), [(True, "could not be computed"), (False, "no second derivative")])
def test_an_error_of_the_second_derivative_is_no_sharpness_and_a_reason(at_once, reason):
    class Complaining(Quadratic):
        def forward(self, x):
            return Raising.apply(self.plane(x), at_once).square()

    found = on_quadratic(Complaining(1.0, 1.0))
    assert found.sharpness is None
    assert reason in found.status


def test_a_linear_loss_has_no_curvature():
    class Flat(Quadratic):
        def forward(self, x):
            return self.plane.weight.sum() + 0 * x.sum()

    found = on_quadratic(Flat(1.0, 1.0))
    assert found.sharpness == 0
    assert found.predictiveness == 0


def test_lanczos_finds_what_numpy_finds():
    torch.manual_seed(1)
    matrix = torch.randn(60, 60, dtype=torch.float64)
    matrix = matrix @ matrix.T - 40 * torch.eye(60, dtype=torch.float64)
    like = [torch.zeros(7, 5, dtype=torch.float64), torch.zeros(25, dtype=torch.float64)]

    def product(vector):
        flat = matrix @ torch.cat([part.flatten() for part in vector])
        return [flat[:35].reshape(7, 5), flat[35:]]

    found, error = largest_eigenvalue(product, like, 20)
    right = float(np.linalg.eigvalsh(matrix.numpy())[-1])
    assert found == pytest.approx(right, rel=0.02)
    assert abs(found - right) <= error
    with pytest.raises(CurvatureError):
        largest_eigenvalue(lambda vector: [part * math.nan for part in vector], like, 3)


def test_sharpness_is_that_of_the_dense_hessian():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2))
    draws = [draw_of(torch.randn(20, 3), torch.randn(20, 2)) for _ in range(2)]
    model.train()
    names = [name for name, _ in model.named_parameters()]

    def loss(*values):
        total = 0.0
        for draw in draws:
            out = torch.func.functional_call(model, dict(zip(names, values, strict=True)), draw.args)
            total = total + (out - draw.target).square().mean() / 2
        return total

    values = tuple(parameter.detach() for parameter in model.parameters())
    rows = torch.autograd.functional.hessian(loss, values)
    sizes = [value.numel() for value in values]
    whole = torch.cat(
        [
            torch.cat([b.reshape(n, m) for b, m in zip(r, sizes, strict=True)], 1)
            for r, n in zip(rows, sizes, strict=True)
        ]
    )
    with probing(model, open_objective("mse"), CPU) as probe:
        found, _ = sharpness(probe, draws, 20)
    assert found == pytest.approx(float(torch.linalg.eigvalsh(whole.double())[-1]), rel=0.02)


def test_sparse_embeddings_have_the_same_sharpness():
    found = []
    for sparse in (False, True):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Embedding(5, 4, sparse=sparse), nn.Tanh(), nn.Linear(4, 5))
        draw = draw_of(torch.randint(0, 5, (20,)), torch.randint(0, 5, (20,)))
        with probing(model, open_objective("cross_entropy"), CPU) as probe:
            found.append(sharpness(probe, [draw], 12)[0])
    assert found[1] == pytest.approx(found[0], rel=1e-4)


@pytest.mark.parametrize(
    ("optimizer", "factor", "epsilon"),
    [
        ("sgd", 2.0, None),
        ("momentum", 3.8, None),
        ("adam", 38.0, 1e-8),
        ("adamw", 38.0, 1e-8),
        ("rmsprop", 2.0, 1e-8),
    ],
)
def test_the_edge_of_each_optimizer(optimizer, factor, epsilon):
    found = edge_of(OPTIMIZERS[optimizer].make([nn.Parameter(torch.zeros(2))], 0.1))
    assert found.factor == pytest.approx(factor)
    assert found.epsilon == epsilon


@pytest.mark.parametrize(
    "make",
    [
        lambda p, rate: torch.optim.SGD(p, lr=rate),
        lambda p, rate: torch.optim.SGD(p, lr=rate, momentum=0.8),
        lambda p, rate: torch.optim.SGD(p, lr=rate, momentum=0.8, nesterov=True),
        lambda p, rate: torch.optim.SGD(p, lr=rate, momentum=0.8, dampening=0.5),
        lambda p, rate: torch.optim.RMSprop(p, lr=rate, alpha=1.0, eps=1.0, momentum=0.5),
    ],
)
def test_the_edge_is_where_descent_on_a_quadratic_turns_from_shrinking_to_growing(make):
    weight = nn.Parameter(torch.ones(1, dtype=torch.float64))
    factor = edge_of(make([weight], 0.1)).factor
    for beside, grows in ((0.97, False), (1.03, True)):
        with torch.no_grad():
            weight.fill_(1.0)
        optimizer = make([weight], factor * beside)
        for _ in range(600):
            weight.grad = weight.detach().clone()
            optimizer.step()
        assert (abs(weight.item()) > 1) == grows


def test_a_trainer_of_the_users_own_is_asked_like_any_other():
    own = Trainer("mine", lambda p, rate: torch.optim.SGD(p, lr=rate, momentum=0.5), 0.1)
    found = on_quadratic(Quadratic(3.0, 0.5), optimizer=own, rate=0.2)
    assert found.stability == pytest.approx(0.2 * 3.0 / 3.0, rel=1e-4)
    assert edge_of(torch.optim.Adam([nn.Parameter(torch.zeros(1))], amsgrad=True)) is None
    assert edge_of(torch.optim.RMSprop([nn.Parameter(torch.zeros(1))], centered=True)) is None
