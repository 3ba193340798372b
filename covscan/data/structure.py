"""Take a batch of any nesting apart into named arrays, and put it together again."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Number
from typing import Any

from covscan.data.arrays import Array, is_array, to_array
from covscan.data.mapped import MappedArray
from covscan.errors import UsageError


@dataclass(frozen=True, slots=True)
class Leaf:
    """The place of array number ``number`` in a structure."""

    number: int


@dataclass(frozen=True, slots=True)
class Fixed:
    """A value that is no array and is passed on as it is: None, a Python number."""

    value: Any


@dataclass(frozen=True, slots=True)
class Structure:
    """How a batch is put together of arrays.

    ``parts`` holds a template for each top-level part by its name, or by its place ("0", "1", ...) where
    ``named`` is False; ``leaves`` the name of each array ("x", "1", "inputs.ids"); ``text`` what was left out
    because it is text.
    """

    named: bool
    parts: tuple[tuple[str, Any], ...]
    leaves: tuple[str, ...]
    text: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """Names or places of the top-level parts."""
        return tuple(key for key, _ in self.parts)


def take_apart(batch: Any, *, single: bool = False) -> tuple[Structure, list[Array | MappedArray]]:
    """Split a batch into its structure and its arrays, in the order of the structure.

    Mappings, named tuples and dataclasses give named parts, tuples and lists parts by place, and anything
    else is the only part. ``single`` says that ``batch`` is one sample: every array gets a sample axis in
    front, and numbers become arrays. Text is left out. Raises UsageError.
    """
    walk = _Walk(single)
    named = True
    items: Iterable[tuple[str, Any]]
    if is_array(batch):
        named, items = False, [("0", batch)]
    elif dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        items = [(f.name, getattr(batch, f.name)) for f in dataclasses.fields(batch)]
    elif isinstance(batch, Mapping):
        items = [(str(key), value) for key, value in batch.items()]
    elif isinstance(batch, tuple) and hasattr(batch, "_fields"):
        items = zip(batch._fields, batch, strict=True)
    elif isinstance(batch, tuple | list) and not _is_numbers(batch):
        named, items = False, [(str(place), value) for place, value in enumerate(batch)]
    else:
        named, items = False, [("0", batch)]
    parts = tuple((key, template) for key, value in items if (template := walk.template(value, key)) is not None)
    return Structure(named, parts, tuple(walk.names), tuple(walk.text)), walk.arrays


def put_together(template: Any, arrays: Sequence[Any]) -> Any:
    """Fill the template of one part with ``arrays``."""
    if isinstance(template, Leaf):
        return arrays[template.number]
    if isinstance(template, Fixed):
        return template.value
    if isinstance(template, dict):
        return {key: put_together(value, arrays) for key, value in template.items()}
    return _sequence_like(template, [put_together(value, arrays) for value in template])


def leaf_numbers(template: Any) -> set[int]:
    """Numbers of the arrays in the template of a part."""
    if isinstance(template, Leaf):
        return {template.number}
    inner = template.values() if isinstance(template, dict) else template
    return set().union(*map(leaf_numbers, inner)) if isinstance(inner, Iterable) else set()


def map_arrays(function: Any, value: Any) -> Any:
    """Apply ``function`` to every array of a nested value and keep the rest."""
    if is_array(value):
        return function(value)
    if isinstance(value, Mapping):
        return {key: map_arrays(function, each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return _sequence_like(value, [map_arrays(function, each) for each in value])
    return value


def _sequence_like(model: Any, values: list[Any]) -> Any:
    if hasattr(model, "_fields"):
        return type(model)(*values)
    return values if isinstance(model, list) else tuple(values)


class _Walk:
    """Collects arrays, their names and what was left out on the way through a batch."""

    def __init__(self, single: bool) -> None:
        self.single = single
        self.arrays: list[Array | MappedArray] = []
        self.names: list[str] = []
        self.text: list[str] = []

    def template(self, value: Any, name: str) -> Any:
        """The template of ``value``; None where all of it is text."""
        if isinstance(value, MappedArray):
            return self._leaf(value, name)
        if is_array(value) or _is_numbers(value) or (self.single and isinstance(value, Number)):
            array = to_array(value, name)
            return self._leaf(array[None] if self.single else array, name)
        if value is None or isinstance(value, Number):
            return Fixed(value)
        if _is_text(value):
            self.text.append(name)
            return None
        if isinstance(value, Mapping):
            inner = {key: self.template(each, f"{name}.{key}") for key, each in value.items()}
            kept = {key: each for key, each in inner.items() if each is not None}
            return kept or (None if inner else kept)
        if isinstance(value, tuple | list):
            parts = [self.template(each, f"{name}.{place}") for place, each in enumerate(value)]
            return _sequence_like(value, [Fixed(None) if part is None else part for part in parts])
        raise UsageError(
            "bad-batch",
            f"{name!r} in the data is neither an array nor a structure of arrays",
            found=f"{type(value).__module__}.{type(value).__qualname__}",
            hint="yield tensors or arrays, alone or in tuples, lists and dicts",
        )

    def _leaf(self, array: Array | MappedArray, name: str) -> Leaf:
        self.arrays.append(array)
        self.names.append(name)
        return Leaf(len(self.arrays) - 1)


def _is_numbers(value: object) -> bool:
    """Whether a list holds numbers, in any nesting of lists."""
    if not isinstance(value, list) or not value:
        return False
    return all(isinstance(each, Number) or _is_numbers(each) for each in value)


def _is_text(value: object) -> bool:
    if isinstance(value, tuple | list):
        return bool(value) and all(isinstance(each, str | bytes) for each in value)
    return isinstance(value, str | bytes)
