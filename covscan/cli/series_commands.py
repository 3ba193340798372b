"""The commands that measure a series of checkpoints, and their help; what they do is imported once they are called."""

import typer

from covscan.cli.exit_codes import CODES, VERDICTS
from covscan.cli.options import judging, measuring, showing
from covscan.cli.options.declaring import Chosen, command

app = typer.Typer()


@command(
    app,
    measuring.CHECKPOINTS,
    *measuring.SERIES_OR_DATA,
    measuring.PER_CHANNEL,
    *measuring.COMPUTED,
    showing.FORMAT,
    showing.OUTPUTS,
    showing.PLOTS,
    *judging.COUNTED,
    *showing.TALK,
    *showing.SETTINGS_FILE,
    short_help="Measure a series of checkpoints and say what shifted.",
    epilog=f"""\b
Examples:
  covscan analyze --model nets.py:build --data sample.npz runs/ckpt-*.pt
  covscan analyze --model nets.py:build --data sample.npz --target y \\
      --loss cross_entropy --optimizer sgd --lr 0.1 runs/ckpt-*.pt
  covscan analyze --data sample.npz epoch1.onnx epoch2.onnx epoch3.onnx
  covscan analyze --data loader.py:batches -o json=report.json model-*.ts
  covscan analyze --model nets.py:build --data sample.npz --plot fc3 runs/
  covscan analyze --model nets.py:build --reference-data train.npz \\
      --data production.npz runs/last.pt

{CODES}""",
)
def analyze(chosen: Chosen) -> int:
    """Measure a series of checkpoints: which layers shifted, by how much, and what to try.

    With --reference-data it compares two data sets through one checkpoint: where a shift of the data enters the
    network, and how it travels.
    """
    from covscan.cli.analyze import run

    return run(chosen.words, chosen.given)


@command(
    app,
    measuring.RUN_FOLDER,
    measuring.INTERVAL,
    measuring.UNTIL,
    measuring.IDLE,
    *measuring.SERIES,
    measuring.PER_CHANNEL,
    measuring.THREADS,
    measuring.CACHE,
    showing.FORMAT,
    showing.OUTPUTS,
    showing.PLOTS,
    *judging.COUNTED,
    *showing.TALK,
    *showing.SETTINGS_FILE,
    short_help="Measure the checkpoints of a training while it writes them.",
    epilog=f"""\b
Examples:
  covscan watch --model nets.py:build --data sample.npz runs/
  covscan watch --model nets.py:build --data sample.npz --idle 1800 \\
      --fail-on warning -o json=report.json runs/

{CODES}""",
)
def watch(chosen: Chosen) -> int:
    """Follow a training that still writes checkpoints: measure each once it is whole, warn, and report at the end.

    It ends at --until, after --idle, or with Ctrl-C, which publishes the report on what was measured; Ctrl-C again
    interrupts. A layer that leaves the band of its own earlier checkpoints is named at once.
    """
    from covscan.cli.watch import run

    return run(chosen.words, chosen.given)


@command(
    app,
    measuring.CHECKPOINTS,
    judging.JUDGED_REPORT,
    judging.PRESET,
    judging.FAIL_ON.replace(default=None),
    judging.SELECT,
    judging.IGNORE,
    judging.MIN_SAMPLES,
    judging.BASELINE_PATH,
    judging.BASELINE_REVISION,
    *measuring.SERIES_OR_DATA,
    measuring.PER_CHANNEL,
    *measuring.COMPUTED,
    showing.FORMAT,
    showing.OUTPUTS,
    *showing.TALK,
    *showing.SETTINGS_FILE,
    short_help="Measure, or read a report, and pass or fail it by limits.",
    epilog=f"""\b
Examples:
  covscan check --model nets.py:build --data sample.npz runs/ckpt-*.pt
  covscan check --report report.json --preset finetune --fail-on warning
  covscan check --report report.json -o markdown=summary.md

{VERDICTS}""",
)
def check(chosen: Chosen) -> int:
    """Judge a series of checkpoints, or a report of one, by limits: passed, failed or inconclusive.

    Without a preset, standard holds: no NaN, no dead or saturated layer. Findings fail from error on.
    """
    from covscan.cli.check import run

    return run(chosen.words, chosen.given)
