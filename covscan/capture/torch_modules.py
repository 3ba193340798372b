"""What covscan knows about module classes: their role, where their channels are, where they are flat."""

import math
import re
from typing import TYPE_CHECKING

from covscan.capture.types import Role, Saturation

if TYPE_CHECKING:
    import torch

# Class name → axis of the channels. Subclasses are found through the method resolution order.
_LAYERS = {
    **dict.fromkeys(("Linear", "Bilinear", "Embedding", "EmbeddingBag", "Conv1D", "InterpreterLinear"), -1),
    **dict.fromkeys(("RNN", "LSTM", "GRU", "RNNBase", "RNNCell", "LSTMCell", "GRUCell"), -1),
    **dict.fromkeys(("Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"), 1),
}
_NORMS = {
    **dict.fromkeys(("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm", "_BatchNorm"), 1),
    **dict.fromkeys(("InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d", "GroupNorm", "LocalResponseNorm"), 1),
    **dict.fromkeys(("LayerNorm", "RMSNorm"), -1),
}
_ATTENTION = ("MultiheadAttention",)
_KNOWN_ROLES: dict[str, Role] = {
    **dict.fromkeys(_LAYERS, "layer"),
    **dict.fromkeys(_NORMS, "norm"),
    **dict.fromkeys(_ATTENTION, "attention"),
}
_SEQUENCE_FIRST = ("RNN", "LSTM", "GRU", "RNNBase", "MultiheadAttention")
_DROPOUT = re.compile(r"^(Alpha|Feature)?(Alpha)?Dropout(1d|2d|3d)?$")
_ACTIVATION = re.compile(
    r"(ReLU|GELU|Gelu|SiLU|Swish|Mish|Sigmoid|Tanh|^CELU|^ELU|^SELU|Softplus|Softsign|Threshold|Hardswish|Hardtanh|^GLU$)"
)
_RECTIFIER = re.compile(r"^(ReLU|ReLU6|Threshold)")
_NORM_NAME = re.compile(r"Norm(\d?d)?$")

# Flat to within 2 % of the output range: |z| > 4 for the logistic function, |z| > 2 for tanh.
_FLAT_INPUT = {
    "Sigmoid": Saturation(-4.0, 4.0),
    "LogSigmoid": Saturation(-math.inf, 4.0),
    "Tanh": Saturation(-2.0, 2.0),
    "Softsign": Saturation(-49.0, 49.0),
    "ReLU6": Saturation(-math.inf, 6.0),
    "Hardsigmoid": Saturation(-3.0, 3.0),
}
_FLAT_OUTPUT = {
    "Sigmoid": Saturation(1 / (1 + math.exp(4.0)), 1 / (1 + math.exp(-4.0))),
    "Tanh": Saturation(math.tanh(-2.0), math.tanh(2.0)),
    "ReLU6": Saturation(-math.inf, 6.0),
    "Hardsigmoid": Saturation(0.0, 1.0),
}


def class_names(module: "torch.nn.Module") -> tuple[str, ...]:
    """Names of the module's class and its bases, nearest first, without those every module has."""
    return tuple(kind.__name__ for kind in type(module).__mro__ if kind.__name__ not in ("Module", "object"))


def role_of(names: tuple[str, ...], *, leaf: bool, parametrized: bool, only_vectors: bool) -> Role:
    """The role of a module from its class names and from whether it has children and parameters of its own."""
    known = next((role for name in names if (role := _KNOWN_ROLES.get(name))), None)
    if known is not None:
        return known
    if leaf and (not parametrized or names[0] == "PReLU") and _ACTIVATION.search(names[0]):
        return "activation"
    if leaf and _NORM_NAME.search(names[0]) and (only_vectors or not parametrized):
        return "norm"
    if leaf and parametrized:
        return "layer"
    return "other" if leaf else "block"


def channel_axis_of(names: tuple[str, ...]) -> int | None:
    """Axis of the channels (1 or -1) where the class fixes it."""
    for name in names:
        if name in _LAYERS:
            return _LAYERS[name]
        if name in _NORMS and name != "LayerNorm":
            return _NORMS[name]
        if name in _ATTENTION:
            return -1
    return None


def is_sequence_first(module: "torch.nn.Module", names: tuple[str, ...]) -> bool | None:
    """Whether axis 1 is the sample (True), axis 0 (False); None where the class has no such convention."""
    if not any(name in _SEQUENCE_FIRST for name in names):
        return None
    return not getattr(module, "batch_first", False)


def flat_input(names: tuple[str, ...], module: "torch.nn.Module") -> Saturation | None:
    """Where the input of an activation lies on a flat part of it."""
    if names[0] == "Hardtanh":
        return Saturation(float(module.min_val), float(module.max_val))  # type: ignore[arg-type]
    return _FLAT_INPUT.get(names[0])


def flat_output(names: tuple[str, ...], module: "torch.nn.Module") -> Saturation | None:
    """Where the output of an activation lies on a flat part of it."""
    if names[0] == "Hardtanh":
        return Saturation(float(module.min_val), float(module.max_val))  # type: ignore[arg-type]
    return _FLAT_OUTPUT.get(names[0])


def is_rectifier(type_name: str) -> bool:
    """Whether a unit of this activation that is 0 everywhere passes no gradient."""
    return bool(_RECTIFIER.match(type_name))


def dropout_probability(names: tuple[str, ...], module: "torch.nn.Module") -> float | None:
    """The drop probability of a dropout module."""
    if _DROPOUT.match(names[0]) is None:
        return None
    probability = getattr(module, "p", None)
    return float(probability) if probability is not None else None
