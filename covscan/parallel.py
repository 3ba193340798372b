"""Checkpoints measured by several processes at once, which leave what they found in a store."""

import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from threadpoolctl import threadpool_limits

from covscan.cache import Store
from covscan.config import Settings
from covscan.config.progress import Progress, Silent
from covscan.errors import UsageError
from covscan.memory import keep_freed
from covscan.registry import resolve

if TYPE_CHECKING:
    from covscan.engine.known import Keys
    from covscan.subjects import Opened

_LOOK, _FAREWELL = 1.0, 2.0
_PATIENCE, _SLOWER = 300.0, 10.0
"""Seconds without any sign of work, and how many times the longest pause so far, after which processes hang. Opening a
large model takes minutes; where it takes longer still, this process measures what the others would have."""

Opening = tuple[str, tuple[Settings, ...]]
"""How to open what is measured: a function as ``module:name``, and its arguments."""


def open_by(opening: Opening) -> "Opened":
    """Open it in this process."""
    opened: Opened = resolve(opening[0])(*opening[1])
    return opened


@contextmanager
def measuring_ahead(
    opening: Opening, wanted: Sequence[int], settings: Settings, store: Store, keys: "Keys", progress: Progress
) -> Iterator[Callable[[int], None]]:
    """Let ``settings.jobs`` processes measure the ``wanted`` subjects into ``store``; what is given waits for one.

    Each process computes with as many threads as one alone would, since sums round by that. Processes that die, or of
    which none has got any further for too long, leave their work to this one, with a note. Raises UsageError where what
    is to be measured has no name that another process could open.
    """
    if min(settings.jobs, len(wanted)) < 2:
        yield lambda number: None
        return
    _check_named(opening)
    context = multiprocessing.get_context("spawn")
    beats = context.RawArray("L", len(wanted) + 1)
    pool = ProcessPoolExecutor(
        min(settings.jobs, len(wanted)),
        mp_context=context,
        initializer=_begin,
        initargs=(opening, settings, store.folder, store.limit, keys, beats),
    )
    waiting = _Waiting(pool, beats, progress)
    try:
        waiting.futures = {number: pool.submit(_measure, number, place) for place, number in enumerate(wanted, start=1)}
        yield waiting
    finally:
        end(pool)


def end(pool: ProcessPoolExecutor) -> None:
    """End the processes of a pool, those as well that no longer listen."""
    processes = list((pool._processes or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
    until = time.monotonic() + _FAREWELL
    for process in processes:
        process.join(max(0.0, until - time.monotonic()))
        if process.is_alive():
            process.kill()


class _Waiting:
    """Waits for one subject after another.

    ``beats`` counts what the processes get done: the batches of each subject, and subjects before the first batch. When
    none of them has moved for ``_PATIENCE`` seconds and ten times as long as ever before, they hang.
    """

    def __init__(self, pool: ProcessPoolExecutor, beats: "Sequence[int]", progress: Progress) -> None:
        self.futures: Mapping[int, Future[None]] = {}
        self._pool, self._beats, self._progress = pool, beats, progress
        self._seen, self._since, self._longest = list(beats), time.monotonic(), 0.0

    def __call__(self, number: int) -> None:
        if number not in self.futures:
            return
        try:
            while not wait([self.futures[number]], timeout=_LOOK).done:
                self._watch()
            self.futures[number].result()
        except BrokenProcessPool:
            self._go_on_alone("a measuring process died (out of memory?); this process goes on alone")
        except _HangError as hang:
            self._go_on_alone(f"{hang}; this process goes on alone")

    def _watch(self) -> None:
        now, beats = time.monotonic(), list(self._beats)
        silent = now - self._since
        if beats != self._seen:
            self._seen, self._since, self._longest = beats, now, max(self._longest, silent)
        elif silent > max(_PATIENCE, _SLOWER * self._longest):
            raise _HangError(f"the measuring processes have done nothing for {silent:.0f} s")

    def _go_on_alone(self, why: str) -> None:
        self.futures = {}
        end(self._pool)
        self._progress.note(why)


class _HangError(Exception):
    """Processes that do nothing any more; the message says for how long."""


def _check_named(opening: Opening) -> None:
    try:
        pickle.dumps(opening)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise UsageError(
            "jobs-need-names",
            "several processes can only measure what each of them can open",
            found=str(error),
            hint="name the model and the data as file.py:function, or leave jobs at 1",
        ) from error


_work: Callable[[int, int], None]


class _Beating(Silent):
    """Counts batches where the process that waits can see it."""

    def __init__(self, beats: Any, place: int) -> None:
        self._beats, self._place = beats, place

    def batch(self) -> None:
        """Count one."""
        self._beats[self._place] += 1


def _begin(opening: Opening, settings: Settings, folder: Path, limit: int, keys: "Keys", beats: Any) -> None:
    """Get a process ready: open everything once; end with the parent, and leave interrupts to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    keep_freed()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from covscan.capture.threads import computing_threads
    from covscan.engine.column import Column
    from covscan.engine.known import Known
    from covscan.engine.series import lenders

    opened = open_by(opening)
    subjects = opened.subjects
    known = Known(Store(folder, limit), Silent(), keys)

    beats[0] += 1

    def work(number: int, place: int) -> None:
        beating = _Beating(beats, place)
        beating.batch()
        with threadpool_limits(1, user_api="blas"), computing_threads(settings.threads):
            Column(subjects[number], lenders(subjects, number), (), settings, known, beating)

    global _work  # noqa: PLW0603 a process of the pool has one task
    _work = work


def _measure(number: int, place: int) -> None:
    _work(number, place)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
