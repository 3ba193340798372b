"""One finding for all normalizations that show the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from covscan.report.types import Position, Severity
from covscan.rules.evidence import Evidence
from covscan.rules.firing import Firing
from covscan.rules.lookup import last
from covscan.rules.words import plural

if TYPE_CHECKING:
    from covscan.measures.norms import NormEvidence


@dataclass(frozen=True, slots=True)
class Misuse:
    """A normalization, how bad it is there (larger is worse), and what is said about it."""

    name: str
    norm: "NormEvidence"
    size: float
    severity: Severity
    text: str


def worst_first(evidence: Evidence, found: Sequence[Misuse], extra: Mapping[str, Any] | None = None) -> list[Firing]:
    """Nothing, or one finding at the worst normalization that lists the others."""
    if not found:
        return []
    levels: tuple[Severity, ...] = ("error", "warning", "info")
    worst = min(found, key=lambda misuse: (levels.index(misuse.severity), -misuse.size))
    more = f"; {plural(len(found) - 1, 'normalization')} more" if len(found) > 1 else ""
    position: Position | None = "input" if worst.norm.position == "input" else "output" if worst.norm.position else None
    return [
        Firing(
            severity=worst.severity,
            site=worst.name,
            position=position if worst.norm.site == worst.name else None,
            checkpoint=last(evidence).id,
            message=worst.text + more,
            evidence={"size": worst.size, "norms": {misuse.name: misuse.size for misuse in found}, **(extra or {})},
        )
    ]
