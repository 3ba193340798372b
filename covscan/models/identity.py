"""What a factory's network computes besides its weights, as a digest: equal digests, equal functions."""

import hashlib
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from covscan.models.plain import is_plain

_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_INTERNAL = frozenset(vars(nn.Module()))
_DEPTH = 6


def identity_of(module: nn.Module, asked: str) -> str | None:
    """Hex SHA-256 of all that decides what ``module`` computes, weights aside; ``asked`` says how it was built.

    That is: the classes in it with their code, their settings, buffers that no checkpoint holds, and the source files
    of everything that this process imported and that was not installed. What a forward reads from elsewhere (a file,
    the environment) is not seen. None where code cannot be told apart, since it was typed into an interactive session.
    """
    digest = hashlib.sha256(asked.encode())
    for name, each in module.named_modules():
        kind = type(each)
        if kind.__module__ == "__main__" and not getattr(sys.modules["__main__"], "__file__", None):
            return None
        own = {key: value for key, value in vars(each).items() if key not in _INTERNAL}
        digest.update(f"{name}\0{_settled(own, _DEPTH)}\0{_class_digest(kind)}\n".encode())
    saved = module.state_dict().keys()
    for name, buffer in module.named_buffers():
        if name not in saved and not buffer.is_meta and not is_lazy(buffer) and is_plain(buffer):
            digest.update(f"{name}\0{buffer.dtype}\0{tuple(buffer.shape)}\0".encode())
            digest.update(buffer.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    digest.update(sources_digest().encode())
    return digest.hexdigest()


def sources_digest() -> str:
    """Of the source files of everything that this process has imported by now and that was not installed."""
    digest = hashlib.sha256()
    for path in _own_sources():
        digest.update(f"{path.name}\0{_file_digest(path)}\n".encode())
    return digest.hexdigest()


def function_digest(function: Any) -> str | None:
    """Of a function that stands in a file under its name; None of others, which may hold what no digest sees."""
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    file = getattr(module, "__file__", None)
    if not isinstance(function, FunctionType) or file is None or not Path(file).is_file():
        return None
    if getattr(module, function.__qualname__, None) is not function:
        return None
    return f"{_settled(function, _DEPTH)} {_file_digest(Path(file))}"


def _settled(value: Any, depth: int) -> str:
    """``value`` in words that are the same in every process: plain values whole, else the class and what it holds."""
    if isinstance(value, _PLAIN):
        return repr(value)
    kind = value if isinstance(value, type) else type(value)
    name = f"{kind.__module__}.{kind.__qualname__}"
    if depth == 0 or isinstance(value, torch.Tensor | nn.Module | type):
        return name
    if isinstance(value, FunctionType):
        return f"{value.__module__}.{value.__qualname__} {_code_digest(value.__code__)}"
    if isinstance(value, list | tuple):
        return f"{name}[{', '.join(_settled(each, depth - 1) for each in value)}]"
    if isinstance(value, set | frozenset):
        return f"{name}[{', '.join(sorted(_settled(each, depth - 1) for each in value))}]"
    held = value if isinstance(value, Mapping) else getattr(value, "__dict__", {})
    pairs = (f"{_settled(key, depth - 1)}: {_settled(each, depth - 1)}" for key, each in held.items())
    return f"{name}{{{', '.join(sorted(pairs))}}}"


def _class_digest(kind: type) -> str:
    """The code of a class and of those that it stands on."""
    digest = hashlib.sha256(f"{kind.__module__}.{kind.__qualname__}".encode())
    for each in kind.__mro__:
        if each in (object, nn.Module):
            continue
        for name, value in sorted(vars(each).items()):
            function = getattr(value, "__func__", value)
            code = getattr(function, "__code__", None)
            if isinstance(code, CodeType):
                digest.update(f"{name}\0{_code_digest(code)}".encode())
            elif isinstance(value, _PLAIN) and not name.startswith("__"):
                digest.update(f"{name}\0{value!r}".encode())
    return digest.hexdigest()


def _code_digest(code: CodeType) -> str:
    digest = hashlib.sha256(code.co_code)
    for constant in code.co_consts:
        digest.update((_code_digest(constant) if isinstance(constant, CodeType) else _settled(constant, 2)).encode())
    digest.update(repr((code.co_names, code.co_varnames, code.co_freevars)).encode())
    return digest.hexdigest()


def _own_sources() -> Iterator[Path]:
    """Source files of imported modules that belong neither to Python, nor to an installed package, nor to covscan."""
    paths = sysconfig.get_paths()
    installed = [Path(paths[name]).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    installed.append(Path(__file__).resolve().parent.parent)
    files = {Path(file) for module in [*sys.modules.values()] if (file := getattr(module, "__file__", None))}
    for path in sorted(files):
        # Most of thousands are told by their names: resolving each took two thirds of a small checkpoint's time.
        if path.suffix != ".py" or {"site-packages", "dist-packages"} & set(path.parts) or _within(path, installed):
            continue
        if not _within(path.resolve(), installed) and path.is_file():
            yield path


def _within(path: Path, folders: list[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
