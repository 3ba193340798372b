"""A series whose every file brings a module of its own."""

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import nn

from covscan.errors import CovscanError, UsageError
from covscan.models.formats import Saved
from covscan.models.identity import identity_of
from covscan.models.plain import plain
from covscan.models.series import Shelf, collect_first
from covscan.models.types import Checkpoint

_KEPT = 2  # a checkpoint and the one it is compared with


class OwnModuleSource:
    """Opens one module per checkpoint and keeps the last two.

    ``runs_own_code`` says that the classes of the modules are not in the file but in modules that were imported.
    """

    engine: Literal["torch"] = "torch"

    def __init__(
        self,
        shelf: Shelf,
        load: Callable[[Saved], nn.Module],
        description: str,
        notes: list[str],
        *,
        runs_own_code: bool = False,
        foreign: bool = False,
    ) -> None:
        self.series = shelf.series
        self.description = description
        self.notes = notes
        self.foreign = foreign
        self._shelf = shelf
        self._load = load
        self._runs_own_code = runs_own_code
        self._open: dict[str, nn.Module] = {}
        errors: list[CovscanError] = []
        for checkpoint in self._shelf.unseen():
            try:
                self.module(checkpoint)
            except UsageError as error:
                errors.append(error)
        collect_first(errors)

    def check(self, checkpoint: Checkpoint) -> None:
        """Raise UsageError where the files of ``checkpoint`` changed since they were hashed."""
        self._shelf.saved(checkpoint)

    def identity(self) -> str | None:
        """A digest of the code that the modules run, where it is not in their files."""
        return identity_of(self.module(self.series.checkpoints[0]), "pickled") if self._runs_own_code else ""

    def module(self, checkpoint: Checkpoint) -> nn.Module:
        """The module of ``checkpoint``, on the CPU, in eval mode. Raises UsageError."""
        saved = self._shelf.saved(checkpoint)
        module = self._open.pop(checkpoint.id, None)
        if module is None:
            module = self._load(saved)
        self._open[checkpoint.id] = module
        while len(self._open) > _KEPT:
            del self._open[next(iter(self._open))]
        return module

    def weights(self, checkpoint: Checkpoint) -> Mapping[str, torch.Tensor]:
        """The module's parameters and saved buffers by its own names. Raises UsageError."""
        state = self.module(checkpoint).state_dict()
        return {name: plain(tensor) for name, tensor in state.items() if isinstance(tensor, torch.Tensor)}
