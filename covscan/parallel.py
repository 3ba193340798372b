"""Checkpoints measured by several processes at once, which leave what they found in a store."""

import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits

from covscan.cache import Store
from covscan.config import Settings
from covscan.config.progress import Progress, Silent
from covscan.errors import UsageError
from covscan.registry import resolve

if TYPE_CHECKING:
    from covscan.engine.known import Keys
    from covscan.subjects import Opened

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

    Each process computes with as many threads as one alone would, since sums round by that. A process that dies leaves
    its work to this one, with a note. Raises UsageError where what is to be measured has no name that another process
    could open.
    """
    if min(settings.jobs, len(wanted)) < 2:
        yield lambda number: None
        return
    _check_named(opening)
    pool = ProcessPoolExecutor(
        min(settings.jobs, len(wanted)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin,
        initargs=(opening, settings, store.folder, store.limit, keys),
    )
    futures = {number: pool.submit(_measure, number) for number in wanted}
    waiting = _Waiting(futures, progress)
    try:
        yield waiting
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in list((pool._processes or {}).values()):
            process.terminate()


class _Waiting:
    """Waits for one subject after another."""

    def __init__(self, futures: "Mapping[int, Future[None]]", progress: Progress) -> None:
        self._futures, self._progress = futures, progress
        self._alone = False

    def __call__(self, number: int) -> None:
        if number not in self._futures or self._alone:
            return
        try:
            self._futures[number].result()
        except BrokenProcessPool:
            self._alone = True
            self._progress.note("a measuring process died (out of memory?); this process goes on alone")


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


_work: Callable[[int], None]


def _begin(opening: Opening, settings: Settings, folder: Path, limit: int, keys: "Keys") -> None:
    """Get a process ready: open everything once; end with the parent, and leave interrupts to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from covscan.capture.threads import computing_threads
    from covscan.engine.column import Column
    from covscan.engine.known import Known
    from covscan.engine.series import lenders

    subjects = open_by(opening).subjects
    known = Known(Store(folder, limit), Silent(), keys)

    def work(number: int) -> None:
        with threadpool_limits(1, user_api="blas"), computing_threads(settings.threads):
            Column(subjects[number], lenders(subjects, number), (), settings, known, Silent())

    global _work  # noqa: PLW0603 a process of the pool has one task
    _work = work


def _measure(number: int) -> None:
    _work(number)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
