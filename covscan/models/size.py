"""Whether a network that comes with its architecture fits into memory, before anything of it is loaded."""

from covscan.memory import require
from covscan.models.formats import TITLES, Saved
from covscan.models.series import Shelf

_WHOLE = ("torchscript", "exported", "onnx")
"""Formats whose files hold the network and nothing else; others may hold what an optimizer keeps, or are only mapped
into a network that is built elsewhere (see ``room.py``)."""


def check_size(shelf: Shelf) -> None:
    """Raise UsageError, with the size it needs, where the largest checkpoint exceeds the memory that is free."""
    if shelf.format in _WHOLE:
        largest = max((entry.saved for entry in shelf.entries.values()), key=_on_disk)
        require(_on_disk(largest), f"the network in {str(largest.path)!r} ({TITLES[shelf.format]})")


def _on_disk(saved: Saved) -> int:
    return sum(path.stat().st_size for path in {*saved.files, *saved.weights} if path.is_file())
