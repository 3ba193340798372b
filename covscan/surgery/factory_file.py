"""The Python file that ``insert`` writes: a factory that builds the user's network with the normalization in it."""

import ast
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from covscan.surgery.code import helpers, wrapped_place
from covscan.surgery.types import Insertion
from covscan.version import __version__

MARK = "put in by covscan"
"""Stands in the first line of every file that is written, by which it is known again."""

_TENSORS, _WRAPPERS, _LAYERS = "covscan.capture.tensors", "covscan.surgery.wrappers", "covscan.surgery.layers"


@dataclass(frozen=True, slots=True)
class Factory:
    """Where the user's factory is.

    ``file`` is the path of a module of its own, relative to the file that is written, or None where ``module`` is
    imported by name, with ``folder`` (relative, None: nothing) on the path. ``name`` may be dotted. ``given`` is how
    the user named it.
    """

    given: str
    name: str
    file: str | None = None
    module: str | None = None
    folder: str | None = None


def factory_file(
    factory: Factory, arguments: Mapping[str, Any], insertion: Insertion, layer: str, places: Sequence[str]
) -> str:
    """The whole file. ``layer`` is the code of the layer, ``places`` are all names of the module that is wrapped."""
    wrapper = "Behind" if insertion.position == "after" else "InFront"
    definitions = [
        *((_LAYERS, name) for name in helpers(layer)),
        *((_WRAPPERS, name) for name in ("Wrapped", wrapper, "_nothing", "exchanged")),
        *((_TENSORS, name) for name in ("first_tensor", "tensors_in")),
    ]
    head = [_head(factory, insertion, places), _IMPORTS, _constants(factory, arguments, insertion)]
    body = [
        _build(wrapper, layer),
        _FROM_FILE if factory.file is not None else _FROM_MODULE,
        *(_definition(module, name) for module, name in definitions),
    ]
    whole = "\n\n".join(part.strip("\n") for part in head), *(part.strip("\n") for part in body)
    return "\n\n\n".join(whole) + "\n"


def renamed(places: Sequence[str], position: str) -> list[tuple[str, str]]:
    """How keys of the state_dict begin before and after, for each name of the module."""
    return [(f"{place}.", f"{place}.{wrapped_place(position)}.") for place in places]


def original_key(key: str, places: Sequence[str], position: str) -> str | None:
    """The key in the user's checkpoint of a key of the written one; None for those of the normalization."""
    for old, new in renamed(places, position):
        if key.startswith(new):
            return old + key.removeprefix(new)
        if key.startswith(old):
            return None
    return key


def _head(factory: Factory, insertion: Insertion, places: Sequence[str]) -> str:
    own = 1 - wrapped_place(insertion.position)
    keys = "\n".join(f"    {old}*  ->  {new}*" for old, new in renamed(places, insertion.position))
    where = f"{factory.file}, a path relative to this file" if factory.file is not None else f"module {factory.module}"
    text = (
        f"{insertion}, {MARK} {__version__}.\n\n"
        f"{_EXACT if insertion.norm.startswith('BatchNorm') else _GATED}\n"
        f"The network itself is still built by {factory.name} in {where}.\n\n"
        f"Keys of the state_dict that changed:\n\n{keys}\n\n"
        f"The keys of the normalization begin with {places[0]}.{own}."
    )
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"""{escaped}\n"""'


def _constants(factory: Factory, arguments: Mapping[str, Any], insertion: Insertion) -> str:
    rows = [f"SITE = {insertion.site!r}", f"ARGUMENTS: dict[str, Any] = {dict(arguments)!r}"]
    if factory.file is not None:
        rows.append(f"FILE = {factory.file!r}")
    else:
        rows += [f"MODULE = {factory.module!r}", f"FOLDER: str | None = {factory.folder!r}"]
    return "\n".join([*rows, f"NAME = {factory.name!r}"])


def _build(wrapper: str, layer: str) -> str:
    return f'''
def build(**arguments: Any) -> nn.Module:
    """The network with the normalization; the arguments are those of its own factory."""
    model = network(**{{**ARGUMENTS, **arguments}})
    module = model.get_submodule(SITE)
    norm = {layer}
    wrapped = {wrapper}({"module, norm" if wrapper == "Behind" else "norm, module"})
    for name, found in list(model.named_modules(remove_duplicate=False)):
        if found is module:
            model.set_submodule(name, wrapped)
    return model
'''


def _definition(module: str, name: str) -> str:
    """The source of a function or class of covscan's own, read without importing it."""
    found = importlib.util.find_spec(module)
    loader: Any = found.loader if found is not None else None
    source = str(loader.get_source(module))
    node = next(each for each in ast.parse(source).body if getattr(each, "name", None) == name)
    return str(ast.get_source_segment(source, node))


_EXACT = (
    "Its running statistics are those of the sample data, and its gain and bias undo them: in evaluation mode the\n"
    "network computes what it computed before. In training mode each batch is normalized by its own statistics."
)
_GATED = (
    "A gate mixes it in, x + gate * (norm(x) - x), which is 0 for every channel at first: the network computes what\n"
    "it computed before, until training opens the gate."
)

_IMPORTS = """
import copy
import dataclasses
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
"""

_REACH = """    for name in NAME.split("."):
        found = getattr(found, name)
    return copy.deepcopy(found) if isinstance(found, nn.Module) else found(**arguments)
"""

_FROM_FILE = (
    '''
def network(**arguments: Any) -> nn.Module:
    """The network without the normalization."""
    path = (Path(__file__).resolve().parent / FILE).resolve()
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))  # for the modules beside it
    specification = importlib.util.spec_from_file_location(f"{path.stem}_without_norm", path)
    assert specification is not None
    assert specification.loader is not None
    found: Any = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = found
    specification.loader.exec_module(found)
'''
    + _REACH
)

_FROM_MODULE = (
    '''
def network(**arguments: Any) -> nn.Module:
    """The network without the normalization."""
    folder = None if FOLDER is None else str((Path(__file__).resolve().parent / FOLDER).resolve())
    if folder is not None and folder not in sys.path:
        sys.path.insert(0, folder)
    found: Any = importlib.import_module(MODULE)
'''
    + _REACH
)
