"""Put weights into a module, completely or not at all."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from covscan.errors import UsageError
from covscan.models.expectation import Expected, expected_of
from covscan.models.matching import Match, match, renamings
from covscan.models.nesting import candidates
from covscan.models.plain import plain


class Loader:
    """A module that takes the weights of one checkpoint after another.

    Values are copied into the module's own tensors, so that they take its dtype (a half-precision file in a
    float32 module is computed in float32). The module is in eval mode; ``requires_grad`` stays as it was.
    """

    def __init__(self, module: nn.Module, model: str) -> None:
        self.module = module.eval()
        self.expected: Expected = expected_of(module)
        self._model = model
        self._counts = {  # what a file may lack must not stay behind from the checkpoint before
            name: tensor.detach().clone()
            for name, tensor in self.expected.tensors.items()
            if name.endswith("num_batches_tracked") and not tensor.is_meta
        }
        self._versions = getattr(module.state_dict(), "_metadata", None)
        self._on_meta = any(getattr(tensor, "is_meta", False) for tensor in module.state_dict().values())

    @property
    def copies(self) -> bool:
        """Whether ``load`` copies values, so that what it was given stays as it is."""
        return not self._on_meta

    def match(self, content: Any, where: str) -> Match:
        """The weights in ``content`` by the module's names. Raises UsageError where they do not fit."""
        try:
            return _with_values(match(content, self.expected, where=where, model=self._model), where)
        except UsageError as error:
            translated = self._translated(content) if error.code == "weights-mismatch" else None
            if translated is None:
                raise
            return Match(translated, copied=True)

    def load(self, tensors: Mapping[str, Any], where: str) -> None:
        """Copy ``tensors``, which ``match`` gave, into the module. Raises UsageError."""
        try:
            with torch.no_grad():
                state = OrderedDict({**self._counts, **tensors})
                state._metadata = self._versions  # type: ignore[attr-defined] # by which quantized layers read theirs
                self.module.load_state_dict(state, strict=False, assign=self._on_meta)
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(
                "weights-mismatch",
                f"the weights in {where} cannot be loaded into {self._model}",
                found=str(error).strip().split("\n")[-1].strip(),
            ) from error
        if self._on_meta:
            self._require_real(where)
        self.module.eval()

    def complete(self, tensors: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        """``tensors`` and, by their other names, those that the file holds once for several tied places."""
        found = {name: plain(tensor) for name, tensor in tensors.items() if isinstance(tensor, torch.Tensor)}
        leaders = {self.expected.tied[name]: name for name in found if name in self.expected.tied}
        for name, leader in self.expected.tied.items():
            if name not in found and leader in leaders:
                found[name] = found[leaders[leader]]
        return found

    def _translated(self, content: Any) -> dict[str, Any] | None:
        """The state after the module itself took the names of an older version, or None where it did not.

        Modules may rename what they load (weight norm before parametrizations), which only loading shows. The module
        keeps the weights that it has: it may be another checkpoint's turn.
        """
        for weights in candidates(content):
            for renamed in renamings(weights.tensors, list(self.expected.tensors)):
                if renamed.keys() <= self.expected.tensors.keys():
                    continue  # no name to translate: the fault lies elsewhere
                before = self._copied()
                try:
                    if self._takes(renamed):
                        return self._copied()
                finally:
                    self._takes(before)
        return None

    def _copied(self) -> dict[str, torch.Tensor]:
        state = self.module.state_dict()
        return {name: value.detach().clone() for name, value in state.items() if isinstance(value, torch.Tensor)}

    def _takes(self, tensors: Mapping[str, Any]) -> bool:
        try:
            with torch.no_grad():
                result = self.module.load_state_dict(tensors, strict=False)
        except RuntimeError:  # a shape; the mismatch that is reported already says which
            return False
        return not result.missing_keys and not result.unexpected_keys

    def _require_real(self, where: str) -> None:
        left = [name for name, tensor in self.module.named_buffers() if tensor.is_meta]
        if left:
            raise UsageError(
                "meta-tensors",
                f"{self._model} was built on the meta device, and {where} leaves some of it without values",
                found=f"{len(left)} buffers, the first {left[0]!r}",
                hint="build the module on the CPU",
            )


def _with_values(found: Match, where: str) -> Match:
    """``found`` itself. Raises UsageError where its tensors have shapes and no values."""
    empty = [name for name, tensor in found.tensors.items() if getattr(tensor, "is_meta", False)]
    if empty:
        raise UsageError(
            "meta-tensors",
            f"{where} was saved from the meta device and holds no values",
            found=f"{len(empty)} tensors of shapes alone, the first {empty[0]!r}",
            hint="save the weights once they are there, on a real device",
        )
    return found
