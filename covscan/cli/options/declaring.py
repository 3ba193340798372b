"""An option is declared once; a command says which it takes, and gets one object with all that was chosen."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import Parameter, Signature
from typing import Annotated, Any

import typer

from covscan.cli.help import GroupedCommand

CONTEXT = Parameter("context", Parameter.KEYWORD_ONLY, annotation=typer.Context)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a command was called with: every value by the name of its option, and which of them the user said."""

    words: Mapping[str, Any]
    given: frozenset[str]


def option(
    flags: str,
    kind: Any,
    panel: str | None,
    text: str,
    metavar: str | None = None,
    default: Any = None,
    least: float | None = None,
    name: str = "",
) -> Parameter:
    """An option as ``"--jobs -j"`` spells it; its name is that of the first flag, and a flag of kind bool is off.

    ``least`` is the smallest number that it takes; ``replace(default=…)`` of the result gives it another default.
    """
    spelled = flags.split()
    shown = typer.Option(*spelled, metavar=metavar, rich_help_panel=panel, help=text, min=least)
    name = name or spelled[0].partition("/")[0].removeprefix("--").replace("-", "_")
    if kind is bool and default is None:
        default = False
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, shown])


def argument(name: str, kind: Any, metavar: str, text: str, default: Any = None) -> Parameter:
    """An argument by position; ``Parameter.empty`` as its default where it must be there."""
    shown = typer.Argument(metavar=metavar, help=text)
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, shown])


def command(
    app: typer.Typer, *taken: Parameter, short_help: str | None = None, epilog: str | None = None
) -> Callable[[Callable[[Chosen], int]], Callable[[Chosen], int]]:
    """Register a function as the command of its name, with these options in this order; it returns the exit code."""

    def register(function: Callable[[Chosen], int]) -> Callable[[Chosen], int]:
        def call(context: typer.Context, **_words: Any) -> None:
            from covscan.cli.values import given

            raise typer.Exit(function(Chosen(context.params, given(context))))

        # typer reads a function's signature to learn its options.
        call.__signature__ = Signature([CONTEXT, *taken])  # type: ignore[attr-defined]
        call.__annotations__ = {}
        app.command(function.__name__, cls=GroupedCommand, short_help=short_help, epilog=epilog, help=function.__doc__)(
            call
        )
        return function

    return register
