"""What the short trainings were, what they found beside the places, and what they cost."""

from covscan.render.blocks import Items, Line, Section, Span, line
from covscan.render.content.gains import change
from covscan.render.names import printable
from covscan.report.training import Trials
from covscan.report.types import Report

TIERS = {"probe": "One-step probes", "trial": "Training trials"}


def section(report: Report) -> Section | None:
    """Nothing where nothing was trained."""
    found = report.trials
    if found is None:
        return None
    return Section(TIERS[found.tier], (Items(tuple(_lines(found))),))


def _lines(found: Trials) -> list[Line]:
    rate = "no --lr given" if found.rate is None else f"--lr {found.rate:g}"
    best = f", best without a normalization {found.best_rate:.3g}" if found.best_rate is not None else ""
    said = [
        line(
            f"{printable(found.loss)} with {printable(found.optimizer)} ({rate}{best}), batches of {found.batch_size} "
            f"from {found.samples:,} samples, {found.intervention}: {printable(found.start)}."
        )
    ]
    if found.area_steps > len(found.curve_without):
        said.append(
            line(
                f"Areas are those of {found.area_steps} steps: what a trial did not train counts at the level that its "
                "loss ended on."
            )
        )
    beside = [
        f"{name} {change(gain)}"
        for name, gain in (("behind every layer", found.everywhere), ("at the last place alone", found.last_only))
        if gain is not None
    ]
    if beside:
        said.append(line("A normalization " + ", ".join(beside) + "."))
    rivals = [f"{printable(name)} {change(gain)}" for name, gain in found.rivals.items()]
    if rivals:
        said.append(line("Cheaper, without a normalization: " + ", ".join(rivals) + "."))
    spent = f"Spent {found.steps:,} of at most {found.budget:,} training steps, and {found.forwards:,} forward passes."
    return [*said, line(Span(spent, "faint"))]
