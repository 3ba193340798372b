"""Running a network that came out of a file."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import torch

from covscan.confinement import confined

Value = TypeVar("Value")


def run_foreign(work: Callable[..., Value], *arguments: Any, device: torch.device) -> Value:
    """``work(*arguments)`` without gradients, where it can do no more than compute.

    On the CPU only: drivers of other devices open files while they compute.
    """
    if device.type != "cpu":
        return work(*arguments)
    return confined(partial(_without_gradients, work, *arguments))


def _without_gradients(work: Callable[..., Value], *arguments: Any) -> Value:
    """A thread records gradients until it is told otherwise."""
    with torch.no_grad():
        return work(*arguments)
