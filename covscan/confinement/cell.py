"""The thread on which models run."""

import contextvars
import os
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import TypeVar

from covscan.confinement.landlock import forbid_files
from covscan.confinement.seccomp import forbid_calls
from covscan.confinement.software import readable

Value = TypeVar("Value")


def confined(work: Callable[[], Value], *, files: Iterable[Path] = ()) -> Value:
    """What ``work()`` gives, on a thread that can read ``files`` and the installed software, and can do nothing else.

    Nothing is written, executed or sent, and what such a thread starts (the pools of torch and ONNX Runtime) is bound
    as it is. What ``work`` raises is raised here. It sees the caller's context and number of torch's threads, but
    none of torch's modes, which belong to a thread. Where the system has no means for it, ``work`` runs here. An
    interrupt is raised once ``work`` has ended, so that nothing is taken away from under it.
    """
    if getattr(_here, "bound", False):
        return work()
    with _lock:
        cell = _cell_for(tuple(files))
        if cell.in_force:
            return cell.result(_with_as_many_threads(work))
    return work()


def in_force() -> tuple[str, ...]:
    """What a model is kept from on this machine: ``files``, ``network``; empty where the system has no means."""
    with _lock:
        return _cell_for(()).in_force


class _Cell:
    """A pool of one thread, which is bound for good before it works on anything."""

    def __init__(self, files: tuple[Path, ...]) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="covscan-model")
        self.in_force = self.result(lambda: _bind(files))
        """By what it is bound."""

    def result(self, work: Callable[[], Value]) -> Value:
        """What ``work`` gives there, once it has ended."""
        future = self._pool.submit(contextvars.copy_context().run, work)
        try:
            return future.result()
        except BaseException:
            wait([future])  # an interrupt comes before its end
            raise

    def end(self) -> None:
        """Let it go; what it works on is done before."""
        self._pool.shutdown(wait=False)


def _bind(files: tuple[Path, ...]) -> tuple[str, ...]:
    """Bind this thread, and say by what."""
    _here.bound = True
    means = {"files": lambda: forbid_files([*readable(), *files]), "network": forbid_calls}
    return tuple(name for name, forbid in means.items() if _done(forbid))


def _done(forbid: Callable[[], None]) -> bool:
    if sys.platform != "linux":
        return False
    try:
        forbid()
    except OSError:  # a kernel before 5.13, a container that forbids the calls: the other one may do
        return False
    return True


def _with_as_many_threads(work: Callable[[], Value]) -> Callable[[], Value]:
    """``work`` by as many of torch's threads as the caller has; each thread of Python has a number of its own."""
    torch = sys.modules.get("torch")
    if torch is None:
        return work
    number = torch.get_num_threads()

    def counted() -> Value:
        if torch.get_num_threads() != number:
            torch.set_num_threads(number)
        return work()

    return counted


_here = threading.local()
_lock = threading.Lock()
_cells: list[_Cell] = []
"""The one cell that takes work, where there is one."""


def _cell_for(files: tuple[Path, ...]) -> _Cell:
    """A cell that may read ``files``: another one each time, since a name may stand for another file by now.

    The one that is there does for what reads none.
    """
    if _cells and not files:
        return _cells[0]
    for cell in _cells:
        cell.end()
    _cells[:] = [_Cell(files)]
    return _cells[0]


def _forget() -> None:
    """A fork has none of its parent's threads, and may have been made while one held the lock."""
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()
    _cells.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
