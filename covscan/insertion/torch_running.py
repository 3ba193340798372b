"""Running a PyTorch module on the sample data, for what it returns."""

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from covscan.capture.tensors import tensors_in
from covscan.capture.torch_session import left_as_found, seed_everything
from covscan.config.loading import describe_error
from covscan.data.binding import bind_torch
from covscan.data.types import Batch, Samples
from covscan.errors import UsageError
from covscan.surgery.code import wrapped_place
from covscan.surgery.difference import Difference, Differences
from covscan.surgery.types import Insertion


def run(model: nn.Module, batch: Batch, device: torch.device, seed: int) -> Any:
    """What the model returns for a batch, with the same random numbers each time. Raises UsageError."""
    dtype = next((each.dtype for each in model.parameters() if each.is_floating_point()), None)
    bound = bind_torch(inspect.signature(model.forward), batch, device, dtype)
    seed_everything(seed + int(batch.index[0]))
    try:
        return model(*bound.args, **bound.kwargs)
    except Exception as error:
        raise UsageError(
            "model-failed",
            f"the model raised {type(error).__name__} on samples {batch.index[0]} to {batch.index[-1]}",
            found=describe_error(error),
            hint="check that --data holds what the model's forward takes, in that shape, order and type",
        ) from error


def compare(before: nn.Module, after: nn.Module, samples: Samples, device: torch.device, seed: int) -> Difference:
    """How far the outputs of two modules are apart in evaluation mode."""
    found = Differences()
    with left_as_found(before, device), left_as_found(after, device):
        for batch in samples.batches():
            one, two = (_arrays(run(model, batch, device, seed)) for model in (before, after))
            found.add(one, two, batch.n)
    return found.result()


def perturbation(
    model: nn.Module, norm: nn.Module, std: npt.NDArray[np.float64], axis: int, batches: Iterator[Batch], **how: Any
) -> list[float]:
    """For each batch the mean square by which ``norm`` in training mode moves its tensor, in variances per channel.

    The rest of the model stays in evaluation mode. ``std`` (channels,) is what is divided by; channels that do not
    vary are left out. ``how`` are device and seed.
    """
    found: list[float] = []
    scale = torch.from_numpy(std).to(how["device"])
    varies = scale > 0

    def look(module: nn.Module, arguments: Any, output: torch.Tensor) -> None:
        del module
        apart = (output - arguments[0]).detach().movedim(axis, -1).flatten(0, -2).double()
        found.append(float((apart[:, varies] / scale[varies]).square().mean()))

    with left_as_found(model, how["device"]):
        handle = norm.register_forward_hook(look)
        norm.train()
        try:
            for batch in batches:
                run(model, batch, **how)
        finally:
            handle.remove()
    return found


def inserted_layer(model: nn.Module, insertion: Insertion) -> nn.Module:
    """The normalization inside the wrapper that stands at its site."""
    return model.get_submodule(f"{insertion.site}.{1 - wrapped_place(insertion.position)}")


def _arrays(output: Any) -> list[npt.NDArray[np.generic]]:
    found: list[npt.NDArray[np.generic]] = []
    for tensor in tensors_in(output):
        plain = tensor.to_padded_tensor(0.0) if tensor.is_nested else tensor
        plain = torch.view_as_real(plain) if plain.is_complex() else plain
        found.append(plain.detach().double().cpu().numpy())
    return found
