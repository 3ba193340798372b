import pytest
import torch
from torch import nn

from covscan.errors import UsageError
from covscan.prove.optimizers import OPTIMIZERS, open_trainer

PLAIN = {
    "sgd": torch.optim.SGD,
    "momentum": lambda parameters, lr: torch.optim.SGD(parameters, lr, momentum=0.9),
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
}


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_steps_are_those_of_torchs_own_optimizer(name):
    def trained(make):
        weight = nn.Parameter(torch.linspace(-1, 1, 7))
        optimizer = make([weight], 0.05)
        for _ in range(3):
            optimizer.zero_grad()
            weight.square().sum().backward()
            optimizer.step()
        return weight.detach()

    assert torch.allclose(trained(open_trainer(name).make), trained(PLAIN[name]), atol=1e-6)


def test_a_first_step_has_the_rates_size_where_the_trainer_says_so():
    for name, trainer in OPTIMIZERS.items():
        weight = nn.Parameter(torch.tensor([3.0, -0.5]))
        (weight.square().sum()).backward()
        trainer.make([weight], 1e-4).step()
        moved = (weight.detach() - torch.tensor([3.0, -0.5])).abs()
        alike = bool(torch.allclose(moved[0], moved[1], rtol=0.05))
        assert alike == trainer.sign_like, name


def test_an_own_function_makes_the_optimizer(tmp_path):
    (tmp_path / "own.py").write_text(
        "import torch\ndef make(parameters, rate):\n    return torch.optim.Adagrad(parameters, lr=rate)\n"
    )
    trainer = open_trainer(f"{tmp_path / 'own.py'}:make")
    assert isinstance(trainer.make([nn.Parameter(torch.zeros(1))], 0.1), torch.optim.Adagrad)


@pytest.mark.parametrize(
    ("function", "words"),
    [(lambda parameters, rate: 1 / 0, "ZeroDivisionError"), (lambda parameters, rate: 3, "does not return a torch")],
)
def test_an_own_function_that_fails_is_said(function, words):
    with pytest.raises(UsageError, match=words):
        open_trainer(function).make([nn.Parameter(torch.zeros(1))], 0.1)


def test_an_unknown_optimizer_gets_a_hint():
    with pytest.raises(UsageError, match="did you mean 'adamw'"):
        open_trainer("admw")
