"""From arguments to an exit code: the one place where errors are printed."""

import contextlib
import sys
import traceback
from collections.abc import Sequence

import typer

from covscan.cli.app import command
from covscan.cli.signals import ending_by_signal
from covscan.cli.streams import abandon, ensure_streams
from covscan.errors import CovscanError, ExitCode, OutOfMemory, UsageError
from covscan.memory import memory_error, what_was_needed
from covscan.render.names import printable
from covscan.version import __version__

BAD_USAGE: type[Exception] = typer.BadParameter.__mro__[1]
"""The parser's own class for wrong arguments, which typer does not export; ``BadParameter`` is one of them."""


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code; nothing but that leaves this function."""
    ensure_streams()
    try:
        with ending_by_signal():
            code = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        abandon(sys.stdout)
        code = ExitCode.OK
    return code


def _run(arguments: Sequence[str]) -> int:
    try:
        code = int(command().main(args=list(arguments), prog_name="covscan", standalone_mode=False) or 0)
    except CovscanError as error:
        return _complain(error)
    except (KeyboardInterrupt, typer.Abort):
        code = ExitCode.INTERRUPTED
    except BAD_USAGE as error:
        return _complain(_parser_error(error))
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):
            raise BrokenPipeError from stop
        return _complain(_exit_of_others(stop))
    except Exception as error:  # noqa: BLE001 - the last line of defence
        lacking = memory_error(error)
        return _confess() if lacking is None else _complain(OutOfMemory.of(what_was_needed(lacking)))
    if code == ExitCode.INTERRUPTED:
        _say("interrupted")
    return code


def _parser_error(error: Exception) -> UsageError:
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "covscan"
    return UsageError("bad-option", message.rstrip("."), hint=f"'{path} --help' lists what there is")


def _exit_of_others(stop: SystemExit) -> UsageError:
    """A factory or a data source that ends the process has measured nothing, whatever code it chose."""
    return UsageError(
        "user-code-exit",
        "code that --model or --data names ended the process before anything was measured",
        found=f"SystemExit({stop.code!r})",
        hint="import-time code of a script belongs behind 'if __name__ == \"__main__\":'",
    )


def _complain(error: CovscanError) -> int:
    _say("\n".join(printable(row) for row in str(error).split("\n")))
    return error.exit_code


def _confess() -> int:
    _say(traceback.format_exc().rstrip())
    _say(
        f"\nThis is a bug in covscan {__version__}, not in your model or your data.\n"
        "Please report it, with the lines above and what 'covscan doctor' prints."
    )
    return ExitCode.BUG


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)
