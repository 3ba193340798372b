"""Standard output for the payload alone, and what a stream can show."""

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO

from covscan.errors import UsageError
from covscan.render.look import UNICODE, Look

DEFAULT_WIDTH = 80
STDOUT, STDERR = 1, 2


@contextlib.contextmanager
def payload_only() -> Iterator[TextIO]:
    """Yield standard output, while everything else that is written there goes to standard error.

    That is a user's factory, a library's warning, a C extension: they are diverted below Python, by descriptor.
    """
    stdout = sys.stdout
    stdout.flush()
    with contextlib.redirect_stdout(sys.stderr), _diverted() as saved:
        if _descriptor(stdout) != STDOUT:
            yield stdout
            return
        with open(saved, "w", encoding=stdout.encoding, closefd=False) as payload:
            yield payload


@contextlib.contextmanager
def _diverted() -> Iterator[int]:
    """Point the descriptor of standard output at standard error; yield one for where it pointed before."""
    saved = os.dup(STDOUT)
    os.dup2(STDERR, STDOUT)
    try:
        yield saved
    finally:
        _flush_c_library()
        os.dup2(saved, STDOUT)
        os.close(saved)


def _descriptor(stream: TextIO) -> int | None:
    """The stream's descriptor; None for one in memory."""
    try:
        return stream.fileno()
    except OSError:
        return None


def _flush_c_library() -> None:
    """Push out what C code has printed, before its descriptor becomes standard output again."""
    if os.name == "posix":
        ctypes.CDLL(None).fflush(None)


def deliver(stream: TextIO, payload: str | bytes, *, encoding: str | None = None) -> None:
    """Write the payload, text in the stream's encoding or another; what it lacks is spelled out.

    A reader that has gone away (``| head``) is no error. Raises UsageError where the stream takes nothing else.
    """
    name = encoding or stream.encoding or "utf-8"
    content = payload if isinstance(payload, bytes) else payload.encode(name, "backslashreplace")
    try:
        if hasattr(stream, "buffer"):
            stream.buffer.write(content)
        else:
            stream.write(content.decode(name, "backslashreplace"))
        stream.flush()
    except BrokenPipeError:
        abandon(stream)
    except OSError as error:
        abandon(stream)
        raise UsageError(
            "unwritable-output",
            "cannot write to standard output",
            found=error.strerror or str(error),
            hint="free some space, or write to a file with -o FORMAT=PATH",
        ) from error


def abandon(stream: TextIO) -> None:
    """Let what is still buffered for a stream go nowhere, so that nothing complains about it at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def ensure_streams() -> None:
    """Give a process that was started with closed standard streams some that lead nowhere.

    In this order each takes its own descriptor, which a file opened later would get otherwise.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user said about how things shall look."""

    color: str = "auto"
    verbose: bool = False
    plots: tuple[str, ...] = ()


def look_for(stream: TextIO, wishes: Wishes) -> Look:
    """What a stream can show: flags first, then NO_COLOR, FORCE_COLOR and COLUMNS, then what it is."""
    terminal = stream.isatty()
    return Look(
        width=_width(stream, terminal),
        terminal=terminal,
        color=_color(wishes.color, terminal),
        unicode=_can_show(stream.encoding or "utf-8"),
        verbose=wishes.verbose,
        plots=wishes.plots,
    )


def _color(wish: str, terminal: bool) -> bool:
    if wish != "auto":
        return wish == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return terminal and os.environ.get("TERM") != "dumb"


def _width(stream: TextIO, terminal: bool) -> int | None:
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given):
        return int(given)
    if not terminal:
        return None
    try:
        return os.get_terminal_size(stream.fileno()).columns or DEFAULT_WIDTH
    except OSError:
        return DEFAULT_WIDTH


def _can_show(encoding: str) -> bool:
    signs = "".join((*UNICODE.severities, UNICODE.ramp, UNICODE.rule, UNICODE.arrow, UNICODE.source, UNICODE.bullet))
    try:
        signs.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
