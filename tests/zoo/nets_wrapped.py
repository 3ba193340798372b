"""Networks with something around them or around their weights."""

import warnings

import torch
from nets_numbers import mlp
from torch import nn
from torch.nn.utils import parametrizations, prune


class Compiled(nn.Module):
    """A compiled function between two layers."""

    def __init__(self):
        super().__init__()
        self.fc, self.head, self.between = nn.Linear(6, 8), nn.Linear(8, 3), torch.compile(torch.tanh, backend="eager")

    def forward(self, x):
        return self.head(self.between(self.fc(x)))


class Scripted(nn.Module):
    """A body of TorchScript."""

    def __init__(self):
        super().__init__()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.body = torch.jit.script(nn.Sequential(nn.Linear(6, 8), nn.ReLU()))
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.body(x))


class Buffered(nn.Module):
    """Part of it is not saved, and cannot be made up on the meta device."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 8)
        self.register_buffer("scale", torch.ones(8), persistent=False)

    def forward(self, x):
        return self.fc(x) * self.scale


def quiet(function, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **kwargs)


def weight_norm():
    return nn.Sequential(parametrizations.weight_norm(nn.Linear(6, 8)), nn.ReLU(), nn.Linear(8, 3))


def spectral_norm():
    return nn.Sequential(parametrizations.spectral_norm(nn.Linear(6, 8)), nn.ReLU(), nn.Linear(8, 3))


def old_weight_norm():
    return nn.Sequential(quiet(nn.utils.weight_norm, nn.Linear(6, 8)), nn.ReLU(), nn.Linear(8, 3))


def orthogonal():
    return nn.Sequential(parametrizations.orthogonal(nn.Linear(6, 6)), nn.ReLU(), nn.Linear(6, 3))


def pruned():
    net = mlp()
    prune.l1_unstructured(net[0], "weight", 0.5)
    return net


def lora():
    from zoo_quiet import peft

    config = peft().LoraConfig(target_modules=["0", "2"], r=2, init_lora_weights=False)
    return peft().get_peft_model(mlp(), config)


def adapter_alone():
    from zoo_quiet import peft

    return peft().get_peft_model_state_dict(lora())


def on_meta(build):
    with torch.device("meta"):
        return build()


def lazy():
    return quiet(lambda: nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(3)))


def no_longer_lazy():
    net = lazy()
    net(torch.randn(16, 3, 8, 8))
    return net.state_dict()
