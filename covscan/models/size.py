"""Whether an ONNX model fits into memory together with the files beside it, before any of it is run."""

from covscan.memory import require
from covscan.models.formats import Saved
from covscan.models.series import Shelf


def check_size(shelf: Shelf) -> None:
    """Raise UsageError, with the size it needs, where the largest ONNX model exceeds the memory that is free.

    Its external data are mapped, and then copied by ONNX Runtime. Readers of other formats look for themselves.
    """
    if shelf.format == "onnx":
        largest = max((entry.saved for entry in shelf.entries.values()), key=_on_disk)
        require(_on_disk(largest), repr(str(largest.path)))


def _on_disk(saved: Saved) -> int:
    return sum(path.stat().st_size for path in {*saved.files, *saved.weights} if path.is_file())
