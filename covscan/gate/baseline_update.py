"""A baseline that follows a report: it shrinks by itself and grows only where that is accepted."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from msgspec.structs import replace

from covscan.config.policy import Tolerances
from covscan.errors import Inconclusive
from covscan.gate.baseline_judging import Pair, counts, finding_changes, rank, value_changes, value_pairs
from covscan.gate.baseline_match import changed_sites, named, sampling_differs
from covscan.gate.baseline_types import Baseline, KnownFinding, KnownValue
from covscan.report.baseline import BaselineChange

Accepts = Callable[[str | None], bool]
"""Whether growth at a site is accepted; None is the whole run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """The baseline as it is now, and what became of it."""

    baseline: Baseline
    lowered: int
    """Values that improved, and counts of findings that fell."""
    dropped: tuple[str, ...]
    """Sites that are gone."""
    accepted: int
    """Values and counts of findings that grew, were not known, or can no longer be measured."""
    refused: tuple[BaselineChange, ...]
    """The same, not accepted; new ones at known sites."""
    added: tuple[str, ...]
    """New sites that were accepted."""
    unknown: tuple[str, ...]
    """New sites that were not."""

    @property
    def changed(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.lowered or self.dropped or self.accepted or self.added)


def updated(known: Baseline, now: Baseline, tolerances: Tolerances, accepts: Accepts) -> Update:
    """Lower what improved by more than its tolerance, drop what is gone, and take what grew where it is accepted.

    What moved less than its tolerance stays as it is: taking every lower value would turn chance into the bar. A site
    whose tensor has another type or number of channels is one that is gone and one that is new. Values that could not
    be measured this time are let go of where that is accepted. Raises Inconclusive where the report was sampled
    otherwise.
    """
    differing = list(sampling_differs(known, now))
    if differing:
        raise Inconclusive(
            "baseline-incompatible",
            "the report cannot be compared with the baseline, so nothing of it can be updated",
            found="; ".join(differing),
            hint="measure as the baseline was measured, or start again with 'covscan baseline write --force'",
        )
    surviving, dropped = _surviving(known, now)
    pairs = value_pairs(surviving, now, tolerances)
    changes = sorted((*value_changes(pairs, tolerances), *finding_changes(surviving, now)), key=rank)
    held = {value.key for value in surviving.values}
    better = [each for each in changes if each.change == "better" and (each.span == "findings" or _key(each) in held)]
    growth = [each for each in changes if each.change != "better"]
    taken = [each for each in growth if accepts(each.site)]
    fresh = [site for site in now.sites if site.key not in {kept.key for kept in surviving.sites}]
    added = [site for site in fresh if accepts(site.site)]
    baseline = replace(
        surviving,
        origin=now.origin,
        series=now.series,
        sites=(*surviving.sites, *added),
        values=(
            *_followed(surviving, pairs, {_key(change) for change in (*better, *taken)}),
            *(value for value in now.values if (value.site, value.position) in {site.key for site in added}),
        ),
        findings=tuple(_findings(surviving, now, accepts)),
    )
    return Update(
        baseline=baseline,
        lowered=len(better),
        dropped=tuple(dropped),
        accepted=len(taken),
        refused=tuple(change for change in growth if not accepts(change.site)),
        added=tuple(named(site) for site in added),
        unknown=tuple(named(site) for site in fresh if not accepts(site.site)),
    )


def _surviving(known: Baseline, now: Baseline) -> tuple[Baseline, list[str]]:
    """The baseline without the sites that are gone, and the names of those."""
    others = {site.key for site, _ in changed_sites(known, now)}
    here = {site.key for site in now.sites} - others
    kept = replace(
        known,
        sites=tuple(site for site in known.sites if site.key in here),
        values=tuple(value for value in known.values if (value.site, value.position) in here),
    )
    return kept, [named(site) for site in known.sites if site.key not in here]


def _key(change: BaselineChange) -> tuple[str, str | None, str | None, str]:
    return change.span, change.site, change.position, change.subject


def _followed(known: Baseline, pairs: list[Pair], taken: Collection[object]) -> Iterator[KnownValue]:
    """The values of the baseline, what is taken as it is now or let go of, and what is new and taken."""
    here = {now.key: now for _, now in pairs if now is not None and now.key in taken}
    yield from (value for value in known.values if value.key not in taken)
    yield from here.values()


def _findings(known: Baseline, now: Baseline, accepts: Accepts) -> Iterator[KnownFinding]:
    before = {finding.key: finding for finding in known.findings}
    after = {finding.key: finding for finding in now.findings}
    for key in dict.fromkeys((*before, *after)):
        then, here = counts(before.get(key)), counts(after.get(key))
        errors, both = here if accepts(key[1]) else (min(then[0], here[0]), min(then[1], here[1]))
        if both:
            yield KnownFinding(code=key[0], site=key[1], errors=errors, warnings=both - errors)
