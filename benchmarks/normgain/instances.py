"""The instances of the benchmark, by number: a small network, real data, and how it is trained.

    covscan analyze runs/*.pt --model benchmarks/normgain/instances.py:build --model-arg number=17 ...

Numbers go through the families in turn, so that any range of them holds every family. ``build(number, seed)`` and
``data(number)`` give the same on every call; seeds differ in initial weights alone. The columns of ``tables.py``:
the data set (``real_data.py``), the kind of network within its family, the activation (in capitals where it is called
as a function), width, depth, the normalizations that are there already (``networks.py``), the initial scales
(``SCALES``), the optimizer and the batch size.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from networks import FAMILIES, Shape
from real_data import Arrays, arrays
from tables import TABLES
from torch import nn

SEEDS = 3
"""Initial weights that the truth is measured with: seeds 0, 1 and 2."""
OTHER_SEED = 3
"""The initial weights that covscan gets to see: a run of the user's, which is none of the truth's."""

SCALES = """
default   as torch initializes
he        variance 2 / inputs (1 / inputs for tanh, 4 / inputs for sigmoid), biases 0
drawn     he, each hidden layer times a factor drawn between 0.3 and 3, biases with a scale drawn between 0 and 0.5
zero      he, and the last layer of each residual branch 0
all*K     he, every hidden layer times K (all/K: divided)
one*K     he, one hidden layer drawn by the number times K (one/K: divided)
bias*K    he, and biases with standard deviation K in the hidden layers
"""


@dataclass(frozen=True, slots=True)
class Instance:
    """One line of the tables."""

    number: int
    family: str
    data: str
    kind: str
    act: str
    width: int
    depth: int
    norm: str
    init: str
    optimizer: str
    batch: int

    @property
    def loss(self) -> str:
        """A name that covscan knows."""
        return "mse" if self.data.endswith("itself") or self.data.startswith("diabetes") else "cross_entropy"


def _instances() -> tuple[Instance, ...]:
    rows = {family: [line.split() for line in table.strip().splitlines()] for family, table in TABLES.items()}
    longest = max(len(lines) for lines in rows.values())
    turns = [(family, lines[turn]) for turn in range(longest) for family, lines in rows.items() if turn < len(lines)]
    return tuple(
        Instance(number, family, d, kind, act, int(width), int(depth), norm, init, optimizer, int(batch))
        for number, (family, (d, kind, act, width, depth, norm, init, optimizer, batch)) in enumerate(turns)
    )


INSTANCES = _instances()


def data(number: int) -> Arrays:
    """The arrays ``x`` and ``y`` of an instance."""
    return dict(arrays(INSTANCES[number].data))


def build(number: int = 0, seed: int | None = None) -> nn.Module:
    """The untrained network of an instance.

    With a seed always the same one, and torch's own random numbers are left as they were; without one it is drawn from
    these, as the factories of users do.
    """
    instance = INSTANCES[int(number)]
    if seed is None:
        return _drawn(instance)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(10_000 * (int(seed) + 1) + instance.number)
        return _drawn(instance)


def _drawn(instance: Instance) -> nn.Module:
    network = FAMILIES[instance.family](_shape(instance))
    _scale(network, instance)
    return network


def _shape(instance: Instance) -> Shape:
    found = arrays(instance.data)
    x, y = found["x"], found["y"]
    tokens = x.dtype.kind == "i"
    outputs = y.shape[1] if instance.loss == "mse" else 96 if tokens else int(y.max()) + 1
    return Shape(
        kind=instance.kind,
        act=instance.act,
        width=instance.width,
        depth=instance.depth,
        norm=instance.norm,
        inputs=x.shape[1:],
        outputs=outputs,
        tokens=tokens,
    )


@torch.no_grad()
def _scale(network: nn.Module, instance: Instance) -> None:
    """Draw the weights of layers anew as ``SCALES`` says; the head keeps the scale that its scheme starts from."""
    if instance.init == "default":
        return
    square = {"tanh": 1.0, "sigmoid": 4.0}.get(instance.act.lower(), 2.0)
    layers = _layers(network)
    factors = _factors(instance, len(layers) - 1)
    for number, (weights, biases) in enumerate(layers):
        factor, spread = (*factors, (1.0, 0.0))[number]
        for weight in weights:
            weight.normal_(0, factor * math.sqrt(square / _fan_in(weight)))
        for bias in biases:
            bias.normal_(0, spread) if spread else bias.zero_()
    if instance.init == "zero":
        for name, module in network.named_modules():
            if name.rpartition(".")[2] in {"last", "down", "out", "linear2", "out_proj"}:
                for parameter in module.parameters():
                    parameter.zero_()


def _factors(instance: Instance, hidden: int) -> list[tuple[float, float]]:
    """For each hidden layer the factor on its weights and the standard deviation of its biases."""
    generator = np.random.default_rng([instance.number, 0x6A1])
    scheme = instance.init
    if scheme == "drawn":
        factors = np.exp(generator.uniform(math.log(0.3), math.log(3), hidden))
        return list(zip(factors.tolist(), generator.uniform(0, 0.5, hidden).tolist(), strict=True))
    where, sign, size = scheme[:3], scheme[3:4], float(scheme[4:] or 1) if scheme[:3] in {"all", "one"} else 1.0
    factor = size if sign == "*" else 1 / size
    if where == "all":
        return [(factor, 0.0)] * hidden
    if where == "one":
        chosen = int(generator.integers(hidden))
        return [(factor if number == chosen else 1.0, 0.0) for number in range(hidden)]
    if scheme.startswith("bias*"):
        return [(1.0, float(scheme[5:]))] * hidden
    return [(1.0, 0.0)] * hidden


def _layers(network: nn.Module) -> list[tuple[list[torch.Tensor], list[torch.Tensor]]]:
    """Weights and biases of each layer in the order of the modules; embeddings and normalizations are none."""
    found = []
    for module in network.modules():
        own = dict(module.named_parameters(recurse=False))
        if isinstance(module, nn.Embedding) or not any("weight" in name and p.ndim > 1 for name, p in own.items()):
            continue
        weights: list[torch.Tensor] = [p for name, p in own.items() if "weight" in name]
        found.append((weights, [p for name, p in own.items() if "bias" in name]))
    return found


def _fan_in(weight: torch.Tensor) -> int:
    return weight[0].numel()
