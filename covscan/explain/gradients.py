"""Numbers of a layer's gradient, which a report has where a loss was given."""

from collections.abc import Iterator
from typing import get_args, get_type_hints

from msgspec import Meta

from covscan.explain.arithmetic import ROUNDING, computed, exact, holds
from covscan.report.explanation import Check, Definition, Value
from covscan.report.training import GradientShift, LayerGradient
from covscan.report.types import Report

OF_LAYER = ("gradient_norm", "gradient_rms", "weight_norm", "relative_gradient", "update_ratio", "gradient_noise",
            "scale_invariance")  # fmt: skip
OF_SHIFT = ("relative", "cosine")


def values(report: Report, layer: str) -> Iterator[Value]:
    """Each number of a layer's gradient, and of how it changes with the layers in front."""
    if report.gradients is None:
        return
    for found in report.gradients.layers:
        if found.layer == layer:
            yield from _of_layer(found)
    for shift in report.gradients.shifts:
        if shift.layer == layer:
            yield from _of_shift(shift)


def definitions() -> list[Definition]:
    """What each of them is, as the report's schema says."""
    own, moved = (
        "a few batches of the samples, in training mode",
        "the same batches, the next checkpoint's layers in front",
    )
    return [
        *(_definition(name, LayerGradient, own) for name in OF_LAYER),
        *(_definition(name, GradientShift, moved) for name in OF_SHIFT),
    ]


def _definition(name: str, record: type, basis: str) -> Definition:
    hint = get_type_hints(record, include_extras=True)[name]
    said = next((note.description or "" for note in get_args(hint) if isinstance(note, Meta)), "")
    return Definition(name=name, kind="gradient", meaning=said, formula="", basis=basis)


def _of_layer(found: LayerGradient) -> Iterator[Value]:
    for name in OF_LAYER:
        value = getattr(found, name)
        yield Value(
            name=name,
            kind="gradient",
            checkpoint=found.checkpoint,
            value=value,
            status=found.status if value is None else None,
            checks=_ratio(found) if name == "relative_gradient" else [],
        )


def _ratio(found: LayerGradient) -> list[Check]:
    if not found.relative_gradient or not found.gradient_norm or not found.weight_norm:
        return []
    parts = {"gradient": found.gradient_norm, "weights": found.weight_norm}
    formula, numbers = "gradient_norm / weight_norm", "{gradient} / {weights}"
    return [computed(formula, numbers, lambda gradient, weights: gradient / weights, parts, found.relative_gradient)]


def _of_shift(found: GradientShift) -> Iterator[Value]:
    for name in OF_SHIFT:
        value, judged = getattr(found, name), name == "relative"
        yield Value(
            name=name,
            kind="gradient",
            from_checkpoint=found.from_,
            checkpoint=found.to,
            value=value,
            noise=found.noise if judged else None,
            significant=found.significant if judged else None,
            status=found.status if value is None else None,
            why=_why(found) if judged else "",
            checks=_significance(found) if judged else [],
        )


def _why(found: GradientShift) -> str:
    if found.relative is None or found.noise is None:
        return ""
    verdict = "counts" if found.significant else "does not count"
    return f"{verdict}: {exact(found.relative)} against a noise of {exact(found.noise)}"


def _significance(found: GradientShift) -> list[Check]:
    """Whether it counts, which a layer with nothing in front never does."""
    if not found.relative or found.noise is None:
        return []
    tied = abs(found.relative - found.noise) <= 2 * ROUNDING * found.noise
    numbers = f"{exact(found.relative)} against {exact(found.noise)}"
    stated = "significant" if found.significant else "not significant"
    return [
        holds("relative > noise", numbers, stated, true=tied or (found.relative > found.noise) == found.significant)
    ]
