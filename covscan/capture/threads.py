"""How many threads the engines compute with."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_asked: list[int] = []
"""What was asked for, the last one in force; ONNX Runtime takes it when a graph is opened."""


@contextmanager
def computing_threads(number: int | None) -> Iterator[None]:
    """Let torch and ONNX Runtime compute with so many threads meanwhile; None leaves them as they are."""
    if number is None:
        yield
        return
    _asked.append(number)
    try:
        with torch_threads(number):
            yield
    finally:
        _asked.pop()


@contextmanager
def torch_threads(number: int) -> Iterator[None]:
    """Let torch compute with so many threads meanwhile, where it is loaded: what runs without it never loads it."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def asked_threads() -> int | None:
    """The number in force, None where the libraries choose."""
    return _asked[-1] if _asked else None
