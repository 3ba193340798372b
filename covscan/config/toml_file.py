"""A TOML file as values and text, or the one sentence that says why it is none."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from covscan.errors import UsageError

LARGEST = 1 << 20
"""Bytes. A configuration of a thousand suppressions takes a tenth of it."""
BOM = b"\xef\xbb\xbf"
_PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')"""
_LONG_KEY = re.compile(rf"(?<![\w-]){_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{100}}")
"""A key of so many parts that tomllib, which needs memory as their square, must not see it (200,000: 80 GB)."""
_PLACE = re.compile(r"^(?P<what>.*?) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class TomlFile:
    """What a file says, and the text that says it, with line feeds alone."""

    path: Path
    content: dict[str, Any]
    text: str


def read_toml(path: Path) -> TomlFile:
    """Read a TOML file. Raises UsageError with the line where it is not TOML."""
    text = _decode(path, _read(path)).replace("\r\n", "\n")
    long = _LONG_KEY.search(text)
    if long is not None:
        line = text.count("\n", 0, long.start()) + 1
        raise _error(f"{path}:{line}", "a key of over a hundred parts", "no key of a configuration has more than four")
    try:
        return TomlFile(path, tomllib.loads(text), text)
    except RecursionError as error:
        raise _error(
            str(path), "is nested too deeply", "no value of a configuration holds more than two others"
        ) from error
    except ValueError as error:
        raise _syntax_error(path, text, str(error)) from error


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except OSError as error:
        raise UsageError(
            "unreadable-config",
            f"cannot read '{path}'",
            found=error.strerror or str(error),
            hint="name another with --config, or do without one: --no-config",
        ) from error
    if len(content) > LARGEST:
        raise _error(str(path), "is larger than 1 MiB", "a configuration holds settings and no data")
    return content


def _decode(path: Path, content: bytes) -> str:
    content = content.removeprefix(BOM)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{content[error.start]:02x}"
        utf16 = content[:2] in {b"\xff\xfe", b"\xfe\xff"}
        hint = "save the file as UTF-8" + (": this looks like UTF-16" if utf16 else "")
        raise UsageError("bad-config", f"{path}:{line}: is not UTF-8", found=found, hint=hint) from error


def _syntax_error(path: Path, text: str, message: str) -> UsageError:
    match = _PLACE.match(message)
    what = match["what"] if match else message
    if match is None or match["line"] is None:
        line, column = text.rstrip().count("\n") + 1, None
    else:
        line, column = int(match["line"]), match["column"]
    where = f"{path}:{line}" + (f":{column}" if column else "")
    return UsageError("bad-config", f"{where}: is not TOML", found=what, hint=_hint(text.split("\n")[line - 1]))


def _hint(row: str) -> str:
    """What to correct in a line, where its fault is a usual one."""
    key, equals, value = (part.strip() for part in row.partition("="))
    if equals and value in {"True", "False"}:
        return f"write {key} = {value.lower()}"
    if equals and re.fullmatch(r"[A-Za-z_./~*][^\"'\s#]*", value):
        return f'a string stands in quotes: {key} = "{value}"'
    return "https://toml.io says how TOML is written"


def _error(where: str, problem: str, hint: str) -> UsageError:
    return UsageError("bad-config", f"{where}: {problem}", hint=hint)
