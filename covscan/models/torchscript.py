"""A series of TorchScript archives."""

import warnings
from functools import partial
from typing import Any, Literal

import torch

from covscan.config.settings import Settings
from covscan.confinement import confined
from covscan.errors import CovscanError, UsageError
from covscan.memory import bounded
from covscan.models.archives import check_archive
from covscan.models.formats import Saved
from covscan.models.script_check import check_graph, check_script
from covscan.models.series import Shelf, collect_first
from covscan.models.types import Checkpoint


class TorchscriptSource:
    """Opens one archive per checkpoint, anew at each call."""

    engine: Literal["torchscript"] = "torchscript"

    def __init__(self, shelf: Shelf, notes: list[str], *, trust: bool) -> None:
        self.series = shelf.series
        self.description = "TorchScript archives"
        self.notes = notes
        self._shelf = shelf
        self._trust = trust

    def check(self, checkpoint: Checkpoint) -> None:
        """Raise UsageError where the files of ``checkpoint`` changed since they were hashed."""
        self._shelf.saved(checkpoint)

    def identity(self) -> str:
        """The file's content decides alone."""
        return ""

    def module(self, checkpoint: Checkpoint) -> torch.jit.ScriptModule:
        """The archive of ``checkpoint``, on the CPU, in eval mode. Raises UsageError."""
        return _load(self._shelf.saved(checkpoint), trust=self._trust)


def open_torchscript(settings: Settings, shelf: Shelf, notes: list[str]) -> TorchscriptSource:
    """The source for TorchScript archives, each opened once to see that it can be.

    An archive that does more than compute opens only with the user's trust. Raises UsageError.
    """
    source = TorchscriptSource(shelf, notes, trust=settings.trust)
    errors: list[CovscanError] = []
    for checkpoint in shelf.unseen():
        try:
            source.module(checkpoint)
        except UsageError as error:
            errors.append(error)
    collect_first(errors)
    return source


def read_torchscript(saved: Saved, *, trust: bool = False) -> dict[str, Any]:
    """The weights in an archive, by the names of the module that it was made from. Raises UsageError."""
    return dict(_load(saved, trust=trust).state_dict())


def stated_steps(saved: Saved, *, trust: bool = False) -> dict[str, int]:
    """Nothing: an archive does not say how long its network was trained."""
    return {}


def _opened(path: str) -> torch.jit.ScriptModule:
    module: torch.jit.ScriptModule = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
    return module


def _load(saved: Saved, *, trust: bool) -> torch.jit.ScriptModule:
    path = str(saved.path)
    check_archive(saved.path, in_memory=True)
    if not trust:
        check_script(saved.path)
    try:
        with warnings.catch_warnings(), bounded(saved.path.stat().st_size, repr(path)):
            warnings.simplefilter("ignore")  # that TorchScript is deprecated, which the file's user knows
            module = _opened(path) if trust else confined(partial(_opened, path), files=[saved.path])
            if not trust:
                check_graph(saved.path, module)
            return module.eval()
    except (RuntimeError, ValueError, AttributeError, LookupError) as error:
        text = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise UsageError(
            "unreadable-model",
            f"{path!r} cannot be opened as TorchScript",
            found=text[:200],
            hint="operators of other packages (torchvision, …) are known only once that package is imported"
            if "builtin op" in str(error)
            else "was it saved by a newer PyTorch?",
        ) from error
