"""Tell the format of a file by its content first, and by its suffix where the content does not say."""

import zipfile
from pathlib import Path, PurePosixPath

from covscan.errors import UsageError
from covscan.models.formats import Format

_TORCH_MAGIC = b"l\xfc\x9cF\xf9 j\xa8P\x19"  # the number that torch.save wrote first before it wrote zip archives
_PICKLE_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt", ".tar", ".chkpt")
_ONNX_SECOND_FIELDS = b"\x12\x1a\x22\x2a\x32\x3a\x42"  # protobuf tags 2 … 8, each a length-delimited field
_LARGEST_HEADER = 100_000_000  # safetensors' own limit

_STRANGERS = (
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself", "fetch it with: git lfs pull"),
    (b"\x89HDF", "an HDF5 file (Keras)", "export the model to ONNX"),
    (b"GGUF", "a GGUF file", "use the original PyTorch or safetensors checkpoint"),
    (b"\x1f\x8b", "a gzip archive", "unpack it first"),
    (b"<!DOCTYPE", "a web page", "download the file again; this is probably an error page"),
    (b"<html", "a web page", "download the file again; this is probably an error page"),
    (b"\x93NUMPY", "a NumPy array", "sample data goes to --data"),
    (b"PK", "a zip archive that holds no model", "sample data (.npz) goes to --data"),
    (
        b"\x80",
        "a plain pickle",
        "save the weights with torch.save(model.state_dict(), path) or as safetensors",
    ),
)


def detect(path: Path) -> Format | None:
    """The format of the file at ``path``, or None where it is no model.

    Raises UsageError where the file cannot be read or is a damaged archive.
    """
    head = _head(path)
    if _has_safetensors_header(head):
        # First of all: the length that it starts with may be the signature of something else, such as a pickle's.
        return "safetensors"
    if head.startswith(b"PK"):
        return _inside_zip(path)
    if head.startswith(b"\x80"):
        known = _TORCH_MAGIC in head or path.suffix.lower() in _PICKLE_SUFFIXES
        return "torch" if known else None
    if _is_safetensors(head, path):
        return "safetensors"
    return "onnx" if _is_onnx(head, path) else None


def is_legacy(path: Path) -> bool:
    """Whether ``torch.save`` wrote the file in the format that it used before zip archives."""
    return _TORCH_MAGIC in _head(path)


def not_a_model(path: Path) -> UsageError:
    """The error for a file in which ``detect`` found no model."""
    head = _head(path)
    if not head:
        return UsageError(
            "empty-file",
            f"{str(path)!r} is empty",
            hint="was it being written, or did the disk run full? Save the checkpoint again",
        )
    for signature, found, hint in _STRANGERS:
        if head.lower().startswith(signature.lower()):
            return UsageError("unreadable-model", f"{str(path)!r} is no checkpoint", found=found, hint=hint)
    return UsageError(
        "unreadable-model",
        f"{str(path)!r} is no checkpoint that covscan knows",
        found=f"a file that starts with {head[:8]!r}",
        hint="known are .pt/.pth/.bin/.ckpt, safetensors, TorchScript, .pt2, ONNX, Hugging Face directories",
    )


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(64)
    except OSError as error:
        raise UsageError("unreadable-file", f"{str(path)!r} cannot be read", found=error.strerror or "") from error


def _inside_zip(path: Path) -> Format | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [PurePosixPath(name) for name in archive.namelist()]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise truncated(path, str(error)) from error
    last = {name.name for name in names}
    if "archive_format" in last or "serialized_exported_program.json" in last:
        return "exported"
    if "constants.pkl" in last:
        return "torchscript"
    return "torch" if "data.pkl" in last else None


def truncated(path: Path, reason: str) -> UsageError:
    """The error for a file that ends too early or is damaged."""
    return UsageError(
        "truncated-file",
        f"{str(path)!r} is damaged or cut off",
        found=f"{path.stat().st_size:,} bytes; {reason}",
        hint="was the run or a copy interrupted? Leave the file out, or copy it again",
    )


def _is_safetensors(head: bytes, path: Path) -> bool:
    return path.suffix.lower() == ".safetensors" and len(head) >= 8 and not _is_stranger(head)


def _has_safetensors_header(head: bytes) -> bool:
    length = int.from_bytes(head[:8], "little")
    return head[8:10] == b'{"' and 2 <= length <= _LARGEST_HEADER


def _is_onnx(head: bytes, path: Path) -> bool:
    if path.suffix.lower() == ".onnx":
        return bool(head) and not _is_stranger(head)
    # A ModelProto starts with ir_version, field 1, which is a small number.
    return len(head) > 3 and head[0] == 8 and head[1] < 32 and head[2] in _ONNX_SECOND_FIELDS


def _is_stranger(head: bytes) -> bool:
    return any(head.lower().startswith(signature.lower()) for signature, _, _ in _STRANGERS)
