"""Turning what was measured into the report's records, one column at a time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import structs

from covscan.capture.types import Network, SiteKey
from covscan.capture.types import Site as TappedSite
from covscan.comparison import Columns
from covscan.config import Settings
from covscan.engine.series import SiteShift, Step, all_sites
from covscan.engine.shifts import AT_AN_INPUT, no_excess
from covscan.engine.subjects import Subject
from covscan.measures.result import Result
from covscan.report import types as records
from covscan.rules import judge
from covscan.rules.evidence import Evidence
from covscan.rules.training_records import gradients_record, trials_record
from covscan.subjects import Opened
from covscan.version import __version__

_FIELDS = records.Statistics.__struct_fields__
_OPTIONAL = tuple(name for name in _FIELDS if name.startswith("channel_") and name.endswith("s"))


@dataclass(frozen=True, slots=True)
class SiteSurvey:
    """What can be tapped, without statistics."""

    model: records.Model
    sites: list[records.Site]
    coverage: records.Coverage
    notes: list[str]


class Assembly:
    """Collects what each subject gave; ``report`` judges it and writes the whole down."""

    def __init__(self, opened: Opened, settings: Settings) -> None:
        self._opened, self._settings = opened, settings
        self._columns = Columns(opened, settings)
        self._networks: list[Network] = []
        self._seen: list[Subject] = []
        self._statistics: dict[SiteKey, dict[str, records.Statistics]] = {}
        self._shifts: dict[SiteKey, list[records.Shift]] = {}
        self._skipped: list[records.Skipped] = []
        self._norms: dict[str, Any] = {}
        self._weights_nonfinite: dict[str, tuple[str, ...]] = {}

    def add(self, step: Step) -> None:
        """Describe one subject; its summaries are not kept."""
        facts, subject = step.facts, step.subject
        name = subject.id
        self._networks.append(facts.network)
        for key, site in facts.sites:
            self._statistics.setdefault(key, {})[name] = _statistics(site.fields, site.channels)
        self._skipped += [
            records.Skipped(site=skip.site, reason=skip.reason, checkpoint=name) for skip in facts.skipped
        ]
        self._norms[name] = facts.norms
        if not any(subject.has_weights_of(other) for other in self._seen):
            self._weights_nonfinite[name] = facts.weights_nonfinite
        if subject.view is not None:
            own = (*facts.network.skipped, *subject.view.unmapped)
            self._skipped += [records.Skipped(site=skip.site, reason=skip.reason, checkpoint=name) for skip in own]
        self._seen.append(subject)
        for shift in step.shifts:  # as records at once: beside what they are made from they would be held twice
            self._shifts.setdefault(shift.key, []).append(_shift(shift))

    def evidence(self) -> Evidence:
        """Everything that was added, as the rules read it."""
        sites = self._sites(all_sites(self._networks), self._networks[0])
        network = self._networks[0]
        return Evidence(
            model=self._columns.model(self._opened.subjects[0], network),
            checkpoints=self._columns.checkpoints(),
            data=self._columns.data(self._networks),
            coverage=self._coverage(sites),
            sites=sites,
            shifts=self._all_shifts(sites),
            network=network,
            norms=self._norms,
            weights_nonfinite=self._weights_nonfinite,
            data_nonfinite=self._columns.nonfinite(),
            train_batch_size=self._settings.train_batch_size,
            nondeterministic=tuple(dict.fromkeys(name for each in self._networks for name in each.nondeterministic)),
            comparison=self._columns.comparison(self._networks),
        )

    def report(self, evidence: Evidence, run: records.Run, notes: Sequence[str] = ()) -> records.Report:
        """Judge the evidence and write the whole down; ``notes`` are further sentences for the reader."""
        judgement = judge(evidence)
        return records.Report(
            schema_version=records.SCHEMA_VERSION,
            tool=records.Tool(name="covscan", version=__version__),
            run=run,
            model=evidence.model,
            checkpoints=list(evidence.checkpoints),
            data=evidence.data,
            coverage=evidence.coverage,
            sites=list(evidence.sites),
            shifts=list(evidence.shifts),
            findings=list(judgement.findings),
            candidates=list(judgement.candidates),
            suggestions=list(judgement.suggestions),
            gradients=None if evidence.gradients is None else gradients_record(evidence.gradients),
            trials=None if evidence.tried is None else trials_record(evidence.tried),
            comparison=evidence.comparison,
            notes=[
                *self._columns.notes(self._networks),
                *notes,
                *_said_once(
                    self._networks if self._opened.kind == "models" else self._networks[:1], judgement.findings
                ),
                *judgement.notes,
            ],
        )

    def survey(self, network: Network) -> SiteSurvey:
        """What can be tapped in one network."""
        sites = self._sites(network.sites, network)
        skipped = [records.Skipped(site=skip.site, reason=skip.reason) for skip in network.skipped]
        coverage = records.Coverage(
            measured=len(network.measured()), skipped=skipped, never_fired=list(network.never_fired), non_finite=[]
        )
        subject = self._opened.subjects[0]
        model = self._columns.model(subject, network)
        return SiteSurvey(model, sites, coverage, [*subject.source.notes, *network.notes])

    def _sites(self, tapped: Iterable[TappedSite], network: Network) -> list[records.Site]:
        normalized = _normalized(network)
        return [
            records.Site(
                site=site.key.site,
                position=site.key.position,
                type=site.type,
                role=site.role,
                channels=site.channels,
                channel_axis=site.layout.channel_axis,
                shape=list(site.shape),
                depth=site.depth,
                same_as=records.SameAs(site=site.same_as.site, position=site.same_as.position)
                if site.same_as
                else None,
                normalized_by=normalized.get(site.same_as or site.key),
                statistics=dict(self._statistics.get(site.same_as or site.key, {})),
                source=site.source,
            )
            for site in tapped
        ]

    def _all_shifts(self, sites: list[records.Site]) -> list[records.Shift]:
        """Shifts in the order of the sites, first-to-each before each-to-next; shared tensors under each name."""
        first = self._opened.subjects[0].id
        return [
            _seen_from(site, shift)
            for site in sites
            for shift in sorted(self._shifts.get(_canonical(site), []), key=lambda shift: shift.from_ != first)
        ]

    def _coverage(self, sites: list[records.Site]) -> records.Coverage:
        shared = self._networks if self._opened.kind != "models" else []
        fixed = {skip.site: skip.reason for network in shared for skip in network.skipped}
        skipped = [records.Skipped(site=site, reason=reason) for site, reason in fixed.items()]
        names = [subject.id for subject in self._opened.subjects]
        never = dict.fromkeys(name for network in self._networks for name in network.never_fired)
        for site in sites:
            missing = [name for name in names if name not in site.statistics]
            known = {(skip.site, skip.checkpoint) for skip in self._skipped}
            skipped += [
                records.Skipped(site=site.site, reason="not in the network at this checkpoint", checkpoint=name)
                for name in missing
                if (site.site, name) not in known and site.statistics
            ]
        return records.Coverage(
            measured=sum(1 for site in sites if site.statistics),
            skipped=[*skipped, *self._skipped],
            never_fired=[name for name in never if not any(skip.site == name for skip in self._skipped)],
            non_finite=list(
                dict.fromkeys(
                    site.site for site in sites if any(s.nonfinite_share > 0 for s in site.statistics.values())
                )
            ),
        )


def _canonical(site: records.Site) -> SiteKey:
    same = site.same_as
    return SiteKey(same.site, same.position) if same else SiteKey(site.site, site.position)


def _seen_from(site: records.Site, shift: records.Shift) -> records.Shift:
    """How a tensor moved, under one of its names; what a layer adds is said at its output alone."""
    if not site.same_as:
        return shift
    without = shift.measures | _measures(no_excess(AT_AN_INPUT))
    return structs.replace(shift, site=site.site, position=site.position, measures=without)


def _shift(shift: SiteShift) -> records.Shift:
    return records.Shift(
        site=shift.key.site,
        position=shift.key.position,
        from_=shift.start,
        to=shift.end,
        measures=_measures(shift.measures),
        channels_shifted=shift.channels_shifted,
    )


def _measures(results: Mapping[str, Result]) -> dict[str, records.Measure]:
    return {name: _measure(result) for name, result in results.items()}


def _statistics(fields: Mapping[str, Any], extra: Mapping[str, Any]) -> records.Statistics:
    known: dict[str, Any] = {name: fields.get(name) for name in _FIELDS if name not in _OPTIONAL}
    return records.Statistics(**known, **extra)


def _measure(result: Result) -> records.Measure:
    return records.Measure(
        value=result.value,
        noise=result.noise,
        low=result.low,
        high=result.high,
        significant=result.significant,
        status=result.status,
    )


def _said_once(networks: Iterable[Network], findings: Iterable[records.Finding]) -> list[str]:
    """The notes of the back ends that no rule made a finding of."""
    said = {finding.message for finding in findings}
    return list(dict.fromkeys(note for network in networks for note in network.notes if note not in said))


def _normalized(network: Network) -> dict[SiteKey, str]:
    """Tensors that a normalization reads or gives, with its name."""
    canonical = {site.key: site.same_as or site.key for site in network.sites}
    found: dict[SiteKey, str] = {}
    for module in network.modules:
        if module.role == "norm":
            keys = (*module.inputs, *((module.output,) if module.output else ()))
            found |= {canonical.get(key, key): module.name for key in keys}
    return found
