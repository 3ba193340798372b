"""What ``covscan diff`` writes down: two reports side by side. No torch, no numpy."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from covscan.report.types import Severity


class ReportFacts(Struct, frozen=True, kw_only=True):
    """Which report it is."""

    source: Annotated[str, Meta(description="its path")]
    model: str
    engine: str
    checkpoints: int
    first: Annotated[str | None, Meta(description="id of the first checkpoint; null without any")]
    last: Annotated[str | None, Meta(description="id of the last one, at which statistics are compared")]
    samples: Annotated[int, Meta(description="samples read")]


class ValueDifference(Struct, frozen=True, kw_only=True):
    """One statistic at the last checkpoint, or one measure from the first checkpoint to the last, in both reports."""

    site: str
    position: str
    subject: Annotated[str, Meta(description="name of the statistic or of the measure")]
    a: Annotated[float | None, Meta(description="value in the first report; null where it has none")]
    b: Annotated[float | None, Meta(description="value in the second one")]
    tolerance: Annotated[
        float | None, Meta(description="what another sample of the data may change; null where that is not known")
    ]
    differs: Annotated[
        bool | None, Meta(description="whether they are further apart than that; null where that cannot be said")
    ]


class FindingDifference(Struct, frozen=True, kw_only=True):
    """A code that was found at a site more often in one of the reports."""

    code: str
    name: str
    severity: Severity
    site: Annotated[str | None, Meta(description="null where it is about the whole run")]
    a: Annotated[int, Meta(description="findings in the first report")]
    b: Annotated[int, Meta(description="findings in the second one")]
    message: Annotated[str, Meta(description="of the first such finding, in the report that has more")]


class SuggestionDifference(Struct, frozen=True, kw_only=True):
    """A suggestion that only one report makes, or that has another rank or verdict."""

    site: str
    position: Literal["before", "after"]
    norm: str
    rank_a: Annotated[int | None, Meta(description="null where the first report does not make it")]
    rank_b: Annotated[int | None, Meta(description="null where the second one does not")]
    score_a: float | None
    score_b: float | None
    verdict_a: str | None
    verdict_b: str | None


class ReportDiff(Struct, frozen=True, kw_only=True):
    """Two reports side by side."""

    schema: str = "covscan-diff 1.0"
    a: ReportFacts
    b: ReportFacts
    reasons: Annotated[
        list[str], Meta(description="what differs in how they were measured; empty where nothing does that matters")
    ]
    remarks: Annotated[list[str], Meta(description="other versions, another device or another series")]
    statistics: Annotated[list[ValueDifference], Meta(description="at the last checkpoint of each")]
    shifts: Annotated[list[ValueDifference], Meta(description="from the first to the last checkpoint of each")]
    findings: list[FindingDifference]
    suggestions: list[SuggestionDifference]
    only_a: Annotated[list[str], Meta(description="sites that only the first report has")]
    only_b: Annotated[list[str], Meta(description="sites that only the second one has")]

    @property
    def differs(self) -> bool:
        """Whether anything stands apart beyond noise."""
        values = any(value.differs for value in (*self.statistics, *self.shifts))
        return values or any((self.findings, self.suggestions, self.only_a, self.only_b))
