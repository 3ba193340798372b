"""Where the numbers of a site come from: the files, the samples, and the part of the tensor that was read."""

import math

from covscan.explain.request import Request
from covscan.explain.statistics import rows_kept, rows_read
from covscan.report.explanation import Column
from covscan.report.types import Data, Model, Report, Site, Statistics


def columns(report: Report, site: Site, request: Request) -> list[Column]:
    """The checkpoints that were asked for, each with what it was run by and on."""
    made = []
    for checkpoint in report.checkpoints:
        if request.checkpoints and checkpoint.id not in request.checkpoints:
            continue
        found = site.statistics.get(checkpoint.id)
        model, data = _side(report, checkpoint.id)
        made.append(
            Column(
                checkpoint=checkpoint,
                rows=None if found is None else rows_read(site, found),
                kept=None if found is None else rows_kept(site, found),
                model=model,
                data=data,
            )
        )
    return made


def _side(report: Report, checkpoint: str) -> tuple[Model, Data]:
    """What ran a column and on what: of a comparison of models or data its own, else what all share."""
    for side in report.comparison.sides if report.comparison is not None else ():
        if side.id == checkpoint:
            return side.model, side.data
    return report.model, report.data


def positions(report: Report, checkpoint: str) -> int | None:
    """How many positions were read of each sample at most; None for all."""
    return _side(report, checkpoint)[1].positions


def reading(report: Report, site: Site) -> list[str]:
    """How values were cut out of the tensor, in sentences."""
    data = report.data
    said = [
        f"N are the samples, axis {site.channel_axis} the channels; what lies on the axes that are left is a position."
    ]
    if site.position == "logits":
        said.append(
            "Of an attention's logits the largest |logit| over the allowed keys was read, for each head and query."
        )
    others = [each for axis, each in enumerate(site.shape) if axis != site.channel_axis and each != "N"]
    there = math.prod(each for each in others if isinstance(each, int))
    if not others:
        said.append("A sample has one position, so that its row of channels was read whole.")
    elif data.positions is None:
        said.append("Every position of each sample was read.")
    else:
        of = "" if len(others) != sum(isinstance(each, int) for each in others) else f" of {there:,}"
        said.append(
            f"Of each sample at most {data.positions}{of} positions were read: those with the smallest hash of (seed "
            f"{data.seed}, sample, position), the same at every checkpoint and on every engine."
        )
    if data.masked:
        said.append("Positions that the mask calls padding were left out.")
    said.append(
        "Means, variances, extremes and shares are exact over all rows that were read. Percentiles, kurtosis, "
        "directions and the measures of distributions and geometry are from the kept rows: those with the smallest "
        "hash, up to 2^17 values of up to 512 channels, at most 4096 rows."
    )
    return said


def missing(site: Site, found: Statistics, name: str) -> str:
    """Why a statistic has no value, where the report gives no reason of its own."""
    if name == "saturated_share":
        return f"{site.type} is flat nowhere, or its flat part is not known"
    if name == "mean_to_variance" and found.channel_scale == 0:
        return "no channel varies"
    if name in {"effective_rank", "participation_ratio", "conditioning", "cross_sample_cosine"}:
        return "fewer than five kept rows are finite in every channel, or none varies"
    return "it does not exist for these values: there is no variance, no second channel or no median to divide by"
