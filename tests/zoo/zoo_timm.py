"""timm without torchvision, whose wheels on PyPI are for another build of torch than these tests may run with.

What timm's models are made of needs none of it: the image transforms are imported by the package and not used.
"""

import importlib.machinery
import sys
from types import ModuleType
from typing import Any


class _Named(type):
    """Classes with members for whatever is asked of them."""

    def __getattr__(cls, name: str) -> str:
        if name.startswith("__"):
            raise AttributeError(name)
        return name


class _StandIn(ModuleType):
    """A module in which every name is a class of its own that nothing is an instance of."""

    __path__ = ()  # so that it is a package

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = _Named(name, (), {"__module__": self.__name__})
        setattr(self, name, made)
        return made


class _Finder:
    """Finds ``torchvision`` and everything below it."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name.partition(".")[0] != "torchvision":
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        del module


def timm() -> ModuleType:
    """The package, imported beside stand-ins that are gone afterwards."""
    if "timm" not in sys.modules:
        finder = _Finder()
        sys.meta_path.insert(0, finder)
        try:
            import timm as imported  # noqa: F401
        finally:
            sys.meta_path.remove(finder)
            for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
                del sys.modules[name]
    return sys.modules["timm"]
