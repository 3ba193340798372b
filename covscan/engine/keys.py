"""The keys under which measurements are kept: digests of everything that they depend on."""

import hashlib
from typing import Any

import msgspec

from covscan.config import Settings
from covscan.engine.subjects import Subject
from covscan.models.releases import versions

_CODE = ("capture", "data", "engine", "measures", "models", "stats")


def subject_key(subject: Subject, settings: Settings) -> str:
    """Of what is measured of one subject by itself.

    The checkpoint's content, the architecture with its code, the content of the samples and how they are fed, what is
    tapped and how it is sampled, the releases of everything that computes, and where.
    """
    fed = (settings.target, settings.mask, settings.batch_size)
    tapped = (settings.sites, settings.exclude, settings.positions, settings.seed, settings.per_channel)
    view = subject.view
    names = None if view is None else [sorted(view.calls.items()), sorted(map(str, view.sites.items()))]
    return _digest(
        (versions(_CODE), subject.source.engine, subject.source.identity(), subject.checkpoint.sha256),
        (subject.samples.fingerprint, subject.paired, fed, tapped),
        (subject.backend.device, settings.threads, names),
    )


def pair_key(start: str, end: str, *, training: bool, same_weights: bool) -> str:
    """Of how one subject moved to another, by the keys of both."""
    return _digest(start, end, training, same_weights)


def _digest(*parts: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()
