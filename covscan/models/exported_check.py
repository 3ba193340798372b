"""Whether a ``.pt2`` archive does anything but compute, read before PyTorch reads it.

``torch.export.load`` trusts what it reads: it unpickles what is no plain weights, evaluates expressions of sizes as
Python, imports modules that a tree of inputs names, looks any attribute of ``torch`` up as a node's target, writes
names into source that it executes, and opens compiled libraries. So everything of an archive that can reach one of
these has to be of a known form here; the tensors are then read with ``weights_only`` (``weights_alone``).
"""

import contextlib
import json
import os
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from covscan.models.exported_expressions import is_size, is_tree
from covscan.models.operators import is_computing
from covscan.models.script_check import refused

_WHAT = "torch.export program"
_MEMBERS = re.compile(
    r"models/[\w.-]+\.json|data/weights/(?:weight_\d+|[\w.-]+_config\.json|[\w-]+\.pt)|data/sample_inputs/[\w.-]+\.pt"
    r"|data/constants/(?:tensor_\d+|[\w.-]+_config\.json|[\w-]+\.pt)|extra/[^\0]*|archive_format|archive_version"
    r"|byteorder|version|\.data/[\w.-]+"
)
_OLD_MEMBERS = re.compile(r"serialized_\w+\.(?:json|pt)|version|extra_files/[^\0]*")
_PAYLOAD = re.compile(r"(?:weight|tensor)_\d+")
_NAME = re.compile(r"[\w.+@\-]*")
_UNUSED = frozenset({"metadata", "guards_code"})
"""What the exporter noted for people, and conditions on inputs, which are dropped when the program is opened."""
_WORDS = frozenset({"as_string", "as_strings"})
_TARGET = re.compile(r"torch\.ops\.(\w+)\.(\w+)\.(\w+)")
_FUNCTIONS = {
    "_operator": "add sub mul truediv floordiv mod pow neg pos abs eq ne lt le gt ge and_ or_ xor not_ lshift rshift"
    " getitem",
    "math": "ceil floor trunc sqrt pow exp log log2 sin cos tan asin acos atan sinh cosh tanh fabs isnan isinf",
    "torch": "sym_int sym_float sym_max sym_min sym_not sym_ite sym_sum sym_fresh_size sym_sqrt _sym_sqrt _sym_cos"
    " _sym_cosh _sym_sin _sym_sinh _sym_tan _sym_tanh _sym_asin _sym_acos _sym_atan _sym_log2",
    "torch.ops.higher_order": "cond while_loop map_impl scan associative_scan wrap_with_set_grad_enabled"
    " wrap_with_autocast",
}
_KNOWN = frozenset(f"{module}.{name}" for module, names in _FUNCTIONS.items() for name in names.split())


def check_exported(path: Path) -> None:
    """Raise UsageError where the archive at ``path`` holds what could run code, or what this does not know."""
    with contextlib.suppress(RuntimeError):  # not of this form, or damaged
        reader = torch._C.PyTorchFileReader(str(path))
        _check_members(path, dict.fromkeys(reader.get_all_records(), reader.get_record), _MEMBERS)
    with contextlib.suppress(zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
        if "version" in archive.namelist():  # an older form, to which PyTorch turns where it fails with the other
            _check_members(path, dict.fromkeys(archive.namelist(), archive.read), _OLD_MEMBERS)


@contextlib.contextmanager
def weights_alone() -> Iterator[None]:
    """Make every ``torch.load`` inside read weights only, also where it is told otherwise."""
    before = {
        name: os.environ.get(name) for name in ("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD")
    }
    os.environ.pop("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", None)
    os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _check_members(path: Path, members: dict[str, Any], known: re.Pattern[str]) -> None:
    for name, read in members.items():
        if not known.fullmatch(name):
            raise refused(path, f"a member named {name[:80]}", _WHAT)
        if not name.endswith(".json"):
            continue
        try:
            content = json.loads(read(name))
        except (ValueError, RecursionError):
            if name in {"serialized_state_dict.json", "serialized_constants.json"}:
                continue  # tensors, for all their name
            raise refused(path, f"{name}, which is no JSON", _WHAT) from None
        culprit = next(_reaching_out(content, ""), None)
        if culprit is not None:
            raise refused(path, culprit[:120], _WHAT)


def _reaching_out(value: Any, key: str) -> Iterator[str]:
    """What in the JSON under ``key`` is not known to be harmless."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if not (_NAME.fullmatch(name) or is_size(name)):
                yield f"the name {name!r}"
            if name not in _UNUSED:
                yield from _reaching_out(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _reaching_out(inner, key)
    elif isinstance(value, str) and not _is_harmless(value, key):
        yield value


def _is_harmless(text: str, key: str) -> bool:
    if key in ("target", "as_operator"):
        return _is_known_operator(text)
    if key == "expr_str":
        return is_size(text)
    if key in ("in_spec", "out_spec"):
        return is_tree(text)
    if key == "path_name":
        return _PAYLOAD.fullmatch(text) is not None
    return key in _WORDS or _NAME.fullmatch(text) is not None


def _is_known_operator(target: str) -> bool:
    match = _TARGET.fullmatch(target)
    if match is None:
        return target in _KNOWN
    if not is_computing(f"{match[1]}::{match[2]}"):
        return False
    found: Any = torch.ops
    for part in match.groups():
        found = getattr(found, part, None)
    return found is None or isinstance(found, torch._ops.OpOverload)
