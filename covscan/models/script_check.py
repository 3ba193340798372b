"""Whether a TorchScript archive does anything but compute: read from its sources, before any of them runs."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from covscan.errors import UsageError
from covscan.models.operators import CLASSES, REACHING_OUT, is_computing

_CLASS = re.compile(rb"torch[\s\\.]*classes[\s\\.]*(\w*)")
_FULL = 3  # ops.namespace.operator
_WHAT = "TorchScript archive"


def check_script(path: Path) -> None:
    """Raise UsageError where a source in the archive at ``path`` names an operator that does more than compute.

    An archive is a program: loading it runs its ``__setstate__`` methods, so that looking at the loaded graph alone
    would be too late. The sources are read the way PyTorch's own reader finds them. What this does not understand
    counts as reaching out.
    """
    try:
        # PyTorch's own reader, so that there are not two opinions about what the archive holds.
        reader = torch._C.PyTorchFileReader(str(path))
        for name in reader.get_all_records():
            if name.endswith((".py", ".pkl")) and not name.endswith(".debug_pkl"):
                _check_record(path, name, reader.get_record(name))
    except RuntimeError:  # damaged: the loader says how
        return


def check_graph(path: Path, module: torch.jit.ScriptModule) -> None:
    """Raise UsageError where the forward of the loaded ``module`` calls such an operator after all."""
    if "forward" not in module._c._method_names():
        return
    for name in _operators_in(module._c._get_method("forward").inlined_graph):
        if not is_computing(name):
            raise refused(path, name.replace("::", ".", 1), _WHAT)


def refused(path: Path, name: str, what: str) -> UsageError:
    """The error for a program that reaches out."""
    return UsageError(
        "untrusted-code",
        f"{str(path)!r} is a {what} that does more than compute",
        found=f"it uses {name!r}",
        hint="export the network alone; or --trust, only for files you made yourself",
    )


def _check_record(path: Path, name: str, content: bytes) -> None:
    for found in _CLASS.finditer(content):
        if found[1].decode() not in CLASSES:
            raise refused(path, f"torch.classes.{found[1].decode()}", _WHAT)
    if not name.endswith(".py"):
        return
    try:
        tree = ast.parse(content)
        culprit = next(_reaching_out(tree), None)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise refused(path, f"{name}, which cannot be read ({type(error).__name__})", _WHAT) from error
    if culprit is not None:
        raise refused(path, culprit, _WHAT)


def _reaching_out(tree: ast.Module) -> Iterator[str]:
    """What in a source is, or may be a way to, an operator that does more than compute."""
    roots = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            parts = _dotted(node)
            if len(parts) == _FULL and parts[0] == "ops":
                roots.add(_root(node))
                if not is_computing("::".join(parts[1:])):
                    yield ".".join(parts)
            if node.attr in REACHING_OUT and parts[:1] != ("self",):
                yield ".".join(parts) or node.attr
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr":
            named = [each.value for each in node.args if isinstance(each, ast.Constant) and each.value in REACHING_OUT]
            yield from (f"getattr of {name!r}" for name in named)
    for node in ast.walk(tree):
        # Alone it would be a way around the check of ops.namespace.operator. A module's own "ops" is written "ops0".
        if isinstance(node, ast.Name) and node.id == "ops" and isinstance(node.ctx, ast.Load) and node not in roots:
            yield "ops"


def _dotted(node: ast.Attribute) -> tuple[str, ...]:
    """The names of ``a.b.c``; empty where it does not start with a name."""
    root = _root(node)
    return tuple(ast.unparse(node).split(".")) if isinstance(root, ast.Name) else ()


def _root(node: ast.expr) -> ast.expr:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node


def _operators_in(block: Any) -> Iterator[str]:
    for node in block.nodes():
        yield node.kind()
        for inner in node.blocks():
            yield from _operators_in(inner)
