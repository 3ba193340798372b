"""What computes: releases of covscan and of the libraries, and covscan's own code, as parts of a key."""

import hashlib
import platform
import sys
from functools import cache
from importlib import metadata
from pathlib import Path

from covscan.version import __version__

_LIBRARIES = ("numpy", "onnx", "onnxruntime", "safetensors", "torch", "transformers")


@cache
def versions(code: tuple[str, ...]) -> tuple[str, ...]:
    """Releases of all that computes, and a digest of the packages ``code``, which may change between releases."""
    found = [f"covscan {__version__} {_own_code(code)}", f"python {sys.version}", platform.machine()]
    for name in _LIBRARIES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            found.append(f"no {name}")
    return tuple(found)


def _own_code(code: tuple[str, ...]) -> str:
    root = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for path in sorted(path for part in code for path in (root / part).rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
