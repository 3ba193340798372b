"""Sample data from ``.npy`` and ``.npz``; never unpickles."""

import math
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np

from covscan.config.settings import Settings
from covscan.data.arrays import Array
from covscan.data.contents import Contents, of_arrays
from covscan.data.mapped import MappedArray
from covscan.errors import UsageError
from covscan.memory import require

_LOCAL_HEADER = struct.Struct("<4s5H3L2H")


def read_npy(path: Path, settings: Settings) -> Contents:
    """The one array of the file, mapped from disk, without a name."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (
        ValueError,
        OSError,
        EOFError,
        OverflowError,
        TypeError,
        SyntaxError,
        tokenize.TokenError,
        RecursionError,
    ) as error:
        raise _unreadable(path, error) from error
    if isinstance(array, np.lib.npyio.NpzFile):
        array.close()
        raise UsageError("unreadable-data", f"{str(path)!r} is an archive of arrays", hint="rename it to .npz")
    order: Literal["C", "F"] = "C" if array.flags.c_contiguous else "F"
    mapped = MappedArray(path, array.dtype, array.shape, array.offset, order) if _is_plain(array) else array
    return of_arrays(mapped, settings, f"{path.name}: {_text(array)}")


def read_npz(path: Path, settings: Settings) -> Contents:
    """The arrays of the archive by name, mapped from disk where the archive is not compressed."""
    arrays: dict[str, Array | MappedArray] = {}
    name = ""
    needed = 0
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                name = member.filename.removesuffix(".npy")
                packed = member.compress_type != zipfile.ZIP_STORED
                needed += member.file_size if packed else 0
                require(needed, f"{str(path)!r} unpacked", hint="save it with numpy.savez, which stays on disk")
                arrays[name] = _member(path, archive, member)
    except (ValueError, OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise _unreadable(path, error, name) from error
    shown = ", ".join(f"{name} {_text(array)}" for name, array in arrays.items())
    return of_arrays(arrays, settings, f"{path.name}: {shown}")


def _member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Array | MappedArray:
    """The array of one member: mapped if it is stored as it is, else read whole."""
    with archive.open(member) as stream:
        if member.compress_type != zipfile.ZIP_STORED:
            return _whole(stream)
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
        elif version == (2, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_2_0(stream)
        else:
            stream.seek(0)
            return _whole(stream)
        start = stream.tell()
    if any(size < 0 for size in shape):
        raise ValueError(f"an array of shape {shape}")
    if dtype.kind not in "biufc" or shape == ():
        with archive.open(member) as stream:
            return _whole(stream)
    if start + dtype.itemsize * math.prod(shape) > member.file_size:
        raise EOFError("the array is cut short")
    with path.open("rb") as file:
        file.seek(member.header_offset)
        header = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    offset = member.header_offset + _LOCAL_HEADER.size + header[-2] + header[-1] + start
    return MappedArray(path, dtype, shape, offset, "F" if fortran else "C")


def _is_plain(array: Array) -> bool:
    return isinstance(array, np.memmap) and array.ndim > 0 and array.dtype.kind in "biufc"


def _whole(stream: Any) -> Array:
    array: Array = np.lib.format.read_array(stream, allow_pickle=False)
    return array


def _text(array: Array | MappedArray) -> str:
    return f"{array.dtype} {array.shape}"


def _unreadable(path: Path, error: Exception, name: str = "") -> UsageError:
    where = f"{name!r} in {str(path)!r}" if name else f"{str(path)!r}"
    pickled = any(word in str(error) for word in ("pickle", "Object arrays", "Python objects"))
    return UsageError(
        "unreadable-data",
        f"{where} cannot be read as numpy data",
        found="Python objects, which are never unpickled" if pickled else str(error) or type(error).__name__,
        hint="save arrays of numbers with numpy.savez" if pickled else "the file may be cut short: write it again",
    )
