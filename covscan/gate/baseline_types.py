"""A baseline: the values that were accepted, and what a report must share with them to be compared."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from covscan.report.types import Position

SCHEMA = "covscan-baseline 1.0"

Span = Literal["first-to-last", "step-to-step", "last"]
SiteKey = tuple[str, str]
"""Site and position."""
ValueKey = tuple[str, str, str, str]
"""Span, site, position and subject."""

_Size = Annotated[float, Meta(ge=0)]
_Count = Annotated[int, Meta(ge=0)]


class Origin(Struct, frozen=True, kw_only=True):
    """What measured the values; a difference is said and does not keep a report from being compared."""

    tool: str
    """Version of covscan."""
    report: str
    """Version of the report's schema; only its major part must be the same."""
    device: str
    versions: dict[str, str]
    """Of torch and whatever else computes."""


class Fingerprint(Struct, frozen=True, kw_only=True):
    """What was read, and how; a report that differs in one part of it is not compared."""

    engine: str
    data: str
    """Hex SHA-256 of the samples read, in order."""
    samples: _Count
    positions: _Count | None
    """Read per sample and site at most; None for all."""
    seed: int
    masked: bool


class Series(Struct, frozen=True, kw_only=True):
    """Which checkpoints were first and last, for the reader, and how many there were."""

    checkpoints: _Count
    first: str
    last: str
    first_step: int | None
    last_step: int | None


class KnownSite(Struct, frozen=True, kw_only=True):
    """One line of the architecture: a tensor of its own; further names of the same tensor are left out."""

    site: str
    position: Position
    type: str
    channels: _Count

    @property
    def key(self) -> SiteKey:
        """What it is sorted and found by."""
        return self.site, self.position


class KnownValue(Struct, frozen=True, kw_only=True):
    """An accepted value with what is needed to say what chance alone does to it.

    ``value`` keeps its sign; its size is what is compared. ``noise`` is the measure's floor, ``half_width`` that of
    the 95 % interval; both are None where there were too few samples.
    """

    span: Span
    site: str
    position: Position
    subject: str
    value: float
    noise: _Size | None
    half_width: _Size | None

    @property
    def key(self) -> ValueKey:
        """What it is sorted and found by."""
        return self.span, self.site, self.position, self.subject


class KnownFinding(Struct, frozen=True, kw_only=True):
    """How many errors and warnings of one code there are at one site; ``site`` is None for the whole run."""

    code: str
    site: str | None
    errors: _Count
    warnings: _Count

    @property
    def key(self) -> tuple[str, str | None]:
        """What it is found by."""
        return self.code, self.site


class Baseline(Struct, frozen=True, kw_only=True):
    """Everything that is kept of a report in order to judge later ones."""

    schema: str
    origin: Origin
    fingerprint: Fingerprint
    series: Series
    sites: tuple[KnownSite, ...]
    values: tuple[KnownValue, ...]
    findings: tuple[KnownFinding, ...]
