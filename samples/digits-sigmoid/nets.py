"""Three hidden layers of 100 sigmoids on 8x8 digits, as in section 4.1 of Ioffe & Szegedy (2015)."""

from collections import OrderedDict
from itertools import pairwise

from torch import nn

WIDTHS = (64, 100, 100, 100)
CLASSES = 10


def plain(weight_std: float = 0.1) -> nn.Module:
    """The network of the paper without BatchNorm, its weights drawn from a narrow Gaussian."""
    return _network(weight_std, batch_norm=False)


def batchnorm(weight_std: float = 0.1) -> nn.Module:
    """The same network with BatchNorm between each hidden layer's sum and its sigmoid."""
    return _network(weight_std, batch_norm=True)


def _network(weight_std: float, *, batch_norm: bool) -> nn.Module:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, (inputs, outputs) in enumerate(pairwise(WIDTHS), start=1):
        # BatchNorm subtracts the mean, so that a bias in front of it would do nothing.
        layers[f"fc{number}"] = nn.Linear(inputs, outputs, bias=not batch_norm)
        if batch_norm:
            layers[f"norm{number}"] = nn.BatchNorm1d(outputs)
        layers[f"sigmoid{number}"] = nn.Sigmoid()
    layers[f"fc{len(WIDTHS)}"] = nn.Linear(WIDTHS[-1], CLASSES)
    network = nn.Sequential(layers)
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=weight_std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network
