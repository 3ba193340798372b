"""What a zip archive says that it holds, looked at before anything of it is unpacked."""

import zipfile
from pathlib import Path

from covscan.errors import UsageError
from covscan.memory import FACTOR, ROOM, require, size_text


def check_archive(path: Path, *, in_memory: bool = False) -> None:
    """Raise UsageError where the members of the archive at ``path`` cannot be what PyTorch wrote.

    PyTorch stores members as they are. So together they are as large as the file, unless some were packed (a zip bomb)
    or lie on top of each other. ``in_memory`` says that they are read whole, and that there must be room for them.
    Damage to the archive is left to its reader, which says more about it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return
    there = path.stat().st_size
    unpacked, packed = sum(each.file_size for each in members), sum(each.compress_size for each in members)
    if unpacked > ROOM + FACTOR * there or packed > there:
        what = "its members lie on top of each other" if packed > there else "a zip bomb, or damaged"
        raise UsageError(
            "too-large",
            f"{str(path)!r} needs {size_text(unpacked)} unpacked",
            found=f"an archive of {size_text(there)}; {what}",
            hint="save the model again; PyTorch does not pack what it saves",
        )
    if in_memory:
        require(unpacked, f"{str(path)!r}", hint="use a machine with more memory, or save the weights as safetensors")
