"""The figures that a watch shows: the newest checkpoints, and the layers that moved most."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from covscan.render.as_text import console_for, rows
from covscan.render.blocks import Column, Line, Section, Span, Table, Tone, line
from covscan.render.content.places import SIDES, shortened
from covscan.render.content.shift_rows import LARGE, MEDIUM, PRIMARY
from covscan.render.figures import compact
from covscan.render.look import Look
from covscan.render.names import columns, printable, shorten

if TYPE_CHECKING:
    from covscan.capture.types import SiteKey
    from covscan.measures.result import Result
    from covscan.watching.band import Departure
    from covscan.watching.following import Measured

LEAST_CELL, LABEL, GAP = 5, 9, 2
NAME_SHARE = 0.3
MOST_NOTES = 8


def headline(series: "Sequence[Measured]", place: int) -> str:
    """One checkpoint in a line: what moved most since the first, and since the one before."""
    each = series[place]
    parts = [f"{printable(each.name)} ({each.seconds:.1f} s)"]
    if place:
        parts.append(_most(each, series[0]))
    if place > 1:
        parts.append(_most(each, series[place - 1]))
    return "; ".join(parts)


def departure_notes(left: "Sequence[Departure]", look: Look) -> list[str]:
    """A sentence for each site that left its band; of many the first, and how many more there are."""
    shown = left if look.verbose else left[:MOST_NOTES]
    notes = []
    for each in shown:
        where = f"{printable(each.site)} ({each.position}) left its band at {printable(each.checkpoint)}"
        text = f"{where}: {each.why or f'moved by {compact(each.step)} sd, at most {compact(each.usual)} before'}"
        if each.median is not None and each.band is not None:
            text += f"; median {compact(each.median)} outside {compact(each.band[0])} to {compact(each.band[1])}"
        notes.append(text)
    if len(shown) < len(left):
        notes.append(f"{len(left) - len(shown)} more sites left their band there (--verbose names them)")
    return notes


def table(series: "Sequence[Measured]", look: Look, width: int, most: int) -> list[Text]:
    """The loudest sites by the newest checkpoints, as many of both as ``width`` columns and ``most`` rows hold."""
    newest, later = series[-1], series[1:]
    if not later:
        return [Text(f"{printable(newest.name)} is the first: the next ones are compared with it")]
    since_first = [_shifts(each, series[0]) for each in later]
    last_step = _shifts(newest, series[-2])
    keys = _loudest(list(since_first[-1]), since_first[-1], last_step, most)
    names = shortened([key.site for key in keys], max(int(width * NAME_SHARE), 12), look)
    widest = max((columns(span.text) for span in names.values()), default=4)
    headings = [_heading(each, look) for each in later]
    room = width - widest - len("logits") - 2 * GAP - len("last step") - len("noise") - 3 * GAP
    kept = _fitting(headings, room)
    shown = [Column("site"), Column("at"), *(Column(headings[each], "right") for each in kept)]
    shown += [Column("last step", "right"), Column("noise", "right")]
    drawn = []
    for key in keys:
        cells: list[Line] = [line(names[key.site]), line(Span(SIDES[key.position], "faint"))]
        cells += [line(_value(since_first[each].get(key), look)) for each in kept]
        step = last_step.get(key)
        noise = "" if step is None or step.noise is None else compact(step.noise)
        drawn.append((*cells, line(_value(step, look)), line(Span(noise, "faint"))))
    console = console_for(io.StringIO(), Look(width=width, color=look.color))
    section = Section("", (Table(tuple(shown), tuple(drawn)),))
    legend = f"Gaussian W2 in sd since {printable(series[0].name)}; last step: since {printable(series[-2].name)}"
    return [*rows([section], console, look), Text(legend, style="dim")]


def _shifts(each: "Measured", start: "Measured") -> "dict[SiteKey, Result]":
    return {moved.key: moved.measures[PRIMARY] for moved in each.moved.get(start.path, ()) if PRIMARY in moved.measures}


def _loudest(
    keys: "list[SiteKey]", since_first: "dict[SiteKey, Result]", last_step: "dict[SiteKey, Result]", most: int
) -> "list[SiteKey]":
    """In turn the sites that moved most in all and in the last step, in the order of the network."""
    by_first = sorted(keys, key=lambda key: -_size(since_first.get(key)))
    by_step = sorted(keys, key=lambda key: -_size(last_step.get(key)))
    picked = list(dict.fromkeys(key for pair in zip(by_first, by_step, strict=True) for key in pair))[:most]
    return [key for key in keys if key in set(picked)]


def _fitting(headings: Sequence[str], room: int) -> list[int]:
    """The newest columns that fit, one at least."""
    kept: list[int] = []
    for place in range(len(headings) - 1, -1, -1):
        room -= max(columns(headings[place]), LEAST_CELL) + GAP
        if kept and room < 0:
            break
        kept.insert(0, place)
    return kept


def _heading(each: "Measured", look: Look) -> str:
    return shorten(printable(each.name if each.step is None else str(each.step)), LABEL, look.glyphs.ellipsis)


def _most(each: "Measured", start: "Measured") -> str:
    shifts = _shifts(each, start)
    key = max((key for key in shifts if shifts[key].significant), key=lambda key: _size(shifts[key]), default=None)
    if key is None:
        return f"nothing moved beyond noise since {printable(start.name)}"
    noise = shifts[key].noise
    floor = "" if noise is None else f", noise {compact(noise)}"
    where = f"{printable(key.site)} {SIDES[key.position]}"
    return f"most since {printable(start.name)}: {where} {compact(_size(shifts[key]))} sd{floor}"


def _size(result: "Result | None") -> float:
    return 0.0 if result is None or result.value is None or not result.significant else result.value


def _value(result: "Result | None", look: Look) -> Span:
    if result is None:
        return Span("")
    if result.value is None:
        return Span("n/a", "faint")
    if not result.significant:
        return Span(look.glyphs.within_noise, "faint")
    least = result.low or 0.0
    tone: Tone = "large" if least >= LARGE else "medium" if least >= MEDIUM else "small"
    return Span(compact(result.value), tone)
