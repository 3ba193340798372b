"""Measures of a shift, computed again where the report holds what they are made of, and why they count or do not."""

import math
from collections.abc import Callable, Iterator, Sequence

from covscan.catalog.measure_pages import MeasurePage, measure_page
from covscan.explain.arithmetic import ROUNDING, computed, exact, holds
from covscan.explain.channels import between
from covscan.report.explanation import Check
from covscan.report.types import Measure, Report, Shift, Site, Statistics

AMPLIFICATION, PER_MOVEMENT = "shift_amplification", "shift_per_weight_movement"
PRIMARY = "gaussian_w2"
BASES = {
    "moments": "exact means and variances of each channel",
    "distribution": "the kept rows, up to 64 channels that vary and 1024 rows",
    "geometry": "the first 256 kept rows, over all kept channels",
    "derived": "exact means and variances of each channel",
}
"""What the measures of a family rest on."""
REPLAYED = "exact means and variances over the samples that the layer was run on again with the earlier weights"


def checks(report: Report, site: Site, shift: Shift) -> dict[str, list[Check]]:
    """What can be computed again of one shift, by the measure's name."""
    made: dict[str, list[Check]] = {}
    found = (*_intervals(shift), *_significance(shift), *_from_others(report, shift), *_from_sides(report, site, shift))
    for name, check in found:
        made.setdefault(name, []).append(check)
    return made


def basis(page: MeasurePage) -> str:
    """What a measure rests on."""
    return REPLAYED if page.name.startswith("excess_") else BASES[page.family]


def why(name: str, found: Measure, shift: Shift) -> str:
    """In a sentence, why a value counts or does not."""
    page = measure_page(name)
    if found.value is None or page is None:
        return ""
    if found.status is not None:
        return f"does not count: {found.status}"
    verdict = "counts" if found.significant else "does not count"
    if name == PER_MOVEMENT:
        return f"{verdict}, as {PRIMARY} does, which it is a multiple of"
    return f"{verdict}: {', '.join(_conditions(page, found))}"


def _conditions(page: MeasurePage, found: Measure) -> Iterator[str]:
    value, low, high = found.value or 0.0, found.low, found.high
    if low is None or high is None:
        yield "there is no interval"
        return
    if page.name == AMPLIFICATION:
        least = exact(page.material)
        yield f"the interval {'includes' if low <= 1 <= high else 'excludes'} 1"
        inside = value != 0 and abs(math.log(abs(value))) < math.log(page.material)
        yield f"the value is {'between' if inside else 'outside'} 1/{least} {'and' if inside else 'to'} {least}"
        return
    nearest = _nearest(low, high)
    if found.noise is None:
        yield "there is no noise floor, so that nothing says what chance alone would give"
    else:
        sign = ">" if nearest > found.noise else "<="
        yield f"nearer end of the interval {exact(nearest)} {sign} noise {exact(found.noise)}"
    sign = ">=" if abs(value) >= page.material else "<"
    yield f"size {exact(abs(value))} {sign} {exact(page.material)}, from where on it matters"


def _nearest(low: float, high: float) -> float:
    """The end of the interval that is nearer to 0, or 0 where that is inside or the interval was cut off there."""
    return 0.0 if low <= 0 <= high else min(abs(low), abs(high))


def _intervals(shift: Shift) -> Iterator[tuple[str, Check]]:
    """Each interval reaches as far to one side of its value as to the other, unless it was cut off at 0."""
    for name, found in shift.measures.items():
        if found.value is None or found.low is None or found.high is None:
            continue
        value, low, high = found.value, found.low, found.high
        page = measure_page(name)
        cut = low == 0 and (page is None or not page.signed)
        below, above = value - low, high - value
        slack = 4 * ROUNDING * (abs(value) + abs(low) + abs(high))
        true = below >= -slack and above >= -slack and (below <= above + slack if cut else abs(above - below) <= slack)
        numbers = f"{exact(low)} <= {exact(value)} <= {exact(high)}, half a width of {exact(above)}"
        stated = "cut off at 0" if cut and below < above - slack else "as far to either side"
        yield name, holds("value -/+ t x the jackknife's standard error", numbers, stated, true=true)


def _significance(shift: Shift) -> Iterator[tuple[str, Check]]:
    """The rule by which a value counts, applied again."""
    for name, found in shift.measures.items():
        page = measure_page(name)
        if page is None or found.value is None or found.status is not None:
            continue
        verdicts = {_counts(page, found, shift, nudge) for nudge in (-ROUNDING, 0.0, ROUNDING)}
        numbers = why(name, found, shift).partition(": ")[2] or f"{PRIMARY} decides"
        stated = "significant" if found.significant else "not significant"
        yield name, holds(_rule(page), numbers, stated, true=found.significant in verdicts)


def _rule(page: MeasurePage) -> str:
    if page.name == AMPLIFICATION:
        return "the interval excludes 1, and the value is at least 1.5 or at most 1/1.5"
    if page.name == PER_MOVEMENT:
        return f"significant where {PRIMARY} is"
    return f"nearer end of the interval > noise, and |value| >= {exact(page.material)}"


def _counts(page: MeasurePage, found: Measure, shift: Shift, nudge: float) -> bool:
    """Whether it counts, where the value and its interval are larger by a share of ``nudge``."""
    value = (found.value or 0.0) * (1 + nudge)
    if page.name == PER_MOVEMENT:
        primary = shift.measures.get(PRIMARY)
        return bool(primary is not None and primary.significant and value)
    if found.low is None or found.high is None:
        return False
    low, high = found.low * (1 + nudge), found.high * (1 + nudge)
    if page.name == AMPLIFICATION:
        apart = value == 0 or abs(math.log(abs(value))) >= math.log(page.material)
        return apart and not low <= 1.0 <= high
    nearest = _nearest(low, high)
    return found.noise is not None and nearest > found.noise * (1 - nudge) and abs(value) >= page.material


