"""The operator through which a TorchScript graph shows its tensors to Python while it runs."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count

import torch

TAP = "covscan::tap"
TAP_LIST = "covscan::tap_list"

Listener = Callable[[int, Sequence[torch.Tensor | None]], None]

_listeners: dict[int, Listener] = {}
_numbers = count()

# "CONSERVATIVE" tells the compiler that the operator may read and write anything, so that it is neither removed as
# unused nor moved across an operation that works in place.
_library = torch.library.Library("covscan", "FRAGMENT")  # type: ignore[no-untyped-call]
for _schema in (
    "tap(Tensor?[] values, int graph, int place) -> ()",
    "tap_list(Tensor[] values, int graph, int place) -> ()",
):
    _library.define(_schema, alias_analysis="CONSERVATIVE")  # type: ignore[no-untyped-call]


def _show(values: Sequence[torch.Tensor | None], graph: int, place: int) -> None:
    listener = _listeners.get(graph)
    if listener is not None:
        listener(place, values)


for _name in ("tap", "tap_list"):
    _library.impl(_name, _show, "CompositeExplicitAutograd")  # type: ignore[no-untyped-call]


def new_graph_number() -> int:
    """A number that no other tapped graph of this process has."""
    return next(_numbers)


@contextmanager
def listening(graph: int, listener: Listener) -> Iterator[list[BaseException]]:
    """Hand what the taps of ``graph`` see to ``listener`` as (place, values), while they run.

    The interpreter of TorchScript turns an exception of the listener into one of its own without the cause; the list
    that is yielded then holds the first one as it was.
    """
    raised: list[BaseException] = []

    def guarded(place: int, values: Sequence[torch.Tensor | None]) -> None:
        try:
            listener(place, values)
        except BaseException as error:
            raised.append(error)
            raise

    _listeners[graph] = guarded
    try:
        yield raised
    finally:
        del _listeners[graph]
