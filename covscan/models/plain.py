"""Weights as ordinary tensors, whatever form they are kept in."""

import torch
from torch import nn

_ORDINARY = (torch.Tensor, nn.Parameter, nn.Buffer)


def is_plain(tensor: torch.Tensor) -> bool:
    """Whether a tensor holds its values one beside the other: not sparse, not quantized, of no class of its own."""
    return kind_of(tensor) is None


def kind_of(tensor: torch.Tensor) -> str | None:
    """``quantized``, ``sparse`` or the name of the class that computes with it; None for an ordinary tensor.

    Classes that only carry something beside an ordinary tensor count as one.
    """
    if tensor.is_quantized:
        return "quantized"
    if type(tensor) not in _ORDINARY and type(tensor).__torch_dispatch__ is not torch.Tensor.__torch_dispatch__:
        return f"a {type(tensor).__name__}"
    return "sparse" if tensor.layout is not torch.strided else None


def plain(tensor: torch.Tensor) -> torch.Tensor:
    """The values of a sparse or quantized tensor (also torchao's) as an ordinary one; another tensor as it is."""
    kind = kind_of(tensor)
    if kind == "quantized" or (kind is not None and hasattr(type(tensor), "dequantize") and kind != "sparse"):
        return tensor.detach().dequantize()
    return tensor.detach().to_dense() if kind == "sparse" else tensor
