"""What ``covscan baseline diff`` writes down: every value that stands apart from its baseline."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from covscan.report.gate import BaselineResult

Change = Literal["worse", "better", "new", "unmeasured"]
KnownSpan = Literal["first-to-last", "step-to-step", "last", "findings"]


class BaselineChange(Struct, frozen=True, kw_only=True):
    """One value, or the number of one code's findings at one site, then and now."""

    change: Annotated[
        Change, Meta(description="'new' is not in the baseline, 'unmeasured' is in it and has no value now")
    ]
    span: Annotated[
        KnownSpan,
        Meta(description="of a measure: the whole series or its largest step; 'last' of a statistic; or findings"),
    ]
    site: Annotated[str | None, Meta(description="null for a finding about the whole run")]
    position: Annotated[str | None, Meta(description="null for findings")]
    subject: Annotated[str, Meta(description="measure, statistic, or a finding's code")]
    baseline: Annotated[float | None, Meta(description="value in the baseline; null where it has none")]
    value: Annotated[float | None, Meta(description="value now; null where there is none")]
    tolerance: Annotated[
        float | None, Meta(description="how far apart they may be, in the same unit; null where nothing was compared")
    ]


class BaselineDiff(Struct, frozen=True, kw_only=True):
    """A report against a baseline, value by value; what lies within the tolerance is counted and not listed."""

    schema: str = "covscan-baseline-diff 1.0"
    result: BaselineResult
    changes: Annotated[list[BaselineChange], Meta(description="worse first, the largest excess first")]
