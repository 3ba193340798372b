"""The samples that short trainings draw their batches from."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from covscan.data.binding import Bound
from covscan.data.structure import map_arrays
from covscan.data.types import Batch, Samples

BYTES = 1 << 30
"""What the pool may hold in memory; what comes after it is left out, and ``Pool.complete`` is False."""

_HELD_AT_ONCE = 256

Bind = Callable[[Batch], Bound]


@dataclass(frozen=True, slots=True)
class Draw:
    """A batch: ``model(*args, **kwargs)`` gives the output, ``objective(output, target, mask)`` the loss."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    target: Any
    mask: torch.Tensor | None
    n: int


@dataclass(frozen=True, slots=True)
class _Group:
    """Samples of one shape; every tensor with ``n`` rows is cut by rows, other values are constants."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    target: Any
    mask: torch.Tensor | None
    n: int

    def draw(self, rows: torch.Tensor) -> Draw:
        def pick(value: Any) -> Any:
            return _map_tensors(lambda tensor: tensor[rows] if tensor.shape[:1] == (self.n,) else tensor, value)

        mask = None if self.mask is None else self.mask[rows]
        return Draw(pick(self.args), pick(dict(self.kwargs)), pick(self.target), mask, len(rows))


class Pool:
    """All samples in memory, grouped by their shapes, and seeded batches of them.

    ``bind`` makes a model's arguments of a batch. Batches of one seed are the same whatever is trained on them; a pass
    goes through every sample once, in a new order, and a batch holds samples of one shape.
    """

    def __init__(
        self,
        samples: Samples,
        batch_size: int,
        bind: Bind,
        device: "torch.device | str" = "cpu",
        held_out: float = 0.0,
    ) -> None:
        self._device = device
        groups: dict[str, list[Batch]] = {}
        held, self.complete = 0, True
        for batch in samples.batches():
            everything = (batch.positional, dict(batch.named), batch.target)
            held += _size(everything)
            if held > BYTES and groups:
                self.complete = False
                break
            groups.setdefault(repr(_shapes(everything, batch.n)), []).append(batch)
        whole = [_joined(group) for group in groups.values()]
        self.held_out: tuple[Draw, ...] = ()
        """The samples that ``draws`` never gives, in batches of at most 256."""
        if held_out:
            parts = [_split(batch, held_out) for batch in whole]
            whole = [kept for kept, _ in parts]
            self.held_out = tuple(self._all_of([self._bound(apart, bind) for _, apart in parts if apart.n]))
        self._groups = [self._bound(batch, bind) for batch in whole]
        self.count = sum(group.n for group in self._groups)
        self.batch_size = max(1, min(batch_size, *(max(1, group.n // 2) for group in self._groups)))
        """What was asked for, or half of the smallest group."""

    def draws(self, seed: int) -> Iterator[Draw]:
        """Batches without end."""
        generator = np.random.default_rng([seed, 0x5EED])
        while True:
            yield from self._one_pass(generator, self.batch_size)

    def disjoint(self, seed: int, count: int, batch_size: int | None = None) -> list[Draw]:
        """``count`` batches that share no sample, fewer where the pool is too small."""
        generator = np.random.default_rng([seed, 0xD15])
        return [
            draw
            for draw, _ in zip(self._one_pass(generator, batch_size or self.batch_size), range(count), strict=False)
        ]

    def everything(self) -> Iterator[Draw]:
        """Every sample once, also those held out, in batches of at most 256."""
        yield from self._all_of(self._groups)
        yield from self.held_out

    def _all_of(self, groups: Sequence[_Group]) -> Iterator[Draw]:
        for group in groups:
            for rows in np.array_split(np.arange(group.n), -(-group.n // _HELD_AT_ONCE)):
                yield group.draw(torch.from_numpy(rows).to(self._device))

    def _one_pass(self, generator: np.random.Generator, size: int) -> Iterator[Draw]:
        cuts = [
            (group, rows)
            for group, order in [(group, generator.permutation(group.n)) for group in self._groups]
            for rows in _whole(order, min(size, group.n))
        ]
        for number in generator.permutation(len(cuts)):
            group, rows = cuts[number]
            yield group.draw(torch.from_numpy(rows).to(self._device))

    def _bound(self, batch: Batch, bind: Bind) -> _Group:
        bound = bind(batch)
        mask = None if batch.mask is None else torch.from_numpy(batch.mask).to(self._device)
        return _Group(bound.args, bound.kwargs, map_arrays(self._tensor, batch.target), mask, batch.n)

    def _tensor(self, array: npt.NDArray[Any]) -> torch.Tensor:
        if array.dtype.kind in "ui" and array.dtype != np.uint8:
            array = array.astype(np.int64)
        found = torch.from_numpy(np.require(array, requirements=("C", "W")))
        return (found.float() if found.dtype == torch.float64 else found).to(self._device)


def _split(batch: Batch, share: float) -> tuple[Batch, Batch]:
    """The samples to train on, and a share of them, evenly spread, to look at afterwards."""
    count = min(batch.n - 1, max(1, round(share * batch.n)))
    apart = np.zeros(batch.n, bool)
    apart[np.linspace(0, batch.n - 1, count).astype(int)] = True
    return _rows(batch, ~apart), _rows(batch, apart)


def _rows(batch: Batch, chosen: npt.NDArray[np.bool_]) -> Batch:
    def pick(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return array[chosen] if array.shape[:1] == (batch.n,) else array

    return Batch(
        index=batch.index[chosen],
        block=batch.block[chosen],
        positional=map_arrays(pick, batch.positional),
        named=map_arrays(pick, dict(batch.named)),
        target=map_arrays(pick, batch.target),
        mask=None if batch.mask is None else batch.mask[chosen],
    )


def _map_tensors(function: Callable[[torch.Tensor], torch.Tensor], value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return function(value)
    if isinstance(value, dict):
        return {key: _map_tensors(function, item) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_map_tensors(function, item) for item in value))
    if isinstance(value, tuple | list):
        return type(value)(_map_tensors(function, item) for item in value)
    return value


def _whole(order: npt.NDArray[np.int64], size: int) -> list[npt.NDArray[np.int64]]:
    """Rows in batches of ``size``; what is left over at the end of a pass is left out."""
    return [order[start : start + size] for start in range(0, len(order) - size + 1, size)]


def _joined(group: Sequence[Batch]) -> Batch:
    first = group[0]
    if len(group) == 1:
        return first

    def join(*values: Any) -> Any:
        start = values[0]
        if isinstance(start, np.ndarray):
            whole = all(value.shape[:1] == (batch.n,) for value, batch in zip(values, group, strict=True))
            return np.concatenate(values) if whole else start
        if isinstance(start, dict):
            return {key: join(*(value[key] for value in values)) for key in start}
        if isinstance(start, tuple | list):
            return type(start)(join(*items) for items in zip(*values, strict=True))
        return start

    masks = [batch.mask for batch in group]
    return Batch(
        index=np.concatenate([batch.index for batch in group]),
        block=np.concatenate([batch.block for batch in group]),
        positional=join(*(batch.positional for batch in group)),
        named=join(*(dict(batch.named) for batch in group)),
        target=join(*(batch.target for batch in group)),
        mask=None if any(mask is None for mask in masks) else np.concatenate([m for m in masks if m is not None]),
    )


def _shapes(value: Any, n: int) -> Any:
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape[1:] if value.shape[:1] == (n,) else value.shape
    if isinstance(value, dict):
        return [(key, _shapes(item, n)) for key, item in value.items()]
    if isinstance(value, tuple | list):
        return [_shapes(item, n) for item in value]
    return value


def _size(value: Any) -> int:
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, dict):
        return sum(_size(item) for item in value.values())
    if isinstance(value, tuple | list):
        return sum(_size(item) for item in value)
    return 0
