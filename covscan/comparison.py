"""The report's records of what was measured on what: checkpoints, models, data, and what is compared with what."""

import hashlib
import math
from collections.abc import Sequence

from covscan.capture.types import Network, Site
from covscan.config import Settings
from covscan.data.types import Samples
from covscan.engine.subjects import Subject
from covscan.report import types as records
from covscan.subjects import Opened, samples_of

DATA_NOTE = (
    "The samples of the two data sets are not the same ones: intervals are those of two independent samples, and what "
    "compares sample by sample (linear CKA) is not taken. The weights are the same on both sides, so that no layer "
    "adds to the shift; how it travels is said relative to what it is where the data enter (shift_amplification)."
)
MODELS_NOTE = (
    "Both models ran on the same samples, read at the same positions. Sites are the same that bear the same module's "
    "name, and are called as in {first}; those without a counterpart were not measured."
)


class Columns:
    """Who is behind the columns of one report; ``networks`` stand in the order of the subjects."""

    def __init__(self, opened: Opened, settings: Settings) -> None:
        self.opened, self._settings = opened, settings
        self._masked = {id(samples): _mask_positions(samples) for samples in samples_of(opened)}

    def checkpoints(self) -> list[records.Checkpoint]:
        """One record a column."""
        return [
            records.Checkpoint(
                id=subject.id,
                step=subject.checkpoint.step,
                path=str(subject.checkpoint.path),
                sha256=subject.checkpoint.sha256,
            )
            for subject in self.opened.subjects
        ]

    def model(self, subject: Subject, network: Network) -> records.Model:
        """What was opened for one column."""
        return records.Model(
            description=subject.source.description,
            engine=subject.source.engine,
            parameters=network.parameters,
            device=subject.backend.device,
        )

    def data(self, networks: Sequence[Network]) -> records.Data:
        """The samples of every column; of two data sets what holds for both."""
        every = [self._data(samples, networks[0]) for samples in samples_of(self.opened)]
        if len(every) == 1:
            return every[0]
        fewest = min(every, key=lambda data: data.samples)
        return records.Data(
            description=" and ".join(data.description for data in every),
            samples=fewest.samples,
            available=fewest.available,
            fingerprint=hashlib.sha256("".join(data.fingerprint for data in every).encode()).hexdigest(),
            blocks=fewest.blocks,
            positions=fewest.positions,
            seed=fewest.seed,
            masked=any(data.masked for data in every),
        )

    def comparison(self, networks: Sequence[Network]) -> records.Comparison | None:
        """What is compared with what, None where there is one column."""
        opened = self.opened
        if len(opened.subjects) < 2:
            return None
        sides: list[records.Side] = []
        if opened.kind != "checkpoints":
            sides = [
                records.Side(
                    id=subject.id,
                    model=self.model(subject, network),
                    data=self._data(subject.samples, network),
                )
                for subject, network in zip(opened.subjects, networks, strict=True)
            ]
        return records.Comparison(
            kind=opened.kind,
            sentence=_sentence(opened, sides),
            paired=all(subject.paired for subject in opened.subjects),
            sides=sides,
            mapped=_mapped(opened),
            renamed=_renamed(opened),
        )

    def nonfinite(self) -> dict[str, int]:
        """How many values of each data set are NaN or infinite, where any are."""
        counts = {subject.id: subject.samples.nonfinite for subject in self.opened.subjects}
        if self.opened.kind != "data":
            counts = {"the sample data": next(iter(counts.values()), 0)}
        return {name: count for name, count in counts.items() if count}

    def notes(self, networks: Sequence[Network]) -> list[str]:
        """What the reader must know of the data and of what was compared."""
        first = self.opened.subjects[0].id
        said = {"data": [DATA_NOTE], "models": [MODELS_NOTE.format(first=f"'{first}'")], "checkpoints": []}
        of_sources = [note for subject in self.opened.subjects for note in subject.source.notes]
        of_masks = [note for samples in samples_of(self.opened) for note in self._mask_note(samples, networks[0])]
        return list(dict.fromkeys([*of_sources, *of_masks, *said[self.opened.kind]]))

    def _data(self, samples: Samples, network: Network) -> records.Data:
        return records.Data(
            description=samples.description,
            samples=samples.count,
            available=samples.available,
            fingerprint=samples.fingerprint,
            blocks=samples.blocks,
            positions=self._settings.positions,
            seed=self._settings.seed,
            masked=any(_positions(site) == self._masked[id(samples)] for site in network.measured()),
        )

    def _mask_note(self, samples: Samples, network: Network) -> list[str]:
        count = self._masked[id(samples)]
        if count is None or any(_positions(site) == count for site in network.measured()):
            return []
        return [f"The mask has {count} positions, which no measured tensor has: nothing was left out as padding."]


def _mask_positions(samples: Samples) -> int | None:
    mask = next(iter(samples.batches())).mask
    return None if mask is None else mask.shape[1]


def _positions(site: Site) -> int:
    axes = (site.layout.sample_axis, site.layout.channel_axis)
    sizes = [size for axis, size in enumerate(site.shape) if axis not in axes]
    return math.prod(size for size in sizes if isinstance(size, int)) * site.layout.folded


def _sentence(opened: Opened, sides: Sequence[records.Side]) -> str:
    first, last = opened.subjects[0], opened.subjects[-1]
    if opened.kind == "checkpoints":
        return (
            f"{len(opened.subjects)} checkpoints of one model, {first.id} to {last.id}, "
            f"on the same {first.samples.count} samples"
        )
    if opened.kind == "data":
        counted = " and ".join(f"{side.data.samples} samples of {side.id}" for side in sides)
        return f"{counted} through {first.checkpoint.path.name}: other samples, the same weights"
    models = " and ".join(f"{side.id} ({side.model.description}, {side.model.engine})" for side in sides)
    found, of_first, of_last = _mapped(opened) or [0, 0, 0]
    return (
        f"{models} on the same {first.samples.count} samples: {found} sites are the same, "
        f"of {of_first} of {first.id} and {of_last} of {last.id}"
    )


def _mapped(opened: Opened) -> list[int] | None:
    views = [subject.view for subject in opened.subjects if subject.view is not None]
    if not views:
        return None
    return [len(views[0].sites), *(len(view.sites) + len(view.unmapped) for view in views)]


def _renamed(opened: Opened) -> list[records.Renamed]:
    view = opened.subjects[-1].view
    return [
        records.Renamed(site=to.site, position=to.position, there=key.site, there_position=key.position)
        for key, to in (view.sites.items() if view is not None else ())
        if key != to
    ]
