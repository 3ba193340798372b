"""Which array of a batch goes to which input of a model."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Number
from typing import Any

from covscan.data.masks import DATA_MASKS, PADDING_MASKS
from covscan.data.types import Batch
from covscan.errors import UsageError

LABELS = frozenset({"y", "label", "labels", "target", "targets"})
"""Usual names of labels; an array of such a name is an input only where the model has one of that name."""


@dataclass(frozen=True, slots=True)
class Input:
    """One input of a model, in its place; ``whole`` says that it takes a dictionary of everything."""

    name: str
    required: bool = True
    by_place: bool = True
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """What goes where: ``given`` by the name of the input, the rest for inputs that take any.

    ``missing`` are required inputs that got nothing; ``unused`` the arrays that went nowhere, by name or
    place.
    """

    given: dict[str, Any]
    more_by_place: tuple[Any, ...] = ()
    more_by_name: dict[str, Any] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bound:
    """The arguments of one call: ``model(*args, **kwargs)``; for a graph ``kwargs`` is what it is fed.

    ``unused`` names arrays of the data that the model does not take, ``filled`` inputs that the data does not
    hold and that were made up (a mask, zeros for an initial state).
    """

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    unused: tuple[str, ...] = ()
    filled: tuple[str, ...] = ()

    def notes(self) -> tuple[str, ...]:
        """Sentences for the reader about what was left out and what was made up."""
        said = []
        if self.unused:
            said.append(f"The model does not take {_listed(self.unused)} of the data.")
        if self.filled:
            said.append(f"The data holds no {_listed(self.filled)}: made up (a mask, zeros for a state).")
        return tuple(said)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"'{name}'" for name in names)


Fits = Callable[[str, Any], bool]


def match(
    inputs: Sequence[Input],
    batch: Batch,
    *,
    any_place: bool = False,
    any_name: bool = False,
    fits: Fits = lambda _name, _value: True,
) -> Match:
    """Match the arrays of ``batch`` to ``inputs`` by name, else by place.

    Arrays without names go to the inputs in order: to all of them if the labels are known (``batch.target``),
    else to the required ones only, so that the labels of an (x, y) batch are left over. Named arrays go to
    the inputs of their name, compared without case and punctuation where the exact name is not there; those
    left over fill required inputs that got nothing, in order, unless they are too many or look like labels.
    ``fits`` may turn a value down for all but the first.
    """
    positional, named = _named_where_possible(inputs, batch)
    if positional and not named:
        return _by_place(inputs, positional, known_labels=batch.target is not None, any_place=any_place, fits=fits)
    whole = _takes_whole(inputs, named)
    if whole is not None:
        return Match({whole: dict(named)}, missing=_missing(inputs, {whole: named}))
    if any_place and not inputs and not any_name:
        labels = tuple(name for name in named if name.lower() in LABELS and len(named) > 1)
        return Match({}, tuple(named[name] for name in named if name not in labels), unused=labels)
    return _by_name(inputs, batch, named, any_name=any_name, fits=fits)


def unmatched(inputs: Sequence[Input], batch: Batch, missing: Sequence[str]) -> UsageError:
    """The error for required inputs that got nothing; names both sides."""
    data = ", ".join(batch.named) or f"{len(batch.positional)} without names"
    takes = ", ".join(each.name if each.required else f"{each.name} (optional)" for each in inputs)
    return UsageError(
        "unmatched-inputs",
        f"no array of the data goes to the model's {', '.join(repr(name) for name in missing)}",
        found=f"the data has the arrays {data}; the model takes {takes or 'nothing'}",
        hint="name the arrays after the model's inputs, a number for all samples as an array without axes; "
        "--target NAME sets labels aside",
    )


def _named_where_possible(inputs: Sequence[Input], batch: Batch) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    """Named arrays, also where they come as (dictionary, labels) and the model takes what is in it."""
    if batch.named or not batch.positional:
        return batch.positional, batch.named
    first = batch.positional[0]
    if isinstance(first, Mapping) and {_plain(str(key)) for key in first} & {_plain(each.name) for each in inputs}:
        rest = {str(place): value for place, value in enumerate(batch.positional) if place}
        if all(place not in first for place in rest):
            return (), {**first, **rest} if batch.target is not None else first
    return batch.positional, {}


def _by_place(
    inputs: Sequence[Input], values: tuple[Any, ...], *, known_labels: bool, any_place: bool, fits: Fits
) -> Match:
    takers = [each for each in inputs if each.by_place]
    any_place = any_place and (known_labels or not inputs)
    if not known_labels and not any_place:
        takers = [each for each in takers if each.required] or takers[:1]
    given: dict[str, Any] = {}
    for place, (taker, value) in enumerate(zip(takers, values, strict=False)):
        if place and not fits(taker.name, value):
            break
        given[taker.name] = value
    rest = values[len(given) :]
    unused = () if any_place else tuple(str(place) for place in range(len(given), len(values)))
    return Match(given, rest if any_place else (), missing=_missing(inputs, given), unused=unused)


def _by_name(inputs: Sequence[Input], batch: Batch, named: Mapping[str, Any], *, any_name: bool, fits: Fits) -> Match:
    given: dict[str, Any] = {each.name: named[each.name] for each in inputs if each.name in named}
    used = set(given)
    plain = {_plain(each.name): each.name for each in inputs if each.name not in given}
    for name, value in named.items():
        if name not in used and _plain(name) in plain:
            given[plain.pop(_plain(name))] = value
            used.add(name)
    left = {name: value for name, value in named.items() if name not in used}
    missing = _missing(inputs, given)
    if missing or not (given or any_name):
        takers = missing if given else tuple(each.name for each in inputs)
        found = _fill(takers, _candidates(left, missing, batch, alone=not given), fits, first=not given)
        given |= {taker: left.pop(name) for taker, name in found.items()}
        any_name = any_name and not found
    if any_name:
        return Match(given, more_by_name=left, missing=_missing(inputs, given))
    return Match(given, missing=_missing(inputs, given), unused=tuple(left))


def _candidates(left: Mapping[str, Any], missing: Sequence[str], batch: Batch, *, alone: bool) -> Mapping[str, Any]:
    """The left-over arrays that may be inputs: no labels, and no masks or numbers unless the count is just right."""
    pool = {name: value for name, value in left.items() if name.lower() not in LABELS}
    if not pool and alone:
        return left
    if len(pool) == len(missing):
        return pool
    return {name: value for name, value in pool.items() if not (_is_number(value) or _is_mask(name, value, batch))}


def _is_number(value: Any) -> bool:
    """Whether the value is the same for all samples: None, a number, an array without axes."""
    return value is None or isinstance(value, Number) or getattr(value, "shape", None) == ()


def _is_mask(name: str, value: Any, batch: Batch) -> bool:
    if name in (*DATA_MASKS, *PADDING_MASKS):
        return True
    same_shape = batch.mask is not None and getattr(value, "shape", None) == batch.mask.shape
    return same_shape and bool(((value != 0) == batch.mask).all())


def _fill(takers: Sequence[str], candidates: Mapping[str, Any], fits: Fits, *, first: bool) -> dict[str, str]:
    """Left-over arrays for inputs without one, in order: input to array. Nothing if there are too many."""
    found: dict[str, str] = {}
    if len(candidates) > len(takers):
        return found
    for name, value in candidates.items():
        free = [taker for taker in takers if taker not in found]
        taker = free[0] if first and not found else next((each for each in free if fits(each, value)), None)
        if taker is not None:
            found[taker] = name
    return found


def _takes_whole(inputs: Sequence[Input], named: Mapping[str, Any]) -> str | None:
    """The one input that takes the dictionary itself: declared so, or called ``batch``."""
    required = [each for each in inputs if each.required]
    if len(required) == 1 and required[0].name not in named and (required[0].whole or required[0].name == "batch"):
        return required[0].name
    return None


def _missing(inputs: Sequence[Input], given: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(each.name for each in inputs if each.required and each.name not in given)


def _plain(name: str) -> str:
    """A name without case, punctuation and the output number of TensorFlow (``input:0``)."""
    return re.sub(r"[\W_]+", "", name.removesuffix(":0").lower())
