"""Turn one file or one index of shards into a saved checkpoint."""

import json
import re
from pathlib import Path

from covscan.errors import UsageError
from covscan.memory import read_whole
from covscan.models.detection import detect, not_a_model
from covscan.models.formats import Format, Saved

INDEX_SUFFIX = ".index.json"
HUGGINGFACE_WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
_LARGEST_INDEX = 1 << 28  # bytes; a line for each of two million tensors
SHARD = re.compile(r"-(\d+)-of-(\d+)(?=\.)")


def saved_file(path: Path, *, listed: bool = False) -> Saved:
    """The checkpoint that the file at ``path`` is. Raises UsageError where it is none."""
    if not path.is_file():
        raise UsageError("unreadable-file", f"{str(path)!r} is no regular file", hint="save it to disk first")
    if path.name.endswith(INDEX_SUFFIX):
        return saved_index(path, listed=listed)
    format_name = detect(path)
    if format_name is None:
        raise not_a_model(path)
    if SHARD.search(path.name) is not None and format_name in ("torch", "safetensors"):
        raise UsageError(
            "single-shard",
            f"{str(path)!r} is one shard of a checkpoint",
            hint=f"give the folder {str(path.parent)!r} or the index file ({INDEX_SUFFIX}) beside it",
        )
    return Saved(path, format_name, (path,), (path,), listed)


def saved_index(path: Path, *, listed: bool = False) -> Saved:
    """The sharded checkpoint that an index file describes. Raises UsageError where a shard is missing."""
    shards = shards_of_index(path)
    missing = [shard for shard in shards if not shard.is_file()]
    if missing or not shards:
        raise UsageError(
            "missing-shard",
            f"{str(path)!r} names {len(shards)} shards, {len(missing)} of which do not exist",
            found=f"the first is {missing[0].name!r}" if missing else "",
            hint="copy the shards beside the index",
        )
    return Saved(path, _format_of_shards(shards), (path, *shards), shards, listed)


def saved_shards(shards: list[Path]) -> Saved:
    """The checkpoint that shards make up which lie in a folder without an index. Raises UsageError."""
    numbers = [SHARD.search(shard.name) for shard in shards]
    total = max(int(number[2]) for number in numbers if number is not None)
    if len(shards) != total:
        raise UsageError(
            "missing-shard",
            f"{str(shards[0].parent)!r} holds {len(shards)} of {total} shards",
            found=f"the first is {shards[0].name!r}",
        )
    return Saved(shards[0].parent, _format_of_shards(tuple(shards)), tuple(shards), tuple(shards), listed=True)


def shards_of_index(path: Path) -> tuple[Path, ...]:
    """The shards that an index file names, sorted, whether they exist or not. Raises UsageError."""
    try:
        content = json.loads(read_whole(path, _LARGEST_INDEX))
        names = sorted(set(content["weight_map"].values()))
        outside = next((name for name in names if Path(name).name != name), None)
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise UsageError(
            "unreadable-index",
            f"{str(path)!r} is no index of shards",
            found=f"{type(error).__name__}: {error}",
            hint="an index is JSON with a 'weight_map' of tensor name to file name",
        ) from error
    if outside is not None:
        raise UsageError(
            "unreadable-index",
            f"{str(path)!r} names a shard outside of its folder",
            found=outside,
            hint="shards lie beside the index",
        )
    return tuple(path.parent / name for name in names)


def _format_of_shards(shards: tuple[Path, ...]) -> Format:
    format_name = detect(shards[0])
    if format_name not in ("torch", "safetensors"):
        raise not_a_model(shards[0])
    return format_name
