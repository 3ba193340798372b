"""The commands about single models: what can be tapped, and how two differ."""

import typer

from covscan.cli.options import judging, measuring, showing
from covscan.cli.options.declaring import Chosen, command

app = typer.Typer()


@command(
    app,
    measuring.CHECKPOINTS,
    *measuring.FACTORY,
    measuring.DATA,
    *measuring.SAMPLED,
    *measuring.TAPPED,
    showing.SHORT_FORMAT,
    *showing.COLORS,
    *showing.SETTINGS_FILE,
    short_help="List what can be tapped in a model.",
    epilog="""\b
Example:
  covscan sites --model nets.py:build --data sample.npz""",
)
def sites(chosen: Chosen) -> int:
    """List what can be tapped in a model: shapes, channel axis, and what is normalized already."""
    from covscan.cli.sites import run

    return run(chosen.words, chosen.given)


@command(
    app,
    measuring.TWO_SIDES,
    measuring.MODEL,
    measuring.MODEL_ARGUMENTS,
    measuring.MODEL_OF_SECOND,
    measuring.MODEL_ARGUMENTS_OF_SECOND,
    measuring.TRUST,
    measuring.DATA,
    *measuring.SAMPLED,
    *measuring.TAPPED,
    measuring.PER_CHANNEL,
    *measuring.COMPUTED,
    showing.FORMAT,
    showing.OUTPUTS,
    *judging.COUNTED,
    showing.SAY_DIFFERENCE,
    *showing.SETTINGS_FILE,
    *showing.TALK,
    short_help="Compare two models on the same data, or two reports.",
    epilog="""\b
Examples:
  covscan diff --model nets.py:build --data sample.npz base.pt fine-tuned.pt
  covscan diff --model nets.py:build --data sample.npz net.pt net.onnx
  covscan diff --data sample.npz net.onnx net-int8.onnx
  covscan diff main.json branch.json

\b
Exit codes:
  0 completed   1 a finding at --fail-on, or a difference with --exit-code
  2 something to correct   3 a bug in covscan   4 nothing can be concluded
  130 interrupted""",
)
def diff(chosen: Chosen) -> int:
    """Compare two models on the same data: fine-tuned with its base, exported or quantized with its source.

    Sites are matched by the names of modules, which exporters write into ONNX files, and of the graph's values. Of two
    reports, which need no data, the figures are put side by side.
    """
    from covscan.cli.diff import run

    return run(chosen.words, chosen.given)
