"""What the columns of a report are called, and what is compared with what."""

from covscan.render.look import Look
from covscan.render.names import printable
from covscan.report.types import Checkpoint, Report


def kind(report: Report) -> str:
    """What differs between the columns: ``checkpoints``, ``data`` or ``models``."""
    return "checkpoints" if report.comparison is None else report.comparison.kind


def label(report: Report, checkpoint: Checkpoint) -> str:
    """How a column is called in a sentence."""
    if kind(report) == "checkpoints" and checkpoint.step is not None:
        return f"step {checkpoint.step}"
    return printable(checkpoint.id)


def headings(report: Report) -> list[str]:
    """The columns' headings: the steps where all have a different one, else the ids."""
    steps = [checkpoint.step for checkpoint in report.checkpoints]
    if kind(report) == "checkpoints" and None not in steps and len(set(steps)) == len(steps):
        return [str(step) for step in steps]
    return [checkpoint.id for checkpoint in report.checkpoints]


def ends(report: Report, look: Look) -> str:
    """The first and the last column."""
    first, last = report.checkpoints[0], report.checkpoints[-1]
    between = f" {look.glyphs.arrow} "
    if kind(report) == "checkpoints" and first.step is not None and last.step is not None:
        return f"step {first.step}{between}{last.step}"
    return f"{label(report, first)}{between}{label(report, last)}"
