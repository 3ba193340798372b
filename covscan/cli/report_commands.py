"""The commands that read a report, or say what is in one."""

import typer

from covscan.cli.options import showing
from covscan.cli.options.declaring import Chosen, command

app = typer.Typer()


@command(
    app,
    showing.CODE,
    *showing.COLORS,
    short_help="Explain a finding, or list all rules.",
    epilog="""\b
Example:
  covscan rule COV203""",
)
def rule(chosen: Chosen) -> int:
    """Explain a finding: what it measures, when it misleads, what to do; or list all rules."""
    from covscan.cli.rule import run

    return run(chosen.words)


@command(
    app,
    showing.REPORT_PATH,
    showing.FORMAT,
    showing.OUTPUTS,
    showing.PLOTS,
    showing.VERBOSE,
    *showing.COLORS,
    epilog="""\b
Example:
  covscan render report.json -f markdown >> "$GITHUB_STEP_SUMMARY" """,
)
def render(chosen: Chosen) -> int:
    """Show a report again, in any format, without measuring."""
    from covscan.cli.render import run

    return run(chosen.words)


@command(
    app,
    showing.REPORT_PATH,
    showing.SITE_NAME,
    showing.ONE_SIDE,
    showing.COLUMNS,
    showing.NUMBERS,
    showing.PLAIN_FORMAT,
    showing.VERBOSE,
    *showing.COLORS,
    short_help="Explain how the numbers of one site came about.",
    epilog="""\b
Examples:
  covscan explain report.json fc3
  covscan explain report.json fc3 --position input --measure gaussian_w2
  covscan explain report.json fc3 --checkpoint step-3000 -f json

\b
Exit codes:
  0 completed   1 a number does not follow from the others
  2 something to correct   3 a bug in covscan""",
)
def explain(chosen: Chosen) -> int:
    """Explain how the numbers of one site came about: files, samples, formulas, noise, and what rests on them.

    What the report's own numbers allow is computed again, and it is said whether it agrees.
    """
    from covscan.cli.explain import run

    return run(chosen.words)


@command(
    app,
    showing.BROWSED_REPORT,
    short_help="Walk through a report with the keyboard.",
    epilog="""\b
Example:
  covscan browse report.json""",
)
def browse(chosen: Chosen) -> int:
    """Walk through a report with the keyboard: overview, layers, findings, suggestions; ? lists the keys.

    Needs the extra browse: pip install 'covscan[browse]'
    """
    from covscan.cli.browse import run

    return run(chosen.words)


@command(
    app,
)
def schema(_chosen: Chosen) -> int:
    """Print the JSON Schema of the report."""
    from covscan.cli.small import print_schema

    return print_schema()
