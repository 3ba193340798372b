"""Functions of a Python file that may build a network, read from its text: nothing is imported."""

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LARGEST = 200_000
"""Bytes of a file that is read."""
_NAME = re.compile(r"(^|_)(build|model|net|network)($|_)")
_MODULES = re.compile(r"(Module|Sequential)$")


@dataclass(frozen=True, slots=True)
class Factory:
    """A function, or a class, that can be called without arguments; what is likelier to build a network counts more."""

    file: str
    name: str
    likelihood: int


def factories_in(path: Path, file: str) -> Iterator[Factory]:
    """What may be a factory in a file that imports torch; ``file`` is how the file is called in them."""
    tree = _parsed(path)
    networks = _networks(tree)
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        if isinstance(node, ast.FunctionDef):
            likelihood = 0 if _required(node.args) else _likelihood(node, networks)
        else:
            likelihood = 2 if node.name in networks and _needs_nothing(node) else 0
        if likelihood:
            yield Factory(file, node.name, likelihood)


def _parsed(path: Path) -> ast.Module:
    """The file's syntax tree; an empty one for what cannot be read, is large, or never speaks of torch."""
    nothing = ast.Module([], [])
    try:
        text = path.read_text(encoding="utf-8") if path.stat().st_size <= LARGEST else ""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a file that is only looked at shall not complain of its escapes
            return ast.parse(text) if "torch" in text else nothing
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
        return nothing


def _networks(tree: ast.Module) -> set[str]:
    """Classes that derive from a Module, by way of others in the file, too."""
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and any(_is_network(base, found) for base in node.bases):
            found.add(node.name)
    return found


def _is_network(node: ast.expr | None, networks: set[str]) -> bool:
    """Whether an expression names a Module, as a type or as what is called."""
    text = ast.unparse(node) if isinstance(node, ast.Name | ast.Attribute) else ""
    return text in networks or _MODULES.search(text) is not None


def _likelihood(node: ast.FunctionDef, networks: set[str]) -> int:
    """By what it returns, else by its name; 0 for what seems to be something else."""
    calls = [each.value for each in ast.walk(node) if isinstance(each, ast.Return) and isinstance(each.value, ast.Call)]
    if _is_network(node.returns, networks) or any(_is_network(call.func, networks) for call in calls):
        return 4 if _NAME.search(node.name) else 3
    return 1 if _NAME.search(node.name) and node.returns is None else 0


def _required(arguments: ast.arguments) -> int:
    """How many arguments have no default."""
    by_place = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
    return by_place + sum(default is None for default in arguments.kw_defaults)


def _needs_nothing(node: ast.ClassDef) -> bool:
    """Whether instances can be made without arguments; a class without ``__init__`` has its base's, unknown here."""
    made = [each for each in node.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"]
    return bool(made) and _required(made[0].args) == 1
