"""Where the cache lies and how big it may get."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from platformdirs import user_cache_path

from covscan.errors import UsageError

FOLDER, LIMIT = "COVSCAN_CACHE_DIR", "COVSCAN_CACHE_SIZE"
DEFAULT_LIMIT = 4 * 2**30
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)


def cache_folder(environment: Mapping[str, str] | None = None) -> Path:
    """``COVSCAN_CACHE_DIR``, else the user's folder for caches on this system."""
    named = (os.environ if environment is None else environment).get(FOLDER)
    return Path(named).expanduser() if named else user_cache_path("covscan", appauthor=False)


def cache_limit(environment: Mapping[str, str] | None = None) -> int:
    """Bytes that the cache may hold: ``COVSCAN_CACHE_SIZE``, else 4 GiB. Raises UsageError."""
    named = (os.environ if environment is None else environment).get(LIMIT)
    return DEFAULT_LIMIT if not named else parse_size(named)


def parse_size(text: str) -> int:
    """Bytes from ``500M``, ``10 GiB`` or ``1048576``; powers of 1024. Raises UsageError."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError(
            "bad-cache-size", f"{LIMIT} is not a size", found=repr(text), hint="write it as 500M, 10G or in bytes"
        )
    return int(float(match[1]) * 1024 ** " KMGT".index(match[2].upper() or " "))


def size_text(size: int) -> str:
    """A number of bytes for people."""
    amount, unit = float(size), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if amount < 1024 or unit == "TiB":
            break
        amount /= 1024
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
