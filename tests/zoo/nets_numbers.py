"""Numbers that are no float32 values one beside the other."""

import warnings

import torch
from torch import nn
from torch.nn import functional


class Cast(nn.Module):
    """Hands on what another type can hold of its input, scaled."""

    def __init__(self, convert):
        super().__init__()
        self.convert, self.scale = convert, nn.Parameter(torch.rand(8) + 0.5)

    def forward(self, x):
        return self.convert(x * self.scale)


class Through(nn.Module):
    """Something else than float32 in the middle."""

    def __init__(self, convert, back=torch.Tensor.float):
        super().__init__()
        self.fc, self.cast, self.head = nn.Linear(6, 8), Cast(convert), nn.Linear(8, 3)
        self.back = back

    def forward(self, x):
        return self.head(self.back(self.cast(self.fc(x))))


class Fourier(nn.Module):
    """A layer with complex weights."""

    def __init__(self):
        super().__init__()
        self.fc, self.head = nn.Linear(6, 8, dtype=torch.complex64), nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.fc(x).abs())


class EightBits(nn.Module):
    """Keeps its weight in eight bits and computes in the type of its input."""

    def __init__(self, inputs, outputs):
        super().__init__()
        weight = torch.randn(outputs, inputs).to(torch.float8_e4m3fn)
        self.weight, self.bias = nn.Parameter(weight, requires_grad=False), nn.Parameter(torch.rand(outputs))

    def forward(self, x):
        return functional.linear(x, self.weight.to(x.dtype), self.bias)


class Sparse(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight, self.head = nn.Parameter(torch.randn(8, 6).relu().to_sparse()), nn.Linear(8, 3)

    def forward(self, x):
        return self.head(torch.sparse.mm(self.weight, x.t()).t())


class Quantized(nn.Module):
    """Convolution and linear layer of integers."""

    def __init__(self):
        super().__init__()
        ao = torch.ao.quantization
        self.quant, self.conv, self.relu = ao.QuantStub(), nn.Conv2d(3, 4, 3), nn.ReLU()
        self.flat, self.fc, self.back = nn.Flatten(), nn.Linear(144, 3), ao.DeQuantStub()

    def forward(self, x):
        return self.back(self.fc(self.flat(self.relu(self.conv(self.quant(x))))))


def in_eight_bits():
    return nn.Sequential(EightBits(6, 8), nn.ReLU(), EightBits(8, 3))


def mlp():
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))


def statically_quantized():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = Quantized().eval()
        net.qconfig = torch.ao.quantization.get_default_qconfig("fbgemm")
        torch.ao.quantization.prepare(net, inplace=True)
        net(torch.randn(16, 3, 8, 8))
        return torch.ao.quantization.convert(net, inplace=True)


def dynamically_quantized():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.ao.quantization.quantize_dynamic(mlp(), {nn.Linear}, dtype=torch.qint8)


def by_torchao(configuration):
    from zoo_quiet import torchao

    quantization = torchao().quantization
    net = mlp()
    quantization.quantize_(net, getattr(quantization, configuration)())
    return net
