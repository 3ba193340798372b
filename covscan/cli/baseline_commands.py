"""The commands of ``covscan baseline`` and their help; what they do is imported once they are called."""

import typer

from covscan.cli.options import judging, measuring, showing
from covscan.cli.options.declaring import Chosen, command

CODES = """\b
Exit codes:
  0 no value is worse   1 a regression   2 something to correct
  3 a bug in covscan   4 nothing can be concluded   130 interrupted"""

app = typer.Typer(
    help="Keep what was measured, and say what got worse since.",
    epilog="""\b
A first run:
  covscan baseline write --report report.json
  covscan baseline diff --report report.json""",
    rich_markup_mode=None,
)


@app.callback(invoke_without_command=True)
def main(context: typer.Context) -> None:
    """Print the help where no command was given."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


@command(
    app,
    measuring.CHECKPOINTS,
    judging.GIVEN_REPORT,
    judging.BASELINE_OUTPUT,
    judging.FORCE,
    *judging.COMPARED,
    *measuring.SERIES,
    *showing.SETTINGS_FILE,
    showing.QUIET,
    *showing.COLORS,
    short_help="Keep what a report says as the baseline.",
    epilog="""\b
Examples:
  covscan baseline write --report report.json
  covscan baseline write --model nets.py:build --data sample.npz \\
      -o ci/baseline.json runs/ckpt-*.pt""",
)
def write(chosen: Chosen) -> int:
    """Keep what a report says, or what is measured now, as the baseline that later reports are compared with."""
    from covscan.cli.baseline import write as run

    return run(chosen.words, chosen.given)


@command(
    app,
    measuring.CHECKPOINTS,
    judging.GIVEN_REPORT,
    judging.BASELINE_PATH,
    judging.ACCEPT,
    judging.ACCEPT_SITES,
    *judging.COMPARED,
    *judging.BORNE,
    *measuring.SERIES,
    *showing.SETTINGS_FILE,
    *showing.TALK,
    short_help="Lower what improved; with --accept take the rest.",
    epilog="""\b
Examples:
  covscan baseline update --report report.json
  covscan baseline update --report report.json --accept-site 'encoder.*'""",
)
def update(chosen: Chosen) -> int:
    """Let the baseline follow: lower values that improved, drop sites that are gone, and nothing more.

    What got worse and what is new is taken with --accept alone.
    """
    from covscan.cli.baseline import update as run

    return run(chosen.words, chosen.given)


@command(
    app,
    measuring.CHECKPOINTS,
    judging.GIVEN_REPORT,
    judging.BASELINE_PATH,
    judging.BASELINE_REVISION,
    *judging.COMPARED,
    *judging.BORNE,
    *measuring.SERIES,
    showing.PLAIN_FORMAT,
    *showing.SETTINGS_FILE,
    *showing.TALK,
    short_help="Say what got worse, better, new, gone.",
    epilog=f"""\b
Examples:
  covscan baseline diff --report report.json
  covscan baseline diff --baseline-rev origin/main --report report.json \\
      -f markdown >> "$GITHUB_STEP_SUMMARY"

{CODES}""",
)
def diff(chosen: Chosen) -> int:
    """Say what got worse than the baseline, better, new or gone, and by how much it may be."""
    from covscan.cli.baseline import diff as run

    return run(chosen.words, chosen.given)
