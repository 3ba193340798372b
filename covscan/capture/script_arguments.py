"""How an argument of a TorchScript node comes about: data, a weight, or a constant of the program."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch


@dataclass(frozen=True, slots=True)
class Data:
    """A tensor that is computed while the program runs; ``place`` is its index among those that are shown."""

    place: int


@dataclass(frozen=True, slots=True)
class Weight:
    """A tensor of the archive, by its name in the state dict or by the name given to a nameless constant."""

    name: str


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that the program fixes."""

    value: Any


@dataclass(frozen=True, slots=True)
class Group:
    """A list or a tuple of arguments."""

    items: "tuple[Argument, ...]"
    is_list: bool


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something that cannot be made again outside of the program."""


Argument = Data | Weight | Constant | Group | Unknown


def module_path(value: Any) -> str | None:
    """The qualified name of the module or attribute that a graph value holds; None for anything else."""
    names = []
    node = value.node()
    while node.kind() == "prim::GetAttr":
        names.append(node.s("name"))
        value = node.inputsAt(0)
        node = value.node()
    if node.kind() != "prim::Param" or value.offset() != 0 or value.type().kind() != "ClassType":
        return None
    return ".".join(reversed(names))


def attribute(module: torch.nn.Module, name: str) -> Any:
    """The submodule, parameter or other attribute with this qualified name; the module itself for ""."""
    return reduce(getattr, name.split(".") if name else (), module)


def resolve(argument: Argument, data: Sequence[torch.Tensor | None], weights: Mapping[str, torch.Tensor]) -> Any:
    """The value of a known argument, given what was shown and an archive's weights."""
    match argument:
        case Data(place):
            return data[place]
        case Weight(name):
            return weights[name]
        case Constant(value):
            return value
        case Group(items, is_list):
            values = [resolve(item, data, weights) for item in items]
            return values if is_list else tuple(values)
        case Unknown():
            raise ValueError("an unknown argument has no value")


def is_known(argument: Argument) -> bool:
    """Whether the argument can be made again outside of the program."""
    if isinstance(argument, Group):
        return all(is_known(item) for item in argument.items)
    return not isinstance(argument, Unknown)


def weight_names(arguments: Sequence[Argument]) -> tuple[str, ...]:
    """Names of all weights among the arguments, in order."""
    names: list[str] = []
    for argument in arguments:
        if isinstance(argument, Weight):
            names.append(argument.name)
        elif isinstance(argument, Group):
            names.extend(weight_names(argument.items))
    return tuple(names)
