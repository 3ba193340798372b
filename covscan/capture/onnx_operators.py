"""What covscan knows of each ONNX operator: where its data, its weights and its channels are."""

import math
from dataclasses import dataclass

from covscan.capture.types import Role, Saturation


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator that has weights.

    ``data`` are the places of its data inputs, ``channel`` the channel axis of input and output (negative:
    from the end), ``bias`` the place of its bias input. ``recurrent``: (time, direction, sample, hidden)
    outputs.
    """

    role: Role = "layer"
    data: tuple[int, ...] = (0,)
    channel: int = -1
    bias: int | None = None
    recurrent: bool = False


PARAMETRIZED = {
    "Conv": Operator(channel=1, bias=2),
    "ConvTranspose": Operator(channel=1, bias=2),
    "DeformConv": Operator(channel=1, bias=3),
    "FusedConv": Operator(channel=1, bias=2),
    "NhwcFusedConv": Operator(bias=2),
    "Gemm": Operator(data=(0, 1), bias=2),
    "FusedGemm": Operator(data=(0, 1), bias=2),
    "MatMul": Operator(data=(0, 1)),
    "FusedMatMul": Operator(data=(0, 1)),
    "MatMulNBits": Operator(bias=5),
    "Einsum": Operator(data=(0, 1)),
    "Gather": Operator(data=(1,)),
    "EmbedLayerNormalization": Operator(role="norm", data=(0, 1)),
    "LSTM": Operator(bias=3, recurrent=True),
    "GRU": Operator(bias=3, recurrent=True),
    "RNN": Operator(bias=3, recurrent=True),
    "BatchNormalization": Operator(role="norm", channel=1, bias=2),
    "InstanceNormalization": Operator(role="norm", channel=1, bias=2),
    "GroupNormalization": Operator(role="norm", channel=1, bias=2),
    "GroupNorm": Operator(role="norm", bias=2),
    "LayerNormalization": Operator(role="norm", bias=2),
    "RMSNormalization": Operator(role="norm"),
    "SimplifiedLayerNormalization": Operator(role="norm"),
    "SkipLayerNormalization": Operator(role="norm", data=(0, 1), bias=3),
    "SkipSimplifiedLayerNormalization": Operator(role="norm", data=(0, 1)),
    "Attention": Operator(bias=2),
}

ACTIVATIONS = frozenset(
    {
        "Relu", "LeakyRelu", "PRelu", "ThresholdedRelu", "Sigmoid", "Tanh", "Gelu", "FastGelu",
        "BiasGelu", "QuickGelu", "HardSwish", "HardSigmoid", "Elu", "Selu", "Celu", "Softplus",
        "Softsign", "Swish", "Mish", "Clip",
    }
)  # fmt: skip

# Flat to within 2 % of the output range: |z| > 4 for the logistic function, |z| > 2 for tanh.
FLAT_INPUT = {
    "Sigmoid": Saturation(-4.0, 4.0),
    "Tanh": Saturation(-2.0, 2.0),
    "Softsign": Saturation(-49.0, 49.0),
}
FLAT_OUTPUT = {
    "Sigmoid": Saturation(1 / (1 + math.exp(4.0)), 1 / (1 + math.exp(-4.0))),
    "Tanh": Saturation(math.tanh(-2.0), math.tanh(2.0)),
    "HardSigmoid": Saturation(0.0, 1.0),
}

QUANTIZED = frozenset(
    {
        "QuantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul", "QLinearAdd",
        "QLinearMul", "QGemm", "ConvInteger", "MatMulInteger", "DynamicQuantizeMatMul",
        "MatMulIntegerToFloat", "QAttention", "DynamicQuantizeLSTM", "QLinearSigmoid",
        "QLinearGlobalAveragePool", "QLinearAveragePool", "QLinearConcat", "QLinearLeakyRelu",
        "QLinearSoftmax", "QEmbedLayerNormalization",
    }
)  # fmt: skip

CONTROL = frozenset({"If", "Loop", "Scan", "SequenceMap"})
"""Operators with a graph of their own inside."""

POINTWISE = frozenset(
    {
        "Abs", "Add", "And", "BiasGelu", "Cast", "CastLike", "Ceil", "Celu", "Clip", "Cos", "Div",
        "Dropout", "Elu", "Erf", "Exp", "FastGelu", "Floor", "Gelu", "HardSigmoid", "HardSwish",
        "Identity", "LeakyRelu", "Log", "LogSoftmax", "Max", "Mean", "Min", "Mish", "Mod", "Mul", "Neg",
        "PRelu", "Pow", "QuickGelu", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin",
        "Softmax", "Softplus", "Softsign", "Sqrt", "Sub", "Sum", "Swish", "Tanh", "ThresholdedRelu",
        "Where", "QuantizeLinear", "DequantizeLinear",
    }
)  # fmt: skip
"""Operators whose output has the axes of its inputs, broadcast from the right."""

KEEPS_AXES = frozenset(
    {
        "AveragePool", "MaxPool", "LpPool", "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool", "Pad",
        "Resize", "Upsample", "Slice", "Split", "Concat", "Expand", "Tile", "DepthToSpace",
        "SpaceToDepth", "CumSum", "LpNormalization", "LRN", "MeanVarianceNormalization",
        "InstanceNormalization", "GridSample", "Trilu", "ReverseSequence", "ScatterND", "MaxUnpool",
        "LayerNormalization", "ReduceMean", "ReduceMax", "ReduceSum", "ReduceMin", "ReduceL2",
        "RotaryEmbedding",
    }
)  # fmt: skip
"""Operators whose output has the axes of its first input where it has as many of them."""
