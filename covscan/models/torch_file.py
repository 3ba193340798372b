"""Read what ``torch.save`` wrote, without running any code from the file unless the user trusts it."""

import contextlib
import pickle
import pickletools
import re
import sys
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.serialization import get_unsafe_globals_in_checkpoint

from covscan.containers import check_containers
from covscan.errors import UsageError
from covscan.memory import require
from covscan.models.archives import check_archive
from covscan.models.detection import is_legacy, truncated
from covscan.models.formats import Saved
from covscan.models.room import unmapped
from covscan.models.steps import counters_in, trainer_state

_BLOCKED = re.compile(r"(?:GLOBAL|Unsupported class) ([A-Za-z_][\w.]*)")
_DAMAGED = re.compile(
    r"central directory|zip archive|invalid header|unexpected EOF|file size|storage has wrong", re.IGNORECASE
)


_PARTS = ("DTensor", "ShardedTensor")
_SHARDING = tuple(f"torch.distributed.{part}" for part in ("tensor.", "_tensor.", "_shard.", "device_mesh."))
"""Modules whose classes say how weights are spread over processes."""


def read_torch(saved: Saved, *, trust: bool = False) -> Any:
    """Whatever was saved, on the CPU, its tensors memory-mapped where the file is a zip archive.

    The shards of a sharded checkpoint are put together into one mapping. Raises UsageError.
    """
    if len(saved.weights) == 1:
        return _load(saved.weights[0], trust)
    whole: dict[str, Any] = {}
    for shard in saved.weights:
        part = _load(shard, trust)
        if not isinstance(part, Mapping):
            raise UsageError("no-weights", f"the shard {str(shard)!r} holds no weights", found=type(part).__name__)
        whole.update(part)
    return whole


def stated_steps(saved: Saved, *, trust: bool = False) -> dict[str, int]:
    """The training counters that the checkpoint states about itself (``global_step``, ``epoch``, …)."""
    beside = trainer_state(saved.path)
    content = read_torch(saved, trust=trust)
    return beside | (counters_in(content) if isinstance(content, Mapping) else {})


def _load(path: Path, trust: bool) -> Any:
    archive = zipfile.is_zipfile(path)
    if archive:
        check_archive(path)
    else:
        require(path.stat().st_size, repr(str(path)), hint="save it again: files of newer PyTorch stay on disk")
    try:
        return _whole(path, _unpickle(path, archive, weights_only=True))
    except (UsageError, MemoryError):
        raise
    except Exception as error:
        if not trust or not isinstance(error, pickle.UnpicklingError):
            raise unmapped(path, error) or _explain(path, error, archive=archive) from error
    try:
        with _importable(path):
            content = _unpickle(path, archive, weights_only=False)
    except (Exception, SystemExit) as error:
        raise _explain_trusted(path, error) from error
    return _whole(path, content)


def _whole(path: Path, content: Any) -> Any:
    """``content`` itself. Raises UsageError where it is what one process of a distributed run has of the weights."""
    part = next((kind for kind in _kinds(content) if kind in _PARTS), None)
    if part is not None:
        raise _sharded(path, f"a {part}")
    return content


def _kinds(content: Any) -> Iterator[str]:
    """Names of the classes of what stands in nested mappings."""
    for value in content.values() if isinstance(content, Mapping) else ():
        if isinstance(value, Mapping):
            yield from _kinds(value)
        else:
            yield type(value).__name__


def _sharded(path: Path, found: str) -> UsageError:
    return UsageError(
        "sharded-weights",
        f"{str(path)!r} was saved by one process of a distributed run and holds its part of the weights",
        found=found,
        hint="save the whole: get_model_state_dict(model, options=StateDictOptions(full_state_dict=True))",
    )


def _unpickle(path: Path, archive: bool, *, weights_only: bool) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about how the file was written, which its reader cannot change
        content = torch.load(str(path), map_location="cpu", weights_only=weights_only, mmap=archive)
    check_containers(content)
    return content


@contextlib.contextmanager
def _importable(path: Path) -> Iterator[None]:
    """Let a pickle find the classes it names in the current folder or beside the file."""
    before = list(sys.path)
    sys.path[:0] = [str(Path.cwd()), str(path.resolve().parent)]
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        sys.path[:] = before


def _explain(path: Path, error: Exception, *, archive: bool) -> UsageError:
    text = _first_line(error)
    if not archive and not is_legacy(path):
        return UsageError(
            "unreadable-model",
            f"{str(path)!r} cannot be read as a PyTorch checkpoint",
            found="a plain pickle, which torch.save did not write",
            hint="save the weights with torch.save(model.state_dict(), path) or as safetensors",
        )
    if isinstance(error, EOFError) or (not isinstance(error, pickle.UnpicklingError) and _DAMAGED.search(text)):
        return truncated(path, text[:160])
    blocked = _blocked_globals(path, str(error), archive)
    if blocked and all(name.startswith(_SHARDING) for name in blocked):
        return _sharded(path, f"it needs {_listed(blocked)}")
    if blocked and _holds_module(path, archive):
        return UsageError(
            "whole-module",
            f"{str(path)!r} holds a whole pickled module, and opening it would run code from the file",
            found=f"it needs {_listed(blocked)}",
            hint="save model.state_dict() and add --model package.module:build; "
            "or --trust, only for files you made yourself",
        )
    if blocked:
        return UsageError(
            "blocked-global",
            f"{str(path)!r} asks to import {_listed(blocked)}, which could run code from the file",
            hint="save tensors and plain numbers only; or --trust, only for files you made yourself",
        )
    return UsageError(
        "unreadable-model",
        f"{str(path)!r} cannot be read as a PyTorch checkpoint",
        found=f"{type(error).__name__}: {text[:160]}",
        hint="save the weights with torch.save(model.state_dict(), path) or as safetensors",
    )


def _explain_trusted(path: Path, error: BaseException) -> UsageError:
    missing_class = isinstance(error, (AttributeError, ImportError))
    return UsageError(
        "unreadable-model",
        f"{str(path)!r} cannot be unpickled",
        found=f"{type(error).__name__}: {_first_line(error)[:160]}",
        hint="the code that defined its classes must be importable from the current folder"
        if missing_class
        else "save the weights with torch.save(model.state_dict(), path) or as safetensors",
    )


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__


def _blocked_globals(path: Path, message: str, archive: bool) -> list[str]:
    if archive:
        with contextlib.suppress(Exception):  # a damaged pickle: what the loader's message names must do
            return sorted(set(get_unsafe_globals_in_checkpoint(str(path))))
    return sorted(set(_BLOCKED.findall(message)))


def _holds_module(path: Path, archive: bool) -> bool:
    """Whether the pickle spells out the insides of an ``nn.Module``; reads the opcodes and runs none."""
    needed = {"_modules", "_parameters", "_buffers"}
    try:
        if archive:
            with zipfile.ZipFile(path) as file:
                pickled = [file.read(name) for name in file.namelist() if name.endswith("data.pkl")]
            return any(needed <= _strings(each) for each in pickled)
        with path.open("rb") as stream:
            return any(needed <= _strings(stream) for _ in range(5))
    except (ValueError, zipfile.BadZipFile):  # cut off before its end, or damaged
        return False


def _strings(source: Any) -> set[str]:
    return {argument for _, argument, _ in pickletools.genops(source) if isinstance(argument, str)}


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(repr(name) for name in names[:3]) + more
