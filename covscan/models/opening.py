"""Open the source that the settings describe."""

from covscan.config.settings import Settings
from covscan.errors import UsageError
from covscan.models import READERS, STANDALONE
from covscan.models.factory_source import open_factory
from covscan.models.finding import find_saved
from covscan.models.formats import TITLES
from covscan.models.series import Shelf, open_series
from covscan.models.types import Source
from covscan.models.untrained import UntrainedSource
from covscan.registry import resolve


def open_source(settings: Settings, *, untrained: bool = False) -> Source:
    """See ``covscan.models.open_source``."""
    if not settings.checkpoints:
        if untrained and settings.model is not None:
            return UntrainedSource(settings)
        raise UsageError(
            "no-checkpoints",
            "no checkpoint was named",
            hint="name files, folders or globs, for example runs/ckpt-*.pt",
        )
    notes: list[str] = []
    shelf = open_series(find_saved(settings.checkpoints, notes), notes, trust=settings.trust)
    return open_shelf(settings, shelf, notes)


def open_shelf(settings: Settings, shelf: Shelf, notes: list[str]) -> Source:
    """The source of checkpoints that were found and ordered. Raises UsageError."""
    if settings.model is not None and shelf.format not in READERS:
        raise UsageError(
            "not-weights",
            f"{TITLES[shelf.format]} files hold a network of their own, and no weights for --model",
            hint="leave out --model",
        )
    if settings.model is not None:
        return open_factory(settings, shelf, notes)
    source: Source = resolve(STANDALONE[shelf.format])(settings, shelf, notes)
    return source
