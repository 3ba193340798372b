"""Putting a normalization into a saved model so that it computes what it computed before, and proving it."""

from covscan.config import Settings
from covscan.data import open_samples
from covscan.errors import UsageError
from covscan.insertion.types import Outcome, Request, Training
from covscan.models import open_source
from covscan.registry import resolve
from covscan.surgery.fitting import check_kind

__all__ = ["Outcome", "Request", "Training", "insert"]

ENGINES = {
    "torch": "covscan.insertion.pytorch:insert_torch",
    "onnx": "covscan.insertion.onnx_files:insert_onnx",
}


def insert(settings: Settings, request: Request) -> Outcome:
    """Write the model of ``settings`` with the normalization of ``request`` in it. Raises UsageError.

    What was written is opened again and compared with the original on the sample data; where that cannot be done, no
    file is left behind.
    """
    check_kind(request.norm)
    source = open_source(settings)
    if len(source.series.checkpoints) > 1:
        raise UsageError(
            "several-checkpoints",
            "a normalization is put into one checkpoint",
            found=f"{len(source.series.checkpoints)} were named",
            hint=f"name one, for example {source.series.checkpoints[-1].path}",
        )
    if source.engine not in ENGINES:
        raise UsageError(
            "unsupported-format",
            "TorchScript cannot be edited",
            hint="put the normalization into the model it was scripted from: --model file.py:function with its weights",
        )
    samples = open_samples(settings)
    run = resolve(ENGINES[source.engine])
    outcome: Outcome = run(source, samples, settings, request)
    return outcome
