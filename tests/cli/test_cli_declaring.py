"""Options that are declared once: what a command takes, and what its function gets."""

import typer
from typer.testing import CliRunner

from covscan.cli.options.declaring import Chosen, command, option

SIZE = option("--so-many -s", int, "Panel", "How many.", "N", default=3, least=1)
LOUD = option("--loud", bool, None, "Say it.")


def call(*words: str) -> tuple[int, list[Chosen], str]:
    app, seen = typer.Typer(rich_markup_mode=None), []

    @command(app, SIZE.replace(default=5), LOUD)
    def go(chosen: Chosen) -> int:
        """Go there."""
        seen.append(chosen)
        return 4

    result = CliRunner().invoke(app, list(words))
    return result.exit_code, seen, result.output


def test_a_function_gets_all_values_and_which_were_said_and_gives_the_exit_code():
    code, [chosen], _ = call("-s", "7")
    assert (code, dict(chosen.words), chosen.given) == (4, {"so_many": 7, "loud": False}, {"so_many"})


def test_another_default_is_that_of_one_command_alone():
    _, [chosen], _ = call()
    assert chosen.words["so_many"] == 5
    assert not chosen.given
    assert SIZE.default == 3


def test_a_number_below_the_least_is_refused():
    code, seen, _ = call("-s", "0")
    assert code == 2
    assert not seen


def test_help_is_the_docstring_and_the_panels():
    _, _, text = call("--help")
    assert "Go there." in text
    assert "Panel:" in text
    assert text.index("--so-many") < text.index("--loud")
