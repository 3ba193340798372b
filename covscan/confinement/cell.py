"""The thread on which models run."""

import contextvars
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

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
    if isinstance(threading.current_thread(), _Cell):
        return work()
    with _lock:
        cell = _cell_for(tuple(files))
        if cell.in_force():
            return cell.result(work)
    return work()


def in_force() -> tuple[str, ...]:
    """What a model is kept from on this machine: ``files``, ``network``; empty where the system has no means."""
    with _lock:
        return _cell_for(()).in_force()


class _Cell(threading.Thread):
    """Bound for good when it starts; then it works on what it is given, one after another.

    It holds nobody up: it waits for work when the process ends.
    """

    def __init__(self, files: tuple[Path, ...]) -> None:
        super().__init__(name="covscan-model", daemon=True)
        self._files = files
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._bound = _Task(self._bind)
        self._tasks.put(self._bound)

    def run(self) -> None:
        while (task := self._tasks.get()) is not None:
            task.run()
            del task  # and with it what it gave

    def in_force(self) -> tuple[str, ...]:
        """By what it is bound."""
        found: tuple[str, ...] = self._bound.wait()
        return found

    def result(self, work: Callable[[], Value]) -> Value:
        """What ``work`` gives there."""
        task = _Task(_with_as_many_threads(work))
        self._tasks.put(task)
        value: Value = task.wait()
        return value

    def end(self) -> None:
        """Let it go; what it works on is done before."""
        self._tasks.put(None)

    def _bind(self) -> tuple[str, ...]:
        means = {"files": lambda: forbid_files([*readable(), *self._files]), "network": forbid_calls}
        return tuple(name for name, forbid in means.items() if _done(forbid))


def _done(forbid: Callable[[], None]) -> bool:
    if sys.platform != "linux":
        return False
    try:
        forbid()
    except OSError:  # a kernel before 5.13, a container that forbids the calls: the other one may do
        return False
    return True


class _Task:
    """Something to be worked on by one thread and waited for by another."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work: Callable[[], Any] | None = work
        self._context = contextvars.copy_context()
        self._done = threading.Event()
        self._value: Any = None
        self._error: BaseException | None = None

    def run(self) -> None:
        assert self._work is not None
        try:
            self._value = self._context.run(self._work)
        except BaseException as error:  # noqa: BLE001 - it is raised where somebody waits
            self._error = error
        self._work = None
        self._done.set()

    def wait(self) -> Any:
        try:
            self._done.wait()
        except BaseException:
            self._done.wait()
            raise
        if self._error is not None:
            try:
                raise self._error
            finally:
                self._error = None  # which holds this frame
        return self._value


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
    cell = _Cell(files)
    cell.start()
    _cells[:] = [cell]
    return cell


def _forget() -> None:
    """A fork has none of its parent's threads, and may have been made while one held the lock."""
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()
    _cells.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
