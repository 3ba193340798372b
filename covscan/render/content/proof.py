"""A proof: what was compared, the answer, the arms, the curves."""

from collections.abc import Iterator

from covscan.render.blocks import Code, Column, Items, Line, Prose, Section, Span, Table, line
from covscan.render.chart import curves
from covscan.render.content.gains import change
from covscan.render.content.narrow import narrowed
from covscan.render.figures import compact, counted
from covscan.render.look import Look
from covscan.render.names import printable
from covscan.report.proof import ArmOutcome, Proof

ANSWERS = {
    "helps": "It helps: even the lower end of the interval is above 2 %, and constants do not give it.",
    "helps, as constants would": "It helps, but constants of the same initial standardization give about as much: fix "
    "the scale of the initial weights or of the data instead.",
    "makes no difference": "It makes no difference: the interval lies within 2 % either way.",
    "harms": "It harms: even the upper end of the interval is a loss of more than 2 %.",
    "unresolved": "Not resolved: the interval holds gains and losses that would matter. More seeds narrow it.",
}
CAUTION = (
    "Gain: change of the area under the training loss, each arm at its best rate, chosen on the other seeds, with a "
    "90 % interval over the seeds; less is better. Speed-up: how many times fewer steps reach the lowest "
    "loss that both arms reach. It is about the speed and stability of optimization."
)

DISPENSABLE = ("area", "stable to", "speed-up", "at your rate", "at the base's rate")
"""What a narrow terminal does without."""


def sections(proof: Proof, look: Look) -> Iterator[Section]:
    """Everything there is to say."""
    where = "behind" if proof.position == "after" else "in front of"
    gap = Span(f" {look.glyphs.dot} ", "faint")
    head = line(
        Span("covscan prove", "strong"),
        " ",
        Span(f"{printable(proof.norm)} {where} {printable(proof.site)}", "name"),
        gap,
        printable(proof.model),
        gap,
        f"{printable(proof.loss)}, {printable(proof.optimizer)}, batches of {proof.batch_size}",
        gap,
        f"{counted(proof.seeds, 'seed')} of {counted(proof.steps, 'step')}",
        gap,
        f"{proof.intervention}: {printable(proof.start)}",
    )
    yield Section("", (Prose(head),))
    yield Section("Answer", tuple(_answer(proof)))
    yield Section("Arms", (*narrowed(_table(proof), look, DISPENSABLE), Items((line(Span(CAUTION, "faint")),))))
    yield Section("Training loss at the best rate of each, mean of the seeds", (Code(_chart(proof, look)),))
    if proof.notes:
        yield Section("Notes", (Items(tuple(line(printable(note)) for note in proof.notes)),))


def _answer(proof: Proof) -> Iterator[Prose]:
    yield Prose(line(Span(ANSWERS[proof.verdict], "good" if proof.verdict.startswith("helps") else "plain")))
    if proof.met is not None and proof.expected is not None:
        wanted = f"{100 * proof.expected:g} %"
        said = f"The expected gain of {wanted} is met." if proof.met else f"The expected gain of {wanted} is not met."
        yield Prose(line(Span(said, "good" if proof.met else "error")))


def _table(proof: Proof) -> Table:
    known = proof.rate is not None
    columns = (
        Column("arm"),
        Column("best rate", "right"),
        Column("area", "right"),
        Column("gain", "right"),
        Column("at your rate" if known else "at the base's rate", "right"),
        Column("held-out loss", "right"),
        Column("speed-up", "right"),
        Column("stable to", "right"),
    )
    return Table(columns, tuple(_row(arm, known=known) for arm in proof.arms))


def _row(arm: ArmOutcome, *, known: bool) -> tuple[Line, ...]:
    best = next(rung for rung in arm.rungs if rung.rate == arm.best_rate)
    held = [loss for loss in best.held_out if loss is not None]
    return (
        line(Span(printable(arm.name), "name")),
        line(f"{arm.best_rate:.3g}"),
        line(compact(sum(best.areas) / len(best.areas))),
        line(change(arm.gain)),
        line(change(arm.gain_at_rate if known else arm.gain_at_base_rate)),
        line(compact(sum(held) / len(held)) if len(held) == len(best.held_out) else "diverged"),
        line(_faster(arm)),
        line("none" if arm.largest_stable_rate is None else f"{arm.largest_stable_rate:.3g}"),
    )


def _faster(arm: ArmOutcome) -> str:
    """``2.40x [1.90, 3.10]``, with "or more" and "or less" where an end is open; nothing where nothing is known."""
    if arm.speed_up is None:
        return ""
    sign = ">" if arm.speed_up_is_least else "<" if arm.speed_up_is_most else ""
    value = f"{sign}{compact(arm.speed_up)}x"
    low, high = (None if end is None else compact(end) for end in (arm.speed_up_low, arm.speed_up_high))
    if low is not None and high is not None:
        return f"{value} [{low}, {high}]"
    if low is None and high is None:
        return value
    return f"{value} [{low} or more]" if high is None else f"{value} [{high} or less]"


def _chart(proof: Proof, look: Look) -> str:
    base, norm = proof.arms[0], proof.arms[1]
    drawn = {
        f"{printable(arm.name)}, rate {arm.best_rate:.3g}": next(r for r in arm.rungs if r.rate == arm.best_rate).curve
        for arm in (norm, base)
    }
    return curves(drawn, look, "step")
