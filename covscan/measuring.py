"""Every subject measured, in batches that fit into memory, with what earlier runs left and other processes do."""

import gc
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace

from covscan.assembly import Assembly
from covscan.cache import Store, cache_folder, cache_limit, passing_store
from covscan.config import Settings
from covscan.config.progress import Progress
from covscan.engine.known import Known
from covscan.engine.series import Step, measure_series
from covscan.errors import OutOfMemory
from covscan.memory import give_back
from covscan.parallel import Opening, measuring_ahead
from covscan.subjects import Opened, samples_of


def assembled(opening: Opening, opened: Opened, progress: Progress) -> tuple[Assembly, list[str]]:
    """What was measured of every subject, and a sentence where batches had to be smaller than was asked for.

    Where a batch does not fit into memory everything is measured again in batches of half the size, so that the
    numbers are those of a run that asked for that size: networks that draw random numbers do so batch by batch.
    Raises OutOfMemory where not even one sample fits.
    """
    asked = opening[1][0].batch_size
    size = asked
    while True:
        try:
            assembly = _measured(opening, opened, progress)
        except OutOfMemory as error:
            smaller = min(size, max(subject.samples.count for subject in opened.subjects)) // 2
            if not smaller:
                raise _nothing_fits(asked, error) from error
            progress.note(f"batches of {size} do not fit into memory ({error.found}); trying batches of {smaller}")
        else:
            said = f"Batches of {asked} did not fit into memory: the samples ran in batches of {size}, which do."
            return assembly, [said] if size < asked else []
        size = smaller
        opening = (opening[0], tuple(replace(settings, batch_size=size) for settings in opening[1]))
        for samples in samples_of(opened):
            samples.cut(size)
        _give_back_memory()


def gathered(opened: Opened, steps: Iterable[Step], settings: Settings, progress: Progress) -> Assembly:
    """What ``steps`` tell of every subject, which are measured while they are read."""
    assembly = Assembly(opened, settings)
    batches = max(-(-subject.samples.count // settings.batch_size) for subject in opened.subjects)
    progress.start([subject.id for subject in opened.subjects], batches)
    for step in steps:
        assembly.add(step)
    return assembly


def _measured(opening: Opening, opened: Opened, progress: Progress) -> Assembly:
    settings = opening[1][0]
    with closing(_steps(opening, opened, settings, progress)) as steps:
        return gathered(opened, steps, settings, progress)


def _nothing_fits(asked: int, error: OutOfMemory) -> OutOfMemory:
    return OutOfMemory(
        "out-of-memory",
        "not even one sample fits into memory" if asked > 1 else "a sample does not fit into memory",
        found=f"batches of {asked} and halves of that down to 1 were tried; {error.found}"
        if asked > 1
        else error.found,
        hint="leave sites out with --exclude, read fewer --positions, or use a machine with more memory",
    )


def _give_back_memory() -> None:
    """Let go of what the failed attempt held, on a device as well."""
    gc.collect()
    give_back()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _steps(opening: Opening, opened: Opened, settings: Settings, progress: Progress) -> Generator[Step, None, None]:
    """Every subject, measured or known from before, by this process or by several."""
    with _store(opened, settings) as store, ExitStack() as others:
        wait: Callable[[int], None] = _nobody
        if store is not None:
            known = Known(store, progress)
            new = [number for number, each in enumerate(opened.subjects) if not known.has(each, settings)]
            if settings.cache and len(new) < len(opened.subjects):
                progress.note(
                    f"{len(opened.subjects) - len(new)} of {len(opened.subjects)} were measured before (cache)"
                )
            wait = others.enter_context(measuring_ahead(opening, new, settings, store, known.keys, progress))
        yield from measure_series(opened.subjects, settings, progress, store, wait)


def _nobody(number: int) -> None:
    """Wait for nobody."""


@contextmanager
def _store(opened: Opened, settings: Settings) -> Iterator[Store | None]:
    """Where measurements are kept: in the cache, for this run alone where several processes share it, or nowhere."""
    identified = all(subject.source.identity() is not None for subject in opened.subjects)
    if settings.cache and identified and cache_limit():
        yield Store(cache_folder(), cache_limit())
    elif settings.jobs > 1:
        with passing_store() as store:
            yield store
    else:
        yield None
