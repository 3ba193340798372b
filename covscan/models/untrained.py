"""The network as the factory returns it, without any checkpoint."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from covscan.config.settings import Settings
from covscan.models.factory import build, name_of
from covscan.models.plain import plain
from covscan.models.types import Checkpoint, Series


class UntrainedSource:
    """A series of one checkpoint, ``untrained``, to list what can be tapped."""

    engine: Literal["torch"] = "torch"
    foreign = False

    def __init__(self, settings: Settings) -> None:
        assert settings.model is not None
        self.description = f"{name_of(settings.model)}, untrained"
        self.notes = ["no checkpoint was given: these are the weights that the factory returns"]
        self._module = build(settings.model, dict(settings.model_args))
        checkpoint = Checkpoint("untrained", Path(), None, _digest(self._module))
        self.series = Series((checkpoint,), "given")

    def check(self, checkpoint: Checkpoint) -> None:
        """There is no file that could change."""

    def identity(self) -> None:
        """Nothing is measured of it."""
        return

    def module(self, checkpoint: Checkpoint) -> nn.Module:
        """The network, in eval mode on the CPU."""
        return self._module

    def weights(self, checkpoint: Checkpoint) -> Mapping[str, torch.Tensor]:
        """Its parameters and buffers by name."""
        return {name: plain(value) for name, value in self._module.state_dict().items() if torch.is_tensor(value)}


def _digest(module: nn.Module) -> str:
    whole = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        whole.update(name.encode())
        if torch.is_tensor(tensor) and not tensor.is_meta and not is_lazy(tensor):
            whole.update(plain(tensor).detach().flatten().view(torch.uint8).numpy().tobytes())
    return whole.hexdigest()
