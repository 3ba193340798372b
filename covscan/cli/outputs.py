"""Files of ``-o FORMAT=PATH``: checked before the measurement, written after it, all or none."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from covscan.cli.streams import Wishes
from covscan.errors import CovscanError, UsageError, raise_collected
from covscan.render import BINARY, FORMATS, Look, check_format, render
from covscan.report.types import Report

DRAWING = {"text", "markdown"}
"""Formats that people read."""


@dataclass(frozen=True, slots=True)
class Output:
    """A format and the file that it goes to, symbolic links followed."""

    format: str
    path: Path


def parse_outputs(options: Sequence[str]) -> list[Output]:
    """Read ``FORMAT=PATH`` options and check that each file can be written. Raises every problem at once."""
    outputs: list[Output] = []
    errors: list[CovscanError] = []
    for option in options:
        try:
            output = _parse(option)
            _check(output, outputs)
            outputs.append(output)
        except UsageError as error:
            errors.append(error)
    raise_collected(errors)
    return outputs


def check_shown(form: str) -> None:
    """Raise UsageError where standard output cannot be given in this format."""
    check_format(form)
    if form in BINARY and sys.stdout.isatty():
        raise UsageError(
            "bad-output",
            f"a terminal cannot show the format {form}",
            hint=f"write it to a file: -o {form}=report.{form}, or > report.{form}",
        )


def check_drawn(form: str, outputs: Sequence[Output], wishes: Wishes) -> None:
    """Raise UsageError where sites are to be drawn and every format is one for programs, which shows no drawing."""
    if wishes.plots and not DRAWING & {form, *(output.format for output in outputs)}:
        raise UsageError(
            "bad-option",
            f"--plot draws into {' and '.join(sorted(DRAWING))} alone",
            found=f"--format {form}",
            hint="leave --plot out, or add -o text=PATH",
        )


def _parse(option: str) -> Output:
    name, equals, path = option.partition("=")
    if not equals or not path:
        raise UsageError(
            "bad-output",
            f"'-o {option}' is not FORMAT=PATH",
            hint=f"write for example '-o json={option or 'report.json'}'; formats are {', '.join(FORMATS)}",
        )
    check_format(name)
    return Output(name, Path(os.path.realpath(path)))


def _check(output: Output, others: Sequence[Output]) -> None:
    if any(output.path == other.path for other in others):
        raise UsageError("bad-output", f"two outputs go to '{output.path}'", hint="give each its own file")
    check_writable(output.path, f"-o {output.format}={output.path / 'report'}.{output.format}")


def check_writable(path: Path, example: str) -> None:
    """Raise UsageError where no file can be written; ``example`` is an option that names one inside a folder."""
    if path.is_dir():
        raise UsageError("unwritable-output", f"'{path}' is a folder", hint=f"name a file in it: {example}")
    if not path.parent.is_dir():
        raise UsageError(
            "unwritable-output",
            f"there is no folder '{path.parent}' to write into",
            hint=f"create it: mkdir -p '{path.parent}'",
        )
    if _is_plain(path):
        _probe(path)


def _is_plain(path: Path) -> bool:
    """Whether the path may be replaced by renaming; a device or a pipe must be written to."""
    return path.is_file() or not path.exists()


def _probe(path: Path) -> None:
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> UsageError:
    return UsageError(
        "unwritable-output",
        f"cannot write '{path}'",
        found=error.strerror or str(error),
        hint="choose another folder, or see to its permissions and its space",
    )


def write_outputs(report: Report, outputs: Sequence[Output], wishes: Wishes) -> None:
    """Render the report into its files; where one cannot be written, none is replaced."""
    look = Look(verbose=wishes.verbose, plots=wishes.plots)
    replace_files([(output.path, render(report, output.format, look)) for output in outputs])


def replace_files(contents: Sequence[tuple[Path, str | bytes]]) -> None:
    """Write texts and bytes into files; where one cannot be written, none is replaced. Raises UsageError."""
    prepared: list[tuple[Path, Path]] = []
    try:
        for path, content in contents:
            prepared.append((path, _write(path, encoded(content))))
        for path, written in prepared:
            if written != path:
                written.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        for path, written in prepared:
            if written != path:
                written.unlink(missing_ok=True)


def encoded(content: str | bytes, encoding: str = "utf-8") -> bytes:
    """Bytes as they are, text in an encoding; what that lacks is spelled out."""
    return content if isinstance(content, bytes) else content.encode(encoding, "backslashreplace")


def _write(path: Path, content: bytes) -> Path:
    """Write beside ``path`` and return where; devices and pipes are written to themselves."""
    if not _is_plain(path):
        path.write_bytes(content)
        return path
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        if path.exists():
            temporary.chmod(path.stat().st_mode)
    except BaseException:  # also where somebody interrupts
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    return temporary
