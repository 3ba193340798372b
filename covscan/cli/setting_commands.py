"""The commands about settings, what is kept and what is installed."""

import typer

from covscan.cli.options import measuring, showing
from covscan.cli.options.declaring import Chosen, command

app = typer.Typer()


@command(
    app,
    measuring.CHECKPOINTS,
    showing.EARLIER_REPORT,
    showing.CONFIG_TARGET,
    showing.REPLACE,
    *measuring.SERIES_OR_DATA,
    measuring.PER_CHANNEL,
    *measuring.COMPUTED,
    showing.QUIET,
    *showing.COLORS,
    *showing.SETTINGS_FILE,
    short_help="Write a covscan.toml with budgets measured from a model.",
    epilog="""\b
Examples:
  covscan init --model nets.py:build --data sample.npz runs/
  covscan init --report report.json
  covscan init -o -
\b
Exit codes:
  0 written   2 something to correct, nothing written   3 a bug in covscan
  4 nothing could be measured   130 interrupted""",
)
def init(chosen: Chosen) -> int:
    """Write a commented covscan.toml: the settings given here, and budgets with headroom above what is measured.

    Without checkpoints nothing is measured: the file holds what the folder seems to hold, commented out.
    """
    from covscan.cli.init import run

    return run(chosen.words, chosen.given)


@command(
    app,
    showing.SHOW,
    showing.CONFIG_SCHEMA,
    showing.SHORT_FORMAT,
    *showing.COLORS,
    measuring.CHECKPOINTS,
    *measuring.SERIES_OR_DATA,
    measuring.PER_CHANNEL,
    *measuring.COMPUTED,
    *showing.SETTINGS_FILE,
    short_help="Show the settings in force and where each came from.",
    epilog="""\b
Examples:
  covscan config --show
  covscan config --samples 64 -f json
  covscan config --schema > covscan.schema.json""",
)
def config(chosen: Chosen) -> int:
    """Show each setting, its value, and where it came from: a flag, the configuration file, or a default."""
    from covscan.cli.config import run

    return run(chosen.words, chosen.given)


@command(
    app,
    showing.CLEAR,
    showing.SHORT_FORMAT,
    short_help="Show what was measured before and is kept, or remove it.",
)
def cache(chosen: Chosen) -> int:
    """Show where measurements are kept and how much there is; --clear removes them.

    A rerun, a run with one more checkpoint or a check after analyze measures only what is new. What is kept is found by
    the content of the checkpoint, the data, the code of the model and the settings, so that it is never out of date.
    """
    from covscan.cli.cache import run

    return run(clear=chosen.words["clear"], form=chosen.words["form"])


@command(
    app,
    showing.SHORT_FORMAT,
    *showing.COLORS,
    short_help="Show what is installed and which devices there are.",
)
def doctor(chosen: Chosen) -> int:
    """Show what is installed, which devices there are, and what the terminal can show."""
    from covscan.cli.doctor import run

    return run(chosen.words)


@command(
    app,
    showing.SHORT_FORMAT,
)
def version(chosen: Chosen) -> int:
    """Print the version."""
    from covscan.cli.small import print_version

    return print_version(chosen.words["form"])
