"""Classes and the attributes that their methods assign, as the source says it; it is parsed and never run."""

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SCOPES = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_NAMING = ("add_module", "register_module")
"""Methods that register a child under a name."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Assignment:
    """``self.NAME = …`` at a line; ``pattern`` matches the name, which may be put together (``f"layer{i}"``).

    ``constructors`` are the last names of all that the value calls.
    """

    pattern: str
    line: int
    constructors: frozenset[str]


def parsed(path: Path) -> ast.Module:
    """The file's syntax tree; an empty one where it cannot be read or is not this Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the user's escapes, which they have seen when it was imported
            return ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module(body=[], type_ignores=[])


def definitions(tree: ast.AST, qualified_name: str) -> list[ast.ClassDef]:
    """Every class of this ``__qualname__``, in the order of the source; branches of an ``if`` may each have one."""
    nodes = [tree]
    for part in qualified_name.split("."):
        if part != "<locals>":
            nodes = [inner for node in nodes for inner in _scope(node) if getattr(inner, "name", None) == part]
    return [node for node in nodes if isinstance(node, ast.ClassDef)]


def function_line(tree: ast.AST, first: int) -> int:
    """The line of ``def`` of the function whose code begins at line ``first``, which is that of its decorator."""
    starts = {_first_line(node): node.lineno for node in ast.walk(tree) if isinstance(node, Function)}
    return starts.get(first, first)


def assignments(definition: ast.ClassDef) -> list[Assignment]:
    """What the class's methods assign to attributes of their first argument, ``__init__`` before the others."""
    methods = [node for node in _scope(definition) if isinstance(node, Function)]
    methods.sort(key=lambda method: method.name != "__init__")
    return [found for method in methods for found in _of_method(method)]


def _scope(node: ast.AST) -> Iterator[ast.AST]:
    """What is defined in a scope, inside branches too, but not inside of what is defined there."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, _SCOPES):
            yield from _scope(child)


def _first_line(node: ast.AST) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])  # type: ignore[attr-defined]


def _of_method(method: Function) -> Iterator[Assignment]:
    arguments = [*method.args.posonlyargs, *method.args.args]
    if not arguments:
        return
    me = arguments[0].arg
    for node in ast.walk(method):
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    yield from _of_target(target, value, me)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                yield from _of_target(target, value, me)
            case ast.Call():
                yield from _of_call(node, me)


def _of_target(target: ast.expr, value: ast.expr, me: str) -> Iterator[Assignment]:
    match target:
        case ast.Attribute(value=ast.Name(id=owner), attr=name) if owner == me:
            yield Assignment(re.escape(name), target.lineno, _called(value))
        case ast.Tuple(elts=targets) | ast.List(elts=targets):
            values = value.elts if isinstance(value, ast.Tuple | ast.List) else []
            paired = values if len(values) == len(targets) else [value] * len(targets)
            for one, its in zip(targets, paired, strict=True):
                yield from _of_target(one, its, me)


def _of_call(call: ast.Call, me: str) -> Iterator[Assignment]:
    match call:
        case ast.Call(func=ast.Name(id="setattr"), args=[ast.Name(id=owner), name, value]) if owner == me:
            pass
        case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr=method), args=[name, value]) if (
            owner == me and method in _NAMING
        ):
            pass
        case _:
            return
    pattern = _pattern(name)
    if pattern is not None:
        yield Assignment(pattern, call.lineno, _called(value))


def _pattern(name: ast.expr) -> str | None:
    match name:
        case ast.Constant(value=str() as text):
            return re.escape(text)
        case ast.JoinedStr(values=parts):
            return "".join(re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".+" for part in parts)
        case _:
            return None


def _called(value: ast.expr) -> frozenset[str]:
    calls = [node.func for node in ast.walk(value) if isinstance(node, ast.Call)]
    return frozenset(str(getattr(call, "attr", getattr(call, "id", ""))) for call in calls)
