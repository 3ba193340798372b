"""Working on many items at once, on all cores."""

import gc
import multiprocessing
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from covscan.capture.threads import torch_threads
from covscan.config.cores import cores

Item = TypeVar("Item")
Value = TypeVar("Value")

_FEWEST = 4
"""Items to a process: for fewer it is not worth starting one."""
_MOST = 16
_PATIENCE = 30.0
"""Seconds that another process has at least, and ten times what this one took for its own share."""


def side_by_side(work: Callable[[Item], Value], items: Sequence[Item]) -> list[Value]:
    """``work`` of each item, in order, on all cores.

    On Linux by forks of this process, which have the items already and hand back what they made of them: in threads
    short calls of numpy wait for the interpreter (28 ms a site of a ResNet-18 on two cores, 20 by processes, 36 on
    one). Elsewhere by threads. What a process does not hand back, since it was killed or hangs, is worked out here.
    """
    with torch_threads(1):  # with two, which wait for each other, they took twice the processor time
        if not _may_fork():
            with ThreadPoolExecutor(cores(), initializer=_begin_with_one_thread) as pool:
                return list(pool.map(work, items))
        number = max(1, min(cores(), _MOST, len(items) // _FEWEST))
        shares = [items[first::number] for first in range(number)]
        with _forks(work, shares[1:]) as others:
            began = time.monotonic()
            done = [[work(item) for item in shares[0]]]
            deadline = time.monotonic() + max(_PATIENCE, 10 * (time.monotonic() - began))
            for share, other in zip(shares[1:], others, strict=True):
                values = _received(other, deadline)
                done.append([work(item) for item in share] if values is None else values)
        return [done[place % number][place // number] for place in range(len(items))]


def _may_fork() -> bool:
    """Not on macOS, whose libraries forbid it, nor in a daemonic process, which Python lets have no children."""
    return sys.platform == "linux" and not multiprocessing.current_process().daemon


def _begin_with_one_thread() -> None:
    """Torch counts its threads thread by thread."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@contextmanager
def _forks(work: Callable[[Item], Value], shares: Sequence[Sequence[Item]]) -> Iterator[list[Connection]]:
    """Processes at work on a share each, by where their values come from; none is left afterwards."""
    context = multiprocessing.get_context("fork")
    processes, pipes = [], []
    try:
        for share in shares:
            source, sink = context.Pipe(duplex=False)
            pipes.append(source)
            processes.append(context.Process(target=_hand_back, args=(work, share, sink), daemon=True))
            with warnings.catch_warnings():
                # Newer Pythons warn of locks that other threads hold; these forks take none but numpy's and torch's.
                warnings.simplefilter("ignore", DeprecationWarning)
                processes[-1].start()
            sink.close()
        yield pipes
    finally:
        for process, pipe in zip(processes, pipes, strict=True):
            pipe.close()
            process.kill()
            process.join()


def _hand_back(work: Callable[[Item], Value], items: Sequence[Item], sink: Connection) -> None:
    """What a fork does. What it raises is raised where its share is worked out again, and not told here."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    gc.disable()  # what is garbage here is somebody else's
    with suppress(Exception):
        sink.send([work(item) for item in items])


def _received(pipe: Connection, deadline: float) -> Any:
    """The values of another process; None where it ended without, or takes longer than until ``deadline``."""
    with suppress(EOFError, OSError):
        if pipe.poll(max(0.0, deadline - time.monotonic())):
            return pipe.recv()
    return None
