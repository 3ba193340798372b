"""What a rule yields: a finding that does not know its own code yet."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from covscan.report.types import Position, Severity
from covscan.rules.evidence import Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """One thing that a rule found; the registry adds code and name."""

    severity: Severity
    message: str
    site: str | None = None
    position: Position | None = None
    checkpoint: str | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)


Rule: TypeAlias = Callable[[Evidence], Iterable[Firing]]
