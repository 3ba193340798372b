"""The whole command line, put together from its families of commands."""

from typing import Annotated, Any

import typer

from covscan.cli import (
    baseline_commands,
    model_commands,
    norm_commands,
    report_commands,
    series_commands,
    setting_commands,
)
from covscan.cli.exit_codes import CODES

app = typer.Typer(
    name="covscan",
    help="Measures how the inputs of every layer shift while a network trains, above which noise, and says "
    "where a normalization is worth trying.",
    epilog=f"""\b
A first run:
  covscan analyze --model nets.py:build --data sample.npz runs/ckpt-*.pt

{CODES}""",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# Help lists them in this order.
for family in (series_commands, model_commands, report_commands, setting_commands, norm_commands):
    app.add_typer(family.app)
app.add_typer(baseline_commands.app, name="baseline")

Version = Annotated[bool, typer.Option("--version", "-V", help="Print the version and exit.")]


@app.callback(invoke_without_command=True)
def main(context: typer.Context, version: Version = False) -> None:
    """Print the version, or the help where no command was given."""
    if version:
        from covscan.cli.small import print_version

        print_version("text")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


def command() -> Any:
    """The whole command line, as typer's own object for it."""
    return typer.main.get_command(app)
