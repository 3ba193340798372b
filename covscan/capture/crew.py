"""Statistics of several sites worked out at once, on as many threads as there are cores."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from covscan.config.cores import cores

_TOGETHER = 2**23
"""Bytes of rows that are gathered before they are worked on: enough for every thread, and not much of a cache."""


class Crew:
    """Takes pieces of work and does them together, so that no core waits; numpy lets go of the interpreter meanwhile.

    The network does not run while they are done: threads of both would fight for the cores. Pieces of one flush must
    not touch the same accumulator; in which order they are done makes no difference.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(cores())
        self._waiting: list[tuple[int, Callable[[], None]]] = []
        self._size = 0

    def add(self, work: Callable[[], None], size: int) -> None:
        """Take a piece of work on ``size`` bytes."""
        self._waiting.append((size, work))
        self._size += size
        if self._size >= _TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Do all that waits, the largest pieces first."""
        waiting, self._waiting, self._size = self._waiting, [], 0
        waiting.sort(key=lambda piece: -piece[0])
        for done in [self._pool.submit(work) for _, work in waiting]:
            done.result()

    def close(self) -> None:
        """Do the rest, and let the threads go."""
        self.flush()
        self._pool.shutdown()
