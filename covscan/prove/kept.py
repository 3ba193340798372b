"""What short trainings gave, in the cache: each under a key of everything that it depends on."""

import contextlib
import hashlib
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec
import torch
from msgspec import Struct

from covscan.cache import Broken, Store, cache_folder, cache_limit
from covscan.config.loading import load_object, looks_like_object
from covscan.config.settings import Settings
from covscan.data.types import Samples
from covscan.models.identity import function_digest, sources_digest
from covscan.models.releases import versions
from covscan.models.types import TorchSource

Value = TypeVar("Value")
Note = Callable[[str], None]
_CODE = ("capture", "data", "measures", "models", "prove", "stats", "surgery")


class Spent(Struct, Generic[Value], frozen=True, array_like=True):
    """What something gave, and the training steps and forward passes that it took."""

    value: Value
    steps: int
    forwards: int


class Kept:
    """A store seen as trainings, those that depend on ``base``; without a store nothing is known and nothing kept.

    A damaged entry is as good as none, and ``note`` is told. Nothing here depends on the clock: budgets count steps, so
    whatever is finished may be kept, also a training that diverged. One that raised, or was interrupted, is not.
    """

    def __init__(self, store: Store | None = None, base: str = "", note: Note = lambda text: None) -> None:
        self._store, self._base, self._note = store, base, note
        self.found, self.made = 0, 0

    def recall(self, what: tuple[Any, ...], kind: Any, make: Callable[[], Spent[Value]]) -> Spent[Value]:
        """What ``make`` gives, of type ``Spent[kind]``, from the store where it is there."""
        if self._store is None:
            return make()
        key = digest(self._base, torch.get_num_threads(), what)
        known = self._get(self._store, key, kind)
        if known is not None:
            self.found += 1
            return known
        self.made += 1
        made = make()
        self._store.put("training", key, msgspec.msgpack.encode(made))
        return made

    def close(self) -> None:
        """Say what was taken from the store, and bound it."""
        if self._store is None:
            return
        if self.found:
            self._note(f"{self.found} of {self.found + self.made} parts of the training evidence were there (cache)")
        if self._store.complaint is not None:
            self._note(f"the cache keeps nothing: {self._store.complaint}")
        if self.made:
            with contextlib.suppress(OSError):  # what cannot be bounded now is by the next run
                self._store.shrink()

    def _get(self, store: Store, key: str, kind: Any) -> Any:
        try:
            return store.decoded("training", key, lambda content: msgspec.msgpack.decode(content, type=Spent[kind]))
        except Broken as error:
            self._note(f"a damaged entry of the cache is trained again: {error}")
            return None


def open_kept(
    source: TorchSource, settings: Settings, samples: Samples, model: torch.nn.Module, fed: tuple[Any, ...], note: Note
) -> Kept:
    """What was trained before with this model, loss, optimizer and data, ``fed`` in this way.

    Nothing is kept where the code of the model, the loss or the optimizer cannot be told apart.
    """
    if not settings.cache or not cache_limit():
        return Kept()
    code = [source.identity(), *map(_code, (settings.loss, settings.optimizer))]
    if None in code:
        return Kept()
    trained = [(name, each.requires_grad, str(each.dtype)) for name, each in model.named_parameters()]
    base = digest(
        (versions(_CODE), source.engine, code, sources_digest(), trained),
        (samples.fingerprint, settings.target, settings.mask, settings.seed, settings.threads, fed),
    )
    return Kept(Store(cache_folder(), cache_limit()), base, note)


def digest(*parts: Any) -> str:
    """Hex SHA-256 of plain values."""
    return hashlib.sha256(msgspec.msgpack.encode(parts)).hexdigest()


def state_digest(state: dict[str, torch.Tensor]) -> str:
    """Of every name, type, shape and bit of a state on the CPU."""
    whole = hashlib.sha256()
    for name, tensor in state.items():
        whole.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        whole.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return whole.hexdigest()


def _code(spec: Any) -> str | None:
    """A loss or an optimizer in words that are others once it computes something else."""
    if spec is None:
        return "its default"
    if isinstance(spec, str) and not looks_like_object(spec):
        return spec
    function = load_object(spec, what="the loss or optimizer") if isinstance(spec, str) else spec
    return function_digest(function)
