"""Open the source that the settings describe."""

from covscan.config.settings import Settings
from covscan.errors import UsageError
from covscan.models import FACTORY, READERS, STANDALONE, UNTRAINED
from covscan.models.finding import find_saved
from covscan.models.formats import TITLES
from covscan.models.series import Shelf, open_series
from covscan.models.size import check_size
from covscan.models.types import Source
from covscan.registry import resolve


def open_source(settings: Settings, *, untrained: bool = False) -> Source:
    """See ``covscan.models.open_source``."""
    if not settings.checkpoints:
        if untrained and settings.model is not None:
            return _open(UNTRAINED, settings)
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
    check_size(shelf)
    return _open(STANDALONE[shelf.format] if settings.model is None else FACTORY, settings, shelf, notes)


def _open(target: str, *asked: object) -> Source:
    source: Source = resolve(target)(*asked)
    return source
