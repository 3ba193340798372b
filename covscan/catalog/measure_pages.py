"""What the docstring of a measure says, read from its source: importing it would bring numpy along."""

import ast
import importlib.util
import inspect
from dataclasses import dataclass
from functools import cache
from typing import Any

from covscan.registry import resolve

_MEASURES = "covscan.measures:MEASURES"
_SIGNED = "covscan.measures:SIGNED"


@dataclass(frozen=True, slots=True)
class MeasurePage:
    """A measure's formula, range and sources as its docstring says them, and from which size on it is material.

    ``signed`` ones may be negative, ``same_samples`` ones compare sample by sample.
    """

    name: str
    summary: str
    body: str
    family: str
    material: float
    signed: bool
    same_samples: bool


def measure_page(name: str) -> MeasurePage | None:
    """The page of one measure; None for one that this version does not know."""
    specs: dict[str, Any] = resolve(_MEASURES)
    if name not in specs:
        return None
    spec = specs[name]
    text = _docstring(spec.target)
    summary, _, body = text.partition("\n\n")
    return MeasurePage(
        name, _filled(summary), _filled(body), spec.family, spec.material, name in resolve(_SIGNED), spec.same_samples
    )


def _filled(text: str) -> str:
    """Paragraphs without their line breaks."""
    return " ".join(text.replace("``", "").split())


@cache
def _docstring(target: str) -> str:
    module, _, function = target.partition(":")
    for node in _parsed(module).body:
        if isinstance(node, ast.FunctionDef) and node.name == function:
            return inspect.cleandoc(ast.get_docstring(node) or "")
    raise LookupError(f"there is no function {function} in {module}")


@cache
def _parsed(module: str) -> ast.Module:
    found = importlib.util.find_spec(module)
    source = getattr(found.loader if found else None, "get_source", lambda name: None)(module)
    return ast.parse(source or "")
