"""How grave a shift is: one from an untrained start is what training is for."""

from covscan.report.types import Severity, Shift
from covscan.rules.evidence import Evidence
from covscan.rules.lookup import untrained


def shift_severity(evidence: Evidence, shift: Shift, *, large: bool) -> Severity:
    """``warning`` for a large shift between two trained states, else ``info``.

    A network that leaves its random start has to move everywhere, the healthy one as far as the other: of the bundled
    runs those with a normalization, which train well, shift by up to 3.8 standard deviations from step 0, and those
    without by up to 3.0. Such a shift describes a training and says nothing against it.
    """
    if not large:
        return "info"
    started = next(checkpoint for checkpoint in evidence.checkpoints if checkpoint.id == shift.from_)
    return "info" if untrained(evidence, started) else "warning"
