"""What a rule yields, of whichever kind: a finding that does not know its own code yet."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from covscan.catalog.pages import name_of
from covscan.report.types import Finding, Position, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """One thing that a rule found; the registry adds code and name."""

    severity: Severity
    message: str
    site: str | None = None
    position: Position | None = None
    checkpoint: str | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)


def finding(code: str, firing: Firing) -> Finding:
    """The finding that a rule's firing is, under the rule's code and name."""
    return Finding(
        code=code,
        name=name_of(code),
        severity=firing.severity,
        site=firing.site,
        position=firing.position,
        checkpoint=firing.checkpoint,
        message=firing.message,
        evidence=dict(firing.evidence),
    )
