"""Every error that covscan raises on purpose.

CovscanError                what the user can read: code, message, what was found, what to do
├── UsageError      exit 2  a flag, a config, a path, an unreadable model or data, a missing extra
├── InputErrors     exit 2  several of the above, collected and reported together
└── Inconclusive    exit 4  it ran, but nothing can be concluded

Anything else that escapes is a bug in covscan (exit 3).
"""

from collections.abc import Sequence
from enum import IntEnum


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


def raise_collected(errors: Sequence[CovscanError]) -> None:
    """Raise nothing, the one error, or all of them together."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise InputErrors(errors)
