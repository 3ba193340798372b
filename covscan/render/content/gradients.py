"""Each layer's gradient at the last checkpoint, how the layers before it change it, and the loss of the series."""

from covscan.render.blocks import Column, Items, Line, Section, Span, Table, line
from covscan.render.content import places
from covscan.render.figures import compact, evenly
from covscan.render.look import Look
from covscan.render.names import printable
from covscan.report.training import Gradients, GradientShift, Landscape, LayerGradient
from covscan.report.types import Report

NAMES = 0.3
SHOWN = 10
LEGEND = (
    "gradient/weights: norm of the gradient over that of the weights. step: norm of one optimizer step over that of "
    "the weights. noise: how far the gradients of two batches are apart, relative to one. changed below: how far the "
    "gradient is from the one with the next checkpoint's layers before it, relative, and the cosine between the two."
)


def section(report: Report, look: Look) -> Section | None:
    """Nothing where no loss was given."""
    found = report.gradients
    if found is None or not found.layers:
        return None
    last = found.layers[-1].checkpoint
    rows = [each for each in found.layers if each.checkpoint == last]
    shown = rows if look.verbose else [rows[number] for number in evenly(len(rows), SHOWN)]
    shifts = _latest(found)
    names = places.fitted([each.layer for each in shown], look, NAMES)
    known = any(each.update_ratio is not None for each in rows)
    columns = [Column("layer"), Column("gradient/weights", "right")]
    columns += [Column("step", "right")] if known else []
    columns += [Column("noise", "right"), Column("changed below", "right"), Column("cosine", "right")]
    table = Table(tuple(columns), tuple(_row(each, shifts.get(each.layer), names, known=known) for each in shown))
    title = f"Gradients at {printable(last)}"
    title += f", {len(shown)} of {len(rows)} layers" if len(shown) < len(rows) else ""
    return Section(title, (table, Items((*_summary(found), line(Span(LEGEND, "faint"))))))


def _latest(found: Gradients) -> dict[str, GradientShift]:
    """The last shift of each layer."""
    return {shift.layer: shift for shift in found.shifts}


def _row(each: LayerGradient, shift: GradientShift | None, names: dict[str, Span], *, known: bool) -> tuple[Line, ...]:
    cells = [line(names[each.layer]), _cell(each.relative_gradient)]
    cells += [_cell(each.update_ratio)] if known else []
    tone = Span(_figure(shift.relative), "plain" if shift.significant else "faint") if shift else Span("")
    return (*cells, _cell(each.gradient_noise), line(tone), _cell(shift.cosine if shift else None, missing=""))


def _summary(found: Gradients) -> list[Line]:
    losses = [(name, loss) for name, loss in found.loss_by_checkpoint.items() if loss is not None]
    said = []
    if losses:
        chosen = [losses[number] for number in evenly(len(losses), 6)]
        said.append(line("Loss: " + ", ".join(f"{printable(name)} {compact(loss)}" for name, loss in chosen) + "."))
    sharp = [each for each in found.landscapes if each.sharpness is not None]
    if sharp:
        said.append(line(_sharpness(sharp[-1])))
    return said


def _sharpness(each: Landscape) -> str:
    said = f"Sharpness at {printable(each.checkpoint)}: {_figure(each.sharpness)}"
    if each.stability is None or each.rate is None:
        return said + "."
    whose = "the learning rate" if each.rate_known else "the best rate tried"
    return f"{said}; {whose} {each.rate:.3g} is {compact(each.stability)} times the largest stable one."


def _cell(value: float | None, missing: str = "n/a") -> Line:
    return line(_figure(value, missing))


def _figure(value: float | None, missing: str = "n/a") -> str:
    return missing if value is None else compact(value)
