"""What covscan knows about the operators of TorchScript: which class of torch.nn each stands for."""

from typing import Any

# Operator → class that holds it in torch.nn; the classes say role, channel axis and flat parts. "{rank}" is the
# number of spatial axes, where the operator does not say.
LAYERS = {
    **{f"conv{n}d": f"Conv{n}d" for n in (1, 2, 3)},
    **{f"conv_transpose{n}d": f"ConvTranspose{n}d" for n in (1, 2, 3)},
    **dict.fromkeys(("convolution", "_convolution"), "Conv{rank}d"),
    **dict.fromkeys(("linear", "addmm", "matmul", "mm"), "Linear"),
    "bilinear": "Bilinear",
    "embedding": "Embedding",
    "embedding_bag": "EmbeddingBag",
    "lstm": "LSTM",
    "gru": "GRU",
    **dict.fromkeys(("rnn_tanh", "rnn_relu"), "RNN"),
    "lstm_cell": "LSTMCell",
    "gru_cell": "GRUCell",
    **dict.fromkeys(("rnn_tanh_cell", "rnn_relu_cell"), "RNNCell"),
}
NORMS = {
    "batch_norm": "BatchNorm{rank}d",
    "instance_norm": "InstanceNorm{rank}d",
    "group_norm": "GroupNorm",
    "layer_norm": "LayerNorm",
    "rms_norm": "RMSNorm",
}
ACTIVATIONS = {
    "relu": "ReLU",
    "relu6": "ReLU6",
    "leaky_relu": "LeakyReLU",
    "prelu": "PReLU",
    "rrelu": "RReLU",
    "gelu": "GELU",
    "silu": "SiLU",
    "mish": "Mish",
    "elu": "ELU",
    "selu": "SELU",
    "celu": "CELU",
    "glu": "GLU",
    "sigmoid": "Sigmoid",
    "log_sigmoid": "LogSigmoid",
    "hardsigmoid": "Hardsigmoid",
    "tanh": "Tanh",
    "hardtanh": "Hardtanh",
    "hardswish": "Hardswish",
    "softplus": "Softplus",
    "softsign": "Softsign",
    "threshold": "Threshold",
}
# Constants of these are wanted even where a module stands around them.
FACTS = frozenset(
    {*NORMS, "lstm", "gru", "rnn_tanh", "rnn_relu", "dropout", "feature_dropout", "alpha_dropout", "hardtanh"}
)


def operator_name(node: Any) -> str:
    """``relu`` for the node ``aten::relu_``; "" for anything that is not one of torch's operators."""
    space, _, name = node.kind().partition("::")
    return name.rstrip("_") if space == "aten" else ""


def class_name(operator: str, transposed: bool) -> str:
    """The class of torch.nn that one of the operators above stands for."""
    name = {**LAYERS, **NORMS, **ACTIVATIONS}[operator]
    return name.replace("Conv{", "ConvTranspose{") if transposed else name


def with_rank(name: str, dimensions: int) -> str:
    """Fill in the number of spatial axes of a tensor with so many dimensions (batch and channel being two)."""
    return name.format(rank=max(1, dimensions - 2))
