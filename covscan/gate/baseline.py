"""A report against a baseline: what a gate asks for."""

from covscan.config.policy import Tolerances
from covscan.gate.baseline_compare import absent, compare
from covscan.gate.baseline_file import read
from covscan.gate.baseline_source import locate
from covscan.gate.baseline_values import baseline_of
from covscan.report.baseline import BaselineDiff
from covscan.report.gate import BaselineResult
from covscan.report.types import Report


def compared(report: Report, tolerances: Tolerances) -> BaselineResult:
    """Compare a report with the baseline that ``tolerances`` names, from the disk or from a git revision.

    ``tolerances.path`` is opened as it stands (``covscan-baseline.json`` where it is None), and within ``revision`` at
    the same place of the repository. The status is ``absent``, with the reason, where there is no such file, revision,
    repository or git; ``incompatible`` where sampling, data, engine or architecture differ, and then nothing is
    compared, or where part of the baseline was not measured, and then the regressions of the rest are listed; else
    ``compared``. Reasons of a comparison are remarks: other versions, another device, another series. So a verdict is:
    regressions fail; without them any status but ``compared`` is inconclusive.

    A regression is a value whose size is above the baseline's by more than its tolerance, first to last or in the
    largest step, or a statistic at the last checkpoint; or more errors or warnings of one code at one site (its
    ``subject`` is the code, ``site`` None for a finding about the whole run, ``value`` and ``baseline`` their number,
    the span first-to-last). Findings that are info, suppressed or of the gate itself don't count: a caller leaves
    others out of the report that it passes.

    Raises UsageError for a file that is no baseline or cannot be read (codes ``broken-baseline``, ``foreign-baseline``,
    ``baseline-version``, ``unreadable-baseline``), a bad revision (``bad-revision``), a glob that matches no measure or
    statistic (``unknown-subject``), and a statistic whose noise is unknown and for which no tolerance is given
    (``no-tolerance``).
    """
    return difference(report, tolerances).result


def difference(report: Report, tolerances: Tolerances) -> BaselineDiff:
    """The same with every value that stands apart; errors as of ``compared``."""
    found = locate(tolerances.path, tolerances.revision)
    if found.content is None:
        return absent(found.name, found.reason)
    known = read(found.content, f"'{found.name}'")
    return compare(known, baseline_of(report, tolerances), tolerances, found.name)
