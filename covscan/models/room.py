"""Room for what a network's weights take in memory: built where there is, refused with its size where there is not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from covscan.errors import UsageError
from covscan.memory import free, guarded, memory_error, size_text, what_was_needed

Made = TypeVar("Made")

BIGGER = "use a machine with more memory"


def in_memory(make: Callable[[], Made], name: str, size: Callable[[], int | None], *, hint: str = BIGGER) -> Made:
    """What ``make`` returns, which may take most of the memory that is free.

    Without that bound a network of many layers, each of which fits, would take all there is before the kernel ended
    this process or another one. Raises UsageError with ``size``, asked for only then; None is a size that nobody knows.
    """
    there = free()
    try:
        with guarded():
            return make()
    except Exception as error:
        lacking = memory_error(error)
        if lacking is None:
            raise
        said = what_was_needed(lacking)
    needed = size()  # what had been built is gone by now
    much = "more memory than is free" if needed is None else f"{size_text(needed)} of memory for its weights"
    raise UsageError("too-large", f"{name} needs {much}", found=f"{size_text(there)} are free; {said}", hint=hint)


def unmapped(path: Path, error: BaseException) -> UsageError | None:
    """The error for a file that is too large to be mapped (``ulimit -d``); None where ``error`` says something else."""
    if memory_error(error) is None:
        return None
    size = path.stat().st_size
    return UsageError(
        "too-large",
        f"{str(path)!r} needs {size_text(size)} of memory",
        found=f"{size_text(free())} are free",
        hint=BIGGER,
    )


def size_by_building(make: Callable[[], Any]) -> int | None:
    """Bytes of the network that ``make`` returns, built on the meta device, which takes none of them.

    None where it does not build there.
    """
    try:
        with guarded(), torch.device("meta"):
            built = make()
    except Exception:  # noqa: BLE001 - it builds on a device that has memory alone, and that has been said
        return None
    return size_of(built) if isinstance(built, nn.Module) else None


def size_of(module: nn.Module) -> int:
    """Bytes of the parameters and buffers of ``module``, shared ones once."""
    tensors = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def size_in_float32(module: nn.Module) -> int:
    """Bytes that ``module.float()`` adds: of floating-point tensors that have another dtype."""
    tensors = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
    others = [each for each in tensors.values() if each.is_floating_point() and each.dtype != torch.float32]
    return sum(tensor.numel() * torch.float32.itemsize for tensor in others)
