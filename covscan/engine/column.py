"""One subject while it is measured and compared, as far as that was not done before."""

from collections.abc import Mapping, Sequence
from typing import Any

from covscan.capture.recorder import CheckpointSummary, Replay
from covscan.capture.torch_modules import is_rectifier
from covscan.capture.types import Network, Site, SiteKey
from covscan.config import Settings
from covscan.config.progress import Progress
from covscan.engine.captured import Captured
from covscan.engine.entries import Facts, Moved
from covscan.engine.keys import pair_key
from covscan.engine.known import Known
from covscan.engine.shifts import all_moved, is_training
from covscan.engine.side_by_side import side_by_side
from covscan.engine.site_work import SiteFacts, SiteWork
from covscan.engine.subjects import Subject, capture
from covscan.measures.compare import Comparison
from covscan.stats import SiteSummary


class Column:
    """One subject with all that is said of it; a ``Side`` of comparisons.

    Its samples run only where the store lacks what is said of it, or lacks a comparison with one of the ``earlier``
    columns together with the accumulators to make it from. Meanwhile its layers are replayed with the weights of
    ``lenders``. ``moved`` holds the comparisons by the ids of the earlier columns.
    """

    def __init__(
        self,
        subject: Subject,
        lenders: Sequence[Subject],
        earlier: Sequence["Column"],
        settings: Settings,
        known: Known,
        progress: Progress,
    ) -> None:
        self.subject = subject
        self.key = known.key(subject, settings)
        self._settings, self._known, self._progress = settings, known, progress
        self._lenders = [other for other in lenders if subject.can_replay(other)]
        self._summary: CheckpointSummary | None = None
        facts = known.facts(self.key)
        captured = None
        if facts is None:
            captured = self._run()
            self.network: Network = captured.network
        else:
            self.network = facts.network
        self.facts, self.moved = self._settled(facts, captured, earlier)

    def sites(self) -> Mapping[SiteKey, SiteSummary]:
        """The accumulators."""
        return self._load().sites

    def replays(self) -> Mapping[tuple[SiteKey, str], Replay]:
        """What layers give with earlier weights."""
        return self._load().replays

    def noise(self, key: SiteKey) -> Mapping[str, float]:
        """The noise floors of one site."""
        return self._by_site[key].noise

    def weights(self) -> Mapping[str, Any]:
        """The weights by name, mapped where the format allows."""
        return self.subject.backend.weights(self.subject.checkpoint)

    def _settled(
        self, facts: Facts | None, captured: Captured | None, earlier: Sequence["Column"]
    ) -> tuple[Facts, dict[str, list[Moved]]]:
        """Everything that is said, from the store or worked out now and put there."""
        found = {other: self._known.moved(self._pair(other)) for other in earlier}
        missing = [other for other, moved in found.items() if moved is None]
        self._by_site: dict[SiteKey, SiteFacts] = dict(facts.sites) if facts is not None else {}
        compared = self._work(missing) if captured is not None or missing else {}
        if captured is not None:
            skipped = captured.summary.skipped
            sites = list(self._by_site.items())
            facts = Facts(captured.network, skipped, sites, dict(captured.norms), captured.weights_nonfinite)
            self._known.keep_facts(self.key, facts)
        for other in missing:
            found[other] = all_moved(other, self, compared[other.subject.id])
            self._known.keep_moved(self._pair(other), found[other] or [])
        assert facts is not None
        return facts, {other.subject.id: moved or [] for other, moved in found.items()}

    def _work(self, missing: Sequence["Column"]) -> dict[str, dict[SiteKey, Comparison]]:
        """Compare with the columns that are missing, and describe what is not described yet; by their ids."""
        known_sites = {site.key: site for site in self.network.measured()}
        kept = [(other.subject.id, other, other.sites()) for other in missing]

        def work(item: tuple[SiteKey, SiteSummary]) -> tuple[SiteFacts, dict[str, Comparison]]:
            key, summary = item
            there = [(name, other, sites[key]) for name, other, sites in kept if key in sites]
            facts, compared = SiteWork(
                summary,
                [(theirs, other.noise(key)) for _, other, theirs in there],
                self._by_site.get(key),
                self._settings.seed,
                paired=self.subject.paired and all(other.subject.paired for other in missing),
                **_manner(known_sites[key]),
                per_channel=self._settings.per_channel,
            ).facts_and_comparisons()
            return facts, dict(zip([name for name, _, _ in there], compared, strict=True))

        items = list(self.sites().items())
        results = side_by_side(work, items)
        by_column: dict[str, dict[SiteKey, Comparison]] = {name: {} for name, _, _ in kept}
        for (key, _), (facts, compared) in zip(items, results, strict=True):
            self._by_site[key] = facts
            for name, comparison in compared.items():
                by_column[name][key] = comparison
        return by_column

    def _load(self) -> CheckpointSummary:
        """The accumulators: those at hand, else those in the store, else measured again."""
        if self._summary is None:
            self._summary = self._known.summary(self.key, self._lender_keys())
        return self._summary or self._run().summary

    def _lender_keys(self) -> dict[str, str]:
        keys = {lender.id: self._known.key(lender, self._settings) for lender in self._lenders}
        return {name: key for name, key in keys.items() if key is not None}

    def _run(self) -> Captured:
        captured = capture(self.subject, self._lenders, self._settings, self._progress)
        self._summary = captured.summary
        self._known.keep_summary(self.key, captured.summary, self._lender_keys())
        return captured

    def _pair(self, start: "Column") -> str | None:
        if self.key is None or start.key is None:
            return None
        same = start.subject.has_weights_of(self.subject)
        return pair_key(start.key, self.key, training=is_training(start.subject, self.subject), same_weights=same)


def _manner(site: Site) -> dict[str, bool]:
    """How a site is to be described."""
    rectified = site.key.position == "output" and is_rectifier(site.type)
    return {"rectified": rectified, "saturating": site.saturation is not None}
