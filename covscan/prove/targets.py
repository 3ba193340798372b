"""The targets of all samples, looked at once before anything is trained."""

from collections.abc import Iterable
from typing import Any

import torch

from covscan.errors import UsageError
from covscan.prove.objective import Objective, check_classes, labelled, one_tensor, prediction
from covscan.prove.pool import Draw


def check_targets(objective: Objective, output: Any, draw: Draw, everything: Iterable[Draw]) -> None:
    """Raise UsageError where a named loss could not be taken of one of all targets.

    ``output`` is what the model gave for ``draw``. A target that is not finite would look like a training that
    diverged, and on a GPU a class that the output does not have ends the process. A function of the user's own may
    know what to do with either.
    """
    if not objective.named:
        return
    logits = prediction(output)
    found = labelled(logits, draw.target) if objective.name == "cross_entropy" else None
    for each in everything:
        target, mask = one_tensor(each.target), each.mask
        counted = target if mask is None or mask.shape != target.shape[: mask.ndim] else target[mask]
        _check_finite(counted)
        if found is not None:
            check_classes(counted, logits.shape[found[1]])


def _check_finite(target: torch.Tensor) -> None:
    if target.is_floating_point() and not bool(target.isfinite().all()):
        count = int((~target.isfinite()).sum())
        raise UsageError(
            "bad-target",
            "the target holds values that are not finite",
            found=f"{count:,} of {target.numel():,} are NaN or infinite",
            hint="leave these samples out, name a --mask, or write the loss as a function: --loss file.py:function",
        )
