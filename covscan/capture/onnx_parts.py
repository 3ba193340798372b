"""What the recognizers of an ONNX graph hand to each other."""

from collections.abc import Mapping
from dataclasses import dataclass

from covscan.capture.types import Role

Shapes = Mapping[str, tuple[int, ...]]
"""Shape of each value in one run, constants included."""


@dataclass(frozen=True, slots=True)
class Composite:
    """Several nodes that an exporter made of one layer.

    ``members`` are their places in ascending order, ``source`` the value that enters, ``output`` the one
    that leaves, ``axes`` the reduced axes of a norm, ``constants`` its (scale, bias) by name where it has
    them, ``eps`` the value added to the variance.
    """

    type: str
    role: Role
    members: tuple[int, ...]
    source: str
    output: str
    channel: int | None = None
    bias: bool = False
    scale_name: str | None = None
    bias_name: str | None = None
    eps_name: str | None = None
    axes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """One layer, activation, norm, sum or attention of a graph.

    ``members`` are the places of its nodes in order of execution and ``output`` the value that leaves the last of
    them. ``inputs`` are its data; ``feeds`` all values from outside that vary (data, initial states, lengths),
    ``constants`` those that don't, ``roots`` the numbers written in the file that these come from and ``parameters``
    the arrays among them. ``channel`` is the channel axis of output and input where the operator fixes it, negative
    from the end. ``recurrent``: the output is (time, direction, sample, hidden) or (direction, sample, hidden).
    """

    type: str
    role: Role
    members: tuple[int, ...]
    output: str
    inputs: tuple[str, ...]
    feeds: tuple[str, ...] = ()
    constants: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    channel: int | None = None
    has_bias: bool = False
    recurrent: bool = False
