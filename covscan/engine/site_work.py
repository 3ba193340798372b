"""What is worked out for one site once its samples have run: floors, description, and comparisons with earlier ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from covscan.measures.compare import Comparison, compare, noise_floors
from covscan.measures.describe import describe, per_channel
from covscan.measures.views import Kept
from covscan.stats import SiteSummary


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """What is said of one site at one checkpoint: fields of the report's Statistics, and noise floors by measure."""

    fields: Mapping[str, Any]
    channels: Mapping[str, list[float | None]]
    noise: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class SiteWork:
    """One site of one subject, and the same site of earlier subjects, each with its noise floors.

    ``facts`` are known already, or None.
    """

    summary: SiteSummary
    earlier: Sequence[tuple[SiteSummary, Mapping[str, float]]]
    facts: SiteFacts | None
    seed: int
    paired: bool
    rectified: bool = False
    saturating: bool = False
    per_channel: bool = False

    def facts_and_comparisons(self) -> tuple[SiteFacts, list[Comparison]]:
        """The facts, and how the site moved from each earlier subject.

        One site at a time, so that what its comparisons share is held for no longer.
        """
        later = Kept(self.summary)
        facts = self.facts or self._describe(later)
        return facts, [
            compare(Kept(summary), later, noise, facts.noise, self.seed, paired=self.paired)
            for summary, noise in self.earlier
        ]

    def _describe(self, kept: Kept) -> SiteFacts:
        return SiteFacts(
            describe(kept, rectified=self.rectified, saturating=self.saturating),
            per_channel(self.summary) if self.per_channel else {},
            noise_floors(kept, self.seed, paired=self.paired),
        )
