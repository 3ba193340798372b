"""Writing several files as one: under other names first, and all of them in their places or none."""

import contextlib
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from covscan.errors import UsageError


class Staging:
    """Files that are being written. What was not committed is removed when the context ends."""

    def __init__(self) -> None:
        self._waiting: dict[Path, Path] = {}
        self._copied: list[Path] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for path in (*self._waiting.values(), *self._copied):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def stage(self, path: Path) -> Path:
        """Where to write what shall become ``path``: beside it, so that relative paths inside it hold already."""
        temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.tmp{path.suffix}")
        self._waiting[path] = temporary
        return temporary

    def copy(self, source: Path, path: Path) -> None:
        """Copy a file to where there is none yet. Raises UsageError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._copied.append(path)
        with told(path):
            shutil.copyfile(source, path)

    def commit(self) -> None:
        """Put everything in its place. Raises UsageError."""
        for path, temporary in self._waiting.items():
            with told(path):
                if path.exists():
                    temporary.chmod(path.stat().st_mode)
                temporary.replace(path)
        self._waiting.clear()
        self._copied.clear()


@contextlib.contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn what the system says about a file that cannot be written into a UsageError."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            "unwritable-output",
            f"cannot write '{path}'",
            found=error.strerror or str(error),
            hint="choose another folder, or see to its permissions and its space",
        ) from error
