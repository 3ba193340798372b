"""Whether a network fits into memory, before anything of it is loaded."""

from covscan.errors import UsageError
from covscan.memory import free, require
from covscan.models.formats import TITLES, Saved
from covscan.models.series import Shelf
from covscan.registry import resolve

_WITH_MORE = ("torch", "safetensors", "huggingface")
"""Formats whose files may hold more than weights, such as what an optimizer keeps, that is mapped and never loaded."""


def check_size(shelf: Shelf, *, trust: bool) -> None:
    """Raise UsageError, with the size it needs, where the weights of the largest checkpoint exceed the free memory."""
    largest = max((entry.saved for entry in shelf.entries.values()), key=_on_disk)
    if _on_disk(largest) <= free():
        return
    needed = _weights(largest, trust=trust) if shelf.format in _WITH_MORE else _on_disk(largest)
    require(
        needed,
        f"the network in {str(largest.path)!r} ({TITLES[shelf.format]})",
        hint="use a machine with more memory, or save the weights in half precision",
    )


def _on_disk(saved: Saved) -> int:
    return sum(path.stat().st_size for path in {*saved.files, *saved.weights} if path.is_file())


def _weights(saved: Saved, *, trust: bool) -> int:
    """Bytes of the weights alone; of all files where they cannot be told apart."""
    try:
        content = resolve("covscan.models.contents:read")(saved, trust=trust)
    except UsageError:  # which is told where the checkpoint is opened
        return 0
    found = resolve("covscan.models.nesting:main_candidate")(content)
    if found is None:
        return _on_disk(saved)
    return sum(tensor.numel() * tensor.element_size() for tensor in found.tensors.values())
