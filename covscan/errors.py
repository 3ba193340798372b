"""Every error that covscan raises on purpose.

CovscanError                what the user can read: code, message, what was found, what to do
├── UsageError      exit 2  a flag, a config, a path, an unreadable model or data, a missing extra
│   └── OutOfMemory         a forward pass that does not fit into memory
├── InputErrors     exit 2  several of the above, collected and reported together
└── Inconclusive    exit 4  it ran, but nothing can be concluded

Anything else that escapes is a bug in covscan (exit 3).
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Self


class ExitCode(IntEnum):
    """Exit codes are public and never reused."""

    OK = 0
    FINDINGS = 1
    USAGE = 2
    BUG = 3
    INCONCLUSIVE = 4
    INTERRUPTED = 130


class CovscanError(Exception):
    """A problem stated so that its reader can act on it.

    ``code`` is a stable kebab-case name (``missing-factory``), ``message`` one line of cause and place, ``found``
    what was met, ``hint`` what to do. ``found`` and ``hint`` may be empty.
    """

    exit_code = ExitCode.USAGE

    def __init__(self, code: str, message: str, *, found: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.found = found
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        """Rebuilt by all of its parts: one that was raised in another process is the same error here."""
        return _rebuilt, (type(self), dict(vars(self)))

    def __str__(self) -> str:
        lines = [f"error[{self.code}]: {_on_one_line(self.message)}"]
        if self.found:
            lines.append(f"  found: {_on_one_line(self.found)}")
        if self.hint:
            lines.append(f"  hint:  {_on_one_line(self.hint)}")
        return "\n".join(lines)


def _on_one_line(text: str) -> str:
    """The text with its line breaks spelled out: a name that holds one must not begin a line of its own."""
    return text.replace("\r", "\\x0d").replace("\n", "\\x0a")


class UsageError(CovscanError):
    """The user must change something: a flag, a file, a path, an installation."""


class OutOfMemory(UsageError):
    """A forward pass that memory was too small for; ``found`` is what the allocator said."""

    @classmethod
    def of(cls, said: str) -> Self:
        """The error for what the allocator said."""
        hint = "lower --batch-size, --samples or --positions, or leave sites out with --exclude"
        return cls("out-of-memory", "the machine has no memory left", found=said, hint=hint)


class Inconclusive(CovscanError):
    """covscan ran, but no statement can be made from what it saw."""

    exit_code = ExitCode.INCONCLUSIVE


class InputErrors(CovscanError):
    """Several input errors found in one pass, printed one after the other."""

    def __init__(self, errors: Sequence[CovscanError]) -> None:
        super().__init__("several-errors", f"{len(errors)} problems with the input")
        self.errors = tuple(errors)

    def __str__(self) -> str:
        return "\n".join(str(error) for error in self.errors)


def _rebuilt(kind: type[CovscanError], parts: dict[str, Any]) -> CovscanError:
    error = kind.__new__(kind, parts["message"])
    error.__dict__.update(parts)
    return error


def raise_collected(errors: Sequence[CovscanError]) -> None:
    """Raise nothing, the one error, or all of them together."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise InputErrors(errors)
