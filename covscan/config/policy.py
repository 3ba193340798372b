"""What a gate judges by, as the configuration says it; keys in a file are these names with hyphens."""

import datetime as dt
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from covscan.report.gate import Level, Over, Span
from covscan.report.types import Severity


class Budget(Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """A limit on one measure, one statistic, or the number of findings; exactly one of the three is given."""

    level: Annotated[
        Level, Meta(description="error fails the gate, warn is said, off leaves the budget out, as of a preset")
    ] = "error"
    measure: Annotated[
        str | None, Meta(description="a measure of shift, for example gaussian_w2; its size counts, not its sign")
    ] = None
    statistic: Annotated[str | None, Meta(description="a statistic of a site, for example dead_channels")] = None
    findings: Annotated[
        list[str] | None, Meta(description="codes or globs of codes whose findings are counted, for example COV4*")
    ] = None
    severity: Annotated[
        Severity | None, Meta(description="count findings of this severity and graver ones; all where it is not given")
    ] = None
    sites: Annotated[list[str], Meta(description="globs of site names that are judged")] = field(
        default_factory=lambda: ["*"]
    )
    span: Annotated[
        Span,
        Meta(description="of a measure: from the first checkpoint to the last, between neighbours, or any pair"),
    ] = "first-to-last"
    checkpoint: Annotated[
        Literal["last", "any"], Meta(description="of a statistic: at the last checkpoint, or the worst of all")
    ] = "last"
    over: Annotated[
        Over | None,
        Meta(description="worst or median of the sites, or the share of them beyond 'beyond'; findings are counted"),
    ] = None
    beyond: Annotated[float | None, Meta(description="with over = 'share': sites whose value is larger count")] = None
    max: Annotated[float | None, Meta(description="upper limit, in the unit of what is limited; a share is 0 to 1")] = (
        None
    )
    min: Annotated[float | None, Meta(description="lower limit, likewise")] = None
    min_samples: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(description="with fewer samples nothing is judged; that of [check] where it is not given"),
    ] = None


class Suppression(Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """Findings that do not count, with the reason why."""

    codes: Annotated[list[str], Meta(description="codes or globs of codes", min_length=1)]
    reason: Annotated[str, Meta(description="why they do not count; reported beside them", min_length=1)]
    sites: Annotated[list[str], Meta(description="globs of site names")] = field(default_factory=lambda: ["*"])
    expires: Annotated[dt.date | None, Meta(description="last day on which it holds")] = None


class Tolerances(Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """Which baseline a report is compared with, and how much worse than it is borne."""

    path: Annotated[str | None, Meta(description="the baseline's file, relative to the configuration")] = None
    revision: Annotated[
        str | None,
        Meta(description="read the file from this git revision, so that a change cannot rewrite its own bar"),
    ] = None
    measures: Annotated[list[str], Meta(description="globs of measures that are compared")] = field(
        default_factory=lambda: [
            "gaussian_w2",
            "standardized_mean_difference",
            "absolute_log_variance_ratio",
            "excess_shift",
        ]
    )
    statistics: Annotated[list[str], Meta(description="globs of statistics at the last checkpoint, likewise")] = field(
        default_factory=lambda: [
            "dead_channels",
            "saturated_share",
            "nonfinite_share",
        ]
    )
    relative: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        Meta(description="share of the baseline's value; measured noise where neither is given"),
    ] = None
    absolute: Annotated[
        Annotated[float, Meta(ge=0)] | None, Meta(description="in the unit of the measure, likewise")
    ] = None


FailOn = Literal["error", "warning", "info", "never"]


class Check(Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """What counts, and from which severity on; what is left out has its default."""

    preset: Annotated[
        str | None, Meta(description="budgets to start from; those of [budgets] replace them by name")
    ] = None
    fail_on: Annotated[
        FailOn | None, Meta(description="findings from this severity on fail the gate: error, warning, info or never")
    ] = None
    select: Annotated[list[str], Meta(description="codes or globs of codes that count; empty for all")] = []
    ignore: Annotated[list[str], Meta(description="codes or globs of codes that do not count")] = []
    site_ignores: Annotated[
        dict[str, list[str]], Meta(description="by glob of site names: codes or globs of codes that do not count there")
    ] = {}
    min_samples: Annotated[
        Annotated[int, Meta(ge=1)] | None, Meta(description="with fewer samples no budget is judged")
    ] = None


class Policy(Struct, frozen=True, kw_only=True):
    """Everything that a verdict depends on besides the report."""

    fail_on: FailOn = "error"
    preset: str | None = None
    select: tuple[str, ...] = ()
    """Codes or globs of codes that count; empty for all."""
    ignore: tuple[str, ...] = ()
    site_ignores: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Globs of sites with the codes that do not count there."""
    min_samples: int = 64
    budgets: tuple[tuple[str, Budget], ...] = ()
    """By name, those of the preset first."""
    suppressions: tuple[Suppression, ...] = ()
    baseline: Tolerances | None = None
    """None where no baseline was asked for."""
    config: str | None = None
    """The configuration file, for the reader."""
