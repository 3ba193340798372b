"""The line of the user's own code that makes a module."""

import ast
import functools
import os
import re
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covscan.capture.definitions import Assignment, assignments, definitions, function_line, parsed
from covscan.capture.own_files import own_name
from covscan.report.types import SourceLine

if TYPE_CHECKING:
    import torch

_DEEPEST = 100
"""Wrappers that are taken off a function; one that wraps itself has no end."""


@dataclass(frozen=True, slots=True)
class _OwnClass:
    """A class of the user's: where it is defined, and what its methods assign."""

    line: SourceLine
    assigned: list[Assignment]

    def line_of(self, attribute: str, constructor: str) -> SourceLine | None:
        """Where the attribute is assigned, by preference to what calls ``constructor``, else under its full name."""
        known = [each for each in self.assigned if re.fullmatch(each.pattern, attribute)]
        known.sort(key=lambda each: (constructor not in each.constructors, each.pattern != re.escape(attribute)))
        return SourceLine(file=self.line.file, line=known[0].line) if known else None


@dataclass(slots=True)
class SourceLines:
    """Finds the lines for one model; ``factory`` is what made it, None where nothing is known to have.

    Reads files that were imported already, and imports, calls and evaluates nothing of the user's.
    """

    model: "torch.nn.Module"
    factory: Callable[..., Any] | None = None
    _working: Path = field(default_factory=Path.cwd)
    _trees: dict[Path, ast.Module] = field(default_factory=dict)
    _classes: dict[type, _OwnClass | None] = field(default_factory=dict)

    def of(self, names: Iterable[str]) -> dict[str, SourceLine]:
        """By module name: where it is made, without those of which that is not known.

        That is the assignment to it, or to what holds it, in the user's own class; else the line of the nearest
        class of the user's that it is inside of; else that of the factory.
        """
        modules = dict(self.model.named_modules())
        factory = self._of_factory()
        found = {name: self._of_module(name, modules) or factory for name in names}
        return {name: line for name, line in found.items() if line is not None}

    def _of_module(self, name: str, modules: "dict[str, torch.nn.Module]") -> SourceLine | None:
        parts = name.split(".")
        for depth in reversed(range(len(parts))):
            parent, child = (modules.get(".".join(parts[:end])) for end in (depth, depth + 1))
            own = [known for kind in type(parent).__mro__ if (known := self._own(kind)) is not None]
            if own:
                lines = (each.line_of(parts[depth], type(child).__name__) for each in own)
                return next((line for line in lines if line is not None), own[0].line)
        return None

    def _of_factory(self) -> SourceLine | None:
        made_by = _innermost(self.factory)
        if isinstance(made_by, types.FunctionType):
            path = Path(made_by.__code__.co_filename).resolve()
            file = own_name(path, self._working)
            first = made_by.__code__.co_firstlineno
            if file is None or not os.path.isfile(path):  # Path.is_file raises where a name is too long
                return None
            return SourceLine(file=file, line=function_line(self._tree(path), first))
        own = self._own(made_by if isinstance(made_by, type) else type(made_by))
        return own.line if own is not None else None

    def _own(self, kind: type) -> _OwnClass | None:
        if kind not in self._classes:
            self._classes[kind] = self._read(kind)
        return self._classes[kind]

    def _read(self, kind: type) -> _OwnClass | None:
        module = sys.modules.get(kind.__module__)
        file = vars(module).get("__file__") if module is not None else None
        path = Path(file).resolve() if isinstance(file, str) else None
        name = own_name(path, self._working) if path is not None else None
        if path is None or name is None:
            return None
        codes = list(_codes(kind))
        lines = [code.co_firstlineno for code in codes if Path(code.co_filename).resolve() == path]
        if codes and not lines:
            return None  # written elsewhere, as by an exec: the file may hold another class of this name
        found = definitions(self._tree(path), kind.__qualname__)
        found = [one for one in found if any(one.lineno <= line <= (one.end_lineno or 0) for line in lines)] or found
        return _OwnClass(SourceLine(file=name, line=found[-1].lineno), assignments(found[-1])) if found else None

    def _tree(self, path: Path) -> ast.Module:
        if path not in self._trees:
            self._trees[path] = parsed(path)
        return self._trees[path]


def _innermost(factory: Any) -> Any:
    """The function behind partial applications, methods and decorators that say what they wrap."""
    for _ in range(_DEEPEST):
        match factory:
            case functools.partial():
                factory = factory.func
            case types.MethodType():
                factory = factory.__func__
            case types.FunctionType() if "__wrapped__" in vars(factory):
                factory = vars(factory)["__wrapped__"]
            case _:
                break
    return factory


def _codes(kind: type) -> Iterator[types.CodeType]:
    """The code of the functions that a class's body defines."""
    for value in vars(kind).values():
        function = _innermost(value)
        if isinstance(function, types.FunctionType):
            yield function.__code__