def _from_others(report: Report, shift: Shift) -> Iterator[tuple[str, Check]]:
    values = {name: found.value for name, found in shift.measures.items() if found.value is not None}
    signed, absolute = values.get("log_variance_ratio"), values.get("absolute_log_variance_ratio")
    if signed is not None and absolute is not None:
        numbers = f"{exact(absolute)} >= |{exact(signed)}|"
        true = absolute >= abs(signed) * (1 - 2 * ROUNDING)
        formula = "a mean of sizes is no smaller than the size of the mean"
        yield "absolute_log_variance_ratio", holds(formula, numbers, exact(absolute), true=true)
    yield from _per_movement(shift)
    yield from _amplification(report, shift)


def _per_movement(shift: Shift) -> Iterator[tuple[str, Check]]:
    """Value, noise and interval are those of ``gaussian_w2``, all divided by the same movement of the weights."""
    found, primary = shift.measures.get(PER_MOVEMENT), shift.measures.get(PRIMARY)
    if found is None or primary is None or not found.value or not primary.value:
        return
    movement = primary.value / found.value
    pairs = [(found.noise, primary.noise), (found.low, primary.low), (found.high, primary.high)]
    known = [(mine, other) for mine, other in pairs if mine is not None and other is not None]
    same = all(abs(mine * movement - other) <= 8 * ROUNDING * abs(other) for mine, other in known)
    numbers = f"{exact(primary.value)} / {exact(movement)}, and noise and interval by the same"
    formula = f"{PRIMARY} / (||W_B - W_A|| / ||W_A||) of the weights up to here"
    yield PER_MOVEMENT, holds(formula, numbers, exact(found.value), true=same)


def _amplification(report: Report, shift: Shift) -> Iterator[tuple[str, Check]]:
    """The shift over the one where the data enter, which is the site that has exactly 1 of it."""
    found, primary = shift.measures.get(AMPLIFICATION), shift.measures.get(PRIMARY)
    if found is None or found.value is None or primary is None or primary.value is None:
        return
    for other in report.shifts:
        travels, there = other.measures.get(AMPLIFICATION), other.measures.get(PRIMARY)
        if travels is None or travels.value != 1.0 or there is None or not there.value:
            continue
        if (other.from_, other.to) == (shift.from_, shift.to) and there.significant:
            yield (
                AMPLIFICATION,
                computed(
                    f"{PRIMARY} / the same at {other.site} ({other.position}), where the data enter",
                    "{here} / {entry}",
                    lambda here, entry: here / entry,
                    {"here": primary.value, "entry": there.value},
                    found.value,
                ),
            )
            return


def _from_sides(report: Report, site: Site, shift: Shift) -> Iterator[tuple[str, Check]]:
    """What follows from the statistics of both checkpoints."""
    a, b = site.statistics.get(shift.from_), site.statistics.get(shift.to)
    if a is None or b is None or a.count != b.count or a.nonfinite_share or b.nonfinite_share:
        return
    paired = report.comparison is None or report.comparison.paired
    values = {name: found.value for name, found in shift.measures.items() if found.value is not None}
    yield from between(a, b, values, paired=paired)
    if "effective_rank" in values:
        yield from _rank(a, b, values["effective_rank"])


def _rank(a: Statistics, b: Statistics, stated: float) -> Iterator[tuple[str, Check]]:
    if not a.participation_ratio or not b.participation_ratio or min(a.participation_ratio, b.participation_ratio) <= 0:
        return
    ratio: Callable[..., float] = lambda before, after: math.log(after / before)  # noqa: E731
    parts = {"before": a.participation_ratio, "after": b.participation_ratio}
    formula = "ln of the later over the earlier participation_ratio"
    yield "effective_rank", computed(formula, "ln({after} / {before})", ratio, parts, stated)


def certainty(report: Report, shifts: Sequence[Shift]) -> list[str]:
    """What noise, interval and significance mean here."""
    if not shifts:
        return ["Statistics of one checkpoint carry no interval; between checkpoints shifts do."]
    blocks = report.data.blocks
    noise = (
        "Noise is the 95th percentile of the same measure between random halves of one checkpoint's samples, the "
        "larger of the two checkpoints': what chance makes of no shift at all. Halves are made of "
        f"{blocks} blocks of samples, so that pixels or tokens of one sample never count as independent; 64 halves "
        "for moments, 16 for what needs the rows."
    )
    exceptions = (
        "linear_cka_distance compares the same samples and has no such halves: its noise is how much it differs "
        "between random halves. Excess measures take the noise of the plain measure at the site."
    )
    interval = (
        "The interval is 95 %: Student's t times the standard error of a jackknife that leaves out one of at most "
        f"{min(blocks, 32)} groups of samples in turn (16 for what needs the rows)."
    )
    said = [noise, exceptions, interval]
    if report.comparison is not None and not report.comparison.paired:
        said.append(
            "Both sides saw samples of their own: the squares of two jackknives add up, with the degrees of freedom of "
            "Welch and Satterthwaite."
        )
    said.append(
        "A value counts where the end of its interval that is nearer to 0 is beyond the noise and the value is at "
        "least of the size from which on it matters. A value that does not count may be real and small."
    )
    return said
