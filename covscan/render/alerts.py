"""Findings as CI systems take them: the gravest first, each with a file, a line and a fingerprint."""

import hashlib
import posixpath
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from covscan.render.content.findings import RANK
from covscan.report.types import Finding, Report, SourceLine

_FACTORY_FILE = re.compile(r"^(?P<file>[^:]+\.py):")


@dataclass(frozen=True, slots=True)
class Alert:
    """A finding and where a reviewer is shown it.

    ``place`` is relative to the repository, None where nothing in it is known to be about the finding.
    ``fingerprint`` is the same in every report that finds the same thing at the same site: it holds no values.
    """

    finding: Finding
    place: SourceLine | None
    fingerprint: str

    @property
    def site(self) -> str:
        """The site's name, for a reader."""
        return self.finding.site or "whole run"


def alerts(report: Report, *, suppressed: bool = False) -> list[Alert]:
    """The findings that count, the gravest first, else in the report's order; the ``suppressed`` ones too if asked."""
    made_at = {site.site: site.source for site in reversed(report.sites) if site.source is not None}
    elsewhere = _of_the_run(report)
    seen: Counter[tuple[str, str, str]] = Counter()
    found = []
    for finding in report.findings:
        identity = (finding.code, finding.site or "", finding.position or "")
        seen[identity] += 1
        if suppressed or finding.suppressed is None:
            place = made_at.get(finding.site or "", elsewhere)
            found.append(Alert(finding, place, _fingerprint(*identity, str(seen[identity]))))
    return sorted(found, key=lambda alert: RANK[alert.finding.severity])


def _fingerprint(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "backslashreplace")).hexdigest()[:32]


def _of_the_run(report: Report) -> SourceLine | None:
    """Where a finding without a line of its own is shown: the configuration, the model's file, or a checkpoint."""
    file = next((known for path in _paths(report) if (known := _inside(path)) is not None), None)
    return SourceLine(file=file, line=1) if file is not None else None


def _paths(report: Report) -> Iterator[str]:
    if report.gate is not None and report.gate.config is not None:
        yield report.gate.config
    factory = _FACTORY_FILE.match(report.model.description)
    if factory is not None:
        yield factory["file"]
    yield from (site.source.file for site in report.sites if site.source is not None)
    yield from (checkpoint.path for checkpoint in report.checkpoints)


def _inside(path: str) -> str | None:
    """The path with forward slashes where it is relative and leads nowhere outside."""
    plain = posixpath.normpath(path.replace("\\", "/"))
    outside = plain.startswith(("/", "../")) or plain in {".", ".."} or re.match(r"[A-Za-z]:", plain)
    return None if outside else plain
