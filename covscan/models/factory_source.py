"""A series of weights for the architecture of a factory."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal, NoReturn

import torch
from torch import nn

from covscan.config.settings import Settings
from covscan.errors import CovscanError, UsageError
from covscan.models.contents import read
from covscan.models.detection import is_legacy
from covscan.models.digest import Stamp, stamp
from covscan.models.factory import build, name_of
from covscan.models.formats import TITLES, Saved
from covscan.models.identity import identity_of
from covscan.models.loading import Loader
from covscan.models.matching import Match
from covscan.models.nesting import describe, main_candidate
from covscan.models.series import Shelf, collect_first
from covscan.models.types import Checkpoint

_MOST_OPEN, _LARGEST_OPEN = 2, 2**28
"""Checkpoints whose tensors stay mapped, the one that is measured and the one before, and the bytes that each may have:
what was read of a map counts as this process's memory. Unpickling the 320 tensors of a ResNet-50 takes 50 ms, and each
checkpoint is asked for five times; of larger files with as many it is no more."""

_MAPPED = ("torch", "safetensors", "huggingface")

Fallback = Callable[[Saved], dict[str, Any] | None]


class FactorySource:
    """One module, into which the weights of each checkpoint are copied in turn.

    ``notes`` are sentences for the report about what was chosen for the user. ``asked`` says how the module was built.
    ``fallback`` may read weights under the module's names where the file's own names do not fit.
    """

    engine: Literal["torch"] = "torch"
    foreign = False

    def __init__(
        self,
        shelf: Shelf,
        loader: Loader,
        description: str,
        notes: list[str],
        *,
        trust: bool,
        asked: str = "",
        fallback: Fallback | None = None,
    ) -> None:
        self.series = shelf.series
        self.description = description
        self.notes = notes
        self._shelf = shelf
        self._loader = loader
        self._trust = trust
        self._asked = asked
        self._fallback = fallback
        self._open: dict[tuple[Saved, Stamp], Match] = {}
        self._check_all()

    def check(self, checkpoint: Checkpoint) -> None:
        """Raise UsageError where the files of ``checkpoint`` changed since they were hashed."""
        self._shelf.saved(checkpoint)

    @cache  # noqa: B019 a source lives as long as the run
    def identity(self) -> str | None:
        """A digest of the architecture and its code."""
        return identity_of(self._loader.module, self._asked)

    def module(self, checkpoint: Checkpoint) -> nn.Module:
        """The one module, in eval mode, with the weights of ``checkpoint``. Raises UsageError."""
        saved = self._shelf.saved(checkpoint)
        self._loader.load(self._match(saved).tensors, _where(saved))
        return self._loader.module

    def weights(self, checkpoint: Checkpoint) -> Mapping[str, torch.Tensor]:
        """The file's tensors by the module's names, in its dtype, mapped from it. Raises UsageError."""
        return self._loader.complete(self._match(self._shelf.saved(checkpoint)).tensors)

    def _check_all(self) -> None:
        errors: list[CovscanError] = []
        for checkpoint in self._shelf.unseen():
            try:
                found = self._match(self._shelf.saved(checkpoint))
            except UsageError as error:
                errors.append(error)
            else:
                self.notes += [note for note in found.notes if note not in self.notes]
        collect_first(errors)

    def _match(self, saved: Saved) -> Match:
        known = saved, stamp(saved.files)  # a checkpoint that is followed may be written anew
        if known not in self._open:
            found = self._read(saved)
            if found.copied or not self._loader.copies or not _can_stay_open(saved):
                return found
            self._open[known] = found
            while len(self._open) > _MOST_OPEN:
                del self._open[next(iter(self._open))]
        return self._open[known]

    def _read(self, saved: Saved) -> Match:
        try:
            return self._loader.match(read(saved, trust=self._trust), _where(saved))
        except UsageError:
            translated = self._fallback(saved) if self._fallback is not None else None
            if translated is None:
                raise
            return Match(translated, copied=True)


def _can_stay_open(saved: Saved) -> bool:
    """Whether what is read of a checkpoint stays in its files, and these are small."""
    small = sum(path.stat().st_size for path in saved.weights) <= _LARGEST_OPEN
    return small and saved.format in _MAPPED and not any(is_legacy(path) for path in saved.weights)


def open_factory(settings: Settings, shelf: Shelf, notes: list[str]) -> FactorySource:
    """The source for ``--model`` with weights in any format that holds some. Raises UsageError."""
    assert settings.model is not None
    name = name_of(settings.model)
    module = build(settings.model, dict(settings.model_args))
    description = f"{name} with {TITLES[shelf.format]} weights"
    asked = f"{name} {settings.model_args!r}"
    fallback = _translation(module) if shelf.format == "huggingface" else None
    return FactorySource(
        shelf, Loader(module, name), description, notes, trust=settings.trust, asked=asked, fallback=fallback
    )


def _translation(module: nn.Module) -> Fallback | None:
    """How transformers reads the weights of one of its own models, whose files may keep the names of older versions."""
    if not hasattr(module, "from_pretrained"):
        return None
    from covscan.models.huggingface import read_by_transformers

    return lambda saved: read_by_transformers(saved.path, type(module), module.config)


def refuse_without_architecture(settings: Settings, shelf: Shelf, notes: list[str]) -> NoReturn:
    """Raise the UsageError for weights that come without an architecture."""
    saved = shelf.saved(shelf.series.checkpoints[0])
    raise missing_factory(saved, read(saved, trust=settings.trust))


def missing_factory(saved: Saved, content: Any) -> UsageError:
    """The error for ``content`` that has no architecture, and maybe not even weights."""
    found = main_candidate(content)
    if found is None:
        return UsageError(
            "no-weights",
            f"{str(saved.path)!r} holds no weights",
            found=describe(content),
            hint="save model.state_dict() and add --model package.module:build",
        )
    return UsageError(
        "missing-factory",
        f"checkpoint {str(saved.path)!r} holds weights but no architecture",
        found=f"{len(found.tensors)} tensors, the first is {next(iter(found.tensors))!r}",
        hint="add --model package.module:build, a function that returns the untrained module",
    )


def _where(saved: Saved) -> str:
    return repr(str(saved.path))
