"""A series of whole modules pickled by ``torch.save(model, path)``, opened only with the user's trust."""

from torch import nn

from covscan.config.settings import Settings
from covscan.models.contents import read
from covscan.models.factory_source import missing_factory
from covscan.models.formats import Saved
from covscan.models.nesting import find_module
from covscan.models.own_module_source import OwnModuleSource
from covscan.models.room import in_memory, size_in_float32
from covscan.models.series import Shelf
from covscan.models.unwrapping import unwrap


def open_pickled_module(settings: Settings, shelf: Shelf, notes: list[str]) -> OwnModuleSource:
    """The source for pickled modules. Raises UsageError where a file holds weights only."""

    def load(saved: Saved) -> nn.Module:
        return _load_module(saved, trust=settings.trust)

    return OwnModuleSource(shelf, load, "pickled modules", notes, runs_own_code=True)


def _load_module(saved: Saved, *, trust: bool) -> nn.Module:
    content = read(saved, trust=trust)
    module = find_module(content)
    if module is not None:
        needed = size_in_float32(module)
        return in_memory(lambda: unwrap(module).float().cpu().eval(), repr(str(saved.path)), lambda: needed)
    raise missing_factory(saved, content)
